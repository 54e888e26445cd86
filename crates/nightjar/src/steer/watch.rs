//! Clients that connect too often, and two that share a client identifier.
//!
//! Workers tell of what happened and never wait; a thread of its own counts. It remembers a bounded
//! number of clients: who comes when there is no room is not counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use admin::Audit;
use admin::alarms::{Raised, Severity};
use broker::Event;
use providers::access::{Ban, BanOn};
use tracing::error;
use types::{ClientId, Limits, Peer};

use super::bell::Bell;
use super::{bans, noted};
use crate::brief;
use crate::doors::Doors;
use crate::queue;

/// What is on its way to the thread. More is not counted.
const WAITING: usize = 4096;
/// Clients that are remembered, for each kind.
const CLIENTS: usize = 10_000;
/// How often it is looked whether something is over.
const TICK: Duration = Duration::from_millis(250);

const FLAPPING: &str = "flapping";
const DUPLICATE: &str = "duplicate_client_id";

/// What workers tell.
enum Happened {
    /// The whole identifier: it may be banned.
    Connected(ClientId, Peer),
    /// The identifier in brief.
    TakenOver {
        client: ClientId,
        old: Peer,
        new: Peer,
    },
}

/// Where events of workers go in.
pub(crate) struct Watch {
    to: queue::Sender<Happened>,
    bounds: Arc<Bounds>,
    /// Until the thread has it.
    from: Mutex<Option<queue::Receiver<Happened>>>,
}

/// What is counted.
struct Bounds {
    counts_connects: AtomicBool,
    counts_takeovers: AtomicBool,
    limits: Mutex<Limits>,
}

impl Bounds {
    fn set(&self, limits: &Limits) {
        let connects = limits.flapping_connects > 0;
        self.counts_connects.store(connects, Ordering::Relaxed);
        let takeovers = limits.duplicate_takeovers > 0;
        self.counts_takeovers.store(takeovers, Ordering::Relaxed);
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits.clone();
    }

    fn limits(&self) -> Limits {
        let limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.clone()
    }
}

