//! The engine behind its handles, driven by hand on a disk in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use store::{
    Delivery, Found, Loaded, Progress, Record, Recovered, Room, Settled, Stage, Store, StoreFailed,
    Wish,
};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, MessageRef, PacketId, QoS,
    SessionKey, StoredSession, Time, WorkerId,
};

use super::{OnDamage, Options};
use crate::by_hand::ByHand;
use crate::disk::Disk;
use crate::faulty::{Fault, MemoryDisk};
use crate::log;
use crate::server::Settings;

mod expiry;
mod housekeeping;
mod limit;
mod reading;

const WALL: u64 = 1_700_000_000_000;
const KEY: SessionKey = SessionKey {
    slot: 1,
    generation: 1,
};

/// Small segments, so that there are many.
fn options() -> Options {
    Options {
        log: log::Options {
            segment_bytes: 64 << 10,
            ..log::Options::default()
        },
        ..Options::default()
    }
}

fn open(disk: &MemoryDisk) -> (ByHand, Recovered) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, recovered, report) = ByHand::open(disk, options(), WALL).unwrap();
    assert_eq!(report.anomalies, 0, "{report:?}");
    assert!(report.losses.is_empty(), "{report:?}");
    (store, recovered)
}

fn message(topic: &str, payload: &[u8]) -> Message {
    Message::new(
        Arc::from(topic),
        MessageParts {
            properties: &[],
            payload,
            qos: QoS::AtLeastOnce,
            retain: false,
            publisher: None,
            expires: None,
            durability: Durability::Disk,
            followed: types::Followed::No,
        },
    )
}

fn delivery(session: StoredSession, number: u64) -> Delivery {
    Delivery {
        session,
        number: DeliveryNumber::new(number).unwrap(),
        qos: QoS::AtLeastOnce,
        retain: false,
        packet_id: None,
        ids: None,
        share: None,
    }
}

fn begin(handle: &mut dyn Store, client: &str) -> StoredSession {
    let session = handle.new_session();
    handle.append(Record::Session {
        session,
        client: &ClientId::new(client).unwrap(),
        user: None,
        expiry: Duration::MAX,
        will: None,
    });
    session
}

fn owe(
    handle: &mut dyn Store,
    session: StoredSession,
    number: u64,
    payload: &[u8],
    now: Time,
) -> MessageRef {
    let message = handle.keep(&message("t", payload), now);
    handle.append(Record::Owed {
        message,
        deliveries: &[delivery(session, number)],
    });
    message
}

fn settle(handle: &mut dyn Store, session: StoredSession, number: u64) {
    handle.append(Record::Settled {
        session,
        number: DeliveryNumber::new(number).unwrap(),
        step: Settled::Done,
    });
}

/// What is owed to the session of a client: numbers and messages.
fn owed(recovered: &Recovered, client: &str) -> Vec<(u64, MessageRef)> {
    let session = recovered
        .sessions
        .iter()
        .find(|session| session.client.as_str() == client)
        .unwrap();
    let bodies = session.deliveries.iter().map(|delivery| {
        let reference = match delivery.stage {
            Stage::Waiting(body) | Stage::Sent(_, body) => body.reference,
            Stage::Received(_) => MessageRef(0),
        };
        (delivery.number.get(), reference)
    });
    bodies.collect()
}

