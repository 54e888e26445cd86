//! A message to one recipient: now, or into its queue.

use std::sync::Arc;

use protocol::session::{Matched, Next, Offer, When};
use protocol::{Outbound, Session};
use store::RecoveredBegun;
use topics::Recipient;
use types::{
    Body, ConnId, DeliveryNumber, PacketId, QoS, SessionKey, SessionRef, StoredSession, Time,
};

use super::Worker;
use super::publish::Fanout;
use super::record::{delivery, owe};
use super::watch::{About, Lost};
use super::write::{Copy, write_publish};
use crate::client::{Client, Counted};
use crate::event::DropReason;
use crate::metrics::{Gauge, Metrics};

/// While a connection has more than this to write, its queue waits.
pub(super) const PUMP_UP_TO: usize = 128 * 1024;

/// What becomes of a QoS 0 message for a recipient.
enum Place {
    /// It goes out now.
    Now(ConnId),
    /// It waits in the session's queue.
    Queue,
    /// It is lost, and counted.
    Drop(DropReason),
    /// There is nobody to have it: the session is gone or away.
    Nowhere,
}

impl Worker {
    /// Delivers to one entry of a route. Left to itself, the compiler makes calls of this and of
    /// the next, which cost a fan-out 3 % (`make count`).
    #[inline(always)]
    pub(super) fn deliver_to(&mut self, recipient: &Recipient, fanout: &mut Fanout<'_>) {
        let me = SessionRef {
            worker: self.id,
            key: recipient.session,
        };
        let own = fanout.parts.publisher == Some(me);
        let Some(delivery) = recipient.delivery_for(own) else {
            return;
        };
        if fanout.skip.is_some() {
            let stored = self.stored(recipient.session);
            if is_skipped(stored, fanout.skip.as_deref()) {
                return;
            }
        }
        let qos = fanout.parts.qos.min(delivery.qos);
        let topic = fanout.route.topic();
        let is_allowed = match fanout.is_old {
            false => self.may_have(recipient.session, topic, qos),
            true => self.may_receive(recipient.session, topic, qos),
        };
        if !is_allowed {
            return self.lost_copy(DropReason::NotAuthorized, recipient.session, qos, fanout);
        }
        let retain = fanout.parts.retain && delivery.retain_as_published;
        let copy = Copy {
            dup: false,
            qos,
            retain,
            packet_id: None,
            ids: delivery.ids(),
        };
        match qos {
            QoS::AtMostOnce => self.deliver_at_most_once(recipient.session, copy, fanout),
            QoS::AtLeastOnce | QoS::ExactlyOnce => {
                self.deliver_kept(recipient.session, copy, fanout)
            }
        }
    }

    #[inline(always)]
    fn deliver_at_most_once(&mut self, key: SessionKey, copy: Copy<'_>, fanout: &mut Fanout<'_>) {
        match self.place(key) {
            Place::Now(conn) => self.write_fanout(key, conn, copy, fanout),
            Place::Queue => self.enqueue(key, outbound(fanout, copy, None)),
            Place::Nowhere => {}
            Place::Drop(reason) => self.lost_copy(reason, key, copy.qos, fanout),
        }
    }

    /// What becomes of a QoS 0 message for a recipient.
    #[inline]
    fn place(&self, key: SessionKey) -> Place {
        let Some(client) = self.clients.at(key) else {
            return Place::Nowhere;
        };
        let Some(conn_id) = client.conn else {
            return match self.limits.queue_qos0 {
                true => Place::Queue,
                false => Place::Nowhere,
            };
        };
        let Some(conn) = self.conns.at(conn_id) else {
            return Place::Nowhere;
        };
        match shed(conn.output.len(), &self.limits, self.shared.resident().0) {
            Some(reason) => Place::Drop(reason),
            // What waits must not be overtaken (MQTT-4.6.0-6).
            None if client.session.has_qos0_waiting() => Place::Queue,
            None => Place::Now(conn_id),
        }
    }

