//! What is kept, and how safely.

use admin::server::store::{ListenerDurability, Store, StoreFigures, TopicDurability};
use store::{COMMIT_BOUNDS, Figures};

use super::{Steer, buckets};

pub(super) fn store(steer: &Steer) -> Store {
    let config = steer.config();
    let class = |class: types::Durability| class.as_str().to_owned();
    let listeners = config.listeners.iter().filter_map(|listener| {
        Some(ListenerDurability {
            listener: listener.name.clone(),
            durability: class(listener.durability?),
        })
    });
    let topics = config.topics.iter().map(|rule| TopicDurability {
        prefix: rule.prefix.clone(),
        durability: class(rule.durability),
    });
    Store {
        durability: class(config.store.durability),
        listeners: listeners.collect(),
        topics: topics.collect(),
        figures: steer.stored.as_ref().map(|view| figures(&view.figures())),
    }
}

fn figures(figures: &Figures) -> StoreFigures {
    StoreFigures {
        state: figures.health.condition.as_str().to_owned(),
        disk_bytes: figures.disk_bytes,
        live_bytes: figures.live_bytes,
        messages: figures.messages,
        oldest_seconds: match figures.oldest {
            0 => None,
            oldest => Some(figures.now.saturating_sub(oldest) / 1000),
        },
        damaged: figures.damaged,
        syncs: figures.syncs,
        failures: figures.failures,
        written_bytes: figures.written_bytes,
        backlog_bytes: figures.backlog_bytes,
        commits: buckets(&COMMIT_BOUNDS, &figures.commits),
    }
}
