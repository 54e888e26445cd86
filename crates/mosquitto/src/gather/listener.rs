//! Options of listeners.

use config::{ConfigError, Place, TlsVersion, UserFrom};

use super::{Family, Gathered, Listener, Protocol, Security, Taken};
use crate::Weight;
use crate::read::Line;
use crate::value::shown;

impl Security {
    /// Whether something is said.
    pub(super) fn is_said(&self) -> bool {
        self.anonymous.is_some() || self.password_file.is_some() || self.acl_file.is_some()
    }
}

impl Gathered {
    pub(super) fn take_listener(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        match &*line.name {
            "listener" => self.begin(line),
            "cafile"
            | "capath"
            | "certfile"
            | "keyfile"
            | "crlfile"
            | "tls_version"
            | "require_certificate"
            | "use_identity_as_username"
            | "use_subject_as_username"
            | "tls_keyform" => self.take_tls(line),
            "max_topic_alias" => {
                let most = Some(line.within(0, 65_535)?);
                self.server.aliases_in = self.server.aliases_in.max(most);
                Ok(Taken::Told(Weight::Same))
            }
            "max_topic_alias_broker" => {
                let most = Some(line.within(0, 65_535)?);
                self.server.aliases_out = self.server.aliases_out.max(most);
                Ok(Taken::Told(Weight::Same))
            }
            "plugin_use" => self.take_plugin(line),
            _ => self.take_door(line),
        }
    }

    /// `port` and `bind_address`: the listener without a line of its own.
    pub(super) fn take_port(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let listener = self.listener(line)?;
        match &*line.name {
            "port" => listener.port = port(line, 1)?,
            _ => listener.host = Some(line.text()?.to_owned()),
        }
        listener.place = Some(line.place.clone());
        Ok(Taken::Yes)
    }

    fn begin(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let port = port(line, 0)?;
        let listener = self.listener(line)?;
        listener.place = Some(line.place.clone());
        listener.places.push(("address", line.place.clone()));
        listener.port = port;
        // Of the rest the next word, unless it begins a comment; a path may have spaces.
        let rest = line
            .value
            .split_once(' ')
            .map_or("", |(_, rest)| rest)
            .trim();
        let word = rest.split(' ').next().unwrap_or_default();
        let word = Some(word).filter(|word| !word.is_empty() && !word.starts_with('#'));
        match (port, word) {
            (0, None) => return Err(line.wrong("port 0 is for the path of a Unix socket")),
            (0, Some(_)) => listener.socket = Some(rest.to_owned()),
            (_, word) => listener.host = word.map(str::to_owned),
        }
        Ok(Taken::Yes)
    }

    fn take_tls(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let place = line.place.clone();
        let listener = self.listener(line)?;
        let file = |line: &Line| Ok(Some((line.text()?.to_owned(), line.place.clone())));
        match &*line.name {
            "cafile" => listener.authorities = file(line)?,
            "capath" => {
                line.text()?;
                listener.authorities_folder = Some(place);
            }
            "certfile" => listener.certificate = file(line)?,
            "keyfile" => listener.key = file(line)?,
            "crlfile" => listener.revoked = file(line)?,
            "require_certificate" => listener.requires_certificate = line.flag()?,
            "use_identity_as_username" => {
                listener.name_by(UserFrom::CommonName, line.flag()?, &place);
            }
            "use_subject_as_username" => {
                listener.name_by(UserFrom::Subject, line.flag()?, &place);
            }
            "tls_keyform" if line.text()? == "pem" => {}
            "tls_keyform" => return Ok(Taken::No),
            "tls_version" => {
                let (minimum, is_old) = match line.text()? {
                    "tlsv1.3" => (TlsVersion::V1_3, false),
                    "tlsv1.2" => (TlsVersion::V1_2, false),
                    "tlsv1.1" | "tlsv1" => (TlsVersion::V1_2, true),
                    other => {
                        let shown = shown(other);
                        return Err(line.wrong(format!("{shown} is no version of TLS")));
                    }
                };
                listener.tls_minimum = minimum;
                listener.places.push(("tls_minimum", place));
                if is_old {
                    let what = "TLS 1.0 and 1.1 are never spoken; clients need 1.2";
                    self.note(line, Weight::Differs, what);
                }
            }
            _ => return Ok(Taken::No),
        }
        Ok(Taken::Yes)
    }

