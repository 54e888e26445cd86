//! What an earlier run left.

use super::stored::{never, stored};
use super::*;

fn sent(number: u16, text: &str) -> Restored {
    Restored::Sent(id(number), outbound(text, QoS::ExactlyOnce))
}

fn restored(deliveries: Vec<Restored>) -> Session {
    let mut session = Session::default();
    session.restore(deliveries, []);
    session.resume();
    session
}

/// All that can be written, with its identifier; PUBREL has no text.
fn written(session: &mut Session) -> Vec<(u16, String)> {
    let mut all = Vec::new();
    while let Some(next) = next(session, 60_000) {
        all.push(match next {
            Next::Publish(Some(id), outbound) => (id.get(), text(&outbound)),
            Next::PublishAgain(id, outbound) => (id.get(), text(&outbound)),
            Next::PubrelAgain(id) => (id.get(), String::new()),
            other => panic!("{other:?}"),
        });
    }
    all
}

#[test]
fn an_outbound_is_small() {
    assert!(size_of::<Outbound>() <= 56, "{}", size_of::<Outbound>());
    assert!(size_of::<Flow>() <= 56, "{}", size_of::<Flow>());
}

#[test]
fn a_restored_session_goes_on_where_it_stood_mqtt_4_4_0_1() {
    let number = DeliveryNumber::new(5);
    let mut session = Session::default();
    let deliveries = vec![
        sent(3, "3"),
        Restored::Received(id(5), number),
        Restored::Sent(id(9), outbound("9", QoS::AtLeastOnce)),
        Restored::Waiting(outbound("10", QoS::AtLeastOnce)),
        Restored::Waiting(outbound("11", QoS::ExactlyOnce)),
    ];
    session.restore(deliveries, [id(77), id(78)]);
    assert_eq!((session.inflight_len(), session.queued_len()), (3, 2));
    assert!(session.has_waiting());
    assert!(session.is_unreleased(id(77)) && !session.receive(id(78)) && session.receive(id(79)));
    session.resume();
    let pair = |id, text: &str| (id, text.to_owned());
    let wanted = [
        pair(3, "3"),
        pair(5, ""),
        pair(9, "9"),
        pair(10, "10"),
        pair(11, "11"),
    ];
    assert_eq!(written(&mut session), wanted);
    assert_eq!(session.pubcomp(id(5)), Acked::Done(number));
    assert_eq!(session.puback(id(9)), Acked::Done(None));
    assert_eq!(
        session.pubrec(id(3), false, When::Now),
        Released::Pubrel(None)
    );
    assert_eq!(session.puback(id(4)), Acked::Unknown, "a hole");
    assert_eq!(session.inflight_len(), 3);
}

#[test]
fn restored_identifiers_go_round_and_some_stay_behind() {
    for ids in [
        vec![65_530, 65_535, 1, 4],
        vec![5, 6, 40_000, 40_001],
        vec![65_000, 40_000],
        vec![2, 32_768, 32_769, 32_770],
        vec![40_000, 60_000, 3, 10_000],
        // Never given out so, but taken as it is.
        vec![10, 7, 12, 3],
    ] {
        let deliveries = ids.iter().map(|id| sent(*id, &id.to_string())).collect();
        let mut session = restored(deliveries);
        let wanted: Vec<_> = ids.iter().map(|id| (*id, id.to_string())).collect();
        assert_eq!(written(&mut session), wanted, "{ids:?}");
        // What comes next is behind the last, and meets none of them.
        let last = *ids.last().unwrap();
        let mut known = ids.clone();
        for count in 1..=20_000_u16 {
            let offer = session.offer(QoS::AtLeastOnce, 60_000, When::Now, || None);
            let Offer::Send(given) = offer else {
                panic!("no room")
            };
            assert!(!known.contains(&given.get()), "{given:?} twice, {ids:?}");
            if count == 1 && !ids.contains(&last.wrapping_add(1)) {
                assert_eq!(given.get(), last + 1);
            }
            if count.is_multiple_of(1000) {
                known.push(given.get());
            } else {
                assert_eq!(session.puback(given), Acked::Done(None));
            }
        }
        for number in ids {
            let released = session.pubrec(id(number), false, When::Now);
            assert_eq!(released, Released::Pubrel(None), "{number}");
            assert_eq!(session.pubcomp(id(number)), Acked::Done(None), "{number}");
        }
        assert_eq!(session.inflight_len(), 20);
    }
}

#[test]
fn nothing_to_restore_costs_nothing() {
    let mut session = Session::default();
    session.restore([], []);
    assert!(session.flows.is_none() && !session.has_waiting());
}

#[test]
fn what_was_restored_is_loaded_before_it_is_sent_again() {
    let mut session = restored(vec![
        Restored::Sent(id(3), stored(1, QoS::ExactlyOnce).1),
        Restored::Received(id(4), None),
        Restored::Sent(id(5), stored(2, QoS::AtLeastOnce).1),
        Restored::Waiting(stored(3, QoS::AtLeastOnce).1),
    ]);
    assert!(matches!(next(&mut session, 9), Some(Next::Missing)));
    let asked = session.missing(9, 1000, never);
    assert_eq!(asked, [1, 2, 3].map(MessageRef));
    let ready = session.fill(MessageRef(1), Some(stored(1, QoS::ExactlyOnce).0));
    assert!(matches!(ready, Filled::Ready));
    assert!(matches!(
        next(&mut session, 9),
        Some(Next::PublishAgain(..))
    ));
    assert!(matches!(next(&mut session, 9), Some(Next::PubrelAgain(_))));
    assert!(matches!(next(&mut session, 9), Some(Next::Missing)));
    // One that is lost ends its flow.
    let Filled::Lost(lost) = session.fill(MessageRef(2), None) else {
        panic!("it waited")
    };
    assert_eq!(lost.number, DeliveryNumber::new(2));
    assert_eq!(session.puback(id(5)), Acked::Unknown);
    let ready = session.fill(MessageRef(3), Some(stored(3, QoS::AtLeastOnce).0));
    assert!(matches!(ready, Filled::Ready));
    assert_eq!(written(&mut session), [(6, "3".to_owned())]);
    assert!(matches!(
        session.fill(MessageRef(3), None),
        Filled::Unwanted
    ));
}

#[test]
fn an_answer_that_comes_after_the_flow_is_done_is_unwanted() {
    let mut session = restored(vec![
        Restored::Sent(id(1), stored(1, QoS::AtLeastOnce).1),
        Restored::Sent(id(2), stored(2, QoS::AtLeastOnce).1),
    ]);
    assert_eq!(session.missing(9, 1000, never).len(), 2);
    // The client had it from the connection before.
    assert_eq!(session.puback(id(1)), Acked::Done(DeliveryNumber::new(1)));
    assert!(matches!(
        session.fill(MessageRef(1), None),
        Filled::Unwanted
    ));
    let ready = session.fill(MessageRef(2), Some(stored(2, QoS::AtLeastOnce).0));
    assert!(matches!(ready, Filled::Ready));
    // A resume asks again for what did not come, and only that.
    session.resume();
    assert_eq!(session.missing(9, 1000, never), []);
    assert_eq!(written(&mut session), [(2, "2".to_owned())]);
}
