//! The data types of 1.5 at their bounds.

use super::wire;
use crate::read::{Reader, VarInt, varint};
use crate::write::{put_varint, varint_len};
use crate::{DecodeError, Field};

/// 1.5.5: the first and the last value of each length.
#[test]
fn c33_variable_byte_integers_at_their_bounds() {
    for (number, words) in [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
        (268_435_455, "ffffff7f"),
    ] {
        let bytes = wire(words);
        let mut out = Vec::new();
        put_varint(number, &mut out);
        assert_eq!(out, bytes, "{number}");
        assert_eq!(varint_len(number), bytes.len(), "{number}");
        let VarInt::Complete { value, len } = varint(&bytes) else {
            panic!("{number}")
        };
        assert_eq!((value, len), (number, bytes.len()));
    }
}

/// 1.5.4-2: U+0000 is found wherever it stands, however long the text is; its neighbours in
/// the alphabet and the bytes of longer characters are not taken for it.
#[test]
fn s12_nul_is_found_at_every_place() {
    for len in 0..40_usize {
        let mut bytes = u16::try_from(len).unwrap().to_be_bytes().to_vec();
        bytes.extend((0..len).map(|at| [0x01, 0x7f, b'a'][at % 3]));
        let read = |bytes: &[u8]| Reader::new(bytes).string(Field::Topic).map(str::len);
        assert_eq!(read(&bytes), Ok(len));
        for at in 0..len {
            let mut bytes = bytes.clone();
            bytes[2 + at] = 0;
            assert_eq!(
                read(&bytes),
                Err(DecodeError::Nul(Field::Topic)),
                "{at} of {len}"
            );
        }
    }
    for text in [
        "\u{80}\u{100}\u{800}\u{10000}\u{10ffff}",
        "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}",
    ] {
        let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        assert_eq!(Reader::new(&bytes).string(Field::Topic), Ok(text));
    }
}
