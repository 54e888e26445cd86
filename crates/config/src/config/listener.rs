//! The doors of the server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use types::Durability;
use types::limits::Rate;

use super::Network;

/// One door of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// IP address and port, such as `127.0.0.1:1883`, `[::1]:1883` or `0.0.0.0:1883`, or the path
    /// of a Unix socket, such as `/run/nightjar/mqtt.sock`. Port 0 takes a free port and prints it.
    /// Usual ports: 1883 for `mqtt`, 8883 for `mqtts`, 8083 for `ws`, 8084 for `wss`, 14567 for
    /// `quic`.
    pub address: Address,
    /// What rules, logs and `[[authentication]]` call it: letters, digits, `-`, `_` and `.`, at most
    /// 64; no other listener has it. Without it the protocol and the port, or the socket's file,
    /// such as `mqtt-1883`; behind it `-2` if another listener has that name.
    pub name: String,
    /// What is spoken here: MQTT over TCP (`mqtt`), TLS (`mqtts`), WebSocket (`ws`), WebSocket over
    /// TLS (`wss`) or QUIC (`quic`). A Unix socket takes the place of TCP.
    pub protocol: Protocol,
    /// Takes the place of `store.durability` for what is published through this listener.
    pub durability: Option<Durability>,
    /// Names of `[[certificate]]` to show to clients, by the name that they ask for; the first is
    /// for those that ask for none or another. Required for `mqtts`, `wss` and `quic`.
    pub certificates: Vec<String>,
    /// Whether a client shows a certificate: `off`: it is not asked for one; `optional`: one that
    /// it shows must be valid; `required`: without one it is not let in. Without it `required` if
    /// there is a `client_ca`, else `off`.
    pub client_certificate: ClientCertificate,
    /// File (PEM) of the authorities that sign clients' certificates. It is watched.
    pub client_ca: Option<PathBuf>,
    /// Files (PEM) of revocation lists. With one, a certificate whose issuer has no list there, or
    /// an expired one, is refused. They are watched.
    pub crl: Vec<PathBuf>,
    /// The oldest version of TLS that is spoken. QUIC always has 1.3.
    pub tls_minimum: TlsVersion,
    /// Paths at which WebSocket is spoken; `*` is any. Elsewhere: 404.
    pub path: Vec<String>,
    /// Pages that may connect by a browser, such as `https://app.example.com`, or `*` for all.
    /// Without it those of the same host only. Others: 403. What is no browser sends no origin and
    /// is not asked for it.
    pub origins: Vec<String>,
    /// Networks of proxies that say for whom they speak (PROXY protocol, version 1 or 2). From
    /// these the header is required, from others it is refused.
    pub proxy: Vec<Network>,
    /// Networks that may connect, such as `10.0.0.0/8` or `2001:db8::1`; all others may not. Without it everybody may.
    pub allow: Vec<Network>,
    /// Networks that may not connect, whatever `allow` says.
    pub deny: Vec<Network>,
    /// A topic's beginning, ending in `/`, that is put before all topics and filters of clients
    /// here, and that they do not see.
    pub mount: Option<String>,
    /// Most connections of this listener. Above: closed at accept.
    pub connections: Option<u32>,
    /// New connections. Above: they wait to be accepted.
    pub connection_rate: Option<Rate>,
    /// PUBLISH packets of all clients here. Above: nothing is read from the one that sent more
    /// until the rate is kept.
    pub message_rate: Option<Rate>,
    /// Bytes from all clients here. Above: nothing is read from the one that sent more until the
    /// rate is kept.
    pub byte_rate: Option<Rate>,
    /// Takes the place of the key of this name at the top, for this listener.
    pub allow_anonymous: Option<bool>,
    /// Names of `[[authentication]]` to ask here, in their order in the file. Without it all that
    /// are for this listener.
    pub authentication: Vec<String>,
    /// Who may open a Unix socket, as for chmod.
    pub socket_mode: Mode,
}

impl Listener {
    /// A listener for MQTT over TCP.
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            name: String::new(),
            protocol: Protocol::Mqtt,
            durability: None,
            certificates: Vec::new(),
            client_certificate: ClientCertificate::Off,
            client_ca: None,
            crl: Vec::new(),
            tls_minimum: TlsVersion::V1_2,
            path: vec!["/mqtt".into()],
            origins: Vec::new(),
            proxy: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            mount: None,
            connections: None,
            connection_rate: None,
            message_rate: None,
            byte_rate: None,
            allow_anonymous: None,
            authentication: Vec::new(),
            socket_mode: Mode(0o660),
        }
    }

    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        match &self.address {
            Address::Ip(address) => address.ip().to_canonical().is_loopback(),
            Address::Unix(_) => true,
        }
    }

    /// What it is called if nobody says, perhaps with a number behind.
    pub(crate) fn default_name(&self) -> String {
        let end = match &self.address {
            Address::Ip(address) => address.port().to_string(),
            Address::Unix(path) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let known =
                    |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
                file.chars().filter(known).take(48).collect()
            }
        };
        format!("{}-{end}", self.protocol.as_str())
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of TCP, or of UDP for QUIC.
    Ip(SocketAddr),
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
}

impl Default for Address {
    /// MQTT's registered port, on loopback only (S72).
    fn default() -> Self {
        Self::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1883))
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// MQTT over TCP or a Unix socket.
    Mqtt,
    /// MQTT over TLS.
    Mqtts,
    /// MQTT over WebSocket.
    Ws,
    /// MQTT over WebSocket over TLS.
    Wss,
    /// MQTT over QUIC.
    Quic,
}

impl Protocol {
    /// Its word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Quic => "quic",
        }
    }

    /// Whether the server shows a certificate.
    pub fn has_tls(self) -> bool {
        match self {
            Self::Mqtts | Self::Wss | Self::Quic => true,
            Self::Mqtt | Self::Ws => false,
        }
    }

    /// Whether it begins with a request of HTTP.
    pub fn is_websocket(self) -> bool {
        match self {
            Self::Ws | Self::Wss => true,
            Self::Mqtt | Self::Mqtts | Self::Quic => false,
        }
    }
}

/// Whether a client shows a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// It is not asked for one.
    Off,
    /// One that it shows must be valid.
    Optional,
    /// Without one it is not let in.
    Required,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Permissions of a file: nine bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u16);
