//! Packets to the output of a connection.

use std::num::NonZeroU32;
use std::sync::Arc;

use codec::publish::PublishHead;
use codec::{Ack, EncodeError, Packet, ReasonList};
use protocol::connection::aliases::AliasUse;
use protocol::{Outbound, Violation};
use types::{ConnId, Message, MessageParts, PacketId, ProtocolVersion, QoS, ReasonCode, Time};

use super::Worker;
use crate::conn::Conn;
use crate::event::{CloseReason, DropReason, Event};
use crate::listeners::Mount;
use crate::metrics::{Counter, Metrics};
use crate::output::BufferPool;
use crate::timers::Timer;

/// Payloads from this size on are shared between the outputs of several recipients; below,
/// a copy is cheaper than a piece of its own in a gathered write.
pub(super) const SHARE_FROM: usize = 512;

/// What one recipient gets of a message, beside what all share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy<'a> {
    pub(super) dup: bool,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) packet_id: Option<PacketId>,
    pub(super) ids: &'a [NonZeroU32],
}

/// The bytes before a payload, kept for the next recipient that gets the same ones.
#[derive(Debug, Default)]
pub(super) struct HeadCache {
    key: Option<(bool, QoS, bool)>,
    head: Vec<u8>,
    id_at: usize,
}

/// A message as the writer needs it.
pub(super) struct Content<'a> {
    pub(super) topic: &'a Arc<str>,
    pub(super) parts: MessageParts<'a>,
    /// Present if the payload may be shared.
    pub(super) shared: Option<&'a Arc<Message>>,
}

/// Why a message is not written to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritten {
    /// The packet would be larger than the client takes.
    TooLarge,
    /// The topic is outside of the client's mount.
    OutOfReach,
}

impl Unwritten {
    pub(super) fn reason(self) -> DropReason {
        match self {
            Self::TooLarge => DropReason::TooLarge,
            Self::OutOfReach => DropReason::NotAuthorized,
        }
    }
}

/// Appends a PUBLISH to a connection's output.
#[inline]
pub(super) fn write_publish(
    conn: &mut Conn,
    pool: &mut BufferPool,
    metrics: &Metrics,
    cache: &mut HeadCache,
    content: &Content<'_>,
    copy: Copy<'_>,
    now: Time,
) -> Result<(), Unwritten> {
    let Some(open) = conn.open_mut() else {
        return Ok(());
    };
    let mount = open.mount.as_deref();
    if mount.is_some_and(|mount| mount.taken_off(content.topic).is_none()) {
        return Err(Unwritten::OutOfReach);
    }
    let version = open.link.version();
    let payload = content.parts.payload;
    let use_of_alias = open.link.aliases_out.name(content.topic);
    let room = open.link.packet_size();
    let to = To {
        version,
        mount,
        room,
    };
    let mut encoded = head(cache, to, content, copy, use_of_alias, now);
    if encoded.is_err()
        && let AliasUse::Introduce(_) = use_of_alias
    {
        // The alias was not told, and may be what makes the packet too large.
        open.link.aliases_out.forget(content.topic);
        encoded = head(cache, to, content, copy, AliasUse::None, now);
    }
    if encoded.is_err() {
        bare_head(cache, to, content, copy, use_of_alias, now)?;
    }
    let buffer = conn.output.buffer(pool);
    buffer.extend_from_slice(&cache.head);
    match content.shared.filter(|_| payload.len() >= SHARE_FROM) {
        Some(message) => conn.output.push_shared(Arc::clone(message)),
        None => buffer.extend_from_slice(payload),
    }
    conn.traffic.messages_out = conn.traffic.messages_out.wrapping_add(1);
    metrics.add(Counter::publish_sent(copy.qos), 1);
    metrics.add(Counter::PacketsSent, 1);
    metrics.add(
        Counter::PublishBytesSent,
        u64::try_from(payload.len()).unwrap_or(0),
    );
    Ok(())
}

/// What matters of who is written to.
#[derive(Clone, Copy)]
struct To<'a> {
    version: ProtocolVersion,
    mount: Option<&'a Mount>,
    /// Largest packet, in bytes.
    room: usize,
}

impl To<'_> {
    /// The topic as the client knows it.
    fn topic<'t>(&self, content: &Content<'t>) -> &'t str {
        let topic: &str = content.topic;
        self.mount
            .and_then(|mount| mount.taken_off(topic))
            .unwrap_or(topic)
    }
}

