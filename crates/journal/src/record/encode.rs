//! Records to bytes.

use std::num::NonZeroU32;
use std::time::Duration;

use store::{Delivery, Publisher, Record, Settled, WillParts};
use types::{
    DeliveryNumber, Durability, MessageRef, PacketId, QoS, StoredSession, SubscriptionFilter,
    SubscriptionOptions,
};

use super::bytes::{length, put_bytes, put_record, put_u64, put_varint};
use super::{
    BodyPlace, Link, NEVER, QueueEntry, SessionFields, StoreClock, durability_bits, flag, kind,
};

/// A will as it stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WillFields<'a> {
    /// Where it is published.
    pub topic: &'a str,
    /// Forwardable properties in the encoding of MQTT 5.0, without their length.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// At this QoS.
    pub qos: QoS,
    /// With this retain flag.
    pub retain: bool,
    /// How long it waits.
    pub delay: Duration,
    /// Message Expiry Interval in seconds.
    pub message_expiry: Option<u32>,
    /// What its acknowledgement would promise.
    pub durability: Durability,
}

impl<'a> From<WillParts<'a>> for WillFields<'a> {
    fn from(will: WillParts<'a>) -> Self {
        Self {
            topic: will.topic,
            properties: will.properties,
            payload: will.payload,
            qos: will.qos,
            retain: will.retain,
            delay: will.delay,
            message_expiry: will.message_expiry,
            durability: will.durability,
        }
    }
}

/// A session as it is, to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct SessionStateParts<'a> {
    /// What it began with.
    pub fields: SessionFields<'a>,
    /// Its connection.
    pub link: Link,
    /// The number of its next delivery.
    pub next: DeliveryNumber,
    /// What comes before this one may have been sent, though nothing says so.
    pub unsure: DeliveryNumber,
    /// QoS 2 identifiers that its client has not released.
    pub received: &'a [PacketId],
}

/// Appends a record.
pub fn encode(record: &Record<'_>, clock: StoreClock, out: &mut Vec<u8>) {
    match *record {
        Record::Owed {
            message,
            deliveries,
        } => put_record(out, kind::OWED, |out| {
            put_u64(out, message.0);
            let count = u64::try_from(deliveries.len()).unwrap_or(u64::MAX);
            put_varint(out, count);
            for delivery in deliveries {
                put_delivery(out, delivery);
            }
        }),
        Record::Settled {
            session,
            number,
            step,
        } => put_record(out, kind::SETTLED, |out| {
            put_varint(out, session.0);
            put_varint(out, number.get());
            out.push(match step {
                Settled::Received => 0,
                Settled::Done => 1,
            });
        }),
        Record::Sent {
            session,
            number,
            id,
        } => put_record(out, kind::SENT, |out| {
            put_varint(out, session.0);
            put_varint(out, number.get());
            put_varint(out, u64::from(id.get()));
        }),
        Record::Received { session, id } => put_packet(out, kind::RECEIVED, session, id),
        Record::Begun { session, id, owed } => encode_begun(session, id, owed, out),
        Record::BegunInGroup { session, id, group } => {
            encode_begun_in_group(session, id, group, out);
        }
        Record::Released { session, id } => put_packet(out, kind::RELEASED, session, id),
        Record::Retained {
            message,
            topic,
            sequence,
            publisher,
        } => {
            let kinds = (kind::RETAINED, kind::RETAINED_OF);
            put_retained(out, kinds, message.0, sequence, topic, publisher);
        }
        Record::Cleared { topic, sequence } => encode_cleared(topic, sequence, out),
        Record::Passed { message, group } => put_group(out, kind::PASSED, message, group),
        Record::Arrived { message, group } => put_group(out, kind::ARRIVED, message, group),
        _ => encode_session_record(record, clock, out),
    }
}

