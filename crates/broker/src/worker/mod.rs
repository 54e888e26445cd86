//! [`Worker`]: one worker's connections, clients and timers, and the [`Core`] it shows to its
//! event loop.
//!
//! | module | concern |
//! |---|---|
//! | `receive` | bytes to packets, packets to their concern |
//! | `admit` | CONNECT: home, rules, identity, session, CONNACK |
//! | `answer` | questions of the control plane |
//! | `authenticate` | who a client is: asked, answered now or later; AUTH |
//! | `doors` | who may do what, at each door |
//! | `grants` | what a client is granted, and for how long |
//! | `reviews` | what follows from a change of rules or grants |
//! | `ending` | sessions whose end is not safe: CONNACK waits for it |
//! | `errands` | what the control plane may have done |
//! | `look` | what waits and what is retained, for who wants to see it |
//! | `orders` | what clients publish to control topics, and what they are answered |
//! | `publish` | PUBLISH from a client: checks, route, acknowledgement |
//! | `deliver` | a message to one recipient: now, or into its queue |
//! | `share` | one member of a shared subscription gets it |
//! | `acknowledge` | PUBACK, PUBREC, PUBREL, PUBCOMP |
//! | `subscribe` | SUBSCRIBE, UNSUBSCRIBE, and what waits for the index |
//! | `replay` | retained messages for new subscriptions, in steps |
//! | `record` | what goes to the store |
//! | `lasting` | what sessions leave in the store, and when it has no room for it |
//! | `promise` | what waits for the store: acknowledgements, QoS 2 deliveries |
//! | `load` | messages that come back from the store |
//! | `restore` | sessions and retained messages of earlier runs |
//! | `leave` | the end of a connection, of a session, and the will |
//! | `throttle` | listeners and rates: who is let in, and when it is read from |
//! | `watch` | what is told of messages, and of losses |
//! | `write` | packets to the output of a connection |
//! | `sys` | `$SYS` and presence |

mod acknowledge;
mod admit;
mod answer;
mod authenticate;
mod deliver;
mod doors;
mod ending;
mod errands;
mod grants;
mod lasting;
mod leave;
mod load;
mod look;
mod orders;
mod promise;
mod publish;
mod receive;
mod record;
mod replay;
mod restore;
mod reviews;
mod share;
mod subscribe;
mod sys;
mod throttle;
mod watch;
mod write;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use auth::Policy;
use hashbrown::HashMap;
use protocol::Outbound;
use store::{NoStore, Store};
use topics::{IndexChange, RouteCache};
use types::{
    Action, ClientId, ConnId, Core, Limits, LinkEnd, LinkInfo, SessionKey, Time, WorkerId,
};

use self::doors::Told;
use self::ending::Endings;
use self::load::Passing;
use self::look::Looks;
pub(crate) use self::promise::HeldAck;
use self::promise::Promises;
use self::record::Owing;
pub use self::restore::Restore;
use self::reviews::Reviews;
use self::subscribe::AfterApply;
use self::sys::SysState;
use self::watch::Watch;
use crate::client::Client;
use crate::conn::Conn;
use crate::decided::Decided;
use crate::event::{CloseReason, Event};
use crate::mail::{Control, Mail};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::output::BufferPool;
use crate::question::Ask;
use crate::shared::Shared;
use crate::slots::Slots;
use crate::spools::Spools;
use crate::timers::{Timer, Timers};