    fn take_door(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let place = line.place.clone();
        let listener = self.listener(line)?;
        match &*line.name {
            "protocol" => {
                listener.protocol = match line.word()? {
                    "mqtt" => Protocol::Mqtt,
                    "websockets" => Protocol::WebSocket,
                    "http_api" => Protocol::Http,
                    other => {
                        let shown = shown(other);
                        return Err(line.wrong(format!("{shown} is no protocol")));
                    }
                };
                listener.places.push(("protocol", place));
            }
            "max_connections" => {
                let most = u32::try_from(line.number()?).ok();
                listener.connections = most.filter(|most| *most > 0);
                listener.places.push(("connections", place));
            }
            "mount_point" => listener.mount = Some((line.text()?.to_owned(), place)),
            "socket_domain" => {
                listener.family = match line.word()? {
                    "ipv4" => Some(Family::V4),
                    "ipv6" => Some(Family::V6),
                    _ => return Err(line.wrong("there are ipv4 and ipv6")),
                }
            }
            "websockets_origin" => {
                listener.origins.push(line.text()?.to_owned());
                listener.places.push(("origins", place));
            }
            "enable_proxy_protocol" => {
                line.within(1, 2)?;
                listener.has_proxy = true;
                listener.places.push(("proxy", place));
                let what = "whoever reaches this listener can say where it comes from; name your \
                            proxies in listener.proxy";
                self.note(line, Weight::Same, what);
            }
            "listener_allow_anonymous" => {
                listener.security.anonymous = Some((line.flag()?, place));
            }
            "accept_protocol_versions" => return versions(line),
            "proxy_protocol_v2_require_tls" | "use_username_as_clientid" => {
                return Ok(match line.flag()? {
                    true => Taken::No,
                    false => Taken::Yes,
                });
            }
            _ => return told(line),
        }
        Ok(Taken::Yes)
    }
}

impl Listener {
    fn name_by(&mut self, from: UserFrom, is_wanted: bool, place: &Place) {
        if is_wanted {
            self.user_from = Some(from);
            self.places.push(("client_certificate", place.clone()));
        } else if self.user_from == Some(from) {
            self.user_from = None;
        }
    }
}

/// Options of a listener that are not honoured: how much that matters.
fn told(line: &Line) -> Result<Taken, ConfigError> {
    Ok(match &*line.name {
        "max_qos" | "maximum_qos" if line.within(0, 2)? == 2 => Taken::Told(Weight::Same),
        "disable_client_cert_date_checks" if !line.flag()? => Taken::Told(Weight::Same),
        "dhparamfile" => Taken::Told(Weight::Same),
        "max_qos"
        | "maximum_qos"
        | "disable_client_cert_date_checks"
        | "ciphers"
        | "ciphers_tls1.3"
        | "http_dir"
        | "listener_auto_id_prefix" => Taken::Told(Weight::Differs),
        // Engines, pre-shared keys, interfaces.
        _ => Taken::No,
    })
}

/// Honoured if all versions may come.
fn versions(line: &Line) -> Result<Taken, ConfigError> {
    let words: Vec<&str> = line.text()?.split([',', ' ']).collect();
    let all = ["3", "4", "5"]
        .iter()
        .all(|version| words.contains(version));
    Ok(match all {
        true => Taken::Yes,
        false => Taken::No,
    })
}

fn port(line: &Line, least: u64) -> Result<u16, ConfigError> {
    let port = line.within(least, 65_535)?;
    u16::try_from(port).map_err(|_| line.wrong("this is no port"))
}