/// The records about a session itself: seldom, beside those about messages.
fn encode_session_record(record: &Record<'_>, clock: StoreClock, out: &mut Vec<u8>) {
    match *record {
        Record::Session {
            session,
            client,
            user,
            expiry,
            will,
        } => put_record(out, kind::SESSION, |out| {
            let fields = SessionFields {
                session,
                expiry,
                client: client.as_str(),
                user,
                will: will.map(WillFields::from),
            };
            put_session(out, &fields);
        }),
        Record::Away {
            session,
            ends,
            will,
        } => put_record(out, kind::AWAY, |out| {
            put_varint(out, session.0);
            let millis = |time| clock.millis(time);
            put_away(out, ends.map(millis), will.map(millis));
        }),
        Record::SessionEnded { session } => put_record(out, kind::SESSION_ENDED, |out| {
            put_varint(out, session.0);
        }),
        Record::Subscribed {
            session,
            filter,
            options,
            id,
        } => encode_subscribed(session, options, id, filter, out),
        Record::Unsubscribed { session, filter } => put_record(out, kind::UNSUBSCRIBED, |out| {
            put_varint(out, session.0);
            put_filter(out, filter);
        }),
        // Written by `encode`.
        Record::Owed { .. }
        | Record::Settled { .. }
        | Record::Sent { .. }
        | Record::Received { .. }
        | Record::Begun { .. }
        | Record::BegunInGroup { .. }
        | Record::Released { .. }
        | Record::Retained { .. }
        | Record::Cleared { .. }
        | Record::Passed { .. }
        | Record::Arrived { .. } => {}
    }
}

fn put_packet(out: &mut Vec<u8>, kind: u8, session: StoredSession, id: PacketId) {
    put_record(out, kind, |out| {
        put_varint(out, session.0);
        put_varint(out, u64::from(id.get()));
    });
}

fn put_group(out: &mut Vec<u8>, kind: u8, message: MessageRef, group: &SubscriptionFilter) {
    put_record(out, kind, |out| {
        put_u64(out, message.0);
        put_filter(out, group);
    });
}

/// Appends `filter` or `$share/name/filter`.
fn put_filter(out: &mut Vec<u8>, filter: &SubscriptionFilter) {
    let text = filter.filter.as_str().as_bytes();
    let Some(name) = &filter.share else {
        return put_bytes(out, text);
    };
    let name = name.as_str().as_bytes();
    let fixed = length(SHARE).saturating_add(1);
    let total = fixed
        .saturating_add(length(name))
        .saturating_add(length(text));
    put_varint(out, total);
    out.extend_from_slice(SHARE);
    out.extend_from_slice(name);
    out.push(b'/');
    out.extend_from_slice(text);
}

fn put_delivery(out: &mut Vec<u8>, delivery: &Delivery) {
    put_varint(out, delivery.session.0);
    put_varint(out, delivery.number.get());
    out.push(
        delivery_flags(delivery.qos, delivery.retain, delivery.packet_id) | extra_flags(delivery),
    );
    put_rest(out, delivery);
}

fn extra_flags(delivery: &Delivery) -> u8 {
    when(delivery.ids.is_some(), flag::IDS) | when(delivery.share.is_some(), flag::GROUP)
}

/// What stands behind the flags of a delivery.
fn put_rest(out: &mut Vec<u8>, delivery: &Delivery) {
    if let Some(id) = delivery.packet_id {
        put_varint(out, u64::from(id.get()));
    }
    if let Some(ids) = &delivery.ids {
        put_varint(out, u64::try_from(ids.len()).unwrap_or(u64::MAX));
        for id in ids {
            put_varint(out, u64::from(id.get()));
        }
    }
    if let Some(group) = &delivery.share {
        put_filter(out, group);
    }
}

fn when(there: bool, bit: u8) -> u8 {
    if there { bit } else { 0 }
}

fn delivery_flags(qos: QoS, retain: bool, packet_id: Option<PacketId>) -> u8 {
    qos.bits() | when(retain, flag::RETAIN) | when(packet_id.is_some(), flag::THIRD)
}

fn put_session(out: &mut Vec<u8>, fields: &SessionFields<'_>) {
    put_varint(out, fields.session.0);
    put_varint(out, span(fields.expiry));
    out.push(when(fields.user.is_some(), flag::USER) | when(fields.will.is_some(), flag::WILL));
    put_bytes(out, fields.client.as_bytes());
    if let Some(user) = fields.user {
        put_bytes(out, user.as_bytes());
    }
    if let Some(will) = &fields.will {
        put_will(out, will);
    }
}

