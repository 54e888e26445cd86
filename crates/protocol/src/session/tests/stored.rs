//! Messages that wait in the store alone.

use std::collections::VecDeque;

use types::Time;

use super::*;

/// A message with this reference, which is its text and its number too, and the delivery of it
/// without the message.
pub(super) fn stored(number: u64, qos: QoS) -> (Arc<Message>, Outbound) {
    let here = outbound(&number.to_string(), qos);
    let message = Arc::clone(here.body.message().unwrap());
    message.reference_or(|| MessageRef(number));
    let gone = Outbound {
        body: here.body.without_message(),
        number: DeliveryNumber::new(number),
        ..here
    };
    (message, gone)
}

fn queued(numbers: impl IntoIterator<Item = u64>) -> Session {
    let mut session = Session::default();
    let limits = Limits {
        queued_messages: u32::MAX,
        queued_bytes: usize::MAX,
        ..Limits::default()
    };
    for number in numbers {
        let (_, outbound) = stored(number, QoS::AtLeastOnce);
        session.enqueue(outbound, &limits, |_| panic!("dropped"));
    }
    session
}

fn fill(session: &mut Session, number: u64) {
    let (message, _) = stored(number, QoS::AtLeastOnce);
    let filled = session.fill(MessageRef(number), Some(message));
    assert!(matches!(filled, Filled::Ready), "{number}: {filled:?}");
}

/// All that can be sent, as text.
fn sent(session: &mut Session) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match next(session, 60_000) {
            Some(Next::Publish(Some(id), outbound)) => {
                all.push(text(&outbound));
                assert_eq!(session.puback(id), Acked::Done(outbound.number));
            }
            Some(Next::Missing) | None => return all,
            other => panic!("{other:?}"),
        }
    }
}

/// Nothing is given up.
pub(super) fn never(_: &Body) -> bool {
    false
}

fn references(numbers: impl IntoIterator<Item = u64>) -> Vec<MessageRef> {
    numbers.into_iter().map(MessageRef).collect()
}

#[test]
fn a_stored_message_is_loaded_before_it_is_sent() {
    let mut session = queued(1..=3);
    assert_eq!(session.queued_bytes(), 6);
    assert!(matches!(next(&mut session, 9), Some(Next::Missing)));
    assert!(
        next(&mut session, 0).is_none(),
        "without room nothing is missing"
    );
    assert_eq!(session.missing(2, 1000, never), references([1, 2]));
    assert_eq!(session.missing(2, 1000, never), [], "asked already");
    // In any order.
    fill(&mut session, 2);
    assert_eq!(sent(&mut session), [""; 0]);
    fill(&mut session, 1);
    assert_eq!(sent(&mut session), ["1", "2"]);
    assert_eq!(session.missing(2, 1000, never), references([3]));
    fill(&mut session, 3);
    assert_eq!(sent(&mut session), ["3"]);
    assert_eq!((session.queued_len(), session.queued_bytes()), (0, 0));
    assert!(!session.has_waiting());
}

#[test]
fn what_is_asked_for_stays_within_the_bounds_but_is_never_nothing() {
    let mut session = queued(1..=9);
    assert_eq!(session.missing(99, 6, never), references([1, 2, 3]));
    let mut session = queued(1..=9);
    assert_eq!(session.missing(99, 1, never), references([1]));
    fill(&mut session, 1);
    assert_eq!(session.missing(99, 1, never), []);
    assert_eq!(sent(&mut session), ["1"]);
    assert_eq!(session.missing(0, 0, never), references([2]));
    // What is in memory counts.
    let mut session = queued([]);
    let limits = Limits::default();
    for number in 1..=4 {
        let (message, gone) = stored(number, QoS::AtLeastOnce);
        let outbound = match number {
            1 | 3 => Outbound {
                body: message.into(),
                ..gone
            },
            _ => gone,
        };
        session.enqueue(outbound, &limits, |_| panic!("dropped"));
    }
    assert_eq!(session.missing(3, 1000, never), references([2]));
}

