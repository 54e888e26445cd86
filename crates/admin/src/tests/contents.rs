//! Messages and subscriptions.

use serde_json::{Value, json};

use super::house::House;
use crate::audit::Outcome;
use crate::client::escaped;

#[test]
fn a_message_is_published_as_it_is_written() {
    let house = House::new();
    let message = json!({"topic": "a/b", "payload": "aGk=", "payload_encoding": "base64", "qos": 1,
        "retain": true, "properties": {"content_type": "text/plain", "message_expiry_interval": 9,
        "user_properties": {"k": "v"}}});
    assert_eq!(
        house.ask("POST", "/publish", Some(message)),
        json!({"id": "m1"})
    );
    let answer = house.ask(
        "POST",
        "/publish",
        Some(json!({"topic": "nobody", "payload": "x"})),
    );
    assert_eq!(answer["reason_code"], 16);
    let published = house.fake.published.lock().unwrap();
    assert_eq!(
        (&*published[0].payload.0, published[0].qos),
        (&b"hi"[..], 1)
    );
    assert!(published[0].retain && !published[1].retain);
    assert_eq!(published[0].properties.user_properties["k"], "v");
    assert_eq!((&*published[1].payload.0, published[1].qos), (&b"x"[..], 0));
    // What is in a message is not for the audit log.
    let log = std::fs::read_to_string(house.folder.path().join("audit.jsonl")).unwrap();
    assert!(log.contains("\"target\":\"a/b\"") && !log.contains("hi") && !log.contains("aGk="));
}

#[test]
fn s51_what_is_no_message_for_clients_is_refused_with_a_line() {
    let house = House::new();
    for (message, status) in [
        (json!({"topic": "a/#", "payload": ""}), 400),
        (json!({"topic": "", "payload": ""}), 400),
        (json!({"topic": "a", "payload": "", "qos": 3}), 400),
        (
            json!({"topic": "a", "payload": "?", "payload_encoding": "base64"}),
            400,
        ),
        (json!({"topic": "a", "payload": "", "clientid": "c"}), 400),
        (
            json!({"topic": "a", "payload": "", "properties": {"x": 1}}),
            400,
        ),
        (json!({"topic": "$SYS/x", "payload": ""}), 403),
        (json!({"topic": "busy", "payload": ""}), 503),
    ] {
        let refused = house.refused("POST", "/publish", Some(message.clone()));
        assert_eq!(refused.0, status, "{message}: {}", refused.2);
        assert_ne!(house.line().outcome, Outcome::Done, "{message}");
    }
    assert!(house.fake.published.lock().unwrap().is_empty());
}

#[test]
fn messages_are_published_together_or_not_at_all_if_one_is_none() {
    let house = House::new();
    let wrong = json!([{"topic": "a", "payload": ""}, {"topic": "+", "payload": ""}]);
    let refused = house.refused("POST", "/publish/bulk", Some(wrong));
    assert_eq!(
        (refused.0, &*refused.2),
        (400, "message 2: topic: \"+\" is no topic")
    );
    assert!(house.fake.published.lock().unwrap().is_empty());
    let good = json!([{"topic": "a", "payload": "1"}, {"topic": "nobody", "payload": "2"}]);
    let became = house.ask("POST", "/publish/bulk", Some(good));
    assert_eq!(
        (&became[0]["id"], &became[1]["reason_code"]),
        (&json!("m1"), &json!(16))
    );
    let many = json!(vec![json!({"topic": "a", "payload": ""}); 1001]);
    assert_eq!(house.refused("POST", "/publish/bulk", Some(many)).0, 400);
    assert_eq!(
        house.refused("POST", "/publish/bulk", Some(json!([]))).0,
        400
    );
}

#[test]
fn retained_messages_are_listed_shown_and_deleted() {
    let house = House::new();
    for topic in ["a/b", "c", "d"] {
        let mut retained = house.fake.retained.lock().unwrap();
        retained.insert(topic.into(), b"payload".to_vec());
    }
    let list = "/mqtt/retainer/messages";
    let first = house.ask("GET", &format!("{list}?limit=2"), None);
    assert_eq!(first["data"][0]["topic"], "a/b");
    assert!(first["data"][0].get("payload").is_none());
    let cursor = first["meta"]["cursor"].as_str().unwrap();
    let rest = house.ask("GET", &format!("{list}?limit=2&cursor={cursor}"), None);
    assert_eq!(
        (&rest["data"][0]["topic"], &rest["meta"]["hasnext"]),
        (&json!("d"), &json!(false))
    );
    for query in [
        "limit=1001",
        "topic=a%23",
        "topic=%24share/g/a%23",
        "page=1",
    ] {
        assert_eq!(
            house.refused("GET", &format!("{list}?{query}"), None).0,
            400,
            "{query}"
        );
    }

    let one = format!("/mqtt/retainer/message/{}", escaped("a/b"));
    assert_eq!(house.ask("GET", &one, None)["payload"], "cGF5bG9hZA==");
    house.ask("DELETE", &one, None);
    assert_eq!(
        (&*house.line().operation, &*house.line().target),
        ("retained.delete", "a/b")
    );
    assert_eq!(house.refused("DELETE", &one, None).0, 404);
    assert_eq!(house.line().outcome, Outcome::Refused);

    let gone = house.ask(
        "POST",
        "/mqtt/retainer/delete",
        Some(json!({"filter": "#"})),
    );
    assert_eq!(gone, json!({"deleted": 2}));
    assert_eq!(house.line().after, Some(json!({"deleted": 2})));
    assert_eq!(house.line().target, "#");
    let wrong = Some(json!({"filter": "a#"}));
    assert_eq!(house.refused("POST", "/mqtt/retainer/delete", wrong).0, 400);
}

