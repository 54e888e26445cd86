//! The messages that are followed, from step to step.
//!
//! Called on workers, and only about messages that are followed or may come to be: each worker has a
//! place of its own, for which nobody waits. What finds its place taken at this very moment, because the
//! exporter looks into it, is not followed, or counted as lost.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};

use broker::probe::{Acknowledgement, What};
use broker::{Asked, Mark, Probe, Step, Tracer};
use telemetry::span::Kind;
use telemetry::{Context, Figures, Signal, Span, SpanId, TraceId, Value};
use types::{Followed, Peer, WorkerId};

use super::carried::{Carried, replaced, state};
use super::place::{New, Place, SWEEP, event, text};

/// Most spans of a worker that wait to be fetched. More are counted as lost: those that come last, so
/// that a collector that is away costs a worker nothing but counting.
pub(super) const WAITING: usize = 4096;
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Which messages are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// One of so many; zero: none.
    pub(super) one_in: u32,
    /// Whether those are too whose publishers say that they are.
    pub(super) honors_contexts: bool,
    /// At most so many of one client in a second because it says so.
    pub(super) of_client: u32,
    /// At most so many in a second.
    pub(super) most: u32,
    /// At most so many spans in a second.
    pub(super) spans: u32,
}

/// Follows messages.
pub(super) struct Follower {
    wanted: Wanted,
    desks: Box<[Desk]>,
    /// Messages that were followed.
    messages: Second,
    /// Spans that were begun.
    spans: Second,
    /// At which worker fetching begins.
    first: AtomicUsize,
    figures: Arc<Figures>,
    unfollowed: Arc<AtomicU64>,
}

/// Counts in seconds.
#[derive(Default)]
struct Second {
    second: AtomicU64,
    count: AtomicU64,
}

impl Second {
    /// Whether there is room for another one in this second.
    fn has_room(&self, at: u64, most: u32) -> bool {
        let second = at / SECOND;
        if self.second.swap(second, Relaxed) != second {
            self.count.store(0, Relaxed);
        }
        self.count.fetch_add(1, Relaxed) < u64::from(most)
    }
}

