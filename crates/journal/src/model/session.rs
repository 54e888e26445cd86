//! What is known of one session.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use store::{RecoveredBegun, RecoveredWill};
use types::{ClientId, DeliveryNumber, PacketId, StoredSession, SubscriptionFilter};

use super::queue::Queue;
use super::weight::{RECORD, Sum, group_bytes, length};
use crate::record::{Link, SessionFields, SessionStateParts, StoredSessions, WillFields};

/// A subscription of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) filter: SubscriptionFilter,
    pub(crate) options: types::SubscriptionOptions,
    pub(crate) id: Option<NonZeroU32>,
}

/// A session: what each delivery touches, in one piece, and the rest elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) queue: Queue,
    pub(super) next: DeliveryNumber,
    /// The highest number of a delivery that was dropped because it expired, in this run.
    pub(super) expired: u64,
    pub(super) details: Box<Details>,
}

/// What is touched when a client comes, subscribes or leaves.
#[derive(Clone, Debug)]
pub(super) struct Details {
    pub(super) client: ClientId,
    pub(super) user: Option<Arc<str>>,
    pub(super) expiry: Duration,
    pub(super) will: Option<Box<RecoveredWill>>,
    pub(super) link: Link,
    /// What comes before this delivery, and has no packet identifier, may have been sent: its
    /// client was connected when a run ended, and that record was lost.
    pub(super) unsure: DeliveryNumber,
    /// Sorted by filter.
    subscriptions: Vec<Subscription>,
    /// Sorted.
    received: Vec<PacketId>,
    /// Sorted by identifier, and the sessions of each. Nearly always empty.
    begun: Vec<(PacketId, RecoveredBegun)>,
    /// Of the three lists, as records.
    listed: Sum,
}

/// Whether there was what should be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Done,
    Unknown,
}

impl From<bool> for Changed {
    fn from(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Unknown }
    }
}

impl Session {
    pub(super) fn new(fields: &SessionFields<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            queue: Queue::default(),
            next: DeliveryNumber::FIRST,
            expired: 0,
            details: Box::new(Details::new(fields)?),
        })
    }

    /// The connection is over, and nobody said so: what was sent last may not be recorded.
    pub(super) fn break_off(&mut self) {
        self.details.unsure = self.unsure();
    }

    /// What comes before this delivery may have been sent, if the run ended here.
    pub(super) fn unsure(&self) -> DeliveryNumber {
        match self.details.link {
            Link::Connected => self.next,
            Link::Away { .. } => self.details.unsure,
        }
    }

    pub(super) fn state(&self, session: StoredSession) -> SessionStateParts<'_> {
        let details = &*self.details;
        SessionStateParts {
            fields: SessionFields {
                session,
                expiry: details.expiry,
                client: details.client.as_str(),
                user: details.user.as_deref(),
                will: details.will.as_deref().map(borrow),
            },
            link: details.link,
            next: self.next,
            unsure: details.unsure,
            received: &details.received,
        }
    }
}

