//! Who wants what.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::{Listed, Page, Piece};

/// The subscriptions of all clients.
pub trait Subscriptions: Send + Sync {
    /// Some of the subscriptions, in an order that stays: at most `limit`, and perhaps fewer although
    /// there are more.
    ///
    /// # Errors
    /// [`crate::Failure::Invalid`] if the cursor or a filter is none; [`crate::Failure::Busy`] if a
    /// worker does not answer in time.
    fn subscriptions(
        &self,
        wanted: SubscriptionWish,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Subscribed>>;

    /// The groups that share a filter, by name. Looks at up to [`MEMBERSHIPS`] memberships.
    ///
    /// # Errors
    /// As [`Subscriptions::subscriptions`].
    fn groups(&self, page: Page) -> Answer<'_, Listed<SharedGroup>>;

    /// Who would get a message with this topic, which this client publishes; at most
    /// [`RECEIVERS`] are named.
    ///
    /// # Errors
    /// [`crate::Failure::Invalid`] if the topic is none; [`crate::Failure::Busy`] if a worker does not
    /// answer in time.
    fn receivers(&self, topic: String, from: Option<String>) -> Answer<'_, Matched>;
}

/// Most memberships that one list of groups is made of.
pub const MEMBERSHIPS: usize = 100_000;

/// Most receivers that are named.
pub const RECEIVERS: usize = 1_000;

/// Which subscriptions are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionWish {
    /// Of this client.
    pub clientid: Option<String>,
    /// For this filter, to the letter.
    pub topic: Option<String>,
    /// For filters that match this topic.
    pub matching: Option<String>,
    /// In the group of this name.
    pub share: Option<String>,
    /// With this QoS.
    pub qos: Option<u8>,
}

/// A subscription, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscribed {
    /// Whose.
    pub clientid: String,
    /// The filter, as the server knows it, without the group.
    pub topic: String,
    /// The highest QoS.
    pub qos: u8,
    /// No Local.
    pub nl: bool,
    /// Retain As Published.
    pub rap: bool,
    /// Retain Handling, 0 to 2.
    pub rh: u8,
    /// The name of its group.
    pub share: Option<String>,
}

/// Members that share a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SharedGroup {
    /// Its name.
    pub group: String,
    /// The filter.
    pub topic: String,
    /// Its members, by client identifier.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct GroupMember {
    /// The client.
    pub clientid: String,
    /// Whether it is connected.
    pub connected: bool,
    /// Messages that were sent to it and not acknowledged, of the group or not.
    pub inflight: u64,
    /// Messages that wait for it, of the group or not.
    pub queued: u64,
}

/// Who would get a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matched {
    /// They. Of a group, each member that may be chosen is named; one gets it.
    pub receivers: Vec<MatchedReceiver>,
    /// How many are named.
    pub count: u64,
    /// Whether there are more.
    pub truncated: bool,
}

/// Somebody who would get a message, or a member of a group of which one does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatchedReceiver {
    /// The client.
    pub clientid: String,
    /// One of its filters that match; empty if it has too many to look through.
    pub filter: String,
    /// At which QoS at most.
    pub qos: u8,
    /// The name of the group that may choose it.
    pub group: Option<String>,
    /// Whether it is connected.
    pub online: bool,
    /// Whether a rule denies it this topic: then it does not get it.
    pub denied: bool,
}
