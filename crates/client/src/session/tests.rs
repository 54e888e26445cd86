use super::*;
use crate::event::{NotSent, PublishResult};
use crate::message::{MessageProperties, Received};
use codec::{ConnAckProperties, EncodeError, Publish, PublishProperties, ReasonList};
use types::{FilterError, RetainHandling, SubscriptionOptions, TopicError};

const NOW: Time = Time::ZERO;

/// The server's side of a session: packets in, packets out.
struct Server {
    version: ProtocolVersion,
    seen: Vec<u8>,
}

impl Server {
    fn open(session: &mut Session) -> Self {
        session.handle_open(NOW);
        let mut server = Self {
            version: session.options().version,
            seen: Vec::new(),
        };
        let sent = server.take(session);
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert!(sent[0].starts_with("CONNECT "), "{sent:?}");
        server
    }

    fn accept(session: &mut Session, ack: ConnAck<'_>) -> Self {
        let mut server = Self::open(session);
        server.send(session, Packet::ConnAck(Box::new(ack)));
        assert!(session.is_connected());
        server
    }

    fn send(&mut self, session: &mut Session, packet: Packet<'_>) {
        let mut bytes = Vec::new();
        codec::encode(&packet, self.version, &mut bytes).unwrap();
        session.handle_bytes(&bytes, NOW);
        while session.advance() {}
    }

    /// What the session has written since the last call, in words.
    fn take(&mut self, session: &mut Session) -> Vec<String> {
        let mut packets = Vec::new();
        loop {
            let output = session.output();
            if output.is_empty() {
                break;
            }
            let count = output.len();
            self.seen.extend_from_slice(output);
            session.handle_written(count, NOW);
        }
        while let Frame::Complete {
            first_byte,
            header_len,
            total_len,
        } = codec::frame(&self.seen, u32::MAX).unwrap()
        {
            let body = &self.seen[header_len..total_len];
            packets.push(describe(
                &codec::decode(self.version, first_byte, body).unwrap(),
            ));
            self.seen.drain(..total_len);
        }
        packets
    }
}

fn session(version: ProtocolVersion) -> Session {
    Session::new(ConnectOptions {
        version,
        client_id: "c".to_owned(),
        ..ConnectOptions::default()
    })
}

fn durable(version: ProtocolVersion) -> Session {
    Session::new(ConnectOptions {
        version,
        client_id: "c".to_owned(),
        clean_start: false,
        ..ConnectOptions::default()
    })
}

fn success() -> ConnAck<'static> {
    ConnAck::new(ReasonCode::Success)
}

fn present() -> ConnAck<'static> {
    ConnAck {
        session_present: true,
        ..success()
    }
}

fn message(topic: &str, qos: QoS) -> Message {
    Message {
        qos,
        ..Message::new(topic, *b"x")
    }
}

fn ack(id: u16) -> Ack<'static> {
    Ack::new(PacketId::new(id).unwrap(), ReasonCode::Success)
}

fn publish(topic: &str, qos: QoS, id: u16) -> Publish<'_> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id: PacketId::new(id),
        properties: PublishProperties::default(),
        payload: b"x",
    }
}

fn events(session: &mut Session) -> Vec<Event> {
    std::iter::from_fn(|| session.poll_event()).collect()
}

fn messages(session: &mut Session) -> Vec<Received> {
    events(session)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(received) => Some(*received),
            _ => None,
        })
        .collect()
}

fn done(ticket: Ticket) -> Event {
    Event::Published {
        ticket,
        result: PublishResult::Done(ReasonCode::Success),
    }
}

const ALL: [ProtocolVersion; 3] = [
    ProtocolVersion::V31,
    ProtocolVersion::V311,
    ProtocolVersion::V5,
];

