//! Who gets the messages of one topic.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use types::{QoS, SessionKey, TopicName, WorkerId};

use crate::share::{GroupRoute, Member};
use crate::subscribers::{Entry, Matched};

/// The recipients of one topic, split by their home workers. Never changed once built.
#[derive(Debug)]
pub struct Route {
    topic: Arc<str>,
    version: u64,
    slot: u16,
    /// Ascending by worker, then session.
    recipients: Box<[Recipient]>,
    spans: Box<[Span]>,
    groups: Box<[GroupRoute]>,
    size: usize,
}

/// The recipients of one worker end before `end`; they start where the span before ends.
#[derive(Clone, Copy, Debug)]
struct Span {
    worker: WorkerId,
    end: u32,
}

/// One session that gets one copy of a message, however many of its filters match (C13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The session, at home on the worker that was asked for.
    pub session: SessionKey,
    /// How it gets messages of others; see [`Recipient::delivery_for`].
    pub delivery: Delivery,
}

const _: () = assert!(size_of::<Recipient>() == 24);

/// How a recipient gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The highest QoS of all subscriptions that match (MQTT-3.3.4-2).
    pub qos: QoS,
    /// Whether any of these subscriptions keeps the retain flag (MQTT-3.3.1-13).
    pub retain_as_published: bool,
    own: Own,
    /// The only identifier; `more` holds them all if there are several.
    id: Option<NonZeroU32>,
    more: Option<Box<More>>,
}

/// What a session gets of its own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    /// The same as of others.
    Same,
    /// Nothing: each subscription has No Local (MQTT-3.8.3-3).
    Nothing,
    /// What its subscriptions without No Local ask for, in `more`.
    Reduced,
}

/// What few deliveries have.
#[derive(Clone, Debug, PartialEq, Eq)]
struct More {
    ids: Box<[NonZeroU32]>,
    own: Option<Delivery>,
}

impl Recipient {
    /// How the session gets a message: `None` if it published the message itself and wants
    /// none of its own (MQTT-3.8.3-3).
    pub fn delivery_for(&self, is_publisher: bool) -> Option<&Delivery> {
        match (is_publisher, self.delivery.own) {
            (false, _) | (true, Own::Same) => Some(&self.delivery),
            (true, Own::Nothing) => None,
            (true, Own::Reduced) => self.delivery.more.as_ref()?.own.as_ref(),
        }
    }
}

impl Delivery {
    /// The identifiers of all subscriptions that match and have one, ascending, each once
    /// (MQTT-3.3.4-3, -4).
    pub fn ids(&self) -> &[NonZeroU32] {
        match &self.more {
            Some(more) => &more.ids,
            None => self.id.as_slice(),
        }
    }

    /// One entry alone: the common case.
    fn of_one(entry: &Entry) -> Self {
        Self {
            qos: entry.qos,
            retain_as_published: entry.retain_as_published(),
            own: if entry.no_local() {
                Own::Nothing
            } else {
                Own::Same
            },
            id: entry.id,
            more: None,
        }
    }

    /// What several entries of one session come to, for messages of others.
    fn of<'a>(entries: impl Iterator<Item = &'a Entry> + Clone) -> Option<Self> {
        let qos = entries.clone().map(|entry| entry.qos).max()?;
        let mut ids: Vec<NonZeroU32> = entries.clone().filter_map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let id = ids.first().copied();
        let more = (ids.len() > 1).then(|| {
            Box::new(More {
                ids: ids.into(),
                own: None,
            })
        });
        Some(Self {
            qos,
            retain_as_published: entries.into_iter().any(Entry::retain_as_published),
            own: Own::Same,
            id,
            more,
        })
    }

    /// What all entries of one session come to.
    fn of_all(entries: &[Entry]) -> Option<Self> {
        let mut delivery = Self::of(entries.iter())?;
        if !entries.iter().any(Entry::no_local) {
            return Some(delivery);
        }
        match Self::of(entries.iter().filter(|entry| !entry.no_local())) {
            None => delivery.own = Own::Nothing,
            Some(reduced) if reduced == delivery => {}
            Some(reduced) => {
                let ids = Box::from(delivery.ids());
                delivery.own = Own::Reduced;
                delivery.more = Some(Box::new(More {
                    ids,
                    own: Some(reduced),
                }));
            }
        }
        Some(delivery)
    }

    fn heap_size(&self) -> usize {
        let Some(more) = &self.more else { return 0 };
        let own = more.own.as_ref().map_or(0, Self::heap_size);
        size_of::<More>() + size_of_val(&*more.ids) + own
    }
}