/// Brings the head of the packet into the cache, if the packet has room.
#[inline]
fn head(
    cache: &mut HeadCache,
    to: To<'_>,
    content: &Content<'_>,
    copy: Copy<'_>,
    use_of_alias: AliasUse,
    now: Time,
) -> Result<(), Unwritten> {
    let plain =
        use_of_alias == AliasUse::None && copy.ids.is_empty() && !copy.dup && to.mount.is_none();
    let key = (to.version.has_properties(), copy.qos, copy.retain);
    if !plain || cache.key != Some(key) {
        let encoded = encode_head(cache, to, content, copy, use_of_alias, now);
        cache.key = (plain && encoded.is_ok()).then_some(key);
        encoded.map_err(|_| Unwritten::TooLarge)?;
    } else if let (Some(id), Some(place)) = (
        copy.packet_id,
        cache
            .head
            .get_mut(cache.id_at..)
            .and_then(<[u8]>::first_chunk_mut::<2>),
    ) {
        *place = id.get().to_be_bytes();
    }
    if cache.head.len().saturating_add(content.parts.payload.len()) > to.room {
        return Err(Unwritten::TooLarge);
    }
    Ok(())
}

/// The same without what the server added to follow the message: nobody is to miss it for that.
#[cold]
#[inline(never)]
fn bare_head(
    cache: &mut HeadCache,
    to: To<'_>,
    content: &Content<'_>,
    copy: Copy<'_>,
    use_of_alias: AliasUse,
    now: Time,
) -> Result<(), Unwritten> {
    let parts = content.parts.bare().ok_or(Unwritten::TooLarge)?;
    let use_of_alias = match use_of_alias {
        AliasUse::Introduce(_) => AliasUse::None,
        known => known,
    };
    let bare = Content { parts, ..*content };
    // The next one may have room.
    cache.key = None;
    let encoded = encode_head(cache, to, &bare, copy, use_of_alias, now);
    encoded.map_err(|_| Unwritten::TooLarge)?;
    if cache.head.len().saturating_add(parts.payload.len()) > to.room {
        return Err(Unwritten::TooLarge);
    }
    Ok(())
}

fn encode_head(
    cache: &mut HeadCache,
    to: To<'_>,
    content: &Content<'_>,
    copy: Copy<'_>,
    use_of_alias: AliasUse,
    now: Time,
) -> Result<(), EncodeError> {
    let (topic, topic_alias) = match use_of_alias {
        AliasUse::None => (to.topic(content), None),
        AliasUse::Introduce(alias) => (to.topic(content), Some(alias)),
        AliasUse::Known(alias) => ("", Some(alias)),
    };
    let expires = content.parts.expires;
    let head = PublishHead {
        dup: copy.dup,
        qos: copy.qos,
        retain: copy.retain,
        topic,
        packet_id: copy.packet_id,
        message_expiry: expires.map(|at| types::message::remaining_seconds(at, now)),
        topic_alias,
        subscription_ids: copy.ids,
        forward_bytes: content.parts.properties,
        payload_len: content.parts.payload.len(),
    };
    cache.head.clear();
    cache.id_at = head.encode(to.version, &mut cache.head)?;
    Ok(())
}

impl Worker {
    /// Writes a message that waited or goes out again.
    pub(super) fn write_outbound(
        &mut self,
        id: ConnId,
        packet_id: Option<PacketId>,
        outbound: &Outbound,
        dup: bool,
        now: Time,
    ) -> Result<(), Unwritten> {
        let metrics = self.shared.metrics_of(self.id);
        let (Some(conn), Some(message)) = (self.conns.at_mut(id), outbound.body.message()) else {
            return Ok(());
        };
        let mut cache = HeadCache {
            head: std::mem::take(&mut self.scratch),
            ..HeadCache::default()
        };
        let content = Content {
            topic: message.topic(),
            parts: message.parts(),
            shared: Some(message),
        };
        let copy = Copy {
            dup: dup && outbound.qos != QoS::AtMostOnce,
            qos: outbound.qos,
            retain: outbound.retain,
            packet_id,
            ids: outbound.matched.ids(),
        };
        let written = write_publish(
            conn,
            &mut self.pool,
            metrics,
            &mut cache,
            &content,
            copy,
            now,
        );
        self.scratch = cache.head;
        self.touch(id);
        written
    }

    /// Writes any packet but PUBLISH. Nothing above the client's Maximum Packet Size is sent
    /// (MQTT-3.1.2-24): a client that leaves no room for what it must be answered is let go at
    /// the end of the turn.
    pub(super) fn write(&mut self, id: ConnId, version: ProtocolVersion, packet: &Packet<'_>) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let room = usize::try_from(conn.room).unwrap_or(usize::MAX);
        let buffer = conn.output.buffer(&mut self.pool);
        let before = buffer.len();
        if codec::encode(packet, version, buffer).is_err() {
            // A mistake of our own. The client would wait for ever for what it is owed.
            buffer.truncate(before);
            let peer = conn.info.peer;
            self.count(Counter::Unencodable, 1);
            self.event(Event::Unencodable {
                peer,
                packet: packet.packet_type().as_str(),
            });
            self.unanswerable.push(id);
            return;
        }
        if buffer.len().saturating_sub(before) > room {
            buffer.truncate(before);
            self.unanswerable.push(id);
            return;
        }
        self.count(Counter::PacketsSent, 1);
        self.touch(id);
    }

