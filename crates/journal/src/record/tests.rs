use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use store::{Delivery, Publisher, Record, Settled, WillParts};
use types::{
    ClientId, DeliveryNumber, Durability, Message, MessageParts, MessageRef, PacketId, QoS,
    StoredSession, SubscriptionFilter, SubscriptionOptions, Time,
};

use super::*;

const CLOCK: StoreClock = StoreClock {
    base: 1_700_000_000_000,
};

/// What records are made of.
#[derive(Clone, Debug)]
struct Sample {
    session: StoredSession,
    number: DeliveryNumber,
    id: PacketId,
    message: MessageRef,
    sequence: u64,
    client: ClientId,
    text: String,
    bytes: Vec<u8>,
    time: Option<Time>,
    expiry: Duration,
    qos: QoS,
    durability: Durability,
    retain: bool,
    options: SubscriptionOptions,
    identifier: Option<NonZeroU32>,
    filter: SubscriptionFilter,
    deliveries: Vec<Delivery>,
}

fn qos_of() -> impl Strategy<Value = QoS> {
    (0..3_u8).prop_map(|bits| QoS::from_bits(bits).unwrap())
}

fn filters() -> impl Strategy<Value = SubscriptionFilter> {
    prop_oneof![
        "[a-z]{1,5}(/[a-z+]{1}){0,3}",
        "\\$share/[a-z]{1,9}/[a-z]{1,150}/#"
    ]
    .prop_map(|text| SubscriptionFilter::parse(&text, 128).unwrap())
}

fn identifiers() -> impl Strategy<Value = Option<NonZeroU32>> {
    any::<u32>().prop_map(NonZeroU32::new)
}

fn packet_ids() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn numbers() -> impl Strategy<Value = DeliveryNumber> {
    prop_oneof![1..300_u64, 1..=u64::MAX].prop_map(|number| DeliveryNumber::new(number).unwrap())
}

fn deliveries() -> impl Strategy<Value = Delivery> {
    (
        any::<u64>().prop_map(StoredSession),
        numbers(),
        qos_of(),
        any::<bool>(),
        prop::option::of(packet_ids()),
        prop::option::of(prop::collection::vec(1..u32::MAX, 0..5)),
        prop::option::of(filters()),
    )
        .prop_map(
            |(session, number, qos, retain, packet_id, ids, share)| Delivery {
                session,
                number,
                qos,
                retain,
                packet_id,
                ids: ids.map(|ids| ids.into_iter().filter_map(NonZeroU32::new).collect()),
                share: share.map(Arc::new),
            },
        )
}

prop_compose! {
    fn samples()(
        (session, number, id, message, sequence) in
            (any::<u64>(), numbers(), packet_ids(), any::<u64>(), any::<u64>()),
        (client, text, bytes) in
            ("\\PC{1,200}", "\\PC{0,200}", prop::collection::vec(any::<u8>(), 0..300)),
        time in prop::option::of(any::<u64>().prop_map(Time::from_millis)),
        expiry in prop_oneof![Just(Duration::MAX), any::<u32>().prop_map(|s| Duration::from_secs(s.into()))],
        (qos, retain, durability) in (qos_of(), any::<bool>(), prop::sample::select(&Durability::ALL[..])),
        options in (0..64_u8).prop_filter_map("reserved", SubscriptionOptions::from_byte),
        (identifier, filter) in (identifiers(), filters()),
        deliveries in prop::collection::vec(deliveries(), 0..20),
    ) -> Sample {
        Sample {
            session: StoredSession(session), number, id, message: MessageRef(message), sequence,
            client: ClientId::new(&client).unwrap(), text, bytes, time, expiry, qos, durability,
            retain, options, identifier, filter, deliveries,
        }
    }
}

fn one(bytes: &[u8]) -> Item<'_> {
    let mut records = Records::new(bytes);
    let (_, item) = records.next().unwrap().unwrap();
    assert!(records.next().is_none());
    assert_eq!(lengths(bytes).collect::<Vec<_>>(), [bytes.len()]);
    item
}