#[test]
fn asking_goes_on_in_large_pieces() {
    let mut session = queued(1..=10);
    assert_eq!(session.missing(4, 1000, never), references(1..=4));
    for number in 1..=4 {
        fill(&mut session, number);
    }
    let mut pieces = Vec::new();
    for _ in 0..4 {
        let Some(Next::Publish(Some(id), _)) = next(&mut session, 9) else {
            panic!("it is in memory")
        };
        session.puback(id);
        pieces.push(session.missing(4, 1000, never).len());
    }
    assert_eq!(pieces, [0, 0, 3, 0]);
}

#[test]
fn a_lost_message_is_handed_back_and_makes_way() {
    let mut session = queued(1..=3);
    assert_eq!(session.missing(9, 1000, never).len(), 3);
    for number in [2, 1] {
        let Filled::Lost(lost) = session.fill(MessageRef(number), None) else {
            panic!("it waited")
        };
        assert_eq!(lost.number, DeliveryNumber::new(number));
    }
    assert!(matches!(
        session.fill(MessageRef(1), None),
        Filled::Unwanted
    ));
    assert_eq!((session.queued_len(), session.queued_bytes()), (1, 2));
    fill(&mut session, 3);
    assert_eq!(sent(&mut session), ["3"]);
}

#[test]
fn each_delivery_of_one_message_asks_for_itself() {
    let mut session = queued([7, 8, 7]);
    assert_eq!(session.missing(9, 1000, never), references([7, 8, 7]));
    fill(&mut session, 7);
    fill(&mut session, 8);
    assert_eq!(sent(&mut session), ["7", "8"]);
    fill(&mut session, 7);
    assert_eq!(sent(&mut session), ["7"]);
}

#[test]
fn a_resume_asks_again() {
    let mut session = queued(1..=3);
    assert_eq!(session.missing(9, 1000, never).len(), 3);
    fill(&mut session, 1);
    session.resume();
    assert_eq!(session.missing(9, 1000, never), references([2, 3]));
    // The answers to both: the second ones are unwanted.
    for number in [2, 3] {
        fill(&mut session, number);
    }
    for number in [2, 3] {
        let (message, _) = stored(number, QoS::AtLeastOnce);
        let filled = session.fill(MessageRef(number), Some(message));
        assert!(matches!(filled, Filled::Unwanted));
    }
    assert_eq!(sent(&mut session), ["1", "2", "3"]);
}

fn expiring(number: u64, at: u64) -> Outbound {
    let mut outbound = stored(number, QoS::AtLeastOnce).1;
    if let Body::Stored(stored) = &mut outbound.body {
        stored.expires = Time::from_millis(at);
    }
    outbound
}

