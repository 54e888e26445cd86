//! The names of files: those that are durable, and what was done to them since.

use std::collections::BTreeMap;

use super::Chance;

/// Names, and the files that they stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    now: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// What is not durable yet.
    pending: Vec<Change>,
}

/// What is done at once.
#[derive(Clone, Debug)]
enum Change {
    Link(String, u64),
    Unlink(String),
    Rename(String, String, u64),
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.now.get(name).copied()
    }

    pub(super) fn list(&self) -> impl Iterator<Item = String> {
        self.now.keys().cloned()
    }

    pub(super) fn link(&mut self, name: &str, inode: u64) {
        self.change(Change::Link(name.to_owned(), inode));
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.change(Change::Unlink(name.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(inode) = self.find(from) {
            self.change(Change::Rename(from.to_owned(), to.to_owned(), inode));
        }
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// A sync that failed: what was pending never becomes durable.
    pub(super) fn lose(&mut self) {
        self.pending.clear();
    }

    /// Keeps of what was pending all, nothing, a prefix or any of it.
    pub(super) fn cut_power(&mut self, chance: &mut Chance) {
        let count = self.pending.len();
        let prefix = match chance.up_to(3) {
            0 => Some(0),
            1 => Some(count),
            2 => Some(chance.up_to(count)),
            _ => None,
        };
        for (place, change) in self.pending.drain(..).enumerate() {
            let survives = match prefix {
                Some(prefix) => place < prefix,
                None => chance.up_to(1) == 1,
            };
            if survives {
                change.apply(&mut self.durable);
            }
        }
        self.now = self.durable.clone();
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Link(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to, inode) => {
                // The old name may be another file's by now, if not all changes survive.
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
        }
    }
}
