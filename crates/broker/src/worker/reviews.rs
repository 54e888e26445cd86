//! Sessions that are held against the policy: after a change of it, or of what a client is granted.
//!
//! Until its turn comes, each message for a session is asked about, so that a change acts at once.
//! The review takes away what is not allowed any more, and finds out for whom nobody need be asked.
//! Who is away is reviewed when it is back: what only a connection shows is known then, and MQTT
//! has no other time to tell it.

use std::collections::{BTreeSet, VecDeque};

use auth::{Access, RuleId, Verdict};
use types::{ConnId, SessionKey, SubscriptionFilter, Time, TopicFilter};

use super::Worker;
use super::doors::subject;
use crate::client::Asks;
use crate::conn::Conn;
use crate::event::{CloseReason, Wanted};
use crate::mail::Selector;
use crate::shared::Revoked;

/// How much is done in one turn, in steps of about 20 ns: some 2 ms.
const EFFORT_PER_TURN: usize = 100_000;
/// What it costs to look at a session that is away, or is none.
const EFFORT_OF_SLOT: usize = 4;
/// What it costs to begin with one that is connected.
const EFFORT_OF_SESSION: usize = 50;
/// What a filter without wildcards costs. With them, each rule may have to be looked at.
const EFFORT_OF_FILTER: usize = 20;

/// Which sessions are still to be held against the policy.
#[derive(Debug)]
pub(super) struct Reviews {
    /// The first slot that a change of the policy has not come to; [`DONE`] if there is none.
    next: u32,
    /// Sessions of which something else has changed.
    waiting: BTreeSet<SessionKey>,
    /// The one at hand.
    begun: Option<Review>,
    /// Sessions that lost a subscription, and how many changes the index has taken over when
    /// nothing comes by it any more. Until then each message is asked about.
    lagging: VecDeque<(u64, SessionKey)>,
}

const DONE: u32 = u32::MAX;

#[derive(Debug)]
struct Review {
    key: SessionKey,
    /// The last filter that was looked at.
    behind: Option<SubscriptionFilter>,
    /// The first one that is gone.
    lost: Option<SubscriptionFilter>,
    /// The groups that are gone.
    groups: Vec<SubscriptionFilter>,
    /// One is granted in part.
    in_part: bool,
}

impl Default for Reviews {
    fn default() -> Self {
        Self {
            next: DONE,
            waiting: BTreeSet::new(),
            begun: None,
            lagging: VecDeque::new(),
        }
    }
}

impl Reviews {
    /// Whether a change of the policy has not come to a session.
    #[inline]
    pub(super) fn is_ahead(&self, key: SessionKey) -> bool {
        key.slot >= self.next
    }

    /// All sessions are to be looked at.
    pub(super) fn begin_all(&mut self) {
        self.next = 0;
        self.begun = None;
    }

    /// A subscription is granted in part, which the review at hand may have passed.
    pub(super) fn found_part(&mut self, key: SessionKey) {
        if let Some(review) = self.begun.as_mut().filter(|it| it.key == key) {
            review.in_part = true;
        }
    }

    /// Whether anything is to be done.
    pub(super) fn is_at_work(&self) -> bool {
        self.next != DONE || !self.waiting.is_empty() || self.begun.is_some()
    }
}

