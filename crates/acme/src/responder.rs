//! What answers the authority's look (RFC 8555, 8.3).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Answers at an address until it is dropped. Open for some seconds in months, and to everybody: each
/// connection has few bytes and little time.
pub(crate) struct Responder {
    answers: Arc<Answers>,
    task: JoinHandle<()>,
}

type Answers = Mutex<HashMap<String, String>>;

impl Responder {
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        })?;
        let answers = Arc::<Answers>::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&answers)));
        Ok(Self { answers, task })
    }

    /// From now on who asks for `token` hears `answer`.
    pub(crate) fn answer(&self, token: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), answer.to_owned());
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, answers: Arc<Answers>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Mostly no descriptor is left; soon there is.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // Who is too slow or goes away hears nothing.
            let _heard = timeout(TIME, converse(stream, &answers)).await;
            drop(place);
        });
    }
}

async fn converse(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let body = token(&head).and_then(|token| {
        let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(token).cloned()
    });
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", "Not found.\n".to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// What a request asks for, if it is what an authority asks for.
fn token(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let path = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?;
    let path = path.split(' ').next()?;
    path.strip_prefix("/.well-known/acme-challenge/")
}

const MOST_CONNECTIONS: usize = 64;
const LONGEST_HEAD: usize = 4096;
const TIME: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_authority_asks_for_is_a_token() {
        let wanted = b"GET /.well-known/acme-challenge/abc HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(token(wanted), Some("abc"));
        for other in [
            &b"POST /.well-known/acme-challenge/abc HTTP/1.1\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET \xff\xff",
            b"",
        ] {
            assert_eq!(token(other), None);
        }
    }
}