impl Watch {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (to, from) = queue::bounded(WAITING);
        let bounds = Bounds {
            counts_connects: AtomicBool::new(false),
            counts_takeovers: AtomicBool::new(false),
            limits: Mutex::new(limits.clone()),
        };
        bounds.set(limits);
        Self {
            to,
            bounds: Arc::new(bounds),
            from: Mutex::new(Some(from)),
        }
    }

    /// Other limits hold.
    pub(crate) fn configured(&self, limits: &Limits) {
        self.bounds.set(limits);
    }

    /// Something happened. Called on a worker.
    pub(crate) fn event(&self, event: &Event) {
        let happened = match event {
            // A bridge of this server: it comes as often as the other server ends its connection,
            // and is to shut nobody out by that, least of all itself.
            Event::Connected {
                peer: Peer::Local(None),
                ..
            } => return,
            Event::Connected { client, peer, .. }
                if self.bounds.counts_connects.load(Ordering::Relaxed) =>
            {
                Happened::Connected(client.clone(), *peer)
            }
            Event::TakenOver { client, old, new }
                if self.bounds.counts_takeovers.load(Ordering::Relaxed) =>
            {
                Happened::TakenOver {
                    client: brief::id(client),
                    old: *old,
                    new: *new,
                }
            }
            _ => return,
        };
        // A storm that fills it is noticed by what is in it.
        let _not_counted = self.to.push(happened);
    }

    /// Begins to count. The second time nothing happens.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn follow(
        &self,
        doors: Arc<Doors>,
        audit: Arc<Audit>,
        bell: Arc<Bell>,
    ) -> io::Result<()> {
        let mut from = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(from) = from.take() else {
            return Ok(());
        };
        let mut counting = Counting {
            bounds: Arc::clone(&self.bounds),
            doors,
            audit,
            bell,
            connects: Repeats::default(),
            takeovers: Repeats::default(),
            ends: BTreeMap::new(),
        };
        thread::Builder::new()
            .name("watch-clients".into())
            .spawn(move || {
                let mut looked = Instant::now();
                loop {
                    match from.recv_timeout(TICK) {
                        Ok(happened) => counting.note(happened, Instant::now()),
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => return,
                    }
                    if looked.elapsed() >= TICK {
                        looked = Instant::now();
                        counting.clear(looked);
                    }
                }
            })?;
        Ok(())
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// The thread's own.
struct Counting {
    bounds: Arc<Bounds>,
    doors: Arc<Doors>,
    audit: Arc<Audit>,
    bell: Arc<Bell>,
    connects: Repeats,
    takeovers: Repeats,
    /// When which alarm is over; identifiers in brief, as in alarms.
    ends: BTreeMap<(&'static str, ClientId), Instant>,
}

impl Counting {
    fn note(&mut self, happened: Happened, now: Instant) {
        let limits = self.bounds.limits();
        let window = limits.flapping_window;
        match happened {
            Happened::Connected(client, peer) => {
                let most = limits.flapping_connects;
                if most > 0 && self.connects.note(&brief::id(&client), now, window, most) {
                    self.flaps(&client, peer, &limits, now);
                }
            }
            Happened::TakenOver { client, old, new } => {
                let most = limits.duplicate_takeovers;
                if most > 0 && self.takeovers.note(&client, now, window, most) {
                    let words = format!(
                        "clients at {old} and {new} use the same client identifier {:?} and take \
                         the session from each other",
                        client.as_str()
                    );
                    self.raise(DUPLICATE, client, &words, now + window);
                }
            }
        }
    }

    fn flaps(&mut self, client: &ClientId, peer: Peer, limits: &Limits, now: Instant) {
        let (whole, client) = (client.as_str(), brief::id(client));
        let id = client.as_str();
        let often = format!(
            "client {id:?} connected more than {} times within {} s, the last time from {peer}",
            limits.flapping_connects,
            limits.flapping_window.as_secs_f64()
        );
        let ban = limits.flapping_ban;
        // In a ban a star at the end stands for the rest: it would be about others.
        let (words, lasts) = if ban.is_zero() || whole.ends_with('*') {
            (often, limits.flapping_window)
        } else {
            match self.ban(whole, &often, ban) {
                Ok(()) => (
                    format!("{often}; it is banned for {} s", ban.as_secs()),
                    ban,
                ),
                Err(why) => {
                    error!(client = id, why, "a client that flaps could not be banned");
                    (format!("{often}; it could not be banned: {why}"), ban)
                }
            }
        };
        self.connects.forget(&client);
        self.raise(FLAPPING, client, &words, now + lasts);
    }

    fn ban(&self, client: &str, reason: &str, span: Duration) -> Result<(), String> {
        let target = format!("clientid/{client}");
        let record = self
            .audit
            .record("server", "flapping detection", "ban.create", &target);
        let now = bans::now();
        let ban = Ban {
            on: BanOn::Client(client.into()),
            until: Some(now.saturating_add(span.as_secs().max(1))),
            reason: reason.into(),
            by: "flapping detection".into(),
            created: now,
        };
        let agree = noted(&record, bans::shown);
        let made = self.doors.access().changes(&agree).lengthen_ban(&ban);
        made.map(drop).map_err(|error| error.to_string())
    }

    fn raise(&mut self, name: &'static str, client: ClientId, words: &str, ends: Instant) {
        let severity = Severity::Warning;
        let raised = self.bell.raise(severity, name, client.as_str(), words);
        // There is nothing to clear then. So there are never more ends than alarms.
        if raised == Raised::Lost {
            return;
        }
        self.ends.insert((name, client), ends);
    }

    /// Clears what is over.
    fn clear(&mut self, now: Instant) {
        let bell = &self.bell;
        self.ends.retain(|(name, client), ends| {
            if *ends > now {
                return true;
            }
            bell.clear(name, client.as_str());
            false
        });
    }
}

/// How often something happened to each client lately, by identifiers in brief.
#[derive(Debug, Default)]
struct Repeats(HashMap<ClientId, VecDeque<Instant>>);

impl Repeats {
    /// It happened again; whether that is more than `most` times within the window.
    fn note(&mut self, client: &ClientId, now: Instant, window: Duration, most: u32) -> bool {
        let is_over = |time: &Instant| now.saturating_duration_since(*time) >= window;
        if self.0.len() >= CLIENTS && !self.0.contains_key(client) {
            self.0
                .retain(|_, times| times.back().is_some_and(|last| !is_over(last)));
            if self.0.len() >= CLIENTS {
                return false;
            }
        }
        let times = self.0.entry(client.clone()).or_default();
        while times.pop_front_if(|first| is_over(first)).is_some() {}
        times.push_back(now);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let is_more = times.len() > most;
        while times.len() > most.min(REMEMBERED) {
            times.pop_front();
        }
        is_more
    }

    fn forget(&mut self, client: &ClientId) {
        self.0.remove(client);
    }
}

/// Times that are remembered of a client, whatever the limit.
const REMEMBERED: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: usize) -> ClientId {
        ClientId::new(&format!("c{number}")).expect("an id")
    }

    #[test]
    fn what_happens_too_often_within_the_window_is_noticed() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let window = Duration::from_secs(10);
        let mut note = |seconds: u64| {
            repeats.note(&client(1), start + Duration::from_secs(seconds), window, 3)
        };
        let noted: Vec<bool> = [0, 1, 2, 3].into_iter().map(&mut note).collect();
        assert_eq!(noted, [false, false, false, true]);
        // Every four seconds there are three of them within ten.
        let slow: Vec<bool> = (5..20).map(|turn| note(turn * 4)).collect();
        assert_eq!(slow, [false; 15]);
    }

    #[test]
    fn s95_a_long_identifier_is_an_alarm_s_in_brief() {
        let watch = Watch::new(&Limits::default());
        let client = ClientId::new(&"\u{200b}".repeat(20_000)).expect("an id");
        watch.event(&Event::TakenOver {
            client,
            old: Peer::Local(None),
            new: Peer::Local(None),
        });
        let from = watch.from.lock().expect("whole").take().expect("it is new");
        let Ok(Happened::TakenOver { client, .. }) = from.recv_timeout(Duration::ZERO) else {
            panic!("it is told");
        };
        assert!(client.as_str().len() <= brief::WORDS + 48, "{client}");
    }

    #[test]
    fn so_many_clients_are_remembered_and_no_more() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        let window = Duration::from_secs(10);
        for number in 0..CLIENTS {
            assert!(!repeats.note(&client(number), start, window, 1));
        }
        assert!(!repeats.note(&client(CLIENTS), start, window, 1));
        assert_eq!(repeats.0.len(), CLIENTS);
        // Those that were quiet make room.
        let later = start + window;
        assert!(!repeats.note(&client(CLIENTS), later, window, 1));
        assert_eq!(repeats.0.len(), 1);
    }
}