impl Worker {
    /// A session is to be held against the policy again, because something of its client changed.
    pub(super) fn review_soon(&mut self, key: SessionKey) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        client.asks = Asks::Unreviewed;
        if client.conn.is_none() {
            return;
        }
        if self.reviews.begun.as_ref().is_some_and(|it| it.key == key) {
            self.reviews.begun = None;
        }
        self.reviews.waiting.insert(key);
    }

    /// Goes on with the reviews, as far as one turn may take.
    pub(super) fn step_reviews(&mut self, now: Time) {
        self.settle_lagging();
        if !self.reviews.is_at_work() {
            return;
        }
        self.go_beyond(|worker| {
            let mut left = EFFORT_PER_TURN;
            while left > 0 {
                let Some(spent) = worker.step_review(now) else {
                    return;
                };
                left = left.saturating_sub(spent);
            }
        });
    }

    /// One step of the review at hand, or of the next one; what it cost. `None`: there is none.
    fn step_review(&mut self, now: Time) -> Option<usize> {
        if let Some(review) = self.reviews.begun.take() {
            return Some(self.review_one(review, now));
        }
        if let Some(key) = self.reviews.waiting.pop_first() {
            return Some(self.begin_review(key, now));
        }
        if self.reviews.next == DONE {
            return None;
        }
        match self.clients.key_at(self.reviews.next) {
            None => {
                self.reviews.next = DONE;
                None
            }
            Some(key) => {
                self.reviews.next = self.reviews.next.saturating_add(1);
                let spent = key.map(|key| self.begin_review(key, now));
                Some(spent.unwrap_or(EFFORT_OF_SLOT))
            }
        }
    }

    /// A banned client is disconnected; of others each subscription is looked at. What it cost.
    fn begin_review(&mut self, key: SessionKey, now: Time) -> usize {
        let Some(client) = self.clients.at_mut(key) else {
            return EFFORT_OF_SLOT;
        };
        if client.asks != Asks::Returning {
            client.asks = Asks::Unreviewed;
        }
        let Some(conn) = client.conn else {
            return EFFORT_OF_SLOT;
        };
        let Some(client) = self.clients.at(key) else {
            return EFFORT_OF_SLOT;
        };
        if self.policy.ban(&subject(client, &self.conns)).is_some() {
            self.close(conn, CloseReason::Banned, now);
        } else {
            self.reviews.begun = Some(Review {
                key,
                behind: None,
                lost: None,
                groups: Vec::new(),
                in_part: false,
            });
        }
        EFFORT_OF_SESSION
    }

    /// Looks at the next subscription of a session. What it cost.
    fn review_one(&mut self, mut review: Review, now: Time) -> usize {
        let key = review.key;
        let Some(client) = self.clients.at(key) else {
            return EFFORT_OF_SLOT;
        };
        if client.conn.is_none() {
            return EFFORT_OF_SLOT;
        }
        let subscriptions = &client.session.subscriptions;
        let Some((filter, subscription)) = subscriptions.next_after(review.behind.as_ref()) else {
            self.end_review(&review, now);
            return EFFORT_OF_FILTER;
        };
        let (filter, qos) = (filter.clone(), subscription.options.qos);
        let access = Access::Subscribe {
            filter: &filter.filter,
            qos,
        };
        let decision = self.decide(key, &access);
        let spent = match filter.filter.has_wildcard() {
            true => EFFORT_OF_FILTER.saturating_add(self.policy.effort()),
            false => EFFORT_OF_FILTER,
        };
        match decision.verdict {
            Verdict::Allow => {}
            Verdict::Partly => review.in_part = true,
            Verdict::Deny => {
                self.revoke(key, &filter, decision.rule, now);
                review.lost.get_or_insert_with(|| filter.clone());
                if filter.share.is_some() {
                    review.groups.push(filter.clone());
                }
            }
        }
        review.behind = Some(filter);
        self.reviews.begun = Some(review);
        spent
    }

    /// All its subscriptions were looked at.
    fn end_review(&mut self, review: &Review, now: Time) {
        let key = review.key;
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        client.asks = match (review.in_part, &review.lost) {
            (true, _) => Asks::InPart,
            // Nothing comes by a subscription that is gone, whoever took it away.
            (false, None) if self.changes_made == self.changes_applied => Asks::WhileWaiting,
            (false, _) => {
                self.reviews.lagging.push_back((self.changes_made, key));
                Asks::Lagging
            }
        };
        let conn = client.conn;
        self.settle_asks(key);
        if let (Some(filter), Some(conn)) = (&review.lost, conn) {
            self.tell_revoked(conn, filter, &review.groups, now);
        }
    }

    /// The index has taken over that subscriptions are gone.
    fn settle_lagging(&mut self) {
        while let Some((_, key)) = self
            .reviews
            .lagging
            .pop_front_if(|(changes, _)| *changes <= self.changes_applied)
        {
            if let Some(client) = self.clients.at_mut(key)
                && client.asks == Asks::Lagging
            {
                client.asks = Asks::WhileWaiting;
                self.settle_asks(key);
            }
        }
    }

    /// A subscription that is not allowed any more goes (S48). What waits by a group is for its
    /// other members.
    fn revoke(
        &mut self,
        key: SessionKey,
        filter: &SubscriptionFilter,
        rule: Option<RuleId>,
        now: Time,
    ) {
        self.take_subscription(key, filter);
        self.denied(key, Wanted::Subscribe, &filter.to_string(), rule);
        if filter.share.is_none() {
            return;
        }
        let taken = self.clients.at_mut(key).map_or_else(Vec::new, |client| {
            client.session.take_shared_waiting(|group| group == filter)
        });
        let me = types::SessionRef {
            worker: self.id,
            key,
        };
        self.hand_over(key, taken, &BTreeSet::from([me]), now);
    }

    /// MQTT has no word for "your subscription is gone": a 5.0 client is disconnected with the
    /// reason, and learns the rest when it subscribes again.
    fn tell_revoked(
        &mut self,
        id: ConnId,
        filter: &SubscriptionFilter,
        groups: &[SubscriptionFilter],
        now: Time,
    ) {
        let Some(open) = self.conns.at(id).and_then(Conn::open) else {
            return;
        };
        if open.link.version().has_properties() && self.shared.config.revoked == Revoked::Disconnect
        {
            let mut known = filter.clone();
            if let Some(mount) = &open.mount
                && let Some(text) = mount.taken_off(filter.filter.as_str())
                && let Ok(text) = TopicFilter::parse(text, u16::MAX)
            {
                known.filter = text;
            }
            let why = format!("not allowed any more: {known}");
            // What it leaves unacknowledged is for others, as whenever a connection ends.
            let key = open.session;
            let taken = self.clients.at_mut(key).map_or_else(Vec::new, |client| {
                client.session.take_shared(|group| groups.contains(group))
            });
            let me = types::SessionRef {
                worker: self.id,
                key,
            };
            self.hand_over(key, taken, &BTreeSet::from([me]), now);
            self.close_saying(id, CloseReason::Revoked, &why, now);
        }
    }

    /// Nobody needs to be asked about a client for which nothing waits any more and all of whose
    /// subscriptions are granted as a whole.
    pub(super) fn settle_asks(&mut self, key: SessionKey) {
        if let Some(client) = self.clients.at_mut(key)
            && client.asks == Asks::WhileWaiting
            && !client.session.has_waiting()
            && client.session.inflight_len() == 0
            && client.replays.is_none()
        {
            client.asks = Asks::Never;
        }
    }

    /// Ends the connections that are meant.
    pub(super) fn end_selected(&mut self, selector: &Selector, reason: CloseReason, now: Time) {
        for key in self.selected(selector) {
            if reason == CloseReason::Unwelcome {
                self.end_unwelcome(key, now);
            } else if let Some(conn) = self.clients.at(key).and_then(|client| client.conn) {
                self.close(conn, reason, now);
            }
        }
    }

    /// Asks again what the clients that are meant are granted.
    pub(super) fn refresh_selected(&mut self, selector: &Selector, now: Time) {
        for key in self.selected(selector) {
            self.refresh(key, now);
        }
    }

    /// The sessions that are meant.
    fn selected(&self, selector: &Selector) -> Vec<SessionKey> {
        if let Selector::Client(id) = selector {
            let key = types::ClientId::new(id).and_then(|id| self.by_id.get(&id).copied());
            return key.into_iter().collect();
        }
        let all = self.clients.iter::<SessionKey>();
        let meant = all.filter(|(_, client)| selector.matches(&subject(client, &self.conns)));
        meant.map(|(key, _)| key).collect()
    }
}