#[test]
fn clients_are_subscribed_and_disconnected_for() {
    let house = House::new();
    let wish = json!({"topic": "$share/g/a/+", "qos": 1, "nl": 0, "rap": true, "rh": 2});
    let done = house.ask("POST", "/clients/c1/subscribe", Some(wish));
    assert_eq!((&done["rap"], &done["nl"]), (&json!(true), &json!(false)));
    assert_eq!(house.line().after.unwrap()["topic"], "$share/g/a/+");
    let made = house.fake.subscribed.lock().unwrap()[0].clone();
    assert_eq!((&*made.0, made.1.retain_handling), ("c1", 2));
    let nobody = Some(json!({"topic": "a"}));
    assert_eq!(
        house.refused("POST", "/clients/nobody/subscribe", nobody).0,
        404
    );
    for wrong in [
        json!({"topic": "a#"}),
        json!({"topic": "a", "qos": 3}),
        json!({"topic": "a", "rh": 3}),
        json!({"topic": "a", "nl": 2}),
    ] {
        assert_eq!(
            house
                .refused("POST", "/clients/c1/subscribe", Some(wrong))
                .0,
            400
        );
    }
    let gone = house.ask(
        "POST",
        "/clients/c1/unsubscribe",
        Some(json!({"topic": "a"})),
    );
    assert_eq!(gone, Value::Null);
    assert_eq!(house.line().before, Some(json!({"topic": "a"})));

    house.ask("POST", "/clients/kickout/bulk", Some(json!(["a", "b"])));
    assert_eq!(*house.fake.kicked.lock().unwrap(), ["a", "b"]);
    assert_eq!(house.line().after, Some(json!(["a", "b"])));
    let many = Some(json!(vec!["a"; 1001]));
    assert_eq!(house.refused("POST", "/clients/kickout/bulk", many).0, 400);
}

#[test]
fn messages_of_a_client_come_in_pieces() {
    let house = House::new();
    let path = "/clients/c1/mqueue_messages";
    let first = house.ask("GET", &format!("{path}?limit=2"), None);
    assert_eq!(first["meta"], json!({"last": 2, "count": 3}));
    assert_eq!(first["data"][0]["payload"], "cA==");
    let rest = house.ask("GET", &format!("{path}?limit=2&after=2"), None);
    assert_eq!(
        (
            rest["data"].as_array().unwrap().len(),
            &rest["meta"]["last"]
        ),
        (1, &Value::Null)
    );
    let inflight = house.ask("GET", "/clients/c1/inflight_messages", None);
    assert_eq!(inflight["data"][0]["state"], "puback");
    for query in ["limit=1001", "limit=0", "after=-1", "after=x"] {
        assert_eq!(
            house.refused("GET", &format!("{path}?{query}"), None).0,
            400,
            "{query}"
        );
    }
}

#[test]
fn s95_an_ordered_list_ends() {
    let house = House::new();
    let page = house.ask("GET", "/clients?sort=-recv_msg&page=2&limit=2", None);
    assert_eq!(page["meta"]["page"], 2);
    assert_eq!(page["meta"]["count"], 5);
    assert_eq!(page["meta"]["hasnext"], true);
    for query in [
        "sort=x",
        "sort=",
        "sort=clientid&cursor=0",
        "page=2",
        "sort=clientid&page=101&limit=100",
        "sort=clientid&page=4294967295&limit=10000",
        "proto_ver=2",
        "proto_ver=6",
    ] {
        assert_eq!(
            house.refused("GET", &format!("/clients?{query}"), None).0,
            400,
            "{query}"
        );
    }
}

#[test]
fn subscriptions_groups_and_receivers_are_found() {
    let house = House::new();
    let list = house.ask("GET", "/subscriptions?clientid=x&qos=2&limit=2", None);
    assert_eq!(
        (&list["data"][0]["clientid"], &list["data"][0]["qos"]),
        (&json!("x"), &json!(2))
    );
    assert_eq!(list["meta"]["hasnext"], true);
    for query in [
        "qos=3",
        "match_topic=a%23",
        "topic=a%23b",
        "page=1",
        "limit=0",
    ] {
        assert_eq!(
            house
                .refused("GET", &format!("/subscriptions?{query}"), None)
                .0,
            400,
            "{query}"
        );
    }
    let groups = house.ask("GET", "/shared_groups?limit=2", None);
    assert_eq!(
        (&groups["meta"]["count"], &groups["data"][1]["group"]),
        (&json!(3), &json!("h"))
    );
    let match_ = |body: Value| house.ask("POST", "/subscriptions/match", Some(body));
    assert_eq!(match_(json!({"topic": "t"}))["receivers"][0]["filter"], "t");
    assert_eq!(
        match_(json!({"topic": "t", "from": "me"}))["receivers"][0]["clientid"],
        "me"
    );
    let wrong = Some(json!({"topic": "t/#"}));
    assert_eq!(house.refused("POST", "/subscriptions/match", wrong).0, 400);
    // To ask is no change.
    assert_eq!(house.lines(), 0);
}
