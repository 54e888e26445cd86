//! The options that `pub` and `sub` share: whom to connect to, and as whom.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

use clap::{ArgAction, Args, Command, FromArgMatches};
use client::{ClientLimits, ConnectOptions, DisconnectOptions, Endpoint, Will};
use types::{ProtocolVersion, QoS};

use super::failure::Failure;
use super::properties::Properties;
use super::refused::RefusedArgs;
use super::url::Url;

/// Options that both commands have.
#[derive(Args, Debug, Default)]
pub(crate) struct ClientArgs {
    /// Server to connect to [default: localhost]
    #[arg(short = 'h', long, value_name = "HOST", help_heading = "Connection")]
    host: Option<String>,
    /// Port to connect to [default: 1883]
    #[arg(short, long, value_name = "PORT", help_heading = "Connection")]
    port: Option<u16>,
    /// All at once: mqtt://[user[:password]@]host[:port]/topic
    #[arg(short = 'L', long, value_name = "URL", help_heading = "Connection")]
    url: Option<String>,
    /// User name
    #[arg(short, long, value_name = "NAME", allow_hyphen_values = true)]
    #[arg(help_heading = "Connection")]
    username: Option<String>,
    /// Password; other users of this machine can see it, a file after -o is safer
    #[arg(
        short = 'P',
        long = "pw",
        value_name = "PASSWORD",
        allow_hyphen_values = true
    )]
    #[arg(help_heading = "Connection")]
    password: Option<OsString>,
    /// Client identifier [default: the server assigns one]
    #[arg(short, long, value_name = "ID", conflicts_with = "id_prefix")]
    #[arg(allow_hyphen_values = true, help_heading = "Connection")]
    id: Option<String>,
    /// Client identifier made of this and the process's number
    #[arg(short = 'I', long, value_name = "PREFIX", help_heading = "Connection")]
    #[arg(allow_hyphen_values = true)]
    id_prefix: Option<String>,
    /// Version of MQTT: 5, 311, 31 or mqttv5, mqttv311, mqttv31 [default: 311, with -D or -x 5]
    #[arg(short = 'V', long, value_name = "VERSION", value_parser = version)]
    #[arg(help_heading = "Connection")]
    protocol_version: Option<ProtocolVersion>,
    /// Seconds between signs of life; 0 for none [default: 60]
    #[arg(short, long, value_name = "SECONDS", help_heading = "Connection")]
    keepalive: Option<u16>,
    /// Keep the session when the connection ends; wants --id
    #[arg(short = 'c', long, help_heading = "Connection")]
    disable_clean_session: bool,
    /// Seconds that the server keeps the session (MQTT 5); -1 is for ever
    #[arg(short = 'x', long, value_name = "SECONDS", value_parser = session_expiry)]
    #[arg(allow_hyphen_values = true, help_heading = "Connection")]
    session_expiry_interval: Option<u32>,
    /// Local address to connect from
    #[arg(
        short = 'A',
        long = "bind",
        value_name = "ADDRESS",
        help_heading = "Connection"
    )]
    bind: Option<String>,
    /// Send small packets at once (TCP_NODELAY)
    #[arg(long, help_heading = "Connection")]
    nodelay: bool,
    /// Most QoS 1 and 2 messages on their way at once [default: 20]
    #[arg(
        short = 'M',
        long = "max-inflight",
        value_name = "COUNT",
        help_heading = "Connection"
    )]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    max_inflight: Option<u16>,
    /// Topic of the message that the server sends if this client vanishes
    #[arg(long, value_name = "TOPIC", help_heading = "Will")]
    will_topic: Option<String>,
    /// Its payload [default: empty]
    #[arg(
        long,
        value_name = "MESSAGE",
        allow_hyphen_values = true,
        help_heading = "Will"
    )]
    will_payload: Option<OsString>,
    /// Its QoS [default: 0]
    #[arg(long, value_name = "0|1|2", value_parser = qos, help_heading = "Will")]
    will_qos: Option<QoS>,
    /// Have the server retain it
    #[arg(long, help_heading = "Will")]
    will_retain: bool,
    /// QoS of messages (pub) or of subscriptions (sub) [default: 0]
    #[arg(short, long, value_name = "0|1|2", value_parser = qos)]
    pub(crate) qos: Option<QoS>,
    /// Property of MQTT 5: a command (connect, publish, subscribe, unsubscribe, disconnect,
    /// auth, will), the property's name with hyphens, its value (two for user-property)
    #[arg(short = 'D', long = "property", num_args = 3..=4, action = ArgAction::Append)]
    #[arg(value_names = ["COMMAND", "PROPERTY", "VALUE"], allow_negative_numbers = true)]
    properties: Vec<String>,
    /// Take options from this file, one each line; those of the command line come first
    #[arg(short = 'o', long = "options", value_name = "FILE")]
    options: Option<PathBuf>,
    /// Tell every packet on standard error
    #[arg(short, long)]
    pub(crate) debug: bool,
    /// Tell no errors
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Accepted: there is no TLS yet
    #[arg(long, hide = true)]
    no_tls: bool,
    #[command(flatten)]
    refused: RefusedArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help, global = false)]
    help: Option<bool>,
}

