//! The filters with wildcards: a tree of levels in flat memory.

use std::num::NonZeroU32;

use hashbrown::HashTable;
use types::TopicName;

use crate::keyed::Keyed;
use crate::slab::{NONE, Slab};
use crate::symbols::{Symbols, part, remove_place};

/// The root, which is never removed.
const ROOT: u32 = 0;

#[derive(Debug)]
struct Node {
    parent: u32,
    /// The level's text; [`NONE`] for the root and for `+`.
    symbol: u32,
    /// Itself and its children.
    uses: NonZeroU32,
    /// The child `+`.
    plus: u32,
    /// Subscribers of the filter that ends here.
    set: u32,
    /// Subscribers of the filter that goes on with `#` and ends.
    hash_set: u32,
}

const _: () = assert!(size_of::<Option<Node>>() == 24);

/// Which of a node's two sets belongs to a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Here,
    Hash,
}

/// The place of a filter in the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    node: u32,
    end: End,
}

/// A tree with one node for each level that filters have in common. Literal children are in
/// one table for the whole tree, by (parent, symbol): a map in each node would cost three
/// times the memory.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Slab<Node>,
    edges: Vec<HashTable<u32>>,
    symbols: Symbols,
}

impl Trie {
    pub(crate) fn new(parts: usize) -> Self {
        let mut nodes = Slab::new();
        nodes.insert(Node::new(NONE, NONE));
        Self {
            nodes,
            edges: (0..parts).map(|_| HashTable::new()).collect(),
            symbols: Symbols::new(parts),
        }
    }

    /// Bytes allocated.
    pub(crate) fn allocated(&self) -> usize {
        let edges: usize = self.edges.iter().map(HashTable::allocation_size).sum();
        self.nodes.allocated() + edges + self.symbols.allocated()
    }

    /// Finds the place of a filter, growing the tree as needed.
    pub(crate) fn make(&mut self, keyed: &Keyed, filter: &str) -> Place {
        let mut node = ROOT;
        for level in filter.split('/') {
            node = match level {
                "#" => {
                    return Place {
                        node,
                        end: End::Hash,
                    };
                }
                "+" => self.make_plus(node),
                _ => self.make_child(keyed, node, level),
            };
        }
        Place {
            node,
            end: End::Here,
        }
    }

    /// Finds the place of a filter, if the tree has it.
    pub(crate) fn find(&self, keyed: &Keyed, filter: &str) -> Option<Place> {
        let mut node = ROOT;
        for level in filter.split('/') {
            node = match level {
                "#" => {
                    return Some(Place {
                        node,
                        end: End::Hash,
                    });
                }
                "+" => self.nodes[node].plus,
                _ => self.child(keyed, node, self.symbols.find(keyed, level)?),
            };
            if node == NONE {
                return None;
            }
        }
        Some(Place {
            node,
            end: End::Here,
        })
    }

    /// The handle of the set at a place.
    pub(crate) fn set(&mut self, place: Place) -> &mut u32 {
        let node = &mut self.nodes[place.node];
        match place.end {
            End::Here => &mut node.set,
            End::Hash => &mut node.hash_set,
        }
    }

    /// The handle of the set at a place, to be read.
    pub(crate) fn set_at(&self, place: Place) -> u32 {
        let node = &self.nodes[place.node];
        match place.end {
            End::Here => node.set,
            End::Hash => node.hash_set,
        }
    }

    /// Removes the branch that ends at a place as far as nothing needs it.
    pub(crate) fn prune(&mut self, keyed: &Keyed, place: Place) {
        let mut at = place.node;
        while at != ROOT {
            let node = &self.nodes[at];
            if node.uses != NonZeroU32::MIN || node.set != NONE || node.hash_set != NONE {
                return;
            }
            let (parent, symbol) = (node.parent, node.symbol);
            if symbol == NONE {
                self.nodes[parent].plus = NONE;
            } else {
                let hash = edge_hash(keyed, parent, symbol);
                let table = part(hash, self.edges.len());
                remove_place(&mut self.edges[table], hash, at, |&other| {
                    let node = &self.nodes[other];
                    edge_hash(keyed, node.parent, node.symbol)
                });
                self.symbols.release(keyed, symbol);
            }
            self.nodes.remove(at);
            self.nodes[parent].count_less();
            at = parent;
        }
    }

