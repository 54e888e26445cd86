//! Dense storage whose keys tell a slot's tenants apart.

/// A place in [`Slots`].
pub(crate) trait Key: Copy {
    fn from_parts(slot: u32, generation: u32) -> Self;
    fn slot(self) -> u32;
    fn generation(self) -> u32;
}

macro_rules! key {
    ($name:ty) => {
        impl Key for $name {
            fn from_parts(slot: u32, generation: u32) -> Self {
                Self { slot, generation }
            }
            fn slot(self) -> u32 {
                self.slot
            }
            fn generation(self) -> u32 {
                self.generation
            }
        }
    };
}

key!(types::ConnId);
key!(types::SessionKey);

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values by key. Slots are reused, last freed first.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }

    /// `None` once four billion slots are taken.
    pub(crate) fn insert<K: Key>(&mut self, value: T) -> Option<K> {
        if let Some(index) = self.free.pop() {
            let slot = self.slots.get_mut(place(index))?;
            slot.value = Some(value);
            self.len = self.len.saturating_add(1);
            return Some(K::from_parts(index, slot.generation));
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot {
            generation: 0,
            value: Some(value),
        });
        self.len = self.len.saturating_add(1);
        Some(K::from_parts(index, 0))
    }

    #[inline]
    pub(crate) fn at<K: Key>(&self, key: K) -> Option<&T> {
        let slot = self.slots.get(place(key.slot()))?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.value.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut<K: Key>(&mut self, key: K) -> Option<&mut T> {
        let slot = self.slots.get_mut(place(key.slot()))?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.value.as_mut()
    }

    pub(crate) fn remove<K: Key>(&mut self, key: K) -> Option<T> {
        let slot = self.slots.get_mut(place(key.slot()))?;
        if slot.generation != key.generation() {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot());
        self.len = self.len.saturating_sub(1);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key of a slot, if it is taken; `None` behind the last one.
    pub(crate) fn key_at<K: Key>(&self, index: u32) -> Option<Option<K>> {
        let slot = self.slots.get(place(index))?;
        let taken = slot.value.is_some();
        Some(taken.then(|| K::from_parts(index, slot.generation)))
    }

    /// All keys and values, by slot.
    pub(crate) fn iter<K: Key>(&self) -> impl Iterator<Item = (K, &T)> {
        self.slots.iter().zip(0u32..).filter_map(|(slot, index)| {
            slot.value
                .as_ref()
                .map(|value| (K::from_parts(index, slot.generation), value))
        })
    }
}

fn place(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use types::ConnId;

    use super::*;

    #[test]
    fn a_slots_next_tenant_has_another_key() {
        let mut slots = Slots::new();
        let first: ConnId = slots.insert("a").unwrap();
        assert_eq!(slots.remove(first), Some("a"));
        let second: ConnId = slots.insert("b").unwrap();
        assert_eq!(first.slot, second.slot);
        assert_eq!((slots.at(first), slots.at(second)), (None, Some(&"b")));
        assert_eq!((slots.remove(first), slots.len()), (None, 1));
    }
}
