//! The record of one connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use auth::{Exchange, Identity};
use protocol::Connection;
use topics::Route;
use types::{ConnId, Durability, LinkInfo, QoS, SessionKey, Time};

use crate::output::Output;
use crate::worker::HeldAck;

/// One connection, from accept to close.
pub(crate) struct Conn {
    pub(crate) info: LinkInfo,
    pub(crate) phase: Phase,
    /// Bytes of a packet that is not complete, or of packets that wait while paused.
    pub(crate) input: Vec<u8>,
    pub(crate) output: Output,
    /// Largest packet that the client takes, in bytes; CONNECT says it.
    pub(crate) room: u32,
    pub(crate) last_received: Time,
    /// When the link last took bytes; meaningful while `blocked`.
    pub(crate) last_written: Time,
    /// In the list of connections to be flushed.
    pub(crate) touched: bool,
    /// Why reading has stopped.
    pub(crate) pause: Option<Pause>,
    /// The loop was told to stop reading. While a packet is tried again it stays so.
    pub(crate) stopped: bool,
    /// Bytes that count against `limits.unauthenticated_bytes`.
    pub(crate) unauthenticated: usize,
    /// The link takes no more for now.
    pub(crate) blocked: bool,
    /// Nothing is written to the link for now: CONNACK would promise what is not safe.
    pub(crate) corked: bool,
    /// A timer looks after `blocked`.
    pub(crate) watched: bool,
    /// SUBSCRIBE and UNSUBSCRIBE packets whose changes the index has not taken over. What the
    /// client sent after them waits, so that all is answered in order.
    pub(crate) subscribing: u32,
}

/// Why nothing is read from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The next packet needs room: in a mailbox, or among the changes of the index. It is
    /// tried again at the end of each turn.
    Room,
    /// The client takes too little of what it is answered.
    Output,
}

/// Where a connection stands.
pub(crate) enum Phase {
    /// CONNECT has not arrived as a whole.
    Greeting,
    /// CONNECT arrived and an exchange of AUTH packets goes on.
    Authenticating(Box<Authenticating>),
    /// The client is in.
    Open(Open),
}

/// An exchange of AUTH packets before CONNACK.
pub(crate) struct Authenticating {
    /// CONNECT as it arrived; it is acted on when the exchange has succeeded.
    pub(crate) connect: Vec<u8>,
    pub(crate) method: Arc<str>,
    pub(crate) exchange: Box<dyn Exchange>,
}

/// What a connection has once its client is in.
pub(crate) struct Open {
    pub(crate) link: Connection,
    pub(crate) session: SessionKey,
    /// The last topic, to which the client may publish: most publishers stay with one. A change
    /// of the policy must clear it.
    pub(crate) last: Option<LastTopic>,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) auth: Option<Box<Authenticated>>,
    /// Acknowledgements that wait for the store, in order of arrival.
    pub(crate) held: Option<VecDeque<HeldAck>>,
}

/// What was found out about a topic that a client may publish to.
pub(crate) struct LastTopic {
    /// Who gets what is published there.
    pub(crate) route: Arc<Route>,
    /// What its acknowledgement promises.
    pub(crate) durability: Durability,
}

/// Enhanced authentication of an open connection.
pub(crate) struct Authenticated {
    /// The method that CONNECT named; re-authentication stays with it (MQTT-4.12.1-1).
    pub(crate) method: Arc<str>,
    /// A re-authentication that goes on.
    pub(crate) exchange: Option<Box<dyn Exchange>>,
    /// Whose connection it is.
    pub(crate) identity: Identity,
}

/// A will (3.1.2.5).
#[derive(Clone, Debug)]
pub(crate) struct Will {
    pub(crate) topic: Arc<str>,
    pub(crate) properties: Box<[u8]>,
    pub(crate) payload: Box<[u8]>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) delay: Duration,
    pub(crate) message_expiry: Option<u32>,
    pub(crate) durability: Durability,
}

impl Will {
    /// Bytes of topic, properties and payload.
    pub(crate) fn size(&self) -> usize {
        let parts = self.topic.len().saturating_add(self.properties.len());
        parts.saturating_add(self.payload.len())
    }
}

impl Conn {
    pub(crate) fn new(info: LinkInfo, now: Time) -> Self {
        Self {
            info,
            phase: Phase::Greeting,
            input: Vec::new(),
            output: Output::default(),
            room: u32::MAX,
            last_received: now,
            last_written: now,
            touched: false,
            pause: None,
            stopped: false,
            unauthenticated: 0,
            blocked: false,
            corked: false,
            watched: false,
            subscribing: 0,
        }
    }

    /// Bytes that it holds without its client being in: what was read, and CONNECT while AUTH
    /// packets go to and fro.
    pub(crate) fn unauthenticated_bytes(&self) -> usize {
        match &self.phase {
            Phase::Greeting => self.input.len(),
            Phase::Authenticating(state) => self.input.len().saturating_add(state.connect.len()),
            Phase::Open(_) => 0,
        }
    }

    /// Puts the connection into the list of those to be flushed, once.
    #[inline]
    pub(crate) fn touch(&mut self, id: ConnId, touched: &mut VecDeque<ConnId>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push_back(id);
        }
    }

    pub(crate) fn is_greeting(&self) -> bool {
        matches!(self.phase, Phase::Greeting)
    }

    #[inline]
    pub(crate) fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Greeting | Phase::Authenticating(_) => None,
        }
    }

    #[inline]
    pub(crate) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.phase {
            Phase::Open(open) => Some(open),
            Phase::Greeting | Phase::Authenticating(_) => None,
        }
    }
}
