use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use broker::probe::{Acknowledgement, What};
use broker::{Asked, DropReason, Mark, Probe, Step, Tracer};
use telemetry::{Context, Figures, Signal, Span, SpanId, TraceId};
use types::{
    ClientId, Durability, Followed, MessageParts, PacketId, QoS, ReasonCode, SessionKey, WorkerId,
};

use super::carried::{Carried, replaced};
use super::follower::{Follower, WAITING, Wanted};
use super::place::{DELIVERIES, New, Place, text};

const SECOND: u64 = 1_000_000_000;

struct Bench {
    follower: Follower,
    figures: Arc<Figures>,
    unfollowed: Arc<AtomicU64>,
    topic: Arc<str>,
    client: ClientId,
}

fn bench(one_in: u32, most: u32) -> Bench {
    bench_of(Wanted {
        one_in,
        honors_contexts: true,
        of_client: 1_000_000,
        most,
        spans: 1_000_000,
    })
}

fn bench_of(wanted: Wanted) -> Bench {
    let (figures, unfollowed) = (Arc::new(Figures::default()), Arc::default());
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
            session: Some(session(1)),
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
                followed: types::Followed::No,
            }),
            properties,
            weight: 1,
            what,
        }
    }

    /// Asks as a worker does whose publisher may publish.
    fn mark(&self, properties: &[u8]) -> Option<Arc<[u8]>> {
        let asked = match self.follower.gap(WorkerId(0)) {
            Some(gap) if gap.get() == 1 => Asked::Chosen,
            Some(_) | None => Asked::Brought,
        };
        Some(self.asked(properties, asked)?.properties)
    }

    fn asked(&self, properties: &[u8], asked: Asked) -> Option<Mark> {
        self.follower.mark(&self.step(properties, RECEIVED), asked)
    }

    fn tell(&self, properties: &[u8], what: What) {
        self.follower.step(&self.step(properties, what));
    }

    fn spans(&self) -> Vec<Span> {
        self.follower.fetch(usize::MAX)
    }
}

const RECEIVED: What = What::Received {
    packet_id: Some(PacketId::FIRST),
    dup: false,
};

fn session(slot: u32) -> SessionKey {
    let generation = 0;
    SessionKey { slot, generation }
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
    assert_eq!(all.follower.mark(&own, Asked::Chosen), None);
}

#[test]
fn one_of_so_many_is_chosen_on_average_and_in_no_rhythm() {
    let worker = WorkerId(0);
    let ten = bench(10, 1_000_000);
    let gaps: Vec<u32> = (0..10_000)
        .map(|_| ten.follower.gap(worker).unwrap().get())
        .collect();
    assert!(gaps.iter().all(|gap| (1..=19).contains(gap)));
    assert!((1..=19).all(|gap| gaps.contains(&gap)));
    // Further away than ten times the deviation that chance has.
    let sum: u32 = gaps.iter().sum();
    assert!((94_000..106_000).contains(&sum), "{sum}");
    assert_eq!(bench(0, 1).follower.gap(worker), None);
    assert_eq!(bench(1, 1).follower.gap(worker).unwrap().get(), 1);
    assert!(bench(u32::MAX, 1).follower.gap(worker).is_some());
}

#[test]
fn what_brings_no_context_is_followed_only_if_it_is_chosen() {
    let bench = bench(1, 10);
    assert_eq!(bench.asked(&[0; 80], Asked::Brought), None);
    let mark = bench.asked(&[], Asked::Chosen).unwrap();
    assert_eq!(mark.followed, Followed::Added);
    assert_eq!(mark.properties.len(), Followed::ADDED);
    // One that is chosen and brings a context goes on with its trace.
    let sampled = replaced(&[], None, context(5, true)).unwrap();
    let mark = bench.asked(&sampled, Asked::Chosen).unwrap();
    assert_eq!(mark.followed, Followed::Renewed);
    assert_eq!(carried(&mark.properties).trace, TraceId::new(1).unwrap());
    assert_eq!(bench.unfollowed.load(Relaxed), 0);
}

#[test]
fn one_client_cannot_use_up_what_all_may_have() {
    let bench = bench_of(Wanted {
        one_in: 0,
        honors_contexts: true,
        of_client: 3,
        most: 1_000_000,
        spans: 1_000_000,
    });
    let mut place = Place::default();
    let mut may = |slot: u32, at: u64| place.may_ask(session(slot), at, 3);
    assert!((0..3).all(|_| may(1, 0)) && !may(1, 0));
    assert!(may(2, 0) && may(1, SECOND));
    let sampled = replaced(&[], None, context(5, true)).unwrap();
    let marked = (0..1000).filter(|_| bench.mark(&sampled).is_some()).count();
    // A second may end meanwhile.
    assert!((3..=6).contains(&marked), "{marked}");
    // So many clients in a second, and not more.
    assert!((3..2000).filter(|slot| may(*slot, 9 * SECOND)).count() == 1024);
}

