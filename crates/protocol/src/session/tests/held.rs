//! Packets that wait until the store has their record safe.

use super::*;

fn number(number: u64) -> Option<DeliveryNumber> {
    DeliveryNumber::new(number)
}

/// A message that the store knows by this number, which is its text too.
fn numbered(count: u64, qos: QoS) -> Outbound {
    Outbound {
        number: number(count),
        ..outbound(&count.to_string(), qos)
    }
}

/// Offers a QoS 2 message whose PUBLISH has to wait.
fn hold(session: &mut Session, count: u64) -> PacketId {
    let kept = || Some(numbered(count, QoS::ExactlyOnce));
    match session.offer(QoS::ExactlyOnce, 99, When::Safe, kept) {
        Offer::Held(id) => id,
        other => panic!("{other:?}"),
    }
}

/// What is to be written once a record is safe.
fn opened(session: &mut Session, id: PacketId, count: u64) -> String {
    match session.open_gate(id, number(count)) {
        Gate::Publish(outbound) => {
            assert_eq!(outbound.number, number(count));
            format!("publish {}", text(&outbound))
        }
        Gate::Pubrel => format!("pubrel {}", id.get()),
        Gate::NotDue => "nothing".to_owned(),
    }
}

/// All that can be written; QoS 2 messages with a number wait for their record.
fn written(session: &mut Session) -> Vec<String> {
    let mut all = Vec::new();
    let when = |outbound: &Outbound| match (outbound.number, outbound.qos) {
        (Some(_), QoS::ExactlyOnce) => When::Safe,
        _ => When::Now,
    };
    while let Some(next) =
        session.next_to_send(99, true, |_| false, when, |_| panic!("nothing is over"))
    {
        all.push(match next {
            Next::Publish(_, outbound) => format!("publish {}", text(&outbound)),
            Next::Held(id, outbound) => format!("hold {} as {}", text(&outbound), id.get()),
            Next::PublishHeld(_, outbound) => format!("first {}", text(&outbound)),
            Next::PublishAgain(_, outbound) => format!("again {}", text(&outbound)),
            Next::PubrelAgain(id) => format!("pubrel {}", id.get()),
            Next::Missing => panic!("all is in memory"),
        });
    }
    all
}

fn enqueue(session: &mut Session, outbound: Outbound) {
    session.enqueue(outbound, &Limits::default(), |_| panic!("dropped"));
}

#[test]
fn a_delivery_keeps_its_number_until_it_is_done_mqtt_4_3_3_5() {
    let mut session = Session::default();
    let one = hold(&mut session, 7);
    assert_eq!(opened(&mut session, one, 7), "publish 7");
    let first = session.pubrec(one, false, When::Now);
    assert_eq!(first, Released::Pubrel(number(7)));
    let again = session.pubrec(one, false, When::Now);
    assert_eq!(again, Released::Repeated);
    // The message is gone; what the store calls it is not.
    assert_eq!(session.pubcomp(one), Acked::Done(number(7)));
    assert_eq!(session.pubcomp(one), Acked::Unknown);

    let kept = |count, qos| move || Some(numbered(count, qos));
    session.offer(QoS::AtLeastOnce, 9, When::Now, kept(8, QoS::AtLeastOnce));
    session.offer(QoS::ExactlyOnce, 9, When::Now, kept(9, QoS::ExactlyOnce));
    session.offer(QoS::AtLeastOnce, 9, When::Now, kept(10, QoS::AtLeastOnce));
    assert_eq!(session.puback(id(2)), Acked::Done(number(8)));
    let refused = session.pubrec(id(3), true, When::Now);
    assert_eq!(refused, Released::Refused(number(9)));
    assert_eq!(session.abandon(id(4)), number(10));
    assert_eq!(session.abandon(id(4)), None);
    assert_eq!(session.inflight_len(), 0);
}

#[test]
fn nobody_acknowledges_what_was_not_sent() {
    let mut session = Session::default();
    let one = hold(&mut session, 1);
    assert_eq!(session.pubrec(one, false, When::Now), Released::Unknown);
    assert_eq!(
        session.pubrec(one, true, When::Now),
        Released::Refused(None)
    );
    assert_eq!(session.pubcomp(one), Acked::Unknown);
    assert_eq!(opened(&mut session, one, 1), "publish 1");
    assert_eq!(opened(&mut session, one, 1), "nothing", "once");
    let held = session.pubrec(one, false, When::Safe);
    assert_eq!(held, Released::Held(number(1)));
    assert_eq!(session.pubrec(one, false, When::Safe), Released::StillHeld);
    assert_eq!(session.pubcomp(one), Acked::Unknown);
    assert_eq!(opened(&mut session, one, 1), "pubrel 1");
    assert_eq!(session.pubrec(one, false, When::Safe), Released::Repeated);
    assert_eq!(session.pubcomp(one), Acked::Done(number(1)));
}

