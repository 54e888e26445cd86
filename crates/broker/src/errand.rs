//! Errands of the control plane: what a worker does for it, and answers when that is safe.
//!
//! Each goes through the same checks as if a client had asked. What a worker has no room for is
//! refused at once: nobody waits in a worker.

use std::fmt;
use std::sync::Arc;

use topics::ScanCursor;
use types::{QoS, ReasonCode, SessionKey, SubscriptionFilter, SubscriptionOptions, TopicFilter};

/// Something to do, and where the answer goes.
pub struct Errand {
    /// What is to be done.
    pub task: Task,
    /// Takes the answer. Called on the worker: it must not block.
    pub reply: Reply,
}

/// Takes an answer.
pub type Reply = Box<dyn FnOnce(Result<Done, NotDone>) + Send>;

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Errand").field(&self.task).finish()
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Publish a message in the name of the server. For any worker; messages of one topic keep
    /// their order if they go to the same.
    Publish(Box<Publication>),
    /// Subscribe for a client that is connected, as if it had asked. For its home.
    Subscribe {
        /// The client.
        client: Arc<str>,
        /// The filter, as the server knows it.
        filter: SubscriptionFilter,
        /// How.
        options: SubscriptionOptions,
    },
    /// Take a subscription from a client, connected or away. For its home.
    Unsubscribe {
        /// The client.
        client: Arc<str>,
        /// The filter, as the server knows it.
        filter: SubscriptionFilter,
    },
    /// Give the session of an [`crate::Order`] its answer at QoS 0, if it is connected and has a
    /// subscription for it. Nobody else gets it. For the session's worker.
    Tell {
        /// The session.
        session: SessionKey,
        /// The topic of the answer, which may be the server's own.
        topic: Box<str>,
        /// The answer.
        payload: Box<[u8]>,
    },
    /// Forget some of the retained messages. For any worker.
    ClearRetained {
        /// Topics that match this.
        filter: TopicFilter,
        /// [`Done::Cleared`] of the answer before.
        after: ScanCursor,
        /// Look at four times as many topics at most.
        most: usize,
    },
}

/// A message of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The topic, as the server knows it.
    pub topic: Box<str>,
    /// Properties that are passed on, encoded as in MQTT 5.0.
    pub properties: Box<[u8]>,
    /// The payload.
    pub payload: Box<[u8]>,
    /// The QoS.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
    /// Message Expiry Interval in seconds.
    pub expiry: Option<u32>,
}

/// What was done. It is as safe as its class of durability says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The message is published.
    Published {
        /// Whether anybody is subscribed to it.
        reached: bool,
    },
    /// The client is subscribed.
    Subscribed,
    /// The client is not subscribed any more.
    Unsubscribed,
    /// The session was told, if it listens.
    Told {
        /// Whether it does.
        reached: bool,
    },
    /// Retained messages are forgotten.
    Cleared {
        /// How many.
        count: u64,
        /// Where to go on; `None`: this was all.
        next: Option<ScanCursor>,
    },
}

/// Why it was not done. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDone {
    /// A worker, the index or the store is behind: later it may do.
    Busy(&'static str),
    /// There is no such client.
    NoClient,
    /// The client is away.
    Away,
    /// The client has no such subscription.
    NoSubscription,
    /// It makes no sense.
    Invalid(&'static str),
    /// It is refused, as a client would hear it.
    Refused(ReasonCode, &'static str),
    /// The store has failed: it may be done or not.
    Failed,
}
