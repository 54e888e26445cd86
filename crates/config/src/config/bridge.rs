//! Bridges to other servers.

use std::path::PathBuf;
use std::time::Duration;

use types::limits::Rate;

use super::Secret;

/// A bridge: a connection of this server to another one, and what goes over. docs/bridges.md says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// What it is called: in the log, in the API, in `$SYS` and in client ids.
    pub name: String,
    /// Where the other server is: `HOST:PORT`, or `HOST` for port 1883, with TLS 8883. Several are tried
    /// in turn.
    pub addresses: Vec<String>,
    /// Whether the first address is gone back to when it answers again. Otherwise the bridge stays where
    /// it is.
    pub prefer_first: bool,
    /// What goes over, each `FILTER [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]`; `out` and QoS 0
    /// if nothing is said, and `""` is an empty prefix. Prefixes stand before the filter at this server
    /// and at the other, and are exchanged for each other. With `""` for the filter, they are two topics
    /// that stand for each other. The first that is about a message holds.
    pub topics: Vec<String>,
    /// The version of MQTT that is spoken there.
    pub version: BridgeVersion,
    /// Who the bridge is at the other server. Without it `NODE.NAME`.
    pub client_id: Option<String>,
    /// User name at the other server.
    pub username: Option<String>,
    /// Password there. Never shown.
    pub password: Option<Secret>,
    /// File with the password there: read again at each connection, so that it may hold a token that
    /// somebody renews.
    pub password_file: Option<PathBuf>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Files (PEM) of the authorities that vouch for the other server, or folders of such. Without them
    /// those that browsers trust.
    pub ca: Vec<PathBuf>,
    /// File (PEM) of the certificate that the bridge shows, and behind it those that sign it.
    pub certificate: Option<PathBuf>,
    /// File (PEM) of its private key.
    pub key: Option<PathBuf>,
    /// The name that the certificate of the other server must be for. Without it the host's.
    pub server_name: Option<String>,
    /// Whether a good certificate of the other server will do, whatever name it is for.
    pub any_server_name: bool,
    /// Application protocol to ask for (ALPN), such as `mqtt`.
    pub alpn: Option<String>,
    /// Oldest version of TLS that is spoken.
    pub tls_minimum: super::TlsVersion,
    /// Who the bridge is at this server. Without it `bridge.NAME`. Nobody else can connect with it.
    pub local_client_id: Option<String>,
    /// The user that the bridge is at this server: rules hold for it as for that user's clients. Without
    /// it the bridge may do everything that is not the server's own.
    pub user: Option<String>,
    /// Whether the other server forgets the bridge's session when a connection ends, and with it what
    /// waits there.
    pub clean_start: bool,
    /// Whether this server does, and nothing waits here.
    pub local_clean_start: bool,
    /// How long the other server is to keep the session (5.0).
    pub session_expiry: Duration,
    /// How often something is heard of the other server at least. 0: nothing is asked.
    pub keep_alive: u16,
    /// Most messages that wait for the other server. More: the oldest or the newest is dropped, as
    /// `limits.queue_policy` says.
    pub queued_messages: u32,
    /// Most bytes of such messages.
    pub queued_bytes: usize,
    /// Most messages of QoS 1 and 2 that are on their way in each direction, if none of the servers
    /// wants fewer. A server of MQTT 3 decides for itself what it sends.
    pub inflight: u16,
    /// Largest packet sent to the other server. Larger: the message is dropped and counted.
    pub packet_size: u32,
    /// Messages sent to the other server. Above: they wait.
    pub message_rate: Option<Rate>,
    /// Bytes sent to the other server. Above: they wait.
    pub byte_rate: Option<Rate>,
    /// Whether messages keep their retain flag on the way out.
    pub retain: bool,
    /// Whether messages carry the names of the servers that they have passed (5.0, user property
    /// `nightjar-via`), so that none comes back to where it was.
    pub loop_detection: bool,
    /// Whether a server of MQTT 3 is told that a bridge asks, by a bit that Mosquitto and Nightjar
    /// know: then it sends nothing back, and leaves the retain flag. One that refuses is asked again
    /// without it.
    pub bridge_bit: bool,
    /// Who is told whether the bridge is connected, by a retained `1` or `0`.
    pub notifications: Notifications,
    /// The topic of that. Without it `$SYS/broker/connection/CLIENT-ID/state`.
    pub notification_topic: Option<String>,
    /// When the bridge connects: at once and always (`automatic`), at once and never again (`once`), or
    /// when messages wait (`lazy`).
    pub start: BridgeStart,
    /// With `lazy`: how long without a message ends the connection.
    pub idle_timeout: Duration,
    /// With `lazy`: how many messages must wait.
    pub threshold: u32,
    /// First pause before another try. It doubles with each, and is a little random.
    pub restart_first: Duration,
    /// Longest pause before another try.
    pub restart_longest: Duration,
    /// How long the bridge may be without a connection before there is an alarm.
    pub alarm_after: Duration,
}

