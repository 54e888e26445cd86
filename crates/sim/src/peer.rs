//! A client at the end of a link, for stories: it says what it is told and shows what it got.

use codec::{
    Ack, Connect, ConnectProperties, Disconnect, Frame, Packet, Publish, PublishProperties,
    Subscribe, SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf,
};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

use crate::universe::{LinkId, Universe};

/// One packet from the server.
#[derive(Clone, Debug)]
pub struct Received {
    version: ProtocolVersion,
    bytes: Vec<u8>,
    header_len: usize,
}

impl Received {
    /// The packet, decoded.
    ///
    /// # Panics
    ///
    /// If the server sent something that is no packet.
    pub fn packet(&self) -> Packet<'_> {
        match codec::decode(self.version, self.bytes[0], &self.bytes[self.header_len..]) {
            Ok(packet) => packet,
            Err(error) => panic!("the server sent {:02x?}: {error}", self.bytes),
        }
    }

    /// The bytes as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A client at the end of a link.
#[derive(Debug)]
pub struct Peer {
    /// Its link.
    pub link: LinkId,
    version: ProtocolVersion,
    kept: Vec<u8>,
}

/// A CONNECT to start from: clean, no keep alive, no will.
pub fn connect(version: ProtocolVersion, client_id: &str) -> Connect<'_> {
    Connect {
        version,
        bridge: false,
        clean_start: true,
        keep_alive: 0,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

/// A PUBLISH to start from; `id` is 0 for QoS 0.
pub fn publish<'a>(topic: &'a str, payload: &'a [u8], qos: QoS, id: u16) -> Publish<'a> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id: PacketId::new(id),
        properties: PublishProperties::default(),
        payload,
    }
}

impl Peer {
    /// Opens a link and says nothing yet.
    pub fn open(universe: &mut Universe, version: ProtocolVersion) -> Self {
        Self {
            link: universe.open(),
            version,
            kept: Vec::new(),
        }
    }

    /// The same at this worker.
    pub fn open_at(universe: &mut Universe, version: ProtocolVersion, worker: usize) -> Self {
        Self {
            link: universe.open_at(worker),
            version,
            kept: Vec::new(),
        }
    }

    /// The same from another address, by another listener.
    pub fn open_from(
        universe: &mut Universe,
        version: ProtocolVersion,
        from: types::Peer,
        listener: u16,
    ) -> Self {
        Self {
            link: universe.open_from(from, listener),
            version,
            kept: Vec::new(),
        }
    }

    /// Opens a link, sends CONNECT and settles. CONNACK is the first packet received.
    pub fn connect(universe: &mut Universe, connect: Connect<'_>) -> Self {
        let mut peer = Self::open(universe, connect.version);
        peer.send(universe, &Packet::Connect(Box::new(connect)));
        peer
    }

    /// A clean client that is let in; its CONNACK is looked at and gone.
    ///
    /// # Panics
    ///
    /// If it is not let in.
    pub fn join(universe: &mut Universe, version: ProtocolVersion, client_id: &str) -> Self {
        let mut peer = Self::connect(universe, connect(version, client_id));
        let received = peer.received(universe);
        match received.first().map(Received::packet) {
            Some(Packet::ConnAck(connack)) => assert_eq!(connack.reason, ReasonCode::Success),
            other => panic!("not CONNACK: {other:?}"),
        }
        peer
    }

    /// Sends a packet and settles.
    ///
    /// # Panics
    ///
    /// If the packet cannot be encoded.
    pub fn send(&mut self, universe: &mut Universe, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        if let Err(error) = codec::encode(packet, self.version, &mut bytes) {
            panic!("{packet:?}: {error}");
        }
        self.send_bytes(universe, &bytes);
    }

    /// Sends bytes and settles.
    pub fn send_bytes(&mut self, universe: &mut Universe, bytes: &[u8]) {
        universe.send(self.link, bytes);
        universe.settle();
    }

