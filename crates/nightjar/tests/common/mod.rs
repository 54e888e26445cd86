//! A real server, whose log is read line by line: that is how tests wait.

#![allow(dead_code, reason = "each test binary uses its part")]

#[cfg(feature = "quic")]
#[path = "../../../net/tests/common/pki.rs"]
pub(crate) mod pki;
#[cfg(feature = "quic")]
#[path = "../../../net/tests/common/quic.rs"]
pub(crate) mod quic;

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long a client waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with a folder and a file of its own.
pub(crate) struct Server {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    folder: PathBuf,
    /// How many clients have connected.
    clients: Cell<u8>,
    /// Where it listens, in the order of the configuration.
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Server {
    /// Listens on a free port for plain MQTT.
    pub(crate) fn start(test: &str, configuration: &str) -> Self {
        Self::listening(test, configuration, &["--listen", "127.0.0.1:0"])
    }

    /// Listens where the configuration or these arguments say.
    pub(crate) fn listening(test: &str, configuration: &str, arguments: &[&str]) -> Self {
        let name = format!("nightjar-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder");
        fs::write(folder.join("nightjar.toml"), configuration).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_nightjar"))
            .env("NIGHTJAR__DASHBOARD__ENABLED", "false")
            .args(["serve", "--config", "nightjar.toml", "--data-dir", "data"])
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nightjar starts");
        let log = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let mut server = Self {
            process,
            log,
            folder,
            clients: Cell::new(0),
            addresses: Vec::new(),
        };
        let seen = server.lines_until("serving");
        let addresses = seen.iter().filter(|line| line["message"] == "listening");
        let addresses = addresses.map(|line| line["address"].as_str().expect("an address"));
        server.addresses = addresses
            .map(|text| text.parse().expect("an address"))
            .collect();
        server
    }

    /// Waits for the next line with this message.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        let mut lines = self.lines_until(message);
        lines.pop().expect("the line itself is the last")
    }

    /// All lines up to the next with this message.
    fn lines_until(&mut self, message: &str) -> Vec<Value> {
        let lines = self.log.by_ref().map(|line| {
            let line = line.expect("UTF-8");
            serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
        });
        let mut seen = Vec::new();
        for line in lines {
            let found = line["message"] == message;
            seen.push(line);
            if found {
                return seen;
            }
        }
        panic!("no line {message:?} before the log ended: {seen:?}")
    }

    /// All lines that are still to come.
    pub(crate) fn rest_of_log(&mut self) -> Vec<String> {
        let rest = self.log.by_ref();
        rest.map(|line| line.expect("UTF-8")).collect()
    }

    pub(crate) fn configure(&self, configuration: &str) {
        fs::write(self.folder.join("nightjar.toml"), configuration).expect("a file");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("the process is there");
    }

    /// Connects with MQTT 3.1.1 to the first listener and waits for CONNACK.
    pub(crate) fn connect(&self) -> TcpStream {
        self.connect_to(self.addresses[0])
    }

    /// The same by another listener.
    pub(crate) fn connect_to(&self, address: SocketAddr) -> TcpStream {
        let mut link = TcpStream::connect(address).expect("a connection");
        link.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        link.write_all(&self.greeting()).expect("CONNECT");
        let mut answer = [0; 4];
        link.read_exact(&mut answer).expect("CONNACK");
        assert_eq!(answer, [0x20, 2, 0, 0]);
        link
    }

    /// Whether a connection is closed without an answer.
    pub(crate) fn is_refused(&self, address: SocketAddr) -> bool {
        let mut link = TcpStream::connect(address).expect("a connection");
        link.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        // It may be closed by then.
        let _sent = link.write_all(&self.greeting());
        !matches!(link.read(&mut [0]), Ok(1))
    }

    /// Waits until nobody listens there any more.
    pub(crate) fn await_closed(&self, address: SocketAddr) {
        let start = Instant::now();
        while TcpStream::connect(address).is_ok() {
            assert!(start.elapsed() < PATIENCE, "{address} is still open");
            std::thread::yield_now();
        }
    }

    /// CONNECT of the next client, clean, without keep alive: `a`, then `b`, and so on.
    fn greeting(&self) -> Vec<u8> {
        let before = self.clients.get();
        self.clients.set(before + 1);
        [
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01",
            &[b'a' + before][..],
        ]
        .concat()
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        self.process.wait().expect("the process ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only a test that failed leaves it running.
        if let Ok(None) = self.process.try_wait()
            && let Err(error) = self.process.kill().and_then(|()| self.process.wait())
        {
            eprintln!("the server stays: {error}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}
