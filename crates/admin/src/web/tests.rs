//! The port of the dashboard over a real socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::*;
use crate::routes::{Effect, TABLE};
use crate::tests::house::House;

const PAGE: &[u8] = b"<!doctype html>";

fn files(path: &str) -> Option<Asset> {
    let asset = |content, media_type, is_immutable| Asset {
        content,
        media_type,
        is_immutable,
    };
    match path {
        "" => Some(asset(PAGE, "text/html; charset=utf-8", false)),
        "assets/x.js" => Some(asset(b"1", "text/javascript", true)),
        _ => None,
    }
}

fn house(prefix: &str) -> (House, SocketAddr) {
    bounded(prefix, |_| {})
}

/// A house with other bounds.
fn bounded(prefix: &str, bound: impl FnOnce(&mut crate::Settings)) -> (House, SocketAddr) {
    let house = House::with(|settings| {
        bound(settings);
        settings.web = Some(Settings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            hosts: vec!["mqtt.example.com".into()],
            prefix: prefix.into(),
            tls: None,
            files,
            policy: "default-src 'none'",
        });
    });
    let address = house.api.as_ref().unwrap().web().unwrap();
    (house, address)
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

/// Sends a request with these lines of the head, and reads until the other side closes.
fn ask(to: SocketAddr, line: &str, head: &[&str], body: &str) -> Answer {
    let mut stream = TcpStream::connect(to).unwrap();
    let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
    for one in head {
        text.push_str(&format!("{one}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        text.push_str(&format!(
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        ));
    }
    write!(stream, "{text}\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.into(),
    }
}

const HOST: &str = "Host: localhost:18083";

