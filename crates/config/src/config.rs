//! What a server can be told, and what holds when it is told nothing.

mod authentication;
mod bridge;
mod certificate;
mod listener;
mod network;
mod rule;
mod secret;
mod telemetry;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use types::{Durability, Limits};

pub use authentication::{
    Algorithm, Authentication, ByCertificate, Http, Jwt, Ldap, Location, Method, MongoDb,
    OnFailure, PasswordHash, Passwords, Redis, Sql, TokenIn, UserFrom,
};
pub use bridge::{Bridge, BridgeStart, BridgeTopic, BridgeVersion, Notifications, bridge_address};
pub use certificate::{Acme, Certificate, CertificateFiles, CertificateOrigin, Challenge};
pub use listener::{Address, ClientCertificate, Listener, Mode, Protocol, TlsVersion};
pub use network::Network;
pub use rule::{Mark, Permission, Rule, RuleAction};
pub use secret::{Header, Secret, Url};
pub use telemetry::Telemetry;

/// Everything that a server can be told. A field's name is its key (`segment_bytes` is
/// `segment_size` there); its comment is its entry in docs/configuration.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this server in `$SYS` and in the log: letters, digits, `-`, `_` and `.`, at
    /// most 64. Without it the machine's name.
    pub node: Option<String>,
    /// Folder for what must outlive a restart: the store, in its folder `store`. A relative path of the
    /// file is beside it. Without it `$XDG_DATA_HOME/nightjar`, or `~/.local/share/nightjar`.
    pub data_dir: Option<PathBuf>,
    /// Event loops, each a thread with its own connections. 0: one for each processor core.
    pub workers: u16,
    /// Whether a client without a name and a password may connect. Without it: on this machine
    /// only, and only while there is no `[[authentication]]`. A listener that nobody could come in
    /// by is refused, and so is one that other machines reach and that lets everybody in without
    /// saying so.
    pub allow_anonymous: Anonymous,
    /// Unix socket for the commands of an operator: who may open it may do everything, so it is for
    /// its owner only. A relative path is in the data folder. `""`: there is none.
    pub control_socket: ControlSocket,
    /// Who the server becomes, for good, if root starts it: before it makes a file, reads a key or opens a
    /// port, so all that it needs has to be open to this user. Started by somebody else it stays that.
    pub user: Option<String>,
    /// File with the number of the process, for who sends it signals: written when the server serves,
    /// and removed when it ends. Without it there is none.
    pub pid_file: Option<PathBuf>,
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
    /// What the server shows to be who it is; one `[[certificate]]` each.
    pub certificates: Vec<Certificate>,
    /// Who is asked who a client is, in this order; one `[[authentication]]` each.
    pub authentication: Vec<Authentication>,
    /// Who may do what; one `[[rule]]` each. Those of `access.rules` come behind.
    pub rules: Vec<Rule>,
    /// What is acknowledged when, by topic; one `[[topic]]` each.
    pub topics: Vec<TopicRule>,
    /// Connections to other servers; one `[[bridge]]` each.
    pub bridges: Vec<Bridge>,
    /// Permissions beside the rules.
    pub access: Access,
    /// The dashboard, and the API of the same port.
    pub dashboard: Dashboard,
    /// Figures for who watches from outside.
    pub metrics: Metrics,
    /// Metrics and traces for an OpenTelemetry collector.
    pub telemetry: Telemetry,
    /// What the server warns of.
    pub alarms: Alarms,
    /// The record of what operators change.
    pub audit: Audit,
    /// The tools of Mosquitto's dynamic security plugin.
    pub dynamic_security: DynamicSecurity,
    /// What an acknowledgement promises, and how that is kept.
    pub store: Store,
    /// What is logged, and how.
    pub log: Log,
    /// Which member of a shared subscription's group gets the next message.
    pub strategy: SharedStrategy,
    /// Every bound of the server; see docs/limits.md.
    pub limits: Limits,
}

