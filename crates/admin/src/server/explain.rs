//! Why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answer, Ban};

/// Explanations. They change nothing and are remembered by nobody.
pub trait Explain: Send + Sync {
    /// What would be said to a client that wants something, and why.
    ///
    /// # Errors
    /// [`crate::Failure::Invalid`] if a topic or an address is none, or
    /// [`crate::Failure::Busy`] if a worker does not answer in time.
    fn explain(&self, request: ExplainRequest) -> Answer<'_, Explained>;
}

/// Who wants what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The client identifier. If it is connected, what is known of it takes the place of what is
    /// not given here.
    pub clientid: String,
    /// The user, taken for proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Where it would connect from: an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peerhost: Option<String>,
    /// The name of the listener that it would come by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// What it wants.
    pub action: Wish,
    /// The topic, or the filter with `$share/name/` if there is one, as the client writes it. Who
    /// wants to connect needs none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// The QoS, 0 to 2.
    #[serde(default)]
    pub qos: u8,
    /// The retain flag.
    #[serde(default)]
    pub retain: bool,
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Wish {
    /// To come in.
    Connect,
    /// To publish.
    Publish,
    /// To subscribe.
    Subscribe,
}

/// What would be said, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// Who the client is taken for.
    pub authentication: ExplainedIdentity,
    /// Why it would not be let in, as far as that can be known without its password. Absent: nothing
    /// is known against it.
    pub refused: Option<String>,
    /// The ban that keeps it out.
    pub ban: Option<Ban>,
    /// The rules whose topics have to do with it, in their order, at most 100; the last decides
    /// among the rules.
    pub steps: Vec<Step>,
    /// What is said: no, also if it would not be let in or goes beyond a limit.
    pub decision: Decision,
    /// What decides, in one sentence for people.
    pub why: String,
    /// The rule that decides, in words, with where it stands; absent: no rule matched.
    pub rule: Option<String>,
    /// Limits that it would meet.
    pub limits: Vec<Limit>,
    /// Who subscribed to the message, if it is one; at most 1000.
    pub routing: Vec<Receiver>,
    /// Whether there are more who subscribed to it.
    pub routing_more: bool,
}

/// Who a client is taken for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplainedIdentity {
    /// Whether the client is connected now.
    pub connected: bool,
    /// The user; absent: anonymous.
    pub username: Option<String>,
    /// Whether the listener lets clients in without a user.
    pub anonymous_allowed: bool,
    /// The provider that let it in, if it is connected.
    pub provider: Option<String>,
    /// Providers that are asked at the listener, in their order.
    pub asked: Vec<String>,
    /// May do everything that is not the server's own.
    pub is_superuser: bool,
    /// Groups that count.
    pub groups: Vec<String>,
    /// Roles that count.
    pub roles: Vec<String>,
}

/// One step to a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// The rule in words, with where it stands.
    pub rule: String,
    /// What came of looking at it.
    pub outcome: StepOutcome,
}

/// What came of looking at a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It is about other clients.
    OtherClient,
    /// It is not for this action, QoS or retain flag.
    OtherAction,
    /// It allows a part of the filter.
    AllowsPart,
    /// It denies a part of the filter.
    DeniesPart,
    /// It decides.
    Decides,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Yes.
    Allow,
    /// A subscription is granted, and each message is asked about.
    Partly,
    /// No.
    Deny,
}

/// A limit that it would meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limit {
    /// The key of the configuration.
    pub name: String,
    /// Its value, as the configuration writes it.
    pub value: String,
    /// Whether what is wanted goes beyond it.
    pub exceeded: bool,
}

/// Who subscribed to a message, and what would become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receiver {
    /// The client identifier.
    pub clientid: String,
    /// The QoS of the delivery.
    pub qos: u8,
    /// The shared subscription of which one member gets it.
    pub share: Option<String>,
    /// What would become of it.
    pub gets: Gets,
}

/// What would become of a message for somebody who subscribed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gets {
    /// It would be sent.
    Now,
    /// It would wait until the client is back.
    Later,
    /// It would be dropped: QoS 0 is not kept for who is away.
    Away,
    /// It would be dropped: the client may not have it.
    Denied,
}