/// Index changes taken over in one turn, so that a storm of subscriptions cannot hold up
/// publishers.
const INDEX_BATCH: usize = 256;
/// Changes that the index has not taken over. More: SUBSCRIBE and UNSUBSCRIBE wait.
const INDEX_BACKLOG: usize = 64 * INDEX_BATCH;
/// How long a timer of a connection or a session stays in its bucket at most.
const FARTHEST_TIMER: Duration = Duration::from_secs(60);
/// Bounds of a worker's route cache.
const ROUTE_CACHE_ENTRIES: usize = 65_536;
const ROUTE_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The core of one worker.
pub struct Worker {
    id: WorkerId,
    shared: Arc<Shared>,
    limits: Arc<Limits>,
    /// Sessions with limits of their own.
    spools: Arc<Spools>,
    conns: Slots<Conn>,
    clients: Slots<Client>,
    by_id: HashMap<ClientId, SessionKey, foldhash::quality::SeedableRandomState>,
    timers: Timers,
    routes: RouteCache,
    pool: BufferPool,
    actions: VecDeque<Action<Mail>>,
    touched: VecDeque<ConnId>,
    /// Links without a client that hold bytes, oldest first, with entries of such as are gone.
    greeting: VecDeque<ConnId>,
    /// Connections whose next packet waits for room and is to be tried again.
    waiting_for_room: Vec<ConnId>,
    /// Connections whose client takes no packet as large as its answer.
    unanswerable: Vec<ConnId>,
    /// Messages that groups gave to members who may not have them: for others, at the end of the
    /// turn.
    declined: Vec<(SessionKey, Outbound)>,
    changes: VecDeque<IndexChange>,
    changes_made: u64,
    changes_applied: u64,
    after_apply: VecDeque<AfterApply>,
    index_batch: usize,
    replaying: VecDeque<SessionKey>,
    /// Bytes of mail sent in this turn, by worker, and taken in.
    mail_sent: Vec<usize>,
    mail_taken: usize,
    random: u64,
    sys: SysState,
    /// When the last turn ended.
    last_turn: Time,
    store: Box<dyn Store>,
    /// Whether the store wants records.
    durable: bool,
    promises: Promises,
    /// Who may do what, and which version of it this is.
    policy: Arc<dyn Policy>,
    policy_version: u32,
    /// Sessions that are to be held against it.
    reviews: Reviews,
    /// What it allowed lately.
    decided: Decided,
    /// The number that the next change of a client gets.
    epoch: u32,
    told: Told,
    /// Questions that wait for their turn.
    questions: VecDeque<Box<Ask>>,
    /// Answers that wait for messages from the store.
    looks: Looks,
    watch: Watch,
    /// Sessions whose end is not safe.
    endings: Endings,
    /// What the message at hand is owed to.
    owing: Owing,
    /// Messages that are loaded for another member of their group.
    passing: Passing,
    /// At work on more than one connection: a panic now leaves the worker broken.
    beyond: bool,
    draining: bool,
    drain: Cell<Drain>,
    /// Where clients are sent that this server cannot keep.
    reference: Option<Arc<str>>,
    scratch: Vec<u8>,
}

impl Worker {
    /// The worker with this number, which keeps everything in memory. Nothing runs until a
    /// loop drives it.
    pub fn new(id: WorkerId, shared: Arc<Shared>) -> Self {
        Self::with_store(id, shared, Box::new(NoStore))
    }

    /// The same with a store behind it.
    pub fn with_store(id: WorkerId, shared: Arc<Shared>, store: Box<dyn Store>) -> Self {
        let seed = shared.config.seed;
        let limits = Arc::new(shared.config.limits.clone());
        let mut worker = Self {
            id,
            limits,
            spools: Arc::default(),
            conns: Slots::new(),
            clients: Slots::new(),
            by_id: HashMap::with_hasher(foldhash::quality::SeedableRandomState::with_seed(
                seed,
                foldhash::SharedSeed::global_fixed(),
            )),
            timers: Timers::default(),
            routes: RouteCache::new(ROUTE_CACHE_ENTRIES, ROUTE_CACHE_BYTES, seed),
            pool: BufferPool::default(),
            actions: VecDeque::new(),
            touched: VecDeque::new(),
            greeting: VecDeque::new(),
            waiting_for_room: Vec::new(),
            unanswerable: Vec::new(),
            declined: Vec::new(),
            changes: VecDeque::new(),
            changes_made: 0,
            changes_applied: 0,
            after_apply: VecDeque::new(),
            index_batch: INDEX_BATCH,
            replaying: VecDeque::new(),
            mail_sent: vec![0; shared.workers()],
            mail_taken: 0,
            random: seed ^ u64::from(id.0).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            sys: SysState::default(),
            last_turn: Time::ZERO,
            durable: store.is_durable(),
            store,
            promises: Promises::default(),
            policy: Arc::clone(&shared.config.policy),
            policy_version: 1,
            reviews: Reviews::default(),
            decided: Decided::default(),
            epoch: 0,
            told: Told::default(),
            questions: VecDeque::new(),
            looks: VecDeque::new(),
            watch: Watch::default(),
            endings: Endings::default(),
            owing: Owing::default(),
            passing: Passing::default(),
            beyond: false,
            draining: false,
            drain: Cell::new(Drain::Busy),
            reference: shared.config.server_reference.as_deref().map(Arc::from),
            scratch: Vec::new(),
            shared,
        };
        worker.start_timers();
        worker
    }