fn check(record: Record<'_>, expected: Item<'_>) {
    // What was in the buffer stays.
    let mut out = vec![7];
    encode(&record, CLOCK, &mut out);
    assert_eq!(out.remove(0), 7);
    assert_eq!(one(&out), expected, "{record:?}");
}

impl Sample {
    fn will(&self) -> WillParts<'_> {
        WillParts {
            topic: &self.text,
            properties: &self.bytes,
            payload: &self.bytes,
            qos: self.qos,
            retain: self.retain,
            delay: self.expiry,
            message_expiry: self.identifier.map(NonZeroU32::get),
            durability: self.durability,
        }
    }

    fn check_sessions(&self) {
        let session = self.session;
        let text = self.filter.to_string();
        for (user, will) in [
            (None, None),
            (Some(self.text.as_str()), None),
            (None, Some(self.will())),
            (Some(""), Some(self.will())),
        ] {
            let record = Record::Session {
                session,
                client: &self.client,
                user,
                expiry: self.expiry,
                will,
            };
            let fields = SessionFields {
                session,
                expiry: self.expiry,
                client: self.client.as_str(),
                user,
                will: will.map(WillFields::from),
            };
            check(record, Item::Session(fields));
        }
        for (ends, will) in [
            (None, None),
            (self.time, None),
            (None, self.time),
            (self.time, self.time),
        ] {
            let millis = |time| CLOCK.millis(time);
            check(
                Record::Away {
                    session,
                    ends,
                    will,
                },
                Item::Away {
                    session,
                    ends: ends.map(millis),
                    will: will.map(millis),
                },
            );
        }
        check(
            Record::SessionEnded { session },
            Item::SessionEnded { session },
        );
        let (filter, options, id) = (&self.filter, self.options, self.identifier);
        check(
            Record::Subscribed {
                session,
                filter,
                options,
                id,
            },
            Item::Subscribed {
                session,
                filter: &text,
                options,
                id,
            },
        );
        check(
            Record::Unsubscribed { session, filter },
            Item::Unsubscribed {
                session,
                filter: &text,
            },
        );
        let id = self.id;
        check(
            Record::Received { session, id },
            Item::Received { session, id },
        );
        self.check_begun();
        check(
            Record::BegunInGroup {
                session,
                id,
                group: filter,
            },
            Item::BegunInGroup {
                session,
                id,
                group: &text,
            },
        );
        check(
            Record::Released { session, id },
            Item::Released { session, id },
        );
    }

    fn check_begun(&self) {
        let owed: Vec<StoredSession> = self.deliveries.iter().map(|it| it.session).collect();
        let record = Record::Begun {
            session: self.session,
            id: self.id,
            owed: &owed,
        };
        let mut out = Vec::new();
        encode(&record, CLOCK, &mut out);
        let Item::Begun {
            session,
            id,
            owed: read,
        } = one(&out)
        else {
            panic!("another kind");
        };
        assert_eq!((session, id), (self.session, self.id));
        assert_eq!(read.collect::<Vec<_>>(), owed);
    }

    fn check_messages(&self) {
        let (session, number, id, message) = (self.session, self.number, self.id, self.message);
        check(
            Record::Sent {
                session,
                number,
                id,
            },
            Item::Sent {
                session,
                number,
                id,
            },
        );
        for step in [Settled::Received, Settled::Done] {
            check(
                Record::Settled {
                    session,
                    number,
                    step,
                },
                Item::Settled {
                    session,
                    number,
                    step,
                },
            );
        }
        let (topic, sequence) = (self.text.as_str(), self.sequence);
        for publisher in publishers(topic) {
            check(
                Record::Retained {
                    message,
                    topic,
                    sequence,
                    publisher,
                },
                Item::Retained {
                    message,
                    sequence,
                    topic,
                    publisher,
                },
            );
        }
        check(
            Record::Cleared { topic, sequence },
            Item::Cleared { sequence, topic },
        );
        let (group, text) = (&self.filter, self.filter.to_string());
        check(
            Record::Passed { message, group },
            Item::Passed {
                message,
                group: &text,
            },
        );
        check(
            Record::Arrived { message, group },
            Item::Arrived {
                message,
                group: &text,
            },
        );
    }

    fn check_owed(&self) {
        let mut out = Vec::new();
        let record = Record::Owed {
            message: self.message,
            deliveries: &self.deliveries,
        };
        encode(&record, CLOCK, &mut out);
        let Item::Owed {
            message,
            mut deliveries,
        } = one(&out)
        else {
            panic!("another kind");
        };
        assert_eq!(message, self.message);
        for delivery in &self.deliveries {
            let read = deliveries.read().unwrap().unwrap();
            assert_eq!(own(&read), *delivery);
        }
        assert_eq!(deliveries.read(), Ok(None));
    }

    fn check_checkpoint(&self) {
        let mut out = Vec::new();
        let (message, sequence, topic) = (self.message, self.sequence, self.text.as_str());
        encode_checkpoint_begins(1, self.session.0, sequence, &mut out);
        let begins = Item::CheckpointBegins {
            first: 1,
            last_session: self.session.0,
            sequence,
        };
        assert_eq!(one(&out), begins);
        out.clear();
        encode_checkpoint_ends(sequence, &mut out);
        assert_eq!(one(&out), Item::CheckpointEnds { first: sequence });
        out.clear();
        let place = BodyPlace {
            segment: sequence,
            offset: self.session.0,
            length: 9,
        };
        let expires = self.time.map(|time| CLOCK.millis(time));
        encode_body_place(message, place, 7, expires, &mut out);
        assert_eq!(
            one(&out),
            Item::BodyPlace {
                message,
                place,
                size: 7,
                expires
            }
        );
        for message in [None, Some(message).filter(|message| message.0 != 0)] {
            for publisher in publishers(topic) {
                out.clear();
                encode_retained_state(message, sequence, topic, publisher, &mut out);
                let state = Item::RetainedState {
                    message,
                    sequence,
                    topic,
                    publisher,
                };
                assert_eq!(one(&out), state);
            }
        }
        out.clear();
        encode_passed_state(message, &self.filter, &mut out);
        let group = self.filter.to_string();
        assert_eq!(
            one(&out),
            Item::PassedState {
                message,
                group: &group
            }
        );
        out.clear();
        let (session, number) = (self.session, self.number);
        encode_expired(session, number, &mut out);
        assert_eq!(one(&out), Item::Expired { session, number });
        self.check_session_state();
        self.check_queue_state();
    }

    fn check_session_state(&self) {
        let received: Vec<PacketId> = self
            .deliveries
            .iter()
            .filter_map(|delivery| delivery.packet_id)
            .collect();
        let time = self.time.map(|time| CLOCK.millis(time));
        for link in [
            Link::Connected,
            Link::Away {
                ends: time,
                will: None,
            },
            Link::Away {
                ends: None,
                will: time,
            },
        ] {
            let parts = SessionStateParts {
                fields: SessionFields {
                    session: self.session,
                    expiry: self.expiry,
                    client: self.client.as_str(),
                    user: Some(&self.text),
                    will: Some(self.will().into()),
                },
                link,
                next: self.number,
                unsure: self.number.next(),
                received: &received,
            };
            let mut out = Vec::new();
            encode_session_state(&parts, &mut out);
            let Item::SessionState(state) = one(&out) else {
                panic!("another kind");
            };
            assert_eq!(
                (state.fields, state.link, state.next),
                (parts.fields, link, self.number)
            );
            assert_eq!(state.unsure, parts.unsure);
            assert_eq!(state.received.collect::<Vec<_>>(), received);
        }
    }

    fn check_queue_state(&self) {
        for message in [None, Some(self.message)] {
            for delivery in &self.deliveries {
                let mut out = Vec::new();
                encode_queued(message, delivery, &mut out);
                let Item::QueueState {
                    session,
                    mut entries,
                } = one(&out)
                else {
                    panic!("another kind");
                };
                let entry = entries.read().unwrap().unwrap();
                assert_eq!((session, entry.message), (delivery.session, message));
                assert_eq!(own(&entry.delivery), *delivery);
                assert_eq!(entries.read(), Ok(None));
                // As a checkpoint writes it.
                let mut again = Vec::new();
                encode_queue_state(session, 1, [entry].into_iter(), &mut again);
                assert_eq!(again, out);
            }
        }
    }

    fn check_body(&self) {
        let parts = MessageParts {
            properties: self.text.as_bytes(),
            payload: &self.bytes,
            qos: self.qos,
            retain: self.retain,
            publisher: None,
            expires: self.time,
            durability: self.durability,
            followed: match self.bytes.len() % 3 {
                0 => types::Followed::No,
                1 => types::Followed::Renewed,
                _ => types::Followed::Added,
            },
        };
        let message = Message::new(Arc::from(self.client.as_str()), parts);
        message.reference_or(|| self.message);
        let mut out = vec![9; 3];
        encode_body(self.message, &message, CLOCK, &mut out);
        let payload = &out[3..];
        let (offset, item) = Records::new(payload).next().unwrap().unwrap();
        let Item::Body(body) = item else {
            panic!("another kind");
        };
        assert_eq!(one(payload), item);
        assert_eq!(payload[offset..], *body.bytes);
        assert_eq!(usize::try_from(body.size), Ok(message.size()));
        assert_eq!(body.message, self.message);
        assert_eq!(body.expires, self.time.map(|time| CLOCK.millis(time)));
        let decoded = decode_body(self.message, body.bytes, CLOCK).unwrap();
        let representable = self
            .time
            .is_none_or(|time| CLOCK.time(CLOCK.millis(time)) == time);
        if representable {
            assert_eq!(decoded, message);
        }
        let mut again = Vec::new();
        encode_kept(body.bytes, &mut again);
        assert_eq!(again, payload);
    }
}

