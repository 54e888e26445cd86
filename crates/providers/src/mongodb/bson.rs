//! BSON, as much of it as questions and answers take. What else an answer has is passed over.

/// A document: names and values in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Document(pub(super) Vec<(String, Bson)>);

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bson {
    Double(f64),
    Text(String),
    Document(Document),
    List(Vec<Bson>),
    Bytes(Vec<u8>),
    Flag(bool),
    Null,
    Int32(i32),
    Int64(i64),
    /// Of a kind that nobody here asks for.
    Other,
}

/// Bytes are no document, or one that nests too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl Document {
    /// A document of these.
    pub(super) fn new<const N: usize>(entries: [(&str, Bson); N]) -> Self {
        Self(entries.map(|(name, value)| (name.to_owned(), value)).into())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Bson> {
        self.0.iter().find(|it| it.0 == name).map(|it| &it.1)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Bson::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number, whatever its kind; a flag counts as 0 or 1.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match *self.get(name)? {
            Bson::Double(number) => Some(number),
            Bson::Int32(number) => Some(number.into()),
            // Those that are asked for are small.
            #[allow(clippy::cast_precision_loss)]
            Bson::Int64(number) => Some(number as f64),
            Bson::Flag(flag) => Some(flag.into()),
            _ => None,
        }
    }

    /// Appends its bytes; `None`: a name has a zero in it, or all is longer than BSON can be.
    pub(super) fn encode(&self, to: &mut Vec<u8>) -> Option<()> {
        encode_entries(
            self.0.iter().map(|(name, value)| (name.as_str(), value)),
            to,
        )
    }

    /// Reads what is one document and nothing else.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut rest = bytes;
        let document = Reader(&mut rest).document(DEEPEST)?;
        rest.is_empty().then_some(document).ok_or(Damaged)
    }
}

fn encode_entries<'a>(
    entries: impl Iterator<Item = (&'a str, &'a Bson)>,
    to: &mut Vec<u8>,
) -> Option<()> {
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    for (name, value) in entries {
        to.push(value.kind()?);
        if name.contains('\0') {
            return None;
        }
        to.extend_from_slice(name.as_bytes());
        to.push(0);
        value.encode(to)?;
    }
    to.push(0);
    let length = i32::try_from(to.len().checked_sub(start)?).ok()?;
    let place = to.get_mut(start..start.checked_add(4)?)?;
    place.copy_from_slice(&length.to_le_bytes());
    Some(())
}

impl Bson {
    fn kind(&self) -> Option<u8> {
        Some(match self {
            Self::Double(_) => 0x01,
            Self::Text(_) => 0x02,
            Self::Document(_) => 0x03,
            Self::List(_) => 0x04,
            Self::Bytes(_) => 0x05,
            Self::Flag(_) => 0x08,
            Self::Null => 0x0a,
            Self::Int32(_) => 0x10,
            Self::Int64(_) => 0x12,
            Self::Other => return None,
        })
    }

    fn encode(&self, to: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Double(number) => to.extend_from_slice(&number.to_le_bytes()),
            Self::Text(text) => {
                let length = i32::try_from(text.len().checked_add(1)?).ok()?;
                to.extend_from_slice(&length.to_le_bytes());
                to.extend_from_slice(text.as_bytes());
                to.push(0);
            }
            Self::Document(document) => document.encode(to)?,
            Self::List(list) => {
                let names: Vec<String> = (0..list.len()).map(|place| place.to_string()).collect();
                encode_entries(names.iter().map(String::as_str).zip(list), to)?;
            }
            Self::Bytes(bytes) => {
                to.extend_from_slice(&i32::try_from(bytes.len()).ok()?.to_le_bytes());
                // Of no particular kind.
                to.push(0);
                to.extend_from_slice(bytes);
            }
            Self::Flag(flag) => to.push((*flag).into()),
            Self::Int32(number) => to.extend_from_slice(&number.to_le_bytes()),
            Self::Int64(number) => to.extend_from_slice(&number.to_le_bytes()),
            Self::Null | Self::Other => {}
        }
        Some(())
    }
}

/// What is still to be read.
struct Reader<'a, 'b>(&'b mut &'a [u8]);

