//! Options of the server as a whole.

use std::time::Duration;

use config::{ConfigError, LogLevel, Place};

use super::{Gathered, Taken};
use crate::Weight;
use crate::read::Line;

/// What is said of the server. `None`: nothing.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) is_per_listener: bool,
    pub(crate) checks_retain_source: Option<bool>,
    pub(crate) sessions: Option<u64>,
    pub(crate) connections: Option<u64>,
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) inflight: Option<u64>,
    pub(crate) keep_alive: Option<u64>,
    pub(crate) packet_size: Option<u64>,
    pub(crate) message_size: Option<u64>,
    pub(crate) queued_bytes: Option<u64>,
    pub(crate) queued_messages: Option<u64>,
    pub(crate) memory: Option<u64>,
    pub(crate) is_persistent: Option<bool>,
    pub(crate) location: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) pid_file: Option<String>,
    pub(crate) expiry: Option<Duration>,
    pub(crate) queues_qos0: bool,
    pub(crate) has_no_retained: bool,
    pub(crate) sys_interval: Option<u64>,
    pub(crate) aliases_in: Option<u64>,
    pub(crate) aliases_out: Option<u64>,
    /// Where keys of the configuration are said.
    pub(crate) places: Vec<(&'static str, Place)>,
}

impl Gathered {
    pub(super) fn take_server(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let taken = self.take_limit(line)?;
        if taken != Taken::No {
            return Ok(taken);
        }
        let server = &mut self.server;
        let key = match &*line.name {
            "check_retain_source" => {
                server.checks_retain_source = Some(line.flag()?);
                "access.check_retain_source"
            }
            "log_type" => {
                let level = log_level(line)?;
                server.log_level = server.log_level.max(Some(level));
                "log.level"
            }
            "persistence" | "retained_persistence" => {
                server.is_persistent = Some(line.flag()?);
                "store.durability"
            }
            "persistence_location" => {
                server.location = Some(line.text()?.to_owned());
                "data_dir"
            }
            "pid_file" => {
                server.pid_file = Some(line.text()?.to_owned());
                "pid_file"
            }
            "sys_interval" => {
                server.sys_interval = Some(line.within(0, 65_535)?);
                "sys_interval"
            }
            "per_listener_settings" => {
                // Once it is said, it cannot be taken back.
                server.is_per_listener |= line.flag()?;
                let is_late = self.security.is_said() || !self.plugins.is_empty();
                if server.is_per_listener && is_late {
                    return Err(line.wrong("must stand before all options of security"));
                }
                return Ok(Taken::Yes);
            }
            "port" | "bind_address" => return self.take_port(line),
            "plugin_load" | "global_plugin" => return self.take_plugin(line),
            "user" => {
                server.user = Some(line.text()?.to_owned());
                "user"
            }
            _ => return told(line),
        };
        server.places.push((key, line.place.clone()));
        Ok(Taken::Yes)
    }

    fn take_limit(&mut self, line: &Line) -> Result<Taken, ConfigError> {
        let server = &mut self.server;
        let key = match &*line.name {
            "global_max_clients" => {
                server.sessions = positive(line)?;
                "limits.sessions"
            }
            "global_max_connections" => {
                server.connections = positive(line)?;
                "limits.connections"
            }
            "max_inflight_messages" => {
                server.inflight = Some(line.count()?);
                "limits.inflight"
            }
            "max_keepalive" => {
                server.keep_alive = Some(line.within(0, 65_535)?);
                "limits.keep_alive"
            }
            "max_packet_size" => {
                server.packet_size = Some(line.within(20, i32::MAX.unsigned_abs().into())?);
                "limits.packet_size"
            }
            "message_size_limit" => {
                let limit = line.within(0, MOST_PAYLOAD)?;
                server.message_size = Some(limit).filter(|limit| *limit > 0);
                server
                    .places
                    .push(("limits.packet_size", line.place.clone()));
                return Ok(Taken::Told(weight(limit > 0)));
            }
            "max_queued_bytes" => {
                server.queued_bytes = Some(line.count()?);
                "limits.queued_bytes"
            }
            "max_queued_messages" => {
                server.queued_messages = Some(line.count()?);
                "limits.queued_messages"
            }
            "memory_limit" => {
                server.memory = Some(line.count()?);
                "limits.memory"
            }
            "persistent_client_expiration" => {
                server.expiry = Some(line.span()?);
                let key = "limits.v3_session_expiry";
                server.places.push((key, line.place.clone()));
                "limits.session_expiry"
            }
            "queue_qos0_messages" => {
                server.queues_qos0 = line.flag()?;
                "limits.queue_qos0"
            }
            "retain_available" => {
                server.has_no_retained = !line.flag()?;
                return Ok(Taken::Told(weight(server.has_no_retained)));
            }
            _ => return Ok(Taken::No),
        };
        server.places.push((key, line.place.clone()));
        Ok(Taken::Yes)
    }
}

/// Options of the server that are not honoured: how much that matters.
fn told(line: &Line) -> Result<Taken, ConfigError> {
    Ok(Taken::Told(match &*line.name {
        // Each with the value that means nothing to anybody.
        "upgrade_outgoing_qos" | "enable_control_api" => weight(line.flag()?),
        "connection_messages" => weight(!line.flag()?),
        "log_dest" => weight(!matches!(line.word()?, "stderr" | "stdout" | "none")),
        "max_inflight_bytes" => weight(line.count()? > 0),
        "clientid_prefixes" => return Ok(Taken::No),
        _ => Weight::Same,
    }))
}

fn weight(differs: bool) -> Weight {
    match differs {
        true => Weight::Differs,
        false => Weight::Same,
    }
}

/// A bound, or `None` for none.
fn positive(line: &Line) -> Result<Option<u64>, ConfigError> {
    Ok(Some(line.count()?).filter(|count| *count > 0))
}

/// The least grave that is logged with this.
fn log_level(line: &Line) -> Result<LogLevel, ConfigError> {
    Ok(match line.word()? {
        "all" | "debug" | "subscribe" | "unsubscribe" | "internal" | "websockets" => {
            LogLevel::Debug
        }
        "information" | "notice" => LogLevel::Info,
        "warning" => LogLevel::Warn,
        "error" | "none" => LogLevel::Error,
        other => {
            let shown = crate::value::shown(other);
            return Err(line.wrong(format!("{shown} is no type of lines of the log")));
        }
    })
}

/// As MQTT frames it.
pub(crate) const MOST_PAYLOAD: u64 = 268_435_455;
