//! Signals, as a supervisor sends them: reload, end, end at once.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running server with a folder and a file of its own. Its log is read line by line, which
/// is how tests wait.
struct Server {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    folder: PathBuf,
    address: SocketAddr,
}

impl Server {
    fn start(test: &str, configuration: &str) -> Self {
        let name = format!("nightjar-signals-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder");
        fs::write(folder.join("nightjar.toml"), configuration).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_nightjar"))
            .args(["serve", "--config", "nightjar.toml", "--data-dir", "data"])
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nightjar starts");
        let log = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            process,
            log,
            folder,
            address: nowhere,
        };
        let listening = server.line("listening");
        let address = listening["address"].as_str().expect("an address");
        server.address = address.parse().expect("an address");
        server.line("serving");
        server
    }

    /// Waits for the next line with this message.
    fn line(&mut self, message: &str) -> Value {
        let lines = self.log.by_ref().map(|line| {
            let line = line.expect("UTF-8");
            serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
        });
        let mut seen = Vec::new();
        for line in lines {
            if line["message"] == message {
                return line;
            }
            seen.push(line);
        }
        panic!("no line {message:?} before the log ended: {seen:?}")
    }

    fn configure(&self, configuration: &str) {
        fs::write(self.folder.join("nightjar.toml"), configuration).expect("a file");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("the process is there");
    }

    /// Connects with MQTT 3.1.1 and waits for CONNACK.
    fn connect(&self) -> TcpStream {
        let mut link = TcpStream::connect(self.address).expect("a connection");
        link.write_all(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
            .expect("CONNECT");
        let mut answer = [0; 4];
        link.read_exact(&mut answer).expect("CONNACK");
        assert_eq!(answer, [0x20, 2, 0, 0]);
        link
    }

    fn end(&mut self) -> ExitStatus {
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

#[test]
fn a_reload_takes_over_what_it_can_and_tells_the_rest() {
    let mut server = Server::start("reload", "workers = 1\n");
    server.configure("workers = 2\n[limits]\ninflight = 5\n[log]\nlevel = \"debug\"\n");
    server.signal(Signal::HUP);
    assert_eq!(
        server.line("configuration taken over")["applied"],
        "log.level limits.inflight"
    );
    assert_eq!(
        server.line("changes that wait for a restart")["keys"],
        "workers"
    );
    server.connect();
}

#[test]
fn a_reload_of_a_bad_file_changes_nothing() {
    let mut server = Server::start("bad", "");
    server.configure("[limits]\ninflight = 0\nsesions = 1\n");
    server.signal(Signal::HUP);
    for problem in [
        "nightjar.toml:2:12: limits.inflight",
        "nightjar.toml:3:1: unknown key sesions",
    ] {
        let line = server.line("configuration not taken over");
        assert_eq!(line["level"], "ERROR");
        let told = line["problem"].as_str().expect("a problem");
        assert!(told.starts_with(problem), "{told}");
    }
    server.connect();
    server.configure("");
    server.signal(Signal::HUP);
    server.line("configuration read again: nothing has changed");
}

#[test]
fn sigterm_ends_it_in_order() {
    let mut server = Server::start("term", "");
    let mut link = server.connect();
    server.signal(Signal::TERM);
    assert_eq!(link.read(&mut [0]).expect("the end of the link"), 0);
    drop(link);
    server.line("ended");
    assert!(server.end().success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start("twice", "");
    // The server gives this client, which does not hang up, some time to read.
    let _link = server.connect();
    server.signal(Signal::INT);
    server.line("ending: a second signal ends at once");
    server.signal(Signal::INT);
    server.line("ended at once by a second signal");
    assert_eq!(server.end().code(), Some(1));
}

#[test]
fn the_log_tells_of_clients_but_not_of_what_they_send() {
    let mut server = Server::start("clients", "");
    let mut link = server.connect();
    link.write_all(b"\x30\x0a\x00\x01tSECRETS\xe0\x00")
        .expect("PUBLISH and DISCONNECT");
    let connected = server.line("client connected");
    assert_eq!(
        (&connected["client"], &connected["level"]),
        (&"a".into(), &"INFO".into())
    );
    let gone = server.line("client disconnected");
    assert_eq!(
        (&gone["client"], &gone["reason"]),
        (&"a".into(), &"disconnect".into())
    );
    server.signal(Signal::TERM);
    let rest: Vec<String> = server
        .log
        .by_ref()
        .map(|line| line.expect("UTF-8"))
        .collect();
    assert!(
        rest.iter().all(|line| !line.contains("SECRETS")),
        "{rest:?}"
    );
    assert!(server.end().success());
}
