//! Numbers and names within a chunk's body.

use super::Version;

/// Where the numbers of a body end: that depends on the version, and on how the machine that wrote
/// it aligns numbers of eight bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) version: Version,
    /// Bytes behind the numbers of a client: none on 32-bit x86, which aligns to four.
    pub(super) client_padding: usize,
}

impl Layout {
    pub(super) fn new(version: Version) -> Self {
        let client_padding = match version {
            Version::Five => 0,
            Version::Six => 4,
        };
        Self {
            version,
            client_padding,
        }
    }

    /// The first chunk has ten bytes of numbers, too, and tells the alignment by its length.
    pub(super) fn learn(&mut self, config_length: usize) {
        if config_length == SHORT_CONFIG {
            self.client_padding = 0;
        }
    }
}

const SHORT_CONFIG: usize = 12;

/// A body that is being read.
pub(super) struct Body<'a>(pub(super) &'a [u8]);

/// The body ends too early.
pub(super) struct Short;

impl<'a> Body<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Short)?;
        self.0 = rest;
        Ok(head)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Short> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(super) fn short(&mut self) -> Result<u16, Short> {
        self.chunk().map(u16::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Result<u32, Short> {
        self.chunk().map(u32::from_be_bytes)
    }

    /// A number that names a message; whichever way round, it is the same one everywhere.
    pub(super) fn name(&mut self) -> Result<u64, Short> {
        self.chunk().map(u64::from_le_bytes)
    }

    /// A point in time in seconds since 1970, written the way round that the machine has; 0 is
    /// none. What is no time either way is none, too.
    pub(super) fn time(&mut self) -> Result<Option<u64>, Short> {
        let bytes = self.chunk()?;
        let ways = [u64::from_le_bytes(bytes), u64::from_be_bytes(bytes)];
        let time = ways.into_iter().find(|seconds| *seconds < FAR_AWAY);
        Ok(time.filter(|seconds| *seconds > 0))
    }
}

/// The kind and the length.
pub(super) fn two(head: [u8; super::CHUNK_HEAD]) -> (u32, u32) {
    let whole = u64::from_be_bytes(head);
    let low = u32::try_from(whole & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    let high = u32::try_from(whole >> 32).unwrap_or(u32::MAX);
    (high, low)
}

/// No date of ours, and small enough that the other way round is never below it.
const FAR_AWAY: u64 = 1 << 40;
