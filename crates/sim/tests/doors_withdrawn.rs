//! S46, S48, S61, S67: what a client was granted is taken back, while it is here and while it is
//! away.

mod hostile;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auth::{Admitted, Answer, Asker, Authenticator, Grant, Identity, Outcome, Refresh, Request};
use broker::mail::Selector;
use broker::{BrokerConfig, CloseReason, Control, DropReason};
use codec::{Connect, Packet, Will};
use hostile::*;
use sim::guard::{book, refused};
use sim::{Peer, Universe};
use types::{QoS, ReasonCode};

/// Grants at once what is in it; what is asked again waits.
#[derive(Default)]
struct Desk {
    grants: Mutex<Grant>,
    asked: Mutex<Vec<Asker>>,
}

fn granted(grant: Grant) -> Outcome {
    granted_to("kim", grant)
}

fn granted_to(user: &str, grant: Grant) -> Outcome {
    Outcome::Admitted(Admitted {
        grant: Some(Arc::new(grant)),
        ..Admitted::plain(Identity::User(user.into()))
    })
}

fn superuser() -> Grant {
    Grant {
        superuser: true,
        ..Grant::default()
    }
}

impl Authenticator for Desk {
    fn authenticate(&self, request: Request) -> Answer {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        Answer::Now(match request.client_id.strip_prefix("others") {
            Some(_) => granted_to("other", superuser()),
            None => granted(grants.clone()),
        })
    }

    fn refresh(&self, request: Refresh) -> Answer {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(request.asker);
        Answer::Later
    }
}

impl Desk {
    fn grant(&self, grant: Grant) {
        *self.grants.lock().unwrap_or_else(PoisonError::into_inner) = grant;
    }

    /// The client is asked about again; who asks.
    fn asks(&self, universe: &mut Universe) -> Asker {
        universe.control(&Control::Refresh(Selector::User("kim".into())));
        universe.settle();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asker = asked.pop();
        asker.expect("nobody was asked")
    }
}

fn universe(rules: &[&str]) -> (Universe, Arc<Desk>) {
    let desk = Arc::new(Desk::default());
    let mut config = BrokerConfig::open(1, 11);
    config.authenticator = Arc::clone(&desk) as Arc<dyn Authenticator>;
    config.policy = book(rules);
    (Universe::new(config), desk)
}

/// Whether a message of this client goes through.
fn may_publish(universe: &mut Universe, peer: &mut Peer) -> bool {
    let denied = universe.shared.totals().drops(DropReason::NotAuthorized);
    peer.publish(universe, "t", b"", QoS::AtMostOnce, 0);
    universe.shared.totals().drops(DropReason::NotAuthorized) == denied
}

#[test]
fn s48_a_late_answer_gives_nothing_back() {
    let (mut universe, desk) = universe(&[]);
    desk.grant(superuser());
    let mut peer = Peer::join(&mut universe, V5, "m");
    assert!(may_publish(&mut universe, &mut peer));
    let first = desk.asks(&mut universe);
    let second = desk.asks(&mut universe);
    universe.answer(second, granted(Grant::default()));
    universe.settle();
    assert!(!may_publish(&mut universe, &mut peer));
    // The first one was given up by its back end, which keeps what the client had.
    universe.answer(first, granted(superuser()));
    universe.settle();
    assert!(!may_publish(&mut universe, &mut peer));
}

#[test]
fn s48_an_answer_about_the_last_connection_is_not_about_this_one() {
    for late in [
        granted(superuser()),
        refused(ReasonCode::NotAuthorized),
        granted(Grant::default()),
    ] {
        for is_super in [false, true] {
            let (mut universe, desk) = universe(&[]);
            desk.grant(superuser());
            let peer = Peer::connect(&mut universe, lasting("m"));
            let asker = desk.asks(&mut universe);
            desk.grant(Grant {
                superuser: is_super,
                ..Grant::default()
            });
            let mut again = Peer::connect(&mut universe, lasting("m"));
            assert!(universe.is_closed(peer.link), "taken over");
            let late = match &late {
                Outcome::Admitted(admitted) => Outcome::Admitted(admitted.clone()),
                _ => refused(ReasonCode::NotAuthorized),
            };
            universe.answer(asker, late);
            universe.settle();
            assert!(!universe.is_closed(again.link));
            assert_eq!(may_publish(&mut universe, &mut again), is_super);
        }
    }
}

/// A client with a will, and somebody who would hear it.
fn with_will(universe: &mut Universe, delay: Option<u32>) -> (Peer, Peer) {
    let mut heir = Peer::join(universe, V5, "others");
    heir.subscribe(universe, "#", QoS::AtMostOnce);
    heir.received(universe);
    let mut peer = Peer::connect(universe, hello_with_will(delay));
    assert_eq!(told(&mut peer, universe), Some(ReasonCode::Success));
    (peer, heir)
}

fn hello_with_will(delay: Option<u32>) -> Connect<'static> {
    let mut hello = lasting("m");
    hello.will = Some(Will {
        topic: "will",
        payload: b"gone",
        qos: QoS::AtMostOnce,
        retain: false,
        delay,
        message_expiry: None,
        forward: Default::default(),
    });
    hello
}

fn heard(universe: &mut Universe, heir: &mut Peer) -> usize {
    universe.advance(Duration::from_secs(61));
    heir.messages(universe).len()
}

