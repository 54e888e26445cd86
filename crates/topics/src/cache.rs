//! One worker's routes.

use std::sync::Arc;

use hashbrown::HashTable;
use types::TopicName;

use crate::index::SharedIndex;
use crate::keyed::Keyed;
use crate::route::Route;

/// The routes of the topics that a worker published to of late; the answer of one look
/// without a lock as long as the topic's version is the same.
///
/// Bounded in routes and in bytes; when it is full, routes that were not used since the last
/// round make room. A cache is used with one index only.
#[derive(Debug)]
pub struct RouteCache {
    keyed: Keyed,
    routes: HashTable<Cached>,
    /// The last route that was too large to keep.
    large: Option<Arc<Route>>,
    max_entries: usize,
    max_bytes: usize,
    bytes: usize,
    /// Where eviction goes on.
    hand: usize,
}

#[derive(Debug)]
struct Cached {
    hash: u64,
    route: Arc<Route>,
    used: bool,
}

impl RouteCache {
    /// An empty cache of at most so many routes and so many bytes (of routes; the table
    /// itself takes about 30 bytes more for each). A route larger than `max_bytes` is made
    /// anew each time.
    pub fn new(max_entries: usize, max_bytes: usize, hash_seed: u64) -> Self {
        Self {
            keyed: Keyed::new(hash_seed),
            routes: HashTable::new(),
            large: None,
            max_entries,
            max_bytes,
            bytes: 0,
            hand: 0,
        }
    }

    /// How many routes are kept.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether no route is kept.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Bytes of the routes that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The recipients of a topic as they are now.
    pub fn route(&mut self, index: &SharedIndex, topic: TopicName<'_>) -> &Arc<Route> {
        let hash = self.keyed.bytes(topic.as_str().as_bytes());
        let is_topic = |cached: &Cached| &**cached.route.topic() == topic.as_str();
        let found = self.routes.find_bucket_index(hash, is_topic);
        let fresh = match found.and_then(|at| self.routes.get_bucket_mut(at)) {
            Some(cached) if index.is_current(&cached.route) => {
                cached.used = true;
                None
            }
            _ => Some(Arc::new(index.route(topic))),
        };
        match (fresh, found) {
            (None, Some(at)) => match self.routes.get_bucket(at) {
                Some(cached) => &cached.route,
                None => unreachable!("the bucket was read just now"),
            },
            (None, None) => unreachable!("what was not found is made"),
            (Some(route), found) => self.keep(hash, found, route),
        }
    }

    fn keep(&mut self, hash: u64, stale: Option<usize>, route: Arc<Route>) -> &Arc<Route> {
        if let Some(at) = stale {
            self.evict(at);
        }
        if self.max_entries == 0 || route.size() > self.max_bytes {
            return self.large.insert(route);
        }
        while self.routes.len() >= self.max_entries || self.bytes + route.size() > self.max_bytes {
            self.evict_next();
        }
        self.bytes += route.size();
        let cached = Cached {
            hash,
            route,
            used: false,
        };
        let place = self
            .routes
            .insert_unique(hash, cached, |cached| cached.hash);
        &place.into_mut().route
    }

    /// Goes round until it finds a route that was not used since it came by last.
    fn evict_next(&mut self) {
        loop {
            self.hand = match self.hand.checked_add(1) {
                Some(next) if next < self.routes.num_buckets() => next,
                _ => 0,
            };
            match self.routes.get_bucket_mut(self.hand) {
                Some(cached) if cached.used => cached.used = false,
                Some(_) => return self.evict(self.hand),
                None => {}
            }
        }
    }

    fn evict(&mut self, at: usize) {
        if let Ok(entry) = self.routes.get_bucket_entry(at) {
            let (cached, _) = entry.remove();
            self.bytes -= cached.route.size();
        }
    }
}
