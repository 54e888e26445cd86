//! Headers, frames and their checksums, as bytes. Pure: nothing here knows files.
//!
//! A checksum is seeded with the segment's generation and the frame's place, so that what an
//! earlier life of the same blocks left behind is never taken for a frame.

use std::fmt;

/// Bytes of a segment before its first frame.
pub const HEADER_BYTES: u64 = 4096;
/// Bytes of a frame before its payload.
pub const FRAME_HEAD: usize = 32;
/// The most that the payload of one frame may have: places are 32 bits wide.
pub const MAX_PAYLOAD: usize = 1 << 30;
/// The version of the format that is written, and the only one that is read.
pub const VERSION: u16 = 1;

/// The head of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// 1, 2, 3 ...; it is in the file's name as well.
    pub number: u64,
    /// Seeds the checksums of this segment's frames: no two segments have the same.
    pub generation: u64,
    /// The sequence of the first frame.
    pub first: u64,
    /// The segment that the last whole checkpoint begins with; 0 if there is none yet.
    pub checkpoint: u64,
    /// The store's clock when it was made, in milliseconds.
    pub time: u64,
}

/// Why bytes are no header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// There are too few bytes.
    Short,
    /// Another program wrote it.
    Foreign,
    /// It is of another version of the format.
    Version(u16),
    /// It is damaged.
    Checksum,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it is too short for a header"),
            Self::Foreign => f.write_str("it does not begin as a segment does"),
            Self::Version(version) => write!(
                f,
                "it has version {version} of the format, and this server reads version {VERSION}"
            ),
            Self::Checksum => f.write_str("the header has a wrong checksum"),
        }
    }
}

impl SegmentHeader {
    /// The header with the zeros behind it: [`HEADER_BYTES`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_ROOM);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        for field in [
            self.number,
            self.generation,
            self.first,
            self.checkpoint,
            self.time,
            0,
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        let checksum = header_checksum(&bytes);
        if let Some(place) = bytes.get_mut(12..16) {
            place.copy_from_slice(&checksum.to_le_bytes());
        }
        bytes.resize(HEADER_ROOM, 0);
        bytes
    }

    /// Reads the head of a segment.
    ///
    /// # Errors
    ///
    /// [`HeaderError`], for anything but an undamaged header of this [`VERSION`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = bytes.get(..HEADER_USED).ok_or(HeaderError::Short)?;
        if !bytes.starts_with(&MAGIC) {
            return Err(HeaderError::Foreign);
        }
        if u32_at(bytes, 12) != Some(header_checksum(bytes)) {
            return Err(HeaderError::Checksum);
        }
        // The first 16 bytes stay what they are in all versions.
        let version = u16_at(bytes, 8).unwrap_or_default();
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let field = |at| u64_at(bytes, at).ok_or(HeaderError::Short);
        Ok(Self {
            number: field(16)?,
            generation: field(24)?,
            first: field(32)?,
            checkpoint: field(40)?,
            time: field(48)?,
        })
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// The checksum as it is written.
    pub checksum: u32,
    /// Bytes of the payload.
    pub length: u32,
    /// One more than that of the frame before.
    pub sequence: u64,
    /// The last frame that was on the disk when this one was written.
    pub synced: u64,
    /// The store's clock, in milliseconds.
    pub time: u64,
}

impl FrameHead {
    /// Reads the head of what may be a frame; `None` if there are too few bytes, or if no frame
    /// begins like this.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let head = Self {
            checksum: u32_at(bytes, 0)?,
            length: u32_at(bytes, 4)?,
            sequence: u64_at(bytes, 8)?,
            synced: u64_at(bytes, 16)?,
            time: u64_at(bytes, 24)?,
        };
        head.is_plausible().then_some(head)
    }

    fn is_plausible(&self) -> bool {
        self.synced < self.sequence && self.payload_bytes() <= MAX_PAYLOAD
    }

    /// Bytes of the payload.
    pub fn payload_bytes(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Bytes of the whole frame, with the zeros behind it.
    pub fn frame_bytes(&self) -> u64 {
        frame_bytes(self.payload_bytes())
    }
}

/// Bytes of a frame with so much payload, with the zeros behind it.
pub fn frame_bytes(payload: usize) -> u64 {
    let bytes = payload
        .saturating_add(FRAME_HEAD)
        .saturating_add(padding(payload));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The payload of the frame that `frame` begins with, if its checksum is that of a frame at
/// `offset` in a segment of this generation.
pub fn check_frame<'a>(
    head: &FrameHead,
    frame: &'a [u8],
    generation: u64,
    offset: u64,
) -> Option<&'a [u8]> {
    let end = FRAME_HEAD.saturating_add(head.payload_bytes());
    let summed = frame.get(4..end)?;
    if frame_checksum(generation, offset, summed) != head.checksum {
        return None;
    }
    frame.get(FRAME_HEAD..end)
}

