//! Which of many rules are about a topic, without asking each.
//!
//! A tree of levels for each class of clients. Placeholders are edges that are compared with the
//! client's values, so that one tree serves all clients. A walk follows the edges that fit and
//! leaves out what lies below a better rule; it visits each node once at most.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::inline::Inline;
use super::levels::{Levels, NONE, Symbols, number};
use crate::rules::fit::Mask;
use crate::rules::pattern::{Form, Level};
use crate::rules::{Effect, Rule, Values};

/// Trees of rules.
#[derive(Debug, Default)]
pub(super) struct Trie {
    roots: Vec<Root>,
    nodes: Vec<Node>,
    /// The children of each node: symbol and node, one node after the other.
    kids: Vec<(u32, u32)>,
    /// The same for nodes with many children.
    edges: HashMap<(u32, u32), u32, FixedState>,
    /// Levels with placeholders, and nodes.
    forms: Vec<(Form, u32)>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Root {
    node: u32,
    /// What is about all topics, the reserved ones too.
    all: Span,
    /// The lowest rule in the tree.
    least: u32,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The lowest rule here and below.
    least: u32,
    /// The child for `+`; [`NONE`] if there is none.
    plus: u32,
    kids: Span,
    forms: Span,
    /// Rules whose pattern ends here.
    here: Span,
    /// Rules whose pattern goes on with `#`.
    rest: Span,
}

/// A part of one of the lists.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    length: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    rule: u32,
    mask: Mask,
}

impl Trie {
    /// One tree for each list. Rules come with their numbers.
    pub(super) fn build<'r, L>(symbols: &Symbols, lists: impl Iterator<Item = L>) -> Self
    where
        L: IntoIterator<Item = (u32, &'r Rule)>,
    {
        let mut builder = Builder::default();
        for list in lists {
            builder.root();
            for (place, rule) in list {
                builder.insert(symbols, place, rule);
            }
        }
        builder.finish()
    }

    /// The lowest rule of a tree that is about this topic and kind of access, if it is lower than
    /// `best`; else `best`.
    pub(super) fn first(
        &self,
        root: u32,
        levels: &mut Levels<'_>,
        mask: Mask,
        values: &Values<'_>,
        mut best: u32,
    ) -> u32 {
        let Some(root) = self.roots.get(root as usize) else {
            return best;
        };
        if root.least >= best {
            return best;
        }
        self.scan(root.all, mask, &mut best);
        let mut waiting: Inline<(u32, u32), 4> = Inline::new((NONE, 0));
        let mut next = Some((root.node, 0));
        while let Some((place, depth)) = next.take().or_else(|| waiting.pop()) {
            let Some(node) = self.nodes.get(place as usize) else {
                continue;
            };
            if node.least >= best {
                continue;
            }
            let spared = levels.spares(depth);
            if !spared {
                self.scan(node.rest, mask, &mut best);
            }
            let Some(text) = levels.at(depth) else {
                self.scan(node.here, mask, &mut best);
                continue;
            };
            let below = depth.saturating_add(1);
            for (form, child) in of(&self.forms, node.forms) {
                if form.matches(values, text, depth == 0) {
                    waiting.push((*child, below));
                }
            }
            if node.plus != NONE && !spared {
                waiting.push((node.plus, below));
            }
            next = self
                .child(place, node, levels, text, depth)
                .map(|child| (child, below));
        }
        best
    }

    /// All rules of a tree that may overlap a filter or cover it, in no order, some twice; the
    /// caller looks closer.
    pub(super) fn near(
        &self,
        root: u32,
        filter: &mut Levels<'_>,
        mask: Mask,
        values: &Values<'_>,
        found: &mut Vec<u32>,
    ) {
        let Some(root) = self.roots.get(root as usize) else {
            return;
        };
        let mut add = |span: Span| {
            let fit = of(&self.entries, span)
                .iter()
                .filter(|entry| entry.mask.has(mask));
            found.extend(fit.map(|entry| entry.rule));
        };
        add(root.all);
        let mut waiting = vec![(root.node, 0_u32, false)];
        while let Some((place, depth, below_hash)) = waiting.pop() {
            let Some(node) = self.nodes.get(place as usize) else {
                continue;
            };
            let spared = filter.spares(depth);
            if !spared {
                add(node.rest);
            }
            let level = if below_hash {
                Some(&b"#"[..])
            } else {
                filter.at(depth)
            };
            let Some(text) = level else {
                add(node.here);
                continue;
            };
            let below = depth.saturating_add(1);
            let hash = text == b"#";
            if hash {
                add(node.here);
            }
            if hash || text == b"+" {
                let kids = of(&self.kids, node.kids).iter();
                waiting.extend(kids.map(|&(_, child)| (child, below, hash)));
                let forms = of(&self.forms, node.forms).iter();
                waiting.extend(forms.map(|&(_, child)| (child, below, hash)));
            } else {
                let child = self.child(place, node, filter, text, depth);
                waiting.extend(child.map(|child| (child, below, false)));
                let forms = of(&self.forms, node.forms).iter();
                let fit = forms.filter(|(form, _)| form.matches(values, text, depth == 0));
                waiting.extend(fit.map(|&(_, child)| (child, below, false)));
            }
            if node.plus != NONE && !spared {
                waiting.push((node.plus, below, hash));
            }
        }
    }

    fn scan(&self, span: Span, mask: Mask, best: &mut u32) {
        for entry in of(&self.entries, span) {
            if entry.rule >= *best {
                break;
            }
            if entry.mask.has(mask) {
                *best = entry.rule;
            }
        }
    }

    fn child(
        &self,
        place: u32,
        node: &Node,
        levels: &mut Levels<'_>,
        text: &[u8],
        depth: u32,
    ) -> Option<u32> {
        if node.kids.length == 0 {
            return None;
        }
        if node.kids.length > FEW {
            let symbol = levels.symbol(depth, text);
            return self.edges.get(&(place, symbol)).copied();
        }
        let mut kids = of(&self.kids, node.kids).iter();
        let symbols = levels.symbols;
        let found = kids.find(|&&(symbol, _)| symbols.is(symbol, text));
        found.map(|&(_, child)| child)
    }
}

/// A part of a list; none, if it is not there.
fn of<T>(list: &[T], span: Span) -> &[T] {
    if span.length == 0 {
        return &[];
    }
    let start = span.start as usize;
    let end = start.saturating_add(span.length as usize);
    list.get(start..end).unwrap_or_default()
}

#[derive(Default)]
struct Builder {
    roots: Vec<(u32, Vec<Entry>)>,
    nodes: Vec<Growing>,
    edges: HashMap<(u32, u32), u32, FixedState>,
    forms: HashMap<(u32, Form), u32, FixedState>,
}

struct Growing {
    least: u32,
    plus: u32,
    kids: Vec<(u32, u32)>,
    forms: Vec<(Form, u32)>,
    here: Vec<Entry>,
    rest: Vec<Entry>,
}

impl Builder {
    fn node(&mut self) -> u32 {
        let place = number(self.nodes.len());
        self.nodes.push(Growing {
            least: NONE,
            plus: NONE,
            kids: Vec::new(),
            forms: Vec::new(),
            here: Vec::new(),
            rest: Vec::new(),
        });
        place
    }

