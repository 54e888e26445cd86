//! What happened to each client lately.
//!
//! Kept for so many events of all clients together; the clients of whom nothing was heard for longest
//! are forgotten first. A long identifier or text is kept in brief, so that an event takes at most
//! about a KiB, whatever strangers call themselves (S95). Workers put events in and never wait: the
//! store is split, and what finds its part taken is counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, TryLockError};

use admin::Stamp;
use admin::server::{TimelineEvent, TimelineKind};
use broker::{CloseReason, DropReason, Dropped, Event};
use serde_json::{Map, Value};
use types::{ClientId, Peer, ProtocolVersion, ReasonCode};

use crate::brief;

/// Parts of the store.
const PARTS: usize = 64;
/// Most events that are kept of one client.
const EACH: usize = 100;

/// What happened to clients.
#[derive(Debug)]
pub(crate) struct Timelines {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
    /// Most events of a part.
    most: usize,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Part {
    /// By their identifiers in brief.
    clients: HashMap<ClientId, Timeline>,
    /// Clients by when they were heard of.
    order: BTreeMap<u64, ClientId>,
    next: u64,
    events: usize,
}

#[derive(Debug, Default)]
struct Timeline {
    heard: u64,
    events: VecDeque<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    at: Stamp,
    kind: TimelineKind,
    peer: Option<Peer>,
    said: Said,
}

/// What is said of an event, without a text where none is needed.
#[derive(Clone, Debug)]
enum Said {
    Why(&'static str),
    Words(Box<str>),
    Connected {
        version: ProtocolVersion,
        keep_alive: u16,
        resumed: bool,
    },
    Authenticated(Option<Box<str>>, Option<Box<str>>),
    Filter(Box<str>, Result<u8, ReasonCode>),
    Denied(&'static str, Box<str>, Option<Box<str>>),
    Dropped(DropReason, u64),
    Lost(usize),
}

impl Timelines {
    /// Room for about so many events.
    pub(crate) fn new(events: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            most: events.div_ceil(PARTS),
            lost: AtomicU64::new(0),
        }
    }

    /// Something happened. Called on a worker.
    pub(crate) fn event(&self, event: &Event) {
        if self.most == 0 {
            return;
        }
        match event {
            Event::Connected { .. } => self.connected(event),
            Event::Rejected { .. } => self.rejected(event),
            Event::Subscribed { .. } | Event::Unsubscribed { .. } => self.subscription(event),
            Event::Disconnected {
                client,
                peer,
                reason,
            } => {
                let kind = match reason {
                    CloseReason::Banned => TimelineKind::Ban,
                    _ => TimelineKind::Disconnected,
                };
                self.push(client, kind, Some(*peer), Said::Why(reason.as_str()));
            }
            Event::TakenOver { client, old, new } => {
                let said = Said::Words(format!("from {old}").into());
                self.push(client, TimelineKind::Takeover, Some(*new), said);
            }
            Event::Denied(denial) => {
                if let Some(client) = &denial.client {
                    let why = denial.why.as_deref().map(cut);
                    let said = Said::Denied(denial.wanted.as_str(), cut(&denial.topic), why);
                    self.push(client, TimelineKind::Denied, denial.peer, said);
                }
            }
            Event::SessionEnded { client, lost, .. } => {
                let said = Said::Lost(*lost);
                self.push(client, TimelineKind::SessionEnded, None, said);
            }
            Event::StoreFailed { .. }
            | Event::MessageDamaged { .. }
            | Event::Unencodable { .. }
            | Event::Reloaded { .. } => {}
        }
    }

    fn connected(&self, event: &Event) {
        let Event::Connected {
            client,
            peer,
            version,
            keep_alive,
            session_present,
            user,
            provider,
            ..
        } = event
        else {
            return;
        };
        if provider.is_some() {
            let user = user.as_deref().map(cut);
            let said = Said::Authenticated(provider.as_deref().map(cut), user);
            self.push(client, TimelineKind::Authenticated, Some(*peer), said);
        }
        let said = Said::Connected {
            version: *version,
            keep_alive: *keep_alive,
            resumed: *session_present,
        };
        self.push(client, TimelineKind::Connected, Some(*peer), said);
    }

    fn rejected(&self, event: &Event) {
        let Event::Rejected {
            client: Some(client),
            peer,
            reason,
            why,
            ..
        } = event
        else {
            return;
        };
        let kind = match reason {
            CloseReason::Banned | CloseReason::Refused(ReasonCode::Banned) => TimelineKind::Ban,
            CloseReason::Refused(ReasonCode::QuotaExceeded) => TimelineKind::Quota,
            _ => TimelineKind::Refused,
        };
        let why = if why.is_empty() { reason.as_str() } else { why };
        self.push(client, kind, Some(*peer), Said::Why(why));
    }

    fn subscription(&self, event: &Event) {
        match event {
            Event::Subscribed {
                client,
                peer,
                filter,
                granted,
            } => {
                let kind = match granted {
                    Ok(_) => TimelineKind::Subscribed,
                    Err(ReasonCode::QuotaExceeded) => TimelineKind::Quota,
                    // The denial has said more.
                    Err(ReasonCode::NotAuthorized) => return,
                    Err(_) => TimelineKind::Refused,
                };
                let said = Said::Filter(cut(filter), granted.map(|qos| qos.bits()));
                self.push(client, kind, Some(*peer), said);
            }
            Event::Unsubscribed {
                client,
                peer,
                filter,
            } => {
                let said = Said::Filter(cut(filter), Ok(0));
                self.push(client, TimelineKind::Unsubscribed, Some(*peer), said);
            }
            // The others are about no subscription.
            _ => {}
        }
    }

    /// A message was dropped. Several in a row become one event.
    pub(crate) fn dropped(&self, dropped: &Dropped<'_>) {
        if let Some(client) = dropped.client.filter(|_| self.most > 0) {
            let kind = match dropped.reason {
                DropReason::Quota => TimelineKind::Quota,
                _ => TimelineKind::Dropped,
            };
            let said = Said::Dropped(dropped.reason, dropped.count);
            self.push(client, kind, None, said);
        }
    }

    fn push(&self, client: &ClientId, kind: TimelineKind, peer: Option<Peer>, said: Said) {
        let client = brief::id(client);
        let Some(part) = self.part(&client) else {
            return;
        };
        let mut part = match part.try_lock() {
            Ok(part) => part,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.lost.fetch_add(1, Relaxed);
                return;
            }
        };
        let at = Stamp::now();
        part.push(
            &client,
            Entry {
                at,
                kind,
                peer,
                said,
            },
            self.most,
        );
    }