#[test]
fn qos_0_and_1_and_2_flow_to_the_server() {
    for version in ALL {
        let mut session = session(version);
        let mut server = Server::accept(&mut session, success());
        events(&mut session);
        let zero = session
            .publish(message("t/0", QoS::AtMostOnce), NOW)
            .unwrap();
        let one = session
            .publish(message("t/1", QoS::AtLeastOnce), NOW)
            .unwrap();
        let two = session
            .publish(message("t/2", QoS::ExactlyOnce), NOW)
            .unwrap();
        assert_eq!(
            server.take(&mut session),
            [
                "PUBLISH (d0, q0, r0, m0, 't/0', 1 bytes)",
                "PUBLISH (d0, q1, r0, m1, 't/1', 1 bytes)",
                "PUBLISH (d0, q2, r0, m2, 't/2', 1 bytes)",
            ]
        );
        assert_eq!(events(&mut session), [done(zero)]);
        server.send(&mut session, Packet::PubAck(ack(1)));
        server.send(&mut session, Packet::PubRec(ack(2)));
        assert_eq!(events(&mut session), [done(one)]);
        assert_eq!(server.take(&mut session), ["PUBREL (m2, success)"]);
        assert!(!session.is_idle());
        server.send(&mut session, Packet::PubComp(ack(2)));
        assert_eq!(events(&mut session), [done(two)]);
        assert!(session.is_idle());
    }
}

#[test]
fn messages_arrive_once_and_are_answered() {
    for version in ALL {
        let mut session = session(version);
        let mut server = Server::accept(&mut session, success());
        server.send(
            &mut session,
            Packet::Publish(publish("a", QoS::AtMostOnce, 0)),
        );
        server.send(
            &mut session,
            Packet::Publish(publish("b", QoS::AtLeastOnce, 1)),
        );
        server.send(
            &mut session,
            Packet::Publish(publish("c", QoS::ExactlyOnce, 1)),
        );
        // MQTT-4.3.3-10: not again before PUBREL.
        server.send(
            &mut session,
            Packet::Publish(publish("c", QoS::ExactlyOnce, 1)),
        );
        let topics: Vec<_> = messages(&mut session)
            .into_iter()
            .map(|received| received.message.topic)
            .collect();
        assert_eq!(topics, ["a", "b", "c"]);
        assert_eq!(
            server.take(&mut session),
            [
                "PUBACK (m1, success)",
                "PUBREC (m1, success)",
                "PUBREC (m1, success)"
            ]
        );
        server.send(&mut session, Packet::PubRel(ack(1)));
        assert_eq!(server.take(&mut session), ["PUBCOMP (m1, success)"]);
        // MQTT-4.3.3-12: after PUBCOMP it is a new message.
        server.send(
            &mut session,
            Packet::Publish(publish("d", QoS::ExactlyOnce, 1)),
        );
        assert_eq!(messages(&mut session).len(), 1);
    }
}

#[test]
fn unknown_identifiers_are_told_but_harmless() {
    let mut session = session(ProtocolVersion::V5);
    let mut server = Server::accept(&mut session, success());
    events(&mut session);
    server.send(&mut session, Packet::PubRel(ack(9)));
    server.send(&mut session, Packet::PubRec(ack(9)));
    server.send(&mut session, Packet::PubAck(ack(9)));
    server.send(&mut session, Packet::PubComp(ack(9)));
    assert_eq!(
        server.take(&mut session),
        [
            "PUBCOMP (m9, packet identifier not found)",
            "PUBREL (m9, packet identifier not found)"
        ]
    );
    assert_eq!(events(&mut session), []);
}

