//! SUBSCRIBE and UNSUBSCRIBE.
//!
//! The session knows at once; the index that all workers share takes changes over in batches
//! at the end of a turn. SUBACK, retained messages and UNSUBACK follow then, so that nothing
//! that is published after SUBACK is missed.
// A closure is general in the packet's lifetime, an enum's constructor is not.
#![allow(clippy::redundant_closure)]

use std::num::NonZeroU32;
use std::sync::Arc;

use auth::Verdict;
use codec::{Packet, ReasonList, Subscribe, SubscribeFilter, Unsubscribe};
use protocol::Violation;
use protocol::session::subscriptions::{Subscription, size_of_filter};
use topics::{IndexChange, MemberState};
use types::{
    ConnId, FilterError, PacketId, QoS, ReasonCode, RetainHandling, SessionKey, SessionRef,
    SubscriptionFilter, Time, TopicFilter,
};

use super::Worker;
use super::errands::NO_CONN;
use super::receive::Flow;
use crate::conn::Conn;
use crate::errand::{Done, Reply};
use crate::event::Event;

/// What waits until the index has taken over this many changes.
pub(super) struct AfterApply {
    changes: u64,
    conn: ConnId,
    packet_id: PacketId,
    reasons: Vec<u8>,
    then: Then,
}

enum Then {
    Suback(SessionKey, Vec<(SubscriptionFilter, Subscription)>),
    Unsuback(SessionKey),
    /// The control plane asked for it.
    Errand(
        SessionKey,
        Option<(SubscriptionFilter, Subscription)>,
        (Reply, Done),
    ),
}

/// What one place of a SUBSCRIBE came to.
pub(super) enum Place {
    Refused(ReasonCode),
    Granted {
        filter: SubscriptionFilter,
        subscription: Subscription,
        replay: bool,
    },
}

impl Worker {
    pub(super) fn on_subscribe(
        &mut self,
        id: ConnId,
        subscribe: &Subscribe<'_>,
        now: Time,
    ) -> Flow {
        let Some(open) = self.conns.at(id).and_then(Conn::open) else {
            return Flow::Gone;
        };
        let (key, window) = (open.session, open.link.window());
        if subscribe.user.len() > usize::from(self.limits.user_properties) {
            return self.violate(id, Violation::TooManyProperties, now);
        }
        // Checked first: a protocol error takes nothing over (MQTT-3.8.3-4).
        if subscribe
            .filters
            .iter()
            .any(|place| place.options.no_local && place.filter.starts_with("$share/"))
        {
            return self.violate(id, Violation::NoLocalOnShared, now);
        }
        let subscription_id = subscribe.subscription_id.and_then(NonZeroU32::new);
        let mut reasons = Vec::with_capacity(subscribe.filters.len());
        let mut replays = Vec::new();
        for (number, place) in subscribe.filters.iter().enumerate() {
            let (filter, qos) = (place.filter, place.options.qos);
            let place = if number >= usize::from(self.limits.filters_per_packet) {
                Place::Refused(ReasonCode::QuotaExceeded)
            } else {
                self.subscribe_one(key, window, place, subscription_id)
            };
            let granted = match &place {
                Place::Refused(reason) => Err(*reason),
                Place::Granted { .. } => Ok(qos),
            };
            self.tell_subscribed(id, key, filter, granted);
            match place {
                Place::Refused(reason) => reasons.push(reason.byte()),
                Place::Granted {
                    filter,
                    subscription,
                    replay,
                } => {
                    reasons.push(subscription.options.qos.bits());
                    if replay {
                        replays.push((filter, subscription));
                    }
                }
            }
        }
        self.wait_for_index(AfterApply {
            changes: self.changes_made,
            conn: id,
            packet_id: subscribe.packet_id,
            reasons,
            then: Then::Suback(key, replays),
        });
        Flow::Continue
    }

