//! What a start would stumble over, though the configuration is right by itself: folders, addresses and
//! certificates of this machine that are looked at at a start only.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use config::{Address, Config, Protocol};
use net::{CertificateFiles, ServerTls, TlsError, TlsFiles};

use crate::data_dir;
use crate::plan::Intent;

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
    let mut found = Vec::new();
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
        let usual = crate::steer::board::USUAL;
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
    #[cfg(target_os = "linux")]
    fn s97_a_folder_that_cannot_be_made_is_found_by_the_superuser_too() {
        let new = Config {
            data_dir: Some("/proc/nothing".into()),
            ..Config::default()
        };
        assert_eq!(keys(&new, None), ["data_dir"]);
    }
}
