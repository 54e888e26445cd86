//! The topics: what is published while somebody looks, and what is retained.
//!
//! Each question lets workers tell of messages for [`LEASE`]; a thread brings what they told of into
//! the tree as long as that holds. What was seen stays known behind it.

mod tree;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use admin::server::message::Bytes;
use admin::server::topics::{LastValue, Level, LevelMeta, LevelWanted, TopicNode, Value};
use admin::server::{Answer, Retained, Topics};
use admin::{Failure, Stamp};
use broker::probe::samples::{Sample, Samples};
use types::TopicName;

use super::retained::properties;
use super::watching::Watching;
use super::{Steer, count};
use tree::{Seen, Tree};

/// How long workers tell of messages behind a question.
const LEASE: Duration = Duration::from_secs(30);
/// How often what they told of is fetched.
const TICK: Duration = Duration::from_millis(250);
/// Retained names that are looked for while their order is locked.
const AT_ONCE: usize = 32;
/// Most bytes of names and topics in a piece of a level; JSON may escape them.
const PIECE: usize = 1024 * 1024;
/// Children that are counted of a retained name.
const CHILDREN: usize = 16;

/// What is published while somebody looks.
pub(crate) struct Explorer {
    watching: Arc<Watching>,
    samples: Arc<Samples>,
    state: Mutex<State>,
}

struct State {
    tree: Tree,
    /// Until when workers tell; `None`: they do not.
    until: Option<Instant>,
    /// Since when they do without a break.
    since: Stamp,
    /// Messages that were missed before.
    missed: u64,
    /// Something was not looked at since then.
    sampled: bool,
}