fn loaded(handle: &mut dyn Store) -> Vec<Loaded> {
    std::iter::from_fn(|| handle.loaded()).collect()
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

#[test]
fn a_restart_returns_what_was_committed() {
    let disk = MemoryDisk::default();
    let (mut store, recovered) = open(&disk);
    assert!(recovered.sessions.is_empty());
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let reference = owe(&mut *handle, session, 1, b"hello", at(3));
    let retained = handle.keep(&message("r", b"kept"), at(4));
    handle.append(Record::Retained {
        message: retained,
        topic: "r",
        sequence: 7,
        publisher: None,
    });
    handle.append(Record::Received {
        session,
        id: PacketId::FIRST,
    });
    let ticket = handle.commit(Wish::Synced);
    store.turn(at(5));
    assert_eq!(handle.progress().unwrap().synced, ticket);
    drop((store, handle));
    disk.cut_power(1);

    let (mut store, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a"), [(1, reference)]);
    assert_eq!(recovered.sessions[0].received, [PacketId::FIRST]);
    assert_eq!(recovered.retained[0].body.reference, retained);
    assert_eq!(recovered.sequence, 7);
    let mut handle = store.handle(WorkerId(0));
    assert!(handle.new_session() > session);
    assert!(handle.keep(&message("t", b""), at(0)) > retained);
    handle.load(KEY, &[retained, MessageRef(1), reference]);
    assert!(handle.loaded().is_none());
    store.turn(at(6));
    assert_eq!(store.woken(), [WorkerId(0)]);
    let answers = loaded(&mut *handle);
    let texts: Vec<&[u8]> = answers
        .iter()
        .map(|answer| match &answer.found {
            Found::Message(message) => message.payload(),
            Found::Gone => b"gone",
            Found::Damaged => b"damaged",
        })
        .collect();
    assert_eq!(texts, [&b"kept"[..], b"gone", b"hello"]);
    assert!(answers.iter().all(|answer| answer.reader == KEY));
}

#[test]
fn more_than_a_frame_holds_goes_into_several() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let large = vec![b'x'; 3 << 20];
    let all: Vec<_> = (1..=4)
        .map(|number| (number, owe(&mut *handle, session, number, &large, at(1))))
        .collect();
    handle.commit(Wish::Synced);
    store.turn(at(2));
    drop((store, handle));
    disk.cut_power(2);
    let (mut store, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a"), all);
    let mut handle = store.handle(WorkerId(0));
    handle.load(KEY, &[all[3].1]);
    store.turn(at(3));
    let answers = loaded(&mut *handle);
    let Found::Message(message) = &answers[0].found else {
        panic!("{answers:?}");
    };
    assert_eq!(message.payload(), large);
}

#[test]
fn only_those_who_wish_are_woken_and_only_when_it_is_true() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut lazy = store.handle(WorkerId(0));
    let mut written = store.handle(WorkerId(1));
    let mut synced = store.handle(WorkerId(2));
    let session = begin(&mut *lazy, "a");
    let first = lazy.commit(Wish::Lazy);
    settle(&mut *written, session, 1);
    let second = written.commit(Wish::Written);
    settle(&mut *synced, session, 2);
    let third = synced.commit(Wish::Synced);
    assert!(first < second && second < third);
    store.write_only(at(1));
    assert_eq!(store.woken(), [WorkerId(1)]);
    let progress = lazy.progress().unwrap();
    assert_eq!((progress.written, progress.synced.0), (third, 0));
    store.turn_as_wished(at(2));
    assert_eq!(store.woken(), [WorkerId(2)]);
    assert_eq!(lazy.progress().unwrap().synced, third);
}

#[test]
fn what_nobody_wished_is_synced_after_the_interval() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    begin(&mut *handle, "a");
    let ticket = handle.commit(Wish::Lazy);
    store.turn_as_wished(at(10));
    assert_eq!(handle.progress().unwrap().written, ticket);
    store.turn_as_wished(at(1009));
    assert_eq!(handle.progress().unwrap().synced.0, 0);
    store.turn_as_wished(at(1010));
    assert_eq!(handle.progress().unwrap().synced, ticket);
    assert_eq!(store.woken(), []);
}

#[test]
fn a_load_comes_after_what_was_kept_before_it() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let mut other = store.handle(WorkerId(1));
    let session = begin(&mut *handle, "a");
    let reference = owe(&mut *handle, session, 1, b"x", at(1));
    handle.commit(Wish::Lazy);
    other.load(KEY, &[reference]);
    store.turn_as_wished(at(2));
    let answers = loaded(&mut *other);
    assert!(matches!(answers[0].found, Found::Message(_)), "{answers:?}");
}

#[test]
fn a_backlog_makes_publishers_wait() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::default());
    let settings = Settings {
        backlog: 1000,
        ..Settings::default()
    };
    let (mut store, ..) = ByHand::open_with(disk, options(), settings, WALL).unwrap();
    let mut handle = store.handle(WorkerId(0));
    handle.keep(&message("t", &[0; 900]), at(1));
    assert_eq!(handle.room(), Room::Enough);
    handle.keep(&message("t", &[0; 900]), at(1));
    assert_eq!(handle.room(), Room::Behind);
    store.turn(at(2));
    assert_eq!(handle.room(), Room::Enough);
    assert_eq!(handle.figures().unwrap().backlog_bytes, 0);
}

