//! paho-mqtt, the wrapper of the Eclipse C library: 3.1, 3.1.1 and 5.0.

use paho_mqtt::{
    AsyncClient, ConnectOptions, ConnectOptionsBuilder, ConnectResponse, CreateOptionsBuilder,
    Message, MessageBuilder, PropertyCode, SyncReceiver, properties,
};
use rust_clients::{PATIENCE, address, fresh};

const MQTT_3_1: u32 = 3;
const MQTT_3_1_1: u32 = 4;
const MQTT_5: u32 = 5;
const VERSIONS: [u32; 3] = [MQTT_3_1, MQTT_3_1_1, MQTT_5];

/// A client and what it hears; `None` in the inbox is a lost connection.
struct Peer {
    client: AsyncClient,
    inbox: SyncReceiver<Option<Message>>,
}

impl Peer {
    fn connect(version: u32, client_id: &str, options: ConnectOptions) -> (Self, ConnectResponse) {
        let (host, port) = address();
        let create = CreateOptionsBuilder::new()
            .server_uri(format!("tcp://{host}:{port}"))
            .client_id(client_id)
            .mqtt_version(version)
            .persistence(None)
            .finalize();
        let client = AsyncClient::new(create).expect("a client");
        let inbox = client.start_consuming();
        let token = client.connect(options);
        let answer = token
            .wait_for(PATIENCE)
            .expect("CONNACK")
            .connect_response()
            .expect("CONNACK");
        (Self { client, inbox }, answer)
    }

    fn fresh(version: u32) -> Self {
        Self::connect(version, &fresh("p"), clean(version).finalize()).0
    }

    fn subscribe(&self, filter: &str, qos: i32) {
        self.client
            .subscribe(filter, qos)
            .wait_for(PATIENCE)
            .expect("SUBACK");
    }

    fn publish(&self, message: Message) {
        self.client
            .publish(message)
            .wait_for(PATIENCE)
            .expect("the end of the handshake");
    }

    fn message(&self) -> Message {
        self.inbox
            .recv_timeout(PATIENCE)
            .expect("a message in time")
            .expect("the connection holds")
    }

    fn disconnect(self) {
        self.client
            .disconnect(None)
            .wait_for(PATIENCE)
            .expect("DISCONNECT");
    }
}

fn clean(version: u32) -> ConnectOptionsBuilder {
    let mut options = ConnectOptionsBuilder::with_mqtt_version(version);
    options.connect_timeout(PATIENCE);
    if version == MQTT_5 {
        options.clean_start(true)
    } else {
        options.clean_session(true)
    };
    options
}

fn lasting(version: u32) -> ConnectOptions {
    let mut options = clean(version);
    if version == MQTT_5 {
        options
            .clean_start(false)
            .properties(properties! { PropertyCode::SessionExpiryInterval => 60 });
    } else {
        options.clean_session(false);
    }
    options.finalize()
}

fn message(topic: &str, payload: &str, qos: i32) -> Message {
    Message::new(topic, payload, qos)
}

#[test]
fn every_qos_both_ways() {
    for version in VERSIONS {
        let (subscriber, publisher) = (Peer::fresh(version), Peer::fresh(version));
        for granted in 0..3 {
            let topic = fresh("qos");
            subscriber.subscribe(&topic, granted);
            for qos in 0..3 {
                publisher.publish(message(&topic, "payload", qos));
                let heard = subscriber.message();
                assert_eq!(
                    (heard.topic(), heard.payload()),
                    (&topic[..], &b"payload"[..])
                );
                assert_eq!(heard.qos(), qos.min(granted).into());
                assert!(!heard.retained());
            }
        }
    }
}

