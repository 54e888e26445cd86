//! A trace from its start to its file.

use std::sync::Arc;

use admin::server::traces::{NewTrace, PayloadEncode, TraceKind, TraceStatus};
use broker::probe::What;
use serde_json::Value;
use tempfile::TempDir;
use types::{ClientId, Durability, MessageParts, QoS, WorkerId};

use super::*;

fn new(kind: TraceKind, value: &str, payload_encode: PayloadEncode) -> NewTrace {
    NewTrace {
        name: "one".into(),
        kind,
        value: value.into(),
        start_at: None,
        end_at: None,
        payload_encode,
    }
}

fn one(folder: &TempDir, new: NewTrace) -> Arc<One> {
    let head = head(new).expect("it makes sense");
    Arc::new(One::create(folder.path(), head).expect("the disk takes it"))
}

/// A message of this client on this topic.
fn step<'a>(client: &'a ClientId, topic: &'a Arc<str>, payload: &'a [u8]) -> Step<'a> {
    Step {
        worker: WorkerId(0),
        client: Some(client),
        session: None,
        peer: Some(types::Peer::Net(
            "192.0.2.7:4711".parse().expect("an address"),
        )),
        topic: Some(topic),
        message: Some(MessageParts {
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            expires: None,
            durability: Durability::Memory,
            followed: types::Followed::No,
        }),
        properties: &[],
        weight: 1,
        what: What::Received {
            packet_id: None,
            dup: false,
        },
    }
}

fn lines(one: &One) -> Vec<Value> {
    let text = one.read(0, usize::MAX).expect("a file");
    let text = String::from_utf8(text).expect("text");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn s93_a_clients_words_in_a_trace_are_harmless() {
    let folder = TempDir::new().expect("a folder");
    let id = "<script>\n\u{1b}[2J\u{202e}";
    let trace = one(&folder, new(TraceKind::ClientId, id, PayloadEncode::Text));
    let (client, topic) = (ClientId::new(id).expect("an id"), Arc::from("a\u{7f}"));
    let step = step(&client, &topic, b"\x1b[31m\xff\n{\"event\":\"ended\"}");
    assert!(trace.takes_step(&step));
    trace.write(&Line {
        trace: Arc::clone(&trace),
        at: SystemTime::now(),
        said: Said::step(&step, true),
    });
    trace.close();
    let text = String::from_utf8(trace.read(0, usize::MAX).expect("a file")).expect("text");
    let odd = |letter: char| letter != '\n' && (letter.is_control() || letter == '\u{202e}');
    assert!(!text.contains(odd), "{text:?}");
    let lines = lines(&trace);
    assert_eq!((lines.len(), &lines[1]["event"]), (2, &"received".into()));
    // It is harmless, and still what the client said.
    assert_eq!(lines[1]["clientid"], id);
}

#[test]
fn s99_a_trace_is_readable_by_its_owner_only_and_stays_behind_the_server() {
    let folder = TempDir::new().expect("a folder");
    let inner = folder.path().join("traces");
    let head = head(new(TraceKind::Topic, "a/#", PayloadEncode::Hidden)).expect("it makes sense");
    let trace = One::create(&inner, head).expect("the disk takes it");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&inner), 0o700);
        assert_eq!(mode(&inner.join("one.jsonl")), 0o600);
    }
    trace.stop("a test");
    std::fs::write(inner.join("other.jsonl"), "no trace\n").expect("a file");
    let found = one::found(&inner).expect("a folder");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].shown().status, TraceStatus::Stopped);
    assert_eq!(lines(&found[0]).len(), 2);
}

#[test]
fn parts_of_a_trace_end_behind_a_letter() {
    let folder = TempDir::new().expect("a folder");
    let id = "ä€🦉".repeat(100);
    let trace = one(
        &folder,
        new(TraceKind::ClientId, &id, PayloadEncode::Hidden),
    );
    trace.close();
    let whole = trace.read(0, usize::MAX).expect("a file");
    for bytes in [1, 5, 7, 64] {
        let (mut text, mut position) = (String::new(), 0);
        loop {
            let part = trace.read(position, bytes).expect("a file");
            if part.is_empty() {
                break;
            }
            position += u64::try_from(part.len()).expect("a few");
            text += &String::from_utf8(part).expect("whole letters");
        }
        assert_eq!(text.as_bytes(), whole, "{bytes}");
    }
}

#[test]
fn what_can_never_match_is_refused_or_taken_for_what_it_means() {
    let folder = TempDir::new().expect("a folder");
    for group in ["$share/g/#", "$share", "$share/g"] {
        let wanted = head(new(TraceKind::Topic, group, PayloadEncode::Hidden));
        assert!(matches!(wanted, Err(Failure::Invalid(_))), "{group}");
    }
    let mapped = new(
        TraceKind::IpAddress,
        "::ffff:192.0.2.7",
        PayloadEncode::Hidden,
    );
    let trace = one(&folder, mapped);
    let (client, topic) = (ClientId::new("c").expect("an id"), Arc::from("a"));
    assert!(trace.takes_step(&step(&client, &topic, b"x")));
}

#[test]
fn a_trace_takes_what_it_is_of() {
    let folder = TempDir::new().expect("a folder");
    let (client, topic) = (ClientId::new("c").expect("an id"), Arc::from("plant/7/x"));
    let step = step(&client, &topic, b"");
    for (kind, value, takes) in [
        (TraceKind::ClientId, "c", true),
        (TraceKind::ClientId, "C", false),
        (TraceKind::Topic, "plant/+/x", true),
        (TraceKind::Topic, "plant/8/#", false),
        (TraceKind::IpAddress, "192.0.2.7", true),
        (TraceKind::IpAddress, "192.0.2.8", false),
    ] {
        let trace = one(&folder, new(kind, value, PayloadEncode::Hidden));
        assert_eq!(trace.takes_step(&step), takes, "{value}");
        trace.stop("a test");
        assert!(!trace.takes_step(&step));
        trace.remove().expect("the disk does it");
    }
}

