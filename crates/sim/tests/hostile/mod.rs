//! What all hostile stories share: two clients that mean well and must not notice, and the
//! ways to see how somebody was sent away.
#![allow(dead_code, reason = "each test binary uses its part")]

use broker::{BrokerConfig, Counter};
use codec::{Connect, ConnectProperties, Packet};
use sim::peer::connect;
use sim::{Peer, Received, Universe};
use types::{Limits, ProtocolVersion, QoS, ReasonCode};

pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5;
pub(crate) const V311: ProtocolVersion = ProtocolVersion::V311;
pub(crate) const VERSIONS: [ProtocolVersion; 3] = [
    ProtocolVersion::V31,
    ProtocolVersion::V311,
    ProtocolVersion::V5,
];

/// A universe with these limits.
pub(crate) fn limited(workers: usize, limits: Limits) -> Universe {
    let mut config = BrokerConfig::open(workers, 11);
    config.limits = limits;
    Universe::new(config)
}

/// Clients that mean well. They are there before the attack and look after it whether they
/// are served and whether everything else is gone.
pub(crate) struct Others {
    listener: Peer,
    speaker: Peer,
    said: u16,
    links_and_sessions: (usize, usize),
    subscriptions: usize,
}

impl Others {
    pub(crate) fn new(universe: &mut Universe) -> Self {
        let mut listener = Peer::join(universe, V5, "others-listener");
        listener.subscribe(universe, "others/+", QoS::AtLeastOnce);
        listener.received(universe);
        let speaker = Peer::join(universe, V311, "others-speaker");
        Self {
            listener,
            speaker,
            said: 0,
            links_and_sessions: universe.shared.connections_and_sessions(),
            subscriptions: universe.shared.index.stats().subscriptions,
        }
    }

    /// A message goes through and is acknowledged, and nobody was owed a packet that could
    /// not be encoded.
    pub(crate) fn are_served(&mut self, universe: &mut Universe) {
        let unencodable = universe.shared.totals().counter(Counter::Unencodable);
        assert_eq!(unencodable, 0);
        self.said += 1;
        let payload = self.said.to_be_bytes();
        let qos = QoS::AtLeastOnce;
        self.speaker
            .publish(universe, "others/1", &payload, qos, self.said);
        let heard = self.listener.received(universe);
        let [Packet::Publish(publish)] = packets(&heard)[..] else {
            panic!("the listener got {:?}", packets(&heard));
        };
        assert_eq!(publish.payload, payload);
        let id = publish.packet_id.expect("QoS 1");
        let ack = Peer::ack(id, ReasonCode::Success);
        self.listener.send(universe, &Packet::PubAck(ack));
        let answers = self.speaker.received(universe);
        assert!(
            matches!(packets(&answers)[..], [Packet::PubAck(_)]),
            "the speaker got {:?}",
            packets(&answers)
        );
    }

    /// They are served, and nothing of anybody else is left.
    pub(crate) fn are_alone(&mut self, universe: &mut Universe) {
        self.are_served(universe);
        assert_eq!(
            universe.shared.connections_and_sessions(),
            self.links_and_sessions
        );
        assert_eq!(universe.shared.unauthenticated_bytes(), 0);
        assert_eq!(
            universe.shared.index.stats().subscriptions,
            self.subscriptions
        );
    }
}

pub(crate) fn packets(received: &[Received]) -> Vec<Packet<'_>> {
    received.iter().map(Received::packet).collect()
}

/// The reason in the last packet, if that is CONNACK or DISCONNECT.
pub(crate) fn told(peer: &mut Peer, universe: &mut Universe) -> Option<ReasonCode> {
    match peer.received(universe).last()?.packet() {
        Packet::ConnAck(connack) => Some(connack.reason),
        Packet::Disconnect(disconnect) => Some(disconnect.reason),
        _ => None,
    }
}

/// The server closed the link and, if there is a packet for it, said why.
#[track_caller]
pub(crate) fn sent_away(peer: &mut Peer, universe: &mut Universe, reason: Option<ReasonCode>) {
    assert!(universe.is_closed(peer.link), "the link is open");
    assert_eq!(told(peer, universe), reason);
}

/// A CONNECT of MQTT 5.0 whose session stays for an hour.
pub(crate) fn lasting(client_id: &str) -> Connect<'_> {
    let mut packet = connect(V5, client_id);
    packet.clean_start = false;
    packet.properties = ConnectProperties {
        session_expiry: Some(3_600),
        ..Default::default()
    };
    packet
}

pub(crate) fn encode(packet: &Packet<'_>, version: ProtocolVersion) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(packet, version, &mut bytes).expect("a packet");
    bytes
}

/// A packet from its first byte and its body.
pub(crate) fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = (left % 128) as u8;
        left /= 128;
        bytes.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A text with its length.
pub(crate) fn text(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a text");
    [&length.to_be_bytes(), text].concat()
}

/// Each place where `mark` stands becomes `with`, which is as long.
pub(crate) fn replaced(bytes: &[u8], mark: &[u8], with: &[u8]) -> Vec<u8> {
    assert_eq!(mark.len(), with.len());
    let mut bytes = bytes.to_vec();
    let place = bytes
        .windows(mark.len())
        .position(|window| window == mark)
        .expect("the mark is there");
    bytes[place..place + mark.len()].copy_from_slice(with);
    bytes
}