    fn root(&mut self) {
        let node = self.node();
        self.roots.push((node, Vec::new()));
    }

    /// Into the last tree.
    fn insert(&mut self, symbols: &Symbols, rule: u32, from: &Rule) {
        let mask = Mask::of(from);
        if from.topics.is_empty() {
            self.insert_everything(Entry { rule, mask }, from.effect);
        }
        let Some(&(root, _)) = self.roots.last() else {
            return;
        };
        for pattern in &from.topics {
            let mask = mask.for_pattern(from.effect, pattern);
            let entry = Entry { rule, mask };
            let mut at = root;
            let mut rest = false;
            self.touch(at, rule);
            for level in pattern.levels() {
                match level {
                    Level::Hash => rest = true,
                    Level::Plus => at = self.plus(at),
                    Level::Text(text) => at = self.kid(at, symbols.find(text.as_bytes())),
                    Level::Form(form) => at = self.form(at, form),
                }
                self.touch(at, rule);
            }
            if let Some(node) = self.nodes.get_mut(at as usize) {
                let list = if rest { &mut node.rest } else { &mut node.here };
                list.push(entry);
            }
        }
    }

    fn insert_everything(&mut self, entry: Entry, effect: Effect) {
        let Some((root, all)) = self.roots.last_mut() else {
            return;
        };
        let root = *root;
        match (effect, self.nodes.get_mut(root as usize)) {
            // What is reserved needs a grant of its own (S50).
            (Effect::Allow, Some(node)) => node.rest.push(entry),
            (Effect::Allow, None) => {}
            (Effect::Deny, _) => all.push(entry),
        }
        self.touch(root, entry.rule);
    }

    fn touch(&mut self, place: u32, rule: u32) {
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.least = node.least.min(rule);
        }
    }

    fn plus(&mut self, place: u32) -> u32 {
        match self.nodes.get(place as usize) {
            Some(node) if node.plus != NONE => node.plus,
            _ => {
                let child = self.node();
                if let Some(node) = self.nodes.get_mut(place as usize) {
                    node.plus = child;
                }
                child
            }
        }
    }

    fn kid(&mut self, place: u32, symbol: u32) -> u32 {
        if let Some(&child) = self.edges.get(&(place, symbol)) {
            return child;
        }
        let child = self.node();
        self.edges.insert((place, symbol), child);
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.kids.push((symbol, child));
        }
        child
    }

    fn form(&mut self, place: u32, form: &Form) -> u32 {
        let key = (place, form.clone());
        if let Some(&child) = self.forms.get(&key) {
            return child;
        }
        let child = self.node();
        self.forms.insert(key, child);
        if let Some(node) = self.nodes.get_mut(place as usize) {
            node.forms.push((form.clone(), child));
        }
        child
    }

    fn finish(self) -> Trie {
        let mut trie = Trie::default();
        for (place, node) in self.nodes.into_iter().enumerate() {
            if node.kids.len() > FEW as usize {
                let place = number(place);
                let edges = node
                    .kids
                    .iter()
                    .map(|&(symbol, kid)| ((place, symbol), kid));
                trie.edges.extend(edges);
            }
            trie.nodes.push(Node {
                least: node.least,
                plus: node.plus,
                kids: append(&mut trie.kids, node.kids),
                forms: append(&mut trie.forms, node.forms),
                here: append(&mut trie.entries, sorted(node.here)),
                rest: append(&mut trie.entries, sorted(node.rest)),
            });
        }
        for (node, all) in self.roots {
            let least = trie
                .nodes
                .get(node as usize)
                .map_or(NONE, |node| node.least);
            let all = append(&mut trie.entries, sorted(all));
            trie.roots.push(Root { node, all, least });
        }
        trie.kids.shrink_to_fit();
        trie.forms.shrink_to_fit();
        trie.entries.shrink_to_fit();
        trie
    }
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(|entry| entry.rule);
    entries
}

fn append<T>(list: &mut Vec<T>, more: Vec<T>) -> Span {
    let span = Span {
        start: number(list.len()),
        length: number(more.len()),
    };
    list.extend(more);
    span
}

/// So many children are compared faster than hashed.
const FEW: u32 = 4;
