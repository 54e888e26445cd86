use std::sync::Arc;

use types::{Body, Durability, Message, MessageParts};

use super::*;

mod held;
mod restored;
mod stored;

fn outbound(text: &str, qos: QoS) -> Outbound {
    let parts = MessageParts {
        properties: &[],
        payload: text.as_bytes(),
        qos,
        retain: false,
        publisher: None,
        expires: None,
        durability: Durability::Memory,
        followed: types::Followed::No,
    };
    let message = Arc::new(Message::new(Arc::from("t"), parts));
    Outbound {
        body: Body::Here(message),
        number: None,
        qos,
        retain: false,
        matched: Matched::default(),
    }
}

#[test]
fn a_flow_ends_with_its_own_acknowledgement_and_no_other_s33() {
    let mut session = Session::default();
    let kept = || Some(outbound("a", QoS::AtLeastOnce));
    let Offer::Send(id) = session.offer(QoS::AtLeastOnce, 1, When::Now, kept) else {
        panic!("no room")
    };
    assert_eq!(
        session.offer(QoS::AtLeastOnce, 1, When::Now, || None),
        Offer::Wait
    );
    assert_eq!(session.pubcomp(id), Acked::Unknown);
    assert_eq!(session.pubrec(id, false, When::Now), Released::Unknown);
    assert_eq!(session.puback(id), Acked::Done(None));
    assert_eq!(session.puback(id), Acked::Unknown);
    assert_eq!(session.inflight_len(), 0);
}

/// The payload; `-` if it is not in memory.
fn text(outbound: &Outbound) -> String {
    let payload = outbound.body.message().map(|message| message.payload());
    String::from_utf8(payload.unwrap_or(b"-").to_vec()).unwrap()
}

/// What is next if nothing is held and nothing expires.
fn next(session: &mut Session, window: usize) -> Option<Next> {
    let is_over = |_: &Body| false;
    let dropped = |_| panic!("nothing is over");
    session.next_to_send(window, true, is_over, |_| When::Now, dropped)
}

fn message(text: &str) -> Option<Outbound> {
    Some(outbound(text, QoS::AtLeastOnce))
}

