//! What the lines say, put together: the server's, and listener by listener.

mod bridge;
mod listener;
mod plugins;
mod server;

use std::collections::BTreeSet;

use config::{ConfigError, Place, TlsVersion, UserFrom};

use crate::options::{Becomes, Scope};
use crate::read::{Line, Read};
use crate::{Note, Weight};
use plugins::Plugin;
pub(crate) use server::Server;

/// All that the files say.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) server: Server,
    /// Who may do what, unless listeners have their own.
    pub(crate) security: Security,
    /// The first is that on port 1883, which is there only if something is said of it.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) bridges: Vec<Bridge>,
    pub(crate) plugins: Vec<Plugin>,
    pub(crate) notes: Vec<Note>,
    pub(crate) errors: Vec<ConfigError>,
    /// Texts that were said, each with what it was said of.
    said: BTreeSet<(&'static str, Option<usize>)>,
}

/// Who may come in, and what he may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    pub(crate) anonymous: Option<(bool, Place)>,
    pub(crate) password_file: Option<(String, Place)>,
    pub(crate) acl_file: Option<(String, Place)>,
    /// The plugin `dynamic_security` has the users.
    pub(crate) is_dynamic: Option<Place>,
}

/// A listener.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Where it begins; `None` for the one on port 1883 that nobody spoke of.
    pub(crate) place: Option<Place>,
    /// Something was said of it, though not that it is there.
    pub(crate) hinted: Option<Place>,
    pub(crate) port: u16,
    pub(crate) host: Option<String>,
    /// The path of a Unix socket.
    pub(crate) socket: Option<String>,
    pub(crate) protocol: Protocol,
    pub(crate) family: Option<Family>,
    pub(crate) certificate: Option<(String, Place)>,
    pub(crate) key: Option<(String, Place)>,
    pub(crate) authorities: Option<(String, Place)>,
    pub(crate) authorities_folder: Option<Place>,
    pub(crate) revoked: Option<(String, Place)>,
    pub(crate) requires_certificate: bool,
    pub(crate) user_from: Option<UserFrom>,
    pub(crate) tls_minimum: TlsVersion,
    pub(crate) mount: Option<(String, Place)>,
    pub(crate) connections: Option<u32>,
    pub(crate) has_proxy: bool,
    pub(crate) origins: Vec<String>,
    pub(crate) security: Security,
    /// Where keys of `[[listener]]` are said.
    pub(crate) places: Vec<(&'static str, Place)>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Mqtt,
    WebSocket,
    /// Mosquitto's own HTTP API.
    Http,
}

/// The only family of addresses of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A bridge.
#[derive(Debug)]
pub(crate) struct Bridge {
    /// As far as the options say it; files as they are written.
    pub(crate) wanted: config::Bridge,
    pub(crate) place: Place,
    pub(crate) notifies: bool,
    pub(crate) only_local: bool,
    pub(crate) local_clean_start: Option<bool>,
}

/// Puts the lines together. What is wrong is in `errors`.
pub(crate) fn gather(read: &Read) -> Gathered {
    let mut all = Gathered::default();
    all.listeners.resize_with(read.listeners, Listener::default);
    for line in &read.lines {
        if let Err(error) = all.take(line) {
            all.errors.push(error);
        }
    }
    all.settle_plugins();
    all
}

impl Gathered {
    fn take(&mut self, line: &Line) -> Result<(), ConfigError> {
        self.once(line)?;
        let taken = match line.option.scope {
            Scope::Server => self.take_server(line)?,
            Scope::Listener => self.take_listener(line)?,
            Scope::Security => self.take_security(line)?,
            Scope::Bridge => self.take_bridge(line)?,
        };
        match (taken, line.option.becomes) {
            (Taken::Yes, _) => Ok(()),
            (Taken::Told(weight), Becomes::Noted(what)) => {
                self.note(line, weight, what);
                Ok(())
            }
            (Taken::No, Becomes::Refused(why)) => Err(line.wrong(why)),
            // The table and the code disagree: nothing is passed over.
            (Taken::Told(_) | Taken::No, _) => Err(line.wrong("cannot be honoured")),
        }
    }

    /// Refuses a text that is empty or said twice of one thing, as Mosquitto does.
    fn once(&mut self, line: &Line) -> Result<(), ConfigError> {
        let found = ONCE.iter().find(|names| names.contains(&&*line.name));
        let Some(name) = found.and_then(|names| names.first()) else {
            return Ok(());
        };
        line.text()?;
        let of = match line.option.scope {
            Scope::Server => None,
            Scope::Security if !self.server.is_per_listener => None,
            Scope::Listener | Scope::Security => Some(line.listener),
            Scope::Bridge => line.bridge,
        };
        match self.said.insert((name, of)) {
            true => Ok(()),
            false => Err(line.wrong("is said twice, and only one could hold; leave one of them")),
        }
    }

