//! What a server can be told, and what holds when it is told nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use types::{Durability, Limits};

/// Everything that a server can be told. A field's name is its key (`segment_bytes` is
/// `segment_size` there); its comment is its entry in docs/configuration.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this server in `$SYS` and in the log: letters, digits, `-`, `_` and `.`, at
    /// most 64. Without it the machine's name.
    pub node: Option<String>,
    /// Folder for what must outlive a restart: the store, in its folder `store`. Without it
    /// `$XDG_DATA_HOME/nightjar`, or `~/.local/share/nightjar`.
    pub data_dir: Option<PathBuf>,
    /// Event loops, each a thread with its own connections. 0: one for each processor core.
    pub workers: u16,
    /// Whether a client without a name and a password may connect. Without it: yes, as long
    /// as every listener is on loopback; a listener elsewhere is then refused.
    pub allow_anonymous: Anonymous,
    /// How often the server publishes its figures below `$SYS`. 0: never.
    pub sys_interval: Duration,
    /// Server Reference (MQTT 5.0, 4.13): the server that a client is sent to when this one
    /// shuts down, or has no room for another session.
    pub server_reference: Option<String>,
    /// Response Information (MQTT 5.0, 3.2.2.3.15): given to a client that asks for it, as
    /// the prefix of its response topics.
    pub response_information: Option<String>,
    /// Where connections are accepted; one `[[listener]]` each.
    pub listeners: Vec<Listener>,
    /// What is acknowledged when, by topic; one `[[topic]]` each.
    pub topics: Vec<TopicRule>,
    /// What an acknowledgement promises, and how that is kept.
    pub store: Store,
    /// What is logged, and how.
    pub log: Log,
    /// Which member of a shared subscription's group gets the next message.
    pub strategy: SharedStrategy,
    /// Every bound of the server; see docs/limits.md.
    pub limits: Limits,
}

/// One door of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// IP address and port, such as `127.0.0.1:1883`, `[::1]:1883` or `0.0.0.0:1883`. Port 0
    /// takes a free port and prints it.
    pub address: SocketAddr,
    /// Takes the place of `store.durability` for what is published through this listener.
    pub durability: Option<Durability>,
}

impl Listener {
    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

/// What holds for messages of some topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRule {
    /// The beginning of the topics that it is about, such as `telemetry/`: literally, so `+` and
    /// `#` cannot be in it. Of several that fit, the longest holds.
    pub prefix: String,
    /// Takes the place of `store.durability` and of the listener's for what is published to
    /// these topics.
    pub durability: Durability,
}

/// What an acknowledgement promises, and how that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// When a QoS 1 or 2 message is acknowledged that has to wait for somebody or is retained.
    /// `disk`: once the disk has it, so that a power cut does not lose it. `os`: once the
    /// operating system has it, so that a crash of the server does not lose it; a power cut may
    /// take what was acknowledged within `sync_interval`. `memory`: at once, and a restart loses
    /// it. If nothing says anything but `memory`, there is no store, and what it held stays
    /// untouched.
    pub durability: Durability,
    /// Longest time until the disk has what the operating system has: how much of class `os` a
    /// power cut may take. Acknowledgements from subscribers wait for the disk no longer than
    /// this either; those that a power cut takes bring their messages a second time.
    pub sync_interval: Duration,
    /// Size of the files that the store is made of, but no more than a 32nd of
    /// `limits.store_bytes`; room for one of them is kept free. Space comes back a whole file at a
    /// time. The files that exist keep their size.
    pub segment_bytes: u64,
}

/// Who may connect without a name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Nothing was said: anyone on this machine.
    FromLoopback,
    /// `allow_anonymous = true`: anyone who reaches a listener.
    FromAnywhere,
    /// `allow_anonymous = false`: nobody.
    Refused,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `text` for people, `json` for machines, `auto`: text on a terminal, else JSON.
    pub format: LogFormat,
    /// The least grave event that is logged.
    pub level: LogLevel,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The gravity of an event of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something does not work.
    Error,
    /// Something is likely not as its owner wants it.
    Warn,
    /// What an operator wants to know of a day.
    Info,
    /// What a developer wants to know.
    Debug,
    /// So far the same as debug.
    Trace,
}

/// Which member of a shared subscription's group gets the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedStrategy {
    /// Each in turn.
    RoundRobin,
    /// Any of them.
    Random,
    /// The same until it leaves or has no room.
    Sticky,
    /// Chosen by the publisher's client id.
    HashClient,
    /// Chosen by the topic.
    HashTopic,
    /// The one with the fewest unacknowledged messages.
    LeastInflight,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: None,
            data_dir: None,
            workers: 0,
            allow_anonymous: Anonymous::FromLoopback,
            sys_interval: Duration::from_secs(10),
            server_reference: None,
            response_information: None,
            listeners: vec![Listener {
                address: DEFAULT_ADDRESS,
                durability: None,
            }],
            topics: Vec::new(),
            store: Store {
                durability: Durability::Disk,
                sync_interval: Duration::from_secs(1),
                segment_bytes: 64 * 1024 * 1024,
            },
            log: Log {
                format: LogFormat::Auto,
                level: LogLevel::Info,
            },
            strategy: SharedStrategy::RoundRobin,
            limits: Limits::default(),
        }
    }
}

/// MQTT's registered port, on loopback only (S72).
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1883);