#[test]
fn spans_of_deliveries_are_bounded_and_counted() {
    let bench = bench_of(Wanted {
        one_in: 1,
        honors_contexts: false,
        of_client: 1,
        most: 1_000_000,
        spans: 10,
    });
    let marked = bench.mark(&[]).unwrap();
    let sent = What::Sent {
        packet_id: None,
        qos: QoS::AtMostOnce,
        dup: false,
    };
    for _ in 0..60 {
        bench.tell(&marked, sent);
    }
    let told = bench.spans().len();
    // A second may end meanwhile.
    assert!((9..=20).contains(&told), "{told}");
    assert_eq!(bench.figures.of(Signal::Traces).dropped(), 60 - told as u64);
}

#[test]
fn what_waits_is_bounded_and_the_newest_gives_way() {
    let bench = bench(1, 1_000_000);
    for _ in 0..WAITING + 100 {
        let marked = bench.mark(&[]).unwrap();
        bench.tell(&marked, What::Answered(ReasonCode::Success));
    }
    assert_eq!(bench.figures.of(Signal::Traces).dropped(), 100);
    let spans = bench.spans();
    assert_eq!(spans.len(), WAITING);
    assert!(spans.is_sorted_by_key(|span| span.start));
}

#[test]
fn long_texts_are_cut_off() {
    let long: Arc<str> = "\u{e9}".repeat(40_000).into();
    let mut bench = bench(1, 10);
    bench.client = ClientId::new(&long).unwrap();
    bench.topic = Arc::clone(&long);
    let marked = bench.mark(&[]).unwrap();
    bench.tell(&marked, What::Answered(ReasonCode::Success));
    let told = format!("{:?}", bench.spans());
    assert!(told.len() < 4096, "{}", told.len());
    // Nothing holds the long ones any more.
    assert_eq!(Arc::strong_count(&long), 2);
    assert_eq!(text(&"t".into()), Arc::<str>::from("t").into());
}

#[test]
fn after_the_end_nothing_begins() {
    let bench = bench(1, 10);
    let open = bench.mark(&[]).unwrap();
    let waits = bench.mark(&[]).unwrap();
    bench.tell(&waits, What::Answered(ReasonCode::Success));
    bench.follower.finish();
    assert_eq!(bench.mark(&[]), None);
    // A worker that has not heard of it yet.
    bench.tell(&open, What::Answered(ReasonCode::Success));
    let qos = QoS::AtLeastOnce;
    bench.tell(&open, What::Queued { qos });
    let spans = bench.spans();
    let is_unfinished = |span: &Span| {
        let unfinished = ("nightjar.unfinished", true.into());
        span.attributes.contains(&unfinished)
    };
    assert_eq!(spans.len(), 2);
    assert!(!is_unfinished(&spans[0]) && is_unfinished(&spans[1]));
    bench.follower.finish();
    assert!(bench.spans().is_empty());
    assert_eq!(bench.figures.of(Signal::Traces).dropped(), 0);
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
    assert!(!bench.follower.awaits_any(WorkerId(0)));
    let spans = bench.spans();
    for span in &spans {
        // Each key is there once.
        let mut keys: Vec<&str> = span.attributes.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count, "{span:?}");
    }
    // What was queued first has what is known since it was sent.
    let packet = ("nightjar.packet_id", 9_u64.into());
    assert!(spans[1].attributes.contains(&packet));
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

fn new(slot: u32, at: u64) -> New<'static> {
    of_span(slot, 5, at)
}

/// The delivery of the message that was received in this span.
fn of_span(slot: u32, span: u64, at: u64) -> New<'static> {
    New {
        session: session(slot),
        context: context(span, true),
        state: &Box::default,
        id: SpanId::new(u64::from(slot) + 100).unwrap(),
        at,
        has_room: &|| true,
    }
}

#[test]
fn of_a_message_only_so_many_deliveries_are_told() {
    let mut place = Place::default();
    for slot in 0..DELIVERIES + 10 {
        place.sent(&new(slot, 0), None, false, |_| {});
    }
    assert_eq!(place.ended.len(), DELIVERIES as usize);
}

#[test]
fn of_a_span_only_so_many_events_are_told() {
    let mut place = Place::default();
    let packet = PacketId::new(1).unwrap();
    for at in 0..100 {
        place.sent(&new(1, at), Some(packet), at > 0, |_| {});
    }
    place.acknowledged(session(1), packet, 200, ("acknowledged", true));
    let [span] = &place.ended[..] else {
        panic!("{:?}", place.ended);
    };
    assert_eq!((span.events.len(), span.dropped_events), (16, 85));
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
    place.acknowledged(session(2), packet, 2, done);
    assert!(place.ended.is_empty());
    place.acknowledged(session(1), packet, 3, done);
    place.acknowledged(session(1), packet, 4, done);
    assert_eq!(place.ended.len(), 1);
    assert_eq!(place.ended[0].end, 3);
    // A session of the same client that began anew is another one.
    place.sent(&new(1, 5), Some(packet), false, |_| {});
    let later = SessionKey {
        generation: 1,
        ..session(1)
    };
    place.acknowledged(later, packet, 6, done);
    assert_eq!(place.ended.len(), 1);
    // The identifier goes to another message: the one that had it is over, and does not take it away.
    place.sent(&of_span(1, 6, 7), Some(packet), false, |_| {});
    assert_eq!((place.ended.len(), place.ended[1].end), (2, 7));
    place.acknowledged(session(1), packet, 8, done);
    let last = &place.ended[2];
    assert_eq!((last.parent, last.end), (SpanId::new(6), 8));
    assert_eq!(last.events.len(), 2);
}