    /// Notes something about a line.
    pub(crate) fn note(&mut self, line: &Line, weight: Weight, what: &str) {
        self.notes.push(Note {
            place: Some(line.place.clone()),
            weight,
            text: format!("{}: {what}", line.name),
        });
    }

    /// The security that a line is about.
    fn security(&mut self, line: &Line) -> Result<&mut Security, ConfigError> {
        if !self.server.is_per_listener {
            return Ok(&mut self.security);
        }
        Ok(&mut self.listener(line)?.security)
    }

    /// The listener that a line is about. Before any, that is the one on port 1883.
    fn listener(&mut self, line: &Line) -> Result<&mut Listener, ConfigError> {
        if line.is_astray && !matches!(&*line.name, "port" | "bind_address") {
            return Err(line.wrong(
                "stands below `port` or `bind_address`, and these below a `listener`: Mosquitto 2.0 \
                 takes it for that listener, 2.1 for the one on port 1883; put it below the \
                 listener that it is about",
            ));
        }
        let listener = self.listeners.get_mut(line.listener);
        let listener = listener.ok_or_else(|| line.wrong("there is no listener above it"))?;
        if listener.place.is_none() && !is_usual(line) {
            listener.hinted.get_or_insert(line.place.clone());
        }
        Ok(listener)
    }

    fn take_security(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let place = line.place.clone();
        match &*line.name {
            "allow_anonymous" => {
                let flag = line.flag()?;
                self.security(line)?.anonymous = Some((flag, place));
            }
            "password_file" => {
                let file = line.text()?.to_owned();
                self.security(line)?.password_file = Some((file, place));
            }
            "acl_file" => {
                let file = line.text()?.to_owned();
                self.security(line)?.acl_file = Some((file, place));
            }
            "allow_zero_length_clientid" => {
                return Ok(match line.flag()? {
                    true => Taken::Yes,
                    false => Taken::No,
                });
            }
            "auto_id_prefix" => return Ok(Taken::Told(Weight::Differs)),
            "psk_file" => return Ok(Taken::No),
            _ => return self.take_plugin(line),
        }
        Ok(Taken::Yes)
    }
}

/// Options whose value is a text, and which Mosquitto refuses the second time. Each with its other
/// names.
const ONCE: &[&[&str]] = &[
    &["acl_file"],
    &["auto_id_prefix"],
    &["bridge_alpn"],
    &["bridge_bind_address"],
    &["bridge_cafile"],
    &["bridge_capath"],
    &["bridge_certfile"],
    &["bridge_ciphers"],
    &["bridge_ciphers_tls1.3"],
    &["bridge_keyfile"],
    &["bridge_tls_version"],
    &["cafile"],
    &["capath"],
    &["certfile"],
    &["ciphers"],
    &["ciphers_tls1.3"],
    &["crlfile"],
    &["dhparamfile"],
    &["http_dir"],
    &["keyfile"],
    &["listener_auto_id_prefix"],
    &["local_clientid"],
    &["local_password"],
    &["local_username"],
    &["mount_point"],
    &["notification_topic"],
    &["password_file"],
    &["persistence_file"],
    &["persistence_location"],
    &["pid_file"],
    &["remote_clientid", "clientid"],
    &["remote_password", "password"],
    &["remote_username", "username"],
    &["tls_keyform"],
    &["tls_version"],
];

/// Whether it says what holds anyway.
fn is_usual(line: &Line) -> bool {
    let value = &*line.value;
    match &*line.name {
        "protocol" => value == "mqtt",
        "max_qos" | "maximum_qos" => value == "2",
        "max_connections" => value.starts_with('-'),
        "tls_keyform" => value == "pem",
        _ => matches!(value, "false" | "0"),
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// It is honoured.
    Yes,
    /// It is not; whoever reads the notes learns what it means here.
    Told(Weight),
    /// It cannot be, and must.
    No,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            place: None,
            hinted: None,
            port: 1883,
            host: None,
            socket: None,
            protocol: Protocol::Mqtt,
            family: None,
            certificate: None,
            key: None,
            authorities: None,
            authorities_folder: None,
            revoked: None,
            requires_certificate: false,
            user_from: None,
            tls_minimum: TlsVersion::V1_2,
            mount: None,
            connections: None,
            has_proxy: false,
            origins: Vec::new(),
            security: Security::default(),
            places: Vec::new(),
        }
    }
}