/// The first administrator's token.
fn token(house: &House, to: SocketAddr) -> String {
    let code = house.api.as_ref().unwrap().setup_code().unwrap();
    let body = json!({"code": code, "username": "root", "password": "correct horse"});
    let made = ask(to, "POST /api/v5/setup", &[HOST], &body.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    made.json()["token"].as_str().unwrap().to_owned()
}

fn with(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn s92_only_the_server_s_own_names_are_answered() {
    let (_house, to) = house("");
    for good in [
        "localhost",
        "LOCALHOST:18083",
        "127.0.0.1",
        "192.0.2.9:1",
        "[::1]:18083",
        "mqtt.example.com",
        "MQTT.example.com:443",
    ] {
        let answer = ask(to, "GET /", &[&format!("Host: {good}")], "");
        assert_eq!(answer.status, 200, "{good}");
    }
    for foreign in [
        "evil.example",
        "evil.example:18083",
        "localhost.evil.example",
        "mqtt.example.com.evil.example",
        "127.0.0.1.evil.example",
        "localhost:x",
        "[::1",
        "[::1]x",
        "",
    ] {
        for path in ["/", "/api/v5/status", "/api/v5/setup", "/assets/x.js"] {
            let answer = ask(
                to,
                &format!("GET {path}"),
                &[&format!("Host: {foreign}")],
                "",
            );
            assert_eq!(answer.status, 421, "{foreign} {path}");
        }
    }
    assert_eq!(
        ask(to, "GET /", &[HOST, "Host: evil.example"], "").status,
        421
    );
    assert_eq!(ask(to, "GET http://evil.example/", &[HOST], "").status, 421);
    assert_eq!(ask(to, "GET /", &[], "").status, 421);
}

#[test]
fn s92_pages_of_other_sites_change_nothing_and_there_is_no_cookie() {
    let (house, to) = house("");
    let authorization = with(&token(&house, to));
    let kick = |extra: &[&str]| {
        let head: Vec<&str> = [HOST, &authorization]
            .into_iter()
            .chain(extra.iter().copied())
            .collect();
        ask(to, "DELETE /api/v5/authorization/denials", &head, "")
    };
    for origin in [
        "https://evil.example",
        "http://localhost",
        "http://localhost:1",
        "null",
        "",
    ] {
        assert_eq!(
            kick(&[&format!("Origin: {origin}")]).status,
            403,
            "{origin}"
        );
    }
    let two = [
        "Origin: http://localhost:18083",
        "Origin: http://evil.example",
    ];
    assert_eq!(kick(&two).status, 403);
    assert_eq!(kick(&["Origin: http://localhost:18083"]).status, 204);
    let signed = kick(&[]);
    assert_eq!(signed.status, 204);
    assert!(!signed.head.contains("set-cookie"));
}

#[test]
fn s91_every_route_of_the_port_asks_who_one_is() {
    let (house, to) = house("");
    let open = ["/api/v5/setup", "/api/v5/login", "/livez", "/readyz"];
    let method = |effect: Effect| match effect {
        Effect::None => "GET",
        Effect::Change => "DELETE",
    };
    let routes = TABLE.iter().filter(|route| !open.contains(&route.path));
    for route in routes {
        let line = format!(
            "{} {}",
            method(route.effect),
            route.path.replace(['{', '}'], "")
        );
        assert_eq!(ask(to, &line, &[HOST], "").status, 401, "{line}");
        for wrong in [
            "Authorization: Bearer x",
            "Authorization: Basic eDp5",
            "Authorization: Basic",
            "Authorization: Digest x",
            "Authorization: ",
            "Cookie: token=x",
        ] {
            assert_eq!(
                ask(to, &line, &[HOST, wrong], "").status,
                401,
                "{line} {wrong}"
            );
        }
    }
    for path in [
        "/api/v5/none",
        "/metrics",
        "/x",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/../x",
    ] {
        assert_eq!(
            ask(to, &format!("GET {path}"), &[HOST], "").status,
            401,
            "{path}"
        );
    }
    assert_eq!(house.lines(), 0);
}

#[test]
fn s96_a_session_begins_with_a_login_and_ends_with_a_logout() {
    let (house, to) = house("");
    assert_eq!(
        ask(to, "GET /api/v5/setup", &[HOST], "").json(),
        json!({"needed": true})
    );
    let first = with(&token(&house, to));
    assert_eq!(
        ask(to, "GET /api/v5/setup", &[HOST], "").json(),
        json!({"needed": false})
    );
    let me = ask(to, "GET /api/v5/me", &[HOST, &first], "").json();
    assert_eq!(
        me,
        json!({"username": "root", "role": "admin", "via": "token"})
    );

    let viewer = json!({"username": "eve", "password": "a long password", "role": "viewer"});
    let made = ask(
        to,
        "POST /api/v5/admins",
        &[HOST, &first],
        &viewer.to_string(),
    );
    assert_eq!(made.status, 201, "{}", made.body);
    let login = |name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        ask(to, "POST /api/v5/login", &[HOST], &body.to_string())
    };
    assert_eq!(login("eve", "wrong").status, 401);
    let session = login("eve", "a long password").json();
    assert_eq!(session["role"], "viewer");
    let eve = with(session["token"].as_str().unwrap());
    assert_eq!(ask(to, "GET /api/v5/status", &[HOST, &eve], "").status, 200);
    for line in [
        "DELETE /api/v5/clients/a",
        "DELETE /api/v5/admins/root",
        "POST /api/v5/api_key",
    ] {
        assert_eq!(ask(to, line, &[HOST, &eve], "").status, 403, "{line}");
    }
    assert_eq!(
        ask(to, "POST /api/v5/logout", &[HOST, &eve], "").status,
        204
    );
    assert_eq!(ask(to, "GET /api/v5/status", &[HOST, &eve], "").status, 401);

    for _ in 0..4 {
        login("eve", "wrong");
    }
    let slow = login("eve", "a long password");
    assert_eq!(slow.status, 429);
    assert!(slow.head.contains("retry-after: "), "{}", slow.head);
    assert_eq!(slow.json()["code"], "TOO_MANY_REQUESTS");
}

#[test]
fn s96_a_viewer_sees_no_payloads() {
    let (house, to) = house("");
    let first = with(&token(&house, to));
    let viewer = json!({"username": "eve", "password": "a long password", "role": "viewer"});
    ask(
        to,
        "POST /api/v5/admins",
        &[HOST, &first],
        &viewer.to_string(),
    );
    let login = json!({"username": "eve", "password": "a long password"}).to_string();
    let session = ask(to, "POST /api/v5/login", &[HOST], &login).json();
    let eve = with(session["token"].as_str().unwrap());
    for (name, payloads) in [("hidden", "hidden"), ("shown", "text")] {
        let new =
            json!({"name": name, "type": "clientid", "value": "c", "payload_encode": payloads});
        let new = new.to_string();
        assert_eq!(
            ask(to, "POST /api/v5/trace", &[HOST, &eve], &new).status,
            403
        );
        assert_eq!(
            ask(to, "POST /api/v5/trace", &[HOST, &first], &new).status,
            201
        );
    }
    for (line, status) in [
        ("GET /api/v5/trace", 200),
        ("GET /api/v5/trace/hidden/log", 200),
        ("GET /api/v5/trace/hidden/download", 200),
        ("GET /api/v5/trace/shown/log", 403),
        ("GET /api/v5/trace/shown/download", 403),
        ("GET /api/v5/trace/none/log", 404),
        ("GET /api/v5/topics", 200),
        ("GET /api/v5/topics/last?topic=a", 403),
    ] {
        assert_eq!(ask(to, line, &[HOST, &eve], "").status, status, "{line}");
    }
    let read = ask(to, "GET /api/v5/trace/shown/download", &[HOST, &first], "");
    assert_eq!(
        (read.status, &*read.body),
        // It comes in chunks (RFC 9112, 7.1): nobody knows before how long it is.
        (200, "15\r\n{\"event\":\"received\"}\n\r\n0\r\n\r\n")
    );
}

#[test]
fn s96_a_key_asks_and_changes_but_never_says_who_may() {
    let (house, to) = house("");
    let first = with(&token(&house, to));
    let body = json!({"name": "deploy", "role": "admin"}).to_string();
    let made = ask(to, "POST /api/v5/api_key", &[HOST, &first], &body).json();
    let shown = format!(
        "{}:{}",
        made["api_key"].as_str().unwrap(),
        made["api_secret"].as_str().unwrap()
    );
    let key = format!("Authorization: Basic {}", {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(shown)
    });
    let me = ask(to, "GET /api/v5/me", &[HOST, &key], "").json();
    assert_eq!(
        me,
        json!({"username": "key deploy", "role": "admin", "via": "key"})
    );
    assert_eq!(
        ask(
            to,
            "DELETE /api/v5/authorization/denials",
            &[HOST, &key],
            ""
        )
        .status,
        204
    );
    let other = json!({"username": "x", "password": "a long password", "role": "admin"});
    let refused = ask(to, "POST /api/v5/admins", &[HOST, &key], &other.to_string());
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(
        ask(to, "POST /api/v5/api_key", &[HOST, &key], &body).status,
        403
    );
    let own = json!({"old_pwd": "correct horse", "new_pwd": "a long password"}).to_string();
    let changed = ask(
        to,
        "POST /api/v5/admins/root/change_pwd",
        &[HOST, &key],
        &own,
    );
    assert_eq!(changed.status, 403);
    let changed = ask(
        to,
        "POST /api/v5/admins/root/change_pwd",
        &[HOST, &first],
        &own,
    );
    assert_eq!(changed.status, 204, "{}", changed.body);
    assert_eq!(ask(to, "GET /api/v5/me", &[HOST, &first], "").status, 401);
}

#[test]
fn s93_files_come_with_the_policy_and_only_by_their_names() {
    let (_house, to) = house("");
    let page = ask(to, "GET /", &[HOST], "");
    assert_eq!(page.body.as_bytes(), PAGE);
    for wanted in [
        "content-security-policy: default-src 'none'; connect-src 'self' ws://localhost:* wss://localhost:*\r\n",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
        "referrer-policy: no-referrer",
        "cache-control: no-cache",
    ] {
        assert!(
            format!("{}\r\n", page.head).contains(wanted),
            "{wanted} in {}",
            page.head
        );
    }
    let script = ask(to, "GET /assets/x.js", &[HOST], "");
    assert!(script.head.contains("immutable") && script.head.contains("text/javascript"));
    assert_eq!(ask(to, "POST /", &[HOST], "x").status, 405);
    assert_eq!(ask(to, "HEAD /", &[HOST], "").body, "");
}

#[test]
fn everything_is_below_the_path_in_front() {
    let (house, to) = house("/mqtt");
    let moved = ask(to, "GET /mqtt", &[HOST], "");
    assert_eq!(moved.status, 308);
    assert!(moved.head.contains("location: /mqtt/"), "{}", moved.head);
    assert_eq!(ask(to, "GET /mqtt/", &[HOST], "").body.as_bytes(), PAGE);
    let status = ask(to, "GET /mqtt/api/v5/setup", &[HOST], "");
    assert_eq!(status.json(), json!({"needed": true}));
    for path in ["/", "/api/v5/setup", "/mqttx", "/mqttapi/v5/setup"] {
        assert_eq!(
            ask(to, &format!("GET {path}"), &[HOST], "").status,
            404,
            "{path}"
        );
    }
    drop(house);
}

#[test]
fn s97_a_setup_that_fails_on_the_disk_is_not_done() {
    let (house, to) = house("");
    // A folder stands where the file is written.
    let in_the_way = house.folder.path().join("administrators.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let code = house.api.as_ref().unwrap().setup_code().unwrap();
    let body = json!({"code": code, "username": "root", "password": "correct horse"});
    let ask = || ask(to, "POST /api/v5/setup", &[HOST], &body.to_string());
    assert_eq!(ask().status, 503);
    let line = house.line();
    let failed = crate::audit::Outcome::Failed;
    assert_eq!((&*line.operation, line.outcome), ("setup", failed));
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(ask().status, 201);
}

#[test]
fn s95_strangers_take_no_room_from_others() {
    let (house, to) = bounded("", |settings| settings.requests = 1);
    let token = token(&house, to);
    let head = "POST /api/v5/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\
         Content-Type: application/json\r\n\r\n{";
    let mut slow: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(to).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    house.ask("GET", "/status", None);
    let status = ask(to, "GET /api/v5/status", &[HOST, &with(&token)], "");
    assert_eq!(status.status, 200);
    let body = json!({"username": "root", "password": "correct horse"});
    let signed = ask(to, "POST /api/v5/login", &[HOST], &body.to_string());
    assert_eq!(signed.status, 200, "{}", signed.body);
    // Nor are they waited for long.
    let mut answer = [0; 12];
    slow[0].read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[test]
fn s95_one_address_has_a_part_of_the_connections() {
    let (house, to) = bounded("", |settings| settings.connections = 8);
    let held = [(); 2].map(|()| {
        let mut stream = TcpStream::connect(to).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    });
    let mut third = TcpStream::connect(to).unwrap();
    // Closed, whether it is told so by an end or by a reset.
    assert!(matches!(third.read(&mut [0; 12]), Ok(0) | Err(_)));
    house.ask("GET", "/status", None);
    drop(held);
    // As soon as the server has seen that they are gone.
    loop {
        let mut stream = TcpStream::connect(to).unwrap();
        let head = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        if stream.write_all(head).is_ok() && stream.read_exact(&mut [0; 12]).is_ok() {
            break;
        }
    }
}