    fn part(&self, client: &ClientId) -> Option<&Mutex<Part>> {
        let hash = usize::try_from(self.hasher.hash_one(client) >> 32).unwrap_or(0);
        self.parts.get(hash % PARTS)
    }

    /// What happened to a client, the newest first.
    pub(crate) fn of(&self, client: &str, most: usize) -> Vec<TimelineEvent> {
        let Some(client) = ClientId::new(&brief::text(client)) else {
            return Vec::new();
        };
        let Some(part) = self.part(&client) else {
            return Vec::new();
        };
        let entries: Vec<Entry> = {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            let timeline = part.clients.get(&client);
            let events = timeline.into_iter().flat_map(|it| it.events.iter().rev());
            events.take(most).cloned().collect()
        };
        entries.into_iter().map(Entry::shown).collect()
    }

    /// Events that were not kept because two came for one part at the same moment.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl Part {
    fn push(&mut self, client: &ClientId, entry: Entry, most: usize) {
        self.next += 1;
        let now = self.next;
        let timeline = self.clients.entry(client.clone()).or_default();
        let before = std::mem::replace(&mut timeline.heard, now);
        if let Some(last) = timeline.events.back_mut()
            && let (Said::Dropped(known, count), Said::Dropped(reason, more)) =
                (&mut last.said, &entry.said)
            && known == reason
        {
            *count = count.saturating_add(*more);
            last.at = entry.at;
        } else {
            timeline.events.push_back(entry);
            self.events += 1;
            if timeline.events.len() > EACH && timeline.events.pop_front().is_some() {
                self.events -= 1;
            }
        }
        self.order.remove(&before);
        self.order.insert(now, client.clone());
        while self.events > most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            let gone = self.clients.remove(&oldest);
            self.events -= gone.map_or(0, |timeline| timeline.events.len());
        }
    }
}

fn cut(text: &str) -> Box<str> {
    brief::beginning(text).into()
}

