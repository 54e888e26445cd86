//! `[[topic]]`.

use types::Durability;

use super::{List, Need, Short, Sorts, TOPIC, column};
use crate::config::TopicRule;
use crate::formats::topic_prefix;
use crate::keys::Effect;
use crate::value::{DURABILITIES, Kind};

pub(super) const LIST: List = List {
    name: TOPIC,
    one: "a topic",
    columns: &[
        column!(
            topics,
            "prefix",
            Kind::Text(topic_prefix),
            Need::Required("\"telemetry/\""),
            Restart,
            prefix
        ),
        column!(
            topics,
            "durability",
            Kind::Choice(DURABILITIES),
            Need::Required("\"os\""),
            Restart,
            durability
        ),
    ],
    sorts: Sorts::One,
    known_by: Some("prefix"),
    short: Some(Short {
        columns: ["prefix", "durability"],
        form: "PREFIX=DURABILITY",
    }),
    effect: Effect::Restart,
    len: |config| config.topics.len(),
    push: |config| {
        config.topics.push(TopicRule {
            prefix: String::new(),
            durability: Durability::default(),
        });
    },
    copy: |config, other| config.topics.clone_from(&other.topics),
    check: |_, _| Vec::new(),
};
