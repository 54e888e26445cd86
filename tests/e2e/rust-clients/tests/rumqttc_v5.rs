//! rumqttc, MQTT 5.0.

use std::time::Instant;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, LastWill, Packet, Publish, PublishProperties};
use rumqttc::v5::{Client, Connection, Event, MqttOptions};
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
        Self::connect(options(&fresh("rum5"))).0
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
            .publish(topic, qos, retain, payload.to_owned())
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
    options.set_clean_start(true);
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
                (&message.topic[..], &message.payload[..]),
                (topic.as_bytes(), &b"payload"[..])
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
    let mut mortal = options(&fresh("rum5"));
    mortal.set_last_will(LastWill::new(
        topic.clone(),
        "gone",
        QoS::AtLeastOnce,
        false,
        None,
    ));
    let (victim, _) = Peer::connect(mortal);
    drop(victim); // The socket goes with the event loop, without DISCONNECT.
    assert_eq!(&watcher.message().payload[..], b"gone");
}

#[test]
fn lasting_session() {
    let (topic, client_id) = (fresh("lasting"), fresh("rum5"));
    let sleeper = || {
        let mut options = options(&client_id);
        options.set_clean_start(false);
        options.set_session_expiry_interval(Some(60));
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
        member.subscribe(&format!("$share/rum5/{topic}/work"), QoS::AtLeastOnce);
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

#[test]
fn properties() {
    let (topic, mut subscriber, mut publisher) =
        (fresh("properties"), Peer::fresh(), Peer::fresh());
    let filter = Filter {
        nolocal: true,
        ..Filter::new(topic.clone(), QoS::AtLeastOnce)
    };
    subscriber
        .client
        .subscribe_many([filter])
        .expect("room for a request");
    subscriber.until(|packet| matches!(packet, Packet::SubAck(_)).then_some(()));
    let said = PublishProperties {
        content_type: Some("text/plain".to_owned()),
        correlation_data: Some(vec![0, 255].into()),
        user_properties: vec![
            ("a".to_owned(), "1".to_owned()),
            ("a".to_owned(), "2".to_owned()),
        ],
        ..PublishProperties::default()
    };
    let client = publisher.client.clone();
    client
        .publish_with_properties(&topic, QoS::AtLeastOnce, false, "x", said.clone())
        .expect("room for a request");
    publisher.until(|packet| matches!(packet, Packet::PubAck(_)).then_some(()));
    let heard = subscriber.message().properties.expect("properties");
    assert_eq!(heard.content_type, said.content_type);
    assert_eq!(heard.correlation_data, said.correlation_data);
    assert_eq!(heard.user_properties, said.user_properties);
}
