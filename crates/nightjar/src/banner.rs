//! What a newcomer reads at the start.

use std::fmt::Write;
use std::net::SocketAddr;

use config::Anonymous;

use crate::plan::Plan;

/// The lines of the start: what runs, and what to try next.
pub(crate) fn text(plan: &Plan, addresses: &[SocketAddr]) -> String {
    let mut text = format!(
        "Nightjar {} serves MQTT 5.0, 3.1.1 and 3.1\n",
        env!("CARGO_PKG_VERSION")
    );
    for address in addresses {
        line(&mut text, "listening", &address.to_string());
    }
    line(
        &mut text,
        "anonymous",
        anonymous(plan.config.allow_anonymous),
    );
    line(&mut text, "data", &plan.data_dir.display().to_string());
    line(&mut text, "workers", &plan.workers.to_string());
    if let Some(address) = addresses.first() {
        let target = target(*address);
        text.push_str("\nTry next, in two other terminals:\n");
        line(
            &mut text,
            "nightjar sub",
            &format!("{target} -t 'hello/#' -v"),
        );
        line(
            &mut text,
            "nightjar pub",
            &format!("{target} -t hello/world -m 'it works'"),
        );
        line(
            &mut text,
            "mosquitto_sub",
            &format!("{target} -t 'hello/#' -v"),
        );
        text.push_str("Ctrl-C ends the server.\n");
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing into a String cannot fail.
    let _infallible = writeln!(text, "  {name:<13} {value}");
}

fn anonymous(anonymous: Anonymous) -> &'static str {
    match anonymous {
        Anonymous::FromLoopback => "anyone on this machine may connect, nobody else",
        Anonymous::FromAnywhere => "anyone who reaches a listener may connect",
        Anonymous::Refused => "nobody may connect without a name and a password",
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
}
