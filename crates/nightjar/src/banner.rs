//! What a newcomer reads at the start.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, Listener, Protocol};
use net::Address;
use types::Durability;

use crate::plan::Plan;

/// What a newcomer needs to know of the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Board {
    /// Where a browser on this machine finds it.
    pub(crate) url: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The code for the first administrator, while there is none.
    pub(crate) code: Option<String>,
    /// The file that has the code too, for who does not see the terminal.
    pub(crate) file: PathBuf,
}

/// The lines of the start: what runs, and what to try next.
pub(crate) fn text(
    plan: &Plan,
    addresses: &[Address],
    board: Option<&Board>,
    program: &str,
) -> String {
    let mut text = format!(
        "Nightjar {} serves MQTT 5.0, 3.1.1 and 3.1\n",
        env!("CARGO_PKG_VERSION")
    );
    let listeners = &plan.config.listeners;
    for (address, listener) in addresses.iter().zip(listeners) {
        line(&mut text, "listening", &place(address, listener));
    }
    line(&mut text, "anonymous", &who(&plan.config));
    line(&mut text, "durability", &durability(&plan.config));
    line(&mut text, "data", &plan.data_dir.to_string_lossy());
    line(&mut text, "workers", &plan.workers.to_string());
    if let Some(board) = board {
        let address = board.address;
        let beyond = match address.ip().is_unspecified() {
            true => format!(" (listens on {address})"),
            false => String::new(),
        };
        line(&mut text, "dashboard", &format!("{}{beyond}", board.url));
        if let Some(code) = &board.code {
            let words = format!("{code} (once, to make the first administrator there)");
            line(&mut text, "code", &words);
        }
    }
    let plain = addresses.iter().zip(listeners);
    let plain = plain.filter(|(_, listener)| {
        listener.protocol == Protocol::Mqtt && plan.config.admits_anonymous(listener)
    });
    if let Some(address) = plain.filter_map(|(address, _)| address.tcp()).next() {
        let target = target(address);
        text.push_str(&format!(
            "\n\
             Try next, in two other terminals:\n  \
               {program} sub {target} -t 'hello/#' -v\n  \
               {program} pub {target} -t hello/world -m 'it works'\n\
             or any other MQTT client:\n  \
               mosquitto_sub {target} -t 'hello/#' -v\n\
             Ctrl-C ends the server.\n"
        ));
    }
    text
}

/// How this program is called in a terminal, from whatever folder.
pub(crate) fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    if Path::new(&called).components().count() > 1
        && let Ok(path) = std::env::current_exe()
    {
        return quoted(&path.to_string_lossy());
    }
    "nightjar".to_owned()
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing into a String cannot fail.
    let _infallible = writeln!(text, "  {name:<13} {value}");
}

/// What an acknowledgement promises.
pub(crate) fn durability(config: &Config) -> String {
    let class = |class: Durability| match class {
        Durability::Memory => "memory: a restart forgets what was acknowledged",
        Durability::Os => "os: acknowledged messages survive a crash of the server",
        Durability::Disk => "disk: acknowledged messages survive a power cut",
    };
    let mut text = class(config.store.durability).to_owned();
    for listener in &config.listeners {
        if let Some(class) = listener.durability {
            // Writing into a String cannot fail.
            let _infallible = write!(text, "; {} by {}", class.as_str(), listener.address);
        }
    }
    for rule in &config.topics {
        let _infallible = write!(text, "; {} for {}", rule.durability.as_str(), rule.prefix);
    }
    text
}

/// Where a listener listens and what it speaks, if that is not plain MQTT.
fn place(address: &Address, listener: &Listener) -> String {
    match listener.protocol {
        Protocol::Mqtt => address.to_string(),
        other => format!("{address} ({})", other.as_str()),
    }
}

/// Who may connect without showing who he is.
pub(crate) fn who(config: &Config) -> String {
    let open = |listener: &&Listener| config.admits_anonymous(listener);
    let names: Vec<&str> = config
        .listeners
        .iter()
        .filter(open)
        .map(|listener| listener.name.as_str())
        .collect();
    let reached = config.listeners.iter().filter(open);
    let here = reached.clone().all(Listener::is_loopback);
    match names.len() {
        0 => "nobody may connect without authentication".into(),
        count if count < config.listeners.len() => {
            format!("anyone may connect by {}, nobody else", names.join(", "))
        }
        _ if here => "anyone on this machine may connect, nobody else".into(),
        _ => "anyone who reaches a listener may connect".into(),
    }
}

/// How a client on this machine reaches a listener.
fn target(address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if !ip.is_unspecified() => ip.to_string(),
        std::net::IpAddr::V4(_) => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(_) => "::1".to_owned(),
    };
    format!("-h {host} -p {}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_address_is_reached_over_loopback() {
        assert_eq!(target("0.0.0.0:7".parse().unwrap()), "-h 127.0.0.1 -p 7");
        assert_eq!(target("[::]:7".parse().unwrap()), "-h ::1 -p 7");
        assert_eq!(target("192.0.2.1:7".parse().unwrap()), "-h 192.0.2.1 -p 7");
    }

    #[test]
    fn a_path_with_a_space_is_one_word_for_a_shell() {
        assert_eq!(quoted("/opt/nightjar-1.0/bin"), "/opt/nightjar-1.0/bin");
        assert_eq!(quoted("/my files/it's"), "'/my files/it'\\''s'");
    }
}
