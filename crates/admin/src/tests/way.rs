//! What is on its way: topics, drops, timelines, slow consumers, traces.

use std::sync::mpsc;

use serde_json::{Value, json};

use super::house::House;
use crate::server::BridgeOrder;

#[test]
fn a_level_of_the_topics_goes_on_behind_a_name() {
    let house = House::new();
    let first = house.ask("GET", "/topics?under=plant/7&limit=1", None);
    assert_eq!(first["data"][0]["topic"], "plant/7/humidity");
    assert_eq!(first["meta"]["after"], "humidity");
    let next = house.ask("GET", "/topics?under=plant/7&limit=2&after=humidity", None);
    assert_eq!(next["data"][0]["name"], "temperature");
    assert_eq!(next["meta"]["after"], Value::Null);
    // Nothing is the first level.
    let top = house.ask("GET", "/topics?under=", None);
    assert_eq!(top["data"][0]["topic"], "humidity");
    for query in ["limit=0", "limit=1001", "limit=x", "page=1"] {
        let (status, code, _) = house.refused("GET", &format!("/topics?{query}"), None);
        assert_eq!((status, &*code), (400, "BAD_REQUEST"), "{query}");
    }
    let last = house.ask("GET", "/topics/last?topic=plant%2F7", None);
    assert_eq!(
        (&last["topic"], &last["payload"]),
        (&json!("plant/7"), &json!("aGk="))
    );
}

#[test]
fn s95_who_serves_does_not_wait_for_the_tree_of_topics() {
    let house = House::new();
    let ((asked, was_asked), (go, let_go)) = (mpsc::channel(), mpsc::channel());
    *house.fake.asked.lock().unwrap() = Some(asked);
    *house.fake.let_go.lock().unwrap() = Some(let_go);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| house.ask("GET", "/topics/last?topic=slow", None));
        was_asked.recv().unwrap();
        // Others are answered meanwhile.
        let others = scope.spawn(|| house.ask("GET", "/status", None));
        let status = others.join();
        go.send(()).unwrap();
        assert_eq!(status.unwrap()["version"], "1.2.3");
        assert_eq!(slow.join().unwrap()["topic"], "slow");
    });
}

#[test]
fn a_trace_is_downloaded_whole() {
    let house = House::new();
    let line = "{\"event\":\"received\"}\n";
    let new = json!({"name": "t1", "type": "topic", "value": "a/#"});
    house.ask("POST", "/trace", Some(new));
    let get = |name: &str| {
        let path = format!("/api/v5/trace/{name}/download");
        house.raw(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
    };
    let answer = get("t1");
    assert!(
        answer.starts_with("HTTP/1.0 200") && answer.ends_with(line),
        "{answer}"
    );
    assert!(answer.contains("content-type: text/plain; charset=utf-8"));
    assert!(get("t2").starts_with("HTTP/1.0 404"));
}

#[test]
fn a_trace_is_started_read_stopped_and_removed_each_with_a_line_in_the_audit_log() {
    let house = House::new();
    let new = json!({"name": "t1", "type": "topic", "value": "a/#", "payload_encode": "text"});
    let made = house.ask("POST", "/trace", Some(new));
    assert_eq!(
        (&made["type"], &made["status"]),
        (&json!("topic"), &json!("running"))
    );
    assert_eq!(house.ask("GET", "/trace", None)["data"][0]["name"], "t1");
    let read = house.ask("GET", "/trace/t1/log?position=0&bytes=5", None);
    assert_eq!(
        (&read["items"], &read["meta"]["position"]),
        (&json!("{\"eve"), &json!(5))
    );
    for query in [
        "bytes=0",
        "bytes=1048577",
        "position=-1",
        "position=9223372036854775808",
        "from=1",
    ] {
        let (status, ..) = house.refused("GET", &format!("/trace/t1/log?{query}"), None);
        assert_eq!(status, 400, "{query}");
    }
    assert_eq!(
        house.ask("PUT", "/trace/t1/stop", None)["status"],
        "stopped"
    );
    assert_eq!(house.ask("DELETE", "/trace/t1", None), Value::Null);
    let (status, ..) = house.refused("GET", "/trace/t1/log", None);
    assert_eq!(status, 404);
    let log = std::fs::read_to_string(house.folder.path().join("audit.jsonl")).unwrap();
    for operation in ["trace.start", "trace.stop", "trace.delete"] {
        assert!(log.contains(operation), "{operation}");
    }
    let (status, ..) = house.refused("POST", "/trace", Some(json!({"name": "x", "type": "all"})));
    assert_eq!(status, 400);
}

#[test]
fn drops_timelines_and_slow_consumers_are_shown() {
    let house = House::new();
    assert_eq!(house.ask("GET", "/drops", None)["total"], 7);
    let timeline = house.ask("GET", "/clients/c/timeline?limit=5", None);
    assert_eq!(timeline, json!({"data": [], "meta": {"lost": 0}}));
    assert_eq!(
        house.ask("GET", "/slow_subscriptions", None)["meta"]["count"],
        0
    );
    assert_eq!(
        house.ask("DELETE", "/slow_subscriptions", None),
        Value::Null
    );
}

#[test]
fn bridges_are_shown_and_ordered_and_each_order_is_a_line_of_the_audit_log() {
    let house = House::new();
    let all = house.ask("GET", "/bridges", None);
    assert_eq!(all["data"][0], house.ask("GET", "/bridges/cloud", None));
    assert_eq!(all["data"][0]["lag"], 7);
    for order in ["restart", "enable", "disable"] {
        let done = house.ask("PUT", &format!("/bridges/cloud/{order}"), None);
        assert_eq!(done, Value::Null);
        let (status, ..) = house.refused("PUT", &format!("/bridges/other/{order}"), None);
        assert_eq!(status, 404);
    }
    let (status, code, _) = house.refused("GET", "/bridges/other", None);
    assert_eq!((status, &*code), (404, "NOT_FOUND"));
    let ordered = house.fake.ordered.lock().unwrap();
    let orders: Vec<_> = ordered.iter().map(|(_, order)| *order).collect();
    assert_eq!(
        orders,
        [
            BridgeOrder::Restart,
            BridgeOrder::Enable,
            BridgeOrder::Disable
        ]
    );
    let log = std::fs::read_to_string(house.folder.path().join("audit.jsonl")).unwrap();
    for operation in ["bridge.restart", "bridge.enable", "bridge.disable"] {
        assert!(log.contains(operation), "{operation}");
    }
    let metrics = house.raw(b"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n");
    for line in [
        "nightjar_bridge_up{bridge=\"cloud\"} 1",
        "nightjar_bridge_messages_total{bridge=\"cloud\",direction=\"in\"} 3",
        "nightjar_bridge_dropped_total{bridge=\"cloud\",reason=\"loop\"} 10",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}
