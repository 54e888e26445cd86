//! Frames of RFC 6455: their payload, in place.
//!
//! Nothing is kept of a payload: what comes of a frame is passed on at once, so a frame may be
//! longer than any buffer, and an idle connection has none.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::ops::Range;

/// Where a connection stands in its frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    part: Part,
    header: [u8; HEADER],
    /// Bytes of `header` that are there.
    have: usize,
    mask: [u8; 4],
    /// Bytes of the payload still to come.
    left: u64,
    message: Message,
    /// What came of a control frame; it has at most 125 bytes.
    control: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Header,
    Data,
    Control(u8),
}

/// Whether a message of several frames has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Message {
    #[default]
    Over,
    Open,
}

/// What some bytes were.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unframed {
    /// Where in them the payload stands now, in one piece.
    pub(crate) payload: Range<usize>,
    /// What the last ping carried. Who pings more often than we answer gets one answer
    /// (RFC 6455, 5.5.3).
    pub(crate) ping: Option<Vec<u8>>,
    /// The connection is over, and nothing that follows counts.
    pub(crate) end: Option<End>,
}

/// How a WebSocket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By the other side, with this code, which is sent back.
    Closed(u16),
    /// By us, with this code and reason.
    Violation(u16, &'static str),
}

impl Frames {
    /// Takes the frames of `bytes` apart. The payloads are unmasked and moved together, behind
    /// the first frame's header.
    pub(crate) fn unframe(&mut self, bytes: &mut [u8]) -> Unframed {
        let mut found = Unframed::default();
        let mut read = 0;
        loop {
            if self.part == Part::Header {
                let rest = bytes.get(read..).unwrap_or_default();
                let taken = match self.take_header(rest) {
                    Ok(Some(taken)) => taken,
                    Ok(None) => return found,
                    Err(end) => return found.ended(end),
                };
                read = read.saturating_add(taken);
            }
            let available = bytes.len().saturating_sub(read);
            let count = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(available);
            let piece = read..read.saturating_add(count);
            read = piece.end;
            self.take_payload(bytes, piece, &mut found);
            if self.left > 0 {
                return found;
            }
            if let Some(end) = self.finish(&mut found) {
                return found.ended(end);
            }
        }
    }