/// The tools of Mosquitto's dynamic security plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DynamicSecurity {
    /// Whether users with a rule that allows publishing to `$CONTROL/dynamic-security/v1` by name may
    /// change users, groups and roles of the database there: by `mosquitto_ctrl dynsec`. Needs an
    /// `[[authentication]]` with `type = "database"`. See docs/access.md.
    pub enabled: bool,
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
    /// Nothing was said: anyone on this machine, while there is no `[[authentication]]`.
    FromLoopback,
    /// `allow_anonymous = true`: anyone who reaches a listener.
    FromAnywhere,
    /// `allow_anonymous = false`: nobody.
    Refused,
}

/// Permissions beside the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// File with further `[[rule]]`, and nothing else; they come behind those of this file. Without
    /// a rule in it: refused, as it is if it is not there.
    pub file: Option<PathBuf>,
    /// What `file` says.
    pub rules: Vec<Rule>,
    /// What holds if no rule fits. Without it `deny`, as soon as there is a `[[rule]]`, an `access.file`
    /// or an `[[authentication]]`; with none of them whoever is let in may publish and subscribe to
    /// all topics, except those that begin with `$`.
    pub no_match: Option<Permission>,
    /// Whether a retained message is delivered only as long as its publisher may still publish it.
    pub check_retain_source: bool,
    /// Which subscriptions are granted: `covered`: those that rules allow as a whole, or deny no more
    /// than a part of; `overlapping`: also those that rules allow a part of; `any`: all, as Mosquitto
    /// does. What a granted one brings is always asked about, message for message where it must be.
    pub granted: Granted,
    /// What becomes of a client of MQTT 5.0 that has a subscription which is not allowed any more:
    /// `disconnect`: it is told which (0x87) and closed; `remove`: the subscription goes, and the
    /// client is not told. MQTT 3 knows no such message: the subscription goes.
    pub revoked: Revoked,
}

/// Which subscriptions are granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    /// Those that rules allow as a whole.
    Covered,
    /// Those that rules allow a part of.
    Overlapping,
    /// All.
    Any,
}

/// What becomes of a client whose subscription is not allowed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is told, and closed.
    Disconnect,
    /// Its subscription goes.
    Remove,
}

/// The dashboard, and the API of the same port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dashboard {
    /// Whether there is one. Without it the API is at the control socket only.
    pub enabled: bool,
    /// IP address and port. Without it `127.0.0.1:18083`, and the server starts without a dashboard if
    /// another program has that port. Beyond this machine give it a `certificate`, or a proxy that
    /// speaks TLS.
    pub address: Option<SocketAddr>,
    /// Names that browsers may call this server by, beside its addresses and `localhost`: requests for
    /// others are refused, so that no other site can lead a browser here. A proxy has to hand the name
    /// on (`Host`).
    pub hosts: Vec<String>,
    /// Path in front of everything, for a proxy that has other things beside: `"/mqtt"`. A proxy that
    /// takes the path away needs nothing here.
    pub path: Option<String>,
    /// Chain of certificates (PEM), the server's own first: then TLS is spoken.
    pub certificate: Option<PathBuf>,
    /// Key of the certificate (PEM), for its owner alone.
    pub key: Option<PathBuf>,
}

/// Figures for who watches from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// By which names metrics are told: `nightjar`, our own, or `emqx`: EMQX's for what it has a name
    /// for. Both are in docs/metrics.md.
    pub names: MetricNames,
    /// IP address and port of `/metrics`, `/livez` and `/readyz` for who cannot sign in. Without it
    /// they are at the dashboard's port only, and metrics for who signs in or has a key.
    pub listen: Option<SocketAddr>,
    /// Whether other machines may reach `listen`: whoever does reads all metrics, names of listeners
    /// and of back ends among them.
    pub allow_remote: bool,
}

/// By which names metrics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricNames {
    /// Our own.
    Nightjar,
    /// EMQX's, where it has one.
    Emqx,
}

