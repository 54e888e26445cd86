//! How fast the store is, alone: producers owe messages to sessions in class `disk` and wait for
//! the sync; then the store is opened again.
//!
//! **Never:** no network and no broker. docs/benchmarks.md says what a server does.
//!
//! ```text
//! cargo run --release -p journal --example bench [FOLDER [MESSAGES [PRODUCERS [OUTSTANDING [BYTES]]]]]
//! ```
//!
//! Without a folder it uses one of its own in the temporary folder, and removes it afterwards.

use std::collections::VecDeque;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use journal::disk::Folder;
use journal::engine::{Engine, Options};
use journal::server::{Server, Settings, Stopped};
use store::{Delivery, Figures, Record, Store, Wish};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, QoS, StoredSession, Ticket, Time,
    WorkerId,
};

type Failure = Box<dyn Error + Send + Sync>;

struct Load {
    messages: u64,
    producers: u64,
    outstanding: usize,
    bytes: usize,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().filter(|folder| folder != "-");
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let load = Load {
        messages: number(1_000_000)?,
        producers: number(4)?.max(1),
        outstanding: usize::try_from(number(250)?)?.max(1),
        bytes: usize::try_from(number(200)?)?,
    };
    let own = std::env::temp_dir().join(format!("journal-bench-{}", std::process::id()));
    let path = folder.as_ref().map_or(own.clone(), PathBuf::from);
    let ran = run(&path, &load).and_then(|()| recover(&path));
    if folder.is_none() {
        std::fs::remove_dir_all(&own)?;
    }
    ran
}

fn open(path: &Path) -> Result<(Engine, journal::engine::Report, Duration), Failure> {
    let wall = std::time::UNIX_EPOCH.elapsed()?;
    let disk = Arc::new(Folder::open(path)?);
    let began = Instant::now();
    let wall = u64::try_from(wall.as_millis())?;
    let (engine, recovered, report) = Engine::open(disk, Options::default(), wall)?;
    let took = began.elapsed();
    drop(recovered);
    Ok((engine, report, took))
}

fn run(path: &Path, load: &Load) -> Result<(), Failure> {
    let (engine, ..) = open(path)?;
    let start = Instant::now();
    let threads: Arc<Mutex<Vec<Option<Thread>>>> = Arc::default();
    let wake = {
        let threads = Arc::clone(&threads);
        move |worker: WorkerId| {
            let threads = threads.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Some(thread)) = threads.get(worker.index()) {
                thread.unpark();
            }
        }
    };
    let clock = move || start.elapsed();
    let server = Server::start(engine, Settings::default(), clock, wake, Box::new(|_| ()))?;
    let cpu = cpu_seconds()?;
    let began = Instant::now();
    let share = load.messages.div_ceil(load.producers);
    let mut producers = Vec::new();
    for worker in 0..load.producers {
        let handle = server.handle(WorkerId(u16::try_from(worker)?));
        let (threads, outstanding, bytes) = (Arc::clone(&threads), load.outstanding, load.bytes);
        producers.push(std::thread::spawn(move || {
            let mut all = threads.lock().unwrap_or_else(PoisonError::into_inner);
            let place = usize::try_from(worker)?;
            let length = all.len().max(place.saturating_add(1));
            all.resize(length, None);
            if let Some(mine) = all.get_mut(place) {
                *mine = Some(std::thread::current());
            }
            drop(all);
            produce(handle, start, share, outstanding, bytes)
        }));
    }
    let (mut latencies, mut handing) = (Vec::new(), Duration::ZERO);
    for producer in producers {
        let result = producer.join().map_err(|_| "a producer panicked")?;
        let (some, took) = result?;
        latencies.extend(some);
        handing += took;
    }
    let took = began.elapsed();
    let cpu = cpu_seconds()? - cpu;
    let figures = server.handle(WorkerId(0)).figures().unwrap_or_default();
    if server.stop() != Stopped::Clean {
        return Err("the store did not stop cleanly".into());
    }
    show(&mut latencies, took, cpu, handing, &figures);
    Ok(())
}

