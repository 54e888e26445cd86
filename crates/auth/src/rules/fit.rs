//! Whether a rule is about what is asked.

use std::net::IpAddr;

use types::{QoS, TopicFilter};

use super::{Action, Effect, Pattern, Rule, Values, Who};
use crate::{Access, Identity, Subject};

/// What is asked, as a rule looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) about: About<'a>,
    /// One bit.
    pub(crate) mask: Mask,
}

/// What topics it is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    Topic(&'a str),
    Filter(&'a TopicFilter),
}

/// Kinds of access, one bit each: publish with each QoS and retain flag, delivery with each QoS,
/// subscription with each QoS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask(u16);

/// How much of what is asked a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    None,
    /// Of a filter: it matches topics that the rule is about, and others.
    Part,
    Whole,
}

impl<'a> Ask<'a> {
    pub(crate) fn new(access: &Access<'a>) -> Self {
        match *access {
            Access::Publish { topic, qos, retain } => Self {
                about: About::Topic(topic.as_str()),
                mask: Mask::publish(qos, retain),
            },
            Access::Subscribe { filter, qos } => Self {
                about: About::Filter(filter),
                mask: Mask::subscribe(qos),
            },
            Access::Receive { topic, qos } => Self {
                about: About::Topic(topic.as_str()),
                mask: Mask::receive(qos),
            },
        }
    }

    pub(crate) fn is_reserved(&self) -> bool {
        match self.about {
            About::Topic(topic) => topic.starts_with('$'),
            About::Filter(filter) => filter.as_str().starts_with('$'),
        }
    }
}

impl Mask {
    fn publish(qos: QoS, retain: bool) -> Self {
        Self(1 << qos.bits() << if retain { 3 } else { 0 })
    }

    fn receive(qos: QoS) -> Self {
        Self(1 << 6 << qos.bits())
    }

    fn subscribe(qos: QoS) -> Self {
        Self(1 << 9 << qos.bits())
    }

    /// What a rule is about.
    pub(crate) fn of(rule: &Rule) -> Self {
        if rule.qos.is_empty() && rule.retain.is_none() {
            return match rule.action {
                Action::Publish => ALL_PUBLISH,
                Action::Subscribe => ALL_SUBSCRIBE,
                Action::Both => Self(ALL_PUBLISH.0 | ALL_SUBSCRIBE.0),
            };
        }
        let has = |qos: QoS| rule.qos.is_empty() || rule.qos.contains(&qos);
        let any = |mut range: std::slice::Iter<'_, QoS>| range.any(|&qos| has(qos));
        let mut mask = Self::default();
        for (place, &qos) in ALL.iter().enumerate() {
            let (below, above) = ALL.split_at(place);
            if matches!(rule.action, Action::Publish | Action::Both) && has(qos) {
                for retain in [false, true] {
                    if rule.retain.is_none_or(|only| only == retain) {
                        mask.add(Self::publish(qos, retain));
                    }
                }
            }
            if matches!(rule.action, Action::Publish) {
                continue;
            }
            // A subscription brings deliveries of its QoS and of each lower one.
            let from_below = has(qos) || any(below.iter());
            match rule.effect {
                Effect::Allow => {
                    if any(above.iter()) {
                        mask.add(Self::receive(qos));
                    }
                    if has(qos) {
                        mask.add(Self::subscribe(qos));
                    }
                }
                Effect::Deny => {
                    if from_below {
                        mask.add(Self::receive(qos));
                        mask.add(Self::subscribe(qos));
                    }
                }
            }
        }
        mask
    }

    /// What of it holds for one of the rule's patterns.
    pub(crate) fn for_pattern(self, effect: Effect, pattern: &Pattern) -> Self {
        let mut mask = self;
        if pattern.is_literal() {
            if pattern.has_wildcard() {
                mask.remove(ALL_PUBLISH);
            }
            if effect == Effect::Deny {
                mask.remove(ALL_RECEIVE);
            }
        }
        mask
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }
}

impl Rule {
    /// Whether it is about these topics and this kind of access.
    pub(crate) fn fit(&self, ask: &Ask<'_>, values: &Values<'_>) -> Fit {
        let mask = Mask::of(self);
        if !mask.has(ask.mask) {
            return Fit::None;
        }
        if self.topics.is_empty() {
            return match self.effect {
                Effect::Allow if ask.is_reserved() => Fit::None,
                Effect::Allow | Effect::Deny => Fit::Whole,
            };
        }
        let mut best = Fit::None;
        for pattern in &self.topics {
            if mask.for_pattern(self.effect, pattern).has(ask.mask) {
                best = best.max(pattern.fit(ask.about, values));
            }
            if best == Fit::Whole {
                break;
            }
        }
        best
    }

