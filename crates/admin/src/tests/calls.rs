//! What each route answers.

use serde_json::{Value, json};

use super::house::House;
use crate::alarms::Severity;
use crate::client::{Client, Failure, escaped};
use crate::denials::{Denial, Wanted};
use crate::page::Rows;
use crate::server::{Explained, Selector, Status};
use crate::{Problem, Settings, Stamp};

const USERS: &str = "/authentication/database/users";

#[test]
fn a_user_is_made_changed_and_removed_and_its_password_never_answered() {
    let house = House::new();
    let new = json!({"user_id": "ann/ä", "password": "s3cret", "groups": ["ops"]});
    let made = house.ask("POST", USERS, Some(new.clone()));
    assert_eq!(made["user_id"], "ann/ä");
    let one = format!("{USERS}/{}", escaped("ann/ä"));
    assert_eq!(house.ask("GET", &one, None), made);
    let (status, code, _) = house.refused("POST", USERS, Some(new));
    assert_eq!((status, &*code), (409, "ALREADY_EXISTS"));

    let changed = house.ask(
        "PUT",
        &one,
        Some(json!({"disabled": true, "password": "other"})),
    );
    assert_eq!(
        (&changed["disabled"], &changed["groups"]),
        (&json!(true), &json!(["ops"]))
    );
    assert_eq!(house.fake.users.lock().unwrap()["ann/ä"].1, "other");
    let changed = house.ask("PUT", &format!("{one}/groups"), Some(json!({"groups": []})));
    assert_eq!(changed["groups"], json!([]));

    assert_eq!(house.ask("DELETE", &one, None), Value::Null);
    for method in ["GET", "DELETE"] {
        let (status, code, message) = house.refused(method, &one, None);
        assert_eq!((status, &*code), (404, "NOT_FOUND"));
        assert_eq!(message, "there is no such user");
    }
    let log = std::fs::read_to_string(house.folder.path().join("audit.jsonl")).unwrap();
    assert!(log.contains("(changed)") && !log.contains("s3cret") && !log.contains("other"));
    assert!(!made.to_string().contains("s3cret"));
}