/// What the server warns of. Each alarm is over when things are well again by some margin, so that
/// none comes and goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarms {
    /// How much of the disk of the data folder may be in use, in percent. More: the alarm `disk_full`.
    /// 0: none.
    pub disk_percent: u16,
    /// How much of `limits.memory` may be in use, in percent. More: the alarm `memory_high`. 0: none.
    pub memory_percent: u16,
    /// How many days before its end a listener's certificate raises the alarm `certificate_expiry`;
    /// one from an authority (`acme`) does when a fifth of its time is left, because it is renewed
    /// before. 0: none.
    pub certificate_days: u16,
    /// How many messages may be dropped in a second, on average over ten. More: the alarm
    /// `messages_dropped`. 0: none.
    pub drops_per_second: u32,
}

/// The record of what operators change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// File with a JSON object a line: who changed what, from what, to what. A relative path is in
    /// the data folder.
    pub file: PathBuf,
    /// Size at which a new file is begun; the old one gets a number behind its name.
    pub size: u64,
    /// How many old files are kept. More: the oldest is deleted.
    pub keep: u32,
}

/// Where commands of an operator come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlSocket {
    /// By this Unix socket; a relative path is in the data folder.
    At(PathBuf),
    /// There is none.
    Off,
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

impl Config {
    /// Whether clients without a name and a password may come in by a listener.
    pub fn admits_anonymous(&self, listener: &Listener) -> bool {
        let everywhere = match self.allow_anonymous {
            Anonymous::FromAnywhere => true,
            Anonymous::Refused => false,
            Anonymous::FromLoopback => self.authentication.is_empty() && listener.is_loopback(),
        };
        listener.allow_anonymous.unwrap_or(everywhere)
    }

    /// Who is asked about clients of a listener, in the order in which they are asked.
    pub fn asked_by<'c>(
        &'c self,
        listener: &'c Listener,
    ) -> impl Iterator<Item = &'c Authentication> {
        let takes = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        self.authentication.iter().filter(move |one| {
            takes(&listener.authentication, &one.name) && takes(&one.listeners, &listener.name)
        })
    }

    /// All rules, in the order in which they are looked at.
    pub fn all_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain(&self.access.rules)
    }

    /// What holds if no rule fits: what `access.no_match` says, or else no, unless nobody spoke of
    /// permissions or identities at all.
    pub fn no_match(&self) -> Permission {
        let silent = self.authentication.is_empty() && self.all_rules().next().is_none();
        self.access.no_match.unwrap_or(if silent {
            Permission::Allow
        } else {
            Permission::Deny
        })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: None,
            data_dir: None,
            workers: 0,
            allow_anonymous: Anonymous::FromLoopback,
            control_socket: ControlSocket::At("control.sock".into()),
            user: None,
            pid_file: None,
            sys_interval: Duration::from_secs(10),
            server_reference: None,
            response_information: None,
            listeners: vec![Listener {
                name: "mqtt-1883".into(),
                ..Listener::new(Address::default())
            }],
            certificates: Vec::new(),
            bridges: Vec::new(),
            authentication: Vec::new(),
            rules: Vec::new(),
            topics: Vec::new(),
            access: Access {
                file: None,
                rules: Vec::new(),
                no_match: None,
                check_retain_source: true,
                granted: Granted::Covered,
                revoked: Revoked::Disconnect,
            },
            dashboard: Dashboard {
                enabled: true,
                address: None,
                hosts: Vec::new(),
                path: None,
                certificate: None,
                key: None,
            },
            metrics: Metrics {
                names: MetricNames::Nightjar,
                listen: None,
                allow_remote: false,
            },
            telemetry: Telemetry::default(),
            alarms: Alarms {
                disk_percent: 90,
                memory_percent: 80,
                certificate_days: 30,
                drops_per_second: 100,
            },
            audit: Audit {
                file: "audit.jsonl".into(),
                size: 64 * 1024 * 1024,
                keep: 10,
            },
            dynamic_security: DynamicSecurity { enabled: false },
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
