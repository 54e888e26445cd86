use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use broker::probe::{Acknowledgement, What};
use broker::{DropReason, Probe, Step, Tracer};
use telemetry::{Context, Figures, Signal, Span, SpanId, TraceId};
use types::{ClientId, Durability, MessageParts, PacketId, QoS, ReasonCode, WorkerId};

use super::carried::{Carried, replaced};
use super::follower::{Follower, Wanted};
use super::place::{DELIVERIES, New, Place};

const SECOND: u64 = 1_000_000_000;

struct Bench {
    follower: Follower,
    figures: Arc<Figures>,
    unfollowed: Arc<AtomicU64>,
    topic: Arc<str>,
    client: ClientId,
}

fn bench(one_in: u32, most: u32) -> Bench {
    let (figures, unfollowed) = (Arc::new(Figures::default()), Arc::default());
    let wanted = Wanted { one_in, most };
    Bench {
        follower: Follower::new(1, wanted, Arc::clone(&figures), Arc::clone(&unfollowed)),
        figures,
        unfollowed,
        topic: "t".into(),
        client: ClientId::new("c").unwrap(),
    }
}

impl Bench {
    fn step<'a>(&'a self, properties: &'a [u8], what: What) -> Step<'a> {
        Step {
            worker: WorkerId(0),
            client: Some(&self.client),
            peer: None,
            topic: Some(&self.topic),
            message: Some(MessageParts {
                properties,
                payload: b"s3cret",
                qos: QoS::AtLeastOnce,
                retain: false,
                publisher: None,
                expires: None,
                durability: Durability::Memory,
            }),
            properties,
            weight: 1,
            what,
        }
    }

    fn mark(&self, properties: &[u8]) -> Option<Arc<[u8]>> {
        let what = What::Received {
            packet_id: PacketId::new(7),
            dup: false,
        };
        self.follower.mark(&self.step(properties, what))
    }

    fn tell(&self, properties: &[u8], what: What) {
        self.follower.step(&self.step(properties, what));
    }

    fn spans(&self) -> Vec<Span> {
        self.follower.fetch(usize::MAX)
    }
}

fn context(span: u64, sampled: bool) -> Context {
    Context {
        trace: TraceId::new(1).unwrap(),
        span: SpanId::new(span).unwrap(),
        sampled,
    }
}

