//! The topics that were seen, as a tree with figures: bounded in names and bytes; those that were
//! not seen for longest are forgotten first.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use admin::Stamp;
use broker::probe::samples::Sample;

/// Values that are kept of a topic.
const HISTORY: usize = 20;
/// Most bytes of names and values, and of who published them.
const BYTES: usize = 64 * 1024 * 1024;
/// About what a name takes beside its bytes, and a value.
const NODE: usize = 256;
const VALUE: usize = 96;
/// What a rate is of, in milliseconds.
const WINDOW: u64 = 10_000;

/// The topics.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    most: usize,
    bytes: usize,
    /// The name that was seen last, and the one that was not for longest: a topic's names stand
    /// behind those below them, so that the last one has none below it.
    newest: Option<u32>,
    oldest: Option<u32>,
    /// Topics were forgotten.
    pub(super) has_forgotten: bool,
}

/// A name in the tree.
#[derive(Debug, Default)]
pub(super) struct Node {
    name: Arc<str>,
    parent: u32,
    children: BTreeMap<Arc<str>, u32>,
    newer: Option<u32>,
    older: Option<u32>,
    pub(super) messages: u64,
    messages_meter: Meter,
    bytes_meter: Meter,
    pub(super) last_at: Option<Stamp>,
    pub(super) values: VecDeque<Seen>,
}

/// A value that was seen, without its topic, which is its place.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Stamp,
    pub(super) sample: Sample,
}

/// How much came in the last ten seconds.
#[derive(Debug, Default)]
struct Meter {
    window: u64,
    now: u64,
    before: u64,
}

impl Meter {
    fn add(&mut self, at: u64, count: u64) {
        self.turn(at);
        self.now = self.now.saturating_add(count);
    }

    fn turn(&mut self, at: u64) {
        let window = at / WINDOW;
        if window != self.window {
            let follows = window == self.window.saturating_add(1);
            self.before = if follows { self.now } else { 0 };
            (self.now, self.window) = (0, window);
        }
    }

    /// In a second, of the time since `since` if that is less than a window.
    fn rate(&self, at: u64, since: u64) -> f64 {
        let mut meter = Self { ..*self };
        meter.turn(at);
        let into = at % WINDOW;
        let rest = (WINDOW - into) as f64 / WINDOW as f64;
        let count = meter.now as f64 + meter.before as f64 * rest;
        let span = at.saturating_sub(since).clamp(1000, WINDOW);
        count * 1000.0 / span as f64
    }
}

/// The root, which is no name.
const ROOT: u32 = 0;