impl Details {
    fn new(fields: &SessionFields<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            client: ClientId::new(fields.client).ok_or("an empty client identifier")?,
            user: fields.user.map(Arc::from),
            expiry: fields.expiry,
            will: fields.will.as_ref().map(own),
            link: Link::Connected,
            unsure: DeliveryNumber::FIRST,
            subscriptions: Vec::new(),
            received: Vec::new(),
            begun: Vec::new(),
            listed: Sum::default(),
        })
    }

    /// About the bytes that a checkpoint takes for it, without what it is owed.
    pub(super) fn bytes(&self) -> u64 {
        let user = self.user.as_deref().map_or(0, str::len);
        let will = self.will.as_deref().map_or(0, |will| {
            let parts = [will.topic.len(), will.properties.len(), will.payload.len()];
            parts.into_iter().fold(WILL, usize::saturating_add)
        });
        let text = self.client.as_str().len().saturating_add(user);
        length(text.saturating_add(will))
            .saturating_add(STATE)
            .saturating_add(self.listed.bytes())
    }

    /// A connection began, or the expiry changed. A will of an earlier connection is no more.
    pub(super) fn begin(&mut self, fields: &SessionFields<'_>) -> Result<(), &'static str> {
        if self.client.as_str() != fields.client {
            self.client = ClientId::new(fields.client).ok_or("an empty client identifier")?;
        }
        if self.user.as_deref() != fields.user {
            self.user = fields.user.map(Arc::from);
        }
        self.expiry = fields.expiry;
        self.will = fields.will.as_ref().map(own);
        self.link = Link::Connected;
        Ok(())
    }

    pub(super) fn set_link(&mut self, link: Link) -> Changed {
        self.link = link;
        if matches!(link, Link::Away { will: None, .. }) {
            self.will = None;
        }
        Changed::Done
    }

    pub(super) fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription) -> Changed {
        let bytes = group_bytes(&subscription.filter);
        let place = self
            .subscriptions
            .binary_search_by(|known| known.filter.cmp(&subscription.filter));
        match place {
            Ok(place) => {
                if let Some(known) = self.subscriptions.get_mut(place) {
                    *known = subscription;
                }
            }
            Err(place) => {
                self.listed.add(bytes);
                // Most sessions have one or two.
                if self.subscriptions.len() < 4 {
                    self.subscriptions.reserve_exact(1);
                }
                self.subscriptions.insert(place, subscription);
            }
        }
        Changed::Done
    }

    /// Whether there was such a subscription.
    pub(super) fn unsubscribe(&mut self, filter: &SubscriptionFilter) -> Changed {
        let place = self
            .subscriptions
            .binary_search_by(|known| known.filter.cmp(filter));
        if let Ok(place) = place {
            self.subscriptions.remove(place);
            self.listed.take(group_bytes(filter));
        }
        Changed::from(place.is_ok())
    }

    pub(super) fn received(&self) -> &[PacketId] {
        &self.received
    }

    /// What is not received as a whole, by identifier.
    pub(super) fn begun(&self) -> &[(PacketId, RecoveredBegun)] {
        &self.begun
    }

    /// Sessions have a message that is not received as a whole.
    pub(super) fn begin_receiving(&mut self, id: PacketId, owed: StoredSessions<'_>) -> Changed {
        if let Some(begun) = self.begun_with(id) {
            let before = begun.sessions.len();
            begun.sessions.extend(owed);
            // Not an unstable one: of sorted pieces it makes one quickly.
            begun.sessions.sort();
            begun.sessions.dedup();
            let more = length(begun.sessions.len().saturating_sub(before));
            self.listed.add(more.saturating_mul(NUMBER));
        }
        Changed::Done
    }

    /// A member of a group has a message that is not received as a whole.
    pub(super) fn begin_in_group(&mut self, id: PacketId, group: SubscriptionFilter) -> Changed {
        if let Some(begun) = self.begun_with(id)
            && let Err(place) = begun.groups.binary_search(&group)
        {
            let bytes = group_bytes(&group);
            begun.groups.insert(place, group);
            self.listed.add(bytes);
        }
        Changed::Done
    }

    fn begun_with(&mut self, id: PacketId) -> Option<&mut RecoveredBegun> {
        let place = match self.begun.binary_search_by_key(&id, |begun| begun.0) {
            Ok(place) => place,
            Err(place) => {
                self.begun.insert(place, (id, RecoveredBegun::default()));
                self.listed.add(RECORD);
                place
            }
        };
        self.begun.get_mut(place).map(|(_, begun)| begun)
    }

    fn forget_begun(&mut self, id: PacketId) -> bool {
        let place = self.begun.binary_search_by_key(&id, |begun| begun.0);
        if let Ok(place) = place {
            let (_, begun) = self.begun.remove(place);
            let sessions = length(begun.sessions.len()).saturating_mul(NUMBER);
            let groups = begun.groups.iter().map(group_bytes);
            self.listed.take(groups.fold(RECORD, u64::saturating_add));
            self.listed.take(sessions);
        }
        place.is_ok()
    }

    /// A message is received as a whole.
    pub(super) fn receive(&mut self, id: PacketId) -> Changed {
        self.forget_begun(id);
        if let Err(place) = self.received.binary_search(&id) {
            self.received.insert(place, id);
            self.listed.add(NUMBER);
        }
        Changed::Done
    }

    /// Whether the identifier was in use.
    pub(super) fn release(&mut self, id: PacketId) -> Changed {
        let place = self.received.binary_search(&id);
        if let Ok(place) = place {
            self.received.remove(place);
            self.listed.take(NUMBER);
        }
        Changed::from(self.forget_begun(id) || place.is_ok())
    }
}

fn own(will: &WillFields<'_>) -> Box<RecoveredWill> {
    Box::new(RecoveredWill {
        topic: Arc::from(will.topic),
        properties: Box::from(will.properties),
        payload: Box::from(will.payload),
        qos: will.qos,
        retain: will.retain,
        delay: will.delay,
        message_expiry: will.message_expiry,
        durability: will.durability,
    })
}

fn borrow(will: &RecoveredWill) -> WillFields<'_> {
    WillFields {
        topic: &will.topic,
        properties: &will.properties,
        payload: &will.payload,
        qos: will.qos,
        retain: will.retain,
        delay: will.delay,
        message_expiry: will.message_expiry,
        durability: will.durability,
    }
}

/// What a checkpoint takes for any session, with the record of its queue.
const STATE: u64 = 72;
/// What a will has besides its texts.
const WILL: usize = 24;
/// A session or a packet identifier in a list.
const NUMBER: u64 = 4;
