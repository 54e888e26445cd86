//! Segments as one log: append, sync, roll, recycle; what is found at the start.

/// Where a frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAt {
    /// The number of its segment.
    pub segment: u64,
    /// Where its payload begins, in bytes from the start of the file.
    pub offset: u64,
    /// Its sequence.
    pub sequence: u64,
    /// The store's clock when it was written, in milliseconds.
    pub time: u64,
}