impl Tree {
    /// Room for so many names.
    pub(super) fn new(most: usize) -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            most: most.max(1),
            bytes: 0,
            newest: None,
            oldest: None,
            has_forgotten: false,
        }
    }

    /// Room for so many names from now on.
    pub(super) fn resize(&mut self, most: usize) {
        self.most = most.max(1);
        self.shrink();
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1 - self.free.len()
    }

    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    fn node_mut(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    /// Takes in what was seen.
    pub(super) fn note(&mut self, mut sample: Sample, at: Stamp) {
        let weight = u64::from(sample.weight);
        let bytes = weight.saturating_mul(u64::try_from(sample.size).unwrap_or(0));
        let millis = at.as_millis();
        let topic = std::mem::take(&mut sample.topic);
        let mut way = Vec::new();
        let mut here = ROOT;
        for name in topic.split('/') {
            here = self.child(here, name);
            way.push(here);
            let node = self.node_mut(here);
            node.messages = node.messages.saturating_add(weight);
            node.messages_meter.add(millis, weight);
            node.bytes_meter.add(millis, bytes);
            node.last_at = Some(at);
        }
        let seen = Seen { at, sample };
        let size = size_of_value(&seen);
        let leaf = self.node_mut(here);
        leaf.values.push_front(seen);
        let gone = leaf.values.split_off(HISTORY.min(leaf.values.len()));
        self.bytes = (self.bytes + size).saturating_sub(gone.iter().map(size_of_value).sum());
        // The deepest first, so that each stands before those below it.
        for at in way.into_iter().rev() {
            self.touch(at);
        }
        self.shrink();
    }

    fn child(&mut self, parent: u32, name: &str) -> u32 {
        if let Some(&known) = self.node(parent).children.get(name) {
            return known;
        }
        let name: Arc<str> = name.into();
        self.bytes += NODE + name.len();
        let node = Node {
            name: Arc::clone(&name),
            parent,
            ..Node::default()
        };
        let at = match self.free.pop() {
            Some(at) => {
                *self.node_mut(at) = node;
                at
            }
            None => {
                self.nodes.push(node);
                // There are fewer names than bytes.
                u32::try_from(self.nodes.len() - 1).unwrap_or(ROOT)
            }
        };
        self.node_mut(parent).children.insert(name, at);
        self.link(at);
        at
    }

    /// Puts it before all others.
    fn link(&mut self, at: u32) {
        let before = self.newest.replace(at);
        let node = self.node_mut(at);
        (node.newer, node.older) = (None, before);
        match before {
            Some(before) => self.node_mut(before).newer = Some(at),
            None => self.oldest = Some(at),
        }
    }

    fn unlink(&mut self, at: u32) {
        let (newer, older) = (self.node(at).newer, self.node(at).older);
        match newer {
            Some(newer) => self.node_mut(newer).older = older,
            None => self.newest = older,
        }
        match older {
            Some(older) => self.node_mut(older).newer = newer,
            None => self.oldest = newer,
        }
    }

    fn touch(&mut self, at: u32) {
        if self.newest != Some(at) {
            self.unlink(at);
            self.link(at);
        }
    }

    fn shrink(&mut self) {
        while (self.len() > self.most || self.bytes > BYTES)
            && let Some(oldest) = self.oldest
        {
            self.has_forgotten = true;
            self.unlink(oldest);
            let gone = std::mem::take(self.node_mut(oldest));
            let values: usize = gone.values.iter().map(size_of_value).sum();
            self.bytes = self.bytes.saturating_sub(NODE + gone.name.len() + values);
            self.node_mut(gone.parent).children.remove(&gone.name);
            self.free.push(oldest);
        }
    }

    fn find(&self, topic: Option<&str>) -> Option<&Node> {
        let mut here = ROOT;
        for name in topic.into_iter().flat_map(|topic| topic.split('/')) {
            here = *self.node(here).children.get(name)?;
        }
        Some(self.node(here))
    }

    /// Names below a topic and behind a name, in the order of their bytes.
    pub(super) fn level<'a>(
        &'a self,
        under: Option<&str>,
        after: Option<&str>,
        most: usize,
    ) -> Vec<(&'a str, &'a Node)> {
        let Some(node) = self.find(under) else {
            return Vec::new();
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = node.children.range::<str, _>((from, Bound::Unbounded));
        let rows = names.take(most);
        rows.map(|(name, &at)| (&**name, self.node(at))).collect()
    }

    /// A name below a topic.
    pub(super) fn name(&self, topic: &str) -> Option<&Node> {
        self.find(Some(topic))
    }
}

fn size_of_value(seen: &Seen) -> usize {
    let sample = &seen.sample;
    // Others may keep it too; then it counts more than once.
    let client = sample.client.as_ref().map_or(0, |id| id.as_str().len());
    VALUE + client + sample.payload.len() + sample.properties.len()
}

impl Node {
    pub(super) fn children(&self) -> usize {
        self.children.len()
    }

    /// Messages and bytes in a second.
    pub(super) fn rates(&self, now: Stamp, since: Stamp) -> (f64, f64) {
        let (now, since) = (now.as_millis(), since.as_millis());
        let rate = |meter: &Meter| meter.rate(now, since);
        (rate(&self.messages_meter), rate(&self.bytes_meter))
    }
}

#[cfg(test)]
mod tests {
    use types::QoS;

    use super::*;

    fn sample(topic: &str, payload: &[u8]) -> Sample {
        Sample {
            topic: topic.into(),
            client: None,
            qos: QoS::AtMostOnce,
            retain: false,
            weight: 1,
            size: payload.len(),
            payload: payload.into(),
            properties: Box::default(),
        }
    }

