//! The words that every room of the house uses.
//!
//! **Never:** no I/O, no clock, no allocation policy, no dependency.
//!
//! | module | owns |
//! |---|---|
//! | [`ids`] | [`ClientId`], [`PacketId`], [`ConnId`], [`SessionKey`], [`WorkerId`], [`Ticket`], [`MessageRef`] |
//! | [`version`] | [`ProtocolVersion`]: 3.1, 3.1.1 and 5.0 as data |
//! | [`qos`] | [`QoS`] |
//! | [`reason`] | [`ReasonCode`], every code of MQTT 5.0 and its 3.1.1 counterpart |
//! | [`topic`] | [`TopicName`], [`TopicFilter`], [`ShareName`], valid by construction |
//! | [`options`] | [`SubscriptionOptions`], [`RetainHandling`] |
//! | [`message`] | [`Message`], the application message that recipients share |
//! | [`peer`] | [`Peer`], who is at the other end of a link |
//! | [`certificate`] | [`Certificate`], what a client's certificate says |
//! | [`body`] | [`Body`], a message that waits: in memory, or in the store alone |
//! | [`durability`] | [`Durability`], what an acknowledgement promises |
//! | [`time`] | [`Time`], milliseconds that only go forward |
//! | [`limits`] | [`Limits`], every bound with its default |
//! | [`core`] | [`Core`], the contract between an event loop and what it drives |

pub mod body;
pub mod certificate;
pub mod core;
pub mod durability;
pub mod ids;
pub mod limits;
pub mod message;
pub mod options;
pub mod peer;
pub mod qos;
pub mod reason;
pub mod time;
pub mod topic;
pub mod version;

pub use crate::core::{Action, Arrival, Core, LinkEnd, LinkInfo};
pub use body::{Body, StoredBody};
pub use certificate::Certificate;
pub use durability::Durability;
pub use ids::{
    ClientId, ConnId, DeliveryNumber, MessageRef, PacketId, SessionKey, SessionRef, StoredSession,
    Ticket, WorkerId,
};
pub use limits::Limits;
pub use message::{Followed, Message, MessageParts};
pub use options::{RetainHandling, SubscriptionOptions};
pub use peer::Peer;
pub use qos::QoS;
pub use reason::ReasonCode;
pub use time::Time;
pub use topic::{FilterError, ShareName, SubscriptionFilter, TopicError, TopicFilter, TopicName};
pub use version::ProtocolVersion;
