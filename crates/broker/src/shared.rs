//! What all workers of one server share: the subscription index, retained messages, gauges.
//!
//! Everything here is behind short locks or atomics and is reached by `&self`. The rest of a
//! worker belongs to it alone.

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use auth::{Authenticator, Policy};
use codec::{UserProperties, UserPropertiesBuf};
use topics::{RetainedLimits, RetainedStore, SharedIndex, Strategy};
use types::{Durability, Limits, WorkerId};

use crate::durability::DurabilityRules;
use crate::event::EventSink;
use crate::listeners::{Listener, ListenerRules};
use crate::memory::{Load, Memory};
use crate::metrics::{Metrics, Totals};
use crate::orders::Orders;
use crate::rates::{Bucket, Users};
use crate::retained::Kept;

/// What a server is made with.
pub struct BrokerConfig {
    /// How many workers there are.
    pub workers: usize,
    /// The server's name in presence topics.
    pub node: String,
    /// What `$SYS/broker/version` says, to the letter.
    pub version: String,
    /// All bounds.
    pub limits: Limits,
    /// How a shared subscription chooses its member.
    pub strategy: Strategy,
    /// How often `$SYS` is published; zero is never.
    pub sys_interval: Duration,
    /// Another server for clients that this one cannot keep: Server Reference in CONNACK when
    /// there is no room for another session, and in DISCONNECT when the server ends (4.13).
    pub server_reference: Option<String>,
    /// Response Information for clients that ask for it (MQTT-3.1.2-28).
    pub response_information: Option<String>,
    /// What an acknowledgement promises.
    pub durability: DurabilityRules,
    /// What holds for each listener at the start, by its number; [`Shared::set_listeners`] changes
    /// it. One that is not here has no rules.
    pub listeners: Vec<ListenerRules>,
    /// Who clients are.
    pub authenticator: Arc<dyn Authenticator>,
    /// Who may do what at the start; [`crate::Control::Policy`] changes it.
    pub policy: Arc<dyn Policy>,
    /// Who takes what is published to control topics.
    pub orders: Arc<dyn Orders>,
    /// What a client hears that loses a subscription.
    pub revoked: Revoked,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
    /// The seed of every hash and every choice. Random in production, given in simulation.
    pub seed: u64,
}

impl BrokerConfig {
    /// A server with defaults, open to everybody, that tells nobody.
    pub fn open(workers: usize, seed: u64) -> Self {
        Self {
            workers,
            node: "nightjar".into(),
            version: concat!("nightjar version ", env!("CARGO_PKG_VERSION")).into(),
            limits: Limits::default(),
            strategy: Strategy::RoundRobin,
            sys_interval: Duration::ZERO,
            server_reference: None,
            response_information: None,
            durability: DurabilityRules::default(),
            listeners: Vec::new(),
            authenticator: Arc::new(auth::Anyone),
            policy: Arc::new(auth::Open),
            orders: Arc::new(()),
            revoked: Revoked::Disconnect,
            events: Arc::new(()),
            seed,
        }
    }
}

/// What a client hears whose subscription is not allowed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// A client of 5.0 is disconnected with 0x87 and the filter; others hear nothing.
    Disconnect,
    /// Nothing: the messages stop.
    Remove,
}

/// Bytes in one worker's mailbox. Below zero for a moment when mail is read before its sender
/// has counted it.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    bytes: AtomicIsize,
}