/// A frame that is being filled: the payload, with room for the head before it, so that a frame
/// is written as it lies here. It is filled again after [`FrameBuffer::clear`].
#[derive(Clone, Debug)]
pub struct FrameBuffer {
    /// Head, payload, padding.
    bytes: Vec<u8>,
    padding: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self {
            bytes: vec![0; FRAME_HEAD],
            padding: 0,
        }
    }
}

impl FrameBuffer {
    /// Appends whole records.
    pub fn push(&mut self, records: &[u8]) {
        self.records().extend_from_slice(records);
    }

    /// What whole records may be appended to. What lies there stays as it is.
    pub fn records(&mut self) -> &mut Vec<u8> {
        let end = self.bytes.len().saturating_sub(self.padding);
        self.bytes.truncate(end);
        self.padding = 0;
        &mut self.bytes
    }

    /// The records.
    pub fn payload(&self) -> &[u8] {
        let end = self.bytes.len().saturating_sub(self.padding);
        self.bytes.get(FRAME_HEAD..end).unwrap_or_default()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }

    /// Bytes that it has memory for.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.padding = 0;
        self.bytes.clear();
        self.bytes.resize(FRAME_HEAD, 0);
    }

    /// Makes it the frame at `offset` in a segment of this generation; the fields `checksum` and
    /// `length` of `head` are not looked at. The payload must not be longer than [`MAX_PAYLOAD`].
    pub fn seal(&mut self, head: &FrameHead, generation: u64, offset: u64) -> &[u8] {
        let payload = self.payload().len();
        let end = self.records().len();
        let length = u32::try_from(payload).unwrap_or(u32::MAX);
        put(&mut self.bytes, 4, &length.to_le_bytes());
        put(&mut self.bytes, 8, &head.sequence.to_le_bytes());
        put(&mut self.bytes, 16, &head.synced.to_le_bytes());
        put(&mut self.bytes, 24, &head.time.to_le_bytes());
        let summed = self.bytes.get(4..).unwrap_or_default();
        let checksum = frame_checksum(generation, offset, summed);
        put(&mut self.bytes, 0, &checksum.to_le_bytes());
        self.padding = padding(payload);
        self.bytes.resize(end.saturating_add(self.padding), 0);
        &self.bytes
    }
}

/// The file of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:016}{SEGMENT_END}")
}

/// The number of the segment that a file is, by its name.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SEGMENT_END)?;
    let number = digits.parse().ok()?;
    (number > 0 && name == segment_name(number)).then_some(number)
}

/// The file of a spare segment.
pub fn spare_name(number: u64) -> String {
    format!("{SPARE_BEGIN}{number}{SEGMENT_END}")
}

/// The number of the spare segment that a file is, by its name.
pub fn spare_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(SPARE_BEGIN)?.strip_suffix(SEGMENT_END)?;
    let number = digits.parse().ok()?;
    (name == spare_name(number)).then_some(number)
}

fn padding(payload: usize) -> usize {
    payload.wrapping_neg() & 7
}

fn header_checksum(header: &[u8]) -> u32 {
    let before = header.get(..12).unwrap_or_default();
    let behind = header.get(16..HEADER_USED).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c(before), behind)
}

/// `summed`: from the length field to the end of the payload.
fn frame_checksum(generation: u64, offset: u64, summed: &[u8]) -> u32 {
    crc32c::crc32c_append(frame_seed(generation, offset), summed)
}

/// What the checksum of a frame begins with.
pub(crate) fn frame_seed(generation: u64, offset: u64) -> u32 {
    let seed = crc32c::crc32c(&generation.to_le_bytes());
    crc32c::crc32c_append(seed, &offset.to_le_bytes())
}

fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    let end = at.saturating_add(field.len());
    if let Some(place) = bytes.get_mut(at..end) {
        place.copy_from_slice(field);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*field))
}

