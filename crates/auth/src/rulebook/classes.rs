//! Which rules are about a client.
//!
//! Rules that ask the same of a client are a class. What each class asks is looked at once for a
//! session ([`Prepared`]), and a decision then walks the trees of the classes that the client is in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use foldhash::fast::FixedState;

use super::levels::Symbols;
use super::trie::Trie;
use crate::rules::fit::Facts;
use crate::rules::{Effect, Rule, Who};

/// Rules, sorted for questions.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rules: Vec<Rule>,
    pub(super) symbols: Symbols,
    /// One tree for each class.
    pub(super) trie: Trie,
    /// In the order of their first rules.
    classes: Vec<Class>,
    index: Index,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Class {
    who: Vec<Who>,
    /// Few are in it: it is found by the name of a client or a user.
    narrow: bool,
    rules: Vec<u32>,
}

/// In which classes somebody may be, by what he must have to be in them.
#[derive(Debug, Default)]
struct Index {
    users: Names,
    clients: Names,
    groups: Names,
    roles: Names,
    /// Those that do not ask for a name.
    others: Vec<u32>,
}

type Names = HashMap<Arc<str>, Vec<u32>, FixedState>;

/// What is in use by sessions, so that those that are alike share it.
#[derive(Debug, Default)]
struct Known {
    prepared: HashMap<Arc<[u32]>, Weak<Prepared>, FixedState>,
    merged: HashMap<Arc<[u32]>, Weak<Trie>, FixedState>,
    /// Beyond this many, what nobody uses any more is let go.
    full: usize,
}

/// Which rules of a policy are about a session: so that not each question has to find out. It
/// holds as long as policy, identity, grant, address and listener of the session are the same; a
/// policy knows its own, and falls back to finding out. Sessions that are alike share one.
#[derive(Debug)]
pub struct Prepared {
    of: Weak<Compiled>,
    /// Classes to walk one by one.
    classes: Vec<u32>,
    /// The others in one tree, if they are many.
    merged: Option<Arc<Trie>>,
}

/// The trees of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trees<'a> {
    pub(super) classes: &'a [u32],
    pub(super) merged: Option<&'a Trie>,
}