#[test]
fn a_full_disk_and_a_backlog_are_told_together() {
    let disk = MemoryDisk::default();
    let settings = Settings {
        backlog: 1000,
        ..Settings::default()
    };
    let (mut store, ..) =
        ByHand::open_with(Arc::new(disk.clone()), options(), settings, WALL).unwrap();
    let mut handle = store.handle(WorkerId(0));
    disk.full_after(0);
    for number in 1..=200 {
        handle.keep(&message("t", &[0; 9000]), at(number));
        store.turn(at(number * 200));
    }
    assert_eq!(handle.room(), Room::FullAndBehind);
    assert!(handle.figures().unwrap().backlog_bytes > 1000);
    disk.heal();
    store.turn(at(50_000));
    store.turn(at(50_000));
    assert_eq!(handle.room(), Room::Enough);
}

#[test]
fn a_damaged_message_is_withheld_and_counted() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let bad = owe(&mut *handle, session, 1, &[b'!'; 100], at(1));
    let good = owe(&mut *handle, session, 2, b"good", at(1));
    handle.commit(Wish::Synced);
    store.turn(at(2));
    let place = store.engine().model().locate(bad).unwrap();
    let name = crate::segment::segment_name(place.segment);
    disk.flip(&name, place.offset + 50, 3);
    handle.load(KEY, &[bad, good]);
    store.turn(at(3));
    let answers = loaded(&mut *handle);
    assert!(matches!(answers[0].found, Found::Damaged), "{answers:?}");
    assert!(matches!(answers[1].found, Found::Message(_)), "{answers:?}");
    assert_eq!(handle.figures().unwrap().damaged, 1);
}

#[test]
fn a_failed_sync_acknowledges_nothing_any_more() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let _other = store.handle(WorkerId(1));
    begin(&mut *handle, "a");
    handle.commit(Wish::Synced);
    disk.fail_syncs(Fault::Once(io::ErrorKind::Other));
    store.turn(at(1));
    assert_eq!(handle.progress(), Err(StoreFailed));
    assert_eq!(store.woken(), [WorkerId(0), WorkerId(1)]);
    // The disk says that all is well again; the store does not believe it.
    begin(&mut *handle, "b");
    handle.commit(Wish::Synced);
    store.turn(at(2));
    assert_eq!(handle.progress(), Err(StoreFailed));
    assert_eq!(handle.figures().unwrap().failures, 1);
}

#[test]
fn a_failed_write_acknowledges_nothing_any_more() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    begin(&mut *handle, "a");
    handle.commit(Wish::Written);
    disk.fail_writes(Fault::Once(io::ErrorKind::Other));
    store.turn(at(1));
    assert!(store.has_failed());
    assert_eq!(handle.progress(), Err(StoreFailed));
}

#[test]
fn a_full_disk_refuses_messages_and_recovers_by_itself() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    handle.commit(Wish::Synced);
    store.settle(at(1), 10);
    disk.full_after(0);
    let mut all = Vec::new();
    let mut last = handle.commit(Wish::Lazy);
    for number in 1..=40 {
        let reference = owe(&mut *handle, session, number, &[7; 8 << 10], at(number));
        all.push((number, reference));
        last = handle.commit(Wish::Synced);
        store.turn(at(number * 200));
    }
    assert_eq!(handle.room(), Room::Full);
    let before = handle.progress().unwrap();
    assert!(before.synced < last, "{before:?} of {last:?}");
    // What is there can still be read.
    handle.load(KEY, &[all[0].1, all[39].1, all[1].1]);
    store.turn(at(9000));
    let answers = loaded(&mut *handle);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(matches!(answers[0].found, Found::Message(_)));

    disk.heal();
    // First what was taken and could not be written, then what gathered since.
    store.turn(at(10_000));
    store.turn(at(10_000));
    assert_eq!(handle.progress().unwrap().synced, last);
    assert_eq!(handle.room(), Room::Enough);
    let answers = loaded(&mut *handle);
    let answers: Vec<_> = answers.iter().map(|answer| answer.message).collect();
    assert_eq!(answers, [all[39].1, all[1].1]);
    drop((store, handle));
    disk.cut_power(3);
    let (_, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a"), all);
}