fn own(item: &DeliveryItem<'_>) -> Delivery {
    Delivery {
        session: item.session,
        number: item.number,
        qos: item.qos,
        retain: item.retain,
        packet_id: item.packet_id,
        ids: item.extra.ids().map(Iterator::collect),
        share: item
            .extra
            .group()
            .map(|text| Arc::new(SubscriptionFilter::parse(text, u16::MAX).unwrap())),
    }
}

/// Reads everything there is, as far as it goes.
fn read_all(bytes: &[u8]) {
    for record in Records::new(bytes) {
        let Ok((offset, item)) = record else {
            break;
        };
        assert!(offset <= bytes.len());
        match item {
            Item::Owed { mut deliveries, .. } => {
                while let Ok(Some(delivery)) = deliveries.read() {
                    own_any(&delivery);
                }
            }
            Item::QueueState { mut entries, .. } => {
                while let Ok(Some(entry)) = entries.read() {
                    own_any(&entry.delivery);
                }
            }
            Item::Begun { owed, .. } => assert!(owed.count() <= bytes.len()),
            Item::SessionState(state) => assert!(state.received.count() <= bytes.len()),
            Item::Body(body) => {
                // Damaged but by a chance of one in 2^32.
                let _damaged = decode_body(body.message, body.bytes, CLOCK);
            }
            _ => {}
        }
    }
    assert!(lengths(bytes).sum::<usize>() <= bytes.len());
}