#[test]
fn publishes_leave_in_order_whichever_record_is_safe_first_mqtt_4_6_0_6() {
    let mut session = Session::default();
    let ids = [1, 2, 3, 4].map(|count| hold(&mut session, count));
    assert_eq!(opened(&mut session, ids[2], 3), "nothing");
    assert_eq!(opened(&mut session, ids[1], 2), "nothing");
    assert!(!session.has_waiting() && written(&mut session).is_empty());
    assert_eq!(opened(&mut session, ids[0], 1), "publish 1");
    assert!(session.has_waiting());
    assert_eq!(written(&mut session), ["first 2", "first 3"]);
    assert_eq!(opened(&mut session, ids[3], 4), "publish 4");
    assert!(!session.has_waiting());
}

#[test]
fn a_held_flow_that_goes_lets_those_behind_it_pass() {
    let mut session = Session::default();
    let ids = [1, 2].map(|count| hold(&mut session, count));
    assert_eq!(opened(&mut session, ids[1], 2), "nothing");
    assert_eq!(session.abandon(ids[0]), number(1));
    assert_eq!(written(&mut session), ["first 2"]);
    assert_eq!(opened(&mut session, ids[0], 1), "nothing");
}

#[test]
fn pubrels_leave_in_the_order_of_the_pubrecs_mqtt_4_6_0_4() {
    let mut session = Session::default();
    let ids = [1, 2, 3].map(|count| {
        let one = hold(&mut session, count);
        assert_eq!(opened(&mut session, one, count), format!("publish {count}"));
        one
    });
    let released = |session: &mut Session, at: usize, when| session.pubrec(ids[at], false, when);
    assert_eq!(
        released(&mut session, 1, When::Safe),
        Released::Held(number(2))
    );
    assert_eq!(
        released(&mut session, 2, When::Safe),
        Released::Held(number(3))
    );
    // This one waits for no record, but for those before it.
    assert_eq!(
        released(&mut session, 0, When::Now),
        Released::Held(number(1))
    );
    assert_eq!(opened(&mut session, ids[0], 1), "nothing");
    assert_eq!(opened(&mut session, ids[2], 3), "nothing");
    assert_eq!(opened(&mut session, ids[1], 2), "pubrel 2");
    assert_eq!(written(&mut session), ["pubrel 3", "pubrel 1"]);
    for count in [1, 2, 3] {
        let done = session.pubcomp(id(count));
        assert_eq!(done, Acked::Done(number(count.into())));
    }
}

#[test]
fn only_qos_2_waits_behind_a_held_message_mqtt_4_6_0_6() {
    let mut session = Session::default();
    let one = hold(&mut session, 1);
    // This one the store need not know of.
    let unknown = || Some(outbound("2", QoS::ExactlyOnce));
    assert_eq!(
        session.offer(QoS::ExactlyOnce, 9, When::Now, unknown),
        Offer::Wait
    );
    let other = session.offer(QoS::AtLeastOnce, 9, When::Now, || message("other"));
    assert_eq!(other, Offer::Send(id(2)));
    enqueue(&mut session, outbound("2", QoS::ExactlyOnce));
    enqueue(&mut session, numbered(3, QoS::ExactlyOnce));
    assert_eq!(written(&mut session), [""; 0]);
    assert_eq!(opened(&mut session, one, 1), "publish 1");
    assert_eq!(written(&mut session), ["publish 2", "hold 3 as 4"]);
    assert_eq!(opened(&mut session, id(4), 3), "publish 3");
}

#[test]
fn what_is_not_kept_cannot_be_held() {
    let mut session = Session::default();
    let offer = session.offer(QoS::ExactlyOnce, 9, When::Safe, || None);
    assert_eq!(offer, Offer::Send(PacketId::FIRST));
    assert!(matches!(
        session.pubrec(PacketId::FIRST, false, When::Now),
        Released::Pubrel(None)
    ));
}

#[test]
fn a_resume_passes_no_closed_gate() {
    let mut session = Session::default();
    let kept = || Some(numbered(1, QoS::AtLeastOnce));
    session.offer(QoS::AtLeastOnce, 9, When::Now, kept);
    let two = hold(&mut session, 2);
    let three = hold(&mut session, 3);
    session.resume();
    assert_eq!(written(&mut session), ["again 1"]);
    assert!(session.has_waiting());
    // Its turn comes by the ordinary way, and it was never sent: no DUP (MQTT-3.3.1-1).
    assert_eq!(opened(&mut session, two, 2), "nothing");
    assert_eq!(written(&mut session), ["first 2"]);
    session.resume();
    assert_eq!(opened(&mut session, three, 3), "nothing");
    assert_eq!(written(&mut session), ["again 1", "again 2", "first 3"]);
    assert_eq!(opened(&mut session, three, 3), "nothing");
}