// MQTT-3.3.4-7, 4.9: never more on their way than the server's Receive Maximum.
#[test]
fn receive_maximum_of_the_server_holds_messages_back() {
    let mut session = session(ProtocolVersion::V5);
    let properties = ConnAckProperties {
        receive_maximum: Some(2),
        ..Default::default()
    };
    let mut server = Server::accept(
        &mut session,
        ConnAck {
            properties,
            ..success()
        },
    );
    for qos in [
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
        QoS::AtLeastOnce,
        QoS::ExactlyOnce,
    ] {
        session.publish(message("t", qos), NOW).unwrap();
    }
    assert_eq!(server.take(&mut session).len(), 2);
    // PUBREC alone frees no place.
    server.send(&mut session, Packet::PubRec(ack(2)));
    assert_eq!(server.take(&mut session), ["PUBREL (m2, success)"]);
    server.send(&mut session, Packet::PubComp(ack(2)));
    assert_eq!(
        server.take(&mut session),
        ["PUBLISH (d0, q1, r0, m3, 't', 1 bytes)"]
    );
    // PUBREC with an error does.
    server.send(&mut session, Packet::PubAck(ack(1)));
    assert_eq!(
        server.take(&mut session),
        ["PUBLISH (d0, q2, r0, m4, 't', 1 bytes)"]
    );
    events(&mut session);
    let refusal = Ack {
        reason: ReasonCode::QuotaExceeded,
        ..ack(4)
    };
    server.send(&mut session, Packet::PubRec(refusal));
    let expected = PublishResult::Refused {
        reason: ReasonCode::QuotaExceeded,
        text: None,
    };
    assert!(
        matches!(&events(&mut session)[..], [Event::Published { result, .. }] if *result == expected)
    );
}

// MQTT-4.4.0-1: original identifiers, DUP, original order.
#[test]
fn a_resumed_session_repeats_in_order() {
    for version in ALL {
        let mut session = durable(version);
        let mut server = Server::accept(&mut session, success());
        session
            .publish(message("1", QoS::AtLeastOnce), NOW)
            .unwrap();
        session
            .publish(message("2", QoS::ExactlyOnce), NOW)
            .unwrap();
        session
            .publish(message("3", QoS::ExactlyOnce), NOW)
            .unwrap();
        server.take(&mut session);
        server.send(&mut session, Packet::PubRec(ack(2)));
        session.handle_closed(LinkEnd::Eof);
        let late = session.publish(message("4", QoS::AtMostOnce), NOW).unwrap();
        let seen = events(&mut session);
        assert_eq!(
            seen.last(),
            Some(&Event::Closed(CloseReason::Link(LinkEnd::Eof)))
        );

        let ack_of_session = if version == ProtocolVersion::V31 {
            success()
        } else {
            present()
        };
        let mut server = Server::accept(&mut session, ack_of_session);
        assert_eq!(
            server.take(&mut session),
            [
                "PUBLISH (d1, q1, r0, m1, '1', 1 bytes)",
                "PUBREL (m2, success)",
                "PUBLISH (d1, q2, r0, m3, '3', 1 bytes)",
                "PUBLISH (d0, q0, r0, m0, '4', 1 bytes)",
            ]
        );
        assert!(events(&mut session).contains(&done(late)));
    }
}

#[test]
fn a_lost_session_starts_anew_and_repeats_nothing_that_was_taken() {
    let mut session = durable(ProtocolVersion::V5);
    let mut server = Server::accept(&mut session, success());
    let one = session
        .publish(message("1", QoS::AtLeastOnce), NOW)
        .unwrap();
    let two = session
        .publish(message("2", QoS::ExactlyOnce), NOW)
        .unwrap();
    server.take(&mut session);
    server.send(&mut session, Packet::PubRec(ack(2)));
    server.send(
        &mut session,
        Packet::Publish(publish("in", QoS::ExactlyOnce, 7)),
    );
    session.handle_closed(LinkEnd::Error);
    events(&mut session);

    let mut server = Server::accept(&mut session, success());
    assert!(events(&mut session).contains(&done(two)));
    assert_eq!(
        server.take(&mut session),
        ["PUBLISH (d0, q1, r0, m3, '1', 1 bytes)"]
    );
    server.send(&mut session, Packet::PubAck(ack(3)));
    // The server's identifiers are new too (MQTT-3.2.2-5).
    server.send(
        &mut session,
        Packet::Publish(publish("in", QoS::ExactlyOnce, 7)),
    );
    let seen = events(&mut session);
    assert!(seen.contains(&done(one)));
    assert!(seen.iter().any(|event| matches!(event, Event::Message(_))));
}

