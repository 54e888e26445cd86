//! Numbered slots in chunks: no move when it grows, and memory back when it empties.

/// Slots in one chunk.
const CHUNK: usize = 1024;

/// "No slot."
pub(crate) const NONE: u32 = u32::MAX;

/// A list of values with stable numbers, which are used again after removal.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// Chunks with a vacant slot; each at most once.
    open: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    slots: Vec<Slot<T>>,
    /// First vacant slot below `slots.len()`.
    vacant: u32,
    live: usize,
    listed: bool,
}

#[derive(Debug)]
enum Slot<T> {
    Full(T),
    Vacant(u32),
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            open: Vec::new(),
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated.
    pub(crate) fn allocated(&self) -> usize {
        let slots: usize = self.chunks.iter().map(|chunk| chunk.slots.capacity()).sum();
        slots * size_of::<Slot<T>>() + self.chunks.capacity() * size_of::<Chunk<T>>()
    }

    /// Puts a value into a vacant slot and returns its number.
    ///
    /// Panics after 2^31 values: memory is exhausted long before.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = match self.open.last() {
            Some(&chunk) => chunk as usize,
            None => {
                self.chunks.push(Chunk {
                    slots: Vec::new(),
                    vacant: NONE,
                    live: 0,
                    listed: true,
                });
                self.open.push((self.chunks.len() - 1) as u32);
                self.chunks.len() - 1
            }
        };
        let chunk = &mut self.chunks[number];
        let slot = chunk.insert(value);
        if chunk.live == CHUNK {
            chunk.listed = false;
            self.open.pop();
        }
        self.len += 1;
        let at = number * CHUNK + slot;
        assert!(at < (1 << 31) - 1, "2^31 entries");
        at as u32
    }

    /// Takes a value out. A chunk without values gives its memory back.
    pub(crate) fn remove(&mut self, at: u32) -> T {
        let number = at as usize / CHUNK;
        let chunk = &mut self.chunks[number];
        let value = chunk.remove(at as usize % CHUNK);
        self.len -= 1;
        if !chunk.listed {
            chunk.listed = true;
            self.open.push(number as u32);
        }
        if self.len == 0 {
            self.chunks = Vec::new();
            self.open = Vec::new();
        }
        value
    }
}

impl<T> Chunk<T> {
    fn insert(&mut self, value: T) -> usize {
        self.live += 1;
        if self.vacant == NONE {
            self.slots.push(Slot::Full(value));
            return self.slots.len() - 1;
        }
        let slot = self.vacant as usize;
        match std::mem::replace(&mut self.slots[slot], Slot::Full(value)) {
            Slot::Vacant(next) => self.vacant = next,
            Slot::Full(_) => unreachable!("the vacant list holds vacant slots only"),
        }
        slot
    }

    fn remove(&mut self, slot: usize) -> T {
        let old = std::mem::replace(&mut self.slots[slot], Slot::Vacant(self.vacant));
        let Slot::Full(value) = old else {
            unreachable!("a removed slot is removed once")
        };
        self.vacant = slot as u32;
        self.live -= 1;
        if self.live == 0 {
            self.slots = Vec::new();
            self.vacant = NONE;
        }
        value
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        match &self.chunks[at as usize / CHUNK].slots[at as usize % CHUNK] {
            Slot::Full(value) => value,
            Slot::Vacant(_) => unreachable!("a number is used only while its value lives"),
        }
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        match &mut self.chunks[at as usize / CHUNK].slots[at as usize % CHUNK] {
            Slot::Full(value) => value,
            Slot::Vacant(_) => unreachable!("a number is used only while its value lives"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_memory_goes_back() {
        let mut slab = Slab::new();
        let count = CHUNK as u32 * 3;
        let numbers: Vec<u32> = (0..count).map(|value| slab.insert(value)).collect();
        for &number in numbers.iter().step_by(2) {
            assert_eq!(slab.remove(number), number);
        }
        for _ in 0..count / 2 {
            let number = slab.insert(7);
            assert!(number < count, "a vacant slot is taken first");
            assert_eq!(slab[number], 7);
        }
        let full = slab.allocated();
        for number in 0..CHUNK as u32 {
            slab.remove(number);
        }
        assert!(slab.allocated() < full * 3 / 4);
        for number in CHUNK as u32..count {
            slab.remove(number);
        }
        assert_eq!((slab.len(), slab.allocated()), (0, 0));
    }
}
