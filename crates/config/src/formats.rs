//! Texts of a form: what is wrong with one, as the end of a sentence that begins with it.

use std::net::SocketAddr;

use types::{TopicFilter, TopicName};

use crate::config::{BridgeTopic, Network, bridge_address};

/// What rules, logs and other keys call something.
pub(crate) fn name(text: &str) -> Result<(), &'static str> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(letter) {
        return Err("is no name; write 1 to 64 letters, digits, \"-\", \"_\" and \".\"");
    }
    Ok(())
}

pub(crate) fn path(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.contains('\0') {
        return Err("is no path of a file or a folder");
    }
    // A shell puts the home folder in its place; here it would be a folder of that name.
    if text.starts_with('~') {
        return Err(
            "begins with ~, which means nothing here; write ${HOME} in the file, or the \
                    whole path",
        );
    }
    Ok(())
}

/// A path, or nothing.
pub(crate) fn path_or_off(text: &str) -> Result<(), &'static str> {
    if text.is_empty() { Ok(()) } else { path(text) }
}

/// A UTF-8 encoded string of MQTT (MQTT-1.5.4-2), without control characters.
pub(crate) fn mqtt_text(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
        return Err("does not fit; write 1 to 1024 bytes without control characters");
    }
    Ok(())
}

pub(crate) fn listener_address(text: &str) -> Result<(), &'static str> {
    let text = text.trim();
    if text.starts_with('/') {
        // What the system takes, with the byte at the end.
        if text.len() > 107 || text.contains('\0') {
            return Err("is too long for a Unix socket; write at most 107 bytes");
        }
        return Ok(());
    }
    socket_address(text).map_err(|_| {
        "is no address; write an IP address and a port, such as \"127.0.0.1:1883\", \
         \"[::1]:1883\" or \"0.0.0.0:1883\", or the absolute path of a Unix socket"
    })
}

pub(crate) fn socket_address(text: &str) -> Result<(), &'static str> {
    let parsed = text.trim().parse::<SocketAddr>();
    parsed
        .map(|_| ())
        .map_err(|_| "is no address; write an IP address and a port, such as \"0.0.0.0:80\"")
}

pub(crate) fn network(text: &str) -> Result<(), &'static str> {
    Network::parse(text).map(|_| ())
}

/// Where another server is.
pub(crate) fn bridge_host(text: &str) -> Result<(), &'static str> {
    if text.contains("://") {
        return Err(
            "is a URL; write host and port, such as \"mqtt.example.com:1883\", and `tls = true` for \
             TLS; bridges do not speak WebSocket",
        );
    }
    bridge_address(text, 1883).map(|_| ()).ok_or(
        "is no address; write a host or an IP address, perhaps with a port, such as \
         \"mqtt.example.com:1883\" or \"[::1]:1883\"",
    )
}

/// What goes over a bridge.
pub(crate) fn bridge_line(text: &str) -> Result<(), &'static str> {
    let line = BridgeTopic::parse(text)?;
    let share = line.filter.strip_prefix("$share/");
    let bare = share.map_or(Some(line.filter), |rest| Some(rest.split_once('/')?.1));
    let bare = bare.ok_or("has a shared subscription without a filter")?;
    let fits = |prefix: &str| TopicFilter::parse(&[prefix, bare].concat(), u16::MAX).is_ok();
    match fits(line.local) && fits(line.remote) {
        true => Ok(()),
        false => Err("is no filter with these prefixes"),
    }
}

/// Who somebody is.
pub(crate) fn client_id(text: &str) -> Result<(), &'static str> {
    mqtt_text(text)
}

/// The beginning of a topic is a topic itself (MQTT 5.0, 4.7.3).
pub(crate) fn topic_prefix(text: &str) -> Result<(), &'static str> {
    TopicName::parse(text, u16::MAX).map(|_| ()).map_err(|_| {
        "is no beginning of topics; write 1 to 65535 bytes such as \"telemetry/\", \
         without +, # and control characters"
    })
}

pub(crate) fn mount(text: &str) -> Result<(), &'static str> {
    topic_prefix(text)?;
    if !text.ends_with('/') || text.starts_with(['/', '$']) || text.len() > 1024 {
        return Err(
            "is no mount; write whole levels that end in /, such as \"site1/\", \
                    at most 1024 bytes, not beginning with / or $",
        );
    }
    Ok(())
}

/// A path of HTTP, as WebSocket clients ask for it.
pub(crate) fn http_path(text: &str) -> Result<(), &'static str> {
    if text == "*" {
        return Ok(());
    }
    let clean = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
    if !text.starts_with('/') || !clean || text.len() > 256 {
        return Err("is no path; write / and then letters, such as \"/mqtt\", without ? and #");
    }
    Ok(())
}

/// What a browser says where its page is from (RFC 6454).
pub(crate) fn origin(text: &str) -> Result<(), &'static str> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let fits = |host: &str| !host.is_empty() && host.bytes().all(known);
    if text == "*" || host.is_some_and(fits) {
        return Ok(());
    }
    Err(
        "is no origin; write \"https://\" and a host, perhaps with a port, without a / behind, \
         or \"*\" for all",
    )
}

/// The name of a host, which somebody else can look up.
pub(crate) fn domain(text: &str) -> Result<(), &'static str> {
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.contains('.') || !text.split('.').all(is_label) {
        return Err("is no name of a host; write one such as \"mqtt.example.com\", without *");
    }
    Ok(())
}

