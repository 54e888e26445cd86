//! What a start would stumble over, though the configuration is right by itself: folders, addresses,
//! certificates and files of passwords of this machine that are looked at at a start only; and what it
//! would do though its owner may not want it.

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use config::{Address, Config, Listener, Protocol};
use net::{CertificateFiles, ServerTls, TlsError, TlsFiles};

use crate::data_dir;
use crate::doors::authorities::Authorities;
use crate::doors::permissions::Configured;
use crate::doors::{identities, listeners};
use crate::plan::Intent;

/// Where the dashboard is, unless something else is said.
pub(crate) const DASHBOARD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18_083);

/// Something in the way of a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// The key that asks for it.
    pub(crate) key: &'static str,
    /// What is wrong, and what to do.
    pub(crate) words: String,
}

/// All that is in the way of a start with `new`. `now` is what a running server has: only what is
/// changed is looked at then, and a port must not be another program's. Without it ports are left
/// alone: the server may be running.
pub(crate) fn obstacles(
    new: &Config,
    now: Option<&Config>,
    environment: &[(String, String)],
) -> Vec<Obstacle> {
    let mut found = doors(new, now, environment);
    let mut add = |key, words: Result<(), String>| {
        found.extend(words.err().map(|words| Obstacle { key, words }));
    };
    if now.is_none_or(|now| now.data_dir != new.data_dir) {
        let usable = data_dir::prepare(new.data_dir.as_deref(), environment, Intent::Check);
        add(
            "data_dir",
            usable.map(drop).map_err(|error| error.to_string()),
        );
    }
    let board = &new.dashboard;
    let before = now.map(|now| &now.dashboard).filter(|one| one.enabled);
    if board.enabled {
        let files = (&board.certificate, &board.key);
        if before.is_none_or(|one| (&one.certificate, &one.key) != files) {
            add("dashboard.certificate", certificate(new));
        }
        if let Some(address) = board.address
            && before.is_none_or(|one| one.address != Some(address))
        {
            add("dashboard.address", reachable(address, now));
        }
    }
    if let Some(address) = new.metrics.listen
        && now.is_none_or(|now| now.metrics.listen != Some(address))
    {
        add("metrics.listen", reachable(address, now));
    }
    found
}

/// What is in the way of listeners, and of who is asked about clients.
fn doors(new: &Config, now: Option<&Config>, environment: &[(String, String)]) -> Vec<Obstacle> {
    let mut found = Vec::new();
    // Without a folder there are no certificates of an authority in it; that is said elsewhere.
    let folder = data_dir::locate(new.data_dir.as_deref(), environment).unwrap_or_default();
    let authorities = Authorities::new(&folder);
    let is_old = |one: &Listener| {
        now.is_some_and(|now| now.certificates == new.certificates && now.listeners.contains(one))
    };
    for one in new.listeners.iter().filter(|one| !is_old(one)) {
        let files = listeners::foresee(new, one, &authorities);
        let files = files.map_err(|error| error.to_string());
        if let Err(words) = files.and_then(|()| place(one)) {
            let words = format!("{}: {words}", one.name);
            let key = "listener";
            found.push(Obstacle { key, words });
        }
    }
    if let Err(error) = Configured::new(new) {
        let (key, words) = ("rule", error.to_string());
        found.push(Obstacle { key, words });
    }
    if now.is_none_or(|now| now.authentication != new.authentication) {
        let all = identities::obstacles(new).into_iter();
        found.extend(all.map(|(name, error)| Obstacle {
            key: "authentication",
            words: format!("{name}: {error}"),
        }));
    }
    found
}

/// Whether a listener's place is one of this machine.
fn place(one: &Listener) -> Result<(), String> {
    match &one.address {
        Address::Ip(address) => reachable(*address, None),
        Address::Unix(path) => {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            match folder.is_dir() {
                true => Ok(()),
                false => Err(format!("there is no folder {}", folder.display())),
            }
        }
    }
}