/// Opens a flow whose PUBLISH is sent at once.
fn open(inflight: &mut Inflight, qos: QoS, kept: Option<Outbound>) -> PacketId {
    let (id, when) = inflight.assign(qos, When::Now, || kept).unwrap();
    assert_eq!(when, When::Now);
    id
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// Everything that is sent again, as (identifier, payload); PUBREL has no payload.
fn resent(inflight: &mut Inflight, window: usize) -> Vec<(u16, String)> {
    let mut all = Vec::new();
    loop {
        match inflight.next_resend(window) {
            Resend::Publish(id, outbound) => {
                let payload = text(&outbound);
                all.push((id.get(), payload));
            }
            Resend::Pubrel(id) => all.push((id.get(), String::new())),
            Resend::Blocked | Resend::Nothing => return all,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn identifiers_count_up_and_65_535_is_followed_by_1_mqtt_2_2_1_3() {
    let mut inflight = Inflight::default();
    for round in 0..3 {
        for number in 1..=u16::MAX {
            let given = open(&mut inflight, QoS::AtLeastOnce, None);
            assert_eq!(given, id(number), "round {round}");
            assert_eq!(inflight.puback(id(number)), Acked::Done(None));
        }
    }
    assert!(inflight.is_empty());
}

#[test]
fn no_identifier_is_given_twice_while_it_is_in_use_mqtt_2_2_1_4() {
    let mut inflight = Inflight::default();
    let slow = open(&mut inflight, QoS::ExactlyOnce, None);
    let slower = open(&mut inflight, QoS::AtLeastOnce, None);
    for _ in 0..200_000 {
        let given = open(&mut inflight, QoS::AtLeastOnce, None);
        assert!(given != slow && given != slower);
        assert_eq!(inflight.puback(given), Acked::Done(None));
    }
    assert_eq!(inflight.len(), 2);
}

#[test]
fn a_straggler_is_acknowledged_wherever_the_ring_stands() {
    // One flow stays behind while any number of others comes and goes: before it leaves the
    // ring, after, and while the ring passes over its identifier.
    for later in [
        0, 1, 32_766, 32_767, 32_768, 40_000, 65_533, 65_534, 65_600, 98_303,
    ] {
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut inflight = Inflight::default();
            let slow = open(&mut inflight, qos, message("slow"));
            let mut last = None;
            for _ in 0..later {
                // One behind, so that the ring is never empty.
                let given = open(&mut inflight, QoS::AtLeastOnce, None);
                if let Some(before) = last.replace(given) {
                    assert_eq!(inflight.puback(before), Acked::Done(None));
                }
            }
            if qos == QoS::ExactlyOnce {
                assert_eq!(
                    inflight.pubrec(slow, false, When::Now),
                    Released::Pubrel(None)
                );
                assert_eq!(inflight.pubcomp(slow), Acked::Done(None), "after {later}");
            } else {
                assert_eq!(inflight.puback(slow), Acked::Done(None), "after {later}");
                assert_eq!(inflight.puback(slow), Acked::Unknown, "after {later}");
            }
            assert_eq!(inflight.len(), usize::from(last.is_some()));
        }
    }
}

#[test]
fn half_of_all_identifiers_can_be_in_use_and_each_acknowledgement_makes_room() {
    let mut inflight = Inflight::default();
    let mut given = std::collections::VecDeque::new();
    while let Some((id, _)) = inflight.assign(QoS::AtLeastOnce, When::Now, || None) {
        given.push_back(id);
    }
    assert_eq!(given.len(), 32_768);
    assert!(!inflight.has_room(usize::MAX));
    // Acknowledged out of order, so that many become stragglers.
    let mut known: std::collections::HashSet<PacketId> = given.iter().copied().collect();
    for step in 0..40_000 {
        let done = if step % 3 == 0 {
            given.pop_front()
        } else {
            given.pop_back()
        };
        assert_eq!(
            inflight.puback(done.unwrap()),
            Acked::Done(None),
            "step {step}"
        );
        known.remove(&done.unwrap());
        let id = open(&mut inflight, QoS::AtLeastOnce, None);
        assert!(known.insert(id), "{id:?} twice");
        given.push_back(id);
    }
    for id in given {
        assert_eq!(inflight.puback(id), Acked::Done(None));
    }
    assert!(inflight.is_empty() && inflight.has_room(1));
}

#[test]
fn a_new_connection_sends_again_in_the_first_order_mqtt_4_4_0_1() {
    let mut inflight = Inflight::default();
    open(&mut inflight, QoS::AtLeastOnce, message("1"));
    open(&mut inflight, QoS::ExactlyOnce, message("2"));
    open(&mut inflight, QoS::ExactlyOnce, message("3"));
    open(&mut inflight, QoS::AtLeastOnce, message("4"));
    assert_eq!(
        inflight.pubrec(id(3), false, When::Now),
        Released::Pubrel(None)
    );
    assert_eq!(
        inflight.pubrec(id(2), false, When::Now),
        Released::Pubrel(None)
    );
    assert_eq!(inflight.puback(id(1)), Acked::Done(None));
    open(&mut inflight, QoS::AtLeastOnce, message("5"));
    inflight.resume();
    let text = |id: u16, text: &str| (id, text.to_owned());
    let wanted = [text(2, ""), text(3, ""), text(4, "4"), text(5, "5")];
    assert_eq!(resent(&mut inflight, 10), wanted);
    assert_eq!(resent(&mut inflight, 10), []);
    // And once more, for the next connection.
    inflight.resume();
    assert_eq!(resent(&mut inflight, 10), wanted);
}

#[test]
fn what_is_sent_again_stays_within_the_window_mqtt_3_3_4_9() {
    let mut inflight = Inflight::default();
    for text in ["1", "2", "3"] {
        open(&mut inflight, QoS::AtLeastOnce, message(text));
    }
    inflight.resume();
    assert_eq!(resent(&mut inflight, 2), [(1, "1".into()), (2, "2".into())]);
    assert!(!inflight.has_room(2));
    assert_eq!(inflight.puback(id(2)), Acked::Done(None));
    assert_eq!(resent(&mut inflight, 2), [(3, "3".into())]);
    assert_eq!(inflight.puback(id(1)), Acked::Done(None));
    assert_eq!(inflight.puback(id(3)), Acked::Done(None));
    assert!(inflight.is_empty() && inflight.has_room(1));
}

#[test]
fn a_straggler_goes_first_when_all_is_sent_again() {
    let mut inflight = Inflight::default();
    open(&mut inflight, QoS::ExactlyOnce, message("old"));
    for _ in 0..40_000 {
        let given = open(&mut inflight, QoS::AtLeastOnce, None);
        inflight.puback(given);
    }
    let new = open(&mut inflight, QoS::AtLeastOnce, message("new"));
    inflight.resume();
    let wanted = [(1, "old".to_owned()), (new.get(), "new".to_owned())];
    assert_eq!(resent(&mut inflight, 10), wanted);
}

#[test]
fn an_acknowledgement_that_comes_before_its_turn_ends_the_flow_for_good() {
    // A client may acknowledge what an earlier connection sent before it is sent again.
    let mut inflight = Inflight::default();
    for text in ["1", "2", "3"] {
        open(&mut inflight, QoS::AtLeastOnce, message(text));
    }
    inflight.resume();
    assert_eq!(resent(&mut inflight, 1), [(1, "1".into())]);
    assert_eq!(inflight.puback(id(2)), Acked::Done(None));
    assert_eq!(inflight.puback(id(1)), Acked::Done(None));
    assert_eq!(resent(&mut inflight, 1), [(3, "3".into())]);
}

#[test]
fn a_refused_pubrec_is_never_answered_mqtt_4_3_3_4() {
    let mut inflight = Inflight::default();
    open(&mut inflight, QoS::ExactlyOnce, message("1"));
    assert_eq!(
        inflight.pubrec(id(1), true, When::Now),
        Released::Refused(None)
    );
    assert!(inflight.is_empty());
    assert_eq!(
        inflight.pubrec(id(1), true, When::Now),
        Released::Refused(None)
    );
    assert_eq!(inflight.pubrec(id(1), false, When::Now), Released::Unknown);
    // Once it was taken, the flow goes on to PUBCOMP; a repeated PUBREC is answered again.
    open(&mut inflight, QoS::ExactlyOnce, message("2"));
    assert_eq!(
        inflight.pubrec(id(2), false, When::Now),
        Released::Pubrel(None)
    );
    assert_eq!(inflight.pubrec(id(2), false, When::Now), Released::Repeated);
    assert_eq!(inflight.puback(id(2)), Acked::Unknown);
    assert_eq!(inflight.pubcomp(id(2)), Acked::Done(None));
}

#[test]
fn nothing_new_overtakes_what_is_sent_again_mqtt_4_6_0_1() {
    let mut session = Session::default();
    for text in ["1", "2"] {
        let offer = session.offer(QoS::AtLeastOnce, 5, When::Now, || message(text));
        assert!(matches!(offer, Offer::Send(_)));
    }
    session.resume();
    // Nothing was sent again yet: there is room, and yet the new one waits.
    assert_eq!(
        session.offer(QoS::AtLeastOnce, 5, When::Now, || message("3")),
        Offer::Wait
    );
    session.enqueue(outbound("3", QoS::AtLeastOnce), &Limits::default(), |_| {
        panic!("dropped")
    });
    let mut seen = Vec::new();
    while let Some(next) = next(&mut session, 5) {
        match next {
            Next::PublishAgain(id, out) => seen.push((id.get(), text(&out))),
            Next::Publish(Some(id), out) => seen.push((id.get(), text(&out))),
            other => panic!("{other:?}"),
        }
    }
    let wanted = [(1, "1".into()), (2, "2".into()), (3, "3".into())];
    assert_eq!(seen, wanted);
    assert!(matches!(
        session.offer(QoS::AtLeastOnce, 5, When::Now, || message("4")),
        Offer::Send(_)
    ));
}

#[test]
fn a_shared_message_leaves_a_hole_that_is_given_again_mqtt_4_8_2_4() {
    let group = Arc::new(SubscriptionFilter::parse("$share/g/t", 8).unwrap());
    let shared = |text: &str, qos| Outbound {
        matched: Matched::new(None, Some(Arc::clone(&group))),
        ..outbound(text, qos)
    };
    let mut session = Session::default();
    session.offer(QoS::AtLeastOnce, 9, When::Now, || {
        Some(shared("1", QoS::AtLeastOnce))
    });
    session.offer(QoS::ExactlyOnce, 9, When::Now, || {
        Some(shared("2", QoS::ExactlyOnce))
    });
    session.offer(QoS::AtLeastOnce, 9, When::Now, || message("own"));
    session.enqueue(shared("4", QoS::ExactlyOnce), &Limits::default(), |_| {
        panic!("dropped")
    });
    let taken: Vec<String> = session
        .take_shared(|filter| *filter == *group)
        .iter()
        .map(text)
        .collect();
    assert_eq!(taken, ["1", "4"]);
    assert_eq!(session.inflight_len(), 2);
    assert_eq!(session.puback(id(1)), Acked::Unknown);
    assert_eq!(
        session.pubrec(id(2), false, When::Now),
        Released::Pubrel(None)
    );
    assert_eq!(session.puback(id(3)), Acked::Done(None));
}
