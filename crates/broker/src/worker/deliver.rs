//! A message to one recipient: now, or into its queue.

use protocol::session::{Next, Offer};
use protocol::{Outbound, Session};
use topics::{Delivery, Recipient};
use types::{ConnId, PacketId, QoS, SessionKey, SessionRef, Time};

use super::Worker;
use super::publish::Fanout;
use super::write::{Copy, TooLarge, write_publish};
use crate::client::{Client, Counted};
use crate::event::DropReason;
use crate::metrics::{Gauge, Metrics};

/// While a connection has more than this to write, its queue waits.
pub(super) const PUMP_UP_TO: usize = 128 * 1024;

/// What becomes of a message for a recipient.
enum Place {
    /// It goes out now, with this identifier unless it is QoS 0.
    Now(ConnId, Option<PacketId>),
    /// It waits in the session's queue.
    Queue,
    /// It is lost, and counted.
    Drop(DropReason),
    /// There is nobody to have it: the session is gone, or away and the message QoS 0.
    Nowhere,
}

impl Worker {
    /// Delivers to one entry of a route.
    #[inline]
    pub(super) fn deliver_to(&mut self, recipient: &Recipient, fanout: &mut Fanout<'_>) {
        let me = SessionRef {
            worker: self.id,
            key: recipient.session,
        };
        let own = fanout.parts.publisher == Some(me);
        let Some(delivery) = recipient.delivery_for(own) else {
            return;
        };
        self.deliver(recipient.session, delivery, fanout);
    }

    fn deliver(&mut self, key: SessionKey, delivery: &Delivery, fanout: &mut Fanout<'_>) {
        let qos = fanout.parts.qos.min(delivery.qos);
        let retain = fanout.parts.retain && delivery.retain_as_published;
        let (conn_id, packet_id) = match self.place(key, delivery, qos, retain, fanout) {
            Place::Now(conn, packet_id) => (conn, packet_id),
            Place::Queue => {
                let outbound = outbound(fanout, delivery, qos, retain);
                return self.enqueue(key, outbound);
            }
            Place::Nowhere => return,
            Place::Drop(reason) => {
                self.metrics()
                    .dropped(reason, 1, fanout.parts.payload.len());
                return;
            }
        };
        let Some(conn) = self.conns.at_mut(conn_id) else {
            return;
        };
        let metrics = self.shared.metrics_of(self.id);
        let copy = Copy {
            dup: false,
            qos,
            retain,
            packet_id,
            ids: delivery.ids(),
        };
        let mut heads = std::mem::take(&mut fanout.heads);
        let content = fanout.content();
        let pool = &mut self.pool;
        let written = write_publish(conn, pool, metrics, &mut heads, &content, copy, fanout.now);
        fanout.heads = heads;
        conn.touch(conn_id, &mut self.touched);
        if written == Err(TooLarge) {
            self.give_up(key, packet_id, fanout.parts.payload.len());
        }
    }

    /// What becomes of a message for a recipient.
    #[inline]
    fn place(
        &mut self,
        key: SessionKey,
        delivery: &Delivery,
        qos: QoS,
        retain: bool,
        fanout: &mut Fanout<'_>,
    ) -> Place {
        let Some(client) = self.clients.at_mut(key) else {
            return Place::Nowhere;
        };
        if self.durable && qos != QoS::AtMostOnce && client.keeps() {
            self.promises.recipients.push((key, qos));
        }
        let Some(conn_id) = client.conn else {
            let waits = qos != QoS::AtMostOnce || self.limits.queue_qos0;
            return if waits { Place::Queue } else { Place::Nowhere };
        };
        let Some(conn) = self.conns.at(conn_id) else {
            return Place::Nowhere;
        };
        let backlog = conn.output.len();
        if qos == QoS::AtMostOnce {
            return match shed(backlog, &self.limits, self.shared.resident().0) {
                Some(reason) => Place::Drop(reason),
                // What waits must not be overtaken (MQTT-4.6.0-6).
                None if client.session.has_qos0_waiting() => Place::Queue,
                None => Place::Now(conn_id, None),
            };
        }
        let Some(open) = conn.open() else {
            return Place::Nowhere;
        };
        if backlog > self.limits.output_bytes {
            return Place::Queue;
        }
        let keeps = client.keeps();
        let kept = || keeps.then(|| outbound(fanout, delivery, qos, retain));
        match client.session.offer(qos, open.link.window(), kept) {
            Offer::Send(packet_id) => {
                show_inflight(client);
                Place::Now(conn_id, Some(packet_id))
            }
            Offer::Wait => Place::Queue,
        }
    }

    /// A message that the client cannot take counts as delivered (MQTT-3.1.2-25).
    fn give_up(&mut self, key: SessionKey, packet_id: Option<PacketId>, size: usize) {
        self.metrics().dropped(DropReason::TooLarge, 1, size);
        if let (Some(packet_id), Some(client)) = (packet_id, self.clients.at_mut(key)) {
            client.session.abandon(packet_id);
            show_inflight(client);
        }
    }

