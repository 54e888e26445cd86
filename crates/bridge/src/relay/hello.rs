//! CONNECT, SUBSCRIBE, and what the servers answer.

use std::time::Duration;

use codec::{
    ConnAck, Connect, ConnectProperties, Packet, Publish, PublishProperties, ReasonList, Subscribe,
    SubscribeFiltersBuf, Unsubscribe, UnsubscribeFiltersBuf, UserProperties, Will,
};
use types::{PacketId, QoS, ReasonCode, RetainHandling, SubscriptionOptions};

use super::receipts::Receipts;
use super::{End, Relay, Side, Stage};
use crate::rule::Rule;

impl Relay {
    pub(super) fn connect_remote(&mut self, password: Option<&[u8]>, says_bridge: bool) {
        let settings = std::sync::Arc::clone(&self.settings);
        let five = settings.version.has_properties();
        let will = settings.notify.remote().map(|topic| Will {
            topic,
            payload: b"0",
            qos: QoS::AtLeastOnce,
            retain: true,
            delay: None,
            message_expiry: None,
            forward: codec::Forward::default(),
        });
        let connect = Connect {
            version: settings.version,
            bridge: says_bridge && !five,
            clean_start: settings.clean_start,
            keep_alive: settings.keep_alive,
            client_id: &settings.client_id,
            will,
            username: settings.username.as_deref(),
            password,
            properties: ConnectProperties {
                session_expiry: (!settings.clean_start).then_some(settings.session_expiry),
                receive_maximum: Some(
                    settings
                        .bounds
                        .receive_maximum
                        .min(settings.inflight)
                        .max(1),
                ),
                maximum_packet_size: Some(settings.bounds.packet_size.max(1)),
                ..ConnectProperties::default()
            },
        };
        self.write(Side::Remote, &Packet::Connect(Box::new(connect)));
    }

    /// CONNACK of the other server.
    pub(super) fn admitted(&mut self, connack: &ConnAck<'_>) {
        let properties = &connack.properties;
        if connack.reason.is_error() {
            let words = properties.reason_string.unwrap_or_default().to_owned();
            return self.finish(End::Refused(Side::Remote, connack.reason, words));
        }
        self.remote_present = connack.session_present;
        let takes = &mut self.takes;
        if let Some(most) = properties.receive_maximum {
            takes.receive_maximum = takes.receive_maximum.min(most);
        }
        takes.qos = properties.maximum_qos.unwrap_or(QoS::ExactlyOnce);
        takes.retain = properties.retain_available.unwrap_or(true);
        if let Some(most) = properties.maximum_packet_size {
            takes.packet_size = takes.packet_size.min(most);
        }
        if let Some(seconds) = properties.server_keep_alive {
            // A server may ask to hear more often. Less often would hide for long that it is gone.
            let seconds = Duration::from_secs(seconds.into());
            if self.keep_alive.is_zero() || (!seconds.is_zero() && seconds < self.keep_alive) {
                self.keep_alive = seconds;
            }
        }
        self.stage = Stage::Subscribe;
        let five = self.settings.version.has_properties();
        let options = |qos| SubscriptionOptions {
            no_local: five,
            retain_as_published: five,
            retain_handling: match five {
                true => RetainHandling::SendIfNew,
                false => RetainHandling::Send,
            },
            ..SubscriptionOptions::plain(qos)
        };
        let stale = std::mem::take(&mut self.stale.1);
        self.subscribe(Side::Remote, Rule::remote_filter, options, &stale);
        self.go_on();
    }

    pub(super) fn connect_local(&mut self) {
        let settings = std::sync::Arc::clone(&self.settings);
        let connect = Connect {
            version: self.version(Side::Local),
            bridge: false,
            clean_start: settings.local_clean_start,
            keep_alive: 0,
            client_id: &settings.local_client_id,
            will: None,
            username: None,
            password: None,
            properties: ConnectProperties {
                session_expiry: (!settings.local_clean_start).then_some(u32::MAX),
                receive_maximum: Some(self.takes.receive_maximum.max(1)),
                ..ConnectProperties::default()
            },
        };
        self.write(Side::Local, &Packet::Connect(Box::new(connect)));
    }

    /// CONNACK of this server.
    pub(super) fn admitted_here(&mut self, connack: &ConnAck<'_>) {
        if connack.reason.is_error() {
            let words = connack.properties.reason_string.unwrap_or_default();
            let end = End::Refused(Side::Local, connack.reason, words.to_owned());
            return self.finish(end);
        }
        if let Some(most) = connack.properties.maximum_packet_size {
            self.local_packet_size = most;
        }
        self.stage = Stage::SubscribeLocal;
        self.sweep(connack.session_present);
        let retains = self.settings.retains;
        // A server that knows nothing of the bridge has none of the retained messages.
        let retain_handling = match self.remote_present {
            true => RetainHandling::SendIfNew,
            false => RetainHandling::Send,
        };
        let options = |qos| SubscriptionOptions {
            no_local: true,
            retain_as_published: retains,
            retain_handling,
            ..SubscriptionOptions::plain(qos)
        };
        let stale = std::mem::take(&mut self.stale.0);
        self.subscribe(Side::Local, Rule::local_filter, options, &stale);
        self.go_on();
    }