    /// Calls `visit` with the set of each filter that matches, in an order that depends on
    /// the filters only: depth first, `#` before literals before `+`.
    ///
    /// The list of branches still to visit is never longer than the topic has levels.
    pub(crate) fn walk(&self, keyed: &Keyed, topic: TopicName<'_>, mut visit: impl FnMut(u32)) {
        let mut levels = Levels {
            rest: topic.as_str().split('/'),
            symbols: Vec::with_capacity(8),
        };
        let mut branches: Vec<(u32, usize)> = Vec::with_capacity(8);
        let mut next = Some((ROOT, 0));
        while let Some((at, depth)) = next.or_else(|| branches.pop()) {
            next = None;
            let node = &self.nodes[at];
            // Wildcards in the first level do not match `$` (4.7.2-1).
            let spared = at == ROOT && topic.is_reserved();
            if node.hash_set != NONE && !spared {
                visit(node.hash_set);
            }
            let Some(symbol) = levels.symbol(depth, |level| self.symbols.find(keyed, level)) else {
                if node.set != NONE {
                    visit(node.set);
                }
                continue;
            };
            if node.plus != NONE && !spared {
                branches.push((node.plus, depth + 1));
            }
            if symbol != NONE && node.uses.get() > 1 {
                let child = self.child(keyed, at, symbol);
                if child != NONE {
                    next = Some((child, depth + 1));
                }
            }
        }
    }

    fn child(&self, keyed: &Keyed, parent: u32, symbol: u32) -> u32 {
        let hash = edge_hash(keyed, parent, symbol);
        self.edges[part(hash, self.edges.len())]
            .find(hash, |&at| {
                let node = &self.nodes[at];
                node.parent == parent && node.symbol == symbol
            })
            .map_or(NONE, |&at| at)
    }

    fn make_plus(&mut self, parent: u32) -> u32 {
        let plus = self.nodes[parent].plus;
        if plus != NONE {
            return plus;
        }
        let at = self.nodes.insert(Node::new(parent, NONE));
        let node = &mut self.nodes[parent];
        node.plus = at;
        node.count_more();
        at
    }

    fn make_child(&mut self, keyed: &Keyed, parent: u32, level: &str) -> u32 {
        if let Some(symbol) = self.symbols.find(keyed, level) {
            let child = self.child(keyed, parent, symbol);
            if child != NONE {
                return child;
            }
        }
        let symbol = self.symbols.acquire(keyed, level);
        let at = self.nodes.insert(Node::new(parent, symbol));
        let hash = edge_hash(keyed, parent, symbol);
        let table = part(hash, self.edges.len());
        let nodes = &self.nodes;
        self.edges[table].insert_unique(hash, at, |&other| {
            let node = &nodes[other];
            edge_hash(keyed, node.parent, node.symbol)
        });
        self.nodes[parent].count_more();
        at
    }
}

impl Node {
    fn new(parent: u32, symbol: u32) -> Self {
        Self {
            parent,
            symbol,
            uses: NonZeroU32::MIN,
            plus: NONE,
            set: NONE,
            hash_set: NONE,
        }
    }

    fn count_more(&mut self) {
        self.uses = self.uses.saturating_add(1);
    }

    fn count_less(&mut self) {
        self.uses = NonZeroU32::new(self.uses.get() - 1).unwrap_or(NonZeroU32::MIN);
    }
}

/// A topic's levels, looked up one after the other and once each.
struct Levels<'a> {
    rest: std::str::Split<'a, char>,
    symbols: Vec<u32>,
}

impl<'a> Levels<'a> {
    /// The symbol at a depth, [`NONE`] if no filter has that text; `None` past the end.
    /// Depths are asked for without gaps.
    fn symbol(&mut self, depth: usize, find: impl Fn(&'a str) -> Option<u32>) -> Option<u32> {
        if let Some(&symbol) = self.symbols.get(depth) {
            return Some(symbol);
        }
        let symbol = find(self.rest.next()?).unwrap_or(NONE);
        self.symbols.push(symbol);
        Some(symbol)
    }
}

fn edge_hash(keyed: &Keyed, parent: u32, symbol: u32) -> u64 {
    keyed.pair(u64::from(parent), u64::from(symbol))
}