fn span(span: Duration) -> u64 {
    if span == Duration::MAX {
        return NEVER;
    }
    let millis = u64::try_from(span.as_millis()).unwrap_or(NEVER);
    millis.min(NEVER.saturating_sub(1))
}

fn put_will(out: &mut Vec<u8>, will: &WillFields<'_>) {
    out.push(
        will.qos.bits()
            | when(will.retain, flag::RETAIN)
            | when(will.message_expiry.is_some(), flag::THIRD)
            | durability_bits(will.durability) << 4,
    );
    put_varint(out, span(will.delay));
    if let Some(seconds) = will.message_expiry {
        put_varint(out, u64::from(seconds));
    }
    put_bytes(out, will.topic.as_bytes());
    put_bytes(out, will.properties);
    put_bytes(out, will.payload);
}

fn put_away(out: &mut Vec<u8>, ends: Option<u64>, will: Option<u64>) {
    out.push(when(ends.is_some(), flag::ENDS) | when(will.is_some(), flag::WILL_DUE));
    for time in [ends, will].into_iter().flatten() {
        put_u64(out, time);
    }
}

/// Appends a checkpoint's first record.
pub(crate) fn encode_checkpoint_begins(
    first: u64,
    last_session: u64,
    sequence: u64,
    out: &mut Vec<u8>,
) {
    put_record(out, kind::CHECKPOINT_BEGINS, |out| {
        for number in [first, last_session, sequence] {
            put_varint(out, number);
        }
    });
}

/// Appends a checkpoint's last record.
pub(crate) fn encode_checkpoint_ends(first: u64, out: &mut Vec<u8>) {
    put_record(out, kind::CHECKPOINT_ENDS, |out| put_varint(out, first));
}

/// Appends a session as it is.
pub(crate) fn encode_session_state(state: &SessionStateParts<'_>, out: &mut Vec<u8>) {
    put_record(out, kind::SESSION_STATE, |out| {
        put_session(out, &state.fields);
        match state.link {
            Link::Connected => out.push(1),
            Link::Away { ends, will } => {
                out.push(0);
                put_away(out, ends, will);
            }
        }
        put_varint(out, state.next.get());
        put_varint(out, state.unsure.get());
        put_varint(out, u64::try_from(state.received.len()).unwrap_or(u64::MAX));
        for id in state.received {
            put_varint(out, u64::from(id.get()));
        }
    });
}

/// Appends a subscription.
pub(crate) fn encode_subscribed(
    session: StoredSession,
    options: SubscriptionOptions,
    id: Option<NonZeroU32>,
    filter: &SubscriptionFilter,
    out: &mut Vec<u8>,
) {
    put_record(out, kind::SUBSCRIBED, |out| {
        put_varint(out, session.0);
        out.push(options.to_byte());
        put_varint(out, u64::from(id.map_or(0, NonZeroU32::get)));
        put_filter(out, filter);
    });
}

/// Appends that a topic has no retained message any more.
pub(crate) fn encode_cleared(topic: &str, sequence: u64, out: &mut Vec<u8>) {
    put_record(out, kind::CLEARED, |out| {
        put_varint(out, sequence);
        put_bytes(out, topic.as_bytes());
    });
}

/// Appends that a delivery is no more, because its message expired.
pub(crate) fn encode_expired(session: StoredSession, number: DeliveryNumber, out: &mut Vec<u8>) {
    put_record(out, kind::EXPIRED, |out| {
        put_varint(out, session.0);
        put_varint(out, number.get());
    });
}

/// Appends which sessions have a QoS 2 message that is not received as a whole.
pub(crate) fn encode_begun(
    session: StoredSession,
    id: PacketId,
    owed: &[StoredSession],
    out: &mut Vec<u8>,
) {
    put_record(out, kind::BEGUN, |out| {
        put_varint(out, session.0);
        put_varint(out, u64::from(id.get()));
        put_varint(out, u64::try_from(owed.len()).unwrap_or(u64::MAX));
        for session in owed {
            put_varint(out, session.0);
        }
    });
}

