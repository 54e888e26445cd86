//! Messages on their way from the server: repetitions and topic aliases.

use std::collections::BTreeSet;

use codec::{Publish, UserPropertiesBuf};
use types::{PacketId, QoS, TopicName};

use crate::event::Violation;
use crate::message::{Message, MessageProperties, Received};

#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// QoS 2 messages that are delivered and not yet released (MQTT-4.3.3-10).
    unreleased: BTreeSet<PacketId>,
    /// The topic of alias 1, 2, ... on this link (MQTT-3.3.2-7).
    aliases: Vec<Option<String>>,
}

impl Incoming {
    /// A new link begins.
    pub(super) fn handle_open(&mut self, topic_alias_maximum: u16) {
        self.aliases.clear();
        self.aliases.resize(usize::from(topic_alias_maximum), None);
    }

    /// The server has no session: all its identifiers are new (MQTT-3.2.2-5).
    pub(super) fn restart(&mut self) {
        self.unreleased.clear();
    }

    /// The message, unless it was delivered before.
    pub(super) fn handle_publish(
        &mut self,
        publish: &Publish<'_>,
        receive_maximum: u16,
    ) -> Result<Option<Received>, Violation> {
        let topic = self.topic(publish)?;
        if let (QoS::ExactlyOnce, Some(id)) = (publish.qos, publish.packet_id) {
            if !self.unreleased.insert(id) {
                return Ok(None);
            }
            if self.unreleased.len() > usize::from(receive_maximum) {
                return Err(Violation::ReceiveMaximum);
            }
        }
        Ok(Some(received(topic, publish)))
    }

    /// PUBREL: whether there was something to release.
    pub(super) fn handle_release(&mut self, id: PacketId) -> bool {
        self.unreleased.remove(&id)
    }

    fn topic(&mut self, publish: &Publish<'_>) -> Result<String, Violation> {
        let topic = publish.topic;
        // What a server forwards is what it took; only what no topic can be is refused.
        if !topic.is_empty() && topic.contains(['+', '#']) {
            return Err(Violation::TopicName);
        }
        let Some(alias) = publish.properties.topic_alias else {
            if topic.is_empty() {
                return Err(Violation::TopicName);
            }
            return Ok(topic.to_owned());
        };
        let place = usize::from(alias)
            .checked_sub(1)
            .and_then(|place| self.aliases.get_mut(place))
            .ok_or(Violation::TopicAlias)?;
        if !topic.is_empty() {
            *place = Some(topic.to_owned());
        }
        place.clone().ok_or(Violation::TopicAlias)
    }
}

fn received(topic: String, publish: &Publish<'_>) -> Received {
    let properties = &publish.properties;
    let forward = &properties.forward;
    let mut user = UserPropertiesBuf::new();
    for (key, value) in forward.user.iter() {
        // They came out of a packet, so none is too long for one.
        let _ = user.push(key, value);
    }
    Received {
        message: Message {
            topic,
            payload: publish.payload.to_vec(),
            qos: publish.qos,
            retain: publish.retain,
            properties: MessageProperties {
                payload_is_utf8: forward.payload_is_utf8,
                message_expiry: properties.message_expiry,
                topic_alias: properties.topic_alias,
                content_type: forward.content_type.map(str::to_owned),
                response_topic: forward.response_topic.map(str::to_owned),
                correlation_data: forward.correlation_data.map(<[u8]>::to_vec),
                user,
            },
        },
        dup: publish.dup,
        packet_id: publish.packet_id,
        subscription_ids: properties.subscription_ids.iter().collect(),
    }
}

/// Checks the topic of a message to publish; servers have their own limits of levels.
pub(super) fn check_topic(topic: &str) -> Result<(), types::TopicError> {
    TopicName::parse(topic, u16::MAX).map(|_| ())
}
