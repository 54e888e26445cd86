//! What the API needs of the running server, subject by subject. The binary implements it.
//!
//! Methods that answer at once may wait for a disk: they are called on a thread that may. Methods
//! that ask workers answer later.
//!
//! | module | owns |
//! |---|---|
//! | [`users`] | [`Users`]: the built-in database of users |
//! | [`roles`] | [`Roles`]: groups, and roles with their rules |
//! | [`bans`] | [`Bans`]: who is not let in |
//! | [`bridges`] | [`Bridges`]: other servers, and what goes over |
//! | [`clients`] | [`Clients`]: who is connected or away, and how to end that |
//! | [`configuration`] | [`Configuration`]: what holds, from where, earlier ones |
//! | [`explain`] | [`Explain`]: why |
//! | [`topics`] | [`Topics`]: what is published, level by level |
//! | [`drops`] | [`Drops`]: messages that somebody did not get |
//! | [`timeline`] | [`Timeline`]: what happened to a client |
//! | [`slow`] | [`Slow`]: who takes longest |
//! | [`traces`] | [`Traces`]: what happens to one client, topic or address, line by line |
//! | [`authentication`] | [`Authentication`]: the chain of providers, with figures |
//! | [`figures`] | [`Figures`]: what the server does, in numbers |
//! | [`listeners`] | [`Listeners`]: doors, their certificates, their figures |
//! | [`message`] | what there is to show of a message |
//! | [`publish`] | [`Publish`]: the door by which the API publishes |
//! | [`retained`] | [`Retained`]: the last message of each topic |
//! | [`subscriptions`] | [`Subscriptions`]: who wants what |
//! | [`status`] | [`Status`]: what runs |
//! | [`store`] | [`Store`]: what is kept, and how safely |
//! | [`tools`] | [`Logging`], [`Backup`] |

pub mod authentication;
pub mod bans;
pub mod bridges;
pub mod clients;
pub mod configuration;
pub mod drops;
pub mod explain;
pub mod figures;
pub mod listeners;
pub mod message;
pub mod publish;
pub mod retained;
pub mod roles;
pub mod slow;
pub mod status;
pub mod store;
pub mod subscriptions;
pub mod timeline;
pub mod tools;
pub mod topics;
pub mod traces;
pub mod users;

use std::future::Future;
use std::pin::Pin;

use crate::{Alarms, Failure};

pub use authentication::{Authentication, Chain, Selector};
pub use bans::{Ban, BanOn, Bans, NewBan, Until};
pub use bridges::{Bridge, BridgeOrder, Bridges};
pub use clients::{
    Client, ClientFilter, ClientOrder, Clients, MessagePart, NewSubscription, QueuedMessage,
    QueuedMessages, Subscription, Will,
};
pub use configuration::Configuration;
pub use drops::{DropSample, Drops, DropsByClient, DropsByReason, DropsByTopic};
pub use explain::{Explain, ExplainRequest, Explained};
pub use figures::{Figures, Overview};
pub use listeners::{CertificateRow, Listener, Listeners};
pub use publish::{Publication, Publish, Published};
pub use retained::{Retained, RetainedMessage};
pub use roles::{Group, GroupChange, Role, RoleChange, Roles, Rule};
pub use slow::{Slow, SlowKind, SlowSubscription};
pub use status::Status;
pub use store::Store;
pub use subscriptions::{Matched, SharedGroup, Subscribed, SubscriptionWish, Subscriptions};
pub use timeline::{Timeline, TimelineEvent, TimelineKind, TimelineMeta};
pub use tools::{Backup, Logging};
pub use topics::Topics;
pub use traces::{NewTrace, Trace, Traces};
pub use users::{NewUser, User, UserChange, Users};

/// An answer that comes later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// The running server. Each subject may be a part of its own.
pub trait Server: Send + Sync {
    /// What runs. Answers at once, from memory.
    fn status(&self) -> Status;

    /// What is kept. Answers at once, from memory.
    fn store(&self) -> Store;

    /// The database of users.
    fn users(&self) -> &dyn Users;

    /// Groups and roles.
    fn roles(&self) -> &dyn Roles;

    /// Bans.
    fn bans(&self) -> &dyn Bans;

    /// Clients.
    fn clients(&self) -> &dyn Clients;

    /// Subscriptions of all clients.
    fn subscriptions(&self) -> &dyn Subscriptions;

    /// Retained messages.
    fn retained(&self) -> &dyn Retained;

    /// The door by which the API publishes.
    fn publish(&self) -> &dyn Publish;

    /// Explanations.
    fn explain(&self) -> &dyn Explain;

    /// The chain of providers.
    fn authentication(&self) -> &dyn Authentication;

    /// What is wrong, and what was lately.
    fn alarms(&self) -> &Alarms;

    /// What the server does, in numbers.
    fn figures(&self) -> &dyn Figures;

    /// The listeners.
    fn listeners(&self) -> &dyn Listeners;

    /// Bridges to other servers.
    fn bridges(&self) -> &dyn Bridges;

    /// The configuration.
    fn configuration(&self) -> &dyn Configuration;

    /// The log.
    fn logging(&self) -> &dyn Logging;

    /// Copies of all that is kept.
    fn backup(&self) -> &dyn Backup;

    /// What is published.
    fn topics(&self) -> &dyn Topics;

    /// What was dropped. Answers at once, from memory.
    fn drops(&self) -> Drops;

    /// What happened to a client, the newest first, at most so much. Answers at once, from memory.
    fn timeline(&self, clientid: &str, most: usize) -> Timeline;

    /// Who takes longest.
    fn slow(&self) -> &dyn Slow;

    /// Traces.
    fn traces(&self) -> &dyn Traces;
}