    pub(super) fn subscribe_one(
        &mut self,
        key: SessionKey,
        window: usize,
        place: SubscribeFilter<'_>,
        id: Option<NonZeroU32>,
    ) -> Place {
        let filter = match self.parse_filter(key, place.filter) {
            Ok(filter) => filter,
            Err(reason) => return Place::Refused(reason),
        };
        let verdict = self.may_subscribe(key, &filter.filter, place.options.qos);
        if verdict == Verdict::Deny {
            return Place::Refused(ReasonCode::NotAuthorized);
        }
        let unstorable = self.lasts(key) && self.takes_nothing_lasting();
        let has_place = self.has_place_for(key, &filter);
        let Some(client) = self.clients.at_mut(key) else {
            return Place::Refused(ReasonCode::UnspecifiedError);
        };
        let subscription = Subscription {
            options: place.options,
            id,
        };
        let known = client.session.subscriptions.subscription(&filter);
        let is_new = known.is_none();
        if is_new && !has_place || unstorable && known != Some(&subscription) {
            return Place::Refused(ReasonCode::QuotaExceeded);
        }
        if verdict == Verdict::Partly {
            client.granted_in_part();
            self.reviews.found_part(key);
        }
        client
            .session
            .subscriptions
            .insert(filter.clone(), subscription);
        let member = filter.share.is_some().then(|| {
            Arc::clone(client.member.get_or_insert_with(|| {
                let member = MemberState::default();
                member.set_window(u32::try_from(window).unwrap_or(u32::MAX));
                member.set_online(true);
                Arc::new(member)
            }))
        });
        self.record_subscribed(key, &filter, subscription);
        self.change_index(IndexChange::Subscribe {
            filter: filter.clone(),
            subscriber: SessionRef {
                worker: self.id,
                key,
            },
            options: place.options,
            id,
            member,
        });
        // MQTT-3.3.1-9 to -11; shared subscriptions get no retained messages (3.8.4).
        let replay = filter.share.is_none()
            && match place.options.retain_handling {
                RetainHandling::Send => true,
                RetainHandling::SendIfNew => is_new,
                RetainHandling::DoNotSend => false,
            };
        Place::Granted {
            filter,
            subscription,
            replay,
        }
    }

    fn tell_subscribed(
        &self,
        id: ConnId,
        key: SessionKey,
        filter: &str,
        granted: Result<QoS, ReasonCode>,
    ) {
        if let (Some(client), Some(conn)) = (self.clients.at(key), self.conns.at(id)) {
            self.event(Event::Subscribed {
                client: client.id.clone(),
                peer: conn.info.peer,
                filter: Arc::from(filter),
                granted,
            });
        }
    }

    fn tell_unsubscribed(&self, id: ConnId, key: SessionKey, filter: &str) {
        if let (Some(client), Some(conn)) = (self.clients.at(key), self.conns.at(id)) {
            self.event(Event::Unsubscribed {
                client: client.id.clone(),
                peer: conn.info.peer,
                filter: Arc::from(filter),
            });
        }
    }

    /// Whether limits and memory let the session subscribe to a filter that it does not have.
    fn has_place_for(&self, key: SessionKey, filter: &SubscriptionFilter) -> bool {
        let limits = &self.limits;
        let most = usize::try_from(limits.subscriptions_per_client).unwrap_or(usize::MAX);
        self.clients.at(key).is_some_and(|client| {
            let known = &client.session.subscriptions;
            let bytes = known.bytes().saturating_add(size_of_filter(filter));
            known.len() < most && bytes <= limits.subscription_bytes_per_client
        }) && !self.memory_is_short()
    }

    pub(super) fn on_unsubscribe(
        &mut self,
        id: ConnId,
        unsubscribe: &Unsubscribe<'_>,
        now: Time,
    ) -> Flow {
        let Some(key) = self
            .conns
            .at(id)
            .and_then(Conn::open)
            .map(|open| open.session)
        else {
            return Flow::Gone;
        };
        if unsubscribe.user.len() > usize::from(self.limits.user_properties) {
            return self.violate(id, Violation::TooManyProperties, now);
        }
        let mut reasons = Vec::with_capacity(unsubscribe.filters.len());
        for (number, text) in unsubscribe.filters.iter().enumerate() {
            let reason = if number >= usize::from(self.limits.filters_per_packet) {
                // UNSUBACK has no 0x97 (3.11.3).
                ReasonCode::ImplementationSpecificError
            } else {
                self.unsubscribe_one(key, text)
            };
            if reason == ReasonCode::Success {
                self.tell_unsubscribed(id, key, text);
            }
            reasons.push(reason.byte());
        }
        self.wait_for_index(AfterApply {
            changes: self.changes_made,
            conn: id,
            packet_id: unsubscribe.packet_id,
            reasons,
            then: Then::Unsuback(key),
        });
        Flow::Continue
    }

    /// The text must be the same to the letter (MQTT-3.10.4-1).
    fn unsubscribe_one(&mut self, key: SessionKey, text: &str) -> ReasonCode {
        let filter = match self.parse_filter(key, text) {
            Ok(filter) => filter,
            Err(reason) => return reason,
        };
        match self.take_subscription(key, &filter) {
            true => ReasonCode::Success,
            false => ReasonCode::NoSubscriptionExisted,
        }
    }