/// Appends the group of which a member has a QoS 2 message that is not received as a whole.
pub(crate) fn encode_begun_in_group(
    session: StoredSession,
    id: PacketId,
    group: &SubscriptionFilter,
    out: &mut Vec<u8>,
) {
    put_record(out, kind::BEGUN_IN_GROUP, |out| {
        put_varint(out, session.0);
        put_varint(out, u64::from(id.get()));
        put_filter(out, group);
    });
}

/// Appends deliveries of one session, `count` of them.
pub(crate) fn encode_queue_state<'a>(
    session: StoredSession,
    count: usize,
    entries: impl Iterator<Item = QueueEntry<'a>>,
    out: &mut Vec<u8>,
) {
    put_record(out, kind::QUEUE_STATE, |out| {
        put_varint(out, session.0);
        put_varint(out, u64::try_from(count).unwrap_or(u64::MAX));
        for entry in entries {
            let delivery = entry.delivery;
            put_varint(out, delivery.number.get());
            out.push(
                delivery_flags(delivery.qos, delivery.retain, delivery.packet_id)
                    | delivery.extra.flags()
                    | when(entry.message.is_none(), flag::RECEIVED),
            );
            if let Some(message) = entry.message {
                put_u64(out, message.0);
            }
            if let Some(id) = delivery.packet_id {
                put_varint(out, u64::from(id.get()));
            }
            out.extend_from_slice(delivery.extra.bytes());
        }
    });
}

/// Appends one delivery of a queue. Without a message: PUBREC has arrived.
pub(crate) fn encode_queued(message: Option<MessageRef>, delivery: &Delivery, out: &mut Vec<u8>) {
    put_record(out, kind::QUEUE_STATE, |out| {
        put_varint(out, delivery.session.0);
        out.push(1);
        put_varint(out, delivery.number.get());
        out.push(
            delivery_flags(delivery.qos, delivery.retain, delivery.packet_id)
                | extra_flags(delivery)
                | when(message.is_none(), flag::RECEIVED),
        );
        if let Some(message) = message {
            put_u64(out, message.0);
        }
        put_rest(out, delivery);
    });
}

/// Appends where a message lies.
pub(crate) fn encode_body_place(
    message: MessageRef,
    place: BodyPlace,
    size: u32,
    expires: Option<u64>,
    out: &mut Vec<u8>,
) {
    put_record(out, kind::BODY_PLACE, |out| {
        put_u64(out, message.0);
        for number in [
            place.segment,
            place.offset,
            u64::from(place.length),
            u64::from(size),
        ] {
            put_varint(out, number);
        }
        put_u64(out, expires.unwrap_or(NEVER));
    });
}

/// Appends a retained message; `None`: it was cleared lately.
pub(crate) fn encode_retained_state(
    message: Option<MessageRef>,
    sequence: u64,
    topic: &str,
    publisher: Option<Publisher<'_>>,
    out: &mut Vec<u8>,
) {
    let kinds = (kind::RETAINED_STATE, kind::RETAINED_STATE_OF);
    let message = message.map_or(0, |message| message.0);
    put_retained(out, kinds, message, sequence, topic, publisher);
}

/// One of two kinds: without a publisher, as the first version wrote it, or with one.
fn put_retained(
    out: &mut Vec<u8>,
    (without, with): (u8, u8),
    message: u64,
    sequence: u64,
    topic: &str,
    publisher: Option<Publisher<'_>>,
) {
    let kind = publisher.map_or(without, |_| with);
    put_record(out, kind, |out| {
        put_u64(out, message);
        put_varint(out, sequence);
        put_bytes(out, topic.as_bytes());
        if let Some(publisher) = publisher {
            let user = when(publisher.user.is_some(), flag::USER);
            out.push(user | when(publisher.granted, flag::GRANTED));
            put_bytes(out, publisher.client.as_bytes());
            if let Some(user) = publisher.user {
                put_bytes(out, user.as_bytes());
            }
        }
    });
}

/// Appends a message on its way.
pub(crate) fn encode_passed_state(
    message: MessageRef,
    group: &SubscriptionFilter,
    out: &mut Vec<u8>,
) {
    put_group(out, kind::PASSED_STATE, message, group);
}

const SHARE: &[u8] = b"$share/";
