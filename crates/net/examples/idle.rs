//! Measures what idle connections cost: resident bytes of the server for each, and how many a
//! second come in. The clients are another process, so that they are not counted.
//!
//! `cargo run --release -p net --example idle -- [plain|ws|tls|wss] [connections]`

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use net::{
    CertificateFiles, Clock, Listener, ListenerConfig, Runtime, ServerTls, TlsDoor, TlsFiles,
    WebSocket, WorkerSetup,
};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use types::{Action, ConnId, Core, LinkEnd, LinkInfo, Time};

type Anyhow<T> = Result<T, Box<dyn Error>>;

/// Answers the first byte of each link with one byte, and keeps nothing.
struct Idle {
    links: u32,
    answers: Vec<ConnId>,
    arrived: Arc<AtomicUsize>,
}

impl Core for Idle {
    type Mail = ();

    fn handle_open(&mut self, _: LinkInfo, _: Time) -> Option<ConnId> {
        self.links += 1;
        let (slot, generation) = (self.links - 1, 0);
        Some(ConnId { slot, generation })
    }

    fn handle_info(&mut self, _: ConnId, _: LinkInfo, _: Time) {}

    fn handle_bytes(&mut self, conn: ConnId, _: &[u8], _: Time) {
        self.answers.push(conn);
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }

    fn handle_written(&mut self, _: ConnId, written: usize, _: Time) {
        if written > 0 {
            self.answers.pop();
        }
    }

    fn handle_closed(&mut self, _: ConnId, _: LinkEnd, _: Time) {}

    fn handle_mail(&mut self, (): (), _: Time) {}

    fn handle_timeout(&mut self, _: Time) {}

    fn end_turn(&mut self, _: Time) {}

    fn poll_timeout(&self) -> Option<Time> {
        None
    }

    fn poll_action(&mut self) -> Option<Action<()>> {
        self.answers.last().copied().map(Action::Flush)
    }

    fn output<'a>(&'a self, conn: ConnId, slices: &mut [IoSlice<'a>]) -> usize {
        match slices.first_mut() {
            Some(first) if self.answers.last() == Some(&conn) => {
                *first = IoSlice::new(b"!");
                1
            }
            _ => 0,
        }
    }

    fn is_drained(&self) -> bool {
        false
    }
}

fn main() -> Anyhow<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |place: usize, otherwise: &str| {
        args.get(place)
            .cloned()
            .unwrap_or_else(|| otherwise.to_owned())
    };
    let (kind, connections) = (arg(0, "tls"), arg(1, "2000"));
    if let Some(address) = args.get(2) {
        return clients(&kind, connections.parse()?, address.parse()?, &arg(3, ""));
    }
    net::raise_descriptor_limit()?;
    let folder = tempfile::tempdir()?;
    let key = rcgen::generate_simple_self_signed(vec!["broker.example".to_owned()])?;
    let chain = folder.path().join("server.pem");
    let secret = folder.path().join("server.key");
    fs::write(&chain, key.cert.pem())?;
    fs::write(&secret, key.signing_key.serialize_pem())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    }
    let certificate = chain.display().to_string();
    let files = TlsFiles {
        certificates: vec![CertificateFiles { chain, key: secret }],
        ..TlsFiles::default()
    };
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Listener::bind(&ListenerConfig {
        tls: match kind.as_str() {
            "tls" | "wss" => Some(TlsDoor::new(ServerTls::load(&files)?)),
            _ => None,
        },
        websocket: kind.starts_with("ws").then(WebSocket::default),
        ..ListenerConfig::new(loopback)
    })?;
    let address = listener.address().to_string();
    let arrived = Arc::new(AtomicUsize::new(0));
    let core = Arc::clone(&arrived);
    let setup = WorkerSetup::new(move || Idle {
        links: 0,
        answers: Vec::new(),
        arrived: core,
    });
    let _runtime = Runtime::start(vec![listener], vec![setup], Clock::new(Instant::now()))?;
    // One batch first, so that what is there once does not count.
    let (mut before, mut children) = (0, Vec::new());
    for batch in ["100".to_owned(), connections.clone()] {
        before = resident()?;
        let start = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args([&kind, &batch, &address, &certificate])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("the clients' output")?;
        BufReader::new(output).read_line(&mut String::new())?;
        let took = start.elapsed().as_secs_f64();
        let count: f64 = batch.parse()?;
        println!("{kind}: {batch} connections, {:.0} a second", count / took);
        children.push(child);
    }
    let each = (resident()? - before) / connections.parse::<usize>()?;
    println!("{kind}: {each} resident bytes for each");
    for mut child in children {
        drop(child.stdin.take());
        child.wait()?;
    }
    Ok(())
}

/// Resident bytes of this process.
fn resident() -> Anyhow<usize> {
    let text = fs::read_to_string("/proc/self/statm")?;
    let pages = text.split(' ').nth(1).ok_or("statm has two numbers")?;
    Ok(pages.parse::<usize>()? * 4096)
}

fn clients(kind: &str, count: usize, address: SocketAddr, certificate: &str) -> Anyhow<()> {
    net::raise_descriptor_limit()?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Each handshake in full.
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let mut open: Vec<Box<dyn Stream>> = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address)?;
        let mut stream: Box<dyn Stream> = match kind {
            "tls" | "wss" => {
                let name = ServerName::try_from("broker.example")?;
                let tls = rustls::ClientConnection::new(Arc::clone(&config), name)?;
                Box::new(rustls::StreamOwned::new(tls, stream))
            }
            _ => Box::new(stream),
        };
        if kind.starts_with("ws") {
            stream.write_all(
                b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            )?;
            stream.read_exact(&mut [0; 129])?;
            stream.write_all(b"\x82\x81\0\0\0\0?")?;
            stream.read_exact(&mut [0; 3])?;
        } else {
            stream.write_all(b"?")?;
            stream.read_exact(&mut [0])?;
        }
        open.push(stream);
    }
    println!("all are in");
    // Until the server is done.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}