impl Mailbox {
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(0)
    }

    pub(crate) fn add(&self, bytes: usize) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, bytes: usize) {
        let bytes = isize::try_from(bytes).unwrap_or(isize::MAX);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What all workers share.
pub struct Shared {
    pub(crate) config: BrokerConfig,
    /// The user property of CONNACK that says what an acknowledgement promises, by class.
    classes: [UserPropertiesBuf; Durability::ALL.len()],
    /// Who wants what.
    pub index: SharedIndex,
    /// The retained messages.
    pub retained: RetainedStore<Kept>,
    metrics: Vec<Metrics>,
    mailboxes: Vec<Mailbox>,
    listeners: RwLock<Vec<Arc<Listener>>>,
    pub(crate) users: Users,
    pub(crate) connection_rate: Option<Bucket>,
    pub(crate) connections: AtomicUsize,
    pub(crate) most_connections: AtomicUsize,
    pub(crate) sessions: AtomicUsize,
    /// Workers that have ended all their connections and sent what they had to.
    pub(crate) drained: AtomicUsize,
    pub(crate) unauthenticated_bytes: AtomicUsize,
    memory: Memory,
}

impl Shared {
    /// A server's shared part.
    pub fn new(config: BrokerConfig) -> Arc<Self> {
        let workers = config.workers.max(1);
        let retained = RetainedLimits {
            messages: config.limits.retained_messages,
            bytes: config.limits.retained_bytes,
        };
        Arc::new(Self {
            classes: Durability::ALL.map(class_property),
            index: SharedIndex::new(workers, config.seed),
            retained: RetainedStore::new(retained, config.seed),
            metrics: (0..workers).map(|_| Metrics::default()).collect(),
            mailboxes: (0..workers).map(|_| Mailbox::default()).collect(),
            listeners: RwLock::new(
                config
                    .listeners
                    .iter()
                    .map(|rules| Arc::new(Listener::new(rules.clone())))
                    .collect(),
            ),
            users: Users::default(),
            connection_rate: config.limits.connection_rate.map(Bucket::new),
            connections: AtomicUsize::new(0),
            most_connections: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            drained: AtomicUsize::new(0),
            unauthenticated_bytes: AtomicUsize::new(0),
            memory: Memory::default(),
            config,
        })
    }

    /// The listener with this number, if it has rules.
    pub(crate) fn listener(&self, number: u16) -> Option<Arc<Listener>> {
        let listeners = self.listeners.read();
        let listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        listeners.get(usize::from(number)).cloned()
    }

    /// From now on this holds for each listener, by its number; those that there are must not be
    /// left out. Who is connected stays, and is held to other rates from the next
    /// [`crate::Control::Reload`] on.
    pub fn set_listeners(&self, rules: Vec<ListenerRules>) {
        let listeners = self.listeners.write();
        let mut listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        for (place, rules) in rules.into_iter().enumerate() {
            match listeners.get_mut(place) {
                Some(listener) => *listener = Listener::with_rules(listener, rules),
                None => listeners.push(Arc::new(Listener::new(rules))),
            }
        }
    }

    /// Who says who clients are.
    pub(crate) fn authenticator(&self) -> &dyn Authenticator {
        &*self.config.authenticator
    }

    /// The server's name.
    pub fn node(&self) -> &str {
        &self.config.node
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.metrics.len()
    }

    /// The counters of one worker.
    pub fn metrics(&self, worker: WorkerId) -> Option<&Metrics> {
        self.metrics.get(worker.index())
    }

    /// The counters of one worker; counters that nobody reads if there is no such worker.
    #[inline]
    pub(crate) fn metrics_of(&self, worker: WorkerId) -> &Metrics {
        match self.metrics(worker) {
            Some(metrics) => metrics,
            None => Metrics::nowhere(),
        }
    }

    /// The counters of all workers.
    pub fn totals(&self) -> Totals<'_> {
        Totals::new(&self.metrics)
    }

    /// Tells how much memory the process holds, in bytes; the memory budget goes by it.
    pub fn set_resident(&self, bytes: u64) {
        self.memory.set(bytes, self.load());
    }

    /// What [`Shared::set_resident`] said last, and the most it ever said.
    pub fn resident(&self) -> (u64, u64) {
        (self.memory.resident(), self.memory.most())
    }

    /// Whether the process holds more than this, or may by now. Far from it nobody counts what has
    /// come since the last look.
    pub(crate) fn holds_more_than(&self, budget: u64) -> bool {
        let resident = self.memory.resident();
        resident > budget / 2 && resident.saturating_add(self.memory.growth(self.load())) > budget
    }

    fn load(&self) -> Load {
        let mail = self.mailboxes.iter().map(Mailbox::bytes);
        Load::new(self.totals(), mail.fold(0, usize::saturating_add))
    }

    /// Bytes on their way to a worker.
    pub fn mailbox_bytes(&self, worker: WorkerId) -> usize {
        self.mailbox(worker).map_or(0, Mailbox::bytes)
    }

    /// Bytes that links without a client hold, which `limits.unauthenticated_bytes` bounds.
    pub fn unauthenticated_bytes(&self) -> usize {
        self.unauthenticated_bytes.load(Ordering::Relaxed)
    }

    /// Links that are open, and sessions that live, by their own counts.
    pub fn connections_and_sessions(&self) -> (usize, usize) {
        (
            self.connections.load(Ordering::Relaxed),
            self.sessions.load(Ordering::Relaxed),
        )
    }

    /// Most links that were open at once.
    pub fn most_connections(&self) -> usize {
        self.most_connections.load(Ordering::Relaxed)
    }

    /// Connections of one listener, by its number.
    pub fn listener_connections(&self, number: u16) -> usize {
        self.listener(number).map_or(0, |one| one.connections())
    }

    /// What CONNACK says about a class of durability.
    pub(crate) fn class_property(&self, class: Durability) -> UserProperties<'_> {
        self.classes
            .get(class as usize)
            .map(UserPropertiesBuf::as_borrowed)
            .unwrap_or_default()
    }

    pub(crate) fn mailbox(&self, worker: WorkerId) -> Option<&Mailbox> {
        self.mailboxes.get(worker.index())
    }

    /// The worker that is home to a client id: the one to ask about it.
    pub fn home_of(&self, client_id: &str) -> WorkerId {
        self.home(client_id)
    }

    /// The worker that is home to a client id. It follows from the seed, so that nobody
    /// outside can aim at one worker.
    pub(crate) fn home(&self, client_id: &str) -> WorkerId {
        let workers = u64::try_from(self.workers()).unwrap_or(1);
        let hash = stable_hash(self.config.seed, client_id.as_bytes());
        let index = hash.checked_rem(workers).unwrap_or(0);
        WorkerId(u16::try_from(index).unwrap_or(0))
    }
}

fn class_property(class: Durability) -> UserPropertiesBuf {
    let mut property = UserPropertiesBuf::new();
    // Both texts are short enough by construction.
    let pushed = property.push("durability", class.as_str());
    debug_assert!(pushed.is_ok());
    property
}

/// A keyed hash that is the same on each platform.
pub(crate) fn stable_hash(seed: u64, bytes: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::quality::SeedableRandomState::with_seed(
        seed,
        foldhash::SharedSeed::global_fixed(),
    )
    .build_hasher();
    hasher.write(bytes);
    hasher.finish()
}
