//! The threads around an engine, on a disk in memory.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use store::{Found, Record, Store, Wish};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, MessageRef, QoS, SessionKey,
    StoredSession, Ticket, Time, WorkerId,
};

use super::{Handle, Server, Settings, Stopped};
use crate::engine::{Engine, Options};
use crate::faulty::{Fault, MemoryDisk};

const WALL: u64 = 1_700_000_000_000;

fn start(disk: &MemoryDisk, settings: Settings) -> (Server, Receiver<WorkerId>) {
    let disk = Arc::new(disk.clone());
    let (engine, ..) = Engine::open(disk, Options::default(), WALL).unwrap();
    let (woken, wakes) = channel();
    let began = Instant::now();
    let wake = move |worker| woken.send(worker).unwrap_or_default();
    let server = Server::start(
        engine,
        settings,
        move || began.elapsed(),
        wake,
        Box::new(|_| ()),
    )
    .unwrap();
    (server, wakes)
}

fn begin(handle: &mut Handle) -> StoredSession {
    let session = handle.new_session();
    handle.append(Record::Session {
        session,
        client: &ClientId::new("a").unwrap(),
        user: None,
        expiry: Duration::MAX,
        will: None,
    });
    session
}

fn owe(handle: &mut Handle, session: StoredSession, number: u64) -> MessageRef {
    let parts = MessageParts {
        properties: &[],
        payload: &number.to_le_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        publisher: None,
        expires: None,
        durability: Durability::Disk,
        followed: types::Followed::No,
    };
    let message = handle.keep(&Message::new(Arc::from("t"), parts), Time::ZERO);
    let delivery = store::Delivery {
        session,
        number: DeliveryNumber::new(number).unwrap(),
        qos: QoS::AtLeastOnce,
        retain: false,
        packet_id: None,
        ids: None,
        share: None,
    };
    handle.append(Record::Owed {
        message,
        deliveries: &[delivery],
    });
    message
}

fn wait_for(handle: &Handle, ticket: Ticket, wakes: &Receiver<WorkerId>) {
    while handle.progress().unwrap().synced < ticket {
        wakes.recv().unwrap();
    }
}

#[test]
fn a_worker_that_wished_is_woken_when_it_is_safe() {
    let disk = MemoryDisk::default();
    let (server, wakes) = start(&disk, Settings::default());
    let mut handle = server.handle(WorkerId(3));
    let session = begin(&mut handle);
    for number in 1..=100 {
        owe(&mut handle, session, number);
        let ticket = handle.commit(Wish::Synced);
        wait_for(&handle, ticket, &wakes);
    }
    let figures = handle.figures().unwrap();
    assert!(figures.commits.iter().sum::<u64>() >= 99, "{figures:?}");
    assert_eq!(server.stop(), Stopped::Clean);
}

#[test]
fn a_stop_leaves_nothing_behind() {
    let disk = MemoryDisk::default();
    let (server, _wakes) = start(&disk, Settings::default());
    let mut handle = server.handle(WorkerId(0));
    let session = begin(&mut handle);
    owe(&mut handle, session, 1);
    handle.commit(Wish::Lazy);
    assert_eq!(server.stop(), Stopped::Clean);
    drop(handle);
    disk.cut_power(1);
    let (_, recovered, _) = Engine::open(Arc::new(disk), Options::default(), WALL).unwrap();
    assert_eq!(recovered.sessions[0].deliveries.len(), 1);
}

#[test]
fn what_nobody_waits_for_is_synced_without_a_stop() {
    let disk = MemoryDisk::default();
    let settings = Settings {
        sync_interval: Duration::from_millis(20),
        ..Settings::default()
    };
    let (server, wakes) = start(&disk, settings);
    let mut lazy = server.handle(WorkerId(0));
    begin(&mut lazy);
    let ticket = lazy.commit(Wish::Lazy);
    // Answers to a load wake whoever asked: by then the journal has taken a turn.
    while lazy.progress().unwrap().synced < ticket {
        lazy.load(KEY, &[MessageRef(1)]);
        assert_eq!(wakes.recv().unwrap(), WorkerId(0));
        assert!(lazy.loaded().is_some());
    }
    assert_eq!(server.stop(), Stopped::Clean);
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let disk = MemoryDisk::default();
    let (server, wakes) = start(&disk, Settings::default());
    let mut handle = server.handle(WorkerId(0));
    let session = begin(&mut handle);
    let all: Vec<_> = (1..=500)
        .map(|number| owe(&mut handle, session, number))
        .collect();
    handle.commit(Wish::Lazy);
    handle.load(KEY, &all);
    let mut answers = Vec::new();
    while answers.len() < all.len() {
        wakes.recv().unwrap();
        answers.extend(std::iter::from_fn(|| handle.loaded()));
    }
    for (answer, number) in answers.iter().zip(1_u64..) {
        let Found::Message(message) = &answer.found else {
            panic!("{answer:?}");
        };
        assert_eq!(message.payload(), number.to_le_bytes());
        assert_eq!(message.reference(), Some(answer.message));
    }
    assert_eq!(server.stop(), Stopped::Clean);
}

#[test]
fn workers_share_commits() {
    let disk = MemoryDisk::default();
    let (server, wakes) = start(&disk, Settings::default());
    drop(wakes);
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let mut handle = server.handle(WorkerId(worker));
            std::thread::spawn(move || {
                let session = begin(&mut handle);
                for number in 1..=2000 {
                    owe(&mut handle, session, number);
                    handle.commit(Wish::Synced);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(server.stop(), Stopped::Clean);
    let (_, recovered, report) = Engine::open(Arc::new(disk), Options::default(), WALL).unwrap();
    assert_eq!((report.anomalies, report.deliveries), (0, 8000));
    assert!(
        recovered
            .sessions
            .iter()
            .all(|session| session.deliveries.len() == 2000)
    );
}

#[test]
fn a_failure_wakes_everybody() {
    let disk = MemoryDisk::default();
    let (server, wakes) = start(&disk, Settings::default());
    let mut handle = server.handle(WorkerId(0));
    let other = server.handle(WorkerId(1));
    disk.fail_syncs(Fault::Once(std::io::ErrorKind::Other));
    begin(&mut handle);
    handle.commit(Wish::Synced);
    assert_eq!(wakes.recv().unwrap(), WorkerId(0));
    assert_eq!(wakes.recv().unwrap(), WorkerId(1));
    assert!(handle.progress().is_err() && other.progress().is_err());
    assert_eq!(server.stop(), Stopped::Incomplete);
}

const KEY: SessionKey = SessionKey {
    slot: 1,
    generation: 1,
};