#[test]
fn what_the_server_does_not_take_is_not_sent() {
    let mut session = session(ProtocolVersion::V5);
    let properties = ConnAckProperties {
        maximum_qos: Some(QoS::AtLeastOnce),
        retain_available: Some(false),
        maximum_packet_size: Some(30),
        ..Default::default()
    };
    let mut server = Server::accept(
        &mut session,
        ConnAck {
            properties,
            ..success()
        },
    );
    events(&mut session);
    let alias = MessageProperties {
        topic_alias: Some(1),
        ..Default::default()
    };
    session
        .publish(message("t", QoS::ExactlyOnce), NOW)
        .unwrap();
    session
        .publish(
            Message {
                retain: true,
                ..message("t", QoS::AtMostOnce)
            },
            NOW,
        )
        .unwrap();
    session
        .publish(
            Message {
                properties: alias,
                ..message("t", QoS::AtMostOnce)
            },
            NOW,
        )
        .unwrap();
    session
        .publish(Message::new("t", vec![0; 30]), NOW)
        .unwrap();
    session
        .publish(message("t", QoS::AtLeastOnce), NOW)
        .unwrap();
    let results: Vec<_> = events(&mut session)
        .into_iter()
        .map(|event| match event {
            Event::Published {
                result: PublishResult::NotSent(why),
                ..
            } => why,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        results,
        [
            NotSent::QoS,
            NotSent::Retain,
            NotSent::TopicAlias,
            NotSent::TooLarge {
                size: 36,
                limit: 30
            },
        ]
    );
    assert_eq!(
        server.take(&mut session),
        ["PUBLISH (d0, q1, r0, m2, 't', 1 bytes)"]
    );
}

#[test]
fn topic_aliases_are_resolved_and_checked() {
    let options = ConnectOptions {
        topic_alias_maximum: Some(2),
        ..Default::default()
    };
    let aliased = |topic, alias| {
        let properties = PublishProperties {
            topic_alias: Some(alias),
            ..Default::default()
        };
        Packet::Publish(Publish {
            properties,
            ..publish(topic, QoS::AtMostOnce, 0)
        })
    };
    let mut session = Session::new(options.clone());
    let mut server = Server::accept(&mut session, success());
    for packet in [
        aliased("a", 2),
        aliased("", 2),
        aliased("b", 2),
        aliased("", 2),
    ] {
        server.send(&mut session, packet);
    }
    let topics: Vec<_> = messages(&mut session)
        .into_iter()
        .map(|received| received.message.topic)
        .collect();
    assert_eq!(topics, ["a", "a", "b", "b"]);

    for wrong in [aliased("a", 0), aliased("a", 3), aliased("", 1)] {
        let mut session = Session::new(options.clone());
        let mut server = Server::accept(&mut session, success());
        server.send(&mut session, wrong);
        assert_eq!(
            server.take(&mut session),
            ["DISCONNECT (topic alias invalid)"]
        );
        let closed = Event::Closed(CloseReason::Violation(Violation::TopicAlias));
        assert_eq!(events(&mut session).last(), Some(&closed));
    }
}

#[test]
fn a_server_that_exceeds_our_receive_maximum_is_left() {
    let mut session = Session::new(ConnectOptions {
        receive_maximum: Some(1),
        ..Default::default()
    });
    let mut server = Server::accept(&mut session, success());
    server.send(
        &mut session,
        Packet::Publish(publish("a", QoS::ExactlyOnce, 1)),
    );
    server.send(
        &mut session,
        Packet::Publish(publish("b", QoS::ExactlyOnce, 2)),
    );
    assert_eq!(
        server.take(&mut session),
        [
            "PUBREC (m1, success)",
            "DISCONNECT (receive maximum exceeded)"
        ]
    );
}

#[test]
fn subscriptions_are_answered_by_ticket() {
    let filter = |filter: &str| Filter {
        filter: filter.to_owned(),
        options: SubscriptionOptions {
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::DoNotSend,
            ..SubscriptionOptions::plain(QoS::ExactlyOnce)
        },
    };
    let request = SubscribeRequest {
        filters: vec![filter("a/+"), filter("$share/g/b/#")],
        ..Default::default()
    };
    for (version, options) in [
        (ProtocolVersion::V5, "0x2e"),
        (ProtocolVersion::V311, "0x02"),
    ] {
        let mut session = session(version);
        assert_eq!(
            session.subscribe(&request, NOW),
            Err(RequestError::NotConnected)
        );
        let mut server = Server::accept(&mut session, success());
        events(&mut session);
        let subscribed = session.subscribe(&request, NOW).unwrap();
        let gone = UnsubscribeRequest {
            filters: vec!["z".to_owned()],
            ..Default::default()
        };
        let unsubscribed = session.unsubscribe(&gone, NOW).unwrap();
        let first =
            format!("SUBSCRIBE (m1, 'a/+' options {options}, '$share/g/b/#' options {options})");
        assert_eq!(
            server.take(&mut session),
            [first.as_str(), "UNSUBSCRIBE (m2, 'z')"]
        );
        let id = |id| PacketId::new(id).unwrap();
        server.send(
            &mut session,
            Packet::SubAck(ReasonList::new(id(1), &[2, 0x80])),
        );
        server.send(&mut session, Packet::UnsubAck(ReasonList::new(id(2), &[0])));
        assert_eq!(
            events(&mut session),
            [
                Event::Subscribed {
                    ticket: subscribed,
                    reasons: vec![ReasonCode::GrantedQoS2, ReasonCode::UnspecifiedError],
                },
                Event::Unsubscribed {
                    ticket: unsubscribed,
                    reasons: vec![ReasonCode::Success]
                },
            ]
        );
        // Answered once; and one reason for each filter.
        server.send(
            &mut session,
            Packet::SubAck(ReasonList::new(id(1), &[2, 2])),
        );
        let closed = Event::Closed(CloseReason::Violation(Violation::Acknowledgement));
        assert_eq!(events(&mut session), [closed]);
    }
}

#[test]
fn wrong_requests_are_refused_before_they_are_sent() {
    let mut session = Session::new(ConnectOptions {
        limits: crate::ClientLimits {
            waiting: 1,
            ..Default::default()
        },
        ..Default::default()
    });
    let wildcard = session.publish(message("a/#", QoS::AtMostOnce), NOW);
    assert_eq!(wildcard, Err(RequestError::Topic(TopicError::Wildcard)));
    session.publish(message("a", QoS::AtMostOnce), NOW).unwrap();
    let full = session.publish(message("a", QoS::AtMostOnce), NOW);
    assert_eq!(full, Err(RequestError::QueueFull));
    Server::accept(&mut session, success());
    let request = UnsubscribeRequest {
        filters: vec!["a/#/b".to_owned()],
        ..Default::default()
    };
    let wrong = session.unsubscribe(&request, NOW);
    assert_eq!(wrong, Err(RequestError::Filter(FilterError::MisplacedHash)));
    let empty = session.unsubscribe(&UnsubscribeRequest::default(), NOW);
    assert!(
        matches!(empty, Err(RequestError::Encode(EncodeError::EmptyList(_)))),
        "{empty:?}"
    );
}

#[test]
fn a_refusal_says_why() {
    for (version, reason) in [
        (ProtocolVersion::V5, ReasonCode::Banned),
        (ProtocolVersion::V311, ReasonCode::NotAuthorized),
    ] {
        let mut session = session(version);
        let mut server = Server::open(&mut session);
        server.send(
            &mut session,
            Packet::ConnAck(Box::new(ConnAck::new(reason))),
        );
        let refused = CloseReason::Refused {
            reason,
            text: None,
            server_reference: None,
        };
        assert_eq!(events(&mut session), [Event::Closed(refused)]);
        assert!(!session.is_connected());
    }
}

#[test]
fn keep_alive_pings_and_gives_up() {
    let at = |seconds: u64| Time::from_millis(seconds * 1000);
    let mut session = session(ProtocolVersion::V5);
    // MQTT-3.1.2-21: the server's keep alive counts.
    let properties = ConnAckProperties {
        server_keep_alive: Some(10),
        ..Default::default()
    };
    let mut server = Server::accept(
        &mut session,
        ConnAck {
            properties,
            ..success()
        },
    );
    events(&mut session);
    assert_eq!(session.poll_timeout(), Some(at(10)));
    session.handle_timeout(at(9));
    assert_eq!(server.take(&mut session), [""; 0]);
    session.handle_timeout(at(10));
    assert_eq!(server.take(&mut session), ["PINGREQ"]);
    let mut pong = Vec::new();
    codec::encode(&Packet::PingResp, ProtocolVersion::V5, &mut pong).unwrap();
    session.handle_bytes(&pong, at(11));
    assert_eq!(events(&mut session), []);
    assert_eq!(session.poll_timeout(), Some(at(20)));
    session.handle_timeout(at(20));
    assert_eq!(server.take(&mut session), ["PINGREQ"]);
    // Messages are a sign of life, but no reason to be silent.
    session.handle_bytes(&[0x30, 0x04, 0x00, 0x01, b't', 0x00], at(25));
    assert_eq!(messages(&mut session).len(), 1);
    session.handle_timeout(at(30));
    assert_eq!(server.take(&mut session), ["PINGREQ"]);
    session.handle_timeout(at(40));
    assert_eq!(
        events(&mut session),
        [Event::Closed(CloseReason::KeepAlive)]
    );
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let mut session = session(ProtocolVersion::V5);
    Server::open(&mut session);
    session.handle_timeout(Time::from_millis(30_000));
    assert_eq!(
        events(&mut session),
        [Event::Closed(CloseReason::ConnectDeadline)]
    );
}

#[test]
fn disconnect_is_the_last_packet() {
    let mut session = session(ProtocolVersion::V5);
    let options = DisconnectOptions {
        reason: ReasonCode::DisconnectWithWill,
        ..DisconnectOptions::default()
    };
    assert_eq!(
        session.disconnect(&options, NOW),
        Err(RequestError::NotConnected)
    );
    let mut server = Server::accept(&mut session, success());
    events(&mut session);
    session.disconnect(&options, NOW).unwrap();
    session
        .publish(message("late", QoS::AtMostOnce), NOW)
        .unwrap();
    assert_eq!(events(&mut session), []);
    assert_eq!(
        server.take(&mut session),
        ["DISCONNECT (disconnect with will message)"]
    );
    assert_eq!(events(&mut session), [Event::Closed(CloseReason::Done)]);
}

#[test]
fn authentication_goes_on_with_the_method_of_connect() {
    let mut session = Session::new(ConnectOptions {
        authentication_method: Some("M".to_owned()),
        auth: crate::AuthAnswer {
            data: Some(b"answer".to_vec()),
            ..Default::default()
        },
        ..Default::default()
    });
    let mut server = Server::open(&mut session);
    let challenge = Auth {
        method: Some("M"),
        ..Auth::new(ReasonCode::ContinueAuthentication)
    };
    server.send(&mut session, Packet::Auth(challenge));
    assert_eq!(
        server.take(&mut session),
        ["AUTH (continue authentication)"]
    );
    server.send(&mut session, Packet::ConnAck(Box::new(success())));
    assert!(session.is_connected());
}

#[test]
fn what_a_server_must_not_send_ends_the_connection() {
    let violation = |packet: Packet<'_>, options: ConnectOptions| {
        let mut session = Session::new(options);
        let mut server = Server::open(&mut session);
        server.send(&mut session, packet);
        match events(&mut session).pop() {
            Some(Event::Closed(CloseReason::Violation(violation))) => violation,
            other => panic!("{other:?}"),
        }
    };
    let clean = ConnectOptions::default;
    assert_eq!(
        violation(Packet::PingResp, clean()),
        Violation::BeforeConnAck
    );
    let session_present = Packet::ConnAck(Box::new(present()));
    assert_eq!(
        violation(session_present, clean()),
        Violation::SessionPresent
    );
    let auth = Auth {
        method: Some("M"),
        ..Auth::new(ReasonCode::ContinueAuthentication)
    };
    assert_eq!(
        violation(Packet::Auth(auth), clean()),
        Violation::UnexpectedAuth
    );

    let mut session = session(ProtocolVersion::V5);
    let mut server = Server::accept(&mut session, success());
    server.send(&mut session, Packet::PingReq);
    assert_eq!(server.take(&mut session), ["DISCONNECT (protocol error)"]);
}