    /// How many changes of the subscription index are taken over in one turn. Zero holds them
    /// back, which simulation uses to reorder what workers see.
    pub fn set_index_batch(&mut self, changes: usize) {
        self.index_batch = changes;
    }

    /// How many clients are connected here.
    pub fn connected(&self) -> usize {
        self.conns
            .iter::<ConnId>()
            .filter(|(_, conn)| conn.open().is_some())
            .count()
    }

    /// How many sessions live here.
    pub fn sessions(&self) -> usize {
        self.clients.len()
    }

    fn start_timers(&mut self) {
        if self.id == WorkerId(0) {
            self.timers
                .set(Time::ZERO + replay::PURGE_INTERVAL, Timer::RetainedExpiry);
            if !self.shared.config.sys_interval.is_zero() {
                self.timers.set(Time::ZERO, Timer::Sys);
            }
        }
    }

    /// Does what touches more than one connection: a panic in there leaves the worker broken.
    #[inline]
    fn go_beyond<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.beyond, true);
        let done = work(self);
        self.beyond = before;
        done
    }

    #[inline]
    fn metrics(&self) -> &Metrics {
        self.shared.metrics_of(self.id)
    }

    #[inline]
    fn count(&self, counter: Counter, by: u64) {
        self.metrics().add(counter, by);
    }

    fn event(&self, event: Event) {
        self.shared.config.events.event(event);
    }

    /// The next number of a generator that is seeded with the server (splitmix64).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn touch(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.at_mut(id) {
            conn.touch(id, &mut self.touched);
        }
    }

    /// Sets a timer that whoever it is for sets again if it comes up early. None is set for
    /// long, because none is cancelled: clients that come and go must not fill the buckets
    /// for as long as they say.
    fn set_far_timer(&mut self, at: Time, timer: Timer, now: Time) {
        self.timers.set(at.min(now + FARTHEST_TIMER), timer);
    }

    fn on_timer(&mut self, timer: Timer, now: Time) {
        match timer {
            Timer::ConnectDeadline(conn) => self.check_connect_deadline(conn, now),
            Timer::KeepAlive(conn) => self.check_keep_alive(conn, now),
            Timer::WriteStall(conn) => self.check_write_stall(conn, now),
            Timer::Grant(conn) => self.check_grant(conn, now),
            Timer::Rate(conn) => self.end_rest(conn),
            Timer::Session(session) => self.check_session(session, now),
            Timer::Sys => self.publish_sys(now),
            Timer::RetainedExpiry => self.purge_retained(now),
        }
    }

    fn on_control(&mut self, control: Control, now: Time) {
        match control {
            Control::Drain => self.drain(now),
            // The end of this turn looks at the store anyway.
            Control::StoreReady => {}
            Control::Policy(policy) => self.on_policy(policy),
            Control::End(selector, reason) => {
                self.go_beyond(|worker| worker.end_selected(&selector, reason, now));
            }
            Control::Refresh(selector) => self.refresh_selected(&selector, now),
            Control::Publish {
                topic,
                payload,
                retain,
            } => self.publish_own(&topic, &payload, retain),
            Control::Reload { limits, reference } => {
                self.reference = reference;
                self.limits = limits;
                self.take_rates();
                self.event(Event::Reloaded { worker: self.id });
            }
            Control::Spools(spools) => self.spools = spools,
            Control::Watch(watchers) => self.on_watch(watchers),
        }
    }

    /// Settles this turn's mail with the gauges of the mailboxes.
    fn settle_mail(&mut self) {
        for (bytes, worker) in self.mail_sent.iter_mut().zip(0u16..) {
            if *bytes > 0
                && let Some(mailbox) = self.shared.mailbox(WorkerId(worker))
            {
                mailbox.add(std::mem::take(bytes));
            }
        }
        if self.mail_taken > 0
            && let Some(mailbox) = self.shared.mailbox(self.id)
        {
            mailbox.subtract(std::mem::take(&mut self.mail_taken));
        }
    }

    fn has_work(&self) -> bool {
        (!self.changes.is_empty() && self.index_batch > 0)
            || !self.replaying.is_empty()
            || self.reviews.is_at_work()
            || !self.questions.is_empty()
            || !self.declined.is_empty()
    }
}