pub(crate) fn version(text: &str) -> Result<ProtocolVersion, String> {
    match text {
        "5" | "mqttv5" => Ok(ProtocolVersion::V5),
        "311" | "mqttv311" => Ok(ProtocolVersion::V311),
        "31" | "mqttv31" => Ok(ProtocolVersion::V31),
        _ => Err("try mqttv5, mqttv311 or mqttv31".to_owned()),
    }
}

pub(crate) fn qos(text: &str) -> Result<QoS, String> {
    let bits = text.parse().ok();
    bits.and_then(QoS::from_bits)
        .ok_or_else(|| "QoS is 0, 1 or 2".to_owned())
}

fn session_expiry(text: &str) -> Result<u32, String> {
    match text {
        "-1" | "∞" => Ok(u32::MAX),
        _ => text
            .parse()
            .map_err(|_| "seconds from 0 to 4294967295, or -1 for ever".to_owned()),
    }
}

/// Everything that the common options say.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where the server is.
    pub(crate) endpoint: Endpoint,
    /// Who connects.
    pub(crate) connect: ConnectOptions,
    /// How it leaves.
    pub(crate) disconnect: DisconnectOptions,
    /// The topic in the URL after `-L`.
    pub(crate) url_topic: Option<String>,
    /// The properties of everything else.
    pub(crate) properties: Properties,
}

impl ClientArgs {
    /// The file after `-o`.
    pub(crate) fn options_file(&self) -> Option<&PathBuf> {
        self.options.as_ref()
    }

    /// Fills what was not given from `other`.
    pub(crate) fn fill_from(&mut self, other: Self) {
        let Self { properties, .. } = self;
        properties.extend(other.properties);
        self.host = self.host.take().or(other.host);
        self.port = self.port.or(other.port);
        self.url = self.url.take().or(other.url);
        self.username = self.username.take().or(other.username);
        self.password = self.password.take().or(other.password);
        // One of the two is enough; the command line's own comes first.
        if self.id.is_none() && self.id_prefix.is_none() {
            self.id = other.id;
            self.id_prefix = other.id_prefix;
        }
        self.protocol_version = self.protocol_version.or(other.protocol_version);
        self.keepalive = self.keepalive.or(other.keepalive);
        self.disable_clean_session |= other.disable_clean_session;
        self.session_expiry_interval = self
            .session_expiry_interval
            .or(other.session_expiry_interval);
        self.bind = self.bind.take().or(other.bind);
        self.nodelay |= other.nodelay;
        self.max_inflight = self.max_inflight.or(other.max_inflight);
        self.will_topic = self.will_topic.take().or(other.will_topic);
        self.will_payload = self.will_payload.take().or(other.will_payload);
        self.will_qos = self.will_qos.or(other.will_qos);
        self.will_retain |= other.will_retain;
        self.qos = self.qos.or(other.qos);
        self.debug |= other.debug;
        self.quiet |= other.quiet;
        if self.refused.first().is_none() {
            self.refused = other.refused;
        }
    }

