//! What a bridge is to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use types::ProtocolVersion;
use types::limits::Rate;

use crate::rule::Rule;

/// What a bridge is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its name, for people.
    pub name: String,
    /// Where the other server is; at least one.
    pub addresses: Vec<Address>,
    /// Whether to go back to the first address when it answers again.
    pub prefers_first: bool,
    /// What to speak there.
    pub version: ProtocolVersion,
    /// Whether to tell a server that is asked in MQTT 3 that a bridge asks, by the bit that Mosquitto
    /// has for it. A server that refuses is asked again without it.
    pub says_bridge: bool,
    /// Who the bridge is at the other server.
    pub client_id: String,
    /// The user name there.
    pub username: Option<String>,
    /// The password there.
    pub password: Option<Password>,
    /// Whether the other server is to forget all when a connection ends.
    pub clean_start: bool,
    /// How long the other server is to keep the session (5.0), in seconds; `u32::MAX` is for ever.
    pub session_expiry: u32,
    /// Keep alive towards the other server in seconds; 0 is none.
    pub keep_alive: u16,
    /// TLS; `None` is plain TCP.
    pub tls: Option<Tls>,
    /// Who the bridge is at this server.
    pub local_client_id: String,
    /// Whether this server forgets all when a connection ends.
    pub local_clean_start: bool,
    /// What goes over, in order: the first rule that is about a topic is the one that holds.
    pub rules: Vec<Rule>,
    /// Most messages of QoS 1 and 2 on their way, in each direction, if no server wants fewer.
    pub inflight: u16,
    /// Largest packet sent to the other server, if that does not want smaller ones, in bytes. Larger:
    /// the message is dropped and counted.
    pub packet_size: u32,
    /// Most messages or bytes out. More wait in the queue.
    pub outflow: Outflow,
    /// Whether messages keep their retain flag on the way out.
    pub retains: bool,
    /// The name of this server in the list of those that a message has passed; `None`: there is no
    /// such list.
    pub via: Option<String>,
    /// Who is told whether the bridge is connected.
    pub notify: Notify,
    /// When to connect.
    pub start: Start,
    /// First and longest pause before another try.
    pub restart: (Duration, Duration),
    /// What this server takes of a client.
    pub bounds: Bounds,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Where the password stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Here.
    Plain(zeroize::Zeroizing<String>),
    /// In a file, read again at each connection; a line end at its end does not count.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// TLS towards the other server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Files with the authorities that are trusted, or folders of such; none: those that browsers
    /// trust.
    pub authorities: Vec<PathBuf>,
    /// The certificate chain and the key that the bridge shows.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name that the certificate of the other server must be for; `None`: the host's.
    pub server_name: Option<String>,
    /// Application protocol to ask for (ALPN).
    pub alpn: Option<String>,
    /// Whether TLS 1.2 is refused.
    pub only_1_3: bool,
    /// Whether the name in the certificate is of no interest. The certificate must be good all the
    /// same.
    pub any_name: bool,
}

/// Most messages or bytes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outflow {
    /// PUBLISH packets.
    pub messages: Option<Rate>,
    /// Bytes of PUBLISH packets.
    pub bytes: Option<Rate>,
}

/// Who is told whether the bridge is connected, by a retained `1` or `0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// Nobody.
    #[default]
    Nobody,
    /// Clients of this server.
    Local {
        /// The topic.
        topic: String,
    },
    /// Clients of both servers.
    Both {
        /// The topic, the same at both.
        topic: String,
    },
}

impl Notify {
    /// The topic at this server.
    pub fn local(&self) -> Option<&str> {
        match self {
            Self::Nobody => None,
            Self::Local { topic } | Self::Both { topic } => Some(topic),
        }
    }

    /// The topic at the other server.
    pub fn remote(&self) -> Option<&str> {
        match self {
            Self::Nobody | Self::Local { .. } => None,
            Self::Both { topic } => Some(topic),
        }
    }
}

/// When a bridge connects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At once, and again whenever the connection ends.
    #[default]
    Automatic,
    /// At once, until the connection ends.
    Once,
    /// When messages wait, until none has come for a while.
    Lazy {
        /// How many must wait.
        threshold: u64,
        /// How long without a message ends the connection.
        idle: Duration,
    },
}

/// What this server takes of a client: a message beyond is dropped before it ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Receive Maximum of this server.
    pub receive_maximum: u16,
    /// Most levels of a topic.
    pub topic_levels: u16,
    /// Most user properties of a message.
    pub user_properties: u16,
    /// Largest packet, in bytes.
    pub packet_size: u32,
}
