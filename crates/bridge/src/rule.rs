//! Which topics go over, in which direction, by which names.

use std::fmt;

use topics::matches;
use types::{QoS, SubscriptionFilter, TopicFilter, TopicName};

/// The way of a message, seen from this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the other server.
    Out,
    /// From the other server.
    In,
    /// Both ways.
    Both,
}

impl Direction {
    fn is_out(self) -> bool {
        matches!(self, Self::Out | Self::Both)
    }

    fn is_in(self) -> bool {
        matches!(self, Self::In | Self::Both)
    }
}

/// What goes over: a filter, with what stands before it at each of the servers.
///
/// `local` and `remote` are put before the filter, and are exchanged for each other in the topics of
/// messages. Without a filter they are whole topics, which stand for each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    direction: Direction,
    qos: QoS,
    /// What to subscribe to at this server.
    local: Half,
    /// What to subscribe to at the other one.
    remote: Half,
}

/// A rule at one of the servers.
#[derive(Clone, Debug, PartialEq)]
struct Half {
    /// What topics begin with, or the whole topic.
    prefix: String,
    /// With the name of a shared subscription, if there is one.
    subscribed: String,
    filter: TopicFilter,
    /// The prefix is the topic.
    is_topic: bool,
}

/// Why there is no such rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// Neither a filter nor a topic at both servers.
    Empty,
    /// A prefix has a wildcard.
    Wildcard(String),
    /// What prefix and filter come to is no filter.
    Filter(String),
    /// A single topic is not one.
    Topic(String),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str(
                "without a filter, a topic of this server and one of the other must be given",
            ),
            Self::Wildcard(text) => write!(f, "\"{text}\": a prefix has no wildcard"),
            Self::Filter(text) => write!(f, "\"{text}\" is no topic filter"),
            Self::Topic(text) => write!(f, "\"{text}\" is no topic"),
        }
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// A rule. `filter` may begin with `$share/NAME/`, which stays in front of the prefix. An empty
    /// filter makes one topic of each prefix.
    ///
    /// # Errors
    /// What they come to is no filter, or no topic.
    pub fn new(
        direction: Direction,
        qos: QoS,
        filter: &str,
        (local, remote): (&str, &str),
    ) -> Result<Self, RuleError> {
        if filter.is_empty() && (local.is_empty() || remote.is_empty()) {
            return Err(RuleError::Empty);
        }
        Ok(Self {
            direction,
            qos,
            local: Half::new(filter, local)?,
            remote: Half::new(filter, remote)?,
        })
    }

    /// The highest QoS.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// Which way.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// What to subscribe to at this server; `None` if nothing goes out.
    pub fn local_filter(&self) -> Option<&str> {
        let out = self.direction.is_out();
        out.then_some(&*self.local.subscribed)
    }

    /// What to subscribe to at the other server; `None` if nothing comes in.
    pub fn remote_filter(&self) -> Option<&str> {
        self.direction.is_in().then_some(&*self.remote.subscribed)
    }

    /// The topic at the other server of one at this server, if the rule is about it.
    pub fn outward(&self, topic: &str) -> Option<String> {
        self.direction
            .is_out()
            .then(|| self.local.exchange(topic, &self.remote))?
    }

    /// The topic at this server of one at the other, if the rule is about it.
    pub fn inward(&self, topic: &str) -> Option<String> {
        self.direction
            .is_in()
            .then(|| self.remote.exchange(topic, &self.local))?
    }
}

impl Half {
    fn new(filter: &str, prefix: &str) -> Result<Self, RuleError> {
        if prefix.contains(['+', '#']) {
            return Err(RuleError::Wildcard(prefix.into()));
        }
        if filter.is_empty() {
            let topic = TopicName::parse(prefix, u16::MAX);
            topic.map_err(|_| RuleError::Topic(prefix.into()))?;
        }
        let (share, bare) = split_share(filter);
        let whole = [prefix, bare].concat();
        let wrong = || RuleError::Filter([share, &whole].concat());
        let parsed = TopicFilter::parse(&whole, u16::MAX).map_err(|_| wrong())?;
        let subscribed = [share, &whole].concat();
        SubscriptionFilter::parse(&subscribed, u16::MAX).map_err(|_| wrong())?;
        Ok(Self {
            prefix: prefix.into(),
            subscribed,
            filter: parsed,
            is_topic: filter.is_empty(),
        })
    }

