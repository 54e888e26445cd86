//! Who is connected or away.

use std::net::IpAddr;

use admin::server::clients::{ClientKey, Subscription};
use admin::server::{
    Answer, Client, ClientFilter, ClientOrder, Clients, MessagePart, NewSubscription,
    QueuedMessages, Will,
};
use admin::{Failure, Listed, Page, Piece};
use auth::Identity;
use broker::question::{ClientFacts, LinkFacts, Presence, SubscriptionFacts, Wanted};
use broker::{CloseReason, Control, Question, Selector, Task};
use types::{
    Peer, ProtocolVersion, RetainHandling, SessionKey, SubscriptionFilter, SubscriptionOptions,
    WorkerId,
};

use super::{Steer, count};

impl Clients for Steer {
    fn clients(
        &self,
        wanted: ClientFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Client>> {
        Box::pin(async move {
            let wanted = Box::new(self.wanted(wanted)?);
            let mut place = cursor.map_or(Ok(Place::FIRST), |text| Place::parse(&text))?;
            let mut rows = Vec::new();
            // One answer of each worker at most: a list that has few of many is not searched to
            // its end for one request.
            for _ in self.workers() {
                if place.worker.index() >= self.mailboxes.workers() || rows.len() >= limit {
                    break;
                }
                let question = Question::Clients {
                    wanted: wanted.clone(),
                    after: place.after,
                    most: (limit - rows.len()).min(Question::MOST),
                };
                let found = self.some_clients(place.worker, question).await?;
                rows.extend(found.clients.into_iter().map(|facts| self.shown(facts)));
                place = match found.next {
                    Some(after) => Place {
                        after: Some(after),
                        ..place
                    },
                    None => Place {
                        worker: WorkerId(place.worker.0.saturating_add(1)),
                        after: None,
                    },
                };
            }
            let more = place.worker.index() < self.mailboxes.workers();
            Ok(Piece {
                rows,
                cursor: more.then(|| place.to_text()),
            })
        })
    }

    fn ordered_clients(
        &self,
        wanted: ClientFilter,
        order: ClientOrder,
        page: Page,
    ) -> Answer<'_, Listed<Client>> {
        Box::pin(async move {
            let wanted = Box::new(self.wanted(wanted)?);
            let limit = u64::try_from(page.limit()).unwrap_or(u64::MAX);
            let most = usize::try_from(page.offset().saturating_add(limit));
            let mut best = Best::new(order, most.unwrap_or(usize::MAX));
            for worker in self.workers() {
                let mut after = None;
                loop {
                    let question = Question::Clients {
                        wanted: wanted.clone(),
                        after,
                        most: Question::MOST,
                    };
                    let found = self.some_clients(worker, question).await?;
                    best.add(found.clients);
                    after = found.next;
                    if after.is_none() {
                        break;
                    }
                }
            }
            let count = best.count;
            let first = usize::try_from(page.offset()).unwrap_or(usize::MAX);
            let rows = best.into_rows().into_iter().skip(first);
            Ok(Listed {
                rows: rows.map(|facts| self.shown(facts)).collect(),
                count,
            })
        })
    }

