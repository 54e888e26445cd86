//! What stands between a socket and the core's bytes: PROXY header, TLS, WebSocket, in this order.
//!
//! A link of a plain listener has none of it. Others have one boxed [`Transport`], which goes with
//! the link from worker to worker. It does no I/O: the worker hands it what it read, and writes
//! what is pending here.

mod door;
#[cfg(all(feature = "quic", unix))]
mod elsewhere;
pub(crate) mod foreign;
mod inbound;
mod proxy;
pub(crate) mod tls;
pub(crate) mod websocket;

pub use door::ProxyProtocol;
pub(crate) use door::{Door, Doors};
pub(crate) use inbound::{Bytes, Ending, Received};

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;

use socket2::Socket;
use types::Certificate;

use tls::{Failure, Session};
use websocket::Frames;

/// A link's way between bytes on the wire and bytes of the core.
#[derive(Debug)]
pub(crate) struct Transport {
    proxy: Proxy,
    tls: Tls,
    web: Web,
    /// Bytes received that are of no use without those that follow.
    held: Vec<u8>,
    /// Bytes that go before anything else, and how many of them went.
    pending: Vec<u8>,
    sent: usize,
    /// So many bytes of the core are in `pending`, and it does not know yet that they were taken.
    owed: usize,
    pong: Pong,
    /// What the other side has proved, or its proxy for it.
    certificate: Option<Arc<Certificate>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Proxy {
    Awaited,
    Passed,
}

#[derive(Debug)]
enum Tls {
    Off,
    /// Nothing is spent on it before the first bytes.
    Awaited,
    On(Box<Session>),
    /// It is spoken where the bytes come from.
    #[cfg(all(feature = "quic", unix))]
    Elsewhere(elsewhere::Elsewhere),
}

#[derive(Debug)]
enum Web {
    Off,
    /// What came of the request that opens it.
    Request(Vec<u8>),
    Open(Frames),
}

/// Whether an answer to a ping waits to be sent.
#[derive(Debug, PartialEq, Eq)]
enum Pong {
    Free,
    Pending,
}

impl Tls {
    /// Whether bytes change on their way, or have to wait.
    fn is_in_the_way(&self) -> bool {
        match self {
            Tls::Off => false,
            Tls::Awaited | Tls::On(_) => true,
            #[cfg(all(feature = "quic", unix))]
            Tls::Elsewhere(told) => !told.is_established(),
        }
    }
}

impl Transport {
    /// Whether the core's bytes go through unchanged, and none wait here.
    pub(crate) fn is_clear(&self) -> bool {
        self.proxy == Proxy::Passed
            && !self.tls.is_in_the_way()
            && matches!(self.web, Web::Off)
            && !self.has_pending()
    }

    /// Whether nothing more is to be done or known here.
    pub(crate) fn is_superfluous(&self) -> bool {
        self.is_clear() && self.certificate.is_none()
    }

    /// Whether the next bytes may cost a step of a TLS handshake.
    pub(crate) fn is_shaking_hands(&self) -> bool {
        match &self.tls {
            Tls::Off => false,
            Tls::Awaited => true,
            Tls::On(session) => !session.is_established(),
            #[cfg(all(feature = "quic", unix))]
            Tls::Elsewhere(_) => false,
        }
    }

    /// Whether a TLS handshake has begun and is not over.
    pub(crate) fn has_begun_handshake(&self) -> bool {
        matches!(&self.tls, Tls::On(session) if !session.is_established())
    }

    /// Whether bytes of the core can go.
    fn is_open(&self) -> bool {
        let tls = match &self.tls {
            Tls::Off => true,
            Tls::Awaited => false,
            Tls::On(session) => session.is_established(),
            #[cfg(all(feature = "quic", unix))]
            Tls::Elsewhere(told) => told.is_established(),
        };
        self.proxy == Proxy::Passed && tls && !matches!(self.web, Web::Request(_))
    }

    pub(crate) fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// Bytes kept for a link of which nothing is known yet.
    pub(crate) fn unproven(&self) -> usize {
        match (self.is_open(), &self.web) {
            (true, _) => 0,
            (false, Web::Request(head)) => self.held.len() + head.len(),
            (false, _) => self.held.len(),
        }
    }

    /// What was received before and is to stand in front of what is read next.
    pub(crate) fn held(&self) -> &[u8] {
        &self.held
    }

    /// Appends bytes of our own to what is pending, which ends between two frames.
    fn queue(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Tls::On(session) => {
                // It fails if TLS has failed already; then the link is over.
                let _ = session.encrypt(bytes, &mut self.held, &mut self.pending);
            }
            _ => self.pending.extend_from_slice(bytes),
        }
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.sent < self.pending.len()
    }

