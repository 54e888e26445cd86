//! Where a configuration comes from: a file of ours, or one of Mosquitto.

use std::io;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};

use config::{ConfigError, ConfigErrors, Loaded, Place, Setting, Sources};
use mosquitto::{Machine, Note, Options, Translation, Weight};
use tracing::{info, warn};

use crate::account;
use crate::parts;

/// A configuration, and what whoever moves from Mosquitto has to know of it.
#[derive(Debug)]
pub(crate) struct Origin {
    /// What holds, and where it was said.
    pub(crate) loaded: Loaded,
    /// What Mosquitto's file means here; empty if the file is ours.
    pub(crate) notes: Vec<Note>,
    /// Mosquitto's file defines no listener: this machine's clients may connect without a name.
    pub(crate) is_local_only: bool,
}

/// Reads all sources, in whichever form the file is.
///
/// # Errors
/// All that is wrong, each with its place.
pub(crate) fn load(sources: &Sources) -> Result<Origin, ConfigErrors> {
    let Some(file) = foreign(sources) else {
        return Ok(Origin {
            loaded: Loaded::read(sources)
                .and_then(parts::fitted)
                .map_err(|errors| hinted(sources, errors))?,
            notes: Vec::new(),
            is_local_only: false,
        });
    };
    let (ports, own): (Vec<Setting>, Vec<Setting>) = sources
        .options
        .iter()
        .cloned()
        .partition(|setting| setting.key == PORT);
    let ports = ports.iter().filter_map(|port| port.value.parse().ok());
    let Translation {
        config,
        places,
        notes,
        is_local_only,
    } = translated(file, ports.collect())?;
    let above = Sources {
        options: own,
        ..sources.clone()
    };
    let loaded = Loaded::read_over(&above, Loaded { config, places })?;
    let loaded = parts::fitted(loaded)?;
    Ok(Origin {
        loaded,
        notes,
        is_local_only,
    })
}

/// What is wrong with a file of ours, and that it may be one of Mosquitto.
fn hinted(sources: &Sources, errors: ConfigErrors) -> ConfigErrors {
    let file = sources.file.as_deref();
    let Some(file) = file.filter(|file| mosquitto::speaks_mosquitto(file)) else {
        return errors;
    };
    let hint = ConfigError {
        place: Place::WholeFile(file.to_owned()),
        message: "this looks like a file of Mosquitto; one is read as such if its name ends in \
                  .conf"
            .into(),
    };
    let all = errors.iter().cloned().chain([hint]).collect();
    ConfigErrors::of(all).unwrap_or(errors)
}

/// The file, if it is one of Mosquitto.
pub(crate) fn foreign(sources: &Sources) -> Option<&Path> {
    let file = sources.file.as_deref()?;
    mosquitto::is_mosquitto(file).then_some(file)
}

/// A file of Mosquitto as a configuration of ours, without variables and options.
///
/// # Errors
/// As [`load`].
pub(crate) fn translated(file: &Path, ports: Vec<u16>) -> Result<Translation, ConfigErrors> {
    let folder = std::env::current_dir().map_err(|error| unknown_folder(file, &error))?;
    let machine = Machine {
        folder: &folder,
        has_ipv6: UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok(),
        is_root: account::began_as_root(),
        system_folder: system_folder(),
        has_user: &account::exists,
        resolve: &resolve,
    };
    let options = Options {
        ports,
        ..Options::default()
    };
    mosquitto::load(Some(file), &options, &machine)
}

/// Where a server that root has started keeps what it keeps, unless the environment names a folder.
fn system_folder() -> Option<&'static Path> {
    let is_told = std::env::var_os("XDG_DATA_HOME").is_some();
    (account::began_as_root() && !is_told).then_some(Path::new(SYSTEM_FOLDER))
}

/// For what a server of the system keeps.
const SYSTEM_FOLDER: &str = "/var/lib/nightjar";

fn unknown_folder(file: &Path, error: &io::Error) -> ConfigErrors {
    ConfigErrors::from(ConfigError {
        place: Place::WholeFile(PathBuf::from(file)),
        message: format!("nobody knows in which folder we are: {error}"),
    })
}

fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = (host, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Says each note once, in a line of the log.
pub(crate) fn tell(notes: &[Note]) {
    for note in notes {
        let place = note.place.as_ref().map(ToString::to_string);
        let place = place.as_deref().unwrap_or("mosquitto.conf");
        let text = &*note.text;
        match note.weight {
            Weight::Differs => warn!(place, text, "not as in Mosquitto"),
            Weight::Same => info!(place, text, "as in Mosquitto"),
        }
    }
}

/// The setting that `-p` is for a file of Mosquitto.
pub(crate) const PORT: &str = "port";