impl<'a> Reader<'a, '_> {
    fn document(&mut self, depth: u8) -> Result<Document, Damaged> {
        let length = self.length()?.checked_sub(4).ok_or(Damaged)?;
        let depth = depth.checked_sub(1).ok_or(Damaged)?;
        let mut inside = self.take(length)?;
        let mut reader = Reader(&mut inside);
        let mut entries = Vec::new();
        loop {
            let [kind] = reader.array()?;
            if kind == 0 {
                break;
            }
            let name = reader.name()?;
            entries.push((name, reader.value(kind, depth)?));
        }
        inside
            .is_empty()
            .then_some(Document(entries))
            .ok_or(Damaged)
    }

    fn value(&mut self, kind: u8, depth: u8) -> Result<Bson, Damaged> {
        Ok(match kind {
            0x01 => Bson::Double(f64::from_le_bytes(self.array()?)),
            0x02 => Bson::Text(self.text()?),
            0x03 => Bson::Document(self.document(depth)?),
            0x04 => {
                let entries = self.document(depth)?.0;
                Bson::List(entries.into_iter().map(|(_, value)| value).collect())
            }
            0x05 => {
                let length = self.length()?;
                let [_kind] = self.array()?;
                Bson::Bytes(self.take(length)?.into())
            }
            0x08 => match self.array()? {
                [0] => Bson::Flag(false),
                [1] => Bson::Flag(true),
                _ => return Err(Damaged),
            },
            0x0a => Bson::Null,
            0x10 => Bson::Int32(i32::from_le_bytes(self.array()?)),
            0x12 => Bson::Int64(i64::from_le_bytes(self.array()?)),
            _ => return self.other(kind).map(|()| Bson::Other),
        })
    }

    /// Passes over a value.
    fn other(&mut self, kind: u8) -> Result<(), Damaged> {
        match kind {
            // Undefined, and what sorts before and after all else.
            0x06 | 0x7f | 0xff => {}
            // The identifier of a document.
            0x07 => drop(self.take(12)?),
            // A time.
            0x09 | 0x11 => drop(self.take(8)?),
            // A regular expression and its options.
            0x0b => drop((self.name()?, self.name()?)),
            // Code, a symbol.
            0x0d | 0x0e => drop(self.text()?),
            // A decimal number.
            0x13 => drop(self.take(16)?),
            _ => return Err(Damaged),
        }
        Ok(())
    }

    /// Text, up to a zero.
    fn name(&mut self) -> Result<String, Damaged> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Damaged)?;
        let name = self.take(end)?.to_vec();
        let [_zero] = self.array()?;
        String::from_utf8(name).map_err(|_| Damaged)
    }

    /// Text, its length before it and a zero behind it.
    fn text(&mut self) -> Result<String, Damaged> {
        let length = self.length()?;
        let text = self.take(length)?.strip_suffix(&[0]).ok_or(Damaged)?;
        String::from_utf8(text.into()).map_err(|_| Damaged)
    }

    fn length(&mut self) -> Result<usize, Damaged> {
        usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| Damaged)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Damaged)?;
        *self.0 = rest;
        Ok(*array)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
        *self.0 = rest;
        Ok(taken)
    }
}

const DEEPEST: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(document: &Document) -> Vec<u8> {
        let mut bytes = Vec::new();
        document.encode(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn documents_are_written_as_bsonspec_org_shows() {
        let hello = Document::new([("hello", Bson::Text("world".into()))]);
        let expected = b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0";
        assert_eq!(encoded(&hello), expected);
        let list = vec![
            Bson::Text("awesome".into()),
            Bson::Double(5.05),
            Bson::Int32(1986),
        ];
        let list = Document::new([("BSON", Bson::List(list))]);
        let expected = b"\x31\0\0\0\x04BSON\0\x26\0\0\0\x02\x30\0\x08\0\0\0awesome\0\
                         \x01\x31\0\x33\x33\x33\x33\x33\x33\x14\x40\x10\x32\0\xc2\x07\0\0\0\0";
        assert_eq!(encoded(&list), expected);
    }

    #[test]
    fn what_is_written_is_read() {
        let inner = Document::new([("a.b", Bson::Null), ("", Bson::Int64(-7))]);
        let all = Document::new([
            ("d", Bson::Document(inner.clone())),
            (
                "l",
                Bson::List(vec![Bson::Flag(true), Bson::Document(inner)]),
            ),
            ("b", Bson::Bytes(vec![0, 255])),
            ("f", Bson::Flag(false)),
            ("t", Bson::Text("grün\0".into())),
        ]);
        assert_eq!(Document::decode(&encoded(&all)), Ok(all.clone()));
        assert_eq!(
            (all.number("f"), all.text("t")),
            (Some(0.0), Some("grün\0"))
        );
        let zero = Document::new([("a\0b", Bson::Null)]);
        assert_eq!(zero.encode(&mut Vec::new()), None);
    }

    #[test]
    fn what_nobody_asks_for_is_passed_over() {
        let others =
            b"\x07_id\0abcdefghijkl\x09t\0\x01\0\0\0\0\0\0\0\x0br\0.*\0i\0\x0dc\0\x02\0\0\0x\0\
                       \x13d\0aaaaaaaabbbbbbbb\xffm\0\x08y\0\x01\0";
        let length = i32::try_from(others.len() + 4).unwrap();
        let bytes = [&length.to_le_bytes(), &others[..]].concat();
        let document = Document::decode(&bytes).unwrap();
        assert_eq!(document.0.len(), 7);
        assert_eq!(document.get("y"), Some(&Bson::Flag(true)));
        assert_eq!(document.get("_id"), Some(&Bson::Other));
    }

    #[test]
    fn s68_damaged_documents_are_refused() {
        let good = encoded(&Document::new([
            ("t", Bson::Text("x".into())),
            ("b", Bson::Bytes(vec![1])),
            ("l", Bson::List(vec![Bson::Flag(true)])),
        ]));
        for end in 0..good.len() {
            assert_eq!(Document::decode(&good[..end]), Err(Damaged), "{end}");
        }
        for place in 0..good.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[place] = byte;
                // Whatever it is, it is read or refused.
                let _ = Document::decode(&bad);
            }
        }
        let mut deep = Bson::Null;
        for _ in 0..40 {
            deep = Bson::List(vec![deep]);
        }
        let deep = encoded(&Document::new([("d", deep)]));
        assert_eq!(Document::decode(&deep), Err(Damaged));
    }
}