/// The name of a host, as a browser has it in its address: with a dot or without.
pub(crate) fn host(text: &str) -> Result<(), &'static str> {
    if domain(text).is_ok() || domain(&format!("{text}.local")).is_ok() {
        return Ok(());
    }
    Err("is no name of a host; write one such as \"mqtt.example.com\", without a port")
}

/// A path that others begin with.
pub(crate) fn path_in_front(text: &str) -> Result<(), &'static str> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let whole = text.starts_with('/') && !text.ends_with('/') && !text.contains("//");
    if !whole || text.contains("/.") || !text.bytes().all(known) || text.len() > 256 {
        return Err(
            "is no path to put in front; write one such as \"/mqtt\", without a / at its end",
        );
    }
    Ok(())
}

pub(crate) fn mail_address(text: &str) -> Result<(), &'static str> {
    let clean = !text
        .chars()
        .any(|letter| letter.is_whitespace() || letter.is_control());
    match text.split_once('@') {
        Some((user, host)) if !user.is_empty() && host.contains('.') && clean => Ok(()),
        _ => Err("is no mail address"),
    }
}

/// What a service is called elsewhere.
pub(crate) fn service(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
        return Err("is no name; write 1 to 256 bytes without control characters");
    }
    Ok(())
}

/// An attribute of what is sent to a collector.
pub(crate) fn attribute(text: &str) -> Result<(), &'static str> {
    let parts = text.split_once('=');
    let fits = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    if !parts.is_some_and(|(key, _)| fits(key)) || text.len() > 1024 {
        return Err("is no attribute; write \"key=value\", at most 1024 bytes");
    }
    Ok(())
}

/// A secret that two sides of a signature share.
pub(crate) fn signing_secret(text: &str) -> Result<(), &'static str> {
    if text.len() < 32 {
        return Err("too short a secret can be guessed; write at least 32 bytes");
    }
    Ok(())
}

pub(crate) fn password(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("the password is empty; leave the key out if there is none");
    }
    Ok(())
}

/// Name and value of a line of a request's head; none if it is no such line.
pub(crate) fn header_parts(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim();
    let named = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let clean = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    (!name.is_empty() && named && clean).then_some((name, value))
}

/// Topics of a rule: a filter, with what is the client's in levels or parts of them.
pub(crate) fn pattern(text: &str) -> Result<(), &'static str> {
    // Something harmless in the place of each; what is the client's is literal (S44).
    let mut sample = String::with_capacity(text.len());
    let mut marked = String::with_capacity(text.len());
    each_piece(text, CLIENT, |piece| match piece {
        Piece::Text(text) => {
            sample.push_str(text);
            marked.push_str(text);
        }
        Piece::Placeholder => {
            sample.push('x');
            marked.push('\0');
        }
    })?;
    let is_mixed = |level: &str| level.contains('\0') && level.contains(['+', '#']);
    if marked.split('/').any(is_mixed) {
        return Err("has + or # beside a placeholder in one level; give each a level of its own");
    }
    TopicFilter::parse(&sample, u16::MAX).map(|_| ()).map_err(
        |_| "is no topic filter; + fills a whole level, # only the last one, such as \"a/+/b/#\"",
    )
}

/// Text with what is the client's, which is bound and never becomes a part of the language.
pub(crate) fn query(text: &str) -> Result<(), &'static str> {
    template(text, CLIENT)
}

/// The same with the user's name in a directory.
pub(crate) fn group_search(text: &str) -> Result<(), &'static str> {
    template(text, MEMBER)
}

fn template(text: &str, known: Known) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    each_piece(text, known, |_| {})
}

/// A client identifier; `*` at its end stands for the rest.
pub(crate) fn client_pattern(text: &str) -> Result<(), &'static str> {
    let clean = !text.chars().any(char::is_control);
    match text.strip_suffix('*').unwrap_or(text) {
        rest if rest.contains('*') => {
            Err("has a * before its end; only the last letter can be one")
        }
        "" if !text.is_empty() => Err("is every client; leave the key out"),
        "" => Err("is no client identifier"),
        _ if clean => Ok(()),
        _ => Err("has a control character in it"),
    }
}

struct Known {
    names: &'static [&'static str],
    unknown: &'static str,
}

const CLIENT: Known = Known {
    names: &["username", "clientid", "ip", "cert.cn"],
    unknown: "has a placeholder that does not exist; there are ${username}, ${clientid}, ${ip} \
              and ${cert.cn}, and $${ stands for ${",
};
const MEMBER: Known = Known {
    names: &["username", "clientid", "ip", "cert.cn", "dn"],
    unknown: "has a placeholder that does not exist; there are ${dn}, ${username}, ${clientid}, \
              ${ip} and ${cert.cn}, and $${ stands for ${",
};

enum Piece<'a> {
    Text(&'a str),
    Placeholder,
}

/// Walks over a text with placeholders; `$${` stands for `${`.
fn each_piece<'a>(
    text: &'a str,
    known: Known,
    mut take: impl FnMut(Piece<'a>),
) -> Result<(), &'static str> {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            take(Piece::Text(before));
            take(Piece::Text("${"));
            rest = after;
            continue;
        }
        let Some((name, after)) = after.split_once('}') else {
            return Err("has a ${ without }; write $${ for the characters");
        };
        if !known.names.contains(&name) {
            return Err(known.unknown);
        }
        take(Piece::Text(before));
        take(Piece::Placeholder);
        rest = after;
    }
    take(Piece::Text(rest));
    Ok(())
}