/// What belongs to a worker.
struct Desk {
    place: Mutex<Place>,
    /// Spans that have ended, on their way out.
    out: Mutex<VecDeque<Span>>,
    /// Whether any delivery waits for an acknowledgement.
    awaits_any: AtomicBool,
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
            awaits_any: AtomicBool::new(false),
            // Std keys its hasher from the system's randomness.
            random: AtomicU64::new(RandomState::new().hash_one(now())),
            used: AtomicU64::new(0),
        };
        Self {
            wanted,
            desks: (0..workers).map(desk).collect(),
            messages: Second::default(),
            spans: Second::default(),
            first: AtomicUsize::new(0),
            figures,
            unfollowed,
        }
    }

    /// Spans that have ended, at most so many.
    pub(super) fn fetch(&self, most: usize) -> Vec<Span> {
        let mut fetched = Vec::new();
        // Each time at another worker: none of them has to wait for all the others.
        let first = self.first.fetch_add(1, Relaxed);
        let at = now();
        for turn in 0..self.desks.len() {
            let place = first.wrapping_add(turn).checked_rem(self.desks.len());
            let Some(desk) = place.and_then(|place| self.desks.get(place)) else {
                continue;
            };
            // A worker that has nothing to do does not look for what is old.
            if at.saturating_sub(desk.used.load(Relaxed)) > 2 * SWEEP
                && let Some(mut place) = free(&desk.place)
            {
                place.sweep(at);
                self.hand_out(desk, &mut place);
            }
            let mut out = desk.out.lock().unwrap_or_else(PoisonError::into_inner);
            let count = most.saturating_sub(fetched.len()).min(out.len());
            fetched.extend(out.drain(..count));
        }
        fetched
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

    /// Does something at a worker's place. Whether it could.
    fn at(&self, worker: WorkerId, at: u64, work: impl FnOnce(&mut Place)) -> bool {
        let Some(desk) = self.desk(worker) else {
            return false;
        };
        let Some(mut place) = free(&desk.place) else {
            return false;
        };
        if place.is_over {
            // Workers have not heard of it yet.
            return true;
        }
        desk.used.store(at, Relaxed);
        work(&mut place);
        place.sweep(at);
        self.hand_out(desk, &mut place);
        true
    }

    /// What has ended goes to where it is fetched; if that is at this very moment, the next time.
    fn hand_out(&self, desk: &Desk, place: &mut Place) {
        desk.awaits_any.store(place.awaits_any(), Relaxed);
        self.lose(std::mem::take(&mut place.lost));
        if place.ended.is_empty() {
            return;
        }
        if let Some(mut out) = free(&desk.out) {
            let room = WAITING.saturating_sub(out.len()).min(place.ended.len());
            let beyond = place.ended.len().saturating_sub(room);
            out.extend(place.ended.drain(..).take(room));
            self.lose(u64::try_from(beyond).unwrap_or(u64::MAX));
        }
        let beyond = place.ended.len().saturating_sub(WAITING);
        place.ended.truncate(WAITING);
        self.lose(u64::try_from(beyond).unwrap_or(u64::MAX));
    }

    /// So many spans are told to nobody.
    fn lose(&self, count: u64) {
        if count > 0 {
            self.figures.of(Signal::Traces).drop(count);
        }
    }

    /// What became of a message for one client.
    fn delivered(&self, step: &Step<'_>, context: Context) {
        let (Some(session), Some(desk)) = (step.session, self.desk(step.worker)) else {
            return;
        };
        let at = now();
        let new = New {
            session,
            context,
            state: &|| state(step.properties),
            id: desk.span_id(),
            at,
            has_room: &|| self.spans.has_room(at, self.wanted.spans),
        };
        let about = |span: &mut Span| describe(span, step);
        let is_told = self.at(step.worker, at, |place| match step.what {
            What::Queued { .. } => place.queued(&new, about),
            What::Sent { packet_id, dup, .. } => place.sent(&new, packet_id, dup, about),
            What::Dropped(reason) => place.dropped(&new, reason.as_str(), about),
            What::Received { .. }
            | What::Authorized
            | What::Answered(_)
            | What::Routed { .. }
            | What::Acknowledged { .. } => {}
        });
        // One that is open goes on without this step; one that would begin here later begins later.
        let ends = matches!(
            step.what,
            What::Dropped(_)
                | What::Sent {
                    packet_id: None,
                    ..
                }
        );
        if !is_told && ends {
            self.lose(1);
        }
    }

    fn acknowledged(&self, step: &Step<'_>) {
        let What::Acknowledged { packet_id, by } = step.what else {
            return;
        };
        let Some(session) = step.session.filter(|_| self.awaits_any(step.worker)) else {
            return;
        };
        let at = now();
        let said = match by {
            Acknowledgement::PubAck => ("acknowledged", true),
            Acknowledgement::PubRec => ("received", false),
            Acknowledgement::PubComp => ("acknowledged", true),
        };
        // If it could not be told, the delivery is told later, as one that has not come to its end.
        let _told = self.at(step.worker, at, |place| {
            place.acknowledged(session, packet_id, at, said);
        });
    }

    /// Something happened while a message was received.
    fn happened(
        &self,
        step: &Step<'_>,
        context: Context,
        (name, of_event): (&'static str, Option<(&'static str, Value)>),
        of_span: Vec<(&'static str, Value)>,
    ) {
        let at = now();
        // If it could not be told, the span has one event less.
        let _told = self.at(step.worker, at, |place| {
            let mut event = event(name, at);
            event.attributes.extend(of_event);
            if let Some(span) = place.received(context.span, event) {
                span.attributes.extend(of_span);
            }
        });
    }
}

impl Probe for Follower {
    fn step(&self, step: &Step<'_>) {
        if matches!(step.what, What::Acknowledged { .. }) {
            return self.acknowledged(step);
        }
        // It is ours: a worker tells of no other.
        let Carried::One { context, .. } = Carried::of(step.properties) else {
            return;
        };
        match step.what {
            // It was marked.
            What::Received { .. } | What::Acknowledged { .. } => {}
            What::Authorized => self.happened(step, context, ("authorized", None), Vec::new()),
            What::Routed { recipients, groups } => {
                let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX).into();
                let of_span = vec![
                    ("nightjar.recipients", count(recipients)),
                    ("nightjar.groups", count(groups)),
                ];
                self.happened(step, context, ("matched", None), of_span);
            }
            What::Dropped(reason) if step.client.is_none() => {
                let reason = ("nightjar.reason", reason.as_str().into());
                self.happened(step, context, ("dropped", Some(reason)), Vec::new());
            }
            What::Answered(reason) => {
                let at = now();
                let (words, is_error) = (reason.as_str(), reason.is_error());
                // If it could not be told, the span is told later, as one without an end.
                let _told = self.at(step.worker, at, |place| {
                    place.end_receive(context.span, at, words, is_error);
                });
            }
            What::Queued { .. } | What::Sent { .. } | What::Dropped(_) => {
                self.delivered(step, context);
            }
        }
    }
}