/// Owes messages to sessions of its own, as many at a time as may be outstanding.
fn produce(
    mut handle: impl Store,
    start: Instant,
    messages: u64,
    outstanding: usize,
    bytes: usize,
) -> Result<(Vec<Duration>, Duration), Failure> {
    let now = || Time::from_millis(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
    let mut sessions = lasting_sessions(&mut handle)?;
    handle.commit(Wish::Lazy);
    let topic: Arc<str> = Arc::from("plant/line/7/temperature");
    let payload = vec![b'x'; bytes];
    let mut waiting: VecDeque<(Ticket, usize, Instant)> = VecDeque::new();
    let mut latencies = Vec::new();
    let (mut sent, mut unsafe_yet) = (0_u64, 0_usize);
    let mut handing = Duration::ZERO;
    while sent < messages || !waiting.is_empty() {
        let room = outstanding.saturating_sub(unsafe_yet);
        let some = room.min(usize::try_from(messages - sent)?);
        let began = Instant::now();
        for _ in 0..some {
            let (session, number) = sessions.pop_front().ok_or("no session")?;
            sessions.push_back((session, number.next()));
            let parts = MessageParts {
                properties: &[],
                payload: &payload,
                qos: QoS::AtLeastOnce,
                retain: false,
                publisher: None,
                expires: None,
                durability: Durability::Disk,
                followed: types::Followed::No,
            };
            let message = handle.keep(&Message::new(Arc::clone(&topic), parts), now());
            let delivery = Delivery {
                session,
                number,
                qos: QoS::AtLeastOnce,
                retain: false,
                packet_id: None,
                ids: None,
                share: None,
            };
            let deliveries = &[delivery];
            handle.append(Record::Owed {
                message,
                deliveries,
            });
        }
        if some > 0 {
            waiting.push_back((handle.commit(Wish::Synced), some, began));
            handing += began.elapsed();
            sent += u64::try_from(some)?;
            unsafe_yet += some;
        }
        let synced = handle.progress()?.synced;
        let before = waiting.len();
        while let Some((_, count, since)) = waiting.pop_front_if(|batch| batch.0 <= synced) {
            latencies.extend(std::iter::repeat_n(since.elapsed(), count));
            unsafe_yet -= count;
        }
        if waiting.len() == before && (unsafe_yet >= outstanding || sent >= messages) {
            std::thread::park();
        }
    }
    Ok((latencies, handing))
}

/// Sessions that messages are owed to, each with the number of its next delivery.
fn lasting_sessions(
    handle: &mut impl Store,
) -> Result<VecDeque<(StoredSession, DeliveryNumber)>, Failure> {
    let mut sessions = VecDeque::new();
    for _ in 0..SESSIONS {
        let session = handle.new_session();
        let client = ClientId::new(&format!("client-{}", session.0)).ok_or("an empty name")?;
        handle.append(Record::Session {
            session,
            client: &client,
            user: None,
            expiry: Duration::MAX,
            will: None,
        });
        sessions.push_back((session, DeliveryNumber::FIRST));
    }
    Ok(sessions)
}

fn show(
    latencies: &mut [Duration],
    took: Duration,
    cpu: f64,
    handing: Duration,
    figures: &Figures,
) {
    latencies.sort_unstable();
    let count = latencies.len();
    let messages = count as f64;
    let percentile = |percent: usize| {
        let place = (count * percent / 100).min(count.saturating_sub(1));
        latencies.get(place).copied().unwrap_or_default()
    };
    println!("messages          {count}");
    println!("messages/s        {:.0}", messages / took.as_secs_f64());
    println!("ack p50           {:.2?}", percentile(50));
    println!("ack p99           {:.2?}", percentile(99));
    println!("CPU               {:.2} us/message", cpu * 1e6 / messages);
    println!(
        "handing over      {:.0} ns/message on the worker, the making of the message too",
        handing.as_secs_f64() * 1e9 / messages
    );
    println!(
        "written           {:.0} bytes/message",
        figures.written_bytes as f64 / messages
    );
    println!("syncs             {}", figures.syncs);
    println!("on the disk       {} MiB", figures.disk_bytes >> 20);
}

fn recover(path: &Path) -> Result<(), Failure> {
    let (engine, report, took) = open(path)?;
    drop(engine);
    println!(
        "recovery          {took:.2?} for {} messages of {} sessions, {} MiB read",
        report.deliveries,
        report.sessions,
        report.bytes >> 20
    );
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .ok_or("no name in the process's state")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || {
        fields
            .next()
            .ok_or("no times in the process's state")?
            .parse::<f64>()
            .map_err(Failure::from)
    };
    Ok((ticks()? + ticks()?) / 100.0)
}

/// Sessions of each producer.
const SESSIONS: usize = 2500;