    /// Checks the options and puts them together; `command` is `pub` or `sub`.
    pub(crate) fn plan(&self, command: &str) -> Result<Plan, Failure> {
        if let Some(option) = self.refused.first() {
            return Err(Failure::new(format!(
                "Error: {option} is not yet supported: nightjar {command} speaks MQTT over plain \
                 TCP only; use -h and -p, or a client with TLS and WebSocket"
            )));
        }
        let usage = |error: String| Failure::new(format!("Error: {error}"));
        let properties = Properties::parse(&self.properties).map_err(usage)?;
        let url = self
            .url
            .as_deref()
            .map(Url::parse)
            .transpose()
            .map_err(usage)?;
        let url = url.unwrap_or_default();
        let version = self.version()?;
        let mut connect = ConnectOptions {
            version,
            client_id: self.client_id(version)?,
            clean_start: !self.disable_clean_session,
            keep_alive: self.keepalive.unwrap_or(60),
            username: self.username.clone().or(url.username),
            password: self
                .password
                .clone()
                .map(OsString::into_encoded_bytes)
                .or(url.password.map(String::into_bytes)),
            will: self.will(&properties)?,
            session_expiry: self.session_expiry(version),
            limits: ClientLimits {
                inflight: self.max_inflight.unwrap_or(20),
                ..ClientLimits::default()
            },
            trace: self.debug,
            ..ConnectOptions::default()
        };
        if connect.password.is_some()
            && connect.username.is_none()
            && version != ProtocolVersion::V5
        {
            return Err(Failure::new(
                "Error: a password needs a user name (-u) before MQTT 5",
            ));
        }
        properties.apply(&mut connect).map_err(usage)?;
        let host = self
            .host
            .clone()
            .or(url.host)
            .unwrap_or_else(|| "localhost".to_owned());
        let port = self.port.or(url.port).unwrap_or(1883);
        Ok(Plan {
            endpoint: Endpoint {
                bind: self.bind.clone(),
                nodelay: self.nodelay,
                ..Endpoint::new(host, port)
            },
            connect,
            disconnect: DisconnectOptions {
                session_expiry: properties.disconnect_session_expiry,
                user: properties.disconnect_user.clone(),
                ..DisconnectOptions::default()
            },
            url_topic: url.topic,
            properties,
        })
    }

    /// MQTT 5 if something is asked for that only MQTT 5 has.
    fn version(&self) -> Result<ProtocolVersion, Failure> {
        let only_in_5 = if !self.properties.is_empty() {
            Some("-D")
        } else if self.session_expiry_interval.is_some() {
            Some("-x")
        } else {
            None
        };
        match (self.protocol_version, only_in_5) {
            (None, Some(_)) | (Some(ProtocolVersion::V5), _) => Ok(ProtocolVersion::V5),
            (Some(_), Some(option)) => Err(Failure::new(format!(
                "Error: {option} needs MQTT 5: leave out -V, or use -V mqttv5"
            ))),
            (Some(version), None) => Ok(version),
            (None, None) => Ok(ProtocolVersion::V311),
        }
    }

    fn client_id(&self, version: ProtocolVersion) -> Result<String, Failure> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        if let Some(prefix) = &self.id_prefix {
            return Ok(format!("{prefix}{}", std::process::id()));
        }
        if self.disable_clean_session || self.session_expiry_interval == Some(u32::MAX) {
            return Err(Failure::new(
                "Error: a session that outlives the connection needs a client identifier (-i)",
            ));
        }
        Ok(match version {
            // MQTT 3.1 has no empty identifier; this one has 19 of the 23 characters it allows.
            ProtocolVersion::V31 => {
                format!("nj-{:016x}", RandomState::new().build_hasher().finish())
            }
            ProtocolVersion::V311 | ProtocolVersion::V5 => String::new(),
        })
    }

    fn session_expiry(&self, version: ProtocolVersion) -> Option<u32> {
        let for_ever = self.disable_clean_session.then_some(u32::MAX);
        match version {
            ProtocolVersion::V5 => self.session_expiry_interval.or(for_ever),
            ProtocolVersion::V31 | ProtocolVersion::V311 => None,
        }
    }

    fn will(&self, properties: &Properties) -> Result<Option<Will>, Failure> {
        let Some(topic) = &self.will_topic else {
            let lonely = self.will_payload.is_some() || self.will_qos.is_some() || self.will_retain;
            return match lonely {
                true => Err(Failure::new("Error: a will needs a topic (--will-topic)")),
                false => Ok(None),
            };
        };
        check_topic(topic, "will topic")?;
        Ok(Some(Will {
            topic: topic.clone(),
            payload: self
                .will_payload
                .clone()
                .unwrap_or_default()
                .into_encoded_bytes(),
            qos: self.will_qos.unwrap_or(QoS::AtMostOnce),
            retain: self.will_retain,
            delay: properties.will_delay,
            properties: properties.will.clone(),
        }))
    }
}