    /// Whether bytes of the core are in what is pending.
    pub(crate) fn owes(&self) -> bool {
        self.owed > 0
    }

    /// Writes what is pending. Returns how many bytes of the core are taken by that.
    pub(crate) fn send_pending(&mut self, socket: &Socket) -> Result<usize, Full> {
        let mut reported = 0;
        while self.has_pending() {
            let rest = self.pending.len() - self.sent;
            let sent = write(socket, &self.pending[self.sent..]);
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Err(Full::For(reported));
                }
                Err(_) => return Err(Full::Broken),
            };
            self.sent += sent;
            // In proportion: a slow reader is seen to read.
            let taken = match sent == rest {
                true => self.owed,
                false => (self.owed as u128 * sent as u128 / rest as u128) as usize,
            };
            self.owed -= taken;
            reported += taken;
        }
        self.pending = Vec::new();
        self.sent = 0;
        self.pong = Pong::Free;
        Ok(reported)
    }

    /// How the core's bytes go; `None`: they cannot.
    pub(crate) fn way(&self) -> Option<Way> {
        self.is_open().then_some(match (&self.tls, &self.web) {
            (Tls::On(_), _) => Way::Encrypted,
            (_, Web::Open(_)) => Way::Framed,
            _ => Way::Clear,
        })
    }

    /// The header in front of so many bytes of the core.
    pub(crate) fn frame_header(&self, payload: usize) -> ([u8; 10], usize) {
        match self.web {
            Web::Open(_) => websocket::header(payload),
            Web::Off | Web::Request(_) => ([0; 10], 0),
        }
    }

    /// Encrypts `plain` to `out`.
    pub(crate) fn encrypt(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match &mut self.tls {
            Tls::On(session) => session.encrypt(plain, &mut self.held, out),
            _ => {
                out.extend_from_slice(plain);
                Ok(())
            }
        }
    }

    /// Keeps the rest of what a full socket did not take; `owed` of its bytes are the core's.
    pub(crate) fn keep(&mut self, rest: &[&[u8]], owed: usize) {
        self.pending = rest.concat();
        self.sent = 0;
        self.owed = owed;
    }

    /// All that is to be sent before the link is closed, `output` of the core included.
    pub(crate) fn finish(mut self, output: &[u8]) -> Vec<u8> {
        let output = output.get(self.owed..).unwrap_or_default();
        if self.is_open() {
            let mut last = Vec::new();
            if !output.is_empty() {
                let (header, length) = self.frame_header(output.len());
                last.extend_from_slice(&header[..length]);
                last.extend_from_slice(output);
            }
            if let Web::Open(_) = self.web {
                last.extend_from_slice(&websocket::close(websocket::NORMAL, ""));
            }
            self.queue(&last);
        }
        self.into_pending()
    }

    /// What is to be sent before the link is closed when no more of the core is to be sent.
    pub(crate) fn into_pending(mut self) -> Vec<u8> {
        if let Tls::On(session) = &mut self.tls {
            session.close(&mut self.held, &mut self.pending);
        }
        self.pending.drain(..self.sent.min(self.pending.len()));
        self.pending
    }

    /// The core has let go of the link to another worker: nothing of its output is here.
    pub(crate) fn forget_owed(&mut self) {
        self.owed = 0;
    }

    /// Whether `door` goes by something else now than when the client's certificate was verified.
    pub(crate) fn is_outdated(&self, door: &Door) -> bool {
        match (&self.tls, &door.tls) {
            (Tls::On(session), Some(tls)) => session.is_outdated(&tls.current()),
            #[cfg(all(feature = "quic", unix))]
            (Tls::Elsewhere(told), Some(tls)) => told.is_outdated(&tls.current()),
            _ => false,
        }
    }

    /// Whether the client must go by what `door` goes by now.
    pub(crate) fn is_withdrawn(&mut self, door: &Door) -> bool {
        match (&mut self.tls, &door.tls) {
            (Tls::On(session), Some(tls)) => session.is_withdrawn(&tls.current()),
            #[cfg(all(feature = "quic", unix))]
            (Tls::Elsewhere(told), Some(tls)) => told.is_withdrawn(&tls.current()),
            _ => false,
        }
    }
}

/// A socket that took not all.
#[derive(Debug)]
pub(crate) enum Full {
    /// It takes no more for now; so many bytes of the core are taken.
    For(usize),
    /// It is broken.
    Broken,
}

/// How the core's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Clear,
    Framed,
    Encrypted,
}

/// One write that no signal interrupts; never zero.
pub(crate) fn write(mut socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            wrote => return wrote,
        }
    }
}
