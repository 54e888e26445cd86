//! Who is connected or away, and how to end that.

mod order;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::message::{Absent, Bytes};
use crate::{Listed, Page, Piece, Stamp};

pub use order::{ClientKey, ClientOrder};

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

    /// One page of the clients in this order. Looks at all of them, and keeps no more than up to the
    /// end of the page, which is at most row [`ORDERED`].
    ///
    /// # Errors
    /// As [`Clients::clients`].
    fn ordered_clients(
        &self,
        wanted: ClientFilter,
        order: ClientOrder,
        page: Page,
    ) -> Answer<'_, Listed<Client>>;

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

    /// Subscribes for a client that is connected, through the same checks as if it had asked, and
    /// answers when that is as safe. The client is told nothing; retained messages come as it says.
    ///
    /// # Errors
    /// [`crate::Failure::NotFound`] if it is not connected, [`crate::Failure::Denied`] if it may not
    /// subscribe to this, [`crate::Failure::Invalid`] if the filter is none,
    /// [`crate::Failure::Unavailable`] if there is no room for it, [`crate::Failure::Busy`] if its
    /// worker is behind or does not answer in time.
    fn subscribe(&self, clientid: String, wish: NewSubscription) -> Answer<'_, ()>;

    /// Takes a subscription from a client, connected or away. It is told nothing.
    ///
    /// # Errors
    /// [`crate::Failure::NotFound`] if there is no such client or subscription; otherwise as
    /// [`Clients::subscribe`].
    fn unsubscribe(&self, clientid: String, topic: String) -> Answer<'_, ()>;

    /// Messages that wait for a client or are on their way to it, in order, from this place on, each
    /// with up to [`PAYLOAD`] bytes of its payload.
    ///
    /// # Errors
    /// As [`Clients::client`].
    fn messages(
        &self,
        clientid: String,
        part: MessagePart,
        from: usize,
        limit: usize,
    ) -> Answer<'_, QueuedMessages>;
}

/// The last row that an ordered list gives.
pub const ORDERED: u64 = 10_000;

/// Most bytes of a message's payload that are shown.
pub const PAYLOAD: usize = 4 * 1024;

/// A subscription that is wanted for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubscription {
    /// The filter, with `$share/name/` if there is one, as the server knows it.
    pub topic: String,
    /// The highest QoS, 0 to 2.
    pub qos: u8,
    /// No Local.
    pub no_local: bool,
    /// Retain As Published.
    pub retain_as_published: bool,
    /// Retain Handling, 0 to 2.
    pub retain_handling: u8,
}

/// Which messages of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagePart {
    /// Those that wait.
    Waiting,
    /// Those that were sent and are not fully acknowledged.
    Inflight,
}

/// Some of the messages of a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueuedMessages {
    /// They.
    pub rows: Vec<QueuedMessage>,
    /// How many there are in all.
    pub count: u64,
}

/// A message that waits for a client or is on its way to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct QueuedMessage {
    /// Its topic, as the server knows it; absent if the message was not looked at.
    pub topic: Option<String>,
    /// The QoS towards the client.
    pub qos: u8,
    /// The retain flag towards the client.
    pub retain: bool,
    /// Who published it, if that client is still known.
    pub from_clientid: Option<String>,
    /// When it came, if it is stored.
    pub publish_at: Option<Stamp>,
    /// When it expires.
    pub expires_at: Option<Stamp>,
    /// Bytes of its payload; of the message as a whole if it was not looked at.
    pub size: u64,
    /// Its payload, at most the first 4 KiB.
    pub payload: Option<Bytes>,
    /// Its packet identifier, if it is on its way.
    pub packet_id: Option<u16>,
    /// What it waits for, if it is on its way: `store`, `puback`, `pubrec` or `pubcomp`.
    pub state: Option<String>,
    /// Why something is missing.
    pub absent: Option<Absent>,
}

/// A will, without its payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Will {
    /// Where it goes.
    pub topic: String,
    /// Its QoS.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// Seconds that it waits after the client left.
    pub delay: u32,
}

/// Which clients are listed: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// The client identifier contains this.
    pub like: Option<String>,
    /// Of this user.
    pub username: Option<String>,
    /// The name of the user contains this.
    pub like_username: Option<String>,
    /// Connected, and speaks this: 3 for MQTT 3.1, 4 for 3.1.1, 5 for 5.0.
    pub version: Option<u8>,
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
    /// The same as `subscriptions_count`, by EMQX's name.
    pub subscriptions_cnt: u64,
    /// The same as `queued`, by EMQX's name.
    pub mqueue_len: u64,
    /// Bytes of the messages that wait for it.
    pub mqueue_bytes: u64,
    /// Messages that its queue had no room for, since its session is in memory.
    pub mqueue_dropped: u64,
    /// The same as `inflight`, by EMQX's name.
    pub inflight_cnt: u64,
    /// QoS 2 messages from it that it has not released.
    pub awaiting_rel_cnt: u64,
    /// The worker that it is at home with.
    pub worker: u16,
    /// The address that it is connected from.
    pub ip_address: Option<String>,
    /// The port that it is connected from.
    pub port: Option<u16>,
    /// What MQTT runs over: `tcp`, `unix`, `tls`, `ws`, `wss` or `quic`.
    pub transport: Option<String>,
    /// When it left; absent if it is connected, or left in an earlier run of the server.
    pub disconnected_at: Option<Stamp>,
    /// Whether it asked for a session that begins anew.
    pub clean_start: Option<bool>,
    /// PUBLISH packets from it, of this connection.
    pub recv_msg: Option<u64>,
    /// PUBLISH packets to it, of this connection.
    pub send_msg: Option<u64>,
    /// Bytes from it, of this connection.
    pub recv_oct: Option<u64>,
    /// Bytes to it, of this connection.
    pub send_oct: Option<u64>,
    /// Bytes that wait for its connection to take them.
    pub send_pending_bytes: Option<u64>,
    /// Most QoS 1 and 2 messages on their way to it: its own number, or the server's if that is less.
    pub receive_maximum: Option<u16>,
    /// Most topic aliases towards it.
    pub topic_alias_maximum: Option<u16>,
    /// The largest packet that it takes, in bytes.
    pub maximum_packet_size: Option<u64>,
    /// The will that it leaves, or left and that waits.
    pub will: Option<Will>,
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
