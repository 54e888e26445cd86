//! What happens to messages on their way, step by step, for who watches.
//!
//! Nobody watches as a rule, and then a worker looks at one flag that it has at hand. Who watches
//! is told to workers by [`crate::Control::Watch`]; nothing is shared, and no lock is asked for.

pub mod samples;

use std::fmt;
use std::sync::Arc;

use types::{ClientId, MessageParts, PacketId, Peer, QoS, ReasonCode, WorkerId};

use crate::event::DropReason;

/// Takes steps. Called on a worker: it must not block, and must not do more than a little.
///
/// A step has what a span of distributed tracing needs beside the time, which the probe takes: who
/// had the message, and the user properties, in which a trace context travels with it.
pub trait Probe: Send + Sync {
    /// A message went a step.
    fn step(&self, step: &Step<'_>);
}

/// Follows messages from one server to the next by what travels with them (W3C Trace Context).
///
/// It is the one that makes identifiers and looks at clocks: a worker does neither. What it marks has
/// its mark in its properties from then on, whatever the message goes through: mail, queues, the
/// store.
pub trait Tracer: Probe {
    /// A message begins its way. If it is to be followed: the properties that it goes on with, in the
    /// place of its own, in the encoding of MQTT 5.0. Its further steps are told as any others are.
    fn mark(&self, step: &Step<'_>) -> Option<Arc<[u8]>>;
}

/// Who watches.
#[derive(Clone, Default)]
pub struct Watchers {
    /// Told of every step.
    pub every: Option<Arc<dyn Probe>>,
    /// Told of messages as they are received: of all while they are few, then of a sample, each
    /// with the number of messages that it stands for.
    pub some: Option<Arc<dyn Probe>>,
    /// Asked of every message whether it is to be followed, and then told of every step.
    pub traced: Option<Arc<dyn Tracer>>,
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchers")
            .field("every", &self.every.is_some())
            .field("some", &self.some.is_some())
            .field("traced", &self.traced.is_some())
            .finish()
    }
}

/// A step of a message.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// At which worker.
    pub worker: WorkerId,
    /// Who sent it, or who is to have it; `None`: the server itself, or nobody in particular.
    pub client: Option<&'a ClientId>,
    /// Where that client is connected from, unless it is away.
    pub peer: Option<Peer>,
    /// The topic, with the mount of a listener; `None` if it is not at hand any more.
    pub topic: Option<&'a Arc<str>>,
    /// The message, if it is at hand and the step is about all of it.
    pub message: Option<MessageParts<'a>>,
    /// The properties that are passed on with it, in the encoding of MQTT 5.0; empty if they are not
    /// at hand.
    pub properties: &'a [u8],
    /// It stands for so many: one, unless samples are taken.
    pub weight: u32,
    /// What happened.
    pub what: What,
}

/// What happened to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It came from a client, or the server publishes it.
    Received {
        /// Its packet identifier at QoS 1 and 2.
        packet_id: Option<PacketId>,
        /// The client says that it sent it before.
        dup: bool,
    },
    /// Its publisher may publish it, and nothing else is against it.
    Authorized,
    /// Its publisher was answered, or would have been at QoS 0: this is what became of it.
    Answered(ReasonCode),
    /// It was matched against the subscriptions, and passed on.
    Routed {
        /// Sessions that want it, on all workers.
        recipients: usize,
        /// Groups of which one member gets it.
        groups: usize,
    },
    /// It waits for a client.
    Queued {
        /// At this QoS.
        qos: QoS,
    },
    /// It was written to a client's output.
    Sent {
        /// Its packet identifier at QoS 1 and 2.
        packet_id: Option<PacketId>,
        /// At this QoS.
        qos: QoS,
        /// It was sent before.
        dup: bool,
    },
    /// A client acknowledged it.
    Acknowledged {
        /// Its packet identifier.
        packet_id: PacketId,
        /// By which packet.
        by: Acknowledgement,
    },
    /// Somebody did not get it.
    Dropped(DropReason),
}

/// A packet by which a client acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// QoS 1: it has it.
    PubAck,
    /// QoS 2: it has it.
    PubRec,
    /// QoS 2: it knows that the server knows.
    PubComp,
}

impl Acknowledgement {
    /// The packet's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubComp => "PUBCOMP",
        }
    }
}