impl Compiled {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let symbols = Symbols::of(rules.iter());
        let mut classes: Vec<Class> = Vec::new();
        let mut places: HashMap<&[Who], usize, FixedState> = HashMap::default();
        for (rule, place) in rules.iter().zip(0..) {
            let at = *places.entry(&rule.who).or_insert_with(|| {
                classes.push(Class {
                    who: rule.who.clone(),
                    narrow: false,
                    rules: Vec::new(),
                });
                classes.len().saturating_sub(1)
            });
            if let Some(class) = classes.get_mut(at) {
                class.rules.push(place);
            }
        }
        let mut index = Index::default();
        for (class, place) in classes.iter_mut().zip(0..) {
            class.narrow = index.insert(place, &class.who);
        }
        let lists = classes.iter().map(|class| numbered(&rules, &class.rules));
        let trie = Trie::build(&symbols, lists);
        Self {
            symbols,
            trie,
            classes,
            index,
            rules,
            known: Mutex::default(),
        }
    }

    /// The classes that a client is in, in their order.
    pub(super) fn classes(&self, facts: &Facts<'_>) -> Vec<u32> {
        let mut found = self.index.others.clone();
        let mut add = |names: &Names, name: &str| {
            if let Some(classes) = names.get(name) {
                found.extend(classes);
            }
        };
        if let Some(user) = facts.identity.user() {
            add(&self.index.users, user);
        }
        add(&self.index.clients, facts.client_id);
        facts
            .groups
            .iter()
            .for_each(|group| add(&self.index.groups, group));
        facts
            .roles
            .iter()
            .for_each(|role| add(&self.index.roles, role));
        found.sort_unstable();
        found.dedup();
        // Nobody is lenient here, so the effect does not matter.
        let holds = |class: &Class| class.who.iter().all(|who| who.holds(facts, Effect::Deny));
        found.retain(|&place| self.classes.get(place as usize).is_some_and(holds));
        found
    }

    pub(super) fn prepare(self: &Arc<Self>, facts: &Facts<'_>) -> Arc<Prepared> {
        let classes: Arc<[u32]> = self.classes(facts).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.prepared.get(&classes).and_then(Weak::upgrade) {
            return prepared;
        }
        let is_wide = |place: u32| {
            let class = self.classes.get(place as usize);
            class.is_some_and(|class| !class.narrow)
        };
        let (wide, narrow): (Vec<u32>, Vec<u32>) = classes.iter().partition(|&&it| is_wide(it));
        let prepared = if wide.len() > MERGE {
            Prepared {
                of: Arc::downgrade(self),
                classes: narrow,
                merged: Some(self.merge(&mut known, wide.into())),
            }
        } else {
            Prepared {
                of: Arc::downgrade(self),
                classes: classes.to_vec(),
                merged: None,
            }
        };
        let prepared = Arc::new(prepared);
        known.prepared.insert(classes, Arc::downgrade(&prepared));
        known.sweep();
        prepared
    }

    /// One tree instead of several.
    fn merge(&self, known: &mut Known, wide: Arc<[u32]>) -> Arc<Trie> {
        if let Some(trie) = known.merged.get(&wide).and_then(Weak::upgrade) {
            return trie;
        }
        let classes = wide
            .iter()
            .filter_map(|&place| self.classes.get(place as usize));
        let rules = classes.flat_map(|class| numbered(&self.rules, &class.rules));
        let list = std::iter::once(rules);
        let trie = Arc::new(Trie::build(&self.symbols, list));
        known.merged.insert(wide, Arc::downgrade(&trie));
        trie
    }

    /// The trees of a session; `None`: what is prepared is another policy's.
    pub(super) fn trees<'a>(self: &Arc<Self>, prepared: &'a Prepared) -> Option<Trees<'a>> {
        let is_ours = Weak::as_ptr(&prepared.of) == Arc::as_ptr(self);
        is_ours.then_some(Trees {
            classes: &prepared.classes,
            merged: prepared.merged.as_deref(),
        })
    }
}

impl Known {
    fn sweep(&mut self) {
        let count = self.prepared.len().saturating_add(self.merged.len());
        if count > self.full {
            self.prepared
                .retain(|_, prepared| prepared.strong_count() > 0);
            self.merged.retain(|_, trie| trie.strong_count() > 0);
            let left = self.prepared.len().saturating_add(self.merged.len());
            self.full = left.saturating_mul(2).max(64);
        }
    }
}

impl Index {
    /// By the condition that the fewest fulfil; whether that is a name of somebody.
    fn insert(&mut self, class: u32, who: &[Who]) -> bool {
        let exact = |names: &[Arc<str>]| !names.iter().any(|name| name.ends_with('*'));
        let (mut client, mut user, mut role, mut group) = (None, None, None, None);
        for condition in who {
            match condition {
                Who::Client(names) if exact(names) => client = Some(names),
                Who::User(names) => user = Some(names),
                Who::Role(names) => role = Some(names),
                Who::Group(names) => group = Some(names),
                Who::Client(_) | Who::Anonymous | Who::Address(_) | Who::Listener(_) => {}
            }
        }
        let (map, names, narrow) = match (client, user, role, group) {
            (Some(names), ..) => (&mut self.clients, names, true),
            (_, Some(names), ..) => (&mut self.users, names, true),
            (_, _, Some(names), _) => (&mut self.roles, names, false),
            (_, _, _, Some(names)) => (&mut self.groups, names, false),
            (None, None, None, None) => {
                self.others.push(class);
                return false;
            }
        };
        for name in names {
            map.entry(Arc::clone(name)).or_default().push(class);
        }
        narrow
    }
}

fn numbered<'r>(rules: &'r [Rule], places: &'r [u32]) -> impl Iterator<Item = (u32, &'r Rule)> {
    let find = |&place: &u32| Some((place, rules.get(place as usize)?));
    places.iter().filter_map(find)
}

/// More classes than these are merged into one tree.
const MERGE: usize = 4;
