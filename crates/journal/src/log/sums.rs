//! Checksums of any range of a file, without a look at all of the range.
//!
//! Behind a torn frame every place may be the beginning of a frame, and a payload may be made up
//! to look like very many long ones. CRC-32C is linear: from the checksums of all that lies
//! before `a` and before `b` follows that of what lies between them.

use std::io;

use crate::disk::DiskFile;

/// Checksums of the beginnings of a file, from some point on.
pub(super) struct Sums {
    begins: u64,
    /// For each block, of what lies before it.
    blocks: Vec<u32>,
    shifts: Shifts,
    buffer: Vec<u8>,
}

impl Sums {
    /// Reads all from `begins` on.
    pub(super) fn new(file: &dyn DiskFile, begins: u64) -> io::Result<Self> {
        let mut blocks = vec![0];
        let mut buffer = vec![0; READ];
        let mut at = begins;
        let mut sum = 0;
        loop {
            let read = file.read_at(at, &mut buffer)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            for block in bytes.chunks_exact(BLOCK) {
                sum = crc32c::crc32c_append(sum, block);
                blocks.push(sum);
            }
            if read < READ {
                break;
            }
            at = at.saturating_add(READ as u64);
        }
        buffer.resize(BLOCK, 0);
        Ok(Self {
            begins,
            blocks,
            shifts: Shifts::new(),
            buffer,
        })
    }

    /// The checksum, begun with `seed`, of the bytes from `from` to before `to`.
    pub(super) fn range(
        &mut self,
        file: &dyn DiskFile,
        seed: u32,
        from: u64,
        to: u64,
    ) -> io::Result<u32> {
        let before_from = self.before(file, from)?;
        let before_to = self.before(file, to)?;
        let shifted = self
            .shifts
            .apply(seed ^ before_from, to.saturating_sub(from));
        Ok(before_to ^ shifted)
    }

    /// The checksum of all before `at`, which lies in the file.
    fn before(&mut self, file: &dyn DiskFile, at: u64) -> io::Result<u32> {
        let distance = at.saturating_sub(self.begins);
        let block = distance / BLOCK_BYTES;
        let place = usize::try_from(block).unwrap_or(usize::MAX);
        let sum = self.blocks.get(place).copied();
        let sum = sum.ok_or(io::ErrorKind::UnexpectedEof)?;
        let rest = usize::try_from(distance % BLOCK_BYTES).unwrap_or(0);
        let buffer = self.buffer.get_mut(..rest).unwrap_or_default();
        if file.read_at(at.saturating_sub(rest as u64), buffer)? < rest {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(crc32c::crc32c_append(sum, buffer))
    }
}

/// What zeros do to a checksum: a matrix for each power of two of their number.
struct Shifts(Vec<[u32; 32]>);

impl Shifts {
    fn new() -> Self {
        let mut one = [0; 32];
        for (bit, column) in one.iter_mut().enumerate() {
            *column = !crc32c::crc32c_append(!(1 << bit), &[0]);
        }
        let mut powers = vec![one];
        for _ in 1..64 {
            let last = powers.last().copied().unwrap_or_default();
            powers.push(last.map(|column| product(&last, column)));
        }
        Self(powers)
    }

    /// `sum` after so many zeros, without the inversions at the ends.
    fn apply(&self, sum: u32, zeros: u64) -> u32 {
        let powers = self.0.iter().enumerate();
        powers
            .filter(|(power, _)| zeros >> power & 1 == 1)
            .fold(sum, |sum, (_, matrix)| product(matrix, sum))
    }
}

fn product(matrix: &[u32; 32], vector: u32) -> u32 {
    let columns = matrix.iter().enumerate();
    columns
        .filter(|(bit, _)| vector >> bit & 1 == 1)
        .fold(0, |sum, (_, column)| sum ^ column)
}

/// Bytes between two checksums that are kept.
const BLOCK: usize = 1024;
/// [`BLOCK`] as a distance in a file.
const BLOCK_BYTES: u64 = 1024;
/// Bytes that are read at once.
const READ: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::faulty::{Chance, MemoryDisk};

    #[test]
    fn a_range_has_the_checksum_of_its_bytes() {
        let mut chance = Chance::new(1);
        let bytes: Vec<u8> = (0..READ + 5000)
            .map(|_| chance.next().to_le_bytes()[0])
            .collect();
        let disk = MemoryDisk::new();
        disk.put("a", &bytes);
        let file = disk.open("a").unwrap();
        for begins in [0, 4096] {
            let mut sums = Sums::new(&*file, begins).unwrap();
            let least = usize::try_from(begins).unwrap();
            for _ in 0..500 {
                let from = least + chance.up_to(bytes.len() - least);
                let to = from + chance.up_to(bytes.len() - from);
                let expected = crc32c::crc32c_append(77, &bytes[from..to]);
                let sum = sums.range(&*file, 77, from as u64, to as u64).unwrap();
                assert_eq!(sum, expected, "{from}..{to}");
            }
            let end = bytes.len() as u64;
            assert!(sums.range(&*file, 0, end, end).is_ok());
            assert!(sums.range(&*file, 0, end, end + 1).is_err());
        }
    }
}