/// How far a worker is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    /// It has connections, or was not asked to end.
    Busy,
    /// It has sent what it had to.
    Reported,
    /// All have.
    All,
}

/// How often a connection that waits for room in a mailbox tries again.
const RETRY_MILLIS: u64 = 1;

impl Core for Worker {
    type Mail = Mail;

    fn handle_open(&mut self, info: LinkInfo, now: Time) -> Option<ConnId> {
        self.open_link(info, now)
    }

    fn handle_info(&mut self, conn: ConnId, info: LinkInfo, _: Time) {
        self.learn(conn, info);
    }

    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8], now: Time) {
        self.receive(conn, bytes, now);
    }

    fn handle_written(&mut self, conn: ConnId, written: usize, now: Time) {
        self.written(conn, written, now);
    }

    fn handle_closed(&mut self, conn: ConnId, end: LinkEnd, now: Time) {
        let reason = match end {
            LinkEnd::Eof => CloseReason::Eof,
            LinkEnd::Error => CloseReason::LinkError,
        };
        self.link_gone(conn, reason, now);
    }

    fn handle_mail(&mut self, mail: Mail, now: Time) {
        match mail {
            Mail::Publish {
                route,
                message,
                receipt,
                skip,
            } => {
                let size = publish::mail_size(&message, route.recipients(self.id).len());
                self.mail_taken = self.mail_taken.saturating_add(size);
                self.deliver_route_here(&route, &message, receipt, skip, now);
            }
            Mail::Share(share) => {
                self.mail_taken = self
                    .mail_taken
                    .saturating_add(publish::mail_size(&share.message, 1));
                self.take_share(*share, now);
            }
            Mail::Safe(hold) => self.lift(hold),
            Mail::Answer(answer) => {
                let (of, outcome) = *answer;
                self.on_answer(of, outcome, now);
            }
            Mail::Ask(ask) => self.questions.push_back(ask),
            Mail::Errand(errand) => self.run_errand(*errand, now),
            Mail::Control(control) => self.on_control(control, now),
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        while let Some(due) = self.timers.take_due(now) {
            for timer in due {
                self.on_timer(timer, now);
            }
        }
    }

    fn end_turn(&mut self, now: Time) {
        self.apply_index_changes();
        self.retry_waiting(now);
        self.take_loaded(now);
        self.step_reviews(now);
        self.pass_declined(now);
        self.answer_questions(now);
        self.step_replays(now);
        self.let_unanswerable_go(now);
        self.commit_records(now);
        self.settle_mail();
        self.watch.end_turn(now);
        self.metrics().set(
            Gauge::Sessions,
            u64::try_from(self.clients.len()).unwrap_or(u64::MAX),
        );
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.has_work() || self.drain.get() == Drain::All {
            return Some(Time::ZERO);
        }
        if self.drain.get() == Drain::Reported {
            // Nobody tells when the last of the others has reported.
            return Some(self.last_turn + Duration::from_millis(RETRY_MILLIS));
        }
        let next = self.timers.next();
        if self.waiting_for_room.is_empty() {
            return next;
        }
        // Nobody tells when another worker has emptied its mailbox.
        let retry = self.last_turn + Duration::from_millis(RETRY_MILLIS);
        Some(next.map_or(retry, |next| next.min(retry)))
    }

    fn poll_action(&mut self) -> Option<Action<Mail>> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        let conn = self.touched.pop_front()?;
        if let Some(record) = self.conns.at_mut(conn) {
            record.touched = false;
        }
        Some(Action::Flush(conn))
    }

    fn output<'a>(&'a self, conn: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        self.conns
            .at(conn)
            .filter(|conn| !conn.corked)
            .map_or(0, |conn| conn.output.slices(slices))
    }

    fn is_sound(&self) -> bool {
        !self.beyond
    }

    /// Wills that go out while the server ends are for sessions of other workers too: each stays
    /// until all have sent theirs, and has taken in what came.
    fn is_drained(&self) -> bool {
        if !self.draining || !self.conns.is_empty() || !self.actions.is_empty() {
            return false;
        }
        if self.drain.get() == Drain::Busy {
            self.drain.set(Drain::Reported);
            self.shared.drained.fetch_add(1, Ordering::AcqRel);
        }
        if self.shared.drained.load(Ordering::Acquire) < self.shared.workers() {
            return false;
        }
        // What others sent before they reported is in the mailbox: one more turn takes it in.
        self.drain.replace(Drain::All) == Drain::All
    }
}
