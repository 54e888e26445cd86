//! Who is connected or away, and how to end that.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::{Piece, Stamp};

/// Clients. Each is asked of the worker that it is home to.
pub trait Clients: Send + Sync {
    /// Some of the clients, connected and away, in an order that stays: at most `limit`, and perhaps
    /// fewer although there are more. Their subscriptions are not listed.
    ///
    /// # Errors
    /// [`crate::Failure::Invalid`] if the cursor is none, an address is none, or there is no such
    /// listener; [`crate::Failure::Busy`] if a worker does not answer in time.
    fn clients(
        &self,
        wanted: ClientFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Client>>;

    /// Subscriptions of a client by filter, from behind this one on.
    ///
    /// # Errors
    /// As [`Clients::client`]; [`crate::Failure::Invalid`] if the cursor is no filter.
    fn subscriptions(
        &self,
        clientid: String,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Subscription>>;

    /// What is known of a client, connected or away.
    ///
    /// # Errors
    /// [`crate::Failure::NotFound`] if it has neither connection nor session, or
    /// [`crate::Failure::Busy`] if its worker does not answer in time.
    fn client(&self, clientid: String) -> Answer<'_, Client>;

    /// Ends a client's connection, and nothing else: its session stays as long as it would.
    ///
    /// # Errors
    /// Its worker takes no mail.
    fn kick(&self, clientid: String) -> Answer<'_, ()>;
}

/// Which clients are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// The client identifier contains this.
    pub like: Option<String>,
    /// Of this user.
    pub username: Option<String>,
    /// Connected from this address.
    pub address: Option<String>,
    /// Connected by the listener of this name.
    pub listener: Option<String>,
    /// Connected, or away.
    pub connected: Option<bool>,
}

/// A client. What is about a connection is absent while it is away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// The client identifier.
    pub clientid: String,
    /// The user that its session belongs to; absent if it is anonymous.
    pub username: Option<String>,
    /// Whether it is connected.
    pub connected: bool,
    /// Where it is connected from.
    pub peer: Option<String>,
    /// The name of the listener that it came by.
    pub listener: Option<String>,
    /// The protocol version: `3.1`, `3.1.1` or `5.0`.
    pub proto_ver: Option<String>,
    /// Keep alive in seconds; 0 is none.
    pub keepalive: Option<u16>,
    /// When it connected.
    pub connected_at: Option<Stamp>,
    /// The name of the provider that let it in.
    pub provider: Option<String>,
    /// Whether it may do everything that is not the server's own.
    pub is_superuser: bool,
    /// Groups that it is in, by the database and by its provider.
    pub groups: Vec<String>,
    /// Roles that it has.
    pub roles: Vec<String>,
    /// The subject of its certificate.
    pub certificate: Option<String>,
    /// When what it was granted is over, and it is disconnected.
    pub granted_until: Option<Stamp>,
    /// Seconds for which its session outlives the connection; absent for ever.
    pub expiry_interval: Option<u32>,
    /// Messages that wait for it.
    pub queued: u64,
    /// Messages that were sent and not acknowledged.
    pub inflight: u64,
    /// Its subscriptions, at most 1000 of them; none in lists.
    pub subscriptions: Vec<Subscription>,
    /// How many subscriptions it has.
    pub subscriptions_count: u64,
}

/// A subscription of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Subscription {
    /// The filter, with `$share/name/` if there is one.
    pub topic: String,
    /// The highest QoS.
    pub qos: u8,
    /// No Local.
    pub nl: bool,
    /// Retain As Published.
    pub rap: bool,
    /// Retain Handling, 0 to 2.
    pub rh: u8,
    /// Whether each message is asked about at delivery, because a rule denies a part of the filter.
    pub partly: bool,
}
