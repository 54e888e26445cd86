pub(crate) mod writer;

use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use writer::{Message, Writer};

fn all(bytes: &[u8], detail: Detail) -> (Vec<Found>, Found) {
    let mut database = Database::open(Cursor::new(bytes)).unwrap();
    let mut found = Vec::new();
    loop {
        match database.next_chunk(detail).unwrap() {
            end @ (Found::End | Found::Cut(_) | Found::Damaged(_)) => return (found, end),
            next => found.push(next),
        }
    }
}

fn chunks(bytes: &[u8]) -> Vec<Chunk> {
    let (found, end) = all(bytes, Detail::Whole);
    assert!(matches!(end, Found::End), "{end:?}");
    let chunk = |found| match found {
        Found::Chunk(_, chunk) => chunk,
        other => panic!("{other:?}"),
    };
    found.into_iter().map(chunk).collect()
}

/// A content type, a subscription identifier 7, and an expiry of 60 seconds.
const PROPERTIES: &[u8] = b"\x0a\x03\x00\x01t\x0b\x07\x02\x00\x00\x00";
const WITH_EXPIRY: &[u8] = b"\x0b\x03\x00\x01t\x0b\x07\x02\x00\x00\x00\x3c";

fn rich(version: u32) -> Writer {
    let mut file = Writer::new(version);
    file.message(&Message {
        payload: b"payload",
        qos: 2,
        retain: true,
        expires: 1_800_000_000,
        properties: WITH_EXPIRY,
        ..Message::default()
    });
    file.message(&Message {
        id: 2,
        payload: b"",
        ..Message::default()
    });
    file.client("c1", "alice", u32::MAX, 0);
    file.delivery("c1", 1, 4, [2, 5, 0x11, 1], b"\x02\x0b\x09");
    file.delivery("c1", 2, 0, [1, 11, 0, 1], b"");
    file.client("c2", "", 60, 1_700_000_000);
    file.delivery("c2", 2, 3, [2, 7, 0, 0], b"");
    file.subscription("c1", "$share/g/a/#", [2, 0x2c], 300);
    file.retained(1);
    file
}

#[test]
fn chunks_say_what_was_written() {
    for version in [5, 6] {
        let found = chunks(&rich(version).bytes);
        assert_eq!(found.len(), 10);
        assert_eq!(found[0], Chunk::Config);
        let stored = Stored {
            id: 1,
            expires: Some(1_800_000_000),
            payload_length: 7,
            source: "source".into(),
            source_user: "user".into(),
            topic: "a/b".into(),
            qos: 2,
            retain: true,
            content: Some(Content {
                properties: b"\x03\x00\x01t".to_vec(),
                payload: b"payload".to_vec(),
            }),
        };
        assert_eq!(found[1], Chunk::Stored(stored));
        let user = if version == 5 { "" } else { "alice" };
        let client = Client {
            id: "c1".into(),
            user: user.into(),
            expiry: u32::MAX,
            ends: None,
        };
        assert_eq!(found[3], Chunk::Client(client));
        let delivery = ClientMessage {
            client: "c1".into(),
            message: 1,
            packet_id: 4,
            qos: 2,
            state: State::Published,
            retain: true,
            dup: true,
            direction: Direction::Out,
            ids: vec![9],
        };
        assert_eq!(found[4], Chunk::ClientMessage(delivery));
        let subscription = Subscription {
            client: "c1".into(),
            filter: "$share/g/a/#".into(),
            qos: 2,
            no_local: true,
            retain_as_published: true,
            retain_handling: 2,
            id: 300,
        };
        assert_eq!(
            found[8..],
            [Chunk::Subscription(subscription), Chunk::Retained(1)]
        );
    }
}

#[test]
fn a_machine_that_aligns_to_four_is_known_by_the_first_chunk() {
    let mut file = Writer::new(6);
    file.bytes.truncate(HEAD);
    file.chunk(1, &[0; 12]);
    let mut body = 0_u64.to_le_bytes().to_vec();
    body.extend(60_u32.to_be_bytes());
    body.extend([0, 9, 0, 2, 7, 0x5b, 0, 3]);
    body.extend(b"c1bob");
    file.chunk(6, &body);
    let [_, Chunk::Client(client)] = &chunks(&file.bytes)[..] else {
        panic!("no client");
    };
    assert_eq!((&*client.id, &*client.user), ("c1", "bob"));
}

#[test]
fn times_of_big_endian_machines_are_times() {
    let mut file = Writer::new(6);
    file.message(&Message {
        expires: 1_700_000_000_u64.swap_bytes(),
        ..Message::default()
    });
    let [_, Chunk::Stored(stored)] = &chunks(&file.bytes)[..] else {
        panic!("no message");
    };
    assert_eq!(stored.expires, Some(1_700_000_000));
}