    /// Sends SUBSCRIBE with packet id 1.
    pub fn subscribe(&mut self, universe: &mut Universe, filter: &str, qos: QoS) {
        self.subscribe_with(universe, filter, SubscriptionOptions::plain(qos), None);
    }

    /// Sends SUBSCRIBE with packet id 1, options and a Subscription Identifier.
    ///
    /// # Panics
    ///
    /// If the filter is longer than 65,535 bytes.
    pub fn subscribe_with(
        &mut self,
        universe: &mut Universe,
        filter: &str,
        options: SubscriptionOptions,
        subscription_id: Option<u32>,
    ) {
        let mut filters = SubscribeFiltersBuf::new();
        assert!(filters.push(filter, options).is_ok(), "filter too long");
        let subscribe = Subscribe {
            packet_id: PacketId::FIRST,
            subscription_id,
            user: Default::default(),
            filters: filters.as_borrowed(),
        };
        self.send(universe, &Packet::Subscribe(subscribe));
    }

    /// Sends UNSUBSCRIBE with packet id 1.
    ///
    /// # Panics
    ///
    /// If the filter is longer than 65,535 bytes.
    pub fn unsubscribe(&mut self, universe: &mut Universe, filter: &str) {
        let mut filters = UnsubscribeFiltersBuf::new();
        assert!(filters.push(filter).is_ok(), "filter too long");
        let unsubscribe = Unsubscribe {
            packet_id: PacketId::FIRST,
            user: Default::default(),
            filters: filters.as_borrowed(),
        };
        self.send(universe, &Packet::Unsubscribe(unsubscribe));
    }

    /// Sends PUBLISH; `id` is 0 for QoS 0.
    pub fn publish(
        &mut self,
        universe: &mut Universe,
        topic: &str,
        payload: &[u8],
        qos: QoS,
        id: u16,
    ) {
        self.send(universe, &Packet::Publish(publish(topic, payload, qos, id)));
    }

    /// Sends PUBLISH with the retain flag at QoS 0.
    pub fn retain(&mut self, universe: &mut Universe, topic: &str, payload: &[u8]) {
        let mut packet = publish(topic, payload, QoS::AtMostOnce, 0);
        packet.retain = true;
        self.send(universe, &Packet::Publish(packet));
    }

    /// Sends DISCONNECT with a reason.
    pub fn disconnect(&mut self, universe: &mut Universe, reason: ReasonCode) {
        let disconnect = Disconnect {
            reason,
            session_expiry: None,
            reason_string: None,
            user: Default::default(),
            server_reference: None,
        };
        self.send(universe, &Packet::Disconnect(disconnect));
    }

    /// Goes without DISCONNECT.
    pub fn hang_up(&mut self, universe: &mut Universe) {
        universe.hang_up(self.link);
        universe.settle();
    }

    /// An acknowledgement without properties.
    pub fn ack(id: PacketId, reason: ReasonCode) -> Ack<'static> {
        Ack {
            packet_id: id,
            reason,
            reason_string: None,
            user: Default::default(),
        }
    }

    /// All whole packets since the last look.
    pub fn received(&mut self, universe: &mut Universe) -> Vec<Received> {
        self.kept.extend(universe.take_inbox(self.link));
        let mut packets = Vec::new();
        while let Ok(Frame::Complete {
            header_len,
            total_len,
            ..
        }) = codec::frame(&self.kept, u32::MAX)
        {
            let bytes = self.kept.drain(..total_len).collect();
            packets.push(Received {
                version: self.version,
                bytes,
                header_len,
            });
        }
        packets
    }

    /// Topic and payload of each PUBLISH since the last look; other packets are passed over.
    pub fn messages(&mut self, universe: &mut Universe) -> Vec<(String, Vec<u8>)> {
        self.received(universe)
            .iter()
            .filter_map(|received| match received.packet() {
                Packet::Publish(publish) => {
                    Some((publish.topic.to_owned(), publish.payload.to_vec()))
                }
                _ => None,
            })
            .collect()
    }
}