    /// QoS 1 or 2: sent now, or queued, and recorded if the session is durable.
    fn deliver_kept(&mut self, key: SessionKey, mut copy: Copy<'_>, fanout: &mut Fanout<'_>) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let owed = owe(client, fanout.parts.durability, copy.qos);
        let number = owed.map(|(_, number)| number);
        let when = when(number, copy.qos);
        let room = client.conn.and_then(|id| {
            let conn = self.conns.at(id)?;
            let window = conn.open()?.link.window();
            (conn.output.len() <= self.limits.output_bytes).then_some((id, window))
        });
        let sent = room.map(|(conn, window)| {
            let keeps = client.keeps();
            let kept = || keeps.then(|| outbound(fanout, copy, number));
            let offer = client.session.offer(copy.qos, window, when, kept);
            show_inflight(client);
            (conn, offer)
        });
        copy.packet_id = sent.and_then(|(_, offer)| offered(offer));
        if let Some((session, number)) = owed {
            self.owing.deliveries.push(store::Delivery {
                session,
                number,
                qos: copy.qos,
                retain: copy.retain,
                packet_id: copy.packet_id,
                ids: (!copy.ids.is_empty()).then(|| copy.ids.into()),
                share: None,
            });
        }
        match sent {
            Some((_, Offer::Held(id))) => self.owing.gates.extend(number.map(|no| (key, id, no))),
            Some((conn, Offer::Send(_))) => self.write_fanout(key, conn, copy, fanout),
            Some((_, Offer::Wait)) | None => {
                if number.is_some() {
                    self.keep_fanout(fanout);
                }
                self.enqueue(key, outbound(fanout, copy, number));
            }
        }
    }

    /// Writes the message at hand to one connection.
    #[inline]
    fn write_fanout(
        &mut self,
        key: SessionKey,
        conn_id: ConnId,
        copy: Copy<'_>,
        fanout: &mut Fanout<'_>,
    ) {
        let Some(conn) = self.conns.at_mut(conn_id) else {
            return;
        };
        let metrics = self.shared.metrics_of(self.id);
        let mut heads = std::mem::take(&mut fanout.heads);
        let content = fanout.content();
        let pool = &mut self.pool;
        let written = write_publish(conn, pool, metrics, &mut heads, &content, copy, fanout.now);
        fanout.heads = heads;
        conn.touch(conn_id, &mut self.touched);
        if let Err(why) = written {
            self.give_up_copy(key, copy.packet_id, why.reason(), fanout);
        } else if self.watch.tells(fanout.parts.followed) {
            self.tell_sent(key, copy, fanout);
        }
    }

    /// A message that the client cannot take (MQTT-3.1.2-25), or that has expired, counts as
    /// delivered.
    fn give_up(
        &mut self,
        key: SessionKey,
        packet_id: Option<PacketId>,
        reason: DropReason,
        about: About<'_>,
        size: usize,
    ) {
        self.lost_of(reason, Some(key), about, None, size);
        if let (Some(packet_id), Some(client)) = (packet_id, self.clients.at_mut(key)) {
            let number = client.session.abandon(packet_id);
            show_inflight(client);
            self.lose(key, number);
        }
    }

    /// The same for the message at hand.
    #[cold]
    #[inline(never)]
    fn give_up_copy(
        &mut self,
        key: SessionKey,
        packet_id: Option<PacketId>,
        reason: DropReason,
        fanout: &Fanout<'_>,
    ) {
        let about = About::of(fanout.route.topic(), &fanout.parts);
        self.give_up(key, packet_id, reason, about, fanout.parts.payload.len());
    }

    fn give_up_outbound(
        &mut self,
        key: SessionKey,
        packet_id: Option<PacketId>,
        reason: DropReason,
        outbound: &Outbound,
    ) {
        let about = About::outbound(outbound);
        self.give_up(key, packet_id, reason, about, outbound.body.size());
    }

    /// A delivery is over before its time: it is settled behind the record of the message at
    /// hand, which may be this one.
    pub(super) fn lose(&mut self, key: SessionKey, number: Option<DeliveryNumber>) {
        if let Some(session) = self.stored(key)
            && let Some(number) = number
        {
            self.owing.lost.push((session, number));
        }
    }

    /// Whether a message that waits may stay in memory beside the store.
    pub(super) fn has_memory_for(&self, size: usize) -> bool {
        let budget = match (self.limits.stored_memory, self.limits.memory) {
            (0, 0) => return true,
            (0, memory) => memory / 8,
            (budget, _) => budget,
        };
        let waiting = self.shared.totals().gauge(Gauge::WaitingBytes);
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        let taken = waiting.saturating_add(self.shared.retained.memory());
        taken.saturating_add(size) <= budget
    }

    /// Messages that came to the store before this, in milliseconds of its clock, have waited
    /// too long.
    pub(super) fn oldest_welcome(&self, now: Time) -> u64 {
        let age = self.limits.queued_age;
        if !self.durable || age.is_zero() {
            return 0;
        }
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let clock = self.store.clock().saturating_add(now.as_millis());
        clock.saturating_sub(age)
    }

    /// Puts a message into a session's queue; what has to go for it is counted.
    pub(super) fn enqueue(&mut self, key: SessionKey, mut outbound: Outbound) {
        if self.watch.tells_outbound(&outbound) {
            self.tell_queued(key, &outbound);
        }
        if outbound.number.is_some() && !self.has_memory_for(outbound.body.size()) {
            outbound.body = outbound.body.without_message();
        }
        let (shared, id, watch) = (&self.shared, self.id, &mut self.watch);
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let (conns, conn) = (&self.conns, client.conn);
        let (session, owing) = (client.stored, &mut self.owing);
        let overflown = &mut client.overflown;
        let name = &client.id;
        let limits = self.spools.of(name.as_str()).unwrap_or(&self.limits);
        client.session.enqueue(outbound, limits, |lost| {
            *overflown = overflown.saturating_add(1);
            let peer = conn.and_then(|conn| Some(conns.at(conn)?.info.peer));
            watch.lost(
                shared,
                id,
                Lost::of(&lost, DropReason::QueueFull, (key, name), peer),
            );
            owing.lost.extend(session.zip(lost.number));
        });
        recount(shared.metrics_of(id), client);
    }

    /// Delivers one message that is behind a reference count already, and records it.
    pub(super) fn deliver_outbound(&mut self, key: SessionKey, mut outbound: Outbound, now: Time) {
        // It may have expired on the way here (MQTT-3.3.2-5).
        if outbound.body.is_expired(now) {
            return self.lost_outbound(DropReason::Expired, key, &outbound);
        }
        if outbound.qos == QoS::AtMostOnce {
            return self.deliver_unkept(key, &outbound, now);
        }
        let (Some(client), Some(message)) = (self.clients.at_mut(key), outbound.body.message())
        else {
            return;
        };
        let message = Arc::clone(message);
        let owed = owe(client, message.durability(), outbound.qos);
        outbound.number = owed.map(|(_, number)| number);
        let conn = client.conn;
        let sent = conn.and_then(|conn| Some((conn, self.offer_outbound(key, conn, &outbound)?)));
        if let Some(owed) = owed {
            let packet_id = sent.and_then(|(_, offer)| offered(offer));
            self.keep(&message, now);
            self.owing
                .deliveries
                .push(delivery(owed, &outbound, packet_id));
        }
        match sent {
            Some((_, Offer::Held(id))) => {
                let gate = outbound.number.map(|number| (key, id, number));
                self.owing.gates.extend(gate);
            }
            Some((conn, Offer::Send(id))) => {
                self.send_first(key, conn, Some(id), &outbound, now);
            }
            Some((_, Offer::Wait)) | None => self.enqueue(key, outbound),
        }
    }

    fn deliver_unkept(&mut self, key: SessionKey, outbound: &Outbound, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let Some(conn) = client.conn else {
            if self.limits.queue_qos0 {
                self.enqueue(key, outbound.clone());
            }
            return;
        };
        if client.session.has_waiting() {
            return self.enqueue(key, outbound.clone());
        }
        let backlog = self.conns.at(conn).map_or(0, |conn| conn.output.len());
        match shed(backlog, &self.limits, self.shared.resident().0) {
            Some(reason) => self.lost_outbound(reason, key, outbound),
            None => self.send_first(key, conn, None, outbound, now),
        }
    }

    /// The packet identifier for a QoS 1 or 2 message that can go out at once.
    fn offer_outbound(
        &mut self,
        key: SessionKey,
        conn: ConnId,
        outbound: &Outbound,
    ) -> Option<Offer> {
        let conn = self.conns.at(conn)?;
        let window = conn.open()?.link.window();
        if conn.output.len() > PUMP_UP_TO {
            return None;
        }
        let client = self.clients.at_mut(key)?;
        let keeps = client.keeps() || outbound.matched.share().is_some();
        let kept = || keeps.then(|| outbound.clone());
        let when = when(outbound.number, outbound.qos);
        let offer = client.session.offer(outbound.qos, window, when, kept);
        show_inflight(client);
        Some(offer)
    }

    /// Writes what waits for a client, as long as there is room.
    pub(super) fn pump(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let Some(conn_id) = client.conn else { return };
        if !client.session.has_waiting() {
            return self.settle_asks(key);
        }
        let Some(window) = self
            .conns
            .at(conn_id)
            .and_then(|conn| conn.open())
            .map(|open| open.link.window())
        else {
            return;
        };
        while self
            .conns
            .at(conn_id)
            .is_some_and(|conn| conn.output.len() < PUMP_UP_TO)
        {
            match self.next_to_send(key, window, now) {
                None | Some(Next::Missing) => break,
                Some(next) => self.send_next(key, conn_id, next, now),
            }
        }
        self.record_lost();
        self.load_missing(key, now);
        self.recount(key);
        self.settle_asks(key);
    }

    fn next_to_send(&mut self, key: SessionKey, window: usize, now: Time) -> Option<Next> {
        let oldest = self.oldest_welcome(now);
        let (shared, id, watch) = (&self.shared, self.id, &mut self.watch);
        let client = self.clients.at_mut(key)?;
        let (conns, conn) = (&self.conns, client.conn);
        let (keeps, session, owing) = (client.keeps(), client.stored, &mut self.owing);
        let name = &client.id;
        let when = |outbound: &Outbound| when(outbound.number, outbound.qos);
        let is_over = |body: &Body| is_over(body, oldest, now);
        client
            .session
            .next_to_send(window, keeps, is_over, when, |late| {
                let reason = match late.body.is_expired(now) {
                    true => DropReason::Expired,
                    false => DropReason::TooOld,
                };
                let peer = conn.and_then(|conn| Some(conns.at(conn)?.info.peer));
                watch.lost(shared, id, Lost::of(&late, reason, (key, name), peer));
                owing.lost.extend(session.zip(late.number));
            })
    }

    fn send_next(&mut self, key: SessionKey, conn: ConnId, next: Next, now: Time) {
        match next {
            Next::Publish(Some(packet_id), outbound) => {
                self.record_sent(key, packet_id, &outbound);
                let client = self.clients.at(key);
                if client.is_some_and(|client| client.is_unsure(&outbound)) {
                    // MQTT-3.3.1-1.
                    self.send_again(key, conn, packet_id, &outbound, now);
                } else {
                    self.send_first(key, conn, Some(packet_id), &outbound, now);
                }
            }
            Next::Held(packet_id, outbound) => {
                self.record_sent(key, packet_id, &outbound);
                let class = outbound.body.message().map(|message| message.durability());
                let class = class.unwrap_or_default();
                self.open_gate_when_safe(key, packet_id, outbound.number, class);
            }
            Next::PublishHeld(packet_id, outbound) => {
                self.send_held(key, conn, packet_id, &outbound, now);
            }
            Next::Publish(None, outbound) => self.send_first(key, conn, None, &outbound, now),
            Next::PublishAgain(packet_id, outbound) => {
                self.send_again(key, conn, packet_id, &outbound, now);
            }
            Next::PubrelAgain(packet_id) => self.write_pubrel(conn, packet_id),
            Next::Missing => {}
        }
    }

    /// Writes a message that was held. It may have expired meanwhile (MQTT-3.3.2-5).
    pub(super) fn send_held(
        &mut self,
        key: SessionKey,
        conn: ConnId,
        packet_id: PacketId,
        outbound: &Outbound,
        now: Time,
    ) {
        if !outbound.body.is_expired(now) {
            return self.send_first(key, conn, Some(packet_id), outbound, now);
        }
        self.give_up_outbound(key, Some(packet_id), DropReason::Expired, outbound);
        self.record_lost();
    }

    /// Writes a message to a client that has not had it.
    pub(super) fn send_first(
        &mut self,
        key: SessionKey,
        conn: ConnId,
        packet_id: Option<PacketId>,
        outbound: &Outbound,
        now: Time,
    ) {
        if !self.may_have_outbound(key, outbound) {
            return self.decline(key, packet_id, outbound);
        }
        if let Err(why) = self.write_outbound(conn, packet_id, outbound, false, now) {
            self.give_up_outbound(key, packet_id, why.reason(), outbound);
        } else if self.watch.tells_outbound(outbound) {
            self.tell_outbound_sent(key, packet_id, outbound, false);
        }
    }

    /// Writes a message to a client that has had it, or may have, with DUP.
    fn send_again(
        &mut self,
        key: SessionKey,
        conn: ConnId,
        packet_id: PacketId,
        outbound: &Outbound,
        now: Time,
    ) {
        let reason = if !self.may_have_outbound(key, outbound) {
            if outbound.qos == QoS::AtLeastOnce {
                return self.decline(key, Some(packet_id), outbound);
            }
            DropReason::NotAuthorized
        } else {
            match self.write_outbound(conn, Some(packet_id), outbound, true, now) {
                Ok(()) => {
                    if self.watch.tells_outbound(outbound) {
                        self.tell_outbound_sent(key, Some(packet_id), outbound, true);
                    }
                    return;
                }
                Err(why) => why.reason(),
            }
        };
        match outbound.qos {
            QoS::ExactlyOnce => {
                // The client may have it, and takes nothing else by this identifier until it is
                // released: as if PUBREC had come (MQTT-4.3.3-10, 2.2.1).
                self.lost_outbound(reason, key, outbound);
                self.take_pubrec(key, conn, packet_id, false, now);
            }
            QoS::AtMostOnce | QoS::AtLeastOnce => {
                self.give_up_outbound(key, Some(packet_id), reason, outbound);
            }
        }
    }

    /// A message that the client may not have counts as delivered; one that a group gave to it is
    /// for another member.
    fn decline(&mut self, key: SessionKey, packet_id: Option<PacketId>, outbound: &Outbound) {
        if outbound.matched.share().is_none() {
            return self.give_up_outbound(key, packet_id, DropReason::NotAuthorized, outbound);
        }
        if let (Some(packet_id), Some(client)) = (packet_id, self.clients.at_mut(key)) {
            client.session.abandon(packet_id);
            show_inflight(client);
        }
        self.declined.push((key, outbound.clone()));
    }

    /// A session is gone: its part in the gauges with it.
    pub(super) fn uncount(&self, client: &Client) {
        shift(self.metrics(), Gauge::Waiting, client.counted.waiting, 0);
        shift(self.metrics(), Gauge::WaitingBytes, client.counted.bytes, 0);
    }

    /// Brings the gauges and what shared groups see up to date with a session.
    pub(super) fn recount(&mut self, key: SessionKey) {
        let metrics = self.shared.metrics_of(self.id);
        if let Some(client) = self.clients.at_mut(key) {
            recount(metrics, client);
        }
    }
}

