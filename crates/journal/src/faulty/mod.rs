//! A disk in memory that tears, loses, fails and flips what tests tell it to.
//!
//! It keeps what is durable and what is only written apart, for the content of files and for
//! their names. A power cut keeps of the rest what its seed says: sector by sector, name by name.
//! All numbers that it makes follow from seeds, so that every run can be run again.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

mod inode;
mod names;

use self::inode::Inode;
use self::names::Names;
use crate::disk::{Disk, DiskFile, QUARANTINE};

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// When an operation fails, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Never.
    #[default]
    None,
    /// The next time, and then never again.
    Once(io::ErrorKind),
    /// Until something else is said.
    Always(io::ErrorKind),
}

/// How many operations there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, whether they failed or not.
    pub writes: u64,
    /// Syncs of files, whether they failed or not.
    pub syncs: u64,
    /// Syncs of the folder, whether they failed or not.
    pub folder_syncs: u64,
    /// All that changes something, or makes it durable.
    pub changes: u64,
}

#[derive(Clone, Debug)]
struct State {
    names: Names,
    inodes: BTreeMap<u64, Inode>,
    /// Files of another life of the process are dead.
    life: u64,
    /// Bytes that may still be taken.
    room: u64,
    /// Changes until the disk is gone.
    until_gone: Option<u64>,
    reads: Fault,
    writes: Fault,
    syncs: Fault,
    folder_syncs: Fault,
    counts: Counts,
    chance: Chance,
}

impl Default for State {
    fn default() -> Self {
        Self {
            names: Names::default(),
            inodes: BTreeMap::new(),
            life: 0,
            room: u64::MAX,
            until_gone: None,
            reads: Fault::None,
            writes: Fault::None,
            syncs: Fault::None,
            folder_syncs: Fault::None,
            counts: Counts::default(),
            chance: Chance(1),
        }
    }
}