fn own_any(item: &DeliveryItem<'_>) {
    let group = item.extra.group().map_or(0, str::len);
    assert!(item.extra.ids().into_iter().flatten().count() + group <= item.extra.bytes().len());
}

proptest! {
    #[test]
    fn every_record_comes_back(sample in samples()) {
        sample.check_sessions();
        sample.check_messages();
        sample.check_owed();
        sample.check_checkpoint();
        sample.check_body();
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn any_fields_of_any_kind_are_read_without_harm(
        kind in prop_oneof![1..19_u8, 32..39_u8],
        mut bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..120),
    ) {
        bytes.insert(0, kind);
        bytes.insert(0, u8::try_from(bytes.len()).unwrap());
        read_all(&bytes);
    }

    #[test]
    fn a_changed_byte_of_a_record_does_no_harm(
        sample in samples(), place in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut out = Vec::new();
        encode(&Record::Owed { message: sample.message, deliveries: &sample.deliveries }, CLOCK, &mut out);
        let place = place.index(out.len());
        out[place] = to;
        read_all(&out);
    }

    #[test]
    fn a_flipped_bit_of_a_body_is_found(
        payload in prop::collection::vec(any::<u8>(), 0..60), bit in any::<prop::sample::Index>(),
    ) {
        let parts = MessageParts {
            properties: &[], payload: &payload, qos: QoS::AtLeastOnce, retain: false,
            publisher: None, expires: None, durability: Durability::Disk,
            followed: types::Followed::No,
        };
        let message = Message::new(Arc::from("t"), parts);
        let mut out = Vec::new();
        encode_body(MessageRef(5), &message, CLOCK, &mut out);
        let mut bytes = match one(&out) {
            Item::Body(body) => body.bytes.to_vec(),
            other => panic!("{other:?}"),
        };
        prop_assert!(decode_body(MessageRef(5), &bytes, CLOCK).is_ok());
        prop_assert_eq!(decode_body(MessageRef(6), &bytes, CLOCK), Err(Damaged));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(decode_body(MessageRef(5), &bytes, CLOCK), Err(Damaged));
    }
}

