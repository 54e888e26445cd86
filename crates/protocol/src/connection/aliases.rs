//! Topic aliases: numbers that stand for topics, for each connection and direction (3.3.2.3.4).

use std::sync::Arc;

use hashbrown::HashMap;

use super::violation::Violation;

/// The topics behind the aliases of a client.
#[derive(Debug, Default)]
pub struct AliasesIn {
    maximum: u16,
    topics: Vec<Option<Arc<str>>>,
}

impl AliasesIn {
    /// Aliases of 1 to `maximum` are taken (MQTT-3.3.2-12); 0 takes none.
    pub fn new(maximum: u16) -> Self {
        Self {
            maximum,
            topics: Vec::new(),
        }
    }

    fn place(&self, alias: u16) -> Result<usize, Violation> {
        if alias == 0 || alias > self.maximum {
            return Err(Violation::TopicAliasOutOfRange);
        }
        Ok(usize::from(alias.saturating_sub(1)))
    }

    /// The alias stands for the topic from now on (MQTT-3.3.2-8, -9).
    pub fn set(&mut self, alias: u16, topic: &str) -> Result<(), Violation> {
        let place = self.place(alias)?;
        if self.topics.len() <= place {
            self.topics.resize(place.saturating_add(1), None);
        }
        if let Some(slot) = self.topics.get_mut(place)
            && slot.as_deref() != Some(topic)
        {
            *slot = Some(Arc::from(topic));
        }
        Ok(())
    }

    /// The topic that the alias stands for; an unknown one is a protocol error.
    pub fn topic(&self, alias: u16) -> Result<&Arc<str>, Violation> {
        let place = self.place(alias)?;
        self.topics
            .get(place)
            .and_then(Option::as_ref)
            .ok_or(Violation::UnknownTopicAlias)
    }
}

/// The aliases that the server uses towards a client.
#[derive(Debug, Default)]
pub struct AliasesOut {
    maximum: u16,
    // Boxed: most connections have none.
    aliases: Option<Box<HashMap<Arc<str>, u16, foldhash::quality::RandomState>>>,
}

/// How the server names the topic of one PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliasUse {
    /// The topic alone.
    None,
    /// The topic together with its new alias.
    Introduce(u16),
    /// The alias alone.
    Known(u16),
}

impl AliasesOut {
    /// The server may use aliases of 1 to `maximum` (MQTT-3.1.2-26, -27); 0 is none.
    pub fn new(maximum: u16) -> Self {
        Self {
            maximum,
            aliases: None,
        }
    }

    /// Most aliases.
    pub(super) fn maximum(&self) -> u16 {
        self.maximum
    }

    /// How to name the topic. The first topics get the aliases and keep them.
    pub fn name(&mut self, topic: &Arc<str>) -> AliasUse {
        if self.maximum == 0 {
            return AliasUse::None;
        }
        let aliases = self.aliases.get_or_insert_with(Box::default);
        if let Some(&alias) = aliases.get(topic) {
            return AliasUse::Known(alias);
        }
        match u16::try_from(aliases.len()) {
            Ok(used) if used < self.maximum => {
                let alias = used.saturating_add(1);
                aliases.insert(Arc::clone(topic), alias);
                AliasUse::Introduce(alias)
            }
            _ => AliasUse::None,
        }
    }

    /// Takes back an introduction whose packet was not sent after all.
    pub fn forget(&mut self, topic: &Arc<str>) {
        if let Some(aliases) = &mut self.aliases {
            aliases.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c11_aliases_in_stay_within_the_maximum_mqtt_3_3_2_8_9_12() {
        let mut aliases = AliasesIn::new(2);
        assert_eq!(aliases.set(0, "a"), Err(Violation::TopicAliasOutOfRange));
        assert_eq!(aliases.set(3, "a"), Err(Violation::TopicAliasOutOfRange));
        assert_eq!(aliases.topic(1), Err(Violation::UnknownTopicAlias));
        aliases.set(2, "a").unwrap();
        assert_eq!(&**aliases.topic(2).unwrap(), "a");
        aliases.set(2, "b").unwrap();
        assert_eq!(&**aliases.topic(2).unwrap(), "b");
        assert_eq!(
            AliasesIn::new(0).set(1, "a"),
            Err(Violation::TopicAliasOutOfRange)
        );
    }

    #[test]
    fn c11_aliases_out_never_exceed_the_clients_maximum_mqtt_3_1_2_26() {
        let (a, b, c) = (Arc::from("a"), Arc::from("b"), Arc::from("c"));
        let mut aliases = AliasesOut::new(2);
        assert_eq!(aliases.name(&a), AliasUse::Introduce(1));
        assert_eq!(aliases.name(&b), AliasUse::Introduce(2));
        assert_eq!(aliases.name(&c), AliasUse::None);
        assert_eq!(aliases.name(&a), AliasUse::Known(1));
        assert_eq!(AliasesOut::new(0).name(&a), AliasUse::None);
    }
}
