//! The question that the broker asks at its doors.

use crate::access::{Access, Decision, RuleId};
use crate::{Identity, Subject};

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
