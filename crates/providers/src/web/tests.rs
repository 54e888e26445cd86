use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

/// A web server on a free port of this machine. Each request is answered by what a function makes
/// of it, and told.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Receiver<Seen>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The first line.
    pub(crate) line: String,
    /// The other lines of its head, in lower case.
    pub(crate) head: Vec<String>,
    pub(crate) body: String,
}

/// What is written to the connection as it is; nothing: it is closed.
pub(crate) type Raw = Vec<u8>;

impl Server {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Raw + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, requests) = channel();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, tell) = (Arc::clone(&answer), tell.clone());
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    // The other side may go whenever it wants to.
                    let _ = serve(&stream, |seen| {
                        // Nobody may listen any more.
                        let _ = tell.send(seen.clone());
                        answer(seen)
                    });
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn url(&self, path: &str) -> Address {
        Address::new(format!("http://{}{path}", self.address))
    }

    pub(crate) fn seen(&self) -> Seen {
        self.requests.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// How many requests came since somebody looked.
    pub(crate) fn count(&self) -> usize {
        self.requests.try_iter().count()
    }
}

fn serve(stream: &TcpStream, answer: impl Fn(&Seen) -> Raw) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            head.push(line.to_lowercase());
        }
        let length = head
            .iter()
            .find_map(|it| it.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
        reader.read_exact(&mut body)?;
        let seen = Seen {
            line: line.trim_end().into(),
            head,
            body: String::from_utf8(body).unwrap(),
        };
        let raw = answer(&seen);
        if raw.is_empty() {
            return Ok(());
        }
        (&mut &*stream).write_all(&raw)?;
    }
}

/// An answer with a body.
pub(crate) fn says(status: &str, body: &str) -> Raw {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

fn web(url: &Address, limit: usize) -> Web {
    Web::new(url, &[], &Tls::default(), limit).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(future)
}

#[test]
fn questions_and_answers_pass() {
    let server = Server::new(|seen| says("200 OK", &seen.body));
    let url = server
        .url("/auth?x=1")
        .reveal()
        .replace("://", "://us%65r:p%40ss@");
    let header = ("X-Key".to_owned(), Secret::new(b"k3y"));
    let web = Web::new(&Address::new(url), &[header], &Tls::default(), 100).unwrap();
    run(async {
        let reply = web.post(b"{}".to_vec()).await.unwrap();
        assert_eq!(
            (reply.status, &reply.body[..]),
            (StatusCode::OK, &b"{}"[..])
        );
        assert_eq!(web.get().await.unwrap().body, b"");
    });
    let seen = server.seen();
    assert_eq!(seen.line, "POST /auth?x=1 HTTP/1.1");
    let login = format!(
        "authorization: basic {}",
        STANDARD.encode("user:p@ss").to_lowercase()
    );
    for line in [&login, "x-key: k3y", "content-type: application/json"] {
        assert!(
            seen.head.iter().any(|it| it == line),
            "{line} in {:?}",
            seen.head
        );
    }
    assert_eq!(server.seen().line, "GET /auth?x=1 HTTP/1.1");
    let shown = format!("{web:?}");
    assert!(
        !shown.contains("k3y") && !shown.contains(&STANDARD.encode("user:p@ss")),
        "{shown}"
    );
}

#[test]
fn s97_redirects_are_answers_like_any_other() {
    let server = Server::new(|_| {
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
            .into()
    });
    let reply = run(web(&server.url("/"), 100).get()).unwrap();
    assert_eq!(reply.status, StatusCode::FOUND);
}

#[test]
fn s68_answers_that_are_too_long_or_none_are_errors() {
    for raw in [
        says("200 OK", &"x".repeat(101)),
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec(),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        b"SSH-2.0-x\r\n".to_vec(),
        Vec::new(),
    ] {
        let first = std::sync::atomic::AtomicBool::new(true);
        let shown = String::from_utf8_lossy(&raw).into_owned();
        // Whatever is said, the connection is closed behind it.
        let server = Server::new(move |_| {
            let is_first = first.swap(false, std::sync::atomic::Ordering::Relaxed);
            if is_first { raw.clone() } else { Vec::new() }
        });
        let web = web(&server.url("/"), 100);
        let asked = async { tokio::time::timeout(Duration::from_millis(500), web.get()).await };
        let asked = run(asked);
        assert!(!matches!(asked, Ok(Ok(_))), "{shown}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let web = web(&Address::new(format!("http://{nobody}/")), 100);
    assert!(run(web.get()).unwrap_err().starts_with("no answer: "));
}

#[test]
fn s97_addresses_of_other_kinds_are_refused() {
    for text in [
        "",
        "host",
        "file:///etc/passwd",
        "ftp://host/",
        "http://",
        "https://u:p@/",
        "http://a b/",
        "http://u%zz@host/",
    ] {
        let made = Web::new(&Address::new(text), &[], &Tls::default(), 1);
        assert!(made.is_err(), "{text}");
    }
    for name in ["Host", "content-length", "a b", ""] {
        let header = [(name.to_owned(), Secret::new(b"x"))];
        let made = Web::new(&Address::new("http://h/"), &header, &Tls::default(), 1);
        assert!(made.is_err(), "{name}");
    }
    let header = [("x".to_owned(), Secret::new(b"a\r\nb: c"))];
    let made = Web::new(&Address::new("http://h/"), &header, &Tls::default(), 1);
    let shown = made.unwrap_err().to_string();
    assert!(!shown.contains("b: c"), "{shown}");
}
