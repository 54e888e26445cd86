//! The messages that are followed, from step to step.
//!
//! Called on workers: each has a place of its own, for which nobody waits. What finds its place taken
//! at this very moment, because the exporter looks into it, is counted as lost.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use broker::probe::{Acknowledgement, What};
use broker::{Probe, Step, Tracer};
use telemetry::span::Kind;
use telemetry::{Context, Figures, Signal, Span, SpanId, TraceId, Value};
use types::{Peer, WorkerId};

use super::carried::{Carried, replaced};
use super::place::{New, Place, SWEEP, event, text};

/// Most spans of a worker that wait to be fetched. More are counted as lost.
const WAITING: usize = 8192;
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Which messages are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// One of so many that bring no context; zero: none.
    pub(super) one_in: u32,
    /// At most so many in a second.
    pub(super) most: u32,
}

/// Follows messages.
pub(super) struct Follower {
    wanted: Wanted,
    desks: Box<[Desk]>,
    hasher: RandomState,
    /// The second that counts, and how many messages were followed in it.
    second: AtomicU64,
    followed: AtomicU64,
    fetched: Mutex<VecDeque<Span>>,
    figures: Arc<Figures>,
    unfollowed: Arc<AtomicU64>,
}

/// What belongs to a worker.
struct Desk {
    place: Mutex<Place>,
    /// Spans that have ended, on their way out.
    out: Mutex<Vec<Span>>,
    /// A generator's state; only this worker counts it on.
    random: AtomicU64,
    /// When the place was last looked into.
    used: AtomicU64,
}

impl Follower {
    pub(super) fn new(
        workers: usize,
        wanted: Wanted,
        figures: Arc<Figures>,
        unfollowed: Arc<AtomicU64>,
    ) -> Self {
        let desk = |_| Desk {
            place: Mutex::default(),
            out: Mutex::default(),
            // Std keys its hasher from the system's randomness.
            random: AtomicU64::new(RandomState::new().hash_one(now())),
            used: AtomicU64::new(0),
        };
        Self {
            wanted,
            desks: (0..workers).map(desk).collect(),
            hasher: RandomState::new(),
            second: AtomicU64::new(0),
            followed: AtomicU64::new(0),
            fetched: Mutex::default(),
            figures,
            unfollowed,
        }
    }