#[test]
fn s46_a_will_is_worth_what_its_owner_may_when_it_is_due() {
    let nothing = |_: &mut Universe| {};
    let purge = |universe: &mut Universe| {
        universe.control(&Control::Refresh(Selector::User("kim".into())));
        universe.settle();
    };
    let end = |universe: &mut Universe| {
        let selector = Selector::User("kim".into());
        universe.control(&Control::End(selector, CloseReason::Unwelcome));
        universe.settle();
    };
    let kill = |universe: &mut Universe| {
        let selector = Selector::User("kim".into());
        universe.control(&Control::End(selector, CloseReason::Ended));
        universe.settle();
    };
    let all = "allow user=kim both #";
    type Way<'a> = &'a dyn Fn(&mut Universe);
    let ways: [(Way<'_>, bool, &[&str], bool); 7] = [
        (&nothing, true, &[], true),
        (&nothing, false, &[all], true),
        // Nobody knows whether it is a superuser still; a rule that names it is known.
        (&purge, true, &[], false),
        (&purge, true, &[all], true),
        // It is no user any more, whatever the rules say.
        (&end, true, &[], false),
        (&end, false, &[all], false),
        (&kill, false, &[all], true),
    ];
    for (number, (way, is_super, rules, goes_out)) in ways.into_iter().enumerate() {
        let (mut universe, desk) = universe(rules);
        desk.grant(Grant {
            superuser: is_super,
            ..Grant::default()
        });
        let (mut peer, mut heir) = with_will(&mut universe, Some(60));
        peer.hang_up(&mut universe);
        way(&mut universe);
        let heard = heard(&mut universe, &mut heir);
        assert_eq!(heard, usize::from(goes_out), "way {number}");
    }
}

#[test]
fn s46_who_is_not_welcome_leaves_no_will() {
    for delay in [None, Some(60)] {
        for (reason, goes_out) in [(CloseReason::Unwelcome, 0), (CloseReason::Ended, 1)] {
            let (mut universe, _) = universe(&["allow both #"]);
            let (peer, mut heir) = with_will(&mut universe, delay);
            universe.control(&Control::End(Selector::Client("m".into()), reason));
            universe.settle();
            assert!(universe.is_closed(peer.link));
            assert_eq!(heard(&mut universe, &mut heir), goes_out, "{reason:?}");
        }
    }
}

#[test]
fn s67_a_will_does_not_outlast_the_grant_that_it_stands_on() {
    for (delay, leaves, goes_out) in [
        // Away before the grant is over, and the will due after that, or not.
        (Some(60), true, 0),
        (Some(10), true, 1),
        // The end of the grant is the end of the connection.
        (None, false, 0),
        (Some(10), false, 0),
    ] {
        let (mut universe, desk) = universe(&[]);
        desk.grant(Grant {
            valid_for: Some(Duration::from_secs(30)),
            ..superuser()
        });
        let (mut peer, mut heir) = with_will(&mut universe, delay);
        if leaves {
            peer.hang_up(&mut universe);
        }
        assert_eq!(heard(&mut universe, &mut heir), goes_out, "{delay:?}");
        assert!(universe.is_closed(peer.link));
    }
}

#[test]
fn s48_what_waits_for_a_client_whose_grant_was_withdrawn_is_not_lost() {
    let (mut universe, desk) = universe(&[]);
    desk.grant(superuser());
    let mut speaker = Peer::join(&mut universe, V5, "others");
    let mut peer = Peer::connect(&mut universe, lasting("m"));
    peer.subscribe(&mut universe, "t", QoS::AtLeastOnce);
    peer.hang_up(&mut universe);
    universe.control(&Control::Refresh(Selector::All));
    universe.settle();
    speaker.publish(&mut universe, "t", b"1", QoS::AtLeastOnce, 1);
    let mut again = Peer::connect(&mut universe, lasting("m"));
    assert_eq!(again.messages(&mut universe).len(), 1);
    // Who comes back with less does not get it.
    again.hang_up(&mut universe);
    desk.grant(Grant::default());
    let mut again = Peer::connect(&mut universe, lasting("m"));
    assert_eq!(again.messages(&mut universe), []);
    let denied = universe.shared.totals().drops(DropReason::NotAuthorized);
    assert_eq!(denied, 1);
}

#[test]
fn s55_a_ban_of_an_address_holds_for_wills_that_wait() {
    for (ban, goes_out) in [("ban address=10.0.0.0/8", 0), ("ban address=11.0.0.0/8", 1)] {
        let (mut universe, _) = universe(&["allow both #"]);
        let mut heir = Peer::join(&mut universe, V5, "others");
        heir.subscribe(&mut universe, "#", QoS::AtMostOnce);
        heir.received(&mut universe);
        let from = types::Peer::Net("10.1.2.3:4".parse().expect("an address"));
        let mut peer = Peer::open_from(&mut universe, V5, from, 0);
        let hello = hello_with_will(Some(60));
        peer.send(&mut universe, &Packet::Connect(Box::new(hello)));
        assert_eq!(told(&mut peer, &mut universe), Some(ReasonCode::Success));
        peer.hang_up(&mut universe);
        universe.control(&Control::Policy(book(&[ban, "allow both #"])));
        universe.settle();
        assert_eq!(heard(&mut universe, &mut heir), goes_out);
    }
}