#[test]
fn a_resume_passes_no_pubrel_that_is_held() {
    let mut session = Session::default();
    let ids = [1, 2].map(|count| {
        let one = hold(&mut session, count);
        assert_eq!(opened(&mut session, one, count), format!("publish {count}"));
        one
    });
    assert_eq!(
        session.pubrec(ids[0], false, When::Safe),
        Released::Held(number(1))
    );
    session.resume();
    assert_eq!(written(&mut session), [""; 0]);
    assert_eq!(
        session.pubrec(ids[0], false, When::Safe),
        Released::StillHeld
    );
    assert_eq!(opened(&mut session, ids[0], 1), "nothing");
    assert_eq!(written(&mut session), ["pubrel 1", "again 2"]);
    assert_eq!(session.pubcomp(ids[0]), Acked::Done(number(1)));
}

#[test]
fn a_pubrec_before_its_turn_is_held_like_any_other() {
    let mut session = Session::default();
    let ids = [1, 2].map(|count| {
        let one = hold(&mut session, count);
        assert_eq!(opened(&mut session, one, count), format!("publish {count}"));
        one
    });
    session.resume();
    // The client speaks of what the connection before sent.
    assert_eq!(
        session.pubrec(ids[1], false, When::Safe),
        Released::Held(number(2))
    );
    assert_eq!(written(&mut session), ["again 1"]);
    assert_eq!(opened(&mut session, ids[1], 2), "pubrel 2");
    assert_eq!(written(&mut session), [""; 0]);
    assert_eq!(session.pubcomp(ids[1]), Acked::Done(number(2)));
    assert_eq!(
        session.pubrec(ids[0], false, When::Now),
        Released::Pubrel(number(1))
    );
    assert_eq!(session.pubcomp(ids[0]), Acked::Done(number(1)));
    assert_eq!(session.inflight_len(), 0);
}

#[test]
fn an_answer_for_an_earlier_flow_opens_no_later_one() {
    let mut session = Session::default();
    let one = hold(&mut session, 1);
    assert_eq!(session.abandon(one), number(1));
    // Nothing is left: identifiers start over.
    session.compact();
    assert_eq!(hold(&mut session, 2), one);
    assert_eq!(opened(&mut session, one, 1), "nothing");
    assert_eq!(opened(&mut session, one, 2), "publish 2");
}

/// Whatever happens in whatever order: nothing leaves before its record is safe, and QoS 2
/// messages are first sent in the order in which they came.
#[test]
fn any_order_of_events_keeps_the_order_of_messages() {
    for seed in 1..200_u64 {
        let mut state = seed;
        let mut roll = |sides: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % sides
        };
        let mut session = Session::default();
        let (mut came, mut safe) = (0, Vec::new());
        let mut open: Vec<(PacketId, u64)> = Vec::new();
        let mut first_sent = Vec::new();
        for _ in 0..200 {
            match roll(5) {
                0 | 1 if came < 60 => {
                    came += 1;
                    let kept = || Some(numbered(came, QoS::ExactlyOnce));
                    match session.offer(QoS::ExactlyOnce, 20, When::Safe, kept) {
                        Offer::Held(id) => open.push((id, came)),
                        Offer::Wait => enqueue(&mut session, numbered(came, QoS::ExactlyOnce)),
                        Offer::Send(id) => panic!("{id:?} too early"),
                    }
                }
                2 | 3 if !open.is_empty() => {
                    let (id, count) = open.remove(roll(open.len()));
                    safe.push(count);
                    if let Gate::Publish(outbound) = session.open_gate(id, number(count)) {
                        first_sent.push(outbound.number.unwrap().get());
                    }
                }
                4 if roll(6) == 0 => session.resume(),
                _ => {}
            }
            let is_over = |_: &Body| false;
            let dropped = |_| panic!("nothing is over");
            while let Some(next) = session.next_to_send(20, true, is_over, |_| When::Safe, dropped)
            {
                match next {
                    Next::Held(id, outbound) => open.push((id, outbound.number.unwrap().get())),
                    Next::PublishHeld(_, outbound) => {
                        first_sent.push(outbound.number.unwrap().get());
                    }
                    Next::PublishAgain(_, outbound) => {
                        assert!(first_sent.contains(&outbound.number.unwrap().get()));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert!(first_sent.iter().all(|count| safe.contains(count)));
            assert!(
                first_sent
                    .iter()
                    .copied()
                    .eq(1..=u64::try_from(first_sent.len()).unwrap())
            );
        }
        assert!(!first_sent.is_empty(), "seed {seed}");
    }
}
