//! What stands between a socket and the core's bytes: PROXY header, TLS, WebSocket, in this order.
//!
//! A link of a plain listener has none of it. Others have one boxed [`Transport`], which goes with
//! the link from worker to worker. It does no I/O: the worker hands it what it read, and writes
//! what is pending here.

pub(crate) mod foreign;
pub(crate) mod proxy;
pub(crate) mod tls;
pub(crate) mod websocket;

use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::sync::Arc;

use socket2::Socket;
use types::{Certificate, Peer};

use crate::network::Network;
use foreign::Protocol;
use tls::{Failure, Progress, Session, TlsDoor};
use websocket::{End, Frames, Upgrade, WebSocket};

/// What the connections of a listener go through.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) proxy: ProxyProtocol,
    pub(crate) tls: Option<TlsDoor>,
    pub(crate) websocket: Option<Arc<WebSocket>>,
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

/// What some bytes of the wire came to.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Whom a proxy speaks for.
    pub(crate) peer: Option<Peer>,
    /// How the handshake went.
    pub(crate) handshake: Option<rustls::HandshakeKind>,
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
    /// Whether the core's bytes go through unchanged, and none wait here.
    pub(crate) fn is_clear(&self) -> bool {
        self.proxy == Proxy::Passed
            && matches!((&self.tls, &self.web), (Tls::Off, Web::Off))
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
        };
        self.proxy == Proxy::Passed && tls && !matches!(self.web, Web::Request(_))
    }

    pub(crate) fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// What was received before and is to stand in front of what is read next.
    pub(crate) fn held(&self) -> &[u8] {
        &self.held
    }

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
                    self.certificate = client.certificate.map(Arc::new);
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
            Tls::Off | Tls::Awaited => {
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

    /// Appends bytes of our own to what is pending, which ends between two frames.
    fn queue(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            Tls::On(session) => {
                // It fails if TLS has failed already; then the link is over.
                let _ = session.encrypt(bytes, &mut self.held, &mut self.pending);
            }
            Tls::Off | Tls::Awaited => self.pending.extend_from_slice(bytes),
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
            Tls::Off | Tls::Awaited => {
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
            _ => false,
        }
    }

    /// Whether the client must go by what `door` goes by now.
    pub(crate) fn is_withdrawn(&mut self, door: &Door) -> bool {
        match (&mut self.tls, &door.tls) {
            (Tls::On(session), Some(tls)) => session.is_withdrawn(&tls.current()),
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

/// Most bytes kept of what cannot be used without more: two records, or the certificates of a
/// handshake. What does not fit is nobody's hello (S74).
pub(crate) const MOST_HELD: usize = 32 * 1024;