    /// Whether it asks for what only a connection shows.
    pub(crate) fn needs_connection(&self) -> bool {
        self.who.iter().any(Who::needs_connection)
            || self.topics.iter().any(|it| it.needs_connection())
    }

    /// Whether its topics fit, whatever else it asks for.
    pub(crate) fn topics_fit(&self, ask: &Ask<'_>, values: &Values<'_>) -> bool {
        let fits = |pattern: &Pattern| pattern.fit(ask.about, values) != Fit::None;
        self.topics.is_empty() || self.topics.iter().any(fits)
    }

    /// Whether it is about this client.
    pub(crate) fn is_about(&self, facts: &Facts<'_>) -> bool {
        self.who.iter().all(|who| who.holds(facts, self.effect))
    }
}

impl Pattern {
    fn fit(&self, about: About<'_>, values: &Values<'_>) -> Fit {
        match about {
            About::Topic(topic) if self.matches(values, topic) => Fit::Whole,
            About::Filter(filter) if self.is_literal() => {
                if self.is(values, filter) {
                    Fit::Whole
                } else {
                    Fit::None
                }
            }
            About::Filter(filter) if self.covers(values, filter) => Fit::Whole,
            About::Filter(filter) if self.overlaps(values, filter) => Fit::Part,
            About::Topic(_) | About::Filter(_) => Fit::None,
        }
    }
}

/// All that rules ask of a client.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) client_id: &'a str,
    pub(crate) groups: Vec<&'a str>,
    pub(crate) roles: Vec<&'a str>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) listener: Option<u16>,
    /// The client is away, and what only its connection shows is taken as it suits it.
    pub(crate) lenient: bool,
}

impl<'a> Facts<'a> {
    /// What the client itself brings; groups and roles of the server's are added by who knows.
    pub(crate) fn of(who: &Subject<'a>) -> Self {
        let groups = match who.grant {
            Some(grant) => grant.groups.iter().map(|group| &**group).collect(),
            None => Vec::new(),
        };
        Self {
            identity: who.identity,
            client_id: who.client_id,
            groups,
            roles: Vec::new(),
            address: who.address,
            listener: who.listener,
            lenient: false,
        }
    }
}

impl Who {
    /// Whether it is about this client. What is not known of a client that is away speaks for it
    /// where that is wanted.
    pub(crate) fn holds(&self, facts: &Facts<'_>, effect: Effect) -> bool {
        let unknown = facts.lenient && effect == Effect::Allow;
        match self {
            Self::Anonymous => *facts.identity == Identity::Anonymous,
            Self::User(names) => match facts.identity.user() {
                Some(user) => names.iter().any(|name| **name == *user),
                None => false,
            },
            Self::Client(names) => names.iter().any(|name| is_client(name, facts.client_id)),
            Self::Group(names) => has_one(names, &facts.groups),
            Self::Role(names) => has_one(names, &facts.roles),
            Self::Address(networks) => facts.address.map_or(unknown, |address| {
                networks.iter().any(|network| network.contains(address))
            }),
            Self::Listener(listeners) => facts
                .listener
                .map_or(unknown, |listener| listeners.contains(&listener)),
        }
    }

    /// Whether only a connection can tell.
    pub(crate) fn needs_connection(&self) -> bool {
        match self {
            Self::Anonymous | Self::User(_) | Self::Client(_) | Self::Group(_) | Self::Role(_) => {
                false
            }
            Self::Address(_) | Self::Listener(_) => true,
        }
    }
}

fn has_one(names: &[std::sync::Arc<str>], of: &[&str]) -> bool {
    names.iter().any(|name| of.contains(&&**name))
}

/// Whether a name from the configuration, perhaps with `*` at its end, is of this client.
/// Nothing in it is a pattern but that (S45).
fn is_client(name: &str, client_id: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => client_id.starts_with(beginning),
        None => name == client_id,
    }
}

const ALL: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
const ALL_PUBLISH: Mask = Mask(0b11_1111);
const ALL_RECEIVE: Mask = Mask(0b111 << 6);
const ALL_SUBSCRIBE: Mask = Mask(0b11_1111 << 6);
