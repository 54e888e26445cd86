//! Asks a running server, for the command line: one question, one answer, one connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Most bytes of an answer: a page of ten thousand large rows has less.
const ANSWER: u64 = 256 * 1024 * 1024;

/// Most bytes of an answer's head.
const HEAD: u64 = 64 * 1024;

/// Most fields in the head of an answer.
const FIELDS: usize = 32;

/// Longer than the server takes for anything but an upload.
const PATIENCE: Duration = Duration::from_secs(40);

/// Longer than the server takes for an upload.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(620);

/// A way to a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer, or not the one that was wanted. The words are for people.
#[derive(Debug)]
pub enum Failure {
    /// Nobody listens at the control socket.
    NoServer(PathBuf),
    /// This user may not open the control socket.
    NotAllowed(PathBuf),
    /// The server said no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// A word for scripts: `NOT_FOUND`, `BAD_REQUEST`, ...
        code: String,
        /// Words for people.
        message: String,
    },
    /// The connection broke, or the server took too long.
    Broken(io::Error),
    /// What came is not what a server of this version says.
    Strange(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServer(socket) => {
                let folder = socket.parent().unwrap_or(Path::new("."));
                write!(
                    f,
                    "no server is running with the data folder {}; start it with `nightjar`, or \
                     name the folder of the one that runs with --data-dir",
                    folder.display()
                )
            }
            Self::NotAllowed(socket) => write!(
                f,
                "the control socket {} is not yours to open; ask as the user that runs the server",
                socket.display()
            ),
            Self::Refused { message, .. } => f.write_str(message),
            Self::Broken(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                f.write_str("the server does not answer")
            }
            Self::Broken(error) => write!(f, "the server hung up: {error}"),
            Self::Strange(words) => write!(
                f,
                "the server's answer cannot be understood ({words}); is it of another version?"
            ),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(error) => Some(error),
            Self::NoServer(_) | Self::NotAllowed(_) | Self::Refused { .. } | Self::Strange(_) => {
                None
            }
        }
    }
}

impl Client {
    /// A way to the server behind this control socket. Nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        Self { socket }
    }

    /// Asks. The path begins with `/api/v5/`; what is put into it goes through [`escaped`]. An
    /// answer without a body is `null`, and text is a string.
    ///
    /// # Errors
    /// There is no server, it says no, or the connection breaks.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = "application/json";
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut stream = self.open(PATIENCE)?;
        let file = &mut body.as_bytes();
        heard(send(&mut stream, method, path, kind, file, length))?;
        receive(stream)
    }

    /// Asks for a change of what this stands for, and of nothing else.
    ///
    /// # Errors
    /// As [`Client::request`]; 412 if it is another by now.
    pub fn request_if(
        &self,
        (method, path): (&str, &str),
        body: &Value,
        etag: &str,
    ) -> Result<Value, Failure> {
        // Nothing else than a tag gets into the head.
        let plain = |letter: &char| letter.is_ascii_alphanumeric();
        let tag: String = etag.chars().filter(plain).collect();
        let body = body.to_string();
        let kind = format!("application/json\r\nIf-Match: \"{tag}\"");
        let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let mut stream = self.open(PATIENCE)?;
        let file = &mut body.as_bytes();
        heard(send(&mut stream, method, path, &kind, file, length))?;
        receive(stream)
    }

    /// Asks with something that has a shape, and wants an answer that has one.
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        let strange = |error: serde_json::Error| Failure::Strange(error.to_string());
        let body = body
            .map(serde_json::to_value)
            .transpose()
            .map_err(strange)?;
        let answer = self.request(method, path, body.as_ref())?;
        serde_json::from_value(answer).map_err(strange)
    }

    /// Sends a file of so many bytes.
    ///
    /// # Errors
    /// As [`Client::request`], or the file cannot be read.
    pub fn upload(&self, path: &str, file: &mut dyn Read, length: u64) -> Result<Value, Failure> {
        let mut stream = self.open(UPLOAD_PATIENCE)?;
        heard(send(&mut stream, "POST", path, "text/plain", file, length))?;
        receive(stream)
    }

    /// Asks for something that is long, and passes it on as it comes.
    ///
    /// # Errors
    /// As [`Client::request`], or `out` takes no more. What has come by then has been passed on.
    pub fn download(&self, path: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let mut stream = self.open(UPLOAD_PATIENCE)?;
        let kind = "application/json";
        send(&mut stream, "POST", path, kind, &mut io::empty(), 0)?;
        let mut answer = io::BufReader::with_capacity(64 * 1024, stream);
        let head = head(&mut answer)?;
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        let strange = |words: &str| Failure::Strange(words.into());
        parsed
            .parse(&head)
            .map_err(|error| Failure::Strange(error.to_string()))?;
        if parsed.code != Some(200) {
            let mut rest = head.clone();
            let read = answer.take(ANSWER).read_to_end(&mut rest);
            read.map_err(Failure::Broken)?;
            return Err(match understood(&rest) {
                Ok(_) => strange("another status"),
                Err(failure) => failure,
            });
        }
        io::copy(&mut answer, out).map_err(Failure::Broken)?;
        out.flush().map_err(Failure::Broken)
    }

    fn open(&self, patience: Duration) -> Result<UnixStream, Failure> {
        let stream = UnixStream::connect(&self.socket).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Failure::NoServer(self.socket.clone())
            }
            io::ErrorKind::PermissionDenied => Failure::NotAllowed(self.socket.clone()),
            _ => Failure::Broken(error),
        })?;
        let set = stream.set_read_timeout(Some(patience));
        set.and_then(|()| stream.set_write_timeout(Some(patience)))
            .map_err(Failure::Broken)?;
        Ok(stream)
    }
}