    /// Spans that have ended, at most so many.
    pub(super) fn fetch(&self, most: usize) -> Vec<Span> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.is_empty() {
            let at = now();
            for desk in &self.desks {
                // A worker that has nothing to do does not look for what is old.
                if at.saturating_sub(desk.used.load(Relaxed)) > 2 * SWEEP
                    && let Some(mut place) = free(&desk.place)
                {
                    place.sweep(at);
                    self.hand_out(desk, &mut place);
                }
                let mut out = desk.out.lock().unwrap_or_else(PoisonError::into_inner);
                fetched.extend(std::mem::take(&mut *out));
            }
        }
        let count = most.min(fetched.len());
        fetched.drain(..count).collect()
    }

    /// Nothing is followed any more: what has not come to its end is told as it is.
    pub(super) fn finish(&self) {
        for desk in &self.desks {
            let mut place = desk.place.lock().unwrap_or_else(PoisonError::into_inner);
            place.finish(now());
            self.hand_out(desk, &mut place);
        }
    }

    fn desk(&self, worker: WorkerId) -> Option<&Desk> {
        self.desks.get(worker.index())
    }

    /// Does something at a worker's place.
    fn at(&self, worker: WorkerId, at: u64, work: impl FnOnce(&mut Place)) {
        let Some(desk) = self.desk(worker) else {
            return;
        };
        let Some(mut place) = free(&desk.place) else {
            return self.lose(1);
        };
        desk.used.store(at, Relaxed);
        work(&mut place);
        place.sweep(at);
        self.hand_out(desk, &mut place);
    }

    /// What has ended goes to where it is fetched; if that is at this very moment, the next time.
    fn hand_out(&self, desk: &Desk, place: &mut Place) {
        self.lose(std::mem::take(&mut place.lost));
        if place.ended.is_empty() {
            return;
        }
        if let Some(mut out) = free(&desk.out) {
            let room = WAITING.saturating_sub(out.len()).min(place.ended.len());
            out.extend(place.ended.drain(..room));
        }
        let beyond = place.ended.len().saturating_sub(WAITING);
        place.ended.drain(..beyond);
        self.lose(u64::try_from(beyond).unwrap_or(u64::MAX));
    }

    fn lose(&self, count: u64) {
        if count > 0 {
            self.figures.of(Signal::Traces).drop(count);
        }
    }

    /// Whether another message may be followed in this second.
    fn has_room(&self, at: u64) -> bool {
        let second = at / SECOND;
        if self.second.swap(second, Relaxed) != second {
            self.followed.store(0, Relaxed);
        }
        let has = self.followed.fetch_add(1, Relaxed) < u64::from(self.wanted.most);
        if !has {
            self.unfollowed.fetch_add(1, Relaxed);
        }
        has
    }

    fn key(&self, step: &Step<'_>) -> Option<u64> {
        Some(self.hasher.hash_one(step.client?.as_str()))
    }

    /// What became of a message for one client.
    fn delivered(&self, step: &Step<'_>, context: Context, state: &str) {
        let (Some(client), Some(desk)) = (self.key(step), self.desk(step.worker)) else {
            return;
        };
        let new = New {
            client,
            context,
            state,
            id: desk.span_id(),
            at: now(),
        };
        let about = |span: &mut Span| describe(span, step);
        self.at(step.worker, new.at, |place| match step.what {
            What::Queued { qos } => place.queued(&new, |span| {
                about(span);
                span.attributes
                    .push(("nightjar.qos", u64::from(qos.bits()).into()));
            }),
            What::Sent {
                packet_id,
                qos,
                dup,
            } => place.sent(&new, packet_id, dup, |span| {
                about(span);
                span.attributes
                    .push(("nightjar.qos", u64::from(qos.bits()).into()));
            }),
            What::Dropped(reason) => place.dropped(&new, reason.as_str(), about),
            What::Received { .. }
            | What::Authorized
            | What::Answered(_)
            | What::Routed { .. }
            | What::Acknowledged { .. } => {}
        });
    }

    fn acknowledged(&self, step: &Step<'_>) {
        let What::Acknowledged { packet_id, by } = step.what else {
            return;
        };
        let Some(client) = self.key(step) else { return };
        let at = now();
        let said = match by {
            Acknowledgement::PubAck => ("acknowledged", true),
            Acknowledgement::PubRec => ("received", false),
            Acknowledgement::PubComp => ("acknowledged", true),
        };
        self.at(step.worker, at, |place| {
            if place.awaits_any() {
                place.acknowledged(client, packet_id, at, said);
            }
        });
    }
}

impl Probe for Follower {
    fn step(&self, step: &Step<'_>) {
        if matches!(step.what, What::Acknowledged { .. }) {
            return self.acknowledged(step);
        }
        let Carried::One { context, state, .. } = Carried::of(step.properties) else {
            return;
        };
        if !context.sampled {
            return;
        }
        let happened = |name: &'static str, attributes: Vec<(&'static str, Value)>| {
            let at = now();
            self.at(step.worker, at, |place| {
                let mut event = event(name, at);
                event.attributes.clone_from(&attributes);
                if let Some(span) = place.received(context.span, event) {
                    span.attributes.extend(attributes);
                }
            });
        };
        match step.what {
            // It was marked.
            What::Received { .. } | What::Acknowledged { .. } => {}
            What::Authorized => happened("authorized", Vec::new()),
            What::Routed { recipients, groups } => {
                let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).into();
                let recipients = ("nightjar.recipients", count(recipients));
                happened(
                    "matched",
                    vec![recipients, ("nightjar.groups", count(groups))],
                );
            }
            What::Dropped(reason) if step.client.is_none() => {
                let reason = ("nightjar.reason", reason.as_str().into());
                happened("dropped", vec![reason]);
            }
            What::Answered(reason) => {
                let at = now();
                let (words, is_error) = (reason.as_str(), reason.is_error());
                self.at(step.worker, at, |place| {
                    place.end_receive(context.span, at, words, is_error);
                });
            }
            What::Queued { .. } | What::Sent { .. } | What::Dropped(_) => {
                self.delivered(step, context, state);
            }
        }
    }
}