impl Default for Bridge {
    fn default() -> Self {
        Self {
            name: String::new(),
            addresses: Vec::new(),
            prefer_first: false,
            topics: Vec::new(),
            version: BridgeVersion::V5,
            client_id: None,
            username: None,
            password: None,
            password_file: None,
            tls: false,
            ca: Vec::new(),
            certificate: None,
            key: None,
            server_name: None,
            any_server_name: false,
            alpn: None,
            tls_minimum: super::TlsVersion::V1_2,
            local_client_id: None,
            user: None,
            clean_start: false,
            local_clean_start: false,
            session_expiry: crate::value::NEVER,
            keep_alive: 60,
            queued_messages: 1_000_000,
            queued_bytes: 1024 * 1024 * 1024,
            inflight: 100,
            packet_size: codec_most(),
            message_rate: None,
            byte_rate: None,
            retain: true,
            loop_detection: true,
            bridge_bit: true,
            notifications: Notifications::Local,
            notification_topic: None,
            start: BridgeStart::Automatic,
            idle_timeout: Duration::from_secs(60),
            threshold: 10,
            restart_first: Duration::from_secs(1),
            restart_longest: Duration::from_secs(60),
            alarm_after: Duration::from_secs(5 * 60),
        }
    }
}

/// What no packet is larger than.
const fn codec_most() -> u32 {
    256 * 1024 * 1024
}

impl Bridge {
    /// Who the bridge is at this server.
    pub fn local_id(&self) -> String {
        match &self.local_client_id {
            Some(id) => id.clone(),
            None => format!("bridge.{}", self.name),
        }
    }
}

/// The version of MQTT that a bridge speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeVersion {
    /// MQTT 5.0.
    V5,
    /// MQTT 3.1.1.
    V311,
    /// MQTT 3.1.
    V31,
}

/// Who is told whether a bridge is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notifications {
    /// Nobody.
    Off,
    /// Clients of this server.
    Local,
    /// Clients of both.
    Both,
}

/// When a bridge connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeStart {
    /// At once, and again whenever the connection ends.
    Automatic,
    /// At once, until the connection ends.
    Once,
    /// When messages wait.
    Lazy,
}

/// A line of `topics`, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeTopic<'a> {
    /// The filter; empty: the prefixes are topics.
    pub filter: &'a str,
    /// Whether messages go to the other server.
    pub out: bool,
    /// Whether they come from there.
    pub inward: bool,
    /// Highest QoS.
    pub qos: u8,
    /// What stands before it at this server.
    pub local: &'a str,
    /// What stands before it at the other one.
    pub remote: &'a str,
}

impl<'a> BridgeTopic<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with it.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        let mut parts = text.split_ascii_whitespace();
        let empty = |part: &'a str| if part == "\"\"" { "" } else { part };
        let filter = empty(parts.next().ok_or("is empty")?);
        let (out, inward) = match parts.next() {
            None | Some("out") => (true, false),
            Some("in") => (false, true),
            Some("both") => (true, true),
            Some(_) => return Err("has another direction than out, in and both"),
        };
        let qos = match parts.next() {
            None | Some("0") => 0,
            Some("1") => 1,
            Some("2") => 2,
            Some(_) => return Err("has another QoS than 0, 1 and 2"),
        };
        let local = parts.next().map_or("", empty);
        let remote = parts.next().map_or("", empty);
        if parts.next().is_some() {
            return Err("goes on behind the second prefix");
        }
        if [local, remote].iter().any(|one| one.contains(['+', '#'])) {
            return Err("has a wildcard in a prefix");
        }
        if filter.is_empty() && (local.is_empty() || remote.is_empty()) {
            return Err("has neither a filter nor two topics");
        }
        Ok(Self {
            filter,
            out,
            inward,
            qos,
            local,
            remote,
        })
    }
}

/// A host and a port of a bridge's address: `HOST`, `HOST:PORT` or `[IPv6]:PORT`.
pub fn bridge_address(text: &str, usual: u16) -> Option<(String, u16)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        // An address of IPv6 without brackets has no port.
        None if text.matches(':').count() > 1 => (text, None),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    if host.is_empty() || host.len() > 253 || !host.bytes().all(known) {
        return None;
    }
    let port = match port {
        None => usual,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_mosquitto_reads_them() {
        let line = BridgeTopic::parse("sensors/# both 1 home/ \"\"").unwrap();
        assert_eq!(
            (line.filter, line.out, line.inward, line.qos),
            ("sensors/#", true, true, 1)
        );
        assert_eq!((line.local, line.remote), ("home/", ""));
        let short = BridgeTopic::parse("a").unwrap();
        assert_eq!((short.out, short.inward, short.qos), (true, false, 0));
        let two = BridgeTopic::parse("\"\" in 2 here there").unwrap();
        assert_eq!((two.filter, two.local, two.remote), ("", "here", "there"));
        for wrong in [
            "",
            "a up",
            "a in 3",
            "a in 1 + b",
            "\"\" in 1 a",
            "a in 1 b c d",
        ] {
            assert!(BridgeTopic::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_has_a_port_or_the_usual_one() {
        let of = |text| bridge_address(text, 1883);
        assert_eq!(of("host"), Some(("host".into(), 1883)));
        assert_eq!(of("10.0.0.1:8883"), Some(("10.0.0.1".into(), 8883)));
        assert_eq!(of("[::1]:1884"), Some(("::1".into(), 1884)));
        assert_eq!(of("fe80::1%eth0"), Some(("fe80::1%eth0".into(), 1883)));
        for wrong in [
            "",
            ":1883",
            "host:0",
            "host:x",
            "a b",
            "host:70000",
            "mqtt://h",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