/// Text as a part of a path or a query: all but letters, digits and `-._~` in hexadecimal digits.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// The server says what is wrong before it has all of a body, and hangs up: its answer is there then.
fn heard(sent: Result<(), Failure>) -> Result<(), Failure> {
    match sent {
        Err(Failure::Broken(error))
            if matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Sends a question. By HTTP/1.0 the answer comes in one piece and ends with the connection.
fn send(
    stream: &mut UnixStream,
    method: &str,
    path: &str,
    kind: &str,
    body: &mut dyn Read,
    length: u64,
) -> Result<(), Failure> {
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).map_err(Failure::Broken)?;
    let sent = io::copy(&mut body.take(length), stream).map_err(Failure::Broken)?;
    if sent < length {
        let words = "the file is shorter than it was";
        return Err(Failure::Broken(io::Error::other(words)));
    }
    Ok(())
}

/// The head of an answer, with the empty line behind it.
fn head(answer: &mut impl io::BufRead) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::new();
    let mut limited = answer.take(HEAD);
    while !head.ends_with(b"\r\n\r\n") {
        let read = io::BufRead::read_until(&mut limited, b'\n', &mut head);
        if read.map_err(Failure::Broken)? == 0 {
            return Err(Failure::Strange("it ends too soon".into()));
        }
    }
    Ok(head)
}

fn receive(stream: UnixStream) -> Result<Value, Failure> {
    let mut bytes = Vec::new();
    let read = stream.take(ANSWER).read_to_end(&mut bytes);
    match (understood(&bytes), read) {
        // The server hangs up on a body that it does not want, after it has said so.
        (Err(Failure::Strange(_)), Err(error)) => Err(Failure::Broken(error)),
        (answer, _) => answer,
    }
}

fn understood(bytes: &[u8]) -> Result<Value, Failure> {
    let strange = |words: &str| Failure::Strange(words.into());
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let body = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => bytes.get(length..).unwrap_or_default(),
        Ok(httparse::Status::Partial) => return Err(strange("it ends too soon")),
        Err(error) => return Err(Failure::Strange(error.to_string())),
    };
    let status = head.code.ok_or_else(|| strange("there is no status"))?;
    let announced = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"))
        .and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length != body.len()) {
        return Err(strange("it ends too soon"));
    }
    let is_text = head.headers.iter().any(|field| {
        let text = b"text/plain";
        field.name.eq_ignore_ascii_case("content-type") && field.value.starts_with(text)
    });
    let answer = if body.is_empty() {
        Value::Null
    } else if is_text {
        Value::String(String::from_utf8_lossy(body).into_owned())
    } else {
        serde_json::from_slice(body).map_err(|error| Failure::Strange(error.to_string()))?
    };
    if (200..300).contains(&status) {
        return Ok(answer);
    }
    let word = |name: &str| answer.get(name).and_then(Value::as_str);
    Err(Failure::Refused {
        status,
        code: word("code").unwrap_or_default().into(),
        message: match word("message") {
            Some(message) => message.into(),
            None => format!("the server says {status}"),
        },
    })
}
