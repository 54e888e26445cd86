//! Whatever is asked, it is bounded.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use super::house::House;
use crate::client::Failure;

const USERS: &str = "/authentication/database/users";

#[test]
fn s95_numbers_out_of_range_are_refused() {
    let house = House::new();
    let lists = [
        USERS,
        "/authorization/groups",
        "/authorization/roles",
        "/authorization/denials",
        "/banned",
        "/audit",
    ];
    for list in lists {
        for query in [
            "page=-1",
            "page=0",
            "page=4294967296",
            "page=x",
            "page=",
            "limit=-1",
            "limit=0",
            "limit=10001",
            "limit=9223372036854775808",
            "limit=1e3",
            "pag=1",
            "page=1&page=2",
        ] {
            let (status, code, message) = house.refused("GET", &format!("{list}?{query}"), None);
            assert_eq!(
                (status, &*code),
                (400, "BAD_REQUEST"),
                "{list}?{query}: {message}"
            );
        }
        let last = house.ask("GET", &format!("{list}?page=4294967295&limit=1000"), None);
        assert_eq!(last["data"], json!([]));
        assert_eq!(last["meta"]["hasnext"], false);
    }
    assert_eq!(house.refused("GET", "/audit?limit=1001", None).0, 400);
}

#[test]
fn s95_heads_and_bodies_have_an_end() {
    let house = House::new();
    let head = |field: &str| format!("GET /api/v5/status HTTP/1.0\r\nHost: x\r\n{field}\r\n\r\n");
    assert!(
        house
            .raw(head("A: b").as_bytes())
            .starts_with("HTTP/1.0 200")
    );
    let giant = head(&format!("Baggage: {}", "x".repeat(17 * 1024)));
    let answer = house.raw_until_closed(giant.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    let many = head(&vec!["A: b"; 100].join("\r\n"));
    let answer = house.raw_until_closed(many.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");

    let large = json!({"user_id": "u", "password": "p", "groups": ["x".repeat(1 << 20)]});
    let answer = house
        .client
        .request("POST", &format!("/api/v5{USERS}"), Some(&large));
    let refused = "the body is too large";
    match answer {
        Err(Failure::Refused {
            status,
            code,
            message,
        }) => {
            assert_eq!((status, &*code, &*message), (413, "TOO_LARGE", refused));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(house.line().why.as_deref(), Some(refused));
}

#[test]
fn what_is_not_right_is_said_in_plain_words() {
    let house = House::new();
    let post = |kind: &str, body: &str| {
        let length = body.len();
        let path = "/api/v5/authentication/database/users";
        house.raw(
            format!(
                "POST {path} HTTP/1.0\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    };
    let json = "application/json";
    for (kind, body, status, words) in [
        (
            "text/plain",
            "{}",
            "415",
            "with Content-Type: application/json",
        ),
        (
            json,
            "{",
            "400",
            "the body is not JSON: EOF while parsing an object at line 1",
        ),
        (json, "{}", "400", "missing field `user_id`"),
        (
            json,
            "{\"user_id\": 1}",
            "400",
            "invalid type, expected a string",
        ),
        (
            json,
            "{\"usr\": 1}",
            "400",
            "unknown field, expected one of `user_id`",
        ),
        (json, "[]", "400", "invalid length, expected"),
    ] {
        let answer = post(kind, body);
        assert!(
            answer.starts_with(&format!("HTTP/1.0 {status}")),
            "{answer}"
        );
        assert!(answer.contains(words), "{answer}");
        assert!(
            !answer.contains("target type") && answer.contains("\"code\":"),
            "{answer}"
        );
    }
    let get = |path: &str| house.raw(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
    for (path, status, words) in [
        ("/", "404", "there is nothing at this path"),
        ("/api/v5/clients/%ff", "400", "the path: "),
        ("/api/v5/../../etc/passwd", "404", "NOT_FOUND"),
        ("/api/v5/%2e%2e/%2e%2e/etc/passwd", "404", "NOT_FOUND"),
        ("/api/v5/client", "404", "NOT_FOUND"),
        ("/api/v5/banned/clientid", "404", "NOT_FOUND"),
    ] {
        let answer = get(path);
        assert!(
            answer.starts_with(&format!("HTTP/1.0 {status}")),
            "{path}: {answer}"
        );
        assert!(answer.contains(words), "{path}: {answer}");
    }
    let answer = house.raw(b"PATCH /api/v5/status HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 405") && answer.contains("METHOD_NOT_ALLOWED"));
    assert!(answer.to_lowercase().contains("allow: get"), "{answer}");
    for head in ["cache-control: no-store", "x-content-type-options: nosniff"] {
        assert!(get("/api/v5/status").contains(head));
        assert!(get("/").contains(head));
    }
}

#[test]
fn names_lists_and_rules_are_bounded() {
    let house = House::new();
    let refused = |method: &str, path: &str, body| {
        let (status, _, message) = house.refused(method, path, Some(body));
        assert_eq!(status, 400, "{message}");
        message
    };
    let long = "x".repeat(1025);
    for (name, why) in [("", "empty"), (&*long, "longer"), ("a\nb", "control")] {
        let user = json!({"user_id": name, "password": "p"});
        assert!(refused("POST", USERS, user).contains(why));
    }
    let groups: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
    let user = json!({"user_id": "u", "password": "p", "groups": groups});
    assert!(refused("POST", USERS, user).contains("more than 1000"));
    let user = json!({"user_id": "u", "password": "p", "roles": ["r", "r"]});
    assert!(refused("POST", USERS, user).contains("twice"));

    let rule = json!({"permission": "allow", "action": "all"});
    let role = |rules: Vec<serde_json::Value>| json!({ "rules": rules });
    let path = "/authorization/roles/r";
    assert!(refused("PUT", path, role(vec![rule.clone(); 1001])).contains("more than 1000"));
    for (field, value, why) in [
        (
            "topics",
            json!(vec!["a"; 101]),
            "rule 2: topics: more than 100",
        ),
        ("exact", json!([""]), "rule 2: exact: \"\" is no topic"),
        ("qos", json!([0, 3]), "rule 2: qos: 3 is not 0, 1 or 2"),
    ] {
        let mut wrong = rule.clone();
        wrong[field] = value;
        assert_eq!(refused("PUT", path, role(vec![rule.clone(), wrong])), why);
    }
    assert!(house.fake.roles.lock().unwrap().is_empty());
    let path = format!("/authorization/roles/{}", crate::client::escaped(&long));
    refused("PUT", &path, role(Vec::new()));
}

#[test]
fn more_requests_than_there_is_room_for_are_refused_at_once() {
    let house = House::with(|settings| settings.requests = 1);
    let (sender, asked) = mpsc::channel();
    *house.fake.asked.lock().unwrap() = Some(sender);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| house.ask("GET", "/clients/slow", None));
        asked.recv().unwrap();
        let (status, code, _) = house.refused("GET", "/status", None);
        assert_eq!((status, &*code), (503, "SERVICE_UNAVAILABLE"));
        house.fake.go.notify_one();
        assert_eq!(slow.join().unwrap()["clientid"], "slow");
    });
    house.ask("GET", "/status", None);
}

#[test]
fn a_request_ends_in_time_and_leaves_its_room() {
    let house = House::with(|settings| {
        settings.requests = 1;
        settings.time_limit = Duration::from_millis(20);
    });
    let (status, code, _) = house.refused("GET", "/clients/slow", None);
    assert_eq!((status, &*code), (504, "TIMEOUT"));
    // Nobody promises that the machine is quick; but there is room again.
    loop {
        match house.client.request("GET", "/api/v5/status", None) {
            Ok(_) => break,
            Err(Failure::Refused { status: 504, .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn idle_and_slow_connections_end() {
    let house = House::with(|settings| settings.idle = Duration::from_millis(300));
    assert_eq!(house.raw(b""), "");
    assert_eq!(house.raw(b"GET /api/v5/status HT"), "");
    // After an answer too.
    let answer = house.raw(b"GET /api/v5/status HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn connections_are_bounded_and_others_wait() {
    let house = House::with(|settings| settings.connections = 1);
    let ask = |stream: &mut UnixStream| {
        let head = b"GET /api/v5/status HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(head).unwrap();
    };
    let answered = |stream: &mut UnixStream| {
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\"alarms\":[]}") {
            stream.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    };
    let mut first = UnixStream::connect(house.socket()).unwrap();
    ask(&mut first);
    answered(&mut first);
    let mut second = UnixStream::connect(house.socket()).unwrap();
    ask(&mut second);
    // The server had time for the second: it answers the first again.
    ask(&mut first);
    answered(&mut first);
    second.set_nonblocking(true).unwrap();
    assert!(second.read(&mut [0]).is_err());
    second.set_nonblocking(false).unwrap();
    drop(first);
    answered(&mut second);
}

#[test]
fn a_mistake_of_the_server_ends_one_request_alone() {
    let house = House::new();
    for method in ["GET", "DELETE"] {
        let (status, code, _) = house.refused(method, "/clients/panics", None);
        assert_eq!((status, &*code), (500, "INTERNAL_ERROR"));
    }
    house.ask("GET", "/status", None);
    // The attempt has a line all the same.
    let line = house.line();
    assert_eq!(line.outcome, crate::audit::Outcome::Failed);
}

#[test]
fn a_file_that_is_too_large_or_breaks_off_imports_nobody() {
    let house = House::new();
    let path = format!("/api/v5{USERS}/import?format=mosquitto");
    let file = b"# no more than a comment, line by line\n".repeat(1_800_000);
    let length = u64::try_from(file.len()).unwrap();
    let answer = house.client.upload(&path, &mut &file[..], length);
    let Err(Failure::Refused {
        status: 400,
        message,
        ..
    }) = answer
    else {
        panic!("{answer:?}");
    };
    assert!(
        message.contains("there are more than 67108864 bytes"),
        "{message}"
    );

    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nann:$7$1\n");
    let mut stream = UnixStream::connect(house.socket()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(house.fake.users.lock().unwrap().is_empty());
}

impl House {
    /// As [`House::raw`], for a server that may hang up before it has read all.
    fn raw_until_closed(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        // It may hang up before it has all of it.
        drop(stream.write_all(bytes));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        String::from_utf8(answer).unwrap()
    }
}

#[test]
fn one_file_is_imported_at_a_time() {
    let house = House::new();
    let path = format!("/api/v5{USERS}/import?format=mosquitto");
    let head = format!("POST {path} HTTP/1.0\r\nContent-Length: 9\r\n\r\n");
    let mut first = UnixStream::connect(house.socket()).unwrap();
    first.write_all(head.as_bytes()).unwrap();
    // The first is inside as soon as the second is not let in.
    let refused = loop {
        match house.client.upload(&path, &mut &b""[..], 0) {
            Ok(answer) => assert_eq!(answer["created"], 0),
            Err(refused) => break refused,
        }
    };
    assert_eq!(
        refused.to_string(),
        "another import goes on; try again when it is done"
    );
    first.write_all(b"ann:$7$1\n").unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"created\":1"), "{answer}");
    house.client.upload(&path, &mut &b""[..], 0).unwrap();
}

#[test]
fn s95_a_file_that_stops_coming_gives_its_turn_back() {
    let house = House::with(|settings| settings.time_limit = Duration::from_millis(300));
    let path = format!("/api/v5{USERS}/import?format=mosquitto");
    let head = format!("POST {path} HTTP/1.0\r\nContent-Length: 100\r\n\r\nann:$7$1\n");
    // It stays open, as one whose machine is gone.
    let mut stalled = UnixStream::connect(house.socket()).unwrap();
    stalled.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stalled.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400"), "{answer}");
    assert!(answer.contains("comes too slowly"), "{answer}");
    assert!(house.fake.users.lock().unwrap().is_empty());
    house.client.upload(&path, &mut &b""[..], 0).unwrap();
}

#[test]
fn s95_who_does_not_read_is_hung_up_on() {
    let house = House::with(|settings| {
        settings.connections = 1;
        settings.idle = Duration::from_millis(300);
    });
    let mut deaf = UnixStream::connect(house.socket()).unwrap();
    // Far more than the system holds for who does not read.
    let head = "GET /api/v5/api-docs.json HTTP/1.1\r\nHost: x\r\n\r\n";
    deaf.write_all(head.repeat(64).as_bytes()).unwrap();
    // The only place is free again.
    house.ask("GET", "/status", None);
    drop(deaf);
}