fn recount(metrics: &Metrics, client: &mut Client) {
    let session: &Session = &client.session;
    let counted = Counted {
        waiting: session.queued_len(),
        bytes: session.queued_bytes(),
    };
    if counted != client.counted {
        shift(
            metrics,
            Gauge::Waiting,
            client.counted.waiting,
            counted.waiting,
        );
        shift(
            metrics,
            Gauge::WaitingBytes,
            client.counted.bytes,
            counted.bytes,
        );
        client.counted = counted;
    }
    show_inflight(client);
}

/// Shows shared groups how much is on its way to a member.
fn show_inflight(client: &Client) {
    if let Some(member) = &client.member {
        let inflight = client.session.inflight_len();
        member.set_inflight(u32::try_from(inflight).unwrap_or(u32::MAX));
    }
}

fn shift(metrics: &Metrics, gauge: Gauge, from: usize, to: usize) {
    let (from, to) = (
        u64::try_from(from).unwrap_or(0),
        u64::try_from(to).unwrap_or(0),
    );
    metrics.set(
        gauge,
        metrics.gauge(gauge).saturating_sub(from).saturating_add(to),
    );
}

fn outbound(fanout: &mut Fanout<'_>, copy: Copy<'_>, number: Option<DeliveryNumber>) -> Outbound {
    Outbound {
        body: Body::Here(Arc::clone(fanout.message())),
        qos: copy.qos,
        retain: copy.retain,
        matched: Matched::new((!copy.ids.is_empty()).then(|| copy.ids.into()), None),
        number,
    }
}

