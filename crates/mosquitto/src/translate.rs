//! What the lines are here.
//!
//! | module | owns |
//! |---|---|
//! | `doors` | listeners and certificates |
//! | `access` | who may come in, and what he may do |

mod access;
mod doors;

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{
    Anonymous, Config, ConfigError, ConfigErrors, Granted, LogLevel, Notifications, Place, Places,
};
use types::Durability;
use types::limits::QueuePolicy;

use crate::gather::{Bridge, Gathered, Server, gather};
use crate::read::Read;
use crate::{Machine, Note, Options, Translation, Weight};

/// Says what files of Mosquitto are here, with the defaults of Mosquitto.
///
/// # Errors
/// All that cannot be honoured and must be, and all values that Mosquitto would not take.
pub fn translate(
    read: &Read,
    options: &Options,
    machine: &Machine<'_>,
) -> Result<Translation, ConfigErrors> {
    let mut gathered = gather(read);
    let mut work = Work {
        config: Config {
            listeners: Vec::new(),
            ..Config::default()
        },
        places: Places::default(),
        notes: std::mem::take(&mut gathered.notes),
        errors: std::mem::take(&mut gathered.errors),
        machine,
    };
    work.server(&gathered.server, options);
    let doors = work.doors(&gathered, options);
    work.access(&doors, &gathered.server);
    for bridge in &gathered.bridges {
        work.bridge(bridge);
    }
    work.defaults(&gathered);
    match ConfigErrors::of(work.errors) {
        Some(errors) => Err(errors),
        None => {
            // What stands nowhere comes last.
            work.notes.sort_by_cached_key(|note| {
                let place = note.place.clone();
                (place.is_none(), place)
            });
            Ok(Translation {
                config: work.config,
                places: work.places,
                notes: work.notes,
                is_local_only: gathered.listeners.iter().all(|one| one.place.is_none()),
            })
        }
    }
}

/// A translation on its way.
struct Work<'m> {
    config: Config,
    places: Places,
    notes: Vec<Note>,
    errors: Vec<ConfigError>,
    machine: &'m Machine<'m>,
}

