//! What somebody wants, and what he is told.

use types::{QoS, TopicFilter, TopicName};

/// What a client wants to do with a topic. Topics are as the server knows them: aliases resolved,
/// a listener's mount prefix in place.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// Publish to it, directly or as a will.
    Publish {
        /// Where to.
        topic: TopicName<'a>,
        /// The message's QoS.
        qos: QoS,
        /// Whether it is to be retained.
        retain: bool,
    },
    /// Subscribe to it, alone or in a group.
    Subscribe {
        /// What for, without `$share/name/`.
        filter: &'a TopicFilter,
        /// The highest QoS asked for.
        qos: QoS,
    },
    /// Be given a message that a subscription matched. Asked where [`Verdict::Partly`] was said,
    /// and of what waited in a queue while rules changed.
    Receive {
        /// The message's topic.
        topic: TopicName<'a>,
        /// The QoS of the delivery.
        qos: QoS,
    },
}

/// What is said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow,
    /// Of [`Access::Subscribe`]: yes, but not for each topic that the filter matches. Each message
    /// is to be asked about.
    Partly,
    /// No.
    Deny,
}

/// An answer with what decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The rule that decided; `None`: no rule matched.
    pub rule: Option<RuleId>,
}

impl Decision {
    /// Allowed without a rule.
    pub const ALLOW: Self = Self {
        verdict: Verdict::Allow,
        rule: None,
    };
    /// Denied without a rule.
    pub const DENY: Self = Self {
        verdict: Verdict::Deny,
        rule: None,
    };

    /// Whether the answer is not no.
    pub fn is_allowed(self) -> bool {
        self.verdict != Verdict::Deny
    }
}

/// A rule of the policy that decided, for [`crate::Policy::describe`]. It means something to that
/// policy, and, of a rule that came with a [`crate::Grant`], together with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleId {
    /// Of the policy: its place there.
    Policy(u32),
    /// Of the client's own: its place there.
    Own(u32),
    /// The server's own topics below `$` are not for clients.
    Reserved,
    /// The client is a superuser.
    Superuser,
}
