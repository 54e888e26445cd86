//! S51, S71: orders that clients give at topics of the server's own, and their answers.

mod hostile;

use std::sync::{Arc, Mutex};

use auth::rulebook::Contents;
use auth::{Admitted, Identity, Outcome, Rulebook, Rules};
use broker::{
    BrokerConfig, Control, Done, NotDone, NotTaken, Order, Orders, Probe, Step, Task, Watchers,
};
use codec::{Packet, Will};
use hostile::*;
use sim::guard::{Clerk, book};
use sim::peer::connect;
use sim::{Peer, Universe};
use types::{QoS, ReasonCode, SessionRef};

const DESK: &str = "$CONTROL/desk/v1";
const ANSWERS: &str = "$CONTROL/desk/v1/response";

/// Keeps two orders at most.
#[derive(Default)]
struct Desk(Mutex<Vec<(String, Vec<u8>, SessionRef)>>);

impl Desk {
    fn taken(&self) -> Vec<(String, Vec<u8>, SessionRef)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Orders for Desk {
    fn knows(&self, topic: &str) -> bool {
        topic == DESK
    }

    fn take(&self, order: &Order<'_>) -> Result<(), NotTaken> {
        let mut taken = self.0.lock().unwrap();
        if order.payload.len() > 100 {
            return Err(NotTaken::TooLarge);
        }
        if taken.len() >= 2 {
            return Err(NotTaken::Busy);
        }
        taken.push((order.user.into(), order.payload.into(), order.session));
        Ok(())
    }
}

/// Whoever names a user is that user.
fn ruled(rules: &[&str]) -> (Universe, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let mut config = BrokerConfig::open(2, 11);
    config.authenticator = Arc::new(Clerk(|request: &auth::Request| {
        let user = request.username.as_deref().map(Arc::from);
        Outcome::Admitted(Admitted::plain(Identity::of(user)))
    }));
    config.policy = Arc::new(Rulebook::new(Contents {
        rules: Rules {
            list: book(rules).rules().to_vec(),
        },
        open: vec!["$CONTROL/desk".into()],
        ..Contents::default()
    }));
    config.orders = Arc::clone(&desk) as Arc<dyn Orders>;
    (Universe::new(config), desk)
}

fn join(universe: &mut Universe, client: &str, user: Option<&str>) -> Peer {
    let mut hello = connect(V5, client);
    hello.username = user;
    let mut peer = Peer::connect(universe, hello);
    peer.received(universe);
    peer
}

/// What a PUBLISH of QoS 1 is answered.
fn published(universe: &mut Universe, peer: &mut Peer, topic: &str, payload: &[u8]) -> ReasonCode {
    peer.publish(universe, topic, payload, QoS::AtLeastOnce, 1);
    let received = peer.received(universe);
    let [Packet::PubAck(ack)] = packets(&received)[..] else {
        panic!("{:?}", packets(&received));
    };
    ack.reason
}

#[test]
fn s51_orders_are_for_users_to_whom_a_rule_opens_the_topic() {
    let (mut universe, desk) = ruled(&["allow user=ann publish $CONTROL/#", "allow both #"]);
    let mut ann = join(&mut universe, "a", Some("ann"));
    let mut bob = join(&mut universe, "b", Some("bob"));
    let give = published;
    assert_eq!(
        give(&mut universe, &mut ann, DESK, b"x"),
        ReasonCode::Success
    );
    assert_eq!(desk.taken()[0].0, "ann");
    // What is allowed with `#` is nothing that begins with `$`.
    assert_eq!(
        give(&mut universe, &mut bob, DESK, b"x"),
        ReasonCode::NotAuthorized
    );
    // Nobody answers there, or it is nothing that rules could open.
    for topic in [
        ANSWERS,
        "$CONTROL/desk",
        "$CONTROL/other/v1",
        "$SYS/x",
        "$share/g/t",
    ] {
        let answer = give(&mut universe, &mut ann, topic, b"x");
        assert_eq!(answer, ReasonCode::NotAuthorized, "{topic}");
    }
    // Who has no name gives no orders, whatever the rules say.
    let (mut universe, everybody) = ruled(&["allow both $CONTROL/# #"]);
    let mut nobody = join(&mut universe, "n", None);
    assert_eq!(
        give(&mut universe, &mut nobody, DESK, b"x"),
        ReasonCode::NotAuthorized
    );
    assert!(desk.taken().is_empty() && everybody.taken().is_empty());
}

#[test]
fn orders_that_are_too_long_or_too_many_are_refused() {
    let (mut universe, desk) = ruled(&["allow publish $CONTROL/#"]);
    let mut ann = join(&mut universe, "a", Some("ann"));
    let long = published(&mut universe, &mut ann, DESK, &[b' '; 101]);
    assert_eq!(long, ReasonCode::ImplementationSpecificError);
    for wanted in [
        ReasonCode::Success,
        ReasonCode::Success,
        ReasonCode::QuotaExceeded,
    ] {
        assert_eq!(published(&mut universe, &mut ann, DESK, b"x"), wanted);
    }
    assert_eq!(desk.taken().len(), 2);
    // The same QoS 2 message again is the same order (MQTT-4.3.3-10).
    for _ in 0..2 {
        ann.publish(&mut universe, DESK, b"x", QoS::ExactlyOnce, 7);
    }
    assert_eq!(desk.taken().len(), 1);
}

struct Spy(Mutex<usize>);

impl Probe for Spy {
    fn step(&self, _: &Step<'_>) {
        *self.0.lock().unwrap() += 1;
    }
}

#[test]
fn s71_an_order_is_shown_to_nobody_and_kept_nowhere() {
    let (mut universe, desk) = ruled(&["allow both $CONTROL/# #"]);
    let mut ann = join(&mut universe, "a", Some("ann"));
    let mut bob = join(&mut universe, "b", Some("bob"));
    for filter in ["#", "$CONTROL/#", "$share/g/$CONTROL/#"] {
        bob.subscribe(&mut universe, filter, QoS::AtMostOnce);
    }
    bob.received(&mut universe);
    let spy = Arc::new(Spy(Mutex::default()));
    universe.control(&Control::Watch(Watchers {
        every: Some(Arc::clone(&spy) as Arc<dyn Probe>),
        some: Some(Arc::clone(&spy) as Arc<dyn Probe>),
        traced: None,
    }));
    universe.settle();
    ann.retain(&mut universe, DESK, b"password");
    assert_eq!(desk.taken()[0].1, b"password");
    assert_eq!(*spy.0.lock().unwrap(), 0);
    assert_eq!(bob.messages(&mut universe), []);
    assert_eq!(universe.shared.retained.count(), 0);
    // Others are told of: it is no spy that is blind.
    ann.publish(&mut universe, "t", b"", QoS::AtMostOnce, 0);
    assert_ne!(*spy.0.lock().unwrap(), 0);
}

#[test]
fn s51_a_will_gives_no_orders() {
    let (mut universe, desk) = ruled(&["allow both $CONTROL/# #"]);
    let mut hello = connect(V5, "a");
    hello.username = Some("ann");
    hello.will = Some(Will {
        topic: DESK,
        payload: b"x",
        qos: QoS::AtMostOnce,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: Default::default(),
    });
    let mut peer = Peer::connect(&mut universe, hello);
    sent_away(&mut peer, &mut universe, Some(ReasonCode::NotAuthorized));
    assert!(desk.taken().is_empty());
}

#[test]
fn s51_an_answer_goes_to_the_session_that_gave_the_order_alone() {
    let (mut universe, desk) = ruled(&["allow both $CONTROL/# #"]);
    let mut ann = join(&mut universe, "a", Some("ann"));
    let mut bob = join(&mut universe, "b", Some("bob"));
    bob.subscribe(&mut universe, "$CONTROL/#", QoS::AtMostOnce);
    bob.received(&mut universe);
    published(&mut universe, &mut ann, DESK, b"x");
    let (.., session) = desk.taken().remove(0);
    let tell = |universe: &mut Universe| {
        let task = Task::Tell {
            session: session.key,
            topic: ANSWERS.into(),
            payload: b"done".as_slice().into(),
        };
        let answer = universe.errand(session.worker, task).try_recv();
        answer.expect("an answer")
    };
    assert_eq!(tell(&mut universe), Ok(Done::Told { reached: false }));
    ann.subscribe(&mut universe, ANSWERS, QoS::AtLeastOnce);
    ann.received(&mut universe);
    assert_eq!(tell(&mut universe), Ok(Done::Told { reached: true }));
    let heard = ann.messages(&mut universe);
    assert_eq!(heard, [(ANSWERS.to_owned(), b"done".to_vec())]);
    assert_eq!(bob.messages(&mut universe), []);
    ann.hang_up(&mut universe);
    assert_eq!(tell(&mut universe), Err(NotDone::Away));
}