/// Whether a session has the message already, from an earlier run.
fn is_skipped(session: Option<StoredSession>, skip: Option<&RecoveredBegun>) -> bool {
    skip.is_some_and(|skip| session.is_some_and(|session| skip.sessions.contains(&session)))
}

/// Whether a message that waits is given up: it expired, or came before `oldest` (as
/// [`Worker::oldest_welcome`] says).
pub(super) fn is_over(body: &Body, oldest: u64, now: Time) -> bool {
    let reference = body.reference();
    body.is_expired(now) || reference.is_some_and(|one| one.millis() < oldest)
}

/// A QoS 2 identifier that a crash would take back must not be seen.
fn when(number: Option<DeliveryNumber>, qos: QoS) -> When {
    match number {
        Some(_) if qos == QoS::ExactlyOnce => When::Safe,
        _ => When::Now,
    }
}

fn offered(offer: Offer) -> Option<PacketId> {
    match offer {
        Offer::Send(id) | Offer::Held(id) => Some(id),
        Offer::Wait => None,
    }
}

/// Why QoS 0 is dropped for a client with so much to write, if it is. The nearer the memory
/// budget, the less backlog is borne, so that the slowest lose first.
fn shed(backlog: usize, limits: &types::Limits, resident: u64) -> Option<DropReason> {
    if backlog > limits.output_bytes {
        return Some(DropReason::SlowConsumer);
    }
    let budget = u64::try_from(limits.memory).unwrap_or(u64::MAX);
    let near = (budget / 10).saturating_mul(9);
    if budget == 0 || backlog == 0 || resident < near {
        return None;
    }
    let borne = if resident >= budget {
        0
    } else {
        limits.output_bytes / 16
    };
    (backlog > borne).then_some(DropReason::Memory)
}