#[test]
fn lists_come_in_pages_and_by_filters() {
    let house = House::new();
    for number in 0..5 {
        let group = if number % 2 == 0 { "even" } else { "odd" };
        let user = json!({"user_id": format!("u{number}"), "password": "p", "groups": [group]});
        house.ask("POST", USERS, Some(user));
    }
    let page = house.ask("GET", &format!("{USERS}?page=2&limit=2"), None);
    let names = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["user_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&page), ["u2", "u3"]);
    assert_eq!(
        page["meta"],
        json!({"page": 2, "limit": 2, "count": 5, "hasnext": true})
    );
    let page = house.ask("GET", &format!("{USERS}?group=odd"), None);
    assert_eq!(names(&page), ["u1", "u3"]);
    assert_eq!(
        page["meta"],
        json!({"page": 1, "limit": 100, "count": 2, "hasnext": false})
    );
    let page = house.ask("GET", &format!("{USERS}?like_user_id=4"), None);
    assert_eq!(names(&page), ["u4"]);
}

#[test]
fn groups_and_roles_are_put_and_removed() {
    let house = House::new();
    let rules = json!({"rules": [
        {"permission": "allow", "action": "publish", "topics": ["a/${clientid}"], "qos": [0, 1]},
        {"permission": "deny", "action": "all", "exact": ["#"], "retain": true},
    ]});
    let role = house.ask("PUT", "/authorization/roles/r", Some(rules.clone()));
    assert_eq!(
        (&role["name"], &role["rules"]),
        (&json!("r"), &rules["rules"])
    );
    let group = house.ask(
        "PUT",
        "/authorization/groups/g",
        Some(json!({"roles": ["r"]})),
    );
    assert_eq!(group, json!({"name": "g", "roles": ["r"], "members": 0}));
    for (path, one) in [
        ("/authorization/roles", role),
        ("/authorization/groups", group),
    ] {
        let name = one["name"].as_str().unwrap();
        assert_eq!(house.ask("GET", path, None)["data"], json!([one]));
        assert_eq!(house.ask("GET", &format!("{path}/{name}"), None), one);
        house.ask("DELETE", &format!("{path}/{name}"), None);
        assert_eq!(
            house.refused("DELETE", &format!("{path}/{name}"), None).0,
            404
        );
    }
}

#[test]
fn a_ban_says_who_made_it_and_until_when() {
    let house = House::new();
    let net = json!({"as": "peerhost", "who": "10.0.0.0/8", "until": "2030-01-01T00:00:00+01:00"});
    let ban = house.ask("POST", "/banned", Some(net));
    assert_eq!(ban["until"], "2029-12-31T23:00:00.000Z");
    assert!(ban["by"].as_str().unwrap().starts_with("local user "));
    let one = format!("/banned/peerhost/{}", escaped("10.0.0.0/8"));
    assert_eq!(house.ask("GET", &one, None), ban);
    assert_eq!(house.ask("GET", "/banned", None)["data"], json!([ban]));
    house.ask("DELETE", &one, None);
    assert_eq!(house.refused("GET", &one, None).0, 404);

    let ban = house.ask(
        "POST",
        "/banned",
        Some(json!({"as": "clientid", "who": "c"})),
    );
    assert_eq!(ban["until"], "infinity");
    let wrong = [
        json!({"as": "clientid", "who": "c", "until": "tomorrow"}),
        json!({"as": "somebody", "who": "c"}),
        json!({"as": "peerhost", "who": "nowhere"}),
        json!({"as": "clientid", "who": ""}),
        json!({"as": "clientid", "who": "c", "untl": "infinity"}),
    ];
    for body in wrong {
        let (status, code, message) = house.refused("POST", "/banned", Some(body));
        assert_eq!((status, &*code), (400, "BAD_REQUEST"), "{message}");
    }
    assert_eq!(house.refused("GET", "/banned/somebody/c", None).0, 400);
}

#[test]
fn users_are_imported_all_or_none() {
    let house = House::new();
    let import = |query: &str, file: &str| {
        let path = format!("/api/v5{USERS}/import?{query}");
        let length = u64::try_from(file.len()).unwrap();
        house.client.upload(&path, &mut file.as_bytes(), length)
    };
    let answer = import("format=mosquitto", "ann:$7$1\nbob:$7$2\n").unwrap();
    assert_eq!(answer, json!({"created": 2, "replaced": 0, "kept": 0}));
    let line = house.line();
    assert_eq!(
        (&*line.operation, line.after),
        ("user.import", Some(answer))
    );

    let file = "user_id,password\ncid,x\nann,y\n";
    let Err(Failure::Refused {
        status: 409,
        message,
        ..
    }) = import("format=csv", file)
    else {
        panic!("ann exists");
    };
    assert_eq!(message, "line 3: it exists");
    assert!(!house.fake.users.lock().unwrap().contains_key("cid"));
    let answer = import("format=csv&existing=keep", file).unwrap();
    assert_eq!(answer, json!({"created": 1, "replaced": 0, "kept": 1}));
    import("format=csv&existing=replace", file).unwrap();
    assert_eq!(house.fake.users.lock().unwrap()["ann"].1, "y");

    for (query, file) in [("format=mosquitto", "x"), ("format=xml", ""), ("", "")] {
        let Err(Failure::Refused { status: 400, .. }) = import(query, file) else {
            panic!("{query} {file}");
        };
    }
}

#[test]
fn a_large_file_is_read_as_it_comes() {
    let house = House::new();
    let mut file = Vec::new();
    for number in 0..100_000 {
        file.extend_from_slice(format!("user{number}:$7$101$c2FsdA==$aGFzaA==\n").as_bytes());
    }
    let length = u64::try_from(file.len()).unwrap();
    assert!(length > 3 << 20);
    let path = format!("/api/v5{USERS}/import?format=mosquitto");
    let answer = house.client.upload(&path, &mut &file[..], length).unwrap();
    assert_eq!(answer["created"], 100_000);
}

#[test]
fn alarms_are_listed() {
    let house = House::new();
    house
        .fake
        .alarms
        .raise(Severity::Warning, "disk", "d", "slow");
    house
        .fake
        .alarms
        .raise(Severity::Warning, "flapping", "c", "often");
    house.fake.alarms.clear("disk", "d");
    let names = |query: &str| {
        let rows = house.ask("GET", &format!("/alarms{query}"), None)["data"].take();
        let names = rows.as_array().unwrap().iter();
        names
            .map(|row| row["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["flapping", "disk"]);
    assert_eq!(names("?activated=true"), ["flapping"]);
    assert_eq!(names("?activated=false"), ["disk"]);
}

#[test]
fn clients_are_listed_piece_by_piece() {
    let house = House::new();
    let mut ids = Vec::new();
    let mut query = String::from("limit=2");
    loop {
        let piece = house.ask("GET", &format!("/clients?{query}"), None);
        let rows = piece["data"].as_array().unwrap();
        ids.extend(
            rows.iter()
                .map(|row| row["clientid"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = piece["meta"]["cursor"].as_str() else {
            assert_eq!(piece["meta"]["hasnext"], false);
            break;
        };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(ids, ["c0", "c1", "c2", "c3", "c4"]);
    let away = house.ask("GET", "/clients?conn_state=disconnected", None);
    assert_eq!(away["data"][0]["clientid"], "c0");
    let of = house.ask("GET", "/clients/x/subscriptions?cursor=1", None);
    assert_eq!(of["data"][0]["topic"], "x/b");
    assert_eq!(house.refused("GET", "/clients?cursor=x", None).0, 400);
    assert_eq!(house.refused("GET", "/clients?conn_state=x", None).0, 400);
}

#[test]
fn clients_are_shown_and_kicked() {
    let house = House::new();
    let client = house.ask("GET", &format!("/clients/{}", escaped("a b/c")), None);
    assert_eq!(
        (&client["clientid"], &client["connected"]),
        (&json!("a b/c"), &json!(true))
    );
    house.ask("DELETE", "/clients/c", None);
    assert_eq!(*house.fake.kicked.lock().unwrap(), ["c"]);
    let line = house.line();
    assert_eq!((&*line.operation, &*line.target), ("client.kick", "c"));
    assert_eq!(house.refused("DELETE", "/clients/nobody", None).0, 404);
    assert_eq!(house.fake.kicked.lock().unwrap().len(), 1);
}

#[test]
fn denials_are_listed_by_filters_and_forgotten() {
    let house = House::new();
    for (number, topic) in ["a", "b", "c"].into_iter().enumerate() {
        house.denials.push(Denial {
            at: Stamp::from_millis(0),
            wanted: if number == 1 {
                Wanted::Subscribe
            } else {
                Wanted::Publish
            },
            clientid: Some("c1".into()),
            username: None,
            peer: Some("10.0.0.1:1".into()),
            topic: Some(topic.into()),
            why: None,
        });
    }
    let topics = |query: &str| -> Vec<Value> {
        let path = format!("/authorization/denials?{query}");
        let page = house.ask("GET", &path, None);
        let rows = page["data"].as_array().unwrap();
        rows.iter().map(|row| row["topic"].clone()).collect()
    };
    assert_eq!(topics(""), ["c", "b", "a"]);
    assert_eq!(topics("wanted=publish"), ["c", "a"]);
    assert_eq!(topics("clientid=c1&topic=b&limit=1"), ["b"]);
    assert!(topics("username=u").is_empty());
    assert_eq!(
        house
            .refused("GET", "/authorization/denials?wanted=all", None)
            .0,
        400
    );
    house.ask("DELETE", "/authorization/denials", None);
    assert!(topics("").is_empty());
    assert_eq!(house.line().operation, "denials.clear");
}

#[test]
fn why_is_asked_and_answered() {
    let house = House::new();
    let mut request = json!({"clientid": "c", "username": "u", "action": "publish", "topic": "a"});
    let answer: Explained = house
        .client
        .call("POST", "/api/v5/authorization/explain", Some(&request))
        .unwrap();
    assert_eq!(answer.authentication.username.as_deref(), Some("u"));
    assert_eq!(house.lines(), 0);
    for (field, value) in [
        ("topic", json!("a/#")),
        ("topic", json!("")),
        ("qos", json!(3)),
        ("clientid", json!("")),
        ("action", json!("eat")),
    ] {
        let kept = request[field].clone();
        request[field] = value;
        let refused = house.refused("POST", "/authorization/explain", Some(request.clone()));
        assert_eq!(refused.0, 400, "{field}: {refused:?}");
        request[field] = if field == "qos" { json!(0) } else { kept };
    }
    request["action"] = json!("subscribe");
    request["topic"] = json!("$share/g/a/#");
    house.ask("POST", "/authorization/explain", Some(request.clone()));
    request["topic"] = json!("$share//a");
    assert_eq!(
        house
            .refused("POST", "/authorization/explain", Some(request))
            .0,
        400
    );
}

#[test]
fn back_ends_are_shown_and_asked_again() {
    let house = House::new();
    assert_eq!(house.ask("GET", "/authentication", None)["throttled"], 7);
    let cache = "/authorization/cache";
    house.ask("DELETE", cache, None);
    house.ask("DELETE", &format!("{cache}?clientid=c"), None);
    house.ask("DELETE", &format!("{cache}?username=u"), None);
    let expected = [
        Selector::All,
        Selector::Client("c".into()),
        Selector::User("u".into()),
    ];
    assert_eq!(*house.fake.purged.lock().unwrap(), expected);
    assert_eq!(house.line().target, "username/u");
    // A slip of the pen must not mean all.
    for query in ["clientd=c", "clientid=c&username=u"] {
        assert_eq!(
            house.refused("DELETE", &format!("{cache}?{query}"), None).0,
            400
        );
    }
    assert_eq!(house.fake.purged.lock().unwrap().len(), 3);
}

#[test]
fn status_listeners_audit_and_the_document_are_shown() {
    let house = House::new();
    let status: Status = house
        .client
        .call("GET", "/api/v5/status", None::<&()>)
        .unwrap();
    assert_eq!(status.version, "1.2.3");
    let listeners = house.ask("GET", "/listeners", None);
    assert_eq!(listeners["data"][0]["name"], "mqtt-1883");
    house.ask("DELETE", "/clients/c", None);
    let lines: Rows<crate::audit::Line> = house
        .client
        .call("GET", "/api/v5/audit", None::<&()>)
        .unwrap();
    assert_eq!(lines.data[0], house.line());
    let document = house.ask("GET", "/api-docs.json", None);
    assert_eq!(document, serde_json::to_value(crate::openapi()).unwrap());
}

#[test]
fn without_a_server_the_command_line_says_what_to_do() {
    let mut house = House::new();
    house.ask("GET", "/status", None);
    assert!(house.socket().exists());
    house.api.take().unwrap().stop();
    assert!(!house.socket().exists());
    let failure = house
        .client
        .request("GET", "/api/v5/status", None)
        .unwrap_err();
    assert!(matches!(failure, Failure::NoServer(_)));
    let folder = house.folder.path().display();
    assert!(
        failure
            .to_string()
            .contains(&format!("with the data folder {folder}; start it"))
    );
}

#[test]
fn a_second_server_does_not_take_the_socket() {
    let house = House::new();
    let mut settings = Settings::new(house.folder.path().join("administrators.json"));
    settings.socket = Some(house.socket());
    let second = crate::Api::start(
        settings,
        house.fake.clone(),
        house.audit.clone(),
        house.denials.clone(),
    );
    assert!(matches!(second, Err(Problem::Running(_))));
    house.ask("GET", "/status", None);
}

#[test]
fn an_answer_that_is_none_is_called_so() {
    use std::io::{Read, Write};
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = Client::new(path);
    for answer in [
        &b""[..],
        b"SSH-2.0\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
    ] {
        let served = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 1024];
                assert!(stream.read(&mut head).unwrap() > 0);
                stream.write_all(answer).unwrap();
            });
            client.request("GET", "/", None)
        });
        assert!(matches!(served, Err(Failure::Strange(_))), "{served:?}");
    }
}