    /// Releases identifiers that only one of the sessions knows of.
    fn sweep(&mut self, local_present: bool) {
        let settings = std::sync::Arc::clone(&self.settings);
        let sends_twice = |filter: fn(&Rule) -> Option<&str>| {
            let mut rules = settings.rules.iter();
            rules.any(|rule| filter(rule).is_some() && rule.qos() == QoS::ExactlyOnce)
        };
        match (local_present, self.remote_present) {
            (true, true) => {}
            (true, false) => {
                if sends_twice(Rule::remote_filter) {
                    let held = std::mem::replace(&mut self.memory.local, Receipts::none());
                    self.swept_local = self.release(Side::Local, &held);
                }
                self.memory.local = Receipts::none();
                self.memory.remote = Receipts::none();
            }
            (false, true) => {
                if sends_twice(Rule::local_filter) && self.takes.qos == QoS::ExactlyOnce {
                    let held = std::mem::replace(&mut self.memory.remote, Receipts::none());
                    self.swept_remote = self.release(Side::Remote, &held);
                }
                self.memory.local = Receipts::none();
                self.memory.remote = Receipts::none();
            }
            (false, false) => {
                self.memory.local = Receipts::none();
                self.memory.remote = Receipts::none();
            }
        }
    }

    /// PUBREL for each of them; their answers are nobody's.
    fn release(&mut self, side: Side, held: &Receipts) -> Receipts {
        let mut swept = Receipts::none();
        for id in held.iter() {
            if let Some(packet_id) = PacketId::new(id) {
                swept.insert(id);
                self.acknowledge(side, Packet::PubRel, packet_id);
            }
        }
        swept
    }

    /// Asks for what the rules say, and no more for what they do not say any more. A server has
    /// bounds on the filters of one packet: AWS IoT takes eight.
    fn subscribe(
        &mut self,
        side: Side,
        filter: fn(&Rule) -> Option<&str>,
        options: impl Fn(QoS) -> SubscriptionOptions,
        stale: &[String],
    ) {
        let settings = std::sync::Arc::clone(&self.settings);
        let mut wanted: Vec<(&str, QoS)> = Vec::new();
        for rule in &settings.rules {
            let Some(text) = filter(rule) else { continue };
            match wanted.iter_mut().find(|(known, _)| *known == text) {
                Some((_, qos)) => *qos = rule.qos().max(*qos),
                None => wanted.push((text, rule.qos())),
            }
        }
        let mut id = LAST_ID;
        for some in wanted.chunks(FILTERS_AT_ONCE) {
            let mut filters = SubscribeFiltersBuf::new();
            for (text, qos) in some {
                let mut options = options(*qos);
                // MQTT-3.8.3-4.
                options.no_local &= !text.starts_with("$share/");
                let pushed = filters.push(text, options);
                if let Err(error) = pushed {
                    return self.finish(End::Protocol(side, error.to_string()));
                }
            }
            let Some(packet_id) = PacketId::new(id) else {
                return;
            };
            let subscribe = Subscribe {
                packet_id,
                subscription_id: None,
                user: UserProperties::default(),
                filters: filters.as_borrowed(),
            };
            self.write(side, &Packet::Subscribe(subscribe));
            self.expect_answer(side);
            id = id.saturating_sub(1);
        }
        let gone: Vec<&String> = stale
            .iter()
            .filter(|text| !wanted.iter().any(|(known, _)| known == text))
            .collect();
        for some in gone.chunks(FILTERS_AT_ONCE) {
            let mut filters = UnsubscribeFiltersBuf::new();
            let all = some.iter().try_for_each(|text| filters.push(text));
            let (Ok(()), Some(packet_id)) = (all, PacketId::new(id)) else {
                return;
            };
            let unsubscribe = Unsubscribe {
                packet_id,
                user: UserProperties::default(),
                filters: filters.as_borrowed(),
            };
            self.write(side, &Packet::Unsubscribe(unsubscribe));
            self.expect_answer(side);
            id = id.saturating_sub(1);
        }
    }

    fn expect_answer(&mut self, side: Side) {
        let pipe = self.pipe(side);
        pipe.answers = pipe.answers.saturating_add(1);
    }

    /// SUBACK or UNSUBACK.
    pub(super) fn answered(&mut self, side: Side, list: &ReasonList<'_>) {
        let refused = list
            .reasons
            .iter()
            .filter_map(|byte| ReasonCode::from_byte(*byte))
            .find(|reason| reason.is_error());
        if let Some(reason) = refused {
            let words = list.reason_string.unwrap_or_default();
            let words: String = words.chars().take(super::MOST_WORDS).collect();
            let reason = reason.as_str();
            self.figures.complain(format!(
                "{side} refuses a subscription of the bridge: {reason} {words}"
            ));
        }
        let pipe = self.pipe(side);
        pipe.answers = pipe.answers.saturating_sub(1);
        self.go_on();
    }

    /// The next stage, if all answers that this one waits for are there.
    fn go_on(&mut self) {
        match self.stage {
            Stage::Subscribe if self.remote.answers == 0 => self.stage = Stage::NeedsLocal,
            Stage::SubscribeLocal if self.local.answers == 0 => {
                self.stage = Stage::Open;
                self.say_state(b"1");
            }
            _ => {}
        }
    }

    /// Tells clients of the other server whether the bridge is connected. At QoS 0: identifiers are
    /// this server's to give.
    pub(super) fn say_state(&mut self, state: &'static [u8]) {
        let settings = std::sync::Arc::clone(&self.settings);
        let Some(topic) = settings.notify.remote() else {
            return;
        };
        if self.stage != Stage::Open || !self.takes.retain {
            return;
        }
        let publish = Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: true,
            topic,
            packet_id: None,
            properties: PublishProperties::default(),
            payload: state,
        };
        self.write(Side::Remote, &Packet::Publish(publish));
    }
}

/// Most filters in one packet.
const FILTERS_AT_ONCE: usize = 8;
/// Identifiers of SUBSCRIBE count down from here, far from those that servers give first.
const LAST_ID: u16 = u16::MAX;
