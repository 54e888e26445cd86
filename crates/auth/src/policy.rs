//! The question that the broker asks at its doors.

use std::sync::Arc;

use crate::access::{Access, Decision, RuleId};
use crate::rules::Effect;
use crate::{Identity, Prepared, Subject};

/// Answers on the spot. One policy serves all workers; a change is another policy, which they all
/// get within a second. Nothing that it is asked is remembered beyond it.
pub trait Policy: Send + Sync {
    /// The one question, asked at each door: PUBLISH (S53: on the resolved topic), a will at
    /// CONNECT and when it is due (S46), SUBSCRIBE alone and in a group (S49), retained messages,
    /// what waited in a queue, what is inflight and sent again (S48).
    fn decide(&self, who: &Subject<'_>, access: &Access<'_>) -> Decision;

    /// Why somebody is not let in at all, whatever he can prove.
    fn ban(&self, who: &Subject<'_>) -> Option<Ban>;

    /// Whether a retained message of this source may still be given to others (S47).
    fn stands(&self, source: &Source<'_>) -> bool;

    /// A rule in words, with where it stands: `access.toml:12: deny publish "a/#"`.
    fn describe(&self, who: &Subject<'_>, rule: RuleId) -> String;

    /// What can be known before somebody asks, so that [`Policy::decide_prepared`] is faster. It
    /// is to be made again when something of the subject or the policy is another; it costs a
    /// session one pointer. `None`: nothing is gained by it.
    fn prepare(&self, _who: &Subject<'_>) -> Option<Arc<Prepared>> {
        None
    }

    /// [`Policy::decide`], with what [`Policy::prepare`] of this or of another policy gave. The
    /// answer is the same as without, as long as the subject is the one it was made for.
    fn decide_prepared(
        &self,
        who: &Subject<'_>,
        _prepared: Option<&Prepared>,
        access: &Access<'_>,
    ) -> Decision {
        self.decide(who, access)
    }

    /// Whether a client that is away might be allowed this: what only a connection shows (address,
    /// listener, certificate) is taken as it suits the client. It is asked again when it is back.
    fn could(&self, who: &Subject<'_>, access: &Access<'_>) -> bool {
        self.decide(who, access).is_allowed()
    }

    /// How many rules a decision about a filter with wildcards may have to look at, so that who has
    /// many filters to ask about can spread them over time.
    fn effort(&self) -> usize {
        0
    }

    /// How [`Policy::decide`] comes to its answer: the rules whose topics have to do with what is
    /// asked, in their order, at most [`Step::MOST`]; the last one decides.
    fn decide_traced(&self, who: &Subject<'_>, access: &Access<'_>) -> Vec<Step> {
        let decision = self.decide(who, access);
        let says = match decision.rule {
            Some(rule) => self.describe(who, rule),
            None => "no rule is about it".into(),
        };
        vec![Step {
            rule: decision.rule,
            says,
            why: Why::Decides(decision),
        }]
    }
}

/// One step to a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule; `None`: no rule matched, and what is said then holds.
    pub rule: Option<RuleId>,
    /// The rule in words, with where it stands.
    pub says: String,
    /// What came of it.
    pub why: Why,
}

/// What came of looking at a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is about other clients.
    Client,
    /// It is about this client and these topics, but not for this action, QoS or retain flag.
    Action,
    /// It is about a part of the filter. What is denied in part is asked about at each delivery;
    /// what is allowed in part grants nothing, unless the policy says so.
    Part(Effect),
    /// It decides.
    Decides(Decision),
}

impl Step {
    /// So many steps are told at most. The last is always the one that decides.
    pub const MOST: usize = 100;
}

/// That somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ban {
    /// What the ban names.
    pub on: BanOn,
}

/// What a ban names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BanOn {
    /// A client identifier.
    Client,
    /// A user.
    User,
    /// An address or a network.
    Address,
}

/// Who published a retained message.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Whose client it was.
    pub identity: &'a Identity,
    /// The client identifier.
    pub client_id: &'a str,
    /// Whether what allowed it came from a back end with the client: only bans are then looked at,
    /// because nobody here knows what it would be allowed today.
    pub granted: bool,
    /// What was published to, with the retain flag.
    pub topic: types::TopicName<'a>,
}

/// The policy of a server without configuration, which listens on loopback only: everybody may do
/// everything, except publish under `$`, which is the server's own (C35, S51).
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Policy for Open {
    fn decide(&self, _: &Subject<'_>, access: &Access<'_>) -> Decision {
        match access {
            Access::Publish { topic, .. } if topic.is_reserved() => Decision {
                rule: Some(RuleId::Reserved),
                ..Decision::DENY
            },
            Access::Publish { .. } | Access::Subscribe { .. } | Access::Receive { .. } => {
                Decision::ALLOW
            }
        }
    }

    fn ban(&self, _: &Subject<'_>) -> Option<Ban> {
        None
    }

    fn stands(&self, _: &Source<'_>) -> bool {
        true
    }

    fn describe(&self, _: &Subject<'_>, rule: RuleId) -> String {
        match rule {
            RuleId::Reserved => "topics that begin with $ are the server's own".into(),
            RuleId::Policy(_) | RuleId::Own(_) | RuleId::Superuser => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{QoS, TopicName};

    use super::*;

    #[test]
    fn s51_topics_of_the_server_are_not_for_clients() {
        let who = Subject {
            identity: &Identity::Anonymous,
            client_id: "c",
            grant: None,
            address: None,
            certificate: None,
            listener: None,
        };
        let may = |text| {
            let access = Access::Publish {
                topic: TopicName::parse(text, 128).unwrap(),
                qos: QoS::AtMostOnce,
                retain: false,
            };
            Open.decide(&who, &access).is_allowed()
        };
        assert!(may("a/$SYS"));
        assert!(!may("$SYS/broker/version"));
        assert!(!may("$share/g/t"));
        assert!(!may("$unknown/t"));
    }
}
