//! Shared subscriptions: which one member of a group gets a message (MQTT 5.0, 4.8.2).

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use types::{SessionRef, SubscriptionFilter, SubscriptionOptions};

use crate::keyed::{mix, place};
use crate::subscribers::fingerprint;

/// What the rest of the server knows of a session that shares.
///
/// One for each session, shared by all its groups, written by its home worker only. Other
/// workers may see a value a moment old: a member chosen so queues what it cannot send.
#[derive(Debug, Default)]
pub struct MemberState {
    online: AtomicBool,
    inflight: AtomicU32,
    window: AtomicU32,
}

impl MemberState {
    /// Says whether the session has a connection.
    pub fn set_online(&self, online: bool) {
        self.online.store(online, Ordering::Relaxed);
    }

    /// Says how many messages wait for the session: sent and not acknowledged, and queued.
    pub fn set_inflight(&self, messages: u32) {
        self.inflight.store(messages, Ordering::Relaxed);
    }

    /// Says how many messages the session may have in flight before others are preferred:
    /// the client's Receive Maximum under our own limit.
    pub fn set_window(&self, messages: u32) {
        self.window.store(messages, Ordering::Relaxed);
    }

    /// Whether the session has a connection.
    pub fn is_online(&self) -> bool {
        self.online.load(Ordering::Relaxed)
    }

    /// Whether fewer messages are in flight than the window.
    pub fn has_room(&self) -> bool {
        self.inflight() < self.window.load(Ordering::Relaxed)
    }

    /// Messages in flight, as last said.
    pub fn inflight(&self) -> u32 {
        self.inflight.load(Ordering::Relaxed)
    }
}

/// One session's subscription in a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// The session.
    pub subscriber: SessionRef,
    /// Its options; No Local is never set (MQTT-3.8.3-4).
    pub options: SubscriptionOptions,
    /// Its subscription identifier.
    pub id: Option<NonZeroU32>,
    /// How it fares.
    pub state: Arc<MemberState>,
}

/// How a group chooses among members that can take a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// `round_robin`: each in turn, whoever publishes.
    #[default]
    RoundRobin,
    /// `random`: any.
    Random,
    /// `sticky`: the same one for as long as it is online and has room.
    Sticky,
    /// `hash_client`: the same one for all messages of one publisher.
    HashClient,
    /// `hash_topic`: the same one for all messages of one topic.
    HashTopic,
    /// `least_inflight`: the one with the fewest messages in flight.
    LeastInflight,
}

/// A name that no [`Strategy`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStrategy;

impl fmt::Display for UnknownStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not one of round_robin, random, sticky, hash_client, hash_topic, least_inflight",
        )
    }
}

impl std::error::Error for UnknownStrategy {}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, UnknownStrategy> {
        match name {
            "round_robin" => Ok(Self::RoundRobin),
            "random" => Ok(Self::Random),
            "sticky" => Ok(Self::Sticky),
            "hash_client" => Ok(Self::HashClient),
            "hash_topic" => Ok(Self::HashTopic),
            "least_inflight" => Ok(Self::LeastInflight),
            _ => Err(UnknownStrategy),
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Sticky => "sticky",
            Self::HashClient => "hash_client",
            Self::HashTopic => "hash_topic",
            Self::LeastInflight => "least_inflight",
        })
    }
}

/// What a choice depends on beside the members.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// A keyed hash of the publisher's client identifier.
    pub publisher: u64,
    /// The topic.
    pub topic: &'a str,
    /// A number from the caller's generator.
    pub random: u64,
    /// Members that were tried already.
    pub skip: &'a BTreeSet<SessionRef>,
}

/// What a group remembers between choices, whatever happens to its members.
#[derive(Debug)]
pub(crate) struct GroupState {
    filter: Arc<SubscriptionFilter>,
    /// Counts choices.
    turn: AtomicU64,
    /// Fingerprint of the member that sticks.
    sticky: AtomicU64,
    /// Where it was last found.
    sticky_at: AtomicU32,
}

impl GroupState {
    pub(crate) fn new(filter: SubscriptionFilter) -> Self {
        Self {
            filter: Arc::new(filter),
            turn: AtomicU64::new(0),
            sticky: AtomicU64::new(0),
            sticky_at: AtomicU32::new(0),
        }
    }
}

/// One group that gets the messages of a topic.
#[derive(Clone, Debug)]
pub struct GroupRoute {
    state: Arc<GroupState>,
    members: Arc<[Member]>,
}

/// How well a member can take a message; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fitness {
    /// Online, with room.
    Ready,
    /// Online; the message waits in its queue.
    Busy,
    /// The message waits for its return.
    Away,
}

impl GroupRoute {
    pub(crate) fn new(state: Arc<GroupState>, members: Arc<[Member]>) -> Self {
        Self { state, members }
    }

    /// What the members subscribed to, `$share/name/filter`. Shared by the messages that the
    /// group gives out.
    pub fn filter(&self) -> &Arc<SubscriptionFilter> {
        &self.state.filter
    }

