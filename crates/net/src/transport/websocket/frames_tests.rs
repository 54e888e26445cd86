#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use super::*;

const MASK: [u8; 4] = [0x12, 0x9a, 0x00, 0xff];

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let (header, length) = header(payload.len());
    let mut bytes = header[..length].to_vec();
    bytes[0] = first;
    bytes[1] |= 0x80;
    bytes.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What comes of bytes that arrive in pieces of such a size.
fn read(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<Vec<u8>>, Option<End>) {
    let mut frames = Frames::default();
    let (mut payload, mut pings) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let found = frames.unframe(&mut piece);
        payload.extend_from_slice(&piece[found.payload]);
        pings.extend(found.ping);
        if found.end.is_some() {
            return (payload, pings, found.end);
        }
    }
    (payload, pings, None)
}

fn violation(bytes: &[u8]) -> u16 {
    for size in [1, bytes.len()] {
        let Some(End::Violation(code, _)) = read(bytes, size).2 else {
            panic!("{bytes:x?} is not refused");
        };
        if size > 1 {
            return code;
        }
    }
    panic!("more than one byte");
}

#[test]
fn s85_however_frames_are_cut_the_payload_is_one() {
    let long: Vec<u8> = (0..70_000u32).map(|place| (place % 251) as u8).collect();
    let mut bytes = Vec::new();
    let mut wanted = Vec::new();
    let pieces = [
        &b""[..],
        b"a",
        b"bc",
        &long[..125],
        &long[..126],
        &long[..65_535],
        &long,
    ];
    for payload in pieces {
        bytes.extend(frame(0x82, payload));
        wanted.extend_from_slice(payload);
    }
    // A message in three frames with a ping in between.
    bytes.extend(frame(0x02, b"one "));
    bytes.extend(frame(0x00, b""));
    bytes.extend(frame(0x89, b"are you there"));
    bytes.extend(frame(0x80, b"message"));
    bytes.extend(frame(0x8a, b"nobody asked"));
    wanted.extend(b"one message");
    for size in [1, 2, 3, 5, 7, 13, 14, 15, 64, 1000, 65_536, bytes.len()] {
        let (payload, pings, end) = read(&bytes, size);
        assert!(payload == wanted, "in pieces of {size}");
        assert_eq!(pings, [b"are you there"]);
        assert_eq!(end, None);
    }
}

#[test]
fn s87_of_many_pings_the_last_is_answered() {
    let mut bytes = Vec::new();
    for number in 0..1000 {
        bytes.extend(frame(0x89, format!("{number}").as_bytes()));
        bytes.extend(frame(0x82, b"x"));
    }
    let (payload, pings, _) = read(&bytes, bytes.len());
    assert_eq!(payload.len(), 1000);
    assert_eq!(pings, [b"999"]);
}

#[test]
fn s84_frames_that_are_wrong() {
    let wrong = |change: fn(&mut Vec<u8>)| {
        let mut bytes = frame(0x82, b"payload");
        change(&mut bytes);
        violation(&bytes)
    };
    assert_eq!(
        wrong(|bytes| bytes[0] = 0x81),
        UNSUPPORTED,
        "text, MQTT-6.0.0-1"
    );
    assert_eq!(
        wrong(|bytes| bytes[0] = 0x01),
        UNSUPPORTED,
        "text in pieces"
    );
    assert_eq!(wrong(|bytes| bytes[1] &= 0x7f), PROTOCOL, "no mask");
    for bit in [0x40, 0x20, 0x10] {
        let mut bytes = frame(0x82 | bit, b"payload");
        assert_eq!(violation(&bytes), PROTOCOL, "reserved bit {bit:x}");
        bytes[0] = 0x89 | bit;
        assert_eq!(violation(&bytes), PROTOCOL, "reserved bit {bit:x}");
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(
            violation(&frame(0x80 | opcode, b"")),
            PROTOCOL,
            "kind {opcode}"
        );
    }
    for opcode in [8, 9, 10] {
        assert_eq!(violation(&frame(opcode, b"xx")), PROTOCOL, "in pieces");
        assert_eq!(
            violation(&frame(0x80 | opcode, &[0; 126])),
            PROTOCOL,
            "long"
        );
    }
    assert_eq!(
        violation(&frame(0x80, b"x")),
        PROTOCOL,
        "a continuation of nothing"
    );
    let nested = [frame(0x02, b"x"), frame(0x82, b"y")].concat();
    assert_eq!(violation(&nested), PROTOCOL, "a message within a message");
}

#[test]
fn s84_lengths_that_are_wrong() {
    let with = |length: &[u8]| {
        let mut bytes = vec![0x82, 0x80 | if length.len() == 2 { 126 } else { 127 }];
        bytes.extend(length);
        bytes.extend(MASK);
        bytes
    };
    assert_eq!(violation(&with(&(1u64 << 63).to_be_bytes())), PROTOCOL);
    assert_eq!(violation(&with(&u64::MAX.to_be_bytes())), PROTOCOL);
    assert_eq!(
        violation(&with(&125u16.to_be_bytes())),
        PROTOCOL,
        "longer than needed"
    );
    assert_eq!(
        violation(&with(&0xffffu64.to_be_bytes())),
        PROTOCOL,
        "longer than needed"
    );
    assert_eq!(
        violation(&with(&(LONGEST_FRAME + 1).to_be_bytes())),
        TOO_BIG
    );
    assert_eq!(read(&with(&LONGEST_FRAME.to_be_bytes()), 3).2, None);
}

#[test]
fn closing_codes() {
    let closed = |payload: &[u8]| read(&frame(0x88, payload), 64).2.unwrap();
    assert_eq!(closed(b""), End::Closed(1000));
    assert_eq!(closed(b"\x03\xe9bye"), End::Closed(1001));
    assert_eq!(closed(b"\x0f\xa0"), End::Closed(4000));
    for payload in [
        &b"\x03"[..],
        b"\x00\x00",
        b"\x03\xec",
        b"\x03\xed",
        b"\x03\xee",
        b"\x03\xf7",
        b"\xff\xff",
    ] {
        assert!(
            matches!(closed(payload), End::Violation(PROTOCOL, _)),
            "{payload:?}"
        );
    }
    assert!(matches!(
        closed(b"\x03\xe8\xff"),
        End::Violation(INVALID, _)
    ));
    // What follows does not count.
    let mut bytes = frame(0x88, b"");
    bytes.extend(frame(0x82, b"late"));
    assert_eq!(read(&bytes, 64), (vec![], vec![], Some(End::Closed(1000))));
}

#[test]
fn s05_every_frame_of_two_bytes_waits_or_ends() {
    for first in 0..=255 {
        for second in 0..=255 {
            let mut frames = Frames::default();
            let mut bytes = [first, second];
            let found = frames.unframe(&mut bytes);
            assert_eq!(found.payload, 0..0);
        }
    }
}
