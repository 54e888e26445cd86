//! rumqttc, MQTT 3.1.1.

use std::time::Instant;

use rumqttc::{Client, Connection, Event, LastWill, MqttOptions, Outgoing, Packet, Publish, QoS};
use rust_clients::{PATIENCE, address, fresh};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A client with the event loop that drives it.
struct Peer {
    client: Client,
    events: Connection,
}

impl Peer {
    fn connect(options: MqttOptions) -> (Self, bool) {
        let (client, events) = Client::new(options, 1000);
        let mut peer = Self { client, events };
        let present = peer.until(|packet| match packet {
            Packet::ConnAck(connack) => Some(connack.session_present),
            _ => None,
        });
        (peer, present)
    }

    fn fresh() -> Self {
        Self::connect(options(&fresh("rum4"))).0
    }

    fn event(&mut self) -> Event {
        let event = self
            .events
            .recv_timeout(PATIENCE)
            .expect("an event in time");
        event.expect("the connection holds")
    }

    /// Drives the client until a packet of the server answers the question.
    fn until<T>(&mut self, mut question: impl FnMut(Packet) -> Option<T>) -> T {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if let Event::Incoming(packet) = self.event()
                && let Some(answer) = question(packet)
            {
                return answer;
            }
        }
        panic!("no answer in time");
    }

    fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.client
            .subscribe(filter, qos)
            .expect("room for a request");
        self.until(|packet| matches!(packet, Packet::SubAck(_)).then_some(()));
    }

    /// Publishes and waits for the end of the handshake.
    fn publish(&mut self, topic: &str, qos: QoS, retain: bool, payload: &str) {
        self.client
            .publish(topic, qos, retain, payload)
            .expect("room for a request");
        match qos {
            QoS::AtMostOnce => {
                while !matches!(self.event(), Event::Outgoing(Outgoing::Publish(_))) {}
            }
            QoS::AtLeastOnce => {
                self.until(|packet| matches!(packet, Packet::PubAck(_)).then_some(()));
            }
            QoS::ExactlyOnce => {
                self.until(|packet| matches!(packet, Packet::PubComp(_)).then_some(()));
            }
        }
    }

    fn message(&mut self) -> Publish {
        self.until(|packet| match packet {
            Packet::Publish(publish) => Some(publish),
            _ => None,
        })
    }

    fn disconnect(mut self) {
        self.client.disconnect().expect("room for a request");
        while !matches!(self.event(), Event::Outgoing(Outgoing::Disconnect)) {}
    }
}

fn options(client_id: &str) -> MqttOptions {
    let (host, port) = address();
    let mut options = MqttOptions::new(client_id, host, port);
    options.set_keep_alive(PATIENCE);
    options
}

#[test]
fn every_qos_both_ways() {
    let (mut subscriber, mut publisher) = (Peer::fresh(), Peer::fresh());
    for granted in LEVELS {
        let topic = fresh("qos");
        subscriber.subscribe(&topic, granted);
        for qos in LEVELS {
            publisher.publish(&topic, qos, false, "payload");
            let message = subscriber.message();
            assert_eq!(
                (message.topic, &message.payload[..]),
                (topic.clone(), &b"payload"[..])
            );
            assert_eq!(message.qos as u8, (qos as u8).min(granted as u8));
            assert!(!message.retain);
        }
    }
}

#[test]
fn retained() {
    let (topic, mut publisher) = (fresh("retained"), Peer::fresh());
    publisher.publish(&topic, QoS::AtLeastOnce, true, "one");
    publisher.publish(&topic, QoS::AtLeastOnce, true, "two");
    let mut late = Peer::fresh();
    late.subscribe(&topic, QoS::AtLeastOnce);
    let message = late.message();
    assert_eq!((&message.payload[..], message.retain), (&b"two"[..], true));
    publisher.publish(&topic, QoS::AtLeastOnce, true, "");
    assert!(late.message().payload.is_empty());
}

#[test]
fn will_of_a_broken_connection() {
    let (topic, mut watcher) = (fresh("will"), Peer::fresh());
    watcher.subscribe(&topic, QoS::AtLeastOnce);
    let mut mortal = options(&fresh("rum4"));
    mortal.set_last_will(LastWill::new(&topic, "gone", QoS::AtLeastOnce, false));
    let (victim, _) = Peer::connect(mortal);
    drop(victim); // The socket goes with the event loop, without DISCONNECT.
    assert_eq!(&watcher.message().payload[..], b"gone");
}

#[test]
fn lasting_session() {
    let (topic, client_id) = (fresh("lasting"), fresh("rum4"));
    let sleeper = || {
        let mut options = options(&client_id);
        options.set_clean_session(false);
        options
    };
    let (mut first, present) = Peer::connect(sleeper());
    assert!(!present);
    first.subscribe(&topic, QoS::ExactlyOnce);
    first.disconnect();
    let mut publisher = Peer::fresh();
    for number in 0..20 {
        publisher.publish(&topic, QoS::AtLeastOnce, false, &number.to_string());
    }
    let (mut back, present) = Peer::connect(sleeper());
    assert!(present);
    for number in 0..20 {
        assert_eq!(back.message().payload, number.to_string());
    }
}

#[test]
fn shared_subscription() {
    let (topic, mut publisher) = (fresh("shared"), Peer::fresh());
    let mut members = [Peer::fresh(), Peer::fresh()];
    for member in &mut members {
        member.subscribe(&format!("$share/rum4/{topic}/work"), QoS::AtLeastOnce);
        member.subscribe(&format!("{topic}/end"), QoS::AtLeastOnce);
    }
    for number in 0..40 {
        publisher.publish(
            &format!("{topic}/work"),
            QoS::AtLeastOnce,
            false,
            &number.to_string(),
        );
    }
    publisher.publish(&format!("{topic}/end"), QoS::AtLeastOnce, false, "");
    let mut heard = Vec::new();
    for member in &mut members {
        let before = heard.len();
        loop {
            let message = member.message();
            if message.payload.is_empty() {
                break;
            }
            let text = std::str::from_utf8(&message.payload).expect("a number");
            heard.push(text.parse::<u32>().expect("a number"));
        }
        assert!(heard.len() > before, "a member got nothing");
    }
    heard.sort_unstable();
    assert_eq!(heard, (0..40).collect::<Vec<_>>());
}