impl Explorer {
    /// Room for so many names, and a place for each worker.
    pub(crate) fn new(watching: Arc<Watching>, workers: usize, most: usize) -> Arc<Self> {
        Arc::new(Self {
            watching,
            samples: Samples::new(workers),
            state: Mutex::new(State {
                tree: Tree::new(most),
                until: None,
                since: Stamp::now(),
                missed: 0,
                sampled: false,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for so many names from now on.
    pub(crate) fn resize(&self, most: usize) {
        self.lock().tree.resize(most);
    }

    /// Somebody looks: workers tell for a while.
    fn renew(self: &Arc<Self>) -> Result<MutexGuard<'_, State>, Failure> {
        let mut state = self.lock();
        let was_watched = state.until.replace(Instant::now() + LEASE).is_some();
        if !was_watched {
            (state.since, state.sampled) = (Stamp::now(), false);
            let explorer = Arc::downgrade(self);
            let thread = thread::Builder::new().name("topics".into());
            if let Err(error) = thread.spawn(move || follow(&explorer)) {
                state.until = None;
                return Err(Failure::Unavailable(format!(
                    "a thread for topics: {error}"
                )));
            }
            self.watching.some(Some(Arc::clone(&self.samples) as _));
        }
        Ok(state)
    }

    /// Fetches what workers told of; whether they are to go on.
    fn fetch(&self) -> bool {
        self.samples.fetch(|samples| {
            // Another lock for each worker, so that who asks does not wait for all.
            let mut state = self.lock();
            let now = Stamp::now();
            for sample in samples {
                state.sampled |= sample.weight > 1;
                state.tree.note(sample, now);
            }
        });
        let mut state = self.lock();
        let missed = self.samples.missed();
        state.sampled |= std::mem::replace(&mut state.missed, missed) != missed;
        if state.until.is_some_and(|until| until > Instant::now()) {
            return true;
        }
        state.until = None;
        self.watching.some(None);
        false
    }
}

/// Brings what workers tell of into the tree, as long as somebody looks.
fn follow(explorer: &Weak<Explorer>) {
    loop {
        thread::park_timeout(TICK);
        if !explorer.upgrade().is_some_and(|explorer| explorer.fetch()) {
            return;
        }
    }
}

impl Topics for Steer {
    fn level(&self, wanted: &LevelWanted) -> Result<Level, Failure> {
        let under = wanted.under.as_deref();
        let most = wanted.limit.saturating_add(1);
        let mut rows: BTreeMap<String, TopicNode> = self.retained(wanted, most);
        let state = self.explorer.renew()?;
        let (now, since) = (Stamp::now(), state.since);
        let mut room = Room::new();
        for (name, node) in state.tree.level(under, wanted.after.as_deref(), most) {
            if !room.has() {
                break;
            }
            room.take(under, name);
            let row = rows.entry(name.into()).or_insert_with(|| row(under, name));
            (row.rate, row.bytes_rate) = node.rates(now, since);
            row.messages = node.messages;
            row.children = row.children.max(count(node.children()));
            row.last_at = node.last_at;
        }
        // A retained name may have been seen where the tree's piece does not reach.
        let mut data: Vec<TopicNode> = rows.into_values().take(most).collect();
        let has_more = cut(&mut data, under, wanted.limit);
        // Nothing stands for the first level: below an empty name in it nobody can look.
        let nameless = data.iter_mut().filter(|row| row.topic.is_empty());
        nameless.for_each(|row| row.children = 0);
        Ok(Level {
            meta: LevelMeta {
                after: data.last().filter(|_| has_more).map(|row| row.name.clone()),
                sampled: state.sampled || state.tree.has_forgotten,
                since,
            },
            data,
        })
    }

    fn seen(&self, topic: &str) -> Result<Option<LastValue>, Failure> {
        let seen: Vec<Seen> = {
            let state = self.explorer.renew()?;
            let node = state.tree.name(topic);
            node.into_iter()
                .flat_map(|node| node.values.iter())
                .cloned()
                .collect()
        };
        let history: Vec<Value> = seen.iter().map(value_of).collect();
        Ok(history.first().cloned().map(|value| LastValue {
            topic: topic.into(),
            value,
            history,
        }))
    }

    fn kept(&self, topic: String) -> Answer<'_, LastValue> {
        Box::pin(async move {
            let value = self.retained_value(&topic).await?;
            let history = vec![value.clone()];
            Ok(LastValue {
                topic,
                value,
                history,
            })
        })
    }
}

impl Steer {
    /// The retained names of a level, a few at a time: workers that retain may wait for each look.
    fn retained(&self, wanted: &LevelWanted, most: usize) -> BTreeMap<String, TopicNode> {
        let under = wanted.under.as_deref();
        let mut rows = BTreeMap::new();
        let mut after = wanted.after.clone();
        let mut room = Room::new();
        while rows.len() < most && room.has() {
            let part = AT_ONCE.min(most - rows.len());
            let found = self
                .shared
                .retained
                .level(under, after.as_deref(), part, CHILDREN);
            let Some(last) = found.last() else { break };
            after = Some(last.name.clone());
            for name in found {
                let mut row = row(under, &name.name);
                row.retained = name.retained;
                row.children = count(name.children);
                room.take(under, &name.name);
                rows.insert(name.name, row);
            }
        }
        rows
    }

    /// What is retained, loaded from the store if it is there alone.
    async fn retained_value(&self, topic: &str) -> Result<Value, Failure> {
        let missing = || Failure::NotFound(format!("nothing is known of the topic {topic:?}"));
        TopicName::parse(topic, u16::MAX).map_err(|_| missing())?;
        let found = match Retained::message(self, topic.into()).await {
            Err(Failure::NotFound(_)) => return Err(missing()),
            found => found?,
        };
        let Some(Bytes(mut payload)) = found.payload else {
            let words = "the retained message cannot be loaded from the store right now";
            return Err(Failure::Unavailable(words.into()));
        };
        payload.truncate(Samples::PAYLOAD);
        Ok(Value {
            truncated: count(payload.len()) < found.size,
            payload: Bytes(payload),
            size: found.size,
            qos: found.qos.unwrap_or_default(),
            retain: true,
            at: found.publish_at,
            from_clientid: found.from_clientid,
            properties: found.properties,
        })
    }
}

/// How much still goes into a piece. What comes from the tree and what is retained end each behind the
/// first name that does not fit, so that no name is missing in what they have together up to there.
struct Room(Option<usize>);

impl Room {
    fn new() -> Self {
        Self(Some(PIECE))
    }

    fn has(&self) -> bool {
        self.0.is_some()
    }

    /// Another row; whether it fitted.
    fn take(&mut self, under: Option<&str>, name: &str) -> bool {
        let above = under.map_or(0, |under| under.len().saturating_add(1));
        let row = name.len().saturating_mul(2).saturating_add(above);
        self.0 = self.0.and_then(|room| room.checked_sub(row));
        self.has()
    }
}

/// Leaves no more rows than wanted and than fit, but one; whether there are more.
fn cut(rows: &mut Vec<TopicNode>, under: Option<&str>, limit: usize) -> bool {
    let mut room = Room::new();
    let fit = rows.iter().take(limit);
    let fit = fit.take_while(|row| room.take(under, &row.name)).count();
    let kept = fit.max(1).min(rows.len());
    let has_more = kept < rows.len();
    rows.truncate(kept);
    has_more
}

fn row(under: Option<&str>, name: &str) -> TopicNode {
    TopicNode {
        name: name.into(),
        topic: match under {
            Some(under) => format!("{under}/{name}"),
            None => name.into(),
        },
        children: 0,
        messages: 0,
        rate: 0.0,
        bytes_rate: 0.0,
        retained: false,
        last_at: None,
    }
}

fn value_of(seen: &Seen) -> Value {
    let sample: &Sample = &seen.sample;
    Value {
        payload: Bytes(sample.payload.to_vec()),
        size: count(sample.size),
        truncated: sample.payload.len() < sample.size,
        qos: sample.qos.bits(),
        retain: sample.retain,
        at: Some(seen.at),
        from_clientid: sample.client.as_ref().map(|id| id.as_str().into()),
        properties: properties(&sample.properties),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s95_a_piece_of_long_names_ends_early() {
        let rows = |count: usize, length: usize| -> Vec<TopicNode> {
            let name = |number: usize| format!("{number:04}{}", "n".repeat(length));
            (0..count).map(|number| row(None, &name(number))).collect()
        };
        let mut long = rows(1000, 60_000);
        assert!(cut(&mut long, None, 1000));
        assert_eq!(long.len(), PIECE / (2 * 60_004));
        // A row that is too long by itself is one all the same: so each piece goes on.
        let mut giant = rows(2, PIECE);
        assert!(cut(&mut giant, None, 10));
        assert_eq!(giant.len(), 1);
        let mut short = rows(100, 10);
        assert!(!cut(&mut short, None, 100) && cut(&mut short, None, 99));
        assert_eq!(short.len(), 99);
        assert!(!cut(&mut Vec::new(), None, 1));
    }
}
