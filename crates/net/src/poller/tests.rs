use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{Event, Events, Interest, Poller, Token};

const LONG: Option<Duration> = Some(Duration::from_secs(10));
const NOW: Option<Duration> = Some(Duration::ZERO);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (near, far)
}

fn wait(poller: &Poller, timeout: Option<Duration>) -> Vec<Event> {
    let mut events = Events::new();
    poller.wait(&mut events, timeout).unwrap();
    (0..events.len())
        .filter_map(|place| events.at(place))
        .collect()
}

#[test]
fn readable_is_reported_until_it_is_read() {
    let poller = Poller::new().unwrap();
    let (mut near, mut far) = pair();
    let token = Token::Link(7);
    poller.add(&near, token, Interest::READ).unwrap();
    assert_eq!(wait(&poller, NOW), []);
    far.write_all(b"x").unwrap();
    for _ in 0..2 {
        let [event] = wait(&poller, LONG)[..] else {
            panic!("one event")
        };
        assert_eq!(event.token, token);
        assert!(event.is_readable() && !event.is_writable() && !event.is_dead());
    }
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 1);
    assert_eq!(wait(&poller, NOW), []);
    poller.delete(&near).unwrap();
}

#[test]
fn interest_and_token_can_change() {
    let poller = Poller::new().unwrap();
    let (near, _far) = pair();
    poller.add(&near, Token::Link(7), Interest::READ).unwrap();
    poller
        .modify(
            &near,
            Token::Lingering(3),
            Interest::READ.with(Interest::WRITE),
        )
        .unwrap();
    let [event] = wait(&poller, LONG)[..] else {
        panic!("one event")
    };
    assert_eq!(event.token, Token::Lingering(3));
    assert!(event.is_writable() && !event.is_readable());
    poller
        .modify(&near, Token::Lingering(3), Interest::READ)
        .unwrap();
    assert_eq!(wait(&poller, NOW), []);
    poller.delete(&near).unwrap();
}

#[test]
fn wakes_add_up_and_are_not_lost() {
    let poller = Poller::new().unwrap();
    for _ in 0..3 {
        poller.wake().unwrap();
        poller.wake().unwrap();
        // Without the wake-up this would hang.
        assert_eq!(wait(&poller, None), []);
    }
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| wait(&poller, None));
        poller.wake().unwrap();
        assert_eq!(sleeper.join().unwrap(), []);
    });
}

#[test]
fn a_shared_socket_is_reported_to_some_poller() {
    let pollers = [Poller::new().unwrap(), Poller::new().unwrap()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for poller in &pollers {
        poller.add_shared(&listener, Token::Listener(0)).unwrap();
    }
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let events: Vec<_> = pollers
        .iter()
        .flat_map(|poller| wait(poller, NOW))
        .collect();
    assert!(
        events
            .iter()
            .any(|event| event.token == Token::Listener(0) && event.is_readable())
    );
    for poller in &pollers {
        poller.delete(&listener).unwrap();
    }
}

#[test]
fn tokens_survive_the_way_through_a_key() {
    for index in [0, 1, Token::INDEXES - 1] {
        for token in [
            Token::Link(index),
            Token::Lingering(index),
            Token::Listener(index),
        ] {
            assert_eq!(Token::from_key(token.to_key()), Some(token));
        }
    }
    assert_eq!(Token::from_key(u32::MAX), None);
}