    fn subscriptions(
        &self,
        clientid: String,
        cursor: Option<String>,
        limit: usize,
    ) -> Answer<'_, Piece<Subscription>> {
        Box::pin(async move {
            let after = cursor.map(|text| SubscriptionFilter::parse(&text, u16::MAX));
            let after = after.transpose();
            let mut after =
                after.map_err(|_| Failure::Invalid("cursor: it is no filter".into()))?;
            let mut rows = Vec::new();
            loop {
                let most = (limit - rows.len()).min(Question::MOST);
                let facts = self.facts(&clientid, after.clone(), most).await?;
                let facts = facts.ok_or_else(|| nobody(&clientid))?;
                let found = facts.subscriptions.len();
                after = facts.subscriptions.last().map(|one| one.filter.clone());
                rows.extend(facts.subscriptions.into_iter().map(subscription));
                // A client that has just as many is asked for once more than needed.
                if found < most || rows.len() >= limit {
                    let full = found == most;
                    let cursor = after.filter(|_| full).map(|filter| filter.to_string());
                    return Ok(Piece { rows, cursor });
                }
            }
        })
    }

    fn client(&self, clientid: String) -> Answer<'_, Client> {
        Box::pin(async move {
            let facts = self.facts(&clientid, None, Question::MOST).await?;
            let mut facts = facts.ok_or_else(|| nobody(&clientid))?;
            let subscriptions = std::mem::take(&mut facts.subscriptions);
            Ok(Client {
                subscriptions: subscriptions.into_iter().map(subscription).collect(),
                ..self.shown(*facts)
            })
        })
    }

    fn kick(&self, clientid: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let home = self.shared.home_of(&clientid);
            let selector = Selector::Client(clientid.as_str().into());
            self.tell_one(home, Control::End(selector, CloseReason::Ended))
        })
    }

    fn subscribe(&self, clientid: String, wish: NewSubscription) -> Answer<'_, ()> {
        Box::pin(async move {
            let options = SubscriptionOptions {
                qos: super::explain::qos(wish.qos),
                no_local: wish.no_local,
                retain_as_published: wish.retain_as_published,
                retain_handling: RetainHandling::from_bits(wish.retain_handling)
                    .ok_or_else(|| Failure::Invalid("rh: it is not 0, 1 or 2".into()))?,
            };
            let home = self.shared.home_of(&clientid);
            let task = Task::Subscribe {
                client: clientid.into(),
                filter: filter(&wish.topic)?,
                options,
            };
            self.send(home, task)?.done().await.map(drop)
        })
    }

    fn unsubscribe(&self, clientid: String, topic: String) -> Answer<'_, ()> {
        Box::pin(async move {
            let home = self.shared.home_of(&clientid);
            let task = Task::Unsubscribe {
                client: clientid.into(),
                filter: filter(&topic)?,
            };
            self.send(home, task)?.done().await.map(drop)
        })
    }

    fn messages(
        &self,
        clientid: String,
        part: MessagePart,
        from: usize,
        limit: usize,
    ) -> Answer<'_, QueuedMessages> {
        Box::pin(async move { self.messages_of(&clientid, part, from, limit).await })
    }
}

fn filter(text: &str) -> Result<SubscriptionFilter, Failure> {
    let parsed = SubscriptionFilter::parse(text, u16::MAX);
    parsed.map_err(|_| Failure::Invalid(format!("topic: {text:?} is no filter")))
}

/// The first clients of an order, of all that come by.
struct Best {
    order: ClientOrder,
    most: usize,
    count: u64,
    rows: Vec<ClientFacts>,
}

impl Best {
    fn new(order: ClientOrder, most: usize) -> Self {
        Self {
            order,
            most,
            count: 0,
            rows: Vec::new(),
        }
    }

    /// Takes some in. Twice as many as are wanted are kept at most, and a piece.
    fn add(&mut self, clients: Vec<ClientFacts>) {
        self.count = self.count.saturating_add(count(clients.len()));
        self.rows.extend(clients);
        if self.rows.len() > self.most.saturating_mul(2) {
            self.sort();
        }
    }

    fn sort(&mut self) {
        let order = self.order;
        self.rows.sort_by(|one, other| {
            let ordered = compare(order.by, one, other);
            let ordered = match order.is_descending {
                true => ordered.reverse(),
                false => ordered,
            };
            // Clients of the same number have an order, too, or pages would not fit together.
            ordered.then_with(|| one.client.cmp(&other.client))
        });
        self.rows.truncate(self.most);
    }

    fn into_rows(mut self) -> Vec<ClientFacts> {
        self.sort();
        self.rows
    }
}

fn compare(by: ClientKey, one: &ClientFacts, other: &ClientFacts) -> std::cmp::Ordering {
    let number = |facts: &ClientFacts| {
        let link = facts.link.as_ref();
        match by {
            ClientKey::ClientId => None,
            ClientKey::ConnectedAt => link.map(|link| link.info.accepted.as_millis()),
            ClientKey::Received => link.map(|link| link.traffic.messages_in),
            ClientKey::Sent => link.map(|link| link.traffic.messages_out),
            ClientKey::Queued => Some(count(facts.waiting)),
            ClientKey::Dropped => Some(facts.overflown),
        }
    };
    match by {
        ClientKey::ClientId => one.client.cmp(&other.client),
        _ => number(one).cmp(&number(other)),
    }
}