#[test]
fn retained() {
    for version in VERSIONS {
        let (topic, publisher) = (fresh("retained"), Peer::fresh(version));
        publisher.publish(Message::new_retained(&topic, "one", 1));
        publisher.publish(Message::new_retained(&topic, "two", 1));
        let late = Peer::fresh(version);
        late.subscribe(&topic, 1);
        let heard = late.message();
        assert_eq!((heard.payload(), heard.retained()), (&b"two"[..], true));
        publisher.publish(Message::new_retained(&topic, "", 1));
        assert!(late.message().payload().is_empty());
    }
}

/// The library has no way to break its own connection; a takeover ends it without DISCONNECT.
#[test]
fn will_of_a_client_that_was_replaced() {
    for version in VERSIONS {
        let (topic, watcher, client_id) = (fresh("will"), Peer::fresh(version), fresh("p"));
        watcher.subscribe(&topic, 1);
        let mut mortal = clean(version);
        mortal.will_message(message(&topic, "gone", 1));
        let (victim, _) = Peer::connect(version, &client_id, mortal.finalize());
        let (heir, _) = Peer::connect(version, &client_id, clean(version).finalize());
        assert_eq!(watcher.message().payload(), b"gone");
        assert!(
            victim
                .inbox
                .recv_timeout(PATIENCE)
                .expect("the end in time")
                .is_none()
        );
        heir.disconnect();
    }
}

#[test]
fn lasting_session() {
    for version in VERSIONS {
        let (topic, client_id) = (fresh("lasting"), fresh("p"));
        let (first, answer) = Peer::connect(version, &client_id, lasting(version));
        assert!(!answer.session_present);
        first.subscribe(&topic, 2);
        first.disconnect();
        let publisher = Peer::fresh(version);
        for number in 0..20 {
            publisher.publish(message(&topic, &number.to_string(), 2));
        }
        let (back, answer) = Peer::connect(version, &client_id, lasting(version));
        assert!(answer.session_present || version == MQTT_3_1);
        for number in 0..20 {
            assert_eq!(back.message().payload_str(), number.to_string());
        }
    }
}

#[test]
fn shared_subscription() {
    for version in VERSIONS {
        let (topic, publisher) = (fresh("shared"), Peer::fresh(version));
        let members = [Peer::fresh(version), Peer::fresh(version)];
        for member in &members {
            member.subscribe(&format!("$share/paho/{topic}/work"), 1);
            member.subscribe(&format!("{topic}/end"), 1);
        }
        for number in 0..40 {
            publisher.publish(message(&format!("{topic}/work"), &number.to_string(), 1));
        }
        publisher.publish(message(&format!("{topic}/end"), "", 1));
        let mut heard = Vec::new();
        for member in &members {
            let before = heard.len();
            loop {
                let message = member.message();
                if message.payload().is_empty() {
                    break;
                }
                heard.push(message.payload_str().parse::<u32>().expect("a number"));
            }
            assert!(heard.len() > before, "a member got nothing");
        }
        heard.sort_unstable();
        assert_eq!(heard, (0..40).collect::<Vec<_>>());
    }
}

#[test]
fn properties_pass() {
    let (topic, subscriber, publisher) = (
        fresh("properties"),
        Peer::fresh(MQTT_5),
        Peer::fresh(MQTT_5),
    );
    subscriber.subscribe(&topic, 1);
    let said = properties! {
        PropertyCode::ContentType => "text/plain",
        PropertyCode::ResponseTopic => "re/ply",
        PropertyCode::MessageExpiryInterval => 100,
    };
    publisher.publish(
        MessageBuilder::new()
            .topic(&topic)
            .payload("x")
            .qos(1)
            .properties(said)
            .finalize(),
    );
    let heard = subscriber.message();
    let heard = heard.properties();
    assert_eq!(
        heard.get_string(PropertyCode::ContentType).as_deref(),
        Some("text/plain")
    );
    assert_eq!(
        heard.get_string(PropertyCode::ResponseTopic).as_deref(),
        Some("re/ply")
    );
    assert!(
        heard
            .get_int(PropertyCode::MessageExpiryInterval)
            .is_some_and(|left| left > 90)
    );
}
