//! Every attempt to change something leaves a line.

use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use tower::ServiceExt;

use super::house::House;
use crate::audit::Outcome;
use crate::caller::{Caller, Door, Rights, Via};
use crate::http::state::State;
use crate::routes::{Effect, TABLE, router};
use crate::staff::Staff;

/// The one change that needs no rights but to be oneself.
const OWN_PASSWORD: &str = "admin.password";
const USERS: &str = "/authentication/database/users";

/// Asks the routes without a socket, so that the door can be another.
fn through(house: &House, door: Option<Door>, method: &str, path: &str) -> u16 {
    let state = State::new(
        house.fake.clone(),
        house.audit.clone(),
        house.denials.clone(),
        Arc::new(Staff::open(house.folder.path().join("administrators.json")).unwrap()),
        8,
        std::time::Duration::from_secs(10),
        tokio::sync::watch::channel(()).1,
    );
    let mut request = Request::builder().method(method).uri(path);
    if let Some(door) = door {
        request = request.extension(door);
    }
    let request = request.body(Body::empty()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let answer = runtime.block_on(router(&state).oneshot(request)).unwrap();
    answer.status().as_u16()
}

/// The methods of the document for the routes of the table, with a path that can be asked.
fn requests() -> Vec<(String, String)> {
    let document = serde_json::to_value(crate::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let path = path.replace("{as}", "clientid").replace(['{', '}'], "");
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect()
}

#[test]
fn s91_nothing_is_answered_to_who_came_by_no_door() {
    let house = House::new();
    let mut requests = requests();
    assert_eq!(requests.len(), TABLE.len());
    requests.push(("GET".into(), "/".into()));
    requests.push(("GET".into(), "/api/v5/none".into()));
    requests.push(("GET".into(), "/api/v5/clients/%ff".into()));
    requests.push(("PATCH".into(), "/api/v5/status".into()));
    for (method, path) in requests {
        assert_eq!(
            through(&house, None, &method, &path),
            401,
            "{method} {path}"
        );
    }
    assert_eq!(house.lines(), 0);
}

#[test]
fn s96_rights_are_asked_for_at_each_route_and_refusals_are_in_the_log() {
    let house = House::new();
    let ask = |rights: Rights| -> Vec<u16> {
        let caller = Caller {
            who: "eve".into(),
            from: "10.0.0.1".into(),
            rights,
            via: Via::Token,
            address: None,
        };
        let ask = |(method, path): (String, String)| {
            through(&house, Some(Door::Web(caller.clone())), &method, &path)
        };
        requests().into_iter().map(ask).collect()
    };
    let forbidden = |answers: &[u16]| answers.iter().filter(|&&status| status == 403).count();
    let needing = |rights: Rights| TABLE.iter().filter(|route| route.rights > rights).count();
    let changes = TABLE.iter().filter(|route| route.effect == Effect::Change);
    let changes = u64::try_from(changes.count()).unwrap();

    let viewer = ask(Rights::Viewer);
    assert_eq!(forbidden(&viewer), needing(Rights::Viewer));
    // Each change was refused, and has its line.
    assert_eq!(house.lines(), changes);
    let lines = house
        .audit
        .newest(crate::Page::new(1, 100).unwrap())
        .unwrap();
    for line in lines.rows {
        assert_eq!((&*line.who, &*line.from), ("eve", "10.0.0.1"));
        assert_eq!(line.outcome, Outcome::Refused);
        // One's own password is for everybody; here the request for it has no body.
        let by_rights = line.why.unwrap().contains("\"viewer\"");
        assert_eq!(by_rights, line.operation != OWN_PASSWORD);
    }
    for rights in [Rights::Operator, Rights::Admin] {
        assert_eq!(forbidden(&ask(rights)), needing(rights));
    }
    let owner = ask(Rights::Owner);
    assert_eq!(forbidden(&owner), 0);
    // What the document has, the routes have.
    assert!(!owner.contains(&405), "{owner:?}");
    assert_eq!(needing(Rights::Owner), 0);
    // Who looks may not change, whatever it is.
    assert!(TABLE.iter().all(|route| {
        route.effect == Effect::None
            || route.operation == OWN_PASSWORD
            || (route.rights > Rights::Viewer && !route.operation.is_empty())
    }));
}

/// A text names any file of the machine and any variable of the server's environment.
#[test]
fn s97_only_who_may_apply_a_configuration_may_have_one_checked() {
    let house = House::new();
    let ask = |rights: Rights| {
        let caller = Caller {
            who: "key".into(),
            from: "10.0.0.1".into(),
            rights,
            via: Via::Token,
            address: None,
        };
        through(
            &house,
            Some(Door::Web(caller)),
            "POST",
            "/api/v5/configs/check",
        )
    };
    assert_eq!(ask(Rights::Admin), 403);
    assert_ne!(ask(Rights::Owner), 403);
}

#[test]
fn what_makes_no_sense_has_a_line_with_the_reason() {
    let house = House::new();
    let user = json!({"user_id": "ann", "password": ""});
    house.refused("POST", USERS, Some(user));
    let line = house.line();
    assert_eq!((&*line.operation, &*line.target), ("user.create", "ann"));
    assert_eq!(line.outcome, Outcome::Refused);
    assert_eq!(line.why.as_deref(), Some("password: 1 to 65535 bytes"));
    assert!(line.who.starts_with("local user ") && line.from == "control socket");

    // S71: not even a password of a wrong type is repeated.
    let (status, _, message) = house.refused(
        "POST",
        USERS,
        Some(json!({"user_id": "ann", "password": 8427})),
    );
    assert_eq!(status, 400);
    assert!(!message.contains("8427") && !house.line().why.unwrap().contains("8427"));

    house.refused("PUT", &format!("{USERS}/nobody"), Some(json!({})));
    let line = house.line();
    assert_eq!((&*line.target, line.outcome), ("nobody", Outcome::Refused));
    assert_eq!(house.lines(), 3);

    // Nor what stands where something else belongs.
    for body in [json!("hunter2hunter2"), json!({"role": "hunter2hunter2"})] {
        let (status, _, message) = house.refused("PUT", "/admins/ann", Some(body));
        assert_eq!(status, 400);
        let why = house.line().why.unwrap();
        assert!(
            why.contains("expected") && !why.contains("hunter2"),
            "{why}"
        );
        assert_eq!(why, message);
    }

    assert_eq!(house.refused("DELETE", "/clients/%ff", None).0, 400);
    assert_eq!(house.line().target, "/api/v5/clients/%ff");
}

#[test]
fn what_fails_when_it_is_made_has_a_second_line() {
    let house = House::new();
    let name = "on a broken disk";
    house.ask(
        "POST",
        USERS,
        Some(json!({"user_id": name, "password": "p"})),
    );
    let one = format!("{USERS}/{}", crate::client::escaped(name));
    let (status, code, message) = house.refused("PUT", &one, Some(json!({"disabled": true})));
    assert_eq!((status, &*code), (503, "SERVICE_UNAVAILABLE"));
    assert_eq!(message, "the disk is broken");
    let lines = house
        .audit
        .newest(crate::Page::new(1, 2).unwrap())
        .unwrap()
        .rows;
    assert_eq!(lines[0].id, lines[1].id);
    assert_eq!(
        (lines[0].outcome, lines[1].outcome),
        (Outcome::Failed, Outcome::Done)
    );
    assert_eq!(lines[1].after.as_ref().unwrap()["disabled"], true);
}

#[test]
fn without_the_audit_log_nothing_is_changed() {
    // The next line needs a new file, and a folder is in its way.
    let house = House::new();
    let filler = "x".repeat(900_000);
    for _ in 0..2 {
        house
            .audit
            .record("w", "f", "o", "t")
            .done(None, Some(&filler))
            .unwrap_or_default();
        let hindrance = house.folder.path().join("audit.jsonl.new");
        if !hindrance.exists() {
            std::fs::create_dir(&hindrance).unwrap();
        }
    }
    let filler = json!({"rules": [{"permission": "deny", "action": "all",
        "exact": vec!["x".repeat(60_000); 3]}]});
    let (status, _, message) = house.refused("PUT", "/authorization/roles/r", Some(filler.clone()));
    assert_eq!(status, 503);
    assert!(message.contains("nothing is changed"), "{message}");
    assert!(house.fake.roles.lock().unwrap().is_empty());
    std::fs::remove_dir(house.folder.path().join("audit.jsonl.new")).unwrap();
    house.ask("PUT", "/authorization/roles/r", Some(filler));
}

#[test]
fn a_change_goes_on_when_its_caller_hangs_up() {
    let mut house = House::new();
    let (sender, asked) = mpsc::channel();
    *house.fake.asked.lock().unwrap() = Some(sender);
    let mut stream = std::os::unix::net::UnixStream::connect(house.socket()).unwrap();
    let head = b"DELETE /api/v5/clients/slow HTTP/1.1\r\nHost: x\r\n\r\n";
    std::io::Write::write_all(&mut stream, head).unwrap();
    asked.recv().unwrap();
    drop(stream);
    house.fake.go.notify_one();
    // Whoever stops the server waits for it.
    house.api.take().unwrap().stop();
    assert_eq!(*house.fake.kicked.lock().unwrap(), ["slow"]);
    assert_eq!(house.line().outcome, Outcome::Done);
}

#[test]
fn s99_socket_and_log_are_their_owners_alone() {
    let house = House::new();
    for name in ["control.sock", "audit.jsonl"] {
        let found = std::fs::metadata(house.folder.path().join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
}
