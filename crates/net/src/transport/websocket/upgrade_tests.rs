#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::*;

const FIELDS: [&str; 6] = [
    "Host: Broker.example:8083",
    "Upgrade: WebSocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: mqtt",
];

fn request(line: &str, fields: &[&str]) -> String {
    format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n"))
}

/// The usual request with a field replaced, added or, if empty, left out.
fn with(field: &str) -> String {
    let name = field.split_once(':').unwrap().0;
    let mut fields: Vec<&str> = FIELDS
        .into_iter()
        .filter(|usual| !usual.starts_with(name))
        .collect();
    if !field.ends_with(':') {
        fields.push(field);
    }
    request("GET /mqtt HTTP/1.1", &fields)
}

fn status_at(text: &str, door: &WebSocket) -> u16 {
    let answer = match upgrade(text.as_bytes(), door) {
        Upgrade::Incomplete => panic!("{text} is whole"),
        Upgrade::Accepted { length, answer } => {
            assert_eq!(length, text.len());
            answer
        }
        Upgrade::Refused { answer, .. } => {
            let answer = String::from_utf8(answer.clone()).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(
                head.contains(&format!("Content-Length: {}\r\n", body.len())),
                "{answer}"
            );
            answer.into_bytes()
        }
    };
    let answer = String::from_utf8(answer).unwrap();
    answer[9..12].parse().unwrap()
}

fn status(text: &str) -> u16 {
    status_at(text, &WebSocket::default())
}

#[test]
fn a_request_as_it_should_be() {
    let text = request("GET /mqtt HTTP/1.1", &FIELDS);
    let Upgrade::Accepted { length, answer } = upgrade(text.as_bytes(), &WebSocket::default())
    else {
        panic!("it is refused");
    };
    assert_eq!(length, text.len());
    let answer = String::from_utf8(answer).unwrap();
    // The example of RFC 6455, 1.3.
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert!(
        answer.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"),
        "MQTT-6.0.0-4"
    );
    for end in 0..text.len() {
        let found = upgrade(&text.as_bytes()[..end], &WebSocket::default());
        assert_eq!(found, Upgrade::Incomplete, "{end} bytes");
    }
    let more = format!("{text}\u{82}\u{80}");
    assert!(matches!(upgrade(more.as_bytes(), &WebSocket::default()),
        Upgrade::Accepted { length, .. } if length == text.len()));
}