impl Entry {
    fn shown(self) -> TimelineEvent {
        let mut detail = Map::new();
        let mut add = |name: &str, value: Value| {
            detail.insert(name.into(), value);
        };
        let reason = match self.said {
            Said::Why(why) => Some(why.into()),
            Said::Words(words) => Some(words.into()),
            Said::Connected {
                version,
                keep_alive,
                resumed,
            } => {
                add("proto_ver", crate::events::spoken(version).into());
                add("keepalive", keep_alive.into());
                add("resumed", resumed.into());
                None
            }
            Said::Authenticated(provider, user) => {
                if let Some(user) = user {
                    add("username", Value::String(user.into()));
                }
                provider.map(Into::into)
            }
            Said::Filter(filter, granted) => {
                add("topic", Value::String(filter.into()));
                match granted {
                    Ok(qos) if self.kind == TimelineKind::Subscribed => {
                        add("qos", qos.into());
                        None
                    }
                    Ok(_) => None,
                    Err(reason) => Some(reason.as_str().into()),
                }
            }
            Said::Denied(wanted, topic, why) => {
                add("wanted", wanted.into());
                if !topic.is_empty() {
                    add("topic", Value::String(topic.into()));
                }
                Some(why.map_or_else(|| "no rule allows it".into(), Into::into))
            }
            Said::Dropped(reason, count) => {
                add("count", count.into());
                Some(reason.as_str().into())
            }
            Said::Lost(lost) => {
                add("messages_lost", lost.into());
                None
            }
        };
        TimelineEvent {
            at: self.at,
            event: self.kind,
            reason,
            detail: (!detail.is_empty()).then_some(detail),
            peer: self.peer.map(|peer| peer.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: usize) -> ClientId {
        ClientId::new(&format!("c{number}")).expect("an id")
    }

    fn ended(number: usize) -> Event {
        Event::SessionEnded {
            client: client(number),
            expired: true,
            lost: 0,
        }
    }

    #[test]
    fn of_all_clients_so_much_is_kept_and_of_each_no_more_than_its_share() {
        let timelines = Timelines::new(1000);
        for number in 0..10_000 {
            timelines.event(&ended(number));
        }
        for _ in 0..EACH * 2 {
            timelines.event(&ended(10_000));
        }
        let kept: usize = timelines
            .parts
            .iter()
            .map(|part| part.lock().expect("whole").events)
            .sum();
        assert!(kept <= 1000usize.div_ceil(PARTS) * PARTS, "{kept}");
        assert!(timelines.of("c0", 10).is_empty());
        assert_eq!(timelines.of("c9999", 10).len(), 1);
        assert_eq!(timelines.lost(), 0);
        for part in &timelines.parts {
            let part = part.lock().expect("whole");
            let events: usize = part.clients.values().map(|it| it.events.len()).sum();
            assert_eq!(
                (events, part.order.len()),
                (part.events, part.clients.len())
            );
            assert!(part.clients.values().all(|it| it.events.len() <= EACH));
        }
    }

    #[test]
    fn s95_strangers_with_long_names_take_no_more_than_others() {
        let timelines = Timelines::new(1000);
        let id = |number: usize| "\u{200b}".repeat(20_000) + &number.to_string();
        let refused = |number| Event::Rejected {
            client: ClientId::new(&id(number)),
            peer: Peer::Local(None),
            user: None,
            reason: CloseReason::Refused(ReasonCode::NotAuthorized),
            why: "",
        };
        for number in 0..2000 {
            timelines.event(&refused(number));
        }
        let mut kept = 0;
        for part in &timelines.parts {
            let part = part.lock().expect("whole");
            let names = part.clients.keys().chain(part.order.values());
            kept += names.map(|id| id.as_str().len()).sum::<usize>();
        }
        // 1000 events have at most 1000 names, each in two lists.
        assert!(kept <= 2 * 1024 * (brief::WORDS + 48), "{kept} bytes");
        // Whose names differ at the end have timelines of their own.
        assert_eq!(timelines.of(&id(1999), 10).len(), 1);
        assert!(timelines.of(&id(2000), 10).is_empty());
    }

    #[test]
    fn losses_in_a_row_are_one_event() {
        let (timelines, id) = (Timelines::new(1000), client(1));
        let dropped = |reason, count| Dropped {
            worker: types::WorkerId(0),
            reason,
            client: Some(&id),
            topic: None,
            qos: None,
            size: 1,
            count,
        };
        timelines.dropped(&dropped(DropReason::QueueFull, 1));
        timelines.dropped(&dropped(DropReason::QueueFull, 64));
        timelines.dropped(&dropped(DropReason::Expired, 1));
        let shown = timelines.of("c1", 10);
        assert_eq!(shown.len(), 2);
        assert_eq!(shown[1].reason.as_deref(), Some("queue_full"));
        assert_eq!(shown[1].detail.as_ref().expect("one")["count"], 65);
    }

    #[test]
    fn with_a_limit_of_zero_nothing_is_kept() {
        let timelines = Timelines::new(0);
        timelines.event(&ended(1));
        assert!(timelines.of("c1", 10).is_empty());
    }
}