    /// Puts a message into a session's queue; what has to go for it is counted.
    pub(super) fn enqueue(&mut self, key: SessionKey, outbound: Outbound) {
        let metrics = self.shared.metrics_of(self.id);
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        client.session.enqueue(outbound, &self.limits, |lost| {
            metrics.dropped(DropReason::QueueFull, 1, lost.message.payload().len());
        });
        recount(metrics, client);
    }

    /// Delivers one message that is behind a reference count already.
    pub(super) fn deliver_outbound(&mut self, key: SessionKey, outbound: Outbound, now: Time) {
        // It may have expired on the way here (MQTT-3.3.2-5).
        if outbound.message.is_expired(now) {
            let size = outbound.message.payload().len();
            self.metrics().dropped(DropReason::Expired, 1, size);
            return;
        }
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let Some(conn) = client.conn else {
            if outbound.qos != QoS::AtMostOnce || self.limits.queue_qos0 {
                self.enqueue(key, outbound);
            }
            return;
        };
        if outbound.qos == QoS::AtMostOnce && !client.session.has_waiting() {
            let size = outbound.message.payload().len();
            let backlog = self.conns.at(conn).map_or(0, |conn| conn.output.len());
            if let Some(reason) = shed(backlog, &self.limits, self.shared.resident().0) {
                self.metrics().dropped(reason, 1, size);
            } else if self.write_outbound(conn, None, &outbound, false, now) == Err(TooLarge) {
                self.give_up(key, None, size);
            }
            return;
        }
        if let Some(packet_id) = self.offer_outbound(key, conn, &outbound) {
            if self.write_outbound(conn, Some(packet_id), &outbound, false, now) == Err(TooLarge) {
                self.give_up(key, Some(packet_id), outbound.message.payload().len());
            }
            return;
        }
        self.enqueue(key, outbound);
        self.pump(key, now);
    }

    /// The packet identifier for a QoS 1 or 2 message that can go out at once.
    fn offer_outbound(
        &mut self,
        key: SessionKey,
        conn: ConnId,
        outbound: &Outbound,
    ) -> Option<PacketId> {
        let conn = self.conns.at(conn)?;
        let window = conn.open()?.link.window();
        if outbound.qos == QoS::AtMostOnce || conn.output.len() > PUMP_UP_TO {
            return None;
        }
        let client = self.clients.at_mut(key)?;
        let keeps = client.keeps() || outbound.share.is_some();
        let kept = || keeps.then(|| outbound.clone());
        let Offer::Send(packet_id) = client.session.offer(outbound.qos, window, kept) else {
            return None;
        };
        show_inflight(client);
        Some(packet_id)
    }

    /// Writes what waits for a client, as long as there is room.
    pub(super) fn pump(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        let Some(conn_id) = client.conn else { return };
        if !client.session.has_waiting() {
            return;
        }
        let Some(window) = self
            .conns
            .at(conn_id)
            .and_then(|conn| conn.open())
            .map(|open| open.link.window())
        else {
            return;
        };
        loop {
            let backlog = self
                .conns
                .at(conn_id)
                .map_or(usize::MAX, |conn| conn.output.len());
            if backlog >= PUMP_UP_TO {
                break;
            }
            let metrics = self.shared.metrics_of(self.id);
            let Some(client) = self.clients.at_mut(key) else {
                return;
            };
            let keeps = client.keeps();
            let next = client.session.next_to_send(window, keeps, now, |late| {
                metrics.dropped(DropReason::Expired, 1, late.message.payload().len());
            });
            let Some(next) = next else { break };
            self.send_next(key, conn_id, next, now);
        }
        self.recount(key);
    }

    fn send_next(&mut self, key: SessionKey, conn: ConnId, next: Next, now: Time) {
        let (packet_id, outbound, again) = match next {
            Next::Publish(packet_id, outbound) => (packet_id, outbound, false),
            Next::PublishAgain(packet_id, outbound) => (Some(packet_id), outbound, true),
            Next::PubrelAgain(packet_id) => {
                self.write_pubrel(conn, packet_id);
                return;
            }
        };
        if self.write_outbound(conn, packet_id, &outbound, again, now) == Err(TooLarge) {
            self.give_up(key, packet_id, outbound.message.payload().len());
        }
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

fn outbound(fanout: &mut Fanout<'_>, delivery: &Delivery, qos: QoS, retain: bool) -> Outbound {
    let ids = delivery.ids();
    Outbound {
        message: std::sync::Arc::clone(fanout.message()),
        qos,
        retain,
        ids: (!ids.is_empty()).then(|| ids.into()),
        share: None,
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
