//! Which class of durability holds for a message.

use types::Durability;

/// What the configuration says of durability. A rule for the topic comes before one for the
/// listener, and that before the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurabilityRules {
    default: Durability,
    /// By the number of the listener.
    listeners: Vec<Option<Durability>>,
    /// Prefixes of topics, longest first.
    topics: Vec<(Box<str>, Durability)>,
}

impl DurabilityRules {
    /// Rules from the default, the listeners' own classes by number, and topic prefixes.
    pub fn new(
        default: Durability,
        listeners: Vec<Option<Durability>>,
        mut topics: Vec<(Box<str>, Durability)>,
    ) -> Self {
        topics.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then(one.cmp(other)));
        Self {
            default,
            listeners,
            topics,
        }
    }

    /// One class for everything.
    pub fn always(class: Durability) -> Self {
        Self::new(class, Vec::new(), Vec::new())
    }

    /// The class of a message with this topic that came by this listener; `None` is for wills
    /// whose connection is long over, and for what the server publishes on behalf of a session.
    #[inline]
    pub fn class(&self, listener: Option<u16>, topic: &str) -> Durability {
        let by_topic = self
            .topics
            .iter()
            .find(|(prefix, _)| topic.starts_with(&**prefix));
        if let Some((_, class)) = by_topic {
            return *class;
        }
        listener
            .and_then(|number| self.listeners.get(usize::from(number)).copied().flatten())
            .unwrap_or(self.default)
    }

    /// The class without a rule of its own.
    pub fn default_class(&self) -> Durability {
        self.default
    }

    /// The strongest class that any message can have; sessions and subscriptions have it too.
    pub fn strongest(&self) -> Durability {
        let topics = self.topics.iter().map(|(_, class)| *class);
        let listeners = self.listeners.iter().flatten().copied();
        topics.chain(listeners).fold(self.default, Ord::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_comes_before_the_listener_and_that_before_the_default() {
        let rules = DurabilityRules::new(
            Durability::Os,
            vec![None, Some(Durability::Memory)],
            vec![
                ("a/".into(), Durability::Memory),
                ("a/b/".into(), Durability::Disk),
            ],
        );
        assert_eq!(rules.class(Some(0), "x"), Durability::Os);
        assert_eq!(rules.class(Some(1), "x"), Durability::Memory);
        assert_eq!(rules.class(Some(7), "x"), Durability::Os);
        assert_eq!(rules.class(None, "a/x"), Durability::Memory);
        assert_eq!(rules.class(Some(1), "a/b/c"), Durability::Disk);
        assert_eq!(rules.strongest(), Durability::Disk);
        assert_eq!(
            DurabilityRules::always(Durability::Memory).strongest(),
            Durability::Memory
        );
    }
}