#[test]
fn what_is_not_a_database_is_told_from_one() {
    let said = |bytes: &[u8]| Database::open(Cursor::new(bytes)).unwrap_err().to_string();
    assert!(said(b"[1883]\n# no database at all").contains("no database"));
    assert!(said(b"x").contains("no database"));
    assert!(said(b"").contains("nothing is in it"));
    assert!(said(&Writer::new(6).bytes[..20]).contains("nothing is in it"));
    assert!(said(&Writer::new(4).bytes).contains("1.5 or older"));
    assert!(said(&Writer::new(7).bytes).contains("version 7, which"));
}

#[test]
fn what_makes_no_sense_is_passed_over() {
    let wrong: [(u32, &[u8]); 8] = [
        (2, &[0; 20]),
        (2, &[0xff; 40]),
        (3, &[9; 16]),
        (4, b"short"),
        (5, &[0xff; 12]),
        (6, &[0xff; 30]),
        (6, &[]),
        (99, b"of a later version"),
    ];
    for (kind, body) in wrong {
        let mut file = Writer::new(6);
        file.chunk(kind, body);
        file.retained(5);
        let (found, end) = all(&file.bytes, Detail::Whole);
        assert!(matches!(end, Found::End));
        assert!(
            matches!(
                &found[..],
                [_, Found::Odd(47, _), Found::Chunk(_, Chunk::Retained(5))]
            ),
            "{kind}: {found:?}"
        );
    }
}

#[test]
fn properties_that_make_no_sense_spoil_their_message_alone() {
    for properties in [
        b"\x05\x03\x00".as_slice(),
        b"\x02\x01\x02",
        b"\x02\x77\x00",
        PROPERTIES,
    ] {
        let mut file = Writer::new(6);
        file.message(&Message {
            properties,
            ..Message::default()
        });
        let (found, _) = all(&file.bytes, Detail::Whole);
        assert!(matches!(found[1], Found::Odd(..)), "{properties:?}");
        let (found, _) = all(&file.bytes, Detail::Heads);
        assert!(matches!(found[1], Found::Chunk(..)));
    }
}

#[test]
fn zeros_behind_a_file_are_damage() {
    let mut file = rich(6);
    let whole = file.bytes.len();
    file.bytes.extend([0; 4096]);
    let (found, end) = all(&file.bytes, Detail::Heads);
    assert_eq!(found.len(), 10);
    assert!(matches!(end, Found::Damaged(at) if at == whole as u64));
}

#[test]
fn a_file_that_is_cut_gives_what_is_whole() {
    let bytes = rich(6).bytes;
    let (whole, _) = all(&bytes, Detail::Whole);
    for length in HEAD..bytes.len() {
        let (found, end) = all(&bytes[..length], Detail::Whole);
        let ends: Vec<u64> = whole.iter().map(place).skip(1).collect();
        let is_between = length == HEAD || ends.contains(&(length as u64));
        assert_eq!(matches!(end, Found::End), is_between, "{length}");
        let same = found.iter().zip(&whole);
        assert!(
            same.into_iter()
                .all(|(a, b)| format!("{a:?}") == format!("{b:?}"))
        );
        assert!(found.len() < whole.len());
    }
}

fn place(found: &Found) -> u64 {
    match found {
        Found::Chunk(at, _) | Found::Odd(at, _) => *at,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_walk_finds_the_same() {
    let bytes = rich(6).bytes;
    let mut database = Database::open(Cursor::new(&bytes)).unwrap();
    let mut walk = || {
        database.rewind().unwrap();
        let mut count = 0;
        while let Found::Chunk(..) = database.next_chunk(Detail::Heads).unwrap() {
            count += 1;
        }
        count
    };
    assert_eq!([walk(), walk()], [10, 10]);
}

proptest! {
    /// No byte makes it panic, and each chunk takes at least its head.
    #[test]
    fn any_bytes_are_read_to_an_end(
        flips in prop::collection::vec((0_usize..4096, any::<u8>()), 0..12),
        cut in 0_usize..4096,
        tail in prop::collection::vec(any::<u8>(), 0..64),
        version in 5_u32..=6,
    ) {
        let mut bytes = rich(version).bytes;
        let length = bytes.len();
        for (at, byte) in flips {
            let at = HEAD + at % (length - HEAD);
            bytes[at] = byte;
        }
        bytes.truncate(HEAD.max(length.saturating_sub(cut % (2 * length))));
        bytes.extend(tail);
        for detail in [Detail::Heads, Detail::Whole] {
            let (found, _) = all(&bytes, detail);
            prop_assert!(found.len() * CHUNK_HEAD <= bytes.len());
        }
    }
}