/// Something that a start would do though its owner may not want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// What it is.
    pub(crate) what: String,
    /// What to do.
    pub(crate) advice: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.advice)
    }
}

/// All that a start would do though its owner may not want it.
pub(crate) fn warnings(config: &Config) -> Vec<Warning> {
    let board = &config.dashboard;
    let address = board.address.unwrap_or(DASHBOARD);
    let is_open = board.enabled && board.certificate.is_none();
    let mut found = Vec::new();
    if is_open && !address.ip().to_canonical().is_loopback() {
        let what = format!(
            "dashboard.address: {address} is without TLS and not for this machine only: \
             administrators' passwords can be read on the way"
        );
        let advice = "set dashboard.certificate and dashboard.key, or keep 127.0.0.1 behind a \
                      proxy that speaks TLS";
        found.push(Warning { what, advice });
    }
    found
}

/// Whether the dashboard's certificate can be used, as far as a start asks for that.
fn certificate(config: &Config) -> Result<(), String> {
    let (Some(chain), Some(key)) = (&config.dashboard.certificate, &config.dashboard.key) else {
        return Ok(());
    };
    for path in [chain, key] {
        let found = path.metadata();
        if found.is_ok_and(|found| !found.is_file()) {
            return Err(format!("{} is no regular file", path.display()));
        }
    }
    let files = TlsFiles {
        certificates: vec![CertificateFiles {
            chain: chain.clone(),
            key: key.clone(),
        }],
        ..TlsFiles::default()
    };
    match ServerTls::load(&files) {
        // It may be valid when the server starts, and a start does not ask.
        Ok(_) | Err(TlsError::NotValidNow { .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether this machine has the address, and nobody else the port.
fn reachable(address: SocketAddr, now: Option<&Config>) -> Result<(), String> {
    // Any port tells whether the address is there.
    if let Err(error) = TcpListener::bind(SocketAddr::new(address.ip(), 0)) {
        return Err(format!("{}: {}", address.ip(), words(&error)));
    }
    // What the server has itself it gives up at its end.
    if now.is_none_or(|now| has_port(now, address.port())) {
        return Ok(());
    }
    let tried = TcpListener::bind(address).map(drop);
    tried.map_err(|error| format!("{address}: {}", words(&error)))
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there; choose another port".into(),
        ErrorKind::AddrNotAvailable => "this machine has no such address; use 0.0.0.0 or [::] for \
                                        all that it has, or 127.0.0.1 for this machine only"
            .into(),
        ErrorKind::PermissionDenied => "this user may not listen there; choose a port above 1023, \
                                        or give the service CAP_NET_BIND_SERVICE"
            .into(),
        _ => error.to_string(),
    }
}

/// Whether a server with this configuration has a TCP port of this number.
fn has_port(config: &Config, port: u16) -> bool {
    let board = config.dashboard.enabled.then(|| {
        let usual = DASHBOARD;
        config.dashboard.address.unwrap_or(usual)
    });
    let doors = config.listeners.iter().filter_map(|one| match one.address {
        Address::Ip(address) if one.protocol != Protocol::Quic => Some(address),
        _ => None,
    });
    let mut all = doors.chain(board).chain(config.metrics.listen);
    all.any(|address| address.port() == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(new: &Config, now: Option<&Config>) -> Vec<&'static str> {
        let found = obstacles(new, now, &[]);
        found.iter().map(|one| one.key).collect()
    }

    #[test]
    fn s97_what_no_start_could_use_is_found_before() {
        let folder = tempfile::tempdir().unwrap();
        let now = Config {
            data_dir: Some(folder.path().to_owned()),
            ..Config::default()
        };
        assert!(keys(&now, Some(&now)).is_empty() && keys(&now, None).is_empty());
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = taken.local_addr().map(|it| (taken, it)).unwrap();
        let mut new = now.clone();
        new.data_dir = Some("/dev/null/data".into());
        new.dashboard.certificate = Some("/nonexist.pem".into());
        new.dashboard.key = Some("/nonexist.key".into());
        // A network for documentation: no machine has it.
        new.dashboard.address = Some("203.0.113.7:18083".parse().unwrap());
        new.metrics.listen = Some(taken.1);
        let all = [
            "data_dir",
            "dashboard.certificate",
            "dashboard.address",
            "metrics.listen",
        ];
        assert_eq!(keys(&new, Some(&now)), all);
        // Before a start the ports may be the running server's.
        assert_eq!(keys(&new, None), all[..3]);
        // What is as it was is no reason to refuse another change.
        assert!(keys(&new, Some(&new)).is_empty());
        new.dashboard.enabled = false;
        assert_eq!(keys(&new, None), ["data_dir"]);
    }

    #[test]
    fn s97_doors_that_no_start_could_open_are_found_before() {
        let folder = tempfile::tempdir().unwrap();
        let config = |text: &str| {
            let sources = config::Sources {
                file: Some(folder.path().join("nightjar.toml")),
                ..config::Sources::default()
            };
            let begin = format!(
                "data_dir = {:?}\naccess.no_match = \"allow\"\n",
                folder.path()
            );
            let text = format!("{begin}{text}");
            config::Loaded::read_text(&sources, &text).unwrap().config
        };
        let words = |new: &Config, now: Option<&Config>| {
            let found = obstacles(new, now, &[]).into_iter();
            found
                .map(|one| format!("{}: {}", one.key, one.words))
                .collect::<Vec<_>>()
        };
        let asked = "[[authentication]]\ntype = \"passwords\"\nfile = \"p\"\n";
        let missing = config(asked);
        let found = words(&missing, None);
        assert!(
            matches!(&found[..], [one] if one.contains("authentication: passwords: ")
                && one.contains("cannot be read")),
            "{found:?}"
        );
        assert!(words(&missing, Some(&missing)).is_empty());
        std::fs::write(folder.path().join("p"), "alice:in plain words\n").unwrap();
        assert_eq!(words(&config(asked), None).len(), 1);
        std::fs::write(folder.path().join("p"), "").unwrap();
        assert!(words(&config(asked), None).is_empty());
        let listeners = config(
            "[[listener]]\naddress = \"203.0.113.7:1883\"\nallow_anonymous = true\n\
             [[listener]]\naddress = \"127.0.0.1:8883\"\nprotocol = \"mqtts\"\n\
             certificates = [\"own\"]\n\
             [[listener]]\naddress = \"/nonexistent/mqtt.sock\"\n\
             [[certificate]]\nname = \"own\"\nchain = \"c.pem\"\nkey = \"k.pem\"\n",
        );
        let found = words(&listeners, None);
        let wanted = ["no such address", "c.pem", "no folder /nonexistent"];
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (one, wanted) in found.iter().zip(wanted) {
            assert!(
                one.starts_with("listener: ") && one.contains(wanted),
                "{one}"
            );
        }
    }

    #[test]
    fn a_dashboard_that_others_can_listen_to_is_said() {
        let mut config = Config::default();
        assert!(warnings(&config).is_empty());
        config.dashboard.address = Some("0.0.0.0:18083".parse().unwrap());
        assert_eq!(warnings(&config).len(), 1);
        config.dashboard.certificate = Some("/c.pem".into());
        assert!(warnings(&config).is_empty());
        config.dashboard.certificate = None;
        config.dashboard.enabled = false;
        assert!(warnings(&config).is_empty());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn s97_a_folder_that_cannot_be_made_is_found_by_the_superuser_too() {
        let new = Config {
            data_dir: Some("/proc/nothing".into()),
            ..Config::default()
        };
        assert_eq!(keys(&new, None), ["data_dir"]);
    }
}
