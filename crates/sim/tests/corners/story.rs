//! What the stories are told with: people at the ends of links, and what they hear as text.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ::auth::{Access, Admitted, Identity, Outcome, Request, Subject};
use broker::BrokerConfig;
use codec::{Ack, Connect, Packet, Publish, ReasonList};
use sim::guard::{Clerk, Judge, refused, wanted};
use sim::{Peer, Universe};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

pub(crate) use sim::peer::{connect, publish};

pub(crate) const V31: ProtocolVersion = ProtocolVersion::V31;
pub(crate) const V311: ProtocolVersion = ProtocolVersion::V311;
pub(crate) const V5: ProtocolVersion = ProtocolVersion::V5;
pub(crate) const VERSIONS: [ProtocolVersion; 3] = [V31, V311, V5];
pub(crate) const Q0: QoS = QoS::AtMostOnce;
pub(crate) const Q1: QoS = QoS::AtLeastOnce;
pub(crate) const Q2: QoS = QoS::ExactlyOnce;

/// Somebody at the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who(usize);

/// A universe with people.
pub(crate) struct Story {
    pub(crate) universe: Universe,
    people: Vec<(Peer, ProtocolVersion)>,
}

/// A CONNECT for a session that lasts: not clean, 1,000 seconds in 5.0.
pub(crate) fn lasting(version: ProtocolVersion, client_id: &str) -> Connect<'_> {
    let mut connect = connect(version, client_id);
    connect.clean_start = false;
    connect.properties.session_expiry = version.has_properties().then_some(1_000);
    connect
}

/// A will without properties.
pub(crate) fn will<'a>(topic: &'a str, payload: &'a [u8]) -> codec::Will<'a> {
    codec::Will {
        topic,
        payload,
        qos: Q0,
        retain: false,
        delay: None,
        message_expiry: None,
        forward: codec::Forward::default(),
    }
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Packets in one piece of bytes.
pub(crate) fn bytes(version: ProtocolVersion, packets: &[Packet<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        codec::encode(packet, version, &mut bytes).expect("a packet");
    }
    bytes
}

/// A SUBSCRIBE with packet id 1 as bytes.
pub(crate) fn subscribe_bytes(
    version: ProtocolVersion,
    filters: &[(&str, SubscriptionOptions)],
) -> Vec<u8> {
    let mut list = codec::SubscribeFiltersBuf::new();
    for (filter, options) in filters {
        list.push(filter, *options).expect("a filter");
    }
    let subscribe = codec::Subscribe {
        packet_id: PacketId::FIRST,
        subscription_id: None,
        user: Default::default(),
        filters: list.as_borrowed(),
    };
    bytes(version, &[Packet::Subscribe(subscribe)])
}

/// An UNSUBSCRIBE with packet id 1 as bytes.
pub(crate) fn unsubscribe_bytes(version: ProtocolVersion, filters: &[&str]) -> Vec<u8> {
    let mut list = codec::UnsubscribeFiltersBuf::new();
    for filter in filters {
        list.push(filter).expect("a filter");
    }
    let unsubscribe = codec::Unsubscribe {
        packet_id: PacketId::FIRST,
        user: Default::default(),
        filters: list.as_borrowed(),
    };
    bytes(version, &[Packet::Unsubscribe(unsubscribe)])
}

pub(crate) fn packet_id(id: u16) -> PacketId {
    PacketId::new(id).expect("not zero")
}

pub(crate) fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions::plain(qos)
}

/// Tells the story on one worker and on several.
pub(crate) fn on_each_size(tell: impl Fn(Story)) {
    for workers in [1, 2, 4] {
        tell(Story::of(BrokerConfig::open(workers, 7)));
    }
}

impl Story {
    pub(crate) fn of(config: BrokerConfig) -> Self {
        Self {
            universe: Universe::new(config),
            people: Vec::new(),
        }
    }

    /// One worker, defaults.
    pub(crate) fn small() -> Self {
        Self::of(BrokerConfig::open(1, 1))
    }

    /// One worker, limits changed.
    pub(crate) fn with_limits(change: impl FnOnce(&mut types::Limits)) -> Self {
        let mut config = BrokerConfig::open(1, 1);
        change(&mut config.limits);
        Self::of(config)
    }

    /// One worker with the rules of [`guard`].
    pub(crate) fn with_rules() -> Self {
        let mut config = BrokerConfig::open(1, 1);
        guard(&mut config);
        Self::of(config)
    }

    fn add(&mut self, peer: Peer, version: ProtocolVersion) -> Who {
        self.people.push((peer, version));
        Who(self.people.len() - 1)
    }

    /// Opens a link and says nothing.
    pub(crate) fn open(&mut self, version: ProtocolVersion) -> Who {
        let peer = Peer::open(&mut self.universe, version);
        self.add(peer, version)
    }

    /// Sends CONNECT; what the server answers is there to be heard.
    pub(crate) fn connect(&mut self, connect: Connect<'_>) -> Who {
        let version = connect.version;
        let peer = Peer::connect(&mut self.universe, connect);
        self.add(peer, version)
    }