impl Steer {
    fn wanted(&self, filter: ClientFilter) -> Result<Wanted, Failure> {
        let address = filter.address.map(|text| {
            let address = text.parse::<IpAddr>();
            address.map_err(|_| Failure::Invalid(format!("ip_address: {text:?} is no address")))
        });
        Ok(Wanted {
            like: filter.like.map(Into::into),
            user: filter.username.map(Into::into),
            like_user: filter.like_username.map(Into::into),
            version: filter.version.map(version).transpose()?,
            address: address.transpose()?,
            listener: filter.listener.map(|name| self.place(&name)).transpose()?,
            presence: filter.connected.map(|connected| match connected {
                true => Presence::Connected,
                false => Presence::Away,
            }),
        })
    }

    /// The place of the open listener of this name. Others that had it may have closed.
    pub(super) fn place(&self, name: &str) -> Result<u16, Failure> {
        let config = self.config();
        let named = |place: &u16| {
            let listener = config.listeners.get(usize::from(*place));
            listener.is_some_and(|listener| listener.name == name)
        };
        let open = self.doors.addresses().into_iter();
        let found = open.map(|(place, _)| place).find(named);
        let unknown = || Failure::Invalid(format!("listener: there is none of the name {name:?}"));
        found.ok_or_else(unknown)
    }

    /// Groups and roles that count for a client.
    pub(super) fn belongs(
        &self,
        identity: &Identity,
        grant: Option<&auth::Grant>,
    ) -> (Vec<String>, Vec<String>) {
        let members = self.doors.access().members();
        let membership = match identity {
            Identity::Anonymous => Some(&members.anonymous),
            Identity::User(user) => members.users.get(user),
        };
        let granted = grant.map_or(&[][..], |grant| &grant.groups);
        let own = membership.map_or(&[][..], |membership| &membership.groups);
        let groups = || granted.iter().chain(own);
        let direct = membership.map_or(&[][..], |membership| &membership.roles);
        let by_groups = groups().filter_map(|group| members.groups.get(group));
        let roles = direct.iter().chain(by_groups.flatten());
        (sorted(groups()), sorted(roles))
    }

    fn shown(&self, facts: ClientFacts) -> Client {
        let grant = facts.grant.as_deref();
        let (groups, roles) = self.belongs(&facts.identity, grant);
        let client = Client {
            clientid: facts.client.as_str().into(),
            username: facts.identity.user().map(Into::into),
            provider: grant.and_then(|it| it.provider.as_deref().map(Into::into)),
            is_superuser: grant.is_some_and(|grant| grant.superuser),
            groups,
            roles,
            expiry_interval: u32::try_from(facts.expiry.as_secs())
                .ok()
                .filter(|&seconds| seconds < u32::MAX),
            queued: count(facts.waiting),
            inflight: count(facts.inflight),
            subscriptions_count: count(facts.subscription_count),
            subscriptions_cnt: count(facts.subscription_count),
            mqueue_len: count(facts.waiting),
            mqueue_bytes: count(facts.waiting_bytes),
            mqueue_dropped: facts.overflown,
            inflight_cnt: count(facts.inflight),
            awaiting_rel_cnt: count(facts.unreleased),
            worker: self.shared.home_of(facts.client.as_str()).0,
            disconnected_at: facts.left.map(|at| self.stamp(at)),
            will: facts.will.map(|will| Will {
                topic: (*will.topic).into(),
                qos: will.qos as u8,
                retain: will.retain,
                delay: u32::try_from(will.delay.as_secs()).unwrap_or(u32::MAX),
            }),
            ..Client::default()
        };
        match facts.link {
            Some(link) => self.linked(client, link),
            None => client,
        }
    }