/// A file of one life of the process.
struct MemoryFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    life: u64,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk with the same content, names, faults and all.
    pub fn copy(&self) -> Self {
        Self {
            state: Arc::new(Mutex::new(self.lock().clone())),
        }
    }

    /// Lets reads of files fail.
    pub fn fail_reads(&self, fault: Fault) {
        self.lock().reads = fault;
    }

    /// Lets writes fail. One that fails writes the first half of what it was given.
    pub fn fail_writes(&self, fault: Fault) {
        self.lock().writes = fault;
    }

    /// Lets syncs of files fail. What was to be synced is lost from the disk then, although it
    /// can be read until the power is cut; a later sync succeeds without it, as Linux has it.
    pub fn fail_syncs(&self, fault: Fault) {
        self.lock().syncs = fault;
    }

    /// Lets syncs of the folder fail, in the same way.
    pub fn fail_folder_syncs(&self, fault: Fault) {
        self.lock().folder_syncs = fault;
    }

    /// Leaves so much room for more. What has its room already can be written.
    pub fn full_after(&self, bytes: u64) {
        self.lock().room = bytes;
    }

    /// After so many more changes ([`Counts::changes`]) the disk is gone: everything fails until
    /// the power is cut or the process killed.
    pub fn gone_after(&self, changes: u64) {
        self.lock().until_gone = Some(changes);
    }

    /// Ends all faults, but does not bring anything back.
    pub fn heal(&self) {
        self.lock().heal();
    }

    /// Cuts the power, and ends all faults. Of what was not synced a part survives, as the seed
    /// says: nothing, everything, a prefix, or any sectors of 512 or 4096 bytes and any names.
    /// Files that are open are dead.
    pub fn cut_power(&self, seed: u64) {
        let mut state = self.lock();
        let mut chance = Chance(seed);
        state.names.cut_power(&mut chance);
        for inode in state.inodes.values_mut() {
            inode.cut_power(&mut chance);
        }
        state.end_life();
    }

    /// Kills the process, and ends all faults. The system keeps all that was written, and has
    /// not made it durable. Files that are open are dead.
    pub fn kill(&self) {
        self.lock().end_life();
    }

    /// Flips a bit, on the disk and in memory.
    ///
    /// # Panics
    ///
    /// If there is no such file or byte.
    pub fn flip(&self, name: &str, offset: u64, bit: u8) {
        self.edit(name, |bytes| {
            let byte = usize::try_from(offset)
                .ok()
                .and_then(|at| bytes.get_mut(at));
            match byte {
                Some(byte) => *byte ^= 1u8.wrapping_shl(u32::from(bit)),
                None => missing(name),
            }
        });
    }

    /// Changes a file, on the disk and in memory. What was not synced is safe then.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let Some(inode) = state.names.find(name) else {
            missing(name)
        };
        if let Some(inode) = state.inodes.get_mut(&inode) {
            inode.edit(change);
        }
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.lock();
        let inode = state.add(Inode::durable(bytes.to_vec()));
        state.names.link(name, inode);
        state.names.sync();
    }

    /// What is in a file; `None` if there is none.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        let inode = state.names.find(name)?;
        Some(state.inodes.get(&inode)?.content().to_vec())
    }

    /// How many operations there were so far.
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn file(&self, inode: u64, life: u64) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile {
            state: Arc::clone(&self.state),
            inode,
            life,
        })
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.lock();
        state.reachable()?;
        let names = state.names.list();
        Ok(names.filter(|name| !name.contains('/')).collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.change()?;
        if state.names.find(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.take_room(bytes)?;
        let inode = state.add(Inode::new(bytes));
        state.names.link(name, inode);
        let life = state.life;
        drop(state);
        Ok(self.file(inode, life))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.lock();
        state.reachable()?;
        let inode = state.names.find(name).ok_or(io::ErrorKind::NotFound)?;
        let life = state.life;
        drop(state);
        Ok(self.file(inode, life))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        if state.names.find(from).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.give_room(to);
        state.names.rename(from, to);
        Ok(())
    }

    fn quarantine(&self, name: &str) -> io::Result<()> {
        self.rename(name, &format!("{QUARANTINE}/{name}"))?;
        self.sync_folder()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        if state.names.find(name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.give_room(name);
        state.names.unlink(name);
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.change()?;
        state.counts.folder_syncs = state.counts.folder_syncs.saturating_add(1);
        match state.folder_syncs.strikes() {
            Ok(()) => state.names.sync(),
            Err(error) => {
                state.names.lose();
                return Err(error);
            }
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.lock().room)
    }

    fn random(&self) -> u64 {
        self.lock().chance.next()
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        state.reads.strikes()?;
        let inode = state.inode(self)?;
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = inode.content().get(from..).unwrap_or_default();
        let length = bytes.len().min(into.len());
        if let (Some(into), Some(bytes)) = (into.get_mut(..length), bytes.get(..length)) {
            into.copy_from_slice(bytes);
        }
        Ok(length)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.change()?;
        state.counts.writes = state.counts.writes.saturating_add(1);
        let strikes = state.writes.strikes();
        let end = at.saturating_add(as_u64(bytes.len()));
        let more = end.saturating_sub(state.inode(self)?.length());
        let strikes = strikes.and_then(|()| state.take_room(more));
        let inode = state.inode(self)?;
        match strikes {
            Ok(()) => {
                inode.write(at, bytes);
                Ok(())
            }
            Err(error) => {
                // A part of it is written, but nothing beyond the end of the file.
                let room = inode.length().saturating_sub(at);
                let half = bytes.len() / 2;
                let part = half.min(usize::try_from(room).unwrap_or(usize::MAX));
                inode.write(at, bytes.get(..part).unwrap_or_default());
                Err(error)
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.change()?;
        state.counts.syncs = state.counts.syncs.saturating_add(1);
        let strikes = state.syncs.strikes();
        let inode = state.inode(self)?;
        match strikes {
            Ok(()) => inode.sync(),
            Err(_) => inode.lose(),
        }
        strikes
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.change()?;
        let length = state.inode(self)?.length();
        state.take_room(bytes.saturating_sub(length))?;
        state.room = state.room.saturating_add(length.saturating_sub(bytes));
        state.inode(self)?.set_len(bytes);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let length = self.len()?;
        self.set_len(bytes.max(length))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.state).inode(self)?.length())
    }
}

impl State {
    fn add(&mut self, inode: Inode) -> u64 {
        let number = as_u64(self.inodes.len());
        self.inodes.insert(number, inode);
        number
    }

    fn inode(&mut self, file: &MemoryFile) -> io::Result<&mut Inode> {
        self.reachable()?;
        if file.life != self.life {
            return Err(io::Error::other("this file belongs to a dead process"));
        }
        let inode = self.inodes.get_mut(&file.inode);
        inode.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn reachable(&self) -> io::Result<()> {
        match self.until_gone {
            Some(0) => Err(io::Error::other("the disk is gone")),
            _ => Ok(()),
        }
    }

    /// Counts a change that is about to be made.
    fn change(&mut self) -> io::Result<()> {
        self.reachable()?;
        self.counts.changes = self.counts.changes.saturating_add(1);
        self.until_gone = self.until_gone.map(|left| left.saturating_sub(1));
        Ok(())
    }

    fn take_room(&mut self, bytes: u64) -> io::Result<()> {
        match self.room {
            u64::MAX => Ok(()),
            room => {
                let left = room.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?;
                self.room = left;
                Ok(())
            }
        }
    }

    /// Gives back what a file takes whose name goes away.
    fn give_room(&mut self, name: &str) {
        let inode = self.names.find(name);
        if let Some(inode) = inode.and_then(|inode| self.inodes.get(&inode)) {
            self.room = self.room.saturating_add(inode.length());
        }
    }

    fn heal(&mut self) {
        self.reads = Fault::None;
        self.writes = Fault::None;
        self.syncs = Fault::None;
        self.folder_syncs = Fault::None;
        self.until_gone = None;
        self.room = u64::MAX;
    }

    fn end_life(&mut self) {
        self.life = self.life.saturating_add(1);
        self.heal();
    }
}

impl Fault {
    /// Whether it happens now.
    fn strikes(&mut self) -> io::Result<()> {
        match *self {
            Self::None => Ok(()),
            Self::Once(kind) => {
                *self = Self::None;
                Err(kind.into())
            }
            Self::Always(kind) => Err(kind.into()),
        }
    }
}

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    #[cfg(test)]
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `most`.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        let span = as_u64(most).saturating_add(1);
        let number = self.next().checked_rem(span).unwrap_or(0);
        usize::try_from(number).unwrap_or(0)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn as_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[expect(clippy::panic, reason = "a test that names a wrong file must fail")]
fn missing(name: &str) -> ! {
    panic!("the disk has no such byte or file: {name}")
}