    /// A clean client that is in.
    pub(crate) fn join(&mut self, version: ProtocolVersion, client_id: &str) -> Who {
        let peer = Peer::join(&mut self.universe, version, client_id);
        self.add(peer, version)
    }

    /// A client that is in; what was heard at CONNACK is gone.
    #[track_caller]
    pub(crate) fn enter(&mut self, connect: Connect<'_>) -> Who {
        let who = self.connect(connect);
        let heard = self.heard(who);
        assert!(heard[0].starts_with("connack 00"), "{heard:?}");
        who
    }

    pub(crate) fn send(&mut self, who: Who, packet: &Packet<'_>) {
        self.people[who.0].0.send(&mut self.universe, packet);
    }

    pub(crate) fn send_bytes(&mut self, who: Who, bytes: &[u8]) {
        self.people[who.0].0.send_bytes(&mut self.universe, bytes);
    }

    pub(crate) fn publish(&mut self, who: Who, topic: &str, payload: &[u8], qos: QoS, id: u16) {
        self.send(who, &Packet::Publish(publish(topic, payload, qos, id)));
    }

    /// A retained message at QoS 0.
    pub(crate) fn retain(&mut self, who: Who, topic: &str, payload: &[u8]) {
        let mut packet = publish(topic, payload, Q0, 0);
        packet.retain = true;
        self.send(who, &Packet::Publish(packet));
    }

    /// SUBSCRIBE with packet id 1; SUBACK is heard and gone, retained messages with it.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, who: Who, filter: &str, qos: QoS) {
        self.subscribe_with(who, filter, options(qos), None);
        let heard = self.heard(who);
        let granted = format!("suback 1 [{:02x}]", qos.bits());
        assert!(heard.contains(&granted), "{heard:?}");
    }

    pub(crate) fn subscribe_with(
        &mut self,
        who: Who,
        filter: &str,
        options: SubscriptionOptions,
        id: Option<u32>,
    ) {
        let peer = &mut self.people[who.0].0;
        peer.subscribe_with(&mut self.universe, filter, options, id);
    }

    pub(crate) fn unsubscribe(&mut self, who: Who, filter: &str) {
        self.people[who.0].0.unsubscribe(&mut self.universe, filter);
    }

    pub(crate) fn puback(&mut self, who: Who, id: u16, reason: ReasonCode) {
        self.send(who, &Packet::PubAck(Ack::new(packet_id(id), reason)));
    }

    pub(crate) fn pubrec(&mut self, who: Who, id: u16, reason: ReasonCode) {
        self.send(who, &Packet::PubRec(Ack::new(packet_id(id), reason)));
    }

    pub(crate) fn pubrel(&mut self, who: Who, id: u16) {
        self.send(
            who,
            &Packet::PubRel(Ack::new(packet_id(id), ReasonCode::Success)),
        );
    }

    pub(crate) fn pubcomp(&mut self, who: Who, id: u16) {
        self.send(
            who,
            &Packet::PubComp(Ack::new(packet_id(id), ReasonCode::Success)),
        );
    }

    pub(crate) fn disconnect(&mut self, who: Who, reason: ReasonCode) {
        self.send(who, &Packet::Disconnect(codec::Disconnect::new(reason)));
    }

    /// DISCONNECT with a session expiry.
    pub(crate) fn disconnect_with_expiry(&mut self, who: Who, expiry: u32) {
        let mut disconnect = codec::Disconnect::new(ReasonCode::Success);
        disconnect.session_expiry = Some(expiry);
        self.send(who, &Packet::Disconnect(disconnect));
    }

    /// Goes without a word.
    pub(crate) fn hang_up(&mut self, who: Who) {
        self.people[who.0].0.hang_up(&mut self.universe);
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.universe.advance(span);
    }

    /// Lets much time pass at one stroke: timers come up late, but nothing is done each second.
    pub(crate) fn leap(&mut self, span: Duration) {
        self.universe.pass(span);
        self.universe.settle();
    }

    pub(crate) fn is_closed(&self, who: Who) -> bool {
        self.universe.is_closed(self.people[who.0].0.link)
    }

    pub(crate) fn link(&self, who: Who) -> sim::LinkId {
        self.people[who.0].0.link
    }

    /// The packets since the last look.
    pub(crate) fn received(&mut self, who: Who) -> Vec<sim::Received> {
        self.people[who.0].0.received(&mut self.universe)
    }

    /// The packets since the last look as text, and "closed" if the server closed the link.
    pub(crate) fn heard(&mut self, who: Who) -> Vec<String> {
        let (peer, version) = &mut self.people[who.0];
        let mut heard: Vec<String> = peer
            .received(&mut self.universe)
            .iter()
            .map(|received| describe(*version, &received.packet()))
            .collect();
        if self.universe.is_closed(peer.link) {
            heard.push("closed".to_owned());
        }
        heard
    }

    /// Asserts what was heard since the last look.
    #[track_caller]
    pub(crate) fn hears(&mut self, who: Who, wanted: &[&str]) {
        assert_eq!(self.heard(who), wanted);
    }

    /// Asserts the payloads of the messages heard since the last look.
    #[track_caller]
    pub(crate) fn hears_payloads(&mut self, who: Who, wanted: &[&str]) {
        let messages = self.people[who.0].0.messages(&mut self.universe);
        let payloads: Vec<String> = messages
            .iter()
            .map(|(_, payload)| String::from_utf8_lossy(payload).into_owned())
            .collect();
        assert_eq!(payloads, wanted);
    }

    /// How many messages and octets the server says it dropped for one reason.
    pub(crate) fn dropped(&self, reason: broker::DropReason) -> u64 {
        self.universe.shared.totals().drops(reason)
    }
}