impl Tracer for Follower {
    fn mark(&self, step: &Step<'_>) -> Option<Arc<[u8]>> {
        let desk = self.desk(step.worker)?;
        let (parent, state, old) = match Carried::of(step.properties) {
            Carried::Nothing => {
                let is_own = step.client.is_none()
                    && step.topic.is_some_and(|topic| topic.starts_with("$SYS/"));
                let one_in = u64::from(self.wanted.one_in);
                // Zero: none.
                let is_one = desk.random().checked_rem(one_in) == Some(0);
                if is_own || !is_one {
                    return None;
                }
                (None, "", None)
            }
            Carried::One {
                context,
                state,
                text,
            } if context.sampled => (Some(context), state, Some(text)),
            Carried::One { .. } | Carried::Broken => return None,
        };
        let at = now();
        if !self.has_room(at) {
            return None;
        }
        let trace = match parent {
            Some(parent) => parent.trace,
            None => desk.trace_id(),
        };
        let (id, sampled) = (desk.span_id(), true);
        let context = Context {
            trace,
            span: id,
            sampled,
        };
        let marked = replaced(step.properties, old, context)?;
        let mut span = Span {
            trace,
            id,
            parent: parent.map(|parent| parent.span),
            state: state.into(),
            name: "receive",
            kind: Kind::Consumer,
            start: at,
            end: at,
            attributes: Vec::with_capacity(16),
            events: Vec::with_capacity(4),
            error: None,
        };
        describe(&mut span, step);
        if let Some(message) = &step.message {
            let size = u64::try_from(message.payload.len()).unwrap_or(u64::MAX);
            span.attributes.extend([
                ("messaging.message.body.size", size.into()),
                ("nightjar.qos", u64::from(message.qos.bits()).into()),
                ("nightjar.retain", message.retain.into()),
            ]);
        }
        self.at(step.worker, at, |place| place.receive(span));
        Some(marked)
    }
}

/// What spans of both kinds say, by the conventions for messaging. The payload is never in it.
fn describe(span: &mut Span, step: &Step<'_>) {
    let all = &mut span.attributes;
    all.extend([
        ("messaging.system", "mqtt".into()),
        ("messaging.operation.name", span.name.into()),
        ("messaging.operation.type", span.name.into()),
        ("nightjar.worker", u64::from(step.worker.0).into()),
    ]);
    if let Some(topic) = step.topic {
        all.push(("messaging.destination.name", text(topic)));
    }
    if let Some(client) = step.client {
        all.push(("messaging.client.id", client.as_str().to_owned().into()));
    }
    if let Some(Peer::Net(address)) = step.peer {
        all.extend([
            ("network.peer.address", address.ip().to_string().into()),
            ("network.peer.port", u64::from(address.port()).into()),
        ]);
    }
    let packet = match step.what {
        What::Received { packet_id, .. } | What::Sent { packet_id, .. } => packet_id,
        _ => None,
    };
    if let Some(packet) = packet {
        // A name that the conventions have no word for.
        all.push(("nightjar.packet_id", u64::from(packet.get()).into()));
    }
}

impl Desk {
    /// The next number (splitmix64): unlike those of others, which is all that identifiers need.
    fn random(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let state = self.random.fetch_add(step, Relaxed).wrapping_add(step);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn span_id(&self) -> SpanId {
        loop {
            if let Some(id) = SpanId::new(self.random()) {
                return id;
            }
        }
    }

    fn trace_id(&self) -> TraceId {
        loop {
            let number = (u128::from(self.random()) << 64) | u128::from(self.random());
            if let Some(id) = TraceId::new(number) {
                return id;
            }
        }
    }
}

/// What a lock guards, unless somebody has it.
fn free<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match lock.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