    /// Takes what is there of a header; `None` if it is not whole.
    fn take_header(&mut self, bytes: &[u8]) -> Result<Option<usize>, End> {
        let mut taken = 0usize;
        for byte in bytes {
            let Some(place) = self.header.get_mut(self.have) else {
                return Err(End::Violation(PROTOCOL, "a header too long"));
            };
            *place = *byte;
            self.have = self.have.saturating_add(1);
            taken = taken.saturating_add(1);
            if self.have == 2 {
                self.check()?;
            }
            if self.have >= 2 && self.have == self.header_length() {
                self.begin()?;
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    fn header_length(&self) -> usize {
        let [_, second, ..] = self.header;
        match second & 0x7f {
            126 => 8,
            127 => 14,
            _ => 6,
        }
    }

    /// What the first two bytes already tell.
    fn check(&self) -> Result<(), End> {
        let [first, second, ..] = self.header;
        let wrong = |reason| Err(End::Violation(PROTOCOL, reason));
        if first & 0x70 != 0 {
            return wrong("reserved bits");
        }
        if second & 0x80 == 0 {
            return wrong("a frame without a mask");
        }
        let opcode = first & 0x0f;
        match (opcode, self.message) {
            (CONTINUATION, Message::Over) => wrong("a continuation of nothing"),
            // MQTT-6.0.0-1.
            (TEXT, _) => Err(End::Violation(UNSUPPORTED, "a text frame")),
            (BINARY, Message::Open) => wrong("a message within a message"),
            (CONTINUATION | BINARY, _) => Ok(()),
            (CLOSE | PING | PONG, _) if first & FIN == 0 => wrong("a control frame in pieces"),
            (CLOSE | PING | PONG, _) if second & 0x7f > 125 => wrong("a long control frame"),
            (CLOSE | PING | PONG, _) => Ok(()),
            _ => wrong("an unknown kind of frame"),
        }
    }

    /// The header is whole.
    fn begin(&mut self) -> Result<(), End> {
        let [first, second, rest @ ..] = self.header;
        let (length, mask) = match (second & 0x7f, rest) {
            (126, [a, b, mask @ .., _, _, _, _, _, _]) => {
                (u64::from(u16::from_be_bytes([a, b])), mask)
            }
            (127, [a, b, c, d, e, f, g, h, mask @ ..]) => {
                (u64::from_be_bytes([a, b, c, d, e, f, g, h]), mask)
            }
            (short, [mask @ .., _, _, _, _, _, _, _, _]) => (u64::from(short), mask),
        };
        let shortest = match second & 0x7f {
            126 => 126,
            127 => 0x1_0000,
            _ => 0,
        };
        if length < shortest || length >> 63 != 0 {
            return Err(End::Violation(PROTOCOL, "a wrong length"));
        }
        if length > LONGEST_FRAME {
            return Err(End::Violation(TOO_BIG, "a frame too long"));
        }
        self.mask = mask;
        self.left = length;
        self.have = 0;
        self.part = match first & 0x0f {
            CONTINUATION | BINARY => {
                self.message = match first & FIN {
                    0 => Message::Open,
                    _ => Message::Over,
                };
                Part::Data
            }
            opcode => Part::Control(opcode),
        };
        Ok(())
    }

    fn take_payload(&mut self, bytes: &mut [u8], piece: Range<usize>, found: &mut Unframed) {
        let count = piece.len();
        let Some(payload) = bytes.get_mut(piece.clone()) else {
            return;
        };
        unmask(payload, self.mask);
        self.mask.rotate_left(count % 4);
        self.left = self
            .left
            .saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        match self.part {
            Part::Control(_) => self.control.extend_from_slice(payload),
            Part::Header => {}
            Part::Data if found.payload.is_empty() => found.payload = piece,
            Part::Data => {
                let end = found.payload.end.saturating_add(count);
                if found.payload.end != piece.start && end <= bytes.len() {
                    bytes.copy_within(piece, found.payload.end);
                }
                found.payload.end = end;
            }
        }
    }

    /// A frame is whole.
    fn finish(&mut self, found: &mut Unframed) -> Option<End> {
        let control = std::mem::take(&mut self.control);
        match std::mem::take(&mut self.part) {
            Part::Control(PING) => found.ping = Some(control),
            Part::Control(CLOSE) => return Some(close_code(&control)),
            Part::Control(_) | Part::Data | Part::Header => {}
        }
        None
    }
}

impl Unframed {
    fn ended(mut self, end: End) -> Self {
        self.end = Some(end);
        self
    }
}

fn close_code(payload: &[u8]) -> End {
    let (code, reason) = match payload {
        [] => return End::Closed(NORMAL),
        [_] => return End::Violation(PROTOCOL, "a close frame of one byte"),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    // RFC 6455, 7.4.
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => {}
        _ => return End::Violation(PROTOCOL, "a close code that nobody may send"),
    }
    match std::str::from_utf8(reason) {
        Ok(_) => End::Closed(code),
        Err(_) => End::Violation(INVALID, "a close reason that is not UTF-8"),
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The header of a binary frame with so many bytes, and its length.
pub(crate) fn header(payload: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    let first = FIN | BINARY;
    let length = payload as u64;
    let (used, head): (usize, [u8; 10]) = match length {
        0..=125 => (2, [first, length as u8, 0, 0, 0, 0, 0, 0, 0, 0]),
        126..=0xffff => {
            let [.., high, low] = length.to_be_bytes();
            (4, [first, 126, high, low, 0, 0, 0, 0, 0, 0])
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = length.to_be_bytes();
            (10, [first, 127, a, b, c, d, e, f, g, h])
        }
    };
    header.copy_from_slice(&head);
    (header, used)
}

/// A control frame; a longer payload than it may have is cut.
fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = payload.get(..125).unwrap_or(payload);
    let mut frame = vec![FIN | opcode, u8::try_from(payload.len()).unwrap_or(125)];
    frame.extend_from_slice(payload);
    frame
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    control(PONG, payload)
}

/// A close frame.
pub(crate) fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    control(CLOSE, &payload)
}

/// The longest header that a client can send.
const HEADER: usize = 14;
/// The longest frame that is read: what MQTT can put into one packet. It is not a bound of memory.
const LONGEST_FRAME: u64 = 268_435_455 + 5;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Close codes of RFC 6455, 7.4.1.
pub(crate) const NORMAL: u16 = 1000;
const PROTOCOL: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const INVALID: u16 = 1007;
const TOO_BIG: u16 = 1009;

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