impl Tracer for Follower {
    /// Anything from one to twice what is wanted, less one: that is what is wanted on average, and no
    /// rhythm of the messages is met by ours.
    fn gap(&self, worker: WorkerId) -> Option<NonZeroU32> {
        let widest = u64::from(self.wanted.one_in)
            .checked_mul(2)?
            .checked_sub(1)?;
        let gap = self.desk(worker)?.random().checked_rem(widest)?;
        let gap = u32::try_from(gap).unwrap_or(u32::MAX).saturating_add(1);
        NonZeroU32::new(gap)
    }

    fn honors_contexts(&self) -> bool {
        self.wanted.honors_contexts
    }

    fn awaits_any(&self, worker: WorkerId) -> bool {
        let desk = self.desk(worker);
        desk.is_some_and(|desk| desk.awaits_any.load(Relaxed))
    }

    fn mark(&self, step: &Step<'_>, asked: Asked) -> Option<Mark> {
        let desk = self.desk(step.worker)?;
        let (parent, old) = match (Carried::of(step.properties), asked) {
            (Carried::Nothing, Asked::Chosen) if !is_own(step) => (None, None),
            (Carried::One { context, text }, _) if context.sampled => (Some(context), Some(text)),
            (Carried::Nothing | Carried::One { .. } | Carried::Broken, _) => return None,
        };
        let at = now();
        let refused = || {
            self.unfollowed.fetch_add(1, Relaxed);
            None
        };
        let Some(mut place) = free(&desk.place) else {
            return refused();
        };
        let may = |place: &mut Place| match (asked, step.session) {
            (Asked::Brought, Some(session)) => place.may_ask(session, at, self.wanted.of_client),
            (Asked::Brought | Asked::Chosen, _) => true,
        };
        if place.is_over {
            return None;
        }
        if !may(&mut place)
            || !self.messages.has_room(at, self.wanted.most)
            || !self.spans.has_room(at, self.wanted.spans)
        {
            return refused();
        }
        let context = Context {
            trace: parent.map_or_else(|| desk.trace_id(), |parent| parent.trace),
            span: desk.span_id(),
            sampled: true,
        };
        let mark = Mark {
            properties: replaced(step.properties, old, context)?,
            followed: match old {
                Some(_) => Followed::Renewed,
                None => Followed::Added,
            },
        };
        desk.used.store(at, Relaxed);
        place.receive(receive(step, (context, parent), at));
        place.sweep(at);
        self.hand_out(desk, &mut place);
        Some(mark)
    }
}

/// Whether the server publishes it, to tell of itself.
fn is_own(step: &Step<'_>) -> bool {
    step.client.is_none() && step.topic.is_some_and(|topic| topic.starts_with("$SYS/"))
}

/// The span of a message's way in.
fn receive(step: &Step<'_>, (own, parent): (Context, Option<Context>), at: u64) -> Span {
    let mut span = Span {
        trace: own.trace,
        id: own.span,
        parent: parent.map(|parent| parent.span),
        is_remote: true,
        state: match parent {
            Some(_) => state(step.properties),
            None => Box::default(),
        },
        name: "receive",
        kind: Kind::Consumer,
        start: at,
        end: at,
        attributes: Vec::with_capacity(16),
        events: Vec::with_capacity(2),
        dropped_events: 0,
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
    span
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
        all.push(("messaging.client.id", text(client.shared())));
    }
    if let Some(Peer::Net(address)) = step.peer {
        all.extend([
            ("network.peer.address", address.ip().to_string().into()),
            ("network.peer.port", u64::from(address.port()).into()),
        ]);
    }
    if let What::Queued { qos } | What::Sent { qos, .. } = step.what {
        all.push(("nightjar.qos", u64::from(qos.bits()).into()));
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
