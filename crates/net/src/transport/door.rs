//! What the connections of a listener go through.

use std::sync::{Arc, PoisonError, RwLock};

use types::Peer;

use super::tls::TlsDoor;
use super::websocket::WebSocket;
use super::{Pong, Proxy, Tls, Transport, Web};
use crate::network::Network;

/// What the connections of a listener go through.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) proxy: ProxyProtocol,
    pub(crate) tls: Option<TlsDoor>,
    pub(crate) websocket: Option<Arc<WebSocket>>,
}

/// The doors of all listeners that ever were, by their places. Workers have a copy each, and look at
/// the common list when they hear of a place that they do not know.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    common: Arc<RwLock<Arc<[Arc<Door>]>>>,
    known: Arc<[Arc<Door>]>,
}

impl Doors {
    pub(crate) fn new(doors: impl IntoIterator<Item = Arc<Door>>) -> Self {
        let known: Arc<[_]> = doors.into_iter().collect();
        Self {
            common: Arc::new(RwLock::new(Arc::clone(&known))),
            known,
        }
    }

    /// The door of a listener.
    pub(crate) fn of(&mut self, place: u16) -> Option<&Arc<Door>> {
        let place = usize::from(place);
        if place >= self.known.len() {
            let common = self.common.read().unwrap_or_else(PoisonError::into_inner);
            self.known = Arc::clone(&common);
        }
        self.known.get(place)
    }

    /// Adds one and returns its place; `None` if there is no place left.
    pub(crate) fn push(&self, door: Arc<Door>) -> Option<u16> {
        let mut common = self.common.write().unwrap_or_else(PoisonError::into_inner);
        let place = u16::try_from(common.len())
            .ok()
            .filter(|it| *it < u16::MAX)?;
        *common = common.iter().cloned().chain([door]).collect();
        Some(place)
    }
}

/// Whether connections begin with a header of the PROXY protocol, version 1 or 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Off,
    /// Each begins with one. Who connects from outside of these networks is closed at once, and
    /// so is who sends none (S89). On a Unix socket, its file's permissions say who may.
    From(Vec<Network>),
}

impl Door {
    /// What a new connection begins with.
    ///
    /// # Errors
    /// The peer may not speak for others.
    pub(crate) fn transport(&self, peer: Peer) -> Result<Option<Box<Transport>>, Untrusted> {
        let proxied = match (&self.proxy, peer.ip()) {
            (ProxyProtocol::Off, _) => false,
            (ProxyProtocol::From(_), None) => true,
            (ProxyProtocol::From(networks), Some(ip)) => {
                if !networks.iter().any(|network| network.contains(ip)) {
                    return Err(Untrusted);
                }
                true
            }
        };
        if !proxied && self.tls.is_none() && self.websocket.is_none() {
            return Ok(None);
        }
        Ok(Some(Box::new(Transport {
            proxy: match proxied {
                true => Proxy::Awaited,
                false => Proxy::Passed,
            },
            tls: match self.tls {
                Some(_) => Tls::Awaited,
                None => Tls::Off,
            },
            web: match self.websocket {
                Some(_) => Web::Request(Vec::new()),
                None => Web::Off,
            },
            held: Vec::new(),
            pending: Vec::new(),
            sent: 0,
            owed: 0,
            pong: Pong::Free,
            certificate: None,
        })))
    }
}

/// A peer that may not speak for others.
#[derive(Debug)]
pub(crate) struct Untrusted;
