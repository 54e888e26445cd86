#[path = "../../../../mosquitto/src/db/tests/writer.rs"]
mod writer;

use std::collections::HashMap;
use std::io::Cursor;

use journal::lines::{Import, LineCounts};
use mosquitto::db::{ClientMessage, Database, Direction, State};
use serde_json::{Value, json};
use types::PacketId;

use super::database::{Chosen, Owner};
use super::lines;
use super::plan::{Fate, Losses, Plan, Stop, fate};
use super::route::route;
use writer::{Message, Writer};

const NOW: u64 = 1_700_000_000_000;

fn by_name() -> Chosen {
    Chosen {
        owner: Owner::User,
        named: HashMap::new(),
    }
}

/// The lines that a file becomes, all of them taken by an import, and what is lost.
fn brought(bytes: &[u8], owners: &Chosen) -> (Vec<Value>, LineCounts, Losses) {
    let mut database = Database::open(Cursor::new(bytes)).unwrap();
    let mut plan = Plan::make(&mut database, owners, NOW, NOW).unwrap();
    let routes = route(&mut database, &mut plan).unwrap();
    let mut text = Vec::new();
    lines::write(&mut database, &mut plan, &routes, owners, NOW, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let (mut import, mut records) = (Import::new(), Vec::new());
    for line in text.lines() {
        import
            .line(line, &mut records)
            .unwrap_or_else(|error| panic!("{error}: {line}\n{text}"));
    }
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), import.end().unwrap(), plan.losses)
}

fn of_kind<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

fn rich() -> Writer {
    let mut file = Writer::new(6);
    for id in 1..=4 {
        file.message(&Message {
            id,
            topic: "plant/1",
            payload: format!("m{id}").as_bytes(),
            qos: 2,
            retain: id == 4,
            properties: b"\x04\x03\x00\x01t",
            ..Message::default()
        });
    }
    file.client("away", "alice", u32::MAX, 0);
    file.delivery("away", 1, 11, [2, 5, 1, 1], b"");
    file.delivery("away", 9, 12, [2, 9, 1, 1], b"");
    file.delivery("away", 2, 13, [1, 3, 1, 1], b"");
    file.delivery("away", 3, 14, [1, 11, 0, 1], b"\x02\x0b\x05");
    file.client("sender", "", 3600, 0);
    file.delivery("sender", 4, 7, [2, 7, 0, 0], b"");
    file.client("brief", "", 0, 0);
    file.subscription("away", "plant/+", [1, 0], 5);
    file.subscription("sender", "#", [2, 4], 0);
    file.subscription("brief", "#", [1, 0], 0);
    file.retained(2);
    file
}

#[test]
fn each_state_becomes_what_the_client_knows_of_it() {
    let id = PacketId::new(3);
    let known = Fate::Owed(id);
    let fates = [
        ((Direction::Out, 1, State::Waits, false), Fate::Owed(None)),
        (
            (Direction::Out, 1, State::Publishes, false),
            Fate::Owed(None),
        ),
        ((Direction::Out, 2, State::Publishes, true), known),
        ((Direction::Out, 1, State::Published, true), known),
        ((Direction::Out, 2, State::Published, false), known),
        (
            (Direction::Out, 2, State::Released, true),
            Fate::Released(id.unwrap()),
        ),
        ((Direction::Out, 1, State::Released, true), Fate::Odd),
        ((Direction::Out, 0, State::Waits, false), Fate::QosZero),
        (
            (Direction::In, 2, State::Received, false),
            Fate::Received(id.unwrap()),
        ),
        ((Direction::In, 1, State::Received, false), Fate::Odd),
    ];
    for ((direction, qos, state, dup), becomes) in fates {
        let message = ClientMessage {
            client: "c".into(),
            message: 1,
            packet_id: 3,
            qos,
            state,
            retain: false,
            dup,
            direction,
            ids: Vec::new(),
        };
        assert_eq!(
            fate(&message),
            becomes,
            "{direction:?} {qos} {state:?} {dup}"
        );
    }
}

