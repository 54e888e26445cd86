//! The HTTP request that opens a WebSocket, and our answer.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Origins, WebSocket};

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Upgrade {
    /// The begin of a request.
    Incomplete,
    /// A request of so many bytes that opens a WebSocket, and the answer to it.
    Accepted { length: usize, answer: Vec<u8> },
    /// Anything else: the answer, after which the connection is closed.
    Refused { answer: Vec<u8>, why: &'static str },
}

/// Reads a request from the front of `bytes`.
pub(crate) fn upgrade(bytes: &[u8], door: &WebSocket) -> Upgrade {
    let head = bytes.get(..LONGEST_HEAD).unwrap_or(bytes);
    let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
        // Better now than when all of it is here, if it can be no request.
        let hopeless = bytes.len() >= LONGEST_HEAD || !may_be_request(head);
        return match hopeless {
            true => refused(&BAD, "no request of at most 8 KiB"),
            false => Upgrade::Incomplete,
        };
    };
    let length = end.saturating_add(4);
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => return refused(&BAD, "a malformed request"),
    }
    match answer(&request, door) {
        Ok(answer) => Upgrade::Accepted { length, answer },
        Err((status, why)) => refused(status, why),
    }
}

/// Whether the first line begins as a request does: letters, then a space.
fn may_be_request(head: &[u8]) -> bool {
    let word = head.iter().take(LONGEST_METHOD.saturating_add(1));
    match word.clone().position(|byte| *byte == b' ') {
        Some(0) => false,
        Some(end) => word.take(end).all(u8::is_ascii_uppercase),
        None => head.len() <= LONGEST_METHOD && head.iter().all(u8::is_ascii_uppercase),
    }
}

type Refusal = (&'static Status, &'static str);

fn answer(request: &httparse::Request<'_, '_>, door: &WebSocket) -> Result<Vec<u8>, Refusal> {
    if request.method != Some("GET") {
        return Err((&METHOD, "a method other than GET"));
    }
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let is_offered = |offered: &String| offered == path || offered == ANY;
    if !door.paths.iter().any(is_offered) {
        return Err((&NOT_FOUND, "an unknown path"));
    }
    if request.version != Some(1) {
        return Err((&BAD, "a version of HTTP before 1.1"));
    }
    if !has_token(request, "Upgrade", "websocket") || !has_token(request, "Connection", "upgrade") {
        return Err((&UPGRADE, "no upgrade to WebSocket"));
    }
    if single(request, "Sec-WebSocket-Version")? != Some("13") {
        return Err((&UPGRADE, "another version of WebSocket than 13"));
    }
    let host = single(request, "Host")?.ok_or((&BAD, "no Host"))?;
    if let Some(origin) = single(request, "Origin")?
        && !may_come_from(origin, host, &door.origins)
    {
        return Err((&FORBIDDEN, "an origin that may not"));
    }
    let key = single(request, "Sec-WebSocket-Key")?.ok_or((&BAD, "no key"))?;
    if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err((&BAD, "a key that is not 16 bytes in base64"));
    }
    if fields(request, "Content-Length").any(|length| length != "0")
        || fields(request, "Transfer-Encoding").next().is_some()
    {
        return Err((&BAD, "a request with a body"));
    }
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        accept(key)
    );
    if let Some(protocol) = protocol(request)? {
        answer.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    answer.push_str("\r\n");
    Ok(answer.into_bytes())
}

/// The first subprotocol offered that is MQTT (MQTT-6.0.0-3, MQTT-6.0.0-4). A client that offers
/// none at all gets none.
fn protocol(request: &httparse::Request<'_, '_>) -> Result<Option<&'static str>, Refusal> {
    let mut offers = fields(request, "Sec-WebSocket-Protocol").peekable();
    if offers.peek().is_none() {
        return Ok(None);
    }
    let mut offers = offers.flat_map(|list| list.split(',')).map(str::trim);
    let known = offers.find_map(|offer| PROTOCOLS.into_iter().find(|known| *known == offer));
    known.map(Some).ok_or((&BAD, "no subprotocol that is MQTT"))
}

/// Whether a page from `origin` may connect. What comes without an origin is no browser.
fn may_come_from(origin: &str, host: &str, allowed: &Origins) -> bool {
    match allowed {
        Origins::Any => true,
        Origins::Listed(list) => list.iter().any(|entry| entry.eq_ignore_ascii_case(origin)),
        Origins::SameHost => {
            let Some((scheme, authority)) = origin.split_once("://") else {
                // Also "null", which sandboxed pages and local files send.
                return false;
            };
            let port = match scheme {
                "http" => ":80",
                "https" => ":443",
                _ => return false,
            };
            let bare = |name: &str| name.strip_suffix(port).unwrap_or(name).to_ascii_lowercase();
            !authority.is_empty() && bare(authority) == bare(host)
        }
    }
}

/// The values of a field, which may stand there several times. Those that are no text count as
/// something that nobody allows.
fn fields<'a>(
    request: &'a httparse::Request<'_, '_>,
    name: &'a str,
) -> impl Iterator<Item = &'a str> {
    let named = request.headers.iter();
    let named = named.filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| std::str::from_utf8(field.value).map_or("\u{fffd}", str::trim))
}

/// The value of a field that may stand there once.
fn single<'a>(
    request: &'a httparse::Request<'_, '_>,
    name: &'a str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = fields(request, name);
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err((&BAD, "a field twice")),
    }
}

fn has_token(request: &httparse::Request<'_, '_>, name: &str, token: &str) -> bool {
    let mut tokens = fields(request, name).flat_map(|list| list.split(','));
    tokens.any(|found| found.trim().eq_ignore_ascii_case(token))
}

/// RFC 6455, 4.2.2: shows that we understood, and protects nothing.
fn accept(key: &str) -> String {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(GUID);
    STANDARD.encode(hash.finish())
}

struct Status {
    line: &'static str,
    field: &'static str,
    text: &'static str,
}

fn refused(status: &Status, why: &'static str) -> Upgrade {
    let Status { line, field, text } = status;
    let length = text.len().saturating_add(why.len()).saturating_add(3);
    let answer = format!(
        "HTTP/1.1 {line}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{field}\
         Connection: close\r\n\r\n{text}: {why}\n"
    );
    Upgrade::Refused {
        answer: answer.into_bytes(),
        why,
    }
}

const BAD: Status = Status {
    line: "400 Bad Request",
    field: "",
    text: "Bad request",
};
const FORBIDDEN: Status = Status {
    line: "403 Forbidden",
    field: "",
    text: "Forbidden",
};
const NOT_FOUND: Status = Status {
    line: "404 Not Found",
    field: "",
    text: "Nothing here",
};
const METHOD: Status = Status {
    line: "405 Method Not Allowed",
    field: "Allow: GET\r\n",
    text: "Only GET",
};
const UPGRADE: Status = Status {
    line: "426 Upgrade Required",
    field: "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    text: "This is MQTT over WebSocket, for MQTT clients and not for browsers' address bars",
};

/// Stands for every path.
const ANY: &str = "*";
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The registered name, and the one of MQTT 3.1.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
/// Most bytes of a request.
pub(crate) const LONGEST_HEAD: usize = 8 * 1024;
/// Most fields of a request.
const MOST_FIELDS: usize = 64;
/// The longest method that we know of is OPTIONS; some room for others, which get their answer.
const LONGEST_METHOD: usize = 16;

#[cfg(test)]
#[path = "upgrade_tests.rs"]
mod tests;
