//! The record of one client: its session and what hangs on it.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use auth::{Grant, Identity, Prepared};
use protocol::{Outbound, Session};
use topics::{MemberState, ScanCursor};
use types::{
    ClientId, ConnId, DeliveryNumber, MessageRef, PacketId, QoS, StoredSession, Time, TopicFilter,
};

use crate::conn::Will;
use crate::mail::Skip;
use crate::retained::{Kept, Publisher};

/// One client, connected or away.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// Who the session belongs to.
    pub(crate) identity: Identity,
    /// What came with the identity when the client last connected.
    pub(crate) grant: Option<Arc<Grant>>,
    /// Another number whenever the grant is another or is asked for: who answers an older question
    /// says what is not so any more.
    pub(crate) question: u32,
    /// When the grant is over; only while away.
    pub(crate) grant_ends: Time,
    /// Whether each message for it is to be asked about.
    pub(crate) asks: Asks,
    /// Another number whenever something changes that rules may ask for.
    pub(crate) epoch: u32,
    /// The version of the policy that was asked for `prepared`; zero is none.
    pub(crate) prepared_by: u32,
    /// The client, for retained messages that it publishes; present once it has.
    pub(crate) publisher: Option<Arc<Publisher>>,
    /// What the policy knows of the client beforehand.
    pub(crate) prepared: Option<Arc<Prepared>>,
    pub(crate) session: Session,
    pub(crate) conn: Option<ConnId>,
    /// How long the session outlives its connection.
    pub(crate) expiry: Duration,
    /// What the store calls the session, if it knows of it.
    pub(crate) stored: Option<StoredSession>,
    /// The number of the next delivery that the store hears of.
    pub(crate) next_delivery: DeliveryNumber,
    /// What waits with a lower number may have been sent by an earlier run.
    pub(crate) unsure: DeliveryNumber,
    /// QoS 2 messages of the client that an earlier run did not take in as a whole, with those
    /// that have them.
    pub(crate) begun: Vec<(PacketId, Skip)>,
    /// QoS 2 messages from the client that other workers have not recorded yet, each with the hold
    /// of its acknowledgement.
    pub(crate) taking: Vec<(PacketId, u64)>,
    /// The last message that the replays wait for, of those that the store was asked for.
    pub(crate) awaited: Option<MessageRef>,
    /// When the session ends; only while away.
    pub(crate) ends: Option<Time>,
    /// When the client left; only while away, and not since an earlier run.
    pub(crate) left: Option<Time>,
    /// Messages that had to go because its queue was full.
    pub(crate) overflown: u64,
    /// When the session is looked at next; one timer, however often the client comes and goes.
    pub(crate) wakes: Option<Time>,
    /// A will that waits for its delay; only while away.
    pub(crate) will: Option<(Time, Box<Will>)>,
    /// What shared groups see of the client; present once it joined one.
    pub(crate) member: Option<Arc<MemberState>>,
    /// Retained messages that are still to be sent for subscriptions.
    pub(crate) replays: Option<BTreeMap<TopicFilter, Replay>>,
    /// In the list of clients whose replays can go on.
    pub(crate) replaying: bool,
    /// What the session counted in the gauges when it was last looked at.
    pub(crate) counted: Counted,
}

/// Whether the messages for a client are to be asked about, one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// All its subscriptions are granted as a whole.
    Never,
    /// So they are, but something waits since before the rules changed.
    WhileWaiting,
    /// So they are, but messages may still come by one that is gone.
    Lagging,
    /// A subscription is granted in part.
    InPart,
    /// It was not held against the policy since something changed.
    Unreviewed,
    /// It is away since an earlier run: what it was granted is known when it is back.
    Returning,
}

/// A session's part in the gauges of its worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) waiting: usize,
    pub(crate) bytes: usize,
}

/// A walk over the retained messages for one subscription.
pub(crate) struct Replay {
    pub(crate) qos: QoS,
    pub(crate) id: Option<NonZeroU32>,
    pub(crate) cursor: ScanCursor,
    /// Found, and waiting for room at the client, each with its sequence.
    pub(crate) found: VecDeque<(u64, Kept)>,
    /// The walk is over; only what was found is left.
    pub(crate) walked: bool,
    /// Values stored later were published after the subscription and arrive by it.
    pub(crate) until: u64,
    /// How often the client subscribed again meanwhile: so many walks follow.
    pub(crate) again: u32,
    /// What `until` is for those.
    pub(crate) until_again: u64,
}

impl Client {
    pub(crate) fn new(id: ClientId, identity: Identity, expiry: Duration) -> Self {
        Self {
            id,
            identity,
            grant: None,
            question: 0,
            grant_ends: Time::MAX,
            asks: Asks::Never,
            epoch: 0,
            prepared_by: 0,
            prepared: None,
            publisher: None,
            session: Session::default(),
            conn: None,
            expiry,
            stored: None,
            next_delivery: DeliveryNumber::FIRST,
            unsure: DeliveryNumber::FIRST,
            begun: Vec::new(),
            taking: Vec::new(),
            awaited: None,
            ends: None,
            left: None,
            overflown: 0,
            wakes: None,
            will: None,
            member: None,
            replays: None,
            replaying: false,
            counted: Counted::default(),
        }
    }

    /// Those that have the QoS 2 message with this identifier that an earlier run began to take in.
    pub(crate) fn take_begun(&mut self, id: PacketId) -> Option<Skip> {
        let at = self.begun.iter().position(|(known, _)| *known == id)?;
        Some(self.begun.swap_remove(at).1)
    }

    /// The hold of a QoS 2 message that other workers have not recorded yet.
    pub(crate) fn hold_of(&self, id: PacketId) -> Option<u64> {
        let known = self.taking.iter().find(|(known, _)| *known == id);
        known.map(|(_, hold)| *hold)
    }

    /// Whether a message that leaves the queue may have been sent by an earlier run. At QoS 2 that
    /// would be known: it waits for the record of its identifier.
    pub(crate) fn is_unsure(&self, outbound: &Outbound) -> bool {
        let number = outbound.number;
        outbound.qos == QoS::AtLeastOnce && number.is_some_and(|number| number < self.unsure)
    }

    /// A subscription was granted in part: its messages are asked about.
    pub(crate) fn granted_in_part(&mut self) {
        if self.asks != Asks::Unreviewed {
            self.asks = Asks::InPart;
        }
    }

    /// Whether the session outlives its connection, so that what is sent must be kept until
    /// it is acknowledged.
    pub(crate) fn keeps(&self) -> bool {
        !self.expiry.is_zero()
    }
}