#[test]
fn a_database_becomes_an_export() {
    let (lines, counts, losses) = brought(&rich().bytes, &by_name());
    assert!(!losses.are_grave(), "{losses:?}");
    assert_eq!(losses.ended, 1);
    assert_eq!((counts.sessions, counts.subscriptions), (2, 2));
    assert_eq!(
        (counts.messages, counts.deliveries, counts.retained),
        (4, 5, 1)
    );
    let sessions = of_kind(&lines, "session");
    assert_eq!(sessions[0]["user"], "alice");
    assert_eq!(sessions[0]["expiry"], Value::Null);
    assert_eq!(sessions[0]["next"], 6);
    assert_eq!(sessions[1]["ends"], NOW + 3_600_000);
    assert_eq!(sessions[1]["received"], json!([7]));
    let deliveries = of_kind(&lines, "delivery");
    let named = |line: &Value| line["message"].as_str().map(str::to_owned);
    let messages = of_kind(&lines, "message");
    let names: Vec<_> = messages.iter().map(|line| named(line)).collect();
    let seen: Vec<_> = deliveries
        .iter()
        .map(|line| {
            (
                names.iter().position(|name| *name == named(line)),
                &line["packet_id"],
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (Some(0), &json!(11)),
            (None, &json!(12)),
            (Some(1), &json!(13)),
            (Some(2), &Value::Null),
            (Some(3), &Value::Null),
        ]
    );
    assert_eq!(deliveries[3]["ids"], json!([5]));
    assert_eq!(messages[0]["properties"], "AwABdA==");
}

#[test]
fn what_was_not_released_is_passed_on_once() {
    let (lines, ..) = brought(&rich().bytes, &by_name());
    let deliveries = of_kind(&lines, "delivery");
    let routed = deliveries.last().unwrap();
    // To the subscriber, at its QoS, and not to the publisher, who asked for No Local.
    assert_eq!((&routed["session"], &routed["qos"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&routed["ids"], &routed["retain"]),
        (&json!([5]), &json!(false))
    );
    // It was to be retained, so it is, in the place of the one before.
    let retained = of_kind(&lines, "retained");
    let messages = of_kind(&lines, "message");
    assert_eq!(retained.len(), 1);
    assert_eq!(retained[0]["message"], messages[3]["message"]);
    assert_eq!(
        (&retained[0]["client"], &retained[0]["user"]),
        (&json!("source"), &json!("user"))
    );
}

#[test]
fn a_group_gets_it_once_and_overlapping_subscriptions_too() {
    let mut file = Writer::new(6);
    file.message(&Message {
        qos: 2,
        retain: true,
        payload: b"",
        ..Message::default()
    });
    for client in ["one", "two", "sender"] {
        file.client(client, "", u32::MAX, 0);
    }
    file.delivery("sender", 1, 1, [2, 7, 0, 0], b"");
    file.subscription("one", "$share/g/a/#", [1, 0], 0);
    file.subscription("two", "$share/g/a/#", [1, 0], 0);
    file.subscription("two", "a/b", [1, 0], 1);
    file.subscription("two", "a/+", [2, 8], 2);
    file.subscription("two", "b", [2, 0], 3);
    file.subscription("one", "a/b", [0, 0], 0);
    file.retained(1);
    let (lines, ..) = brought(&file.bytes, &by_name());
    let deliveries = of_kind(&lines, "delivery");
    assert_eq!(deliveries.len(), 2);
    let (one, two) = (deliveries[0], deliveries[1]);
    assert_eq!(
        (&one["session"], &one["group"]),
        (&json!(1), &json!("$share/g/a/#"))
    );
    assert_eq!(
        (&two["session"], &two["qos"], &two["retain"]),
        (&json!(2), &json!(2), &json!(true))
    );
    assert_eq!(two["ids"], json!([1, 2]));
    // An empty one takes the retained one away.
    assert!(of_kind(&lines, "retained").is_empty());
}

#[test]
fn of_two_deliveries_with_one_identifier_the_first_keeps_it() {
    let mut file = Writer::new(6);
    file.message(&Message::default());
    file.client("c", "", u32::MAX, 0);
    for _ in 0..2 {
        file.delivery("c", 1, 5, [1, 3, 1, 1], b"");
    }
    let (lines, ..) = brought(&file.bytes, &by_name());
    let ids: Vec<_> = of_kind(&lines, "delivery")
        .iter()
        .map(|line| line["packet_id"].clone())
        .collect();
    assert_eq!(ids, [json!(5), Value::Null]);
}

#[test]
fn messages_of_the_server_itself_are_no_loss() {
    let mut file = Writer::new(6);
    file.message(&Message {
        topic: "$SYS/broker/uptime",
        ..Message::default()
    });
    file.client("c", "", u32::MAX, 0);
    file.delivery("c", 1, 5, [1, 3, 1, 1], b"");
    file.retained(1);
    let (_, counts, losses) = brought(&file.bytes, &by_name());
    assert_eq!((counts.messages, counts.retained), (0, 0));
    assert!(!losses.are_grave(), "{losses:?}");
}

#[test]
fn what_is_not_there_is_told() {
    let mut file = Writer::new(6);
    file.message(&Message {
        topic: "a/#",
        ..Message::default()
    });
    file.client("c", "", u32::MAX, 0);
    file.delivery("c", 1, 5, [1, 3, 1, 1], b"");
    file.delivery("nobody", 1, 5, [1, 3, 1, 1], b"");
    file.subscription("c", "a/#/b", [1, 0], 0);
    file.retained(8);
    let (_, counts, losses) = brought(&file.bytes, &by_name());
    assert_eq!((counts.messages, counts.deliveries), (0, 0));
    assert_eq!((losses.odd, losses.missing, losses.orphans), (2, 2, 1));
    assert!(losses.are_grave());
}

#[test]
fn s25_a_session_of_mosquitto_belongs_to_the_user_whose_name_is_checked() {
    let bytes = rich().bytes;
    let user = |owners: &Chosen| {
        let (lines, ..) = brought(&bytes, owners);
        of_kind(&lines, "session")[0]["user"].clone()
    };
    assert_eq!(user(&by_name()), "alice");
    let mut owners = Chosen {
        owner: Owner::Nobody,
        named: HashMap::new(),
    };
    assert_eq!(user(&owners), Value::Null);
    owners.named.insert("away".into(), "bob".into());
    assert_eq!(user(&owners), "bob");
    owners.named.insert("away".into(), String::new());
    owners.owner = Owner::User;
    assert_eq!(user(&owners), Value::Null);
}

#[test]
fn whatever_is_left_of_a_file_can_be_imported() {
    let bytes = rich().bytes;
    for length in 23..bytes.len() {
        let (_, _, losses) = brought(&bytes[..length], &by_name());
        assert!(matches!(losses.end, None | Some(Stop::Cut(_))));
    }
    // Each byte, with each bit the other way.
    for at in 23..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            brought(&bytes, &by_name());
        }
    }
}
