//! What few deliveries have: identifiers of subscriptions, and a group. The deliveries of one
//! subscription all have the same, which is kept once.

use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashMap;
use types::SubscriptionFilter;

use super::parse_filter;
use super::weight::length;
use crate::record::Extra;

/// Extras by name; 0 is the name of none.
#[derive(Debug)]
pub(super) struct Extras {
    names: HashMap<Arc<[u8]>, u32, FixedState>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Of the extras of all uses.
    bytes: u64,
}

#[derive(Debug, Default)]
struct Slot {
    flags: u8,
    /// The flags, then the extra as it is encoded.
    key: Option<Arc<[u8]>>,
    group: Option<Arc<SubscriptionFilter>>,
    uses: u32,
}

impl Extras {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self {
            names: HashMap::with_hasher(hasher),
            slots: Vec::new(),
            free: Vec::new(),
            bytes: 0,
        }
    }

    /// The name of an extra, with one use more.
    pub(super) fn intern(&mut self, extra: Extra<'_>) -> Result<u32, &'static str> {
        if extra.is_empty() {
            return Ok(0);
        }
        let mut room = [0_u8; 64];
        let mut long = Vec::new();
        let key = join(extra, &mut room, &mut long);
        self.bytes = self.bytes.saturating_add(length(key.len()));
        if let Some(&name) = self.names.get(key) {
            if let Some(slot) = self.slot(name) {
                slot.uses = slot.uses.saturating_add(1);
            }
            return Ok(name);
        }
        let group = match extra.group() {
            Some(text) => Some(Arc::new(parse_filter(text)?)),
            None => None,
        };
        let key: Arc<[u8]> = Arc::from(key);
        let slot = Slot {
            flags: extra.flags(),
            key: Some(Arc::clone(&key)),
            group,
            uses: 1,
        };
        let name = self.put(slot)?;
        self.names.insert(key, name);
        Ok(name)
    }

    fn put(&mut self, slot: Slot) -> Result<u32, &'static str> {
        if let Some(name) = self.free.pop() {
            if let Some(place) = self.slot(name) {
                *place = slot;
            }
            return Ok(name);
        }
        self.slots.push(slot);
        u32::try_from(self.slots.len()).map_err(|_| "too many kinds of deliveries")
    }

    fn slot(&mut self, name: u32) -> Option<&mut Slot> {
        self.slots.get_mut(place(name)?)
    }

    /// One use less.
    pub(super) fn release(&mut self, name: u32) {
        if name == 0 {
            return;
        }
        let Some(slot) = self.slot(name) else {
            return;
        };
        slot.uses = slot.uses.saturating_sub(1);
        let bytes = slot.key.as_ref().map_or(0, |key| length(key.len()));
        let is_last = slot.uses == 0;
        let last = is_last.then(|| std::mem::take(slot));
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(slot) = last {
            if let Some(key) = slot.key {
                self.names.remove(&key);
            }
            self.free.push(name);
        }
    }

    /// About the bytes that they take in records, each as often as it is used.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The extra of a name.
    pub(super) fn extra(&self, name: u32) -> Extra<'_> {
        let slot = place(name).and_then(|place| self.slots.get(place));
        let Some((slot, key)) = slot.and_then(|slot| Some((slot, slot.key.as_ref()?))) else {
            return Extra::default();
        };
        Extra::from_parts(slot.flags, key.get(1..).unwrap_or_default())
    }

    /// The group of a name.
    pub(super) fn group(&self, name: u32) -> Option<Arc<SubscriptionFilter>> {
        let slot = self.slots.get(place(name)?)?;
        slot.group.as_ref().map(Arc::clone)
    }
}

fn place(name: u32) -> Option<usize> {
    usize::try_from(name).ok()?.checked_sub(1)
}

/// The flags and the bytes in one piece, without allocating if they are few.
fn join<'a>(extra: Extra<'_>, room: &'a mut [u8; 64], long: &'a mut Vec<u8>) -> &'a [u8] {
    let bytes = extra.bytes();
    let length = bytes.len().saturating_add(1);
    if let Some(short) = room.get_mut(..length)
        && let Some((flags, rest)) = short.split_first_mut()
    {
        *flags = extra.flags();
        rest.copy_from_slice(bytes);
        return short;
    }
    long.push(extra.flags());
    long.extend_from_slice(bytes);
    long
}