#[test]
fn s88_what_is_refused_and_how() {
    for (wanted, line) in [
        (404, "GET / HTTP/1.1"),
        (404, "GET /mqtt/ HTTP/1.1"),
        (404, "GET /MQTT HTTP/1.1"),
        (404, "GET /%6dqtt HTTP/1.1"),
        (404, "GET /../mqtt HTTP/1.1"),
        (404, "GET http://broker.example/mqtt HTTP/1.1"),
        (101, "GET /mqtt?token=x HTTP/1.1"),
        (405, "POST /mqtt HTTP/1.1"),
        (405, "HEAD /mqtt HTTP/1.1"),
        (400, "GET /mqtt HTTP/1.0"),
        (400, "GET /mqtt HTTP/2.0"),
        (400, "GET /mqtt"),
        (405, "get /mqtt HTTP/1.1"),
        (400, " GET /mqtt HTTP/1.1"),
    ] {
        assert_eq!(status(&request(line, &FIELDS)), wanted, "{line}");
    }
    for (wanted, field) in [
        (426, "Upgrade:"),
        (426, "Upgrade: h2c"),
        (426, "Connection:"),
        (426, "Connection: close"),
        (426, "Sec-WebSocket-Version:"),
        (426, "Sec-WebSocket-Version: 8"),
        (400, "Sec-WebSocket-Key:"),
        (400, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"),
        (400, "Sec-WebSocket-Key: ****************************"),
        (400, "Host:"),
        (400, "Sec-WebSocket-Protocol: mqtt5, chat"),
        (400, "Sec-WebSocket-Protocol: MQTT"),
        (101, "Sec-WebSocket-Protocol: chat, mqtt"),
        (101, "Sec-WebSocket-Protocol: mqttv3.1"),
        (101, "Sec-WebSocket-Protocol:"),
        (101, "Sec-WebSocket-Extensions: permessage-deflate"),
        (101, "X-Forwarded-For: 10.0.0.1"),
        (400, "Content-Length: 5"),
        (400, "Transfer-Encoding: chunked"),
    ] {
        assert_eq!(status(&with(field)), wanted, "{field}");
    }
    let twice: Vec<&str> = FIELDS.into_iter().chain(["Host: other"]).collect();
    assert_eq!(status(&request("GET /mqtt HTTP/1.1", &twice)), 400);
    let deflate = upgrade(
        with("Sec-WebSocket-Extensions: permessage-deflate").as_bytes(),
        &WebSocket::default(),
    );
    let Upgrade::Accepted { answer, .. } = deflate else {
        panic!("refused")
    };
    assert!(
        !String::from_utf8(answer).unwrap().contains("deflate"),
        "S86: it is off"
    );
}

#[test]
fn s88_a_head_of_64_kib_is_refused_at_eight() {
    let mut text = format!(
        "GET /mqtt HTTP/1.1\r\nHost: x\r\nCookie: {}",
        "x".repeat(64 * 1024)
    );
    assert_eq!(status(&text), 400);
    text.truncate(LONGEST_HEAD - 1);
    assert_eq!(
        upgrade(text.as_bytes(), &WebSocket::default()),
        Upgrade::Incomplete
    );
    text.push('x');
    assert_eq!(status(&text), 400);
    let many: Vec<&str> = FIELDS.into_iter().chain(["X: y"; 64]).collect();
    assert_eq!(status(&request("GET /mqtt HTTP/1.1", &many)), 400);
}

#[test]
fn s82_what_is_no_request_is_not_waited_for() {
    for bytes in [
        &b"\x16\x03\x01"[..],
        b"\x10\x0c\x00\x04MQTT",
        b"GET\r\n",
        b"A_B /",
        b"SSH-2.0",
        b" ",
    ] {
        assert!(
            matches!(
                upgrade(bytes, &WebSocket::default()),
                Upgrade::Refused { .. }
            ),
            "{bytes:?}"
        );
    }
    assert_eq!(
        upgrade(b"OPTIONS", &WebSocket::default()),
        Upgrade::Incomplete
    );
}

#[test]
fn s83_pages_of_the_same_host_and_no_others() {
    for (wanted, origin) in [
        (101, "http://broker.example:8083"),
        (101, "https://broker.example:8083"),
        (101, "https://BROKER.EXAMPLE:8083"),
        (403, "https://broker.example"),
        (403, "https://broker.example:8084"),
        (403, "https://evil.example"),
        (403, "https://broker.example:8083.evil.example"),
        (403, "https://evil.example/broker.example:8083"),
        (403, "file://broker.example:8083"),
        (403, "https://"),
        (403, "null"),
        (403, ""),
    ] {
        let text = format!(
            "{}Origin: {origin}\r\n\r\n",
            request("GET /mqtt HTTP/1.1", &FIELDS)
                .strip_suffix("\r\n")
                .unwrap()
        );
        assert_eq!(status(&text), wanted, "{origin}");
    }
    // A default port may stand there or not.
    let mut fields = FIELDS.to_vec();
    fields[0] = "Host: broker.example:443";
    fields.push("Origin: https://broker.example");
    assert_eq!(status(&request("GET /mqtt HTTP/1.1", &fields)), 101);
    fields.pop();
    fields.push("Origin: http://broker.example");
    assert_eq!(status(&request("GET /mqtt HTTP/1.1", &fields)), 403);
}

#[test]
fn s83_a_list_of_pages() {
    let listed = WebSocket {
        origins: Origins::Listed(vec!["https://app.example".to_owned()]),
        ..WebSocket::default()
    };
    let any = WebSocket {
        origins: Origins::Any,
        ..WebSocket::default()
    };
    let from = |origin: &str| with(&format!("Origin: {origin}"));
    assert_eq!(status_at(&from("https://app.example"), &listed), 101);
    assert_eq!(status_at(&from("http://app.example"), &listed), 403);
    assert_eq!(status_at(&from("http://broker.example:8083"), &listed), 403);
    assert_eq!(status_at(&with("Origin:"), &listed), 101, "no browser");
    assert_eq!(status_at(&from("null"), &any), 101);
}