#[test]
fn what_makes_no_sense_is_no_trace() {
    let of = |change: fn(&mut NewTrace)| {
        let mut it = new(TraceKind::ClientId, "c", PayloadEncode::Hidden);
        change(&mut it);
        head(it).map(drop)
    };
    assert!(of(|_| {}).is_ok());
    // S90: a name is never a path.
    for name in ["", "../x", "a/b", "a.b", "ä"] {
        let mut it = new(TraceKind::ClientId, "c", PayloadEncode::Hidden);
        it.name = name.into();
        assert!(head(it).is_err(), "{name:?}");
    }
    assert!(of(|it| it.value = String::new()).is_err());
    assert!(of(|it| (it.kind, it.value) = (TraceKind::Topic, "a/#/b".into())).is_err());
    assert!(of(|it| (it.kind, it.value) = (TraceKind::IpAddress, "c".into())).is_err());
    assert!(of(|it| it.end_at = Some(Stamp::from_millis(1))).is_err());
    let long = Stamp::now().as_millis() + 3_700_000;
    let mut it = new(TraceKind::ClientId, "c", PayloadEncode::Hidden);
    it.end_at = Some(Stamp::from_millis(long));
    assert!(head(it).is_err());
}

#[test]
fn a_trace_is_over_when_its_file_is_full_and_says_what_was_lost() {
    let folder = TempDir::new().expect("a folder");
    let trace = one(&folder, new(TraceKind::ClientId, "c", PayloadEncode::Hex));
    let (client, topic) = (ClientId::new("c").expect("an id"), Arc::from("t"));
    let payload = [7; 1024];
    let step = step(&client, &topic, &payload);
    for _ in 0..3 {
        trace.lose();
    }
    trace.look(Stamp::now());
    let mut written = 0;
    while !trace.is_over() {
        trace.write(&Line {
            trace: Arc::clone(&trace),
            at: SystemTime::now(),
            said: Said::step(&step, true),
        });
        written += 1;
        assert!(written < 20_000, "it is never full");
    }
    trace.close();
    let lines = lines(&trace);
    assert_eq!(
        (&lines[1]["event"], &lines[1]["count"]),
        (&"lost".into(), &3.into())
    );
    let last = lines.last().expect("one");
    assert_eq!(
        (&last["event"], &last["reason"]),
        (&"ended".into(), &"there is no more room".into())
    );
    assert!(trace.shown().size <= one::BYTES + 4096);
}

#[test]
fn so_many_lines_fit_into_a_second() {
    let folder = TempDir::new().expect("a folder");
    let trace = one(
        &folder,
        new(TraceKind::ClientId, "c", PayloadEncode::Hidden),
    );
    let now = SystemTime::now();
    let taken = (0..100).filter(|_| trace.has_room(now, 10)).count();
    assert_eq!(taken, 10);
    assert!(trace.has_room(now + Duration::from_secs(1), 10));
}

#[test]
fn s95_a_trace_that_is_over_holds_up_nobody() {
    let folder = TempDir::new().expect("a folder");
    let traces = Traces::new();
    let one = one(&folder, new(TraceKind::Topic, "a/#", PayloadEncode::Hidden));
    let mut state = traces.0.lock();
    state.all.insert("one".into(), Arc::clone(&one));
    Inner::publish(&traces.0, &mut state).expect("a thread");
    drop(state);
    assert_eq!(traces.0.active(), 1);
    one.stop("its time is over");
    // On a thread, so that one that hangs fails the test.
    let (done, looked) = std::sync::mpsc::channel();
    let inner = Arc::clone(&traces.0);
    std::thread::spawn(move || {
        let (_lines, from) = sync_channel(1);
        done.send(inner.look(&from))
    });
    assert_eq!(looked.recv_timeout(Duration::from_secs(20)), Ok(true));
    assert_eq!(traces.0.active(), 0);
}

#[test]
fn s99_a_trace_that_waits_costs_workers_nothing_and_does_not_wait_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let later = |seconds: u64| {
        let at = SystemTime::now() + Duration::from_secs(seconds);
        NewTrace {
            start_at: Some(Stamp::from(at)),
            ..new(TraceKind::Topic, "#", PayloadEncode::Hidden)
        }
    };
    let day = 24 * 3600;
    assert!(matches!(head(later(8 * day)), Err(Failure::Invalid(_))));
    let traces = Traces::new();
    let waiting = one(&folder, later(6 * day));
    let mut state = traces.0.lock();
    state.all.insert("one".into(), Arc::clone(&waiting));
    Inner::publish(&traces.0, &mut state).expect("a thread");
    // The thread that writes looks for its time.
    assert!(state.lines.is_some());
    assert!(!traces.0.is_active.load(Relaxed));
    let begun = NewTrace {
        name: "two".into(),
        ..new(TraceKind::Topic, "#", PayloadEncode::Hidden)
    };
    state.all.insert("two".into(), one(&folder, begun));
    Inner::publish(&traces.0, &mut state).expect("a thread");
    assert!(traces.0.is_active.load(Relaxed));
    state
        .all
        .values()
        .for_each(|one| one.stop("the test is over"));
    Inner::publish(&traces.0, &mut state).expect("no thread");
    assert!(!traces.0.is_active.load(Relaxed));
}
