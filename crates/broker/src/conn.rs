//! The record of one connection.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::{Exchange, Identity};
use codec::{Connect, Packet};
use protocol::Connection;
use topics::Route;
use types::{ClientId, ConnId, Durability, LinkInfo, ProtocolVersion, QoS, SessionKey, Time};

use crate::listeners::Mount;
use crate::output::Output;
use crate::rates::Rates;
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
    /// What it may send in which time, if that is bounded.
    pub(crate) rates: Option<Box<Rates>>,
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
    /// What went through it.
    pub(crate) traffic: Traffic,
    /// SUBSCRIBE and UNSUBSCRIBE packets whose changes the index has not taken over. What the
    /// client sent after them waits, so that all is answered in order.
    pub(crate) subscribing: u32,
}

/// What went through a connection, since its client came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// PUBLISH packets from the client that were looked at.
    pub messages_in: u64,
    /// PUBLISH packets that were written for the client.
    pub messages_out: u64,
    /// Bytes from the client, as MQTT.
    pub bytes_in: u64,
    /// Bytes that the link took.
    pub bytes_out: u64,
}

/// Why nothing is read from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// The next packet needs room: in a mailbox, or among the changes of the index. It is
    /// tried again at the end of each turn.
    Room,
    /// The client takes too little of what it is answered.
    Output,
    /// It sends much while its authentication is awaited.
    Answer,
    /// It sent more than a rate allows.
    Rate,
}

/// Where a connection stands.
pub(crate) enum Phase {
    /// CONNECT has not arrived as a whole.
    Greeting,
    /// CONNECT arrived and an exchange of AUTH packets goes on.
    Authenticating(Box<Authenticating>),
    /// The client is in.
    Open(Open),
    /// It is not let in, and about to be gone.
    Refused(Box<Claims>),
}

/// Who a client that is not in says it is, for the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    pub(crate) client: Option<ClientId>,
    pub(crate) user: Option<Arc<str>>,
}

impl Claims {
    pub(crate) fn of(connect: &Connect<'_>) -> Self {
        Self {
            client: ClientId::new(connect.client_id),
            user: connect.username.map(Arc::from),
        }
    }
}

/// A client that is being authenticated.
pub(crate) struct Authenticating {
    /// CONNECT as it arrived; it is acted on when the client is known.
    pub(crate) connect: Vec<u8>,
    /// The method of enhanced authentication, if CONNECT named one.
    pub(crate) method: Option<Arc<str>>,
    /// What the next AUTH goes on with.
    pub(crate) exchange: Option<Exchange>,
    /// An answer is awaited; until then nothing is read.
    pub(crate) asked: bool,
}

/// What a connection has once its client is in.
pub(crate) struct Open {
    pub(crate) link: Connection,
    pub(crate) session: SessionKey,
    /// CONNECT asked for a session that begins anew.
    pub(crate) clean_start: bool,
    /// The last topic, to which the client may publish: most publishers stay with one.
    pub(crate) last: Option<LastTopic>,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) auth: Option<Box<Authenticated>>,
    /// How long what the client was granted holds, if that has an end.
    pub(crate) term: Option<Box<Term>>,
    /// What stands before its topics.
    pub(crate) mount: Option<Box<Mount>>,
    /// Acknowledgements that wait for the store, in order of arrival.
    pub(crate) held: Option<VecDeque<HeldAck>>,
}

/// How long a grant holds.
pub(crate) struct Term {
    /// When it is over.
    pub(crate) ends: Option<Time>,
    /// When it is asked for again.
    pub(crate) refreshes: Option<Time>,
    /// When the next of its timers comes up that means something.
    pub(crate) wakes: Option<Time>,
}

/// What was found out about a topic that a client may publish to.
pub(crate) struct LastTopic {
    /// Who gets what is published there.
    pub(crate) route: Arc<Route>,
    /// What its acknowledgement promises.
    pub(crate) durability: Durability,
    /// The policy that allowed it: another one is asked again.
    pub(crate) policy: u32,
    /// With this QoS and this retain flag, on which a rule may depend.
    pub(crate) flags: (QoS, bool),
}

/// Enhanced authentication of an open connection.
pub(crate) struct Authenticated {
    /// The method that CONNECT named; re-authentication stays with it (MQTT-4.12.1-1).
    pub(crate) method: Arc<str>,
    /// What the next AUTH of a re-authentication goes on with.
    pub(crate) exchange: Option<Exchange>,
    /// An answer is awaited.
    pub(crate) asked: bool,
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
    /// Where its client was connected from, once it is gone; not known of an earlier run.
    pub(crate) left_from: Option<IpAddr>,
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
            rates: None,
            touched: false,
            pause: None,
            stopped: false,
            unauthenticated: 0,
            blocked: false,
            corked: false,
            watched: false,
            traffic: Traffic::default(),
            subscribing: 0,
        }
    }

    /// Bytes that it holds without its client being in: what was read, and CONNECT while AUTH
    /// packets go to and fro.
    pub(crate) fn unauthenticated_bytes(&self) -> usize {
        match &self.phase {
            Phase::Greeting => self.input.len(),
            Phase::Authenticating(state) => self.input.len().saturating_add(state.connect.len()),
            Phase::Open(_) | Phase::Refused(_) => 0,
        }
    }

    /// Who its client says it is.
    pub(crate) fn claims(&self) -> Claims {
        match &self.phase {
            Phase::Refused(claims) => (**claims).clone(),
            Phase::Authenticating(state) => {
                let connect = kept_connect(&state.connect);
                connect.map_or_else(Claims::default, |connect| Claims::of(&connect))
            }
            Phase::Greeting | Phase::Open(_) => Claims::default(),
        }
    }

    /// Puts the connection into the list of those to be flushed, once.
    #[inline]
    pub(crate) fn touch(&mut self, id: ConnId, touched: &mut VecDeque<ConnId>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push_back(id);
        }
    }

    /// Whether nothing that the client sends may be looked at yet.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(&self.phase, Phase::Authenticating(state) if state.asked)
    }

    /// What it sent and was not looked at is tried at the end of the turn.
    pub(crate) fn await_room(&mut self, id: ConnId, waiting: &mut Vec<ConnId>) {
        if self.pause.is_none_or(|pause| pause == Pause::Answer) {
            self.pause = Some(Pause::Room);
            waiting.push(id);
        }
    }

    pub(crate) fn is_greeting(&self) -> bool {
        matches!(self.phase, Phase::Greeting)
    }

    #[inline]
    pub(crate) fn open(&self) -> Option<&Open> {
        match &self.phase {
            Phase::Open(open) => Some(open),
            Phase::Greeting | Phase::Authenticating(_) | Phase::Refused(_) => None,
        }
    }

    #[inline]
    pub(crate) fn open_mut(&mut self) -> Option<&mut Open> {
        match &mut self.phase {
            Phase::Open(open) => Some(open),
            Phase::Greeting | Phase::Authenticating(_) | Phase::Refused(_) => None,
        }
    }
}

/// A CONNECT that was kept.
pub(crate) fn kept_connect(packet: &[u8]) -> Option<Box<Connect<'_>>> {
    let Ok(codec::Frame::Complete {
        first_byte,
        header_len,
        ..
    }) = codec::frame(packet, u32::MAX)
    else {
        return None;
    };
    let body = packet.get(header_len..)?;
    match codec::decode(ProtocolVersion::V5, first_byte, body) {
        Ok(Packet::Connect(connect)) => Some(connect),
        _ => None,
    }
}