    fn exchange(&self, topic: &str, other: &Self) -> Option<String> {
        let name = TopicName::parse(topic, u16::MAX).ok()?;
        if !matches(&self.filter, name) {
            return None;
        }
        if self.is_topic {
            return Some(other.prefix.clone());
        }
        let rest = topic.strip_prefix(&*self.prefix)?;
        Some([&*other.prefix, rest].concat())
    }
}

/// `$share/NAME/` and the rest.
fn split_share(filter: &str) -> (&str, &str) {
    let name = filter.strip_prefix("$share/").and_then(|rest| {
        let (name, _) = rest.split_once('/')?;
        "$share/".len().checked_add(name.len())?.checked_add(1)
    });
    name.and_then(|end| filter.split_at_checked(end))
        .unwrap_or(("", filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(direction: Direction, filter: &str, local: &str, remote: &str) -> Rule {
        Rule::new(direction, QoS::ExactlyOnce, filter, (local, remote)).unwrap()
    }

    #[test]
    fn prefixes_are_exchanged() {
        let both = rule(Direction::Both, "sensors/#", "home/", "site/7/");
        assert_eq!(both.local_filter(), Some("home/sensors/#"));
        assert_eq!(both.remote_filter(), Some("site/7/sensors/#"));
        let out = both.outward("home/sensors/a/b");
        assert_eq!(out.as_deref(), Some("site/7/sensors/a/b"));
        let came = both.inward("site/7/sensors/a/b");
        assert_eq!(came.as_deref(), Some("home/sensors/a/b"));
        assert_eq!(both.outward("home/other"), None);
        assert_eq!(both.inward("home/sensors/a"), None);
    }

    #[test]
    fn a_direction_is_no_other() {
        let out = rule(Direction::Out, "a/#", "", "");
        assert_eq!(
            (out.local_filter(), out.remote_filter()),
            (Some("a/#"), None)
        );
        assert_eq!(
            (out.outward("a/b").as_deref(), out.inward("a/b")),
            (Some("a/b"), None)
        );
        let inward = rule(Direction::In, "a/#", "", "b/");
        assert_eq!(inward.local_filter(), None);
        assert_eq!(inward.inward("b/a").as_deref(), Some("a"));
        assert_eq!(inward.outward("a/b"), None);
    }

    #[test]
    fn without_a_filter_two_topics_stand_for_each_other() {
        let one = rule(Direction::Both, "", "local/topic", "remote/topic");
        assert_eq!(one.outward("local/topic").as_deref(), Some("remote/topic"));
        assert_eq!(one.inward("remote/topic").as_deref(), Some("local/topic"));
        assert_eq!(one.outward("local/topic/more"), None);
        let empty = |pair| Rule::new(Direction::Out, QoS::AtMostOnce, "", pair);
        assert_eq!(empty(("", "a")), Err(RuleError::Empty));
        assert_eq!(empty(("a", "")), Err(RuleError::Empty));
    }

    #[test]
    fn wildcards_do_not_reach_the_servers_own_topics() {
        let all = rule(Direction::Both, "#", "", "");
        assert_eq!(all.outward("$SYS/broker/uptime"), None);
        assert_eq!(all.inward("$SYS/broker/uptime"), None);
        let sys = rule(Direction::In, "$SYS/#", "other/", "");
        let came = sys.inward("$SYS/broker/uptime");
        assert_eq!(came.as_deref(), Some("other/$SYS/broker/uptime"));
    }

    #[test]
    fn a_shared_subscription_keeps_its_name_in_front() {
        let shared = rule(Direction::Out, "$share/g/a/+", "x/", "y/");
        assert_eq!(shared.local_filter(), Some("$share/g/x/a/+"));
        assert_eq!(shared.outward("x/a/1").as_deref(), Some("y/a/1"));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let make = |filter, local| {
            Rule::new(Direction::Out, QoS::AtMostOnce, filter, (local, "")).unwrap_err()
        };
        assert_eq!(make("a", "+/"), RuleError::Wildcard("+/".into()));
        assert_eq!(make("a/#/b", ""), RuleError::Filter("a/#/b".into()));
        assert_eq!(make("#", "a"), RuleError::Filter("a#".into()));
        let long = "x".repeat(70_000);
        assert!(matches!(make(&long, ""), RuleError::Filter(_)));
    }

    #[test]
    fn s101_names_that_are_no_topics_match_nothing() {
        let all = rule(Direction::In, "#", "", "");
        for name in ["", "a/+", "#", "a\u{1}", "a\0"] {
            assert_eq!(all.inward(name), None, "{name:?}");
        }
        // The level above is matched, but has not the prefix.
        let below = rule(Direction::In, "#", "", "a/");
        assert_eq!(below.inward("a"), None);
    }
}