const MAGIC: [u8; 8] = *b"NIGHTJAR";
/// Bytes of the header that say something.
const HEADER_USED: usize = 64;
/// [`HEADER_BYTES`] in memory.
const HEADER_ROOM: usize = 4096;
const SEGMENT_END: &str = ".segment";
const SPARE_BEGIN: &str = "spare-";

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            number: 7,
            generation: 0x0123_4567_89ab_cdef,
            first: 1001,
            checkpoint: 5,
            time: 1_700_000_000_000,
        }
    }

    fn head() -> FrameHead {
        FrameHead {
            checksum: 0,
            length: 0,
            sequence: 9,
            synced: 8,
            time: 77,
        }
    }

    #[test]
    fn a_header_is_on_the_disk_as_the_format_says() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), 4096);
        assert_eq!(&bytes[..12], b"NIGHTJAR\x01\0\0\0");
        let mut summed = bytes[..12].to_vec();
        summed.extend_from_slice(&bytes[16..64]);
        assert_eq!(bytes[12..16], crc32c::crc32c(&summed).to_le_bytes());
        assert_eq!(bytes[16..24], 7u64.to_le_bytes());
        assert_eq!(bytes[24..32], 0x0123_4567_89ab_cdef_u64.to_le_bytes());
        assert_eq!(bytes[32..40], 1001u64.to_le_bytes());
        assert_eq!(bytes[40..48], 5u64.to_le_bytes());
        assert_eq!(bytes[48..56], 1_700_000_000_000_u64.to_le_bytes());
        assert!(bytes[56..].iter().all(|&byte| byte == 0));
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let good = header().encode();
        for bit in 0..64 * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let wrong = SegmentHeader::decode(&bytes).unwrap_err();
            let expected = if bit < 64 {
                HeaderError::Foreign
            } else {
                HeaderError::Checksum
            };
            assert_eq!(wrong, expected, "bit {bit}");
        }
    }

    #[test]
    fn a_header_of_another_version_is_named() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        let checksum = header_checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Err(HeaderError::Version(2)));
        assert_eq!(SegmentHeader::decode(&bytes[..63]), Err(HeaderError::Short));
    }

    #[test]
    fn a_frame_is_on_the_disk_as_the_format_says() {
        let mut frame = FrameBuffer::default();
        frame.push(b"hello");
        let bytes = frame.seal(&head(), 3, 4096).to_vec();
        assert_eq!(bytes.len(), 40);
        assert_eq!(bytes[4..8], 5u32.to_le_bytes());
        assert_eq!(bytes[8..16], 9u64.to_le_bytes());
        assert_eq!(bytes[16..24], 8u64.to_le_bytes());
        assert_eq!(bytes[24..32], 77u64.to_le_bytes());
        assert_eq!(&bytes[32..], b"hello\0\0\0");
        let mut summed = 3u64.to_le_bytes().to_vec();
        summed.extend_from_slice(&4096u64.to_le_bytes());
        summed.extend_from_slice(&bytes[4..37]);
        assert_eq!(bytes[..4], crc32c::crc32c(&summed).to_le_bytes());
        assert_eq!(frame.payload(), b"hello");
    }

    #[test]
    fn a_frame_counts_at_its_place_and_in_its_generation_alone() {
        let mut frame = FrameBuffer::default();
        frame.push(b"twenty bytes of data");
        let bytes = frame.seal(&head(), 3, 4096).to_vec();
        let read = FrameHead::parse(&bytes).unwrap();
        assert_eq!(check_frame(&read, &bytes, 3, 4096), Some(frame.payload()));
        assert_eq!(check_frame(&read, &bytes, 4, 4096), None);
        assert_eq!(check_frame(&read, &bytes, 3, 4104), None);
        for bit in 0..(FRAME_HEAD + 20) * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found =
                FrameHead::parse(&bytes).and_then(|head| check_frame(&head, &bytes, 3, 4096));
            assert_eq!(found, None, "bit {bit}");
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(FrameHead::parse(&[0; 64]), None);
        assert_eq!(FrameHead::parse(&[1; 31]), None);
    }

    #[test]
    fn a_sealed_buffer_takes_more_and_is_sealed_again() {
        let mut frame = FrameBuffer::default();
        assert!(frame.is_empty());
        assert_eq!(frame.seal(&head(), 1, 4096).len(), FRAME_HEAD);
        frame.push(b"abc");
        frame.seal(&head(), 1, 4096);
        frame.records().extend_from_slice(b"def");
        assert_eq!(frame.payload(), b"abcdef");
        let bytes = frame.seal(&head(), 1, 8192).to_vec();
        let read = FrameHead::parse(&bytes).unwrap();
        assert_eq!(check_frame(&read, &bytes, 1, 8192), Some(&b"abcdef"[..]));
        assert_eq!(u64::try_from(bytes.len()).unwrap(), read.frame_bytes());
        frame.clear();
        assert!(frame.is_empty());
    }

    #[test]
    fn names_of_files_are_read_back_and_others_are_not_taken() {
        assert_eq!(segment_name(12), "0000000000000012.segment");
        assert_eq!(segment_number("0000000000000012.segment"), Some(12));
        assert_eq!(spare_number("spare-3.segment"), Some(3));
        for name in [
            "12.segment",
            "0000000000000000.segment",
            "+000000000000012.segment",
            "0000000000000012.segment~",
            "spare-3.segment",
        ] {
            assert_eq!(segment_number(name), None, "{name}");
        }
        assert_eq!(spare_number("spare-03.segment"), None);
        assert_eq!(spare_number("0000000000000012.segment"), None);
    }
}