    /// Ends the connections that could not be answered.
    pub(super) fn let_unanswerable_go(&mut self, now: Time) {
        for id in std::mem::take(&mut self.unanswerable) {
            self.violate(id, Violation::NoRoomToAnswer, now);
        }
    }

    /// Writes PUBACK, PUBREC, PUBREL or PUBCOMP, which `wrap` makes of the acknowledgement.
    pub(super) fn write_ack(
        &mut self,
        id: ConnId,
        packet_id: PacketId,
        reason: ReasonCode,
        why: Option<&'static str>,
        wrap: for<'a> fn(Ack<'a>) -> Packet<'a>,
    ) {
        let Some(open) = self.conns.at(id).and_then(Conn::open) else {
            return;
        };
        let version = open.link.version();
        let room = open.link.packet_size();
        // MQTT-3.1.2-29, MQTT-3.4.2-2: only if asked for and if it fits.
        let reason_string = why
            .filter(|why| open.link.problem_information() && why.len().saturating_add(16) <= room);
        let ack = Ack {
            packet_id,
            reason,
            reason_string,
            user: Default::default(),
        };
        self.write(id, version, &wrap(ack));
    }

    /// Writes SUBACK or UNSUBACK, which `wrap` makes of the list.
    pub(super) fn write_reasons(
        &mut self,
        id: ConnId,
        packet_id: PacketId,
        reasons: &[u8],
        wrap: for<'a> fn(ReasonList<'a>) -> Packet<'a>,
    ) {
        let Some(version) = self
            .conns
            .at(id)
            .and_then(Conn::open)
            .map(|open| open.link.version())
        else {
            return;
        };
        let list = ReasonList {
            packet_id,
            reason_string: None,
            user: Default::default(),
            reasons,
        };
        self.write(id, version, &wrap(list));
    }

    /// The link took bytes, or no more of them.
    pub(super) fn written(&mut self, id: ConnId, count: usize, now: Time) {
        self.count(Counter::BytesSent, u64::try_from(count).unwrap_or(0));
        let write_stall = self.limits.write_stall;
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        let bytes = u64::try_from(count).unwrap_or(0);
        conn.traffic.bytes_out = conn.traffic.bytes_out.wrapping_add(bytes);
        conn.output.consume(count, &mut self.pool);
        if conn.output.is_empty() {
            conn.blocked = false;
            conn.last_written = now;
        } else if count > 0 {
            conn.last_written = now;
        }
        if !conn.output.is_empty() && !conn.blocked {
            conn.blocked = true;
            conn.last_written = now;
            if !std::mem::replace(&mut conn.watched, true) {
                self.set_far_timer(now + write_stall, Timer::WriteStall(id), now);
            }
        }
        let Some(conn) = self.conns.at(id) else {
            return;
        };
        let low = conn.output.len() < super::deliver::PUMP_UP_TO;
        let session = conn.open().map(|open| open.session);
        self.output_has_room(id);
        let Some(session) = session else { return };
        if low {
            self.pump(session, now);
            self.wake_replay(session);
        }
    }

    pub(super) fn check_write_stall(&mut self, id: ConnId, now: Time) {
        let write_stall = self.limits.write_stall;
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        conn.watched = conn.blocked;
        if !conn.blocked {
            return;
        }
        let deadline = conn.last_written + write_stall;
        if deadline <= now {
            self.close(id, CloseReason::WriteStall, now);
        } else {
            self.set_far_timer(deadline, Timer::WriteStall(id), now);
        }
    }

    pub(super) fn check_keep_alive(&mut self, id: ConnId, now: Time) {
        let Some(conn) = self.conns.at(id) else {
            return;
        };
        let Some(deadline) = conn
            .open()
            .and_then(|open| open.link.keep_alive_deadline(conn.last_received))
        else {
            return;
        };
        if deadline <= now && conn.pause.is_none() {
            self.violate(id, Violation::KeepAliveTimeout, now);
        } else {
            let again = deadline.max(now + std::time::Duration::from_millis(100));
            self.set_far_timer(again, Timer::KeepAlive(id), now);
        }
    }
}

impl HeadCache {
    /// Works in a buffer that was used before.
    pub(super) fn take_buffer(&mut self, buffer: &mut Vec<u8>) {
        self.head = std::mem::take(buffer);
    }

    /// Gives the buffer back.
    pub(super) fn give_buffer(&mut self, buffer: &mut Vec<u8>) {
        *buffer = std::mem::take(&mut self.head);
    }
}
