//! What MongoDB speaks (OP_MSG), as much of it as reading takes. Answers are bounded.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::bson::{Bson, Document};

/// Why a command gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is of no use any more.
    Link(io::Error),
    /// The server refused: its code. What it says may repeat what it was asked.
    Refused(i32),
}

impl Failure {
    /// Whether the server refused because of what the filter came to with this client: a value, a
    /// type or a regular expression that it cannot use, or too large a document.
    pub(super) fn is_of_question(&self) -> bool {
        match self {
            Self::Link(_) => false,
            Self::Refused(code) => OF_QUESTION.contains(code),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link(error) => error.fmt(f),
            Self::Refused(code) => write!(f, "error {code}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Link(error)
    }
}

/// Has a command run in a database.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(
    link: &mut S,
    database: &str,
    mut command: Document,
) -> Result<Document, Failure> {
    command.0.push(("$db".into(), Bson::Text(database.into())));
    let request = NEXT.fetch_add(1, Ordering::Relaxed);
    link.write_all(&message(request, &command).ok_or_else(too_long)?)
        .await?;
    link.flush().await?;
    let answer = read(link, request).await?;
    if answer.number("ok") == Some(1.0) {
        return Ok(answer);
    }
    Err(Failure::Refused(match answer.get("code") {
        Some(Bson::Int32(code)) => *code,
        _ => 0,
    }))
}

/// Header, flags, and one section that is the document.
fn message(request: i32, command: &Document) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 4];
    for word in [request, 0, OP_MSG, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.push(0);
    command.encode(&mut bytes)?;
    let length = i32::try_from(bytes.len()).ok()?;
    bytes.get_mut(..4)?.copy_from_slice(&length.to_le_bytes());
    Some(bytes)
}

async fn read<S: AsyncRead + Unpin>(link: &mut S, request: i32) -> io::Result<Document> {
    let length = usize::try_from(link.read_i32_le().await?).map_err(|_| broken())?;
    if length > LONGEST {
        return Err(too_long());
    }
    let mut bytes = vec![0; length.checked_sub(4).ok_or_else(broken)?];
    link.read_exact(&mut bytes).await?;
    let (head, rest) = bytes.split_first_chunk::<17>().ok_or_else(broken)?;
    let [_, _, _, _, words @ ..] = head;
    let expected = [request.to_le_bytes(), OP_MSG.to_le_bytes(), [0; 4]].concat();
    // No checksum, nothing more to come, one section that is a document.
    if words[..] != [expected, vec![0]].concat() {
        return Err(broken());
    }
    Document::decode(rest).map_err(|_| broken())
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not what MongoDB says")
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is too long")
}

/// Numbers of requests; they only have to differ on one connection.
static NEXT: AtomicI32 = AtomicI32::new(1);

const OP_MSG: i32 = 2013;

/// `BadValue`, `FailedToParse`, `TypeMismatch`, `InvalidOptions`, an expression that is none.
const OF_QUESTION: [i32; 6] = [2, 9, 14, 72, 51091, 17286];

/// Longest answer, in bytes.
const LONGEST: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(to: i32, document: &Document) -> Vec<u8> {
        let mut bytes = message(1, document).unwrap();
        bytes[8..12].copy_from_slice(&to.to_le_bytes());
        bytes
    }

    fn read_from(bytes: &[u8], request: i32) -> io::Result<Document> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        runtime.block_on(read(&mut &bytes[..], request))
    }

    #[test]
    fn s68_answers_that_are_none_are_refused() {
        let document = Document::new([("ok", Bson::Double(1.0))]);
        let good = answer(7, &document);
        assert_eq!(read_from(&good, 7).unwrap(), document);
        assert!(read_from(&good, 8).is_err(), "of another question");
        for end in 0..good.len() {
            assert!(read_from(&good[..end], 7).is_err(), "{end}");
        }
        // The code of the message, its flags, the kind of its section, the document.
        for place in [12, 16, 20, 21] {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert!(read_from(&bad, 7).is_err(), "{place}");
        }
        for length in [-1, 0, 3, 20, i32::MAX] {
            let mut bad = good.clone();
            bad[..4].copy_from_slice(&i32::to_le_bytes(length));
            assert!(read_from(&bad, 7).is_err(), "{length}");
        }
        assert!(read_from(b"HTTP/1.1 400 Bad Request\r\n\r\n", 7).is_err());
    }
}
