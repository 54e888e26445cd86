//! Options of a bridge.

use std::time::Duration;

use config::{Bridge as Wanted, BridgeStart, BridgeVersion, ConfigError, Notifications};
use config::{BridgeTopic, Secret, TlsVersion, bridge_address};

use super::{Bridge, Gathered, Taken};
use crate::Weight;
use crate::read::Line;

impl Bridge {
    /// A bridge of which nothing is said yet, with Mosquitto's defaults.
    fn new(line: &Line) -> Result<Self, ConfigError> {
        let wanted = Wanted {
            name: line.word()?.to_owned(),
            version: BridgeVersion::V311,
            prefer_first: true,
            notifications: Notifications::Both,
            restart_first: Duration::from_secs(5),
            restart_longest: Duration::from_secs(30),
            ..Wanted::default()
        };
        Ok(Self {
            wanted,
            place: line.place.clone(),
            notifies: true,
            only_local: false,
            local_clean_start: None,
        })
    }
}

impl Gathered {
    pub(super) fn take_bridge(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        if line.name == "connection" {
            self.bridges.push(Bridge::new(line)?);
        }
        let bridge = line.bridge.and_then(|at| self.bridges.get_mut(at));
        let Some(bridge) = bridge else {
            return Err(line.wrong("there is no connection above it"));
        };
        let wanted = &mut bridge.wanted;
        match &*line.name {
            "connection" => {}
            "address" | "addresses" => {
                for address in line.text()?.split_ascii_whitespace() {
                    if bridge_address(address, 1883).is_none() {
                        return Err(line.wrong(format!("{address:?} is no address")));
                    }
                    wanted.addresses.push(address.to_owned());
                }
            }
            "topic" => {
                let text = line.text()?;
                let parsed = BridgeTopic::parse(text);
                parsed.map_err(|what| line.wrong(format!("{text:?} {what}")))?;
                wanted.topics.push(text.to_owned());
            }
            "cleansession" => wanted.clean_start = line.flag()?,
            "local_cleansession" => bridge.local_clean_start = Some(line.flag()?),
            "notifications" => bridge.notifies = line.flag()?,
            "notifications_local_only" => bridge.only_local = line.flag()?,
            "notification_topic" => wanted.notification_topic = Some(line.text()?.to_owned()),
            "clientid" | "remote_clientid" => wanted.client_id = Some(line.text()?.to_owned()),
            "local_clientid" => wanted.local_client_id = Some(line.text()?.to_owned()),
            "local_username" => wanted.user = Some(line.text()?.to_owned()),
            "username" | "remote_username" => wanted.username = Some(line.text()?.to_owned()),
            "password" | "remote_password" => {
                wanted.password = Some(Secret::new(line.text()?));
            }
            "keepalive_interval" => {
                let seconds = line.within(5, 65_535)?;
                wanted.keep_alive = u16::try_from(seconds).unwrap_or(u16::MAX);
            }
            "round_robin" => wanted.prefer_first = !line.flag()?,
            "try_private" => wanted.bridge_bit = line.flag()?,
            "start_type" | "idle_timeout" | "threshold" | "restart_timeout" => {
                return take_start(wanted, line);
            }
            "bridge_outgoing_retain" => wanted.retain = line.flag()?,
            "bridge_max_packet_size" => {
                let size = line.count()?;
                if size > 0 {
                    wanted.packet_size = u32::try_from(size).unwrap_or(u32::MAX);
                }
            }
            "bridge_session_expiry_interval" => {
                wanted.session_expiry = Duration::from_secs(line.count()?.min(u32::MAX.into()));
            }
            "bridge_protocol_version" => {
                wanted.version = match line.word()? {
                    "mqttv31" => BridgeVersion::V31,
                    "mqttv311" => BridgeVersion::V311,
                    "mqttv50" => BridgeVersion::V5,
                    _ => return Err(line.wrong("write mqttv31, mqttv311 or mqttv50")),
                };
            }
            _ => return take_tls(wanted, line),
        }
        Ok(Taken::Yes)
    }
}

fn take_start(wanted: &mut Wanted, line: &Line) -> Result<Taken, ConfigError> {
    match &*line.name {
        "start_type" => {
            wanted.start = match line.word()? {
                "automatic" => BridgeStart::Automatic,
                "once" => BridgeStart::Once,
                "lazy" => BridgeStart::Lazy,
                _ => return Err(line.wrong("write automatic, lazy or once")),
            };
        }
        "idle_timeout" => wanted.idle_timeout = Duration::from_secs(line.count()?.max(1)),
        "threshold" => {
            wanted.threshold = u32::try_from(line.count()?.max(1)).unwrap_or(u32::MAX);
        }
        _ => {
            let mut words = line.text()?.split_ascii_whitespace();
            let mut next = || {
                let word = words.next()?;
                let seconds = word.parse::<u32>().ok().filter(|it| *it > 0);
                Some(seconds.ok_or_else(|| line.wrong("write one or two numbers of seconds")))
            };
            let first = next().transpose()?.unwrap_or(1);
            let longest = next().transpose()?.unwrap_or(first);
            if longest < first {
                return Err(line.wrong("the second number is smaller than the first"));
            }
            wanted.restart_first = Duration::from_secs(first.into());
            wanted.restart_longest = Duration::from_secs(longest.into());
        }
    }
    Ok(Taken::Yes)
}

fn take_tls(wanted: &mut Wanted, line: &Line) -> Result<Taken, ConfigError> {
    match &*line.name {
        "bridge_cafile" | "bridge_capath" => {
            wanted.tls = true;
            wanted.ca.push(line.text()?.into());
        }
        "bridge_certfile" => wanted.certificate = Some(line.text()?.into()),
        "bridge_keyfile" => wanted.key = Some(line.text()?.into()),
        "bridge_insecure" => wanted.any_server_name = line.flag()?,
        "bridge_alpn" => wanted.alpn = Some(line.text()?.to_owned()),
        "bridge_tls_version" => {
            wanted.tls_minimum = match line.word()? {
                "tlsv1.2" => TlsVersion::V1_2,
                "tlsv1.3" => TlsVersion::V1_3,
                _ => return Err(line.wrong("only tlsv1.2 and tlsv1.3 are spoken here")),
            };
        }
        "bridge_tls_use_os_certs" => {
            if line.flag()? {
                wanted.tls = true;
                return Ok(Taken::Told(Weight::Differs));
            }
        }
        "bridge_psk" | "bridge_identity" => return Ok(Taken::No),
        "bridge_require_ocsp" => {
            return match line.flag()? {
                true => Ok(Taken::No),
                false => Ok(Taken::Yes),
            };
        }
        "bridge_bind_address" => return Ok(Taken::Told(Weight::Differs)),
        "bridge_ciphers" | "bridge_ciphers_tls1.3" => return Ok(Taken::Told(Weight::Differs)),
        _ => return Ok(Taken::Told(Weight::Same)),
    }
    Ok(Taken::Yes)
}