    /// The members, in the order of their history. Never empty.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member that gets a message.
    ///
    /// A member that is online and has room is preferred to one that is online, and that to
    /// one that is away and queues the message; the strategy decides among equals. `None`
    /// if all members were skipped. The choice depends on the arguments, the members' state
    /// and the choices before, on nothing else.
    pub fn choose(&self, strategy: Strategy, pick: &Pick<'_>) -> Option<&Member> {
        let count = self.members.len();
        if count == 0 {
            return None;
        }
        match strategy {
            Strategy::RoundRobin => {
                let turn = self.state.turn.fetch_add(1, Ordering::Relaxed);
                self.first_from((turn % count as u64) as usize, pick)
            }
            Strategy::Random => self.random(pick),
            Strategy::Sticky => self.sticky(pick),
            Strategy::HashClient => self.rendezvous(pick.publisher, pick),
            Strategy::HashTopic => self.rendezvous(text_hash(pick.topic), pick),
            Strategy::LeastInflight => {
                let turn = self.state.turn.fetch_add(1, Ordering::Relaxed);
                let start = (turn % count as u64) as usize;
                self.best_from(start, pick, |member| u64::from(member.state.inflight()))
            }
        }
    }

    /// The first of the fittest, going round from `start`.
    fn first_from(&self, start: usize, pick: &Pick<'_>) -> Option<&Member> {
        let mut best: Option<(Fitness, &Member)> = None;
        for member in self.members[start..].iter().chain(&self.members[..start]) {
            let Some(fitness) = fitness(member, pick) else {
                continue;
            };
            if fitness == Fitness::Ready {
                return Some(member);
            }
            if best.is_none_or(|(than, _)| fitness < than) {
                best = Some((fitness, member));
            }
        }
        best.map(|(_, member)| member)
    }

    /// The one with the least `rank` of the fittest; the first one of these from `start`.
    fn best_from(
        &self,
        start: usize,
        pick: &Pick<'_>,
        rank: impl Fn(&Member) -> u64,
    ) -> Option<&Member> {
        let mut best: Option<((Fitness, u64), &Member)> = None;
        for member in self.members[start..].iter().chain(&self.members[..start]) {
            let rank = rank(member);
            // Whoever cannot win is not asked: its state is a cache line of its own.
            if best.is_some_and(|(than, _)| than <= (Fitness::Ready, rank)) {
                continue;
            }
            let Some(fitness) = fitness(member, pick) else {
                continue;
            };
            let value = (fitness, rank);
            if best.is_none_or(|(than, _)| value < than) {
                best = Some((value, member));
            }
        }
        best.map(|(_, member)| member)
    }

    /// A few throws find a ready member of a healthy group; a ranking of all is the fair
    /// choice otherwise.
    fn random(&self, pick: &Pick<'_>) -> Option<&Member> {
        let mut number = pick.random;
        for _ in 0..4 {
            let member = &self.members[place(number, self.members.len())];
            if fitness(member, pick) == Some(Fitness::Ready) {
                return Some(member);
            }
            number = mix(number);
        }
        self.rendezvous(number, pick)
    }

    fn sticky(&self, pick: &Pick<'_>) -> Option<&Member> {
        let wanted = self.state.sticky.load(Ordering::Relaxed);
        let near = self.state.sticky_at.load(Ordering::Relaxed) as usize;
        let is_wanted = |member: &Member| fingerprint(member.subscriber) == wanted;
        let at = match self.members.get(near) {
            Some(member) if is_wanted(member) => Some(near),
            _ => self.members.iter().position(is_wanted),
        };
        // Without one, any: the member that joined first would serve every group.
        let start = at.unwrap_or_else(|| place(pick.random, self.members.len()));
        let chosen = self.first_from(start, pick)?;
        // A member that is away does not become the one that sticks.
        if fitness(chosen, pick) != Some(Fitness::Away) {
            let found = self
                .members
                .iter()
                .position(|m| m.subscriber == chosen.subscriber);
            self.state
                .sticky_at
                .store(found.unwrap_or(0) as u32, Ordering::Relaxed);
            self.state
                .sticky
                .store(fingerprint(chosen.subscriber), Ordering::Relaxed);
        }
        Some(chosen)
    }

    /// Rendezvous hashing: each member draws a number from (what is hashed, itself) and the
    /// least one wins, so that a member that comes or goes moves only its own share.
    fn rendezvous(&self, number: u64, pick: &Pick<'_>) -> Option<&Member> {
        self.best_from(0, pick, |member| {
            mix(number ^ fingerprint(member.subscriber))
        })
    }
}

fn fitness(member: &Member, pick: &Pick<'_>) -> Option<Fitness> {
    if pick.skip.contains(&member.subscriber) {
        None
    } else if !member.state.is_online() {
        Some(Fitness::Away)
    } else if member.state.has_room() {
        Some(Fitness::Ready)
    } else {
        Some(Fitness::Busy)
    }
}

/// FNV-1a, finished by a mix. Not keyed: which member serves a topic is no secret, and the
/// same topic should find the same member after a restart.
fn text_hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(hash)
}