impl Route {
    pub(crate) fn build(
        topic: TopicName<'_>,
        version: u64,
        slot: u16,
        mut matched: Matched,
    ) -> Self {
        let entries = &mut matched.entries;
        entries.sort_unstable_by_key(Entry::rank);
        let mut recipients = Vec::with_capacity(entries.len());
        let mut spans: Vec<Span> = Vec::new();
        let same = |a: &Entry, b: &Entry| a.rank() == b.rank();
        for entries in entries.chunk_by(same) {
            let delivery = match entries {
                [entry] => Delivery::of_one(entry),
                _ => match Delivery::of_all(entries) {
                    Some(delivery) => delivery,
                    None => continue,
                },
            };
            let worker = entries[0].worker();
            recipients.push(Recipient {
                session: entries[0].session(),
                delivery,
            });
            let end = recipients.len() as u32;
            match spans.last_mut() {
                Some(span) if span.worker == worker => span.end = end,
                _ => spans.push(Span { worker, end }),
            }
        }
        let mut route = Self {
            topic: Arc::from(topic.as_str()),
            version,
            slot,
            recipients: recipients.into(),
            spans: spans.into(),
            groups: matched.groups.into(),
            size: 0,
        };
        route.size = route.measure();
        route
    }

    fn measure(&self) -> usize {
        // The counts of the two Arcs are 16 bytes each. The list of a group's members is
        // shared by all routes of one version, but a stale route may be its last owner.
        let members: usize = self
            .groups
            .iter()
            .map(|group| size_of_val(group.members()))
            .sum();
        let heap: usize = self
            .recipients
            .iter()
            .map(|one| one.delivery.heap_size())
            .sum();
        size_of::<Self>()
            + 32
            + self.topic.len()
            + size_of_val(&*self.recipients)
            + size_of_val(&*self.spans)
            + size_of_val(&*self.groups)
            + members
            + heap
    }

    /// The topic, owned once; messages share it.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The index's version of this topic as the route was made.
    pub fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn slot(&self) -> u16 {
        self.slot
    }

    /// Memory that the route takes, in bytes, with the members of its groups.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The recipients at home on one worker, ascending by session.
    pub fn recipients(&self, worker: WorkerId) -> &[Recipient] {
        let Ok(at) = self.spans.binary_search_by_key(&worker, |span| span.worker) else {
            return &[];
        };
        &self.recipients[self.range(at)]
    }

    /// The workers that have recipients, ascending. Members of groups do not count.
    pub fn workers(&self) -> impl Iterator<Item = WorkerId> {
        self.spans.iter().map(|span| span.worker)
    }

    /// The groups, in an order that depends on filters and share names only.
    pub fn groups(&self) -> &[GroupRoute] {
        &self.groups
    }

    /// Whether nobody gets messages of this topic.
    pub fn is_empty(&self) -> bool {
        self.recipients.is_empty() && self.groups.is_empty()
    }

    /// How many sessions get a copy, without those that groups choose.
    pub fn recipient_count(&self) -> usize {
        self.recipients.len()
    }

    fn range(&self, at: usize) -> Range<usize> {
        let start = match at.checked_sub(1) {
            Some(before) => self.spans[before].end,
            None => 0,
        };
        start as usize..self.spans[at].end as usize
    }
}

const _: () = assert!(size_of::<Member>() == 32);