#[test]
fn space_comes_back_when_all_is_consumed() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let mut now = 0;
    for number in 1..=2000 {
        now += 10;
        owe(&mut *handle, session, number, &[1; 1000], at(now));
        handle.commit(Wish::Synced);
        store.turn(at(now));
    }
    let full = handle.figures().unwrap();
    assert!(full.disk_bytes > 2_000_000, "{full:?}");
    assert_eq!(full.messages, 2000);
    assert!(full.oldest <= WALL + 10 && full.oldest + 1024 > WALL);
    for number in 1..=2000 {
        settle(&mut *handle, session, number);
        if number % 100 == 0 {
            now += 1000;
            handle.commit(Wish::Synced);
            store.turn(at(now));
        }
    }
    // Messages are remembered for a while after nobody needs them.
    for _ in 0..100 {
        now += 1000;
        store.settle(at(now), 20);
    }
    let empty = handle.figures().unwrap();
    assert!(empty.disk_bytes <= 5 * (64 << 10), "{empty:?}");
    assert_eq!((empty.messages, empty.oldest), (0, 0));
    drop((store, handle));
    let (_, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a"), []);
}

#[test]
fn a_session_that_sleeps_does_not_keep_the_journal() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let sleeper = begin(&mut *handle, "sleeper");
    let awake = begin(&mut *handle, "awake");
    let mut now = 0;
    let mut kept = Vec::new();
    for number in 1..=4000 {
        now += 50;
        if number % 100 == 1 {
            let next = number / 100 + 1;
            let reference = owe(&mut *handle, sleeper, next, &[2; 500], at(now));
            kept.push((next, reference));
        }
        owe(&mut *handle, awake, number, &[1; 1000], at(now));
        handle.commit(Wish::Synced);
        store.turn(at(now));
        settle(&mut *handle, awake, number);
    }
    handle.commit(Wish::Synced);
    for _ in 0..100 {
        now += 1000;
        store.settle(at(now), 50);
    }
    let figures = handle.figures().unwrap();
    assert!(figures.disk_bytes < 10 * (64 << 10), "{figures:?}");
    assert_eq!(figures.messages, 40);
    let references: Vec<_> = kept.iter().map(|kept| kept.1).collect();
    handle.load(KEY, &references);
    store.turn(at(now));
    let answers = loaded(&mut *handle);
    let found = answers
        .iter()
        .filter(|answer| matches!(answer.found, Found::Message(_)));
    assert_eq!(found.count(), 40);
    drop((store, handle));
    disk.cut_power(4);
    let (_, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "sleeper"), kept);
}

#[test]
fn a_segment_goes_only_when_what_was_moved_out_of_it_is_safe() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let sleeper = begin(&mut *handle, "sleeper");
    let awake = begin(&mut *handle, "awake");
    let mut kept = Vec::new();
    for number in 1..=600 {
        if number % 50 == 1 {
            let next = number / 50 + 1;
            kept.push((
                next,
                owe(&mut *handle, sleeper, next, &[2; 500], at(number)),
            ));
        }
        owe(&mut *handle, awake, number, &[1; 1000], at(number));
        handle.commit(Wish::Synced);
        // No housekeeping yet.
        store.write_only(at(number));
        settle(&mut *handle, awake, number);
    }
    handle.commit(Wish::Synced);
    // Nothing is wished any more and the clock stands: what is synced is the housekeeping's doing.
    let now = at(100_000);
    store.turn(now);
    let before = disk.list().unwrap().len();
    let mut least = before;
    for step in 0..200 {
        store.turn_as_wished(now);
        least = least.min(disk.list().unwrap().len());
        let copy = disk.copy();
        copy.cut_power(step);
        let (_, recovered) = open(&copy);
        assert_eq!(owed(&recovered, "sleeper"), kept, "step {step}");
    }
    assert!(least + 3 < before, "{least} of {before}");
}

/// What a run has come to, in the shape in which a restart is compared with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Oracle {
    sessions: BTreeMap<String, (BTreeMap<u64, MessageRef>, BTreeSet<u16>)>,
    retained: BTreeMap<String, MessageRef>,
}

impl Oracle {
    fn of(recovered: &Recovered) -> Self {
        let sessions = recovered.sessions.iter().map(|session| {
            let client = session.client.as_str();
            let owed = owed(recovered, client).into_iter().collect();
            let received = session.received.iter().map(|id| id.get()).collect();
            (client.to_owned(), (owed, received))
        });
        let retained = recovered.retained.iter();
        Self {
            sessions: sessions.collect(),
            retained: retained
                .map(|retained| (retained.topic.to_string(), retained.body.reference))
                .collect(),
        }
    }
}