impl Work<'_> {
    fn note(&mut self, place: Option<&Place>, weight: Weight, text: impl Into<String>) {
        let note = Note {
            place: place.cloned(),
            weight,
            text: text.into(),
        };
        // A listener with two addresses is made twice.
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn wrong(&mut self, place: &Place, message: impl Into<String>) {
        self.errors.push(ConfigError {
            place: place.clone(),
            message: message.into(),
        });
    }

    /// What is said of the server as a whole.
    fn server(&mut self, said: &Server, options: &Options) {
        self.limits(said);
        self.sizes(said);
        let user = self.user(said.user.as_deref());
        let config = &mut self.config;
        config.allow_anonymous = Anonymous::Refused;
        config.access.granted = Granted::Any;
        if let Some(checks) = said.checks_retain_source {
            config.access.check_retain_source = checks;
        }
        if let Some(seconds) = said.sys_interval {
            config.sys_interval = Duration::from_secs(seconds);
        }
        config.log.level = said.log_level.unwrap_or(LogLevel::Info);
        if options.verbose {
            config.log.level = LogLevel::Debug;
        }
        config.store.durability = match said.is_persistent {
            Some(true) => Durability::Os,
            Some(false) | None => Durability::Memory,
        };
        let location = said
            .location
            .as_deref()
            .filter(|_| said.is_persistent == Some(true));
        config.user = user;
        config.data_dir = match (location, &config.user) {
            (Some(folder), _) => Some(self.machine.absolute(folder).join("nightjar")),
            (None, Some(_)) => self.machine.system_folder.map(Path::to_owned),
            (None, None) => None,
        };
        let pid_file = said.pid_file.as_deref();
        config.pid_file = pid_file.map(|file| self.machine.absolute(file));
        for (key, place) in &said.places {
            self.places.note(key, place.clone());
        }
    }

    fn limits(&mut self, said: &Server) {
        let limits = &mut self.config.limits;
        limits.inflight = match said.inflight.unwrap_or(20) {
            0 => u16::MAX,
            count => u16::try_from(count).unwrap_or(u16::MAX),
        };
        limits.queued_messages = match said.queued_messages.unwrap_or(1000) {
            0 => u32::MAX,
            count => u32::try_from(count).unwrap_or(u32::MAX),
        };
        limits.queued_bytes = match said.queued_bytes.unwrap_or_default() {
            0 => MOST_QUEUED,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        };
        limits.queue_policy = QueuePolicy::DropNewest;
        limits.queue_qos0 = said.queues_qos0;
        limits.keep_alive = match said.keep_alive.unwrap_or(u16::MAX.into()) {
            // As much as a client can ask for.
            65_535 => 0,
            seconds => u16::try_from(seconds).unwrap_or_default(),
        };
        limits.session_expiry = said.expiry.map_or(NEVER, |span| span.min(NEVER));
        limits.v3_session_expiry = limits.session_expiry;
        limits.topic_levels = 200;
        limits.failed_logins = 0;
        if let Some(sessions) = said.sessions {
            limits.sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
        }
        if let Some(connections) = said.connections {
            limits.connections = usize::try_from(connections).unwrap_or(usize::MAX);
        }
        if let Some(bytes) = said.memory {
            limits.memory = usize::try_from(bytes).unwrap_or(usize::MAX);
        }
        if let Some(most) = said.aliases_in {
            limits.topic_alias_maximum = u16::try_from(most).unwrap_or(u16::MAX);
        }
        if let Some(most) = said.aliases_out {
            limits.topic_alias_out = u16::try_from(most).unwrap_or(u16::MAX);
        }
    }

    fn sizes(&mut self, said: &Server) {
        if let Some(bytes) = said.packet_size.filter(|bytes| *bytes < LEAST_PACKET) {
            let place = said.places.iter().rev();
            let place = place
                .filter(|(key, _)| *key == "limits.packet_size")
                .map(|(_, place)| place)
                .next();
            let text = format!(
                "max_packet_size: packets of up to {LEAST_PACKET} bytes are taken, not {bytes}"
            );
            self.note(place, Weight::Differs, text);
        }
        let limits = &mut self.config.limits;
        let payload = said
            .message_size
            .map(|bytes| bytes.saturating_add(LEAST_PACKET));
        let packet = said.packet_size.filter(|bytes| *bytes > 0);
        let most = payload
            .unwrap_or(MOST_PACKET)
            .min(packet.unwrap_or(MOST_PACKET));
        let size = u32::try_from(most.clamp(LEAST_PACKET, MOST_PACKET)).unwrap_or(u32::MAX);
        limits.packet_size = size;
        limits.connect_packet_size = limits.connect_packet_size.min(size);
    }

    fn bridge(&mut self, said: &Bridge) {
        let mut bridge = said.wanted.clone();
        let name = bridge.name.escape_debug().to_string();
        let mut wrong = |what: &str| {
            self.errors.push(ConfigError {
                place: said.place.clone(),
                message: format!("connection {name}: {what}"),
            });
        };
        if bridge.addresses.is_empty() {
            wrong("it has no address");
        }
        if bridge.certificate.is_some() != bridge.key.is_some() {
            wrong("bridge_certfile and bridge_keyfile go together");
        }
        let asks = bridge.certificate.is_some() || bridge.any_server_name;
        if !bridge.tls && asks {
            wrong(
                "without bridge_cafile, bridge_capath or bridge_tls_use_os_certs there is no TLS",
            );
        }
        if bridge.password.is_some() && bridge.username.is_none() {
            wrong("it has a password and no user name");
        }
        bridge.local_clean_start = said.local_clean_start.unwrap_or(bridge.clean_start);
        bridge.notifications = match (said.notifies, said.only_local) {
            (false, _) => Notifications::Off,
            (true, true) => Notifications::Local,
            (true, false) => Notifications::Both,
        };
        if bridge.notifications == Notifications::Off {
            bridge.notification_topic = None;
        }
        let files = bridge.ca.iter_mut();
        for file in files.chain(&mut bridge.certificate).chain(&mut bridge.key) {
            *file = self.machine.folder.join(&*file);
        }
        if bridge.tls {
            // Mosquitto has one port for both.
            for address in &mut bridge.addresses {
                if let Some((host, port)) = config::bridge_address(address, 1883) {
                    *address = match host.contains(':') {
                        true => format!("[{host}]:{port}"),
                        false => format!("{host}:{port}"),
                    };
                }
            }
        }
        if bridge.password.is_some() {
            let text = format!(
                "connection {name}: its password is not shown by `nightjar migrate`; put it into a \
                 file and name that as password_file"
            );
            self.note(Some(&said.place), Weight::Same, text);
        }
        let text = format!(
            "connection {name}: messages wait for the other side on the disk, or with `persistence \
             false` in memory, and are acknowledged only when it has them; see docs/bridges.md"
        );
        self.note(Some(&said.place), Weight::Same, text);
        self.config.bridges.push(bridge);
    }

    /// What holds because Mosquitto has other defaults than a server of ours.
    fn defaults(&mut self, said: &Gathered) {
        let server = &said.server;
        let limits = &self.config.limits;
        let mut texts: Vec<String> = Vec::new();
        if server.packet_size.is_none() && server.message_size.is_none() {
            texts.push(
                "no max_packet_size: packets of up to 256 MiB are taken, as in Mosquitto 2.0"
                    .into(),
            );
        }
        if server.queued_messages.is_none() {
            texts.push("no max_queued_messages: 1,000 messages wait for a session, then the newest is dropped".into());
        }
        if server.inflight.is_none() {
            texts.push(
                "no max_inflight_messages: 20 messages of QoS 1 and 2 are inflight to a client"
                    .into(),
            );
        }
        if limits.session_expiry == NEVER {
            texts.push(
                "no persistent_client_expiration: sessions of clients that are away last for ever"
                    .into(),
            );
        }
        if server.is_persistent != Some(true) {
            texts.push("no persistence: nothing is stored, and a restart forgets sessions and retained messages".into());
        }
        texts.push(
            "failed logins are not slowed down (limits.failed_logins = 0), as in Mosquitto".into(),
        );
        for text in texts {
            self.note(None, Weight::Same, text);
        }
        if self.machine.is_root && self.user(server.user.as_deref()).is_none() {
            let text = "the server runs as root and stays it; `user` names another, or let systemd \
                        (`User=`), `runuser` or the container choose one";
            self.note(None, Weight::Differs, text);
        }
    }

    /// Who the server becomes.
    fn user(&self, said: Option<&str>) -> Option<String> {
        let by_default = self.machine.is_root && (self.machine.has_user)(USER);
        said.or(by_default.then_some(USER))
            .filter(|user| *user != "root")
            .map(str::to_owned)
    }

    /// The folder or file of a value.
    fn path(&self, text: &str) -> PathBuf {
        self.machine.absolute(text)
    }
}

/// Who Mosquitto becomes if nobody says who.
const USER: &str = "mosquitto";
/// A session that never expires: 0xFFFFFFFF of MQTT 5.0.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);
/// In bytes: no server of ours takes less, and as much is left for the head of a message.
const LEAST_PACKET: u64 = 1024;
/// As MQTT can frame: five bytes of header and 268,435,455 more.
const MOST_PACKET: u64 = 268_435_460;
/// In bytes, for one session: where Mosquitto knows no bound.
const MOST_QUEUED: usize = 1 << 30;