/// A packet as text: its name, its identifier, its reason, and what differs from the plain.
fn describe(version: ProtocolVersion, packet: &Packet<'_>) -> String {
    match packet {
        Packet::ConnAck(connack) => describe_connack(version, connack),
        Packet::Publish(publish) => describe_publish(publish),
        Packet::PubAck(ack) => describe_ack("puback", ack),
        Packet::PubRec(ack) => describe_ack("pubrec", ack),
        Packet::PubRel(ack) => describe_ack("pubrel", ack),
        Packet::PubComp(ack) => describe_ack("pubcomp", ack),
        Packet::SubAck(list) => describe_list("suback", list),
        Packet::UnsubAck(list) => describe_list("unsuback", list),
        Packet::PingResp => "pingresp".to_owned(),
        Packet::Disconnect(disconnect) => format!("disconnect {:02x}", disconnect.reason.byte()),
        Packet::Auth(auth) => {
            let data = String::from_utf8_lossy(auth.data.unwrap_or_default());
            let method = auth.method.unwrap_or_default();
            format!("auth {:02x} {method} {data}", auth.reason.byte())
        }
        Packet::Connect(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::PingReq => {
            panic!("a server does not send {packet:?}")
        }
    }
}

/// MQTT 3 shows its return code.
fn describe_connack(version: ProtocolVersion, connack: &codec::ConnAck<'_>) -> String {
    let code = match version {
        V5 => connack.reason.byte(),
        V31 | V311 => connack.reason.connect_return_code(),
    };
    let mut text = format!("connack {code:02x}");
    if connack.session_present {
        text.push_str(" present");
    }
    let properties = &connack.properties;
    let mut show = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(text, " {name}={value}");
        }
    };
    show(
        "expiry",
        properties.session_expiry.map(|value| value.to_string()),
    );
    show(
        "keepalive",
        properties.server_keep_alive.map(|value| value.to_string()),
    );
    show("info", properties.response_information.map(str::to_owned));
    show(
        "method",
        properties.authentication_method.map(str::to_owned),
    );
    let data = properties.authentication_data.map(String::from_utf8_lossy);
    show("data", data.map(|data| data.into_owned()));
    text
}

fn describe_publish(publish: &Publish<'_>) -> String {
    let payload = match publish.payload.len() {
        0..=64 => String::from_utf8_lossy(publish.payload).into_owned(),
        len => format!("({len} bytes)"),
    };
    let mut text = format!(
        "publish {} {payload} q{}",
        publish.topic,
        publish.qos.bits()
    );
    if let Some(id) = publish.packet_id {
        let _ = write!(text, " #{}", id.get());
    }
    if publish.retain {
        text.push_str(" retain");
    }
    if publish.dup {
        text.push_str(" dup");
    }
    let properties = &publish.properties;
    if let Some(alias) = properties.topic_alias {
        let _ = write!(text, " alias={alias}");
    }
    if let Some(expiry) = properties.message_expiry {
        let _ = write!(text, " expiry={expiry}");
    }
    let ids: Vec<u32> = properties.subscription_ids.iter().collect();
    if !ids.is_empty() {
        let _ = write!(text, " ids={ids:?}");
    }
    text
}

fn describe_ack(name: &str, ack: &Ack<'_>) -> String {
    let why = if ack.reason_string.is_some() {
        " why"
    } else {
        ""
    };
    format!(
        "{name} {} {:02x}{why}",
        ack.packet_id.get(),
        ack.reason.byte()
    )
}

fn describe_list(name: &str, list: &ReasonList<'_>) -> String {
    let why = if list.reason_string.is_some() {
        " why"
    } else {
        ""
    };
    format!("{name} {} {:02x?}{why}", list.packet_id.get(), list.reasons)
}

/// Rules for stories: the user name `refuse-87` is refused with 0x87; topics under `secret/`
/// are for nobody.
pub(crate) fn guard(config: &mut BrokerConfig) {
    config.authenticator = Arc::new(Clerk(|request: &Request| {
        let Some(username) = request.username.as_deref() else {
            return Outcome::Admitted(Admitted::plain(Identity::Anonymous));
        };
        match username.strip_prefix("refuse-") {
            Some(code) => {
                let code = u8::from_str_radix(code, 16).expect("a code");
                refused(ReasonCode::from_byte(code).expect("a reason"))
            }
            None => Outcome::Admitted(Admitted::plain(Identity::User(username.into()))),
        }
    }));
    config.policy = Arc::new(Judge(|_: &Subject<'_>, access: &Access<'_>| {
        !wanted(access).starts_with("secret/")
    }));
}