#[test]
fn a_record_says_how_it_ends() {
    // Settled with a byte too many, one too few, and a step that is none.
    for bytes in [&[5, 9, 1, 1, 1, 0][..], &[3, 9, 1, 1], &[4, 9, 1, 1, 2]] {
        assert!(Records::new(bytes).next().unwrap().is_err(), "{bytes:?}");
    }
    // A kind of a later version, behind a record that is fine.
    let mut records = Records::new(&[4, 9, 1, 1, 1, 2, 99, 0]);
    assert!(records.next().unwrap().is_ok());
    let malformed = records.next().unwrap().unwrap_err();
    assert_eq!(malformed.offset, 5);
    assert!(records.next().is_none());
    // A count beyond all bytes.
    let mut bytes = vec![0, 7, 1, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(&[0xff; 9]);
    bytes.push(1);
    bytes[0] = u8::try_from(bytes.len() - 1).unwrap();
    let Item::Owed { mut deliveries, .. } = one(&bytes) else {
        panic!("another kind");
    };
    assert!(deliveries.read().is_err());
    // Begun for three sessions, of which two, three and four are named.
    for (count, is_valid) in [(2, false), (3, true), (4, false)] {
        let mut bytes = vec![4 + count, 16, 1, 9, 3];
        bytes.resize(bytes.len() + usize::from(count), 7);
        let item = Records::new(&bytes).next().unwrap();
        assert_eq!(item.is_ok(), is_valid, "{item:?}");
    }
}

#[test]
fn numbers_have_at_most_64_bits() {
    let mut bytes = vec![0xff; 9];
    bytes.push(1);
    assert_eq!(super::bytes::Reader::new(&bytes).varint(), Ok(u64::MAX));
    bytes[9] = 2;
    assert!(super::bytes::Reader::new(&bytes).varint().is_err());
    for value in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
        let mut out = Vec::new();
        super::bytes::put_varint(&mut out, value);
        assert_eq!(out.len(), super::bytes::varint_len(value));
        assert_eq!(super::bytes::Reader::new(&out).varint(), Ok(value));
    }
}

#[test]
fn times_of_this_run_never_mean_never() {
    let time = Time::from_millis(3);
    assert_eq!(CLOCK.time(CLOCK.millis(time)), time);
    assert_eq!(CLOCK.time(CLOCK.base - 1), Time::ZERO);
    assert_eq!(CLOCK.time(NEVER), Time::MAX);
    assert_ne!(CLOCK.millis(Time::MAX), NEVER);
}

/// Nobody, and somebody with and without a user.
fn publishers(client: &str) -> Vec<Option<Publisher<'_>>> {
    let somebody = |user, granted| {
        (!client.is_empty()).then_some(Publisher {
            client,
            user,
            granted,
        })
    };
    vec![None, somebody(None, true), somebody(Some("user"), false)]
}
