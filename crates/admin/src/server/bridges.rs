//! Bridges to other servers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, Record, Stamp};

/// The bridges.
pub trait Bridges: Send + Sync {
    /// All of them, in the order of the configuration. Answers at once, from memory.
    fn bridges(&self) -> Vec<Bridge>;

    /// Has a bridge do something. It begins with it at once and is not waited for.
    ///
    /// # Errors
    /// [`Failure::NotFound`], or the audit log takes no line: then nothing has happened.
    fn order(&self, name: &str, order: BridgeOrder, record: &Record) -> Result<(), Failure>;
}

/// What an operator has a bridge do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeOrder {
    /// Connect anew; one that is switched off is switched on.
    Restart,
    /// Be switched on.
    Enable,
    /// Disconnect, and stay so.
    Disable,
}

/// A bridge, with figures since it is there: since the start, or since it was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// `connected`; `connecting`; `waiting`: for the next try; `idle`: for messages to connect for;
    /// `off`.
    pub state: String,
    /// Since when it is in this state.
    pub since: Stamp,
    /// Whether it is switched on. One that is, and is `off`, was to connect once only.
    pub enabled: bool,
    /// Since when both servers are connected; absent: they are not.
    pub connected_at: Option<Stamp>,
    /// Since when they are not connected though they should be; absent: all is as it should be.
    pub down_since: Option<Stamp>,
    /// Addresses of the other server.
    pub addresses: Vec<String>,
    /// The one in use, or the one tried last.
    pub address: Option<String>,
    /// Who the bridge is at the other server.
    pub remote_clientid: String,
    /// Who it is at this server: the session with what waits.
    pub local_clientid: String,
    /// The user that it is at this server; absent: it may do everything that is not the server's own.
    pub user: Option<String>,
    /// Why the last connection or the last try ended; absent: none has ended.
    pub last_error: Option<BridgeError>,
    /// Messages sent to the other server; those sent again count again.
    pub messages_out: u64,
    /// Bytes of their packets.
    pub bytes_out: u64,
    /// Messages that came from the other server.
    pub messages_in: u64,
    /// Bytes of their packets.
    pub bytes_in: u64,
    /// Messages of QoS 1 and 2 sent and not acknowledged to the end.
    pub inflight_out: u64,
    /// The same of those that came.
    pub inflight_in: u64,
    /// Messages here that the other server has not acknowledged, those on their way among them; at
    /// most some seconds old.
    pub lag: u64,
    /// How often both servers were connected again.
    pub reconnects: u64,
    /// How often a connection, or the try of one, has failed.
    pub failures: u64,
    /// Messages that did not go over, by reason.
    pub dropped: Vec<BridgeDrops>,
}

/// What went wrong with a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BridgeError {
    /// In words.
    pub message: String,
    /// When.
    pub at: Stamp,
}

/// How many messages did not go over, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BridgeDrops {
    /// `no_rule`, `loop`, `too_large`, `topic`, `properties`, `refused_there`,
    /// `ends_connection`, `refused_here` or `slow`.
    pub reason: String,
    /// How many.
    pub count: u64,
}