/// Checks a topic name before anything is connected.
pub(crate) fn check_topic(topic: &str, what: &str) -> Result<(), Failure> {
    match types::TopicName::parse(topic, u16::MAX) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(format!(
            "Error: '{topic}' is not a {what}: {}",
            explain(error)
        ))),
    }
}

/// What is wrong with a topic or a filter, in words.
pub(crate) fn explain(error: types::TopicError) -> &'static str {
    use types::TopicError;
    match error {
        TopicError::Empty => "it is empty",
        TopicError::Wildcard => "+ and # are for subscriptions only",
        TopicError::Nul | TopicError::ControlCharacter => "it has a control character",
        TopicError::TooManyLevels => "it has too many levels",
        TopicError::TooLong => "it has more than 65535 bytes",
    }
}

/// Reads a file of options, one each line with its value after it; `#` begins a comment.
///
/// # Errors
/// The file cannot be read, or its options are not those of the command.
pub(crate) fn read_options<T: Args + FromArgMatches>(path: &PathBuf) -> Result<T, Failure> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("Error: cannot read {name}: {error}")))?;
    let words = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(option_words);
    let matches = T::augment_args(Command::new("options").no_binary_name(true))
        .try_get_matches_from(words)
        .map_err(|error| Failure::new(format!("In {name}: {error}")))?;
    T::from_arg_matches(&matches).map_err(|error| Failure::new(format!("In {name}: {error}")))
}

/// The option and its value, which is the rest of the line; `-D` has several values.
fn option_words(line: &str) -> Vec<String> {
    let (option, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let mut words = vec![option.to_owned()];
    if matches!(option, "-D" | "--property") {
        let mut values = rest.splitn(3, char::is_whitespace);
        words.extend(values.by_ref().take(2).map(str::to_owned));
        let last = values.next().unwrap_or_default();
        let pair = words.last().is_some_and(|name| name == "user-property");
        match (pair, last.split_once(char::is_whitespace)) {
            (true, Some((key, value))) => words.extend([key.to_owned(), value.to_owned()]),
            _ => words.push(last.to_owned()),
        }
    } else if !rest.is_empty() {
        words.push(rest.to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_are_options() {
        for (line, words) in [
            ("-v", vec!["-v"]),
            ("-t a b", vec!["-t", "a b"]),
            ("--host   h", vec!["--host", "h"]),
            (
                "-D connect receive-maximum 4",
                vec!["-D", "connect", "receive-maximum", "4"],
            ),
            (
                "-D publish user-property k v w",
                vec!["-D", "publish", "user-property", "k", "v w"],
            ),
            (
                "-D publish content-type a b",
                vec!["-D", "publish", "content-type", "a b"],
            ),
        ] {
            assert_eq!(option_words(line), words, "{line}");
        }
    }

    #[test]
    fn what_only_mqtt_5_has_chooses_it() {
        let mut args = ClientArgs::default();
        let version = |args: &ClientArgs| args.plan("pub").map(|plan| plan.connect.version);
        assert_eq!(version(&args), Ok(ProtocolVersion::V311));
        args.session_expiry_interval = Some(5);
        assert_eq!(version(&args), Ok(ProtocolVersion::V5));
        args.protocol_version = Some(ProtocolVersion::V311);
        assert!(version(&args).is_err_and(|failure| failure.message.contains("-x")));
    }

    #[test]
    fn a_session_that_lasts_needs_an_identifier() {
        let mut args = ClientArgs {
            disable_clean_session: true,
            ..ClientArgs::default()
        };
        assert!(
            args.plan("sub")
                .is_err_and(|failure| failure.message.contains("-i"))
        );
        args.id = Some("me".to_owned());
        args.protocol_version = Some(ProtocolVersion::V5);
        let connect = args.plan("sub").unwrap().connect;
        assert!(!connect.clean_start);
        assert_eq!(connect.session_expiry, Some(u32::MAX));
        args.session_expiry_interval = Some(9);
        assert_eq!(args.plan("sub").unwrap().connect.session_expiry, Some(9));
    }

    #[test]
    fn wills_need_a_topic_of_their_own() {
        let mut args = ClientArgs {
            will_retain: true,
            ..ClientArgs::default()
        };
        assert!(args.plan("pub").is_err());
        args.will_topic = Some("a/#".to_owned());
        assert!(args.plan("pub").is_err());
        args.will_topic = Some("a".to_owned());
        let will = args.plan("pub").unwrap().connect.will.unwrap();
        assert!(will.retain);
    }
}