    fn at(millis: u64) -> Stamp {
        Stamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_million_topics_leave_the_newest_and_the_figures_of_those_above() {
        let mut tree = Tree::new(1000);
        for number in 0..1_000_000u64 {
            let topic = format!("plant/{}/{}", number % 7, number);
            tree.note(sample(&topic, b"x"), at(number / 100));
        }
        assert!(tree.len() <= 1000 && tree.has_forgotten);
        let plant = tree.name("plant").expect("it was seen last");
        assert_eq!((plant.messages, plant.children()), (1_000_000, 7));
        assert!(tree.name("plant/0/0").is_none());
        assert!(
            tree.name(&format!("plant/{}/999999", 999_999 % 7))
                .is_some()
        );
        // The list holds what the tree does.
        let mut listed = 0;
        let mut next = tree.newest;
        while let Some(at) = next {
            listed += 1;
            next = tree.node(at).older;
        }
        assert_eq!(listed, tree.len());
    }

    #[test]
    fn values_are_bounded_by_their_bytes() {
        let mut tree = Tree::new(1_000_000);
        let long = vec![b'x'; 4096];
        for number in 0..40_000u64 {
            tree.note(sample(&format!("a/{}", number % 5000), &long), at(number));
        }
        assert!(tree.bytes <= BYTES && tree.has_forgotten);
        let count = |node: &Node| node.values.len();
        let kept: usize = tree
            .level(Some("a"), None, 10_000)
            .iter()
            .map(|(_, node)| count(node))
            .sum();
        assert!(kept * 4096 <= BYTES, "{kept}");
        for number in 0..100 {
            tree.note(sample("b", b"x"), at(number));
        }
        assert_eq!(tree.name("b").map(count), Some(HISTORY));
    }

    #[test]
    fn s95_long_names_above_and_long_identifiers_do_not_count_for_nothing() {
        let mut tree = Tree::new(1_000_000);
        let above = "p".repeat(60_000);
        let id = types::ClientId::new(&"c".repeat(60_000));
        let topics: Vec<Arc<str>> = (0..2000)
            .map(|number| format!("{above}/{number}").into())
            .collect();
        for topic in &topics {
            let mut seen = sample("", b"x");
            (seen.topic, seen.client) = (Arc::clone(topic), id.clone());
            tree.note(seen, at(0));
        }
        // No value keeps its whole topic,
        assert!(topics.iter().all(|topic| Arc::strong_count(topic) == 1));
        // and what it keeps of who published it has the same bound as all.
        assert!(tree.has_forgotten && tree.bytes <= BYTES);
        let kept = tree.level(Some(&above), None, 10_000);
        let kept: usize = kept.iter().map(|(_, node)| node.values.len()).sum();
        assert!(kept * 60_000 <= BYTES, "{kept}");
    }

    #[test]
    fn a_level_goes_on_behind_a_name() {
        let mut tree = Tree::new(1000);
        for topic in ["b", "a/x", "c", "a-b", ""] {
            tree.note(sample(topic, b""), at(0));
        }
        let names = |under, after, most| -> Vec<&str> {
            let rows = tree.level(under, after, most).into_iter();
            rows.map(|(name, _)| name).collect()
        };
        assert_eq!(names(None, None, 10), ["", "a", "a-b", "b", "c"]);
        assert_eq!(names(None, Some("a"), 2), ["a-b", "b"]);
        assert_eq!(names(Some("a"), None, 10), ["x"]);
        assert!(names(Some("z"), None, 10).is_empty());
    }

    #[test]
    fn a_rate_is_of_the_last_ten_seconds() {
        let mut tree = Tree::new(1000);
        let start = at(0);
        for number in 0..400 {
            tree.note(sample("a", b"1234"), at(number * 100));
        }
        let node = tree.name("a").expect("it was seen");
        let (rate, bytes) = node.rates(at(40_000), start);
        assert!((rate - 10.0).abs() < 0.5, "{rate}");
        assert!((bytes - 40.0).abs() < 2.0, "{bytes}");
        let (later, _) = node.rates(at(70_000), start);
        assert!(later.abs() < f64::EPSILON, "{later}");
    }
}
