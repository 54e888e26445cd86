//! The way in: from bytes on the wire to bytes of the core.

use std::ops::Range;

use rustls::HandshakeKind;
use types::Peer;

use super::door::Door;
use super::foreign::Protocol;
use super::proxy;
use super::tls::{Failure, Progress, Session, TlsDoor};
use super::websocket::{self, End, Frames, Upgrade, WebSocket};
use super::{Pong, Proxy, Tls, Transport, Web};

/// What some bytes of the wire came to.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Whom a proxy speaks for.
    pub(crate) peer: Option<Peer>,
    /// How the handshake went.
    pub(crate) handshake: Option<HandshakeKind>,
    /// Whether all is known now that the core is to be told.
    pub(crate) complete: bool,
    /// The core's bytes.
    pub(crate) bytes: Bytes,
    /// The link is over.
    pub(crate) end: Option<Ending>,
}

/// Where the core's bytes are.
#[derive(Debug, Default)]
pub(crate) enum Bytes {
    #[default]
    None,
    /// In what was handed in.
    Raw(Range<usize>),
    /// In the second buffer.
    Plain(Range<usize>),
}

/// Why a transport ends its link. What is pending is to be sent first.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The other side closed in good order.
    Closed,
    /// The PROXY header is wrong or missing.
    Proxy(&'static str),
    /// Another protocol.
    Foreign(Protocol),
    /// TLS, during the handshake.
    Handshake(Failure),
    /// TLS, later.
    Tls(Failure),
    /// The request was refused, or a frame is not as it must be.
    WebSocket(&'static str),
    /// The client's certificate no longer holds.
    Withdrawn,
    /// More is to be kept than there is room for.
    TooMuch,
}

impl Transport {
    /// Takes `raw`, which begins with [`Transport::held`]. `plain` is for what cannot stay in
    /// `raw`.
    pub(crate) fn receive(&mut self, raw: &mut [u8], plain: &mut Vec<u8>, door: &Door) -> Received {
        self.held.clear();
        let mut found = Received::default();
        found.end = self.pass(raw, plain, door, &mut found).err();
        if self.held.len() > MOST_HELD {
            found.end.get_or_insert(Ending::TooMuch);
        }
        found
    }

    fn pass(
        &mut self,
        raw: &mut [u8],
        plain: &mut Vec<u8>,
        door: &Door,
        found: &mut Received,
    ) -> Result<(), Ending> {
        let mut start = 0;
        if self.proxy == Proxy::Awaited {
            let Some(length) = self.pass_proxy(raw, found)? else {
                return Ok(());
            };
            start = length;
            found.complete = matches!(self.tls, Tls::Off);
        }
        let mut closed = Ok(());
        #[cfg(all(feature = "quic", unix))]
        if let (Tls::Elsewhere(told), Some(tls)) = (&mut self.tls, &door.tls) {
            self.certificate = told.establish(&tls.current()).map_err(Ending::Handshake)?;
            found.handshake = Some(HandshakeKind::Full);
            found.complete = true;
            found.bytes = Bytes::Raw(start..raw.len());
            return Ok(());
        }
        if let Some(tls) = &door.tls {
            if start == raw.len() {
                return Ok(());
            }
            closed = self.pass_tls(&mut raw[start..], plain, tls, found);
            found.bytes = Bytes::Plain(0..plain.len());
        } else {
            found.bytes = Bytes::Raw(start..raw.len());
        }
        if let Some(websocket) = &door.websocket {
            let mut bytes = std::mem::take(&mut found.bytes);
            let passed = self.pass_web(raw, plain, &mut bytes, websocket);
            found.bytes = bytes;
            passed?;
        }
        closed
    }

    fn pass_proxy(&mut self, raw: &[u8], found: &mut Received) -> Result<Option<usize>, Ending> {
        match proxy::parse(raw) {
            Ok(proxy::Parsed::Incomplete) => {
                self.held.extend_from_slice(raw);
                Ok(None)
            }
            Ok(proxy::Parsed::Header { length, client }) => {
                if let Some(client) = client {
                    found.peer = Some(client.address.into());
                    self.certificate = client.certificate;
                }
                self.proxy = Proxy::Passed;
                Ok(Some(length))
            }
            Err(why) => {
                let foreign = Protocol::of(raw).filter(|found| *found != Protocol::Proxy);
                Err(foreign.map_or(Ending::Proxy(why), Ending::Foreign))
            }
        }
    }

    fn pass_tls(
        &mut self,
        raw: &mut [u8],
        plain: &mut Vec<u8>,
        door: &TlsDoor,
        found: &mut Received,
    ) -> Result<(), Ending> {
        plain.clear();
        let current = door.current();
        let session = match &mut self.tls {
            Tls::On(session) => session,
            _ => {
                if let Some(foreign) = Protocol::of(raw).filter(|found| *found != Protocol::Tls) {
                    return Err(Ending::Foreign(foreign));
                }
                let session = Session::new(&current).map_err(Ending::Handshake)?;
                self.tls = Tls::On(Box::new(session));
                let Tls::On(session) = &mut self.tls else {
                    return Ok(());
                };
                session
            }
        };
        let shaking = !session.is_established();
        let received = session.receive(raw, plain, &mut self.pending, &current);
        self.held
            .extend_from_slice(&raw[received.used.min(raw.len())..]);
        match received.outcome {
            Ok(Progress::Same) => Ok(()),
            Ok(Progress::Established { kind, certificate }) => {
                found.handshake = Some(kind);
                found.complete = true;
                if certificate.is_some() {
                    self.certificate = certificate;
                }
                Ok(())
            }
            Ok(Progress::Closed) => Err(Ending::Closed),
            Err(failure) if shaking => Err(Ending::Handshake(failure)),
            Err(failure) => Err(Ending::Tls(failure)),
        }
    }

    fn pass_web(
        &mut self,
        raw: &mut [u8],
        plain: &mut Vec<u8>,
        bytes: &mut Bytes,
        websocket: &WebSocket,
    ) -> Result<(), Ending> {
        if let Web::Request(head) = &mut self.web {
            let came: &[u8] = match std::mem::take(bytes) {
                Bytes::None => &[],
                Bytes::Raw(range) => &raw[range],
                Bytes::Plain(range) => &plain[range],
            };
            if came.is_empty() {
                return Ok(());
            }
            head.extend_from_slice(came);
            match websocket::upgrade(head, websocket) {
                Upgrade::Incomplete => return Ok(()),
                Upgrade::Refused { answer, why } => {
                    let foreign = Protocol::of(head).filter(|found| *found != Protocol::Http);
                    if let Some(foreign) = foreign {
                        return Err(Ending::Foreign(foreign));
                    }
                    self.queue(&answer);
                    return Err(Ending::WebSocket(why));
                }
                Upgrade::Accepted { length, answer } => {
                    plain.clear();
                    plain.extend_from_slice(&head[length..]);
                    *bytes = Bytes::Plain(0..plain.len());
                    self.web = Web::Open(Frames::default());
                    self.queue(&answer);
                }
            }
        }
        let Web::Open(frames) = &mut self.web else {
            return Ok(());
        };
        let (unframed, start) = match bytes {
            Bytes::None => return Ok(()),
            Bytes::Raw(range) => (frames.unframe(&mut raw[range.clone()]), range.start),
            Bytes::Plain(range) => (frames.unframe(&mut plain[range.clone()]), range.start),
        };
        if let Bytes::Raw(range) | Bytes::Plain(range) = bytes {
            *range = start + unframed.payload.start..start + unframed.payload.end;
        }
        if let Some(ping) = unframed.ping
            && self.pong == Pong::Free
        {
            self.queue(&websocket::pong(&ping));
            self.pong = Pong::Pending;
        }
        match unframed.end {
            None => Ok(()),
            Some(End::Closed(code)) => {
                self.queue(&websocket::close(code, ""));
                Err(Ending::Closed)
            }
            Some(End::Violation(code, why)) => {
                self.queue(&websocket::close(code, why));
                Err(Ending::WebSocket(why))
            }
        }
    }
}

/// Most bytes kept of what cannot be used without more: two records, or the certificates of a
/// handshake. What does not fit is nobody's hello (S74).
const MOST_HELD: usize = 32 * 1024;
