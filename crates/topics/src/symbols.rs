//! Each level's text once, however many filters have it.

use crate::keyed::Keyed;
use crate::slab::Slab;
use hashbrown::HashTable;

/// Texts up to so many bytes live in the slot itself.
const INLINE: usize = 22;

/// The levels of all wildcard filters, counted.
#[derive(Debug)]
pub(crate) struct Symbols {
    slots: Slab<Symbol>,
    places: Vec<HashTable<u32>>,
    /// Bytes of texts that do not fit their slot.
    long: usize,
}

#[derive(Debug)]
struct Symbol {
    uses: u32,
    text: Text,
}

#[derive(Debug)]
enum Text {
    Short { len: u8, bytes: [u8; INLINE] },
    Long(Box<[u8]>),
}

const _: () = assert!(size_of::<Symbol>() == 32);

impl Symbols {
    pub(crate) fn new(parts: usize) -> Self {
        Self {
            slots: Slab::new(),
            places: (0..parts).map(|_| HashTable::new()).collect(),
            long: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn allocated(&self) -> usize {
        let places: usize = self.places.iter().map(HashTable::allocation_size).sum();
        self.slots.allocated() + places + self.long
    }

    /// The number of a level's text, if any filter has it.
    pub(crate) fn find(&self, keyed: &Keyed, level: &str) -> Option<u32> {
        let bytes = level.as_bytes();
        let hash = keyed.bytes(bytes);
        self.places[part(hash, self.places.len())]
            .find(hash, |&at| self.slots[at].text.as_bytes() == bytes)
            .copied()
    }

    /// The number of a level's text, counted once more.
    pub(crate) fn acquire(&mut self, keyed: &Keyed, level: &str) -> u32 {
        if let Some(at) = self.find(keyed, level) {
            self.slots[at].uses += 1;
            return at;
        }
        let hash = keyed.bytes(level.as_bytes());
        self.long += long_bytes(level.len());
        let at = self.slots.insert(Symbol {
            uses: 1,
            text: Text::new(level.as_bytes()),
        });
        let place = part(hash, self.places.len());
        let slots = &self.slots;
        self.places[place]
            .insert_unique(hash, at, |&other| keyed.bytes(slots[other].text.as_bytes()));
        at
    }

    /// Counts one use less; the last one forgets the text.
    pub(crate) fn release(&mut self, keyed: &Keyed, at: u32) {
        let symbol = &mut self.slots[at];
        symbol.uses -= 1;
        if symbol.uses > 0 {
            return;
        }
        let hash = keyed.bytes(symbol.text.as_bytes());
        let place = part(hash, self.places.len());
        remove_place(&mut self.places[place], hash, at, |&other| {
            keyed.bytes(self.slots[other].text.as_bytes())
        });
        let symbol = self.slots.remove(at);
        self.long -= long_bytes(symbol.text.as_bytes().len());
    }
}

fn long_bytes(len: usize) -> usize {
    if len > INLINE { len } else { 0 }
}

impl Text {
    fn new(text: &[u8]) -> Self {
        let mut bytes = [0; INLINE];
        match bytes.get_mut(..text.len()) {
            Some(room) => {
                room.copy_from_slice(text);
                Self::Short {
                    len: text.len() as u8,
                    bytes,
                }
            }
            None => Self::Long(Box::from(text)),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

/// Which of several tables a hash belongs to. Tables are split so that one of them grows in
/// a fraction of a millisecond: the whole would hold every publisher up meanwhile. The bits
/// are those that the table itself does not use.
pub(crate) fn part(hash: u64, parts: usize) -> usize {
    (hash >> 40) as usize % parts
}

/// Takes a number out of a table, which shrinks when it is mostly empty.
pub(crate) fn remove_place(
    table: &mut HashTable<u32>,
    hash: u64,
    at: u32,
    rehash: impl Fn(&u32) -> u64,
) {
    if let Ok(entry) = table.find_entry(hash, |&other| other == at) {
        entry.remove();
    }
    if table.is_empty() {
        *table = HashTable::new();
    } else if table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2, rehash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_lives_as_long_as_its_uses() {
        let keyed = Keyed::new(3);
        let mut symbols = Symbols::new(4);
        let long = "x".repeat(300);
        let first = symbols.acquire(&keyed, &long);
        assert_eq!(symbols.acquire(&keyed, &long), first);
        let empty = symbols.acquire(&keyed, "");
        assert_ne!(empty, first);
        symbols.release(&keyed, first);
        assert_eq!(symbols.find(&keyed, &long), Some(first));
        symbols.release(&keyed, first);
        assert_eq!(symbols.find(&keyed, &long), None);
        symbols.release(&keyed, empty);
        assert_eq!((symbols.len(), symbols.allocated()), (0, 0));
    }
}