#[test]
fn bytes_may_come_in_any_pieces_and_may_be_nonsense() {
    let mut bytes = Vec::new();
    let packets = [
        Packet::ConnAck(Box::new(success())),
        Packet::Publish(publish("a", QoS::AtLeastOnce, 1)),
        Packet::Publish(publish("b", QoS::ExactlyOnce, 2)),
    ];
    for packet in &packets {
        codec::encode(packet, ProtocolVersion::V5, &mut bytes).unwrap();
    }
    let mut session = session(ProtocolVersion::V5);
    Server::open(&mut session);
    for byte in &bytes {
        session.handle_bytes(&[*byte], NOW);
        while session.advance() {}
    }
    assert_eq!(messages(&mut session).len(), 2);
    session.handle_bytes(&[0x00, 0x00], NOW);
    let closed = events(&mut session).pop();
    assert!(
        matches!(closed, Some(Event::Closed(CloseReason::Malformed(_)))),
        "{closed:?}"
    );
    // After the end nothing is taken any more.
    assert!(!session.advance());
    session.handle_bytes(&bytes, NOW);
    assert_eq!(events(&mut session), []);
}

#[test]
fn the_trace_tells_both_ways() {
    let mut session = Session::new(ConnectOptions {
        trace: true,
        ..Default::default()
    });
    Server::accept(&mut session, success());
    let told: Vec<_> = events(&mut session)
        .into_iter()
        .filter_map(|event| match event {
            Event::Packet { direction, text } => Some((direction, text)),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            (Direction::Sent, "CONNECT (c1, k60, id '')".to_owned()),
            (Direction::Received, "CONNACK (sp0, success)".to_owned()),
        ]
    );
}

