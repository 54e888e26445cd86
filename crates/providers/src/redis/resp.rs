//! What Redis speaks (RESP 2), as much of it as reading takes. Answers are bounded.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Simple(String),
    /// The first word of what it says; the rest may repeat what it was asked.
    Error(String),
    Number(i64),
    Text(Vec<u8>),
    Items(Vec<Reply>),
    Nothing,
}

impl Reply {
    /// A text, or nothing.
    pub(super) fn text(self) -> Result<Option<String>, Arc<str>> {
        match self {
            Self::Nothing => Ok(None),
            Self::Text(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err("Redis: a value is not UTF-8".into()),
            },
            Self::Number(number) => Ok(Some(number.to_string())),
            Self::Simple(_) | Self::Error(_) | Self::Items(_) => Err(unexpected()),
        }
    }

    pub(super) fn items(self) -> Result<Vec<Self>, Arc<str>> {
        match self {
            Self::Items(items) => Ok(items),
            Self::Nothing => Ok(Vec::new()),
            _ => Err(unexpected()),
        }
    }

    /// Fields and values in turn.
    pub(super) fn pairs(self) -> Result<Vec<(String, String)>, Arc<str>> {
        let mut pairs = Vec::new();
        let mut items = self.items()?.into_iter();
        while let Some(field) = items.next() {
            let value = items.next().ok_or_else(unexpected)?;
            match (field.text()?, value.text()?) {
                (Some(field), Some(value)) => pairs.push((field, value)),
                _ => return Err(unexpected()),
            }
        }
        Ok(pairs)
    }
}

/// Sends a command and reads its answer.
pub(super) async fn call<S, A>(stream: &mut S, arguments: &[A]) -> io::Result<Reply>
where
    S: AsyncBufRead + AsyncWrite + Unpin + Send,
    A: AsRef<[u8]>,
{
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    let mut room = LONGEST;
    read(stream, &mut room, DEEPEST).await
}

type Reading<'a> = Pin<Box<dyn Future<Output = io::Result<Reply>> + Send + 'a>>;

/// `room`: so many bytes may still come.
fn read<'a, S: AsyncBufRead + Unpin + Send>(
    stream: &'a mut S,
    room: &'a mut usize,
    depth: u8,
) -> Reading<'a> {
    Box::pin(async move {
        let line = line(stream, room).await?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(broken)?;
        match kind {
            "+" => Ok(Reply::Simple(rest.into())),
            "-" => Ok(Reply::Error(rest.split(' ').next().unwrap_or("").into())),
            ":" => rest.parse().map(Reply::Number).map_err(|_| broken()),
            "$" => match length(rest)? {
                None => Ok(Reply::Nothing),
                Some(length) => text(stream, room, length).await.map(Reply::Text),
            },
            "*" => {
                let Some(count) = length(rest)? else {
                    return Ok(Reply::Nothing);
                };
                let depth = depth.checked_sub(1).ok_or_else(broken)?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(read(stream, room, depth).await?);
                }
                Ok(Reply::Items(items))
            }
            _ => Err(broken()),
        }
    })
}

async fn line<S: AsyncBufRead + Unpin>(stream: &mut S, room: &mut usize) -> io::Result<String> {
    let mut line = String::new();
    let limit = u64::try_from(*room).unwrap_or(u64::MAX);
    let mut limited = stream.take(limit);
    let read = limited.read_line(&mut line).await?;
    *room = room.saturating_sub(read);
    line.strip_suffix("\r\n")
        .map(String::from)
        .ok_or_else(broken)
}

async fn text<S: AsyncRead + Unpin>(
    stream: &mut S,
    room: &mut usize,
    length: usize,
) -> io::Result<Vec<u8>> {
    let whole = length.saturating_add(2);
    *room = room.checked_sub(whole).ok_or_else(broken)?;
    let mut bytes = vec![0; whole];
    stream.read_exact(&mut bytes).await?;
    match bytes.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None => Err(broken()),
    }
}

/// -1 is nothing.
fn length(text: &str) -> io::Result<Option<usize>> {
    match text {
        "-1" => Ok(None),
        text => text.parse().map(Some).map_err(|_| broken()),
    }
}

fn unexpected() -> Arc<str> {
    "Redis: an answer of another kind".into()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not what Redis says")
}

/// Longest answer, in bytes.
const LONGEST: usize = 256 * 1024;
const DEEPEST: u8 = 3;