fn carried(properties: &[u8]) -> Context {
    match Carried::of(properties) {
        Carried::One { context, .. } => context,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_is_sampled_is_marked() {
    let none = bench(0, 10);
    assert_eq!(none.mark(&[]), None);
    let not = replaced(&[], None, context(5, false)).unwrap();
    assert_eq!(none.mark(&not), None);
    let sampled = replaced(&[], None, context(5, true)).unwrap();
    let marked = carried(&none.mark(&sampled).unwrap());
    assert_eq!(marked.trace, TraceId::new(1).unwrap());
    assert_ne!(marked.span, SpanId::new(5).unwrap());
    let all = bench(1, 10);
    let marked = carried(&all.mark(&[]).unwrap());
    assert!(marked.sampled);
    // What says that it is not sampled is not, however many are.
    assert_eq!(all.mark(&not), None);
    let own = Step {
        client: None,
        topic: Some(&"$SYS/broker/uptime".into()),
        ..all.step(&[], What::Authorized)
    };
    assert_eq!(all.follower.mark(&own), None);
}

#[test]
fn one_of_so_many_is_about_one_of_so_many() {
    let bench = bench(10, 1_000_000);
    let marked = (0..10_000).filter(|_| bench.mark(&[]).is_some()).count();
    // Further away than ten times the deviation that chance has.
    assert!((700..1300).contains(&marked), "{marked}");
}

#[test]
fn who_asks_for_too_much_is_not_followed_and_is_counted() {
    let bench = bench(0, 2);
    let sampled = replaced(&[], None, context(5, true)).unwrap();
    let marked = (0..1000).filter(|_| bench.mark(&sampled).is_some()).count();
    // A second may end meanwhile.
    assert!((2..=4).contains(&marked), "{marked}");
    assert_eq!(bench.unfollowed.load(Relaxed), 1000 - marked as u64);
}

#[test]
fn the_way_of_a_message_becomes_two_spans() {
    let bench = bench(1, 10);
    let marked = bench.mark(&[]).unwrap();
    bench.tell(&marked, What::Authorized);
    let (recipients, groups) = (1, 0);
    bench.tell(&marked, What::Routed { recipients, groups });
    let packet = PacketId::new(9).unwrap();
    let (qos, dup) = (QoS::ExactlyOnce, false);
    bench.tell(&marked, What::Queued { qos });
    let packet_id = Some(packet);
    bench.tell(
        &marked,
        What::Sent {
            packet_id,
            qos,
            dup,
        },
    );
    bench.tell(&marked, What::Answered(ReasonCode::Success));
    // A client's session may not keep the message: its acknowledgement brings no properties.
    for by in [Acknowledgement::PubRec, Acknowledgement::PubComp] {
        let packet_id = packet;
        bench.tell(&[], What::Acknowledged { packet_id, by });
    }
    let spans = bench.spans();
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let events = span.events.iter().map(|event| event.name);
            (span.name, events.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("receive", vec!["authorized", "matched"]),
            ("send", vec!["queued", "sent", "received", "acknowledged"]),
        ]
    );
    assert_eq!(spans[1].parent, Some(spans[0].id));
    assert_eq!(carried(&marked).span, spans[0].id);
    assert!(!format!("{spans:?}").contains("s3cret"));
    assert_eq!(bench.figures.of(Signal::Traces).dropped(), 0);
}

#[test]
fn what_fails_says_why() {
    let bench = bench(1, 10);
    let marked = bench.mark(&[]).unwrap();
    bench.tell(&marked, What::Dropped(DropReason::SlowConsumer));
    bench.tell(&marked, What::Answered(ReasonCode::NotAuthorized));
    let errors: Vec<_> = bench.spans().iter().map(|span| span.error).collect();
    let slow = DropReason::SlowConsumer.as_str();
    let refused = ReasonCode::NotAuthorized.as_str();
    assert_eq!(errors, [Some(slow), Some(refused)]);
}

fn new(number: u64, at: u64) -> New<'static> {
    New {
        client: number,
        context: context(5, true),
        state: "",
        id: SpanId::new(number + 100).unwrap(),
        at,
    }
}

#[test]
fn of_a_message_only_so_many_deliveries_are_told() {
    let mut place = Place::default();
    for number in 0..u64::from(DELIVERIES) + 10 {
        place.sent(&new(number, 0), None, false, |_| {});
    }
    assert_eq!(place.ended.len(), DELIVERIES as usize);
}

#[test]
fn a_delivery_that_nobody_acknowledges_is_told_after_a_while() {
    let mut place = Place::default();
    place.sent(&new(1, SECOND), PacketId::new(1), false, |_| {});
    place.sweep(100 * SECOND);
    assert!(place.ended.is_empty() && place.awaits_any());
    place.sweep(400 * SECOND);
    let [span] = &place.ended[..] else {
        panic!("{:?}", place.ended);
    };
    assert_eq!(span.end, 400 * SECOND);
    assert!(
        span.attributes
            .contains(&("nightjar.unfinished", true.into()))
    );
    assert!(!place.awaits_any());
    // The same again, at the end of the server.
    place.sent(&new(2, SECOND), PacketId::new(1), false, |_| {});
    place.finish(500 * SECOND);
    assert_eq!(place.ended.len(), 2);
}

#[test]
fn a_packet_identifier_that_is_used_again_is_another_deliverys() {
    let mut place = Place::default();
    let packet = PacketId::new(1).unwrap();
    let done = ("acknowledged", true);
    place.sent(&new(1, 1), Some(packet), false, |_| {});
    // Nobody else's.
    place.acknowledged(2, packet, 2, done);
    assert!(place.ended.is_empty());
    place.acknowledged(1, packet, 3, done);
    place.acknowledged(1, packet, 4, done);
    assert_eq!(place.ended.len(), 1);
    assert_eq!(place.ended[0].end, 3);
}