#[test]
fn the_trace_tells_what_connack_says() {
    let mut session = Session::new(ConnectOptions {
        version: ProtocolVersion::V5,
        trace: true,
        ..Default::default()
    });
    let mut user = codec::UserPropertiesBuf::new();
    user.push("durability", "disk").unwrap();
    let properties = ConnAckProperties {
        session_expiry: Some(60),
        assigned_client_id: Some("auto-1"),
        user: user.as_borrowed(),
        ..Default::default()
    };
    let ack = ConnAck {
        properties,
        ..success()
    };
    Server::accept(&mut session, ack);
    let told = events(&mut session)
        .into_iter()
        .find_map(|event| match event {
            Event::Packet { text, .. } if text.starts_with("CONNACK") => Some(text),
            _ => None,
        });
    let wanted =
        "CONNACK (sp0, success, session expiry 60, assigned id 'auto-1', 'durability' 'disk')";
    assert_eq!(told.as_deref(), Some(wanted));
}

// A client that leaves after one message leaves the others to its next connection.
#[test]
fn nothing_is_acknowledged_before_its_turn() {
    let mut session = durable(ProtocolVersion::V311);
    let mut server = Server::accept(&mut session, success());
    events(&mut session);
    let mut bytes = Vec::new();
    for id in [1, 2] {
        let packet = Packet::Publish(publish("t", QoS::AtLeastOnce, id));
        codec::encode(&packet, ProtocolVersion::V311, &mut bytes).unwrap();
    }
    session.handle_bytes(&bytes, NOW);
    assert!(matches!(session.poll_event(), Some(Event::Message(_))));
    session
        .disconnect(&DisconnectOptions::default(), NOW)
        .unwrap();
    assert_eq!(session.poll_event(), None);
    assert_eq!(
        server.take(&mut session),
        ["PUBACK (m1, success)", "DISCONNECT (success)"]
    );
}