#[test]
fn an_expired_message_goes_without_being_loaded_mqtt_3_3_2_5() {
    let mut session = queued([]);
    let limits = Limits::default();
    for (number, at) in [(1, 5), (2, 90), (3, 5)] {
        session.enqueue(expiring(number, at), &limits, |_| panic!("dropped"));
    }
    let now = Time::from_millis(5);
    let is_over = |body: &Body| body.is_expired(now);
    assert_eq!(session.missing(9, 1000, is_over), references([2]));
    let mut late = Vec::new();
    let mut sent = Vec::new();
    loop {
        let is_over = |body: &Body| body.is_expired(now);
        let dropped = |outbound: Outbound| late.push(outbound.number.unwrap().get());
        match session.next_to_send(9, true, is_over, |_| When::Now, dropped) {
            Some(Next::Publish(_, outbound)) => sent.push(text(&outbound)),
            Some(Next::Missing) => fill(&mut session, 2),
            None => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((late, sent), (vec![1, 3], vec!["2".to_owned()]));
    assert_eq!((session.queued_len(), session.queued_bytes()), (0, 0));
}

#[test]
fn a_message_that_waited_too_long_goes_without_being_loaded() {
    let mut session = queued(1..=4);
    // By its name it is known when a message came.
    let is_over = |body: &Body| body.reference().is_some_and(|one| one < MessageRef(3));
    assert_eq!(session.missing(9, 1000, is_over), references([3, 4]));
    let mut late = Vec::new();
    let dropped = |outbound: Outbound| late.push(outbound.number.unwrap().get());
    let next = session.next_to_send(9, true, is_over, |_| When::Now, dropped);
    assert!(matches!(next, Some(Next::Missing)), "{next:?}");
    assert_eq!(late, [1, 2]);
    for number in [3, 4] {
        fill(&mut session, number);
    }
    assert_eq!(sent(&mut session), ["3", "4"]);
}

#[test]
fn a_full_queue_drops_the_oldest_though_it_was_asked_for() {
    let mut session = queued(1..=3);
    assert_eq!(session.missing(2, 1000, never), references([1, 2]));
    let limits = Limits {
        queued_messages: 3,
        ..Limits::default()
    };
    let mut dropped = Vec::new();
    let (_, four) = stored(4, QoS::AtLeastOnce);
    session.enqueue(four, &limits, |lost| {
        dropped.push(lost.number.unwrap().get())
    });
    assert_eq!(dropped, [1]);
    let (message, _) = stored(1, QoS::AtLeastOnce);
    let late = session.fill(MessageRef(1), Some(message));
    assert!(matches!(late, Filled::Unwanted));
    fill(&mut session, 2);
    assert_eq!(sent(&mut session), ["2"]);
    assert_eq!(session.missing(2, 1000, never), references([3, 4]));
}

#[test]
fn a_shared_message_is_handed_over_from_the_store_mqtt_4_8_2_4() {
    let group = Arc::new(SubscriptionFilter::parse("$share/g/t", 8).unwrap());
    let mut session = queued([]);
    for number in 1..=4 {
        let mut outbound = stored(number, QoS::AtLeastOnce).1;
        if number < 3 {
            outbound.matched = Matched::new(None, Some(Arc::clone(&group)));
        }
        session.enqueue(outbound, &Limits::default(), |_| panic!("dropped"));
    }
    assert_eq!(session.missing(3, 1000, never), references([1, 2, 3]));
    fill(&mut session, 1);
    assert!(matches!(next(&mut session, 9), Some(Next::Publish(..))));
    let taken = session.take_shared(|filter| *filter == *group);
    let references_of: Vec<_> = taken.iter().map(|one| one.body.reference()).collect();
    assert_eq!(references_of, [1, 2].map(|one| Some(MessageRef(one))));
    assert!(taken.iter().all(|one| one.matched.share() == Some(&group)));
    // What was asked for is still expected, and only that.
    let (message, _) = stored(2, QoS::AtLeastOnce);
    let filled = session.fill(MessageRef(2), Some(message));
    assert!(matches!(filled, Filled::Unwanted));
    fill(&mut session, 3);
    assert_eq!(sent(&mut session), ["3"]);
    assert_eq!(session.missing(3, 1000, never), references([4]));
}

/// Filling looks at no more than what was asked for: a hundred thousand messages take about as
/// many steps. (With a walk of the whole queue for each it would be five thousand million.)
#[test]
fn a_long_queue_drains_in_order() {
    let mut session = queued(1..=100_000);
    let mut loading = VecDeque::new();
    let (mut expected, mut asks) = (1, 0);
    while session.has_waiting() {
        let missing = session.missing(512, 1 << 20, never);
        asks += usize::from(!missing.is_empty());
        loading.extend(missing);
        match next(&mut session, 100) {
            Some(Next::Publish(Some(id), outbound)) => {
                assert_eq!(outbound.number, DeliveryNumber::new(expected));
                expected += 1;
                session.puback(id);
            }
            Some(Next::Missing) => {
                let MessageRef(number) = loading.pop_front().unwrap();
                fill(&mut session, number);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(expected, 100_001);
    assert!(asks <= 100_000 / 256 + 2, "{asks}");
}