    fn linked(&self, client: Client, link: LinkFacts) -> Client {
        let config = self.config();
        let listener = config.listeners.get(usize::from(link.info.listener));
        let certificate = link.info.certificate.as_ref();
        Client {
            connected: true,
            peer: Some(link.info.peer.to_string()),
            listener: listener.map(|listener| listener.name.clone()),
            proto_ver: Some(spoken(link.version).into()),
            keepalive: Some(link.keep_alive),
            connected_at: Some(self.stamp(link.info.accepted)),
            certificate: certificate.map(|it| it.subject.clone()),
            granted_until: link.granted_until.map(|at| self.stamp(at)),
            ip_address: link.info.peer.ip().map(|address| address.to_string()),
            port: match link.info.peer {
                Peer::Net(address) => Some(address.port()),
                Peer::Local(_) => None,
            },
            transport: listener.map(|listener| transport(listener, link.info.peer).into()),
            clean_start: Some(link.clean_start),
            recv_msg: Some(link.traffic.messages_in),
            send_msg: Some(link.traffic.messages_out),
            recv_oct: Some(link.traffic.bytes_in),
            send_oct: Some(link.traffic.bytes_out),
            send_pending_bytes: Some(count(link.pending)),
            receive_maximum: u16::try_from(link.window).ok(),
            topic_alias_maximum: Some(link.aliases),
            maximum_packet_size: Some(count(link.packet_size)),
            ..client
        }
    }
}

/// Each name once, in order.
fn sorted<'n>(names: impl Iterator<Item = &'n std::sync::Arc<str>>) -> Vec<String> {
    let names: std::collections::BTreeSet<&str> = names.map(|name| &**name).collect();
    names.into_iter().map(Into::into).collect()
}

pub(super) fn nobody(clientid: &str) -> Failure {
    Failure::NotFound(format!(
        "there is no client {clientid:?}, connected or away"
    ))
}

/// The version that a number of the protocol level stands for.
fn version(level: u8) -> Result<ProtocolVersion, Failure> {
    match level {
        3 => Ok(ProtocolVersion::V31),
        4 => Ok(ProtocolVersion::V311),
        5 => Ok(ProtocolVersion::V5),
        _ => Err(Failure::Invalid("proto_ver: it is not 3, 4 or 5".into())),
    }
}

/// What MQTT runs over.
fn transport(listener: &config::Listener, peer: Peer) -> &'static str {
    match (listener.protocol, peer) {
        (config::Protocol::Mqtt, Peer::Local(_)) => "unix",
        (config::Protocol::Mqtt, Peer::Net(_)) => "tcp",
        (config::Protocol::Mqtts, _) => "tls",
        (config::Protocol::Ws, _) => "ws",
        (config::Protocol::Wss, _) => "wss",
        (config::Protocol::Quic, _) => "quic",
    }
}

fn spoken(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::V31 => "3.1",
        ProtocolVersion::V311 => "3.1.1",
        ProtocolVersion::V5 => "5.0",
    }
}

fn subscription(facts: SubscriptionFacts) -> Subscription {
    Subscription {
        topic: facts.filter.to_string(),
        qos: facts.options.qos as u8,
        nl: facts.options.no_local,
        rap: facts.options.retain_as_published,
        rh: match facts.options.retain_handling {
            RetainHandling::Send => 0,
            RetainHandling::SendIfNew => 1,
            RetainHandling::DoNotSend => 2,
        },
        partly: facts.in_part,
    }
}

/// Where a list of clients goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    worker: WorkerId,
    after: Option<SessionKey>,
}

impl Place {
    const FIRST: Self = Self {
        worker: WorkerId(0),
        after: None,
    };

    fn to_text(self) -> String {
        match self.after {
            None => format!("{:x}", self.worker.0),
            Some(after) => format!("{:x}-{:x}", self.worker.0, after.slot),
        }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let read = || {
            let (worker, slot) = match text.split_once('-') {
                Some((worker, slot)) => (worker, Some(u32::from_str_radix(slot, 16).ok()?)),
                None => (text, None),
            };
            Some(Self {
                worker: WorkerId(u16::from_str_radix(worker, 16).ok()?),
                // Only the slot counts.
                after: slot.map(|slot| SessionKey {
                    slot,
                    generation: 0,
                }),
            })
        };
        read().ok_or_else(|| Failure::Invalid(format!("cursor: {text:?} is none")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s95_a_cursor_is_one_that_was_given() {
        let place = Place {
            worker: WorkerId(17),
            after: Some(SessionKey {
                slot: 4711,
                generation: 0,
            }),
        };
        assert_eq!(Place::parse(&place.to_text()).ok(), Some(place));
        assert_eq!(Place::parse("1f").ok().map(|it| it.worker.0), Some(31));
        for text in ["", "-", "-1", "x", "1-", "10000", "1-100000000", "0-0-0"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }
}