/// A small generator of our own, so that a seed stays a run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Two workers, each with the sessions that it has begun.
struct Run {
    random: Random,
    oracle: Oracle,
    /// The oracle after each ticket.
    history: BTreeMap<u64, Oracle>,
    sessions: BTreeMap<String, (usize, StoredSession, u64)>,
    began: u64,
    sequence: u64,
    now: u64,
}

impl Run {
    /// A batch of one worker.
    fn batch(&mut self, worker: usize, handle: &mut dyn Store) {
        for _ in 0..=self.random.below(4) {
            self.record(worker, handle);
        }
        let wish = match self.random.below(4) {
            0 => Wish::Lazy,
            1 => Wish::Written,
            _ => Wish::Synced,
        };
        let ticket = handle.commit(wish);
        self.history.insert(ticket.0, self.oracle.clone());
    }

    fn record(&mut self, worker: usize, handle: &mut dyn Store) {
        let mine = self.sessions.iter().filter(|(_, at)| at.0 == worker);
        let mine: Vec<String> = mine.map(|(client, _)| client.clone()).collect();
        let pick = self.random.below(10);
        if mine.is_empty() || pick == 0 && mine.len() < 4 {
            self.began += 1;
            let client = format!("{worker}-{}", self.began);
            let session = begin(handle, &client);
            self.sessions.insert(client.clone(), (worker, session, 0));
            self.oracle.sessions.insert(client, Default::default());
            return;
        }
        let client = &mine[usize::try_from(self.random.below(mine.len() as u64)).unwrap()];
        let (_, session, number) = self.sessions.get_mut(client).unwrap();
        let (owed, received) = self.oracle.sessions.get_mut(client).unwrap();
        match pick {
            1 if self.random.below(4) == 0 => {
                let session = *session;
                handle.append(Record::SessionEnded { session });
                self.sessions.remove(client);
                self.oracle.sessions.remove(client);
            }
            2 => {
                self.sequence += 1;
                let topic = format!("r/{}", self.random.below(3));
                let message = handle.keep(&message(&topic, &[9; 400]), at(self.now));
                handle.append(Record::Retained {
                    message,
                    topic: &topic,
                    sequence: self.sequence,
                    publisher: None,
                });
                self.oracle.retained.insert(topic, message);
            }
            3 => {
                self.sequence += 1;
                let topic = format!("r/{}", self.random.below(3));
                handle.append(Record::Cleared {
                    topic: &topic,
                    sequence: self.sequence,
                });
                self.oracle.retained.remove(&topic);
            }
            4 => {
                let id = PacketId::new(u16::try_from(self.random.below(5) + 1).unwrap()).unwrap();
                if received.insert(id.get()) {
                    handle.append(Record::Received {
                        session: *session,
                        id,
                    });
                } else {
                    received.remove(&id.get());
                    handle.append(Record::Released {
                        session: *session,
                        id,
                    });
                }
            }
            5..=7 if !owed.is_empty() => {
                let place = self.random.below(owed.len() as u64);
                let place = usize::try_from(place).unwrap();
                let done = *owed.keys().nth(place).unwrap();
                owed.remove(&done);
                settle(handle, *session, done);
            }
            _ => {
                *number += 1;
                let size = self.random.below(3000);
                let payload = vec![5; usize::try_from(size).unwrap()];
                let reference = owe(handle, *session, *number, &payload, at(self.now));
                owed.insert(*number, reference);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Crash {
    Kill,
    Power,
}

/// A run of `turns` turns that is cut there, or after so many changes of the disk, and what must
/// be back after it.
fn crash_after(seed: u64, turns: u64, changes: Option<u64>, crash: Crash) {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    if let Some(changes) = changes {
        disk.gone_after(changes);
    }
    let mut handles = [store.handle(WorkerId(0)), store.handle(WorkerId(1))];
    let mut run = Run {
        random: Random(seed),
        oracle: Oracle::default(),
        history: BTreeMap::from([(0, Oracle::default())]),
        sessions: BTreeMap::new(),
        began: 0,
        sequence: 0,
        now: 0,
    };
    let mut progress = Progress::default();
    for _ in 0..turns {
        run.now += run.random.below(3000);
        for (worker, handle) in handles.iter_mut().enumerate() {
            run.batch(worker, &mut **handle);
        }
        match run.random.below(5) {
            0 => {}
            1 => store.write_only(at(run.now)),
            2 => drop(store.turn(at(run.now))),
            _ => drop(store.turn_as_wished(at(run.now))),
        }
        match handles[0].progress() {
            Ok(reached) => progress = reached,
            Err(StoreFailed) => break,
        }
    }
    let least = match crash {
        Crash::Kill => progress.written,
        Crash::Power => progress.synced,
    };
    drop((store, handles));
    match crash {
        Crash::Kill => disk.kill(),
        Crash::Power => disk.cut_power(seed ^ turns),
    }
    let (mut store, recovered) = open(&disk);
    let found = Oracle::of(&recovered);
    let possible: Vec<_> = run.history.range(least.0..).collect();
    assert!(
        possible.iter().any(|(_, oracle)| **oracle == found),
        "seed {seed}, {turns} turns, {changes:?}, {crash:?}: {found:#?}\nis not {:#?} or later",
        possible[0],
    );
    let mut handle = store.handle(WorkerId(0));
    let mut all: Vec<MessageRef> = found.retained.values().copied().collect();
    for (owed, _) in found.sessions.values() {
        all.extend(owed.values());
    }
    handle.load(KEY, &all);
    store.turn(at(1));
    let answers = loaded(&mut *handle);
    assert_eq!(answers.len(), all.len());
    for answer in answers {
        let whole = matches!(answer.found, Found::Message(_));
        assert!(whole, "seed {seed}, {turns} turns, {crash:?}: {answer:?}");
    }
}

#[test]
fn after_a_kill_at_any_point_all_that_was_written_is_there() {
    for turns in 0..150 {
        crash_after(turns % 7, turns, None, Crash::Kill);
    }
}

#[test]
fn after_a_power_cut_at_any_point_all_that_was_synced_is_there() {
    for turns in 0..150 {
        crash_after(turns % 7, turns, None, Crash::Power);
    }
}

#[test]
fn after_a_power_cut_between_any_two_changes_of_the_disk_all_that_was_synced_is_there() {
    for changes in 0..250 {
        crash_after(changes % 5, 400, Some(changes), Crash::Power);
    }
}

#[test]
fn after_a_kill_between_any_two_changes_of_the_disk_all_that_was_written_is_there() {
    for changes in 0..250 {
        crash_after(changes % 5, 400, Some(changes), Crash::Kill);
    }
}

#[test]
fn references_grow_even_if_the_wall_clock_went_back() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let before = owe(&mut *handle, session, 1, b"x", at(5000));
    handle.commit(Wish::Synced);
    store.turn(at(5000));
    drop((store, handle));
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (store, ..) = ByHand::open(disk, options(), WALL - 86_400_000).unwrap();
    let mut handle = store.handle(WorkerId(0));
    assert!(handle.clock() > WALL + 5000);
    assert!(handle.keep(&message("t", b"y"), at(0)) > before);
}

#[test]
fn a_damaged_segment_is_refused_or_put_aside_and_the_rest_lives() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let lost = begin(&mut *handle, "lost");
    let kept = begin(&mut *handle, "kept");
    handle.commit(Wish::Synced);
    store.turn(at(1));
    let bad = owe(&mut *handle, lost, 1, &[b'!'; 300], at(1));
    handle.commit(Wish::Synced);
    store.turn(at(2));
    let place = store.engine().model().locate(bad).unwrap();
    let good = owe(&mut *handle, kept, 1, b"good", at(1));
    handle.commit(Wish::Synced);
    store.turn(at(3));
    handle.commit(Wish::Synced);
    store.turn(at(4));
    drop((store, handle));
    disk.kill();
    let name = crate::segment::segment_name(place.segment);
    disk.flip(&name, place.offset + 50, 3);

    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let refused = ByHand::open(Arc::clone(&shared), options(), WALL).map(drop);
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(&name) && text.contains("verify"), "{text}");
    let aside = Options {
        damage: OnDamage::Quarantine,
        ..options()
    };
    let (store, recovered, report) = ByHand::open(shared, aside, WALL).unwrap();
    assert_eq!(report.damages.len(), 1);
    assert_eq!(owed(&recovered, "lost"), []);
    assert_eq!(owed(&recovered, "kept"), [(1, good)]);
    assert!(disk.content(&name).is_none());
    drop(store);
    let (mut store, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "kept"), [(1, good)]);
    let mut handle = store.handle(WorkerId(0));
    handle.load(KEY, &[good]);
    store.turn(at(5));
    let answers = loaded(&mut *handle);
    assert!(matches!(answers[0].found, Found::Message(_)), "{answers:?}");
}