    /// A filter of a client, with what stands before its topics.
    fn parse_filter(&self, key: SessionKey, text: &str) -> Result<SubscriptionFilter, ReasonCode> {
        let levels = self.limits.topic_levels;
        let mut filter = SubscriptionFilter::parse(text, levels).map_err(filter_error)?;
        let conn = self.clients.at(key).and_then(|client| client.conn);
        let open = conn.and_then(|conn| self.conns.at(conn)?.open());
        if let Some(mount) = open.and_then(|open| open.mount.as_ref()) {
            let mounted = mount.mounted(filter.filter.as_str());
            let mounted = mounted.ok_or(ReasonCode::NotAuthorized)?;
            filter.filter = TopicFilter::parse(&mounted, levels).map_err(filter_error)?;
        }
        Ok(filter)
    }

    /// Takes a subscription from a session; `false` if it has none such.
    pub(super) fn take_subscription(
        &mut self,
        key: SessionKey,
        filter: &SubscriptionFilter,
    ) -> bool {
        let removed = self
            .clients
            .at_mut(key)
            .and_then(|client| client.session.subscriptions.remove(filter));
        if removed.is_none() {
            return false;
        }
        self.record_unsubscribed(key, filter);
        self.forget_replay(key, &filter.filter);
        let filter = filter.clone();
        let subscriber = SessionRef {
            worker: self.id,
            key,
        };
        self.change_index(IndexChange::Unsubscribe { filter, subscriber });
        true
    }

    pub(super) fn change_index(&mut self, change: IndexChange) {
        self.changes.push_back(change);
        self.changes_made = self.changes_made.saturating_add(1);
    }

    /// Answers when the index has taken the changes over; until then what the client sends
    /// next waits too.
    fn wait_for_index(&mut self, after: AfterApply) {
        if let Some(conn) = self.conns.at_mut(after.conn) {
            conn.subscribing = conn.subscribing.saturating_add(1);
        }
        self.after_apply.push_back(after);
    }

    /// Answers the control plane when the index has taken the changes over and they are safe.
    pub(super) fn reply_when_applied(
        &mut self,
        key: SessionKey,
        replay: Option<(SubscriptionFilter, Subscription)>,
        answer: (Reply, Done),
    ) {
        self.wait_for_index(AfterApply {
            changes: self.changes_made,
            conn: NO_CONN,
            packet_id: PacketId::FIRST,
            reasons: Vec::new(),
            then: Then::Errand(key, replay, answer),
        });
    }

    /// Whether so much waits for the index that SUBSCRIBE and UNSUBSCRIBE have to.
    pub(super) fn index_is_behind(&self) -> bool {
        self.changes.len().max(self.after_apply.len()) >= super::INDEX_BACKLOG
    }

    /// Lets the index take a batch of changes over, and sends what waited for it.
    pub(super) fn apply_index_changes(&mut self) {
        if !self.changes.is_empty() && self.index_batch > 0 {
            let applied = self.shared.index.apply(&mut self.changes, self.index_batch);
            self.changes_applied = self
                .changes_applied
                .saturating_add(u64::try_from(applied).unwrap_or(0));
        }
        while self
            .after_apply
            .front()
            .is_some_and(|waiting| waiting.changes <= self.changes_applied)
        {
            let Some(waiting) = self.after_apply.pop_front() else {
                return;
            };
            let AfterApply {
                conn,
                packet_id,
                reasons,
                then,
                ..
            } = waiting;
            if let Some(conn) = self.conns.at_mut(conn) {
                conn.subscribing = conn.subscribing.saturating_sub(1);
            }
            match then {
                Then::Suback(key, replays) => {
                    self.answer_subscriptions(conn, key, packet_id, &reasons, |a| {
                        Packet::SubAck(a)
                    });
                    for (filter, subscription) in replays {
                        self.begin_replay(key, filter.filter, subscription);
                    }
                }
                Then::Errand(key, replay, answer) => {
                    if let Some((filter, subscription)) = replay {
                        self.begin_replay(key, filter.filter, subscription);
                    }
                    match self.stored(key) {
                        Some(_) => self.reply_when_recorded(answer),
                        None => answer.0(Ok(answer.1)),
                    }
                }
                Then::Unsuback(key) => {
                    self.answer_subscriptions(conn, key, packet_id, &reasons, |a| {
                        Packet::UnsubAck(a)
                    });
                }
            }
        }
    }

    /// Writes SUBACK or UNSUBACK. What a session that outlives its connection subscribed to is
    /// safe by then.
    fn answer_subscriptions(
        &mut self,
        conn: ConnId,
        key: SessionKey,
        packet_id: PacketId,
        reasons: &[u8],
        wrap: for<'a> fn(ReasonList<'a>) -> Packet<'a>,
    ) {
        let mark = self.output_mark(conn);
        self.write_reasons(conn, packet_id, reasons, wrap);
        if self.stored(key).is_some() {
            self.hold_until_safe(conn, mark);
        }
    }
}

/// What a filter that is none is answered with, in its place (S56, S57).
fn filter_error(_: FilterError) -> ReasonCode {
    ReasonCode::TopicFilterInvalid
}
