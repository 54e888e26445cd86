//! `nightjar pub` and `nightjar sub` against a running `nightjar serve`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

/// A running server with a folder of its own.
struct Server {
    process: Child,
    folder: PathBuf,
    port: String,
}

impl Server {
    fn start(test: &str) -> Self {
        let name = format!("nightjar-clients-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder");
        let mut process = Command::new(env!("CARGO_BIN_EXE_nightjar"))
            .env("NIGHTJAR__DASHBOARD__ENABLED", "false")
            .args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nightjar starts");
        let mut log = BufReader::new(process.stderr.take().expect("a pipe"));
        let mut port = None;
        let mut line = String::new();
        while log.read_line(&mut line).expect("UTF-8") > 0 {
            port = port.or_else(|| port_of(&line));
            if line.contains("\"serving\"") {
                break;
            }
            line.clear();
        }
        // Goes on reading, so that the server never waits for its log to be read.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        let port = port.expect("the server tells where it listens");
        Self {
            process,
            folder,
            port,
        }
    }

    /// A client of this server, ready to run.
    fn client(&self, command: &str, arguments: &[&str]) -> Command {
        let mut client = Command::new(env!("CARGO_BIN_EXE_nightjar"));
        client
            .args([command, "-h", "127.0.0.1", "-p", &self.port])
            .args(arguments);
        client
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        client
    }

    /// Runs `nightjar pub` to its end.
    fn publish(&self, arguments: &[&str]) {
        let output = self.client("pub", arguments).output().expect("pub runs");
        assert!(output.status.success(), "{output:?}");
    }

    /// Runs `nightjar sub` to its end and gives what it printed.
    fn subscribe(&self, arguments: &[&str]) -> String {
        let output = self.client("sub", arguments).output().expect("sub runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Starts `nightjar sub`, with `-d` to know when it is subscribed.
    fn subscriber(&self, arguments: &[&str]) -> Child {
        let mut child = self
            .client("sub", arguments)
            .arg("-d")
            .spawn()
            .expect("sub starts");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        while told.read_line(&mut line).expect("UTF-8") > 0 {
            if line.starts_with("< SUBACK") {
                thread::spawn(move || told.read_to_end(&mut Vec::new()));
                return child;
            }
            line.clear();
        }
        let status = child.wait().expect("sub ends");
        panic!("sub ended before it was subscribed: {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("the server stays: {error}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

/// The port in a line of the log that says `listening`.
fn port_of(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line["message"] != "listening" {
        return None;
    }
    let (_, port) = line["address"].as_str()?.rsplit_once(':')?;
    Some(port.to_owned())
}

fn printed(child: Child) -> String {
    let output = child.wait_with_output().expect("sub ends");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nightjar"));
    let Output { status, stderr, .. } = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("nightjar runs");
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

#[test]
fn a_retained_message_with_its_properties() {
    let server = Server::start("retained");
    server.publish(&[
        "-t",
        "room/lamp",
        "-m",
        "on",
        "-r",
        "-q",
        "1",
        "-D",
        "publish",
        "user-property",
        "a",
        "b",
        "-D",
        "publish",
        "content-type",
        "text/plain",
    ]);
    let format = "%t %p q%q r%r %C %P %x";
    let seen = server.subscribe(&[
        "-t", "room/#", "-q", "2", "-V", "5", "-C", "1", "-F", format,
    ]);
    assert_eq!(seen, "room/lamp on q1 r1 text/plain a:b 6f6e\n");
    for version in ["31", "311"] {
        let seen = server.subscribe(&["-t", "+/lamp", "-V", version, "-C", "1", "-v"]);
        assert_eq!(seen, "room/lamp on\n");
    }
    let removed = ["-t", "#", "--remove-retained", "-C", "1", "-N"];
    assert_eq!(server.subscribe(&removed), "on");
    let left = server
        .client("sub", &["-t", "#", "-W", "1"])
        .output()
        .expect("sub runs");
    assert_eq!((left.status.code(), left.stdout), (Some(27), Vec::new()));
}

#[test]
fn lines_at_every_qos_and_version() {
    let server = Server::start("lines");
    for version in ["31", "311", "5"] {
        for qos in ["0", "1", "2"] {
            let subscriber =
                server.subscriber(&["-t", "lines", "-q", qos, "-V", version, "-C", "1001"]);
            let mut publisher = server
                .client("pub", &["-t", "lines", "-q", qos, "-V", version, "-l"])
                .stdin(Stdio::piped())
                .spawn()
                .expect("pub starts");
            let lines: String = (0..1000).map(|n| format!("{n}\n")).collect();
            let mut input = publisher.stdin.take().expect("a pipe");
            input
                .write_all(format!("{lines}the last one").as_bytes())
                .expect("lines");
            drop(input);
            assert!(publisher.wait().expect("pub ends").success());
            assert_eq!(printed(subscriber), format!("{lines}the last one\n"));
        }
    }
}

#[test]
fn a_session_waits_and_gives_one_message_at_a_time() {
    let server = Server::start("session");
    let subscriber = ["-t", "jobs", "-q", "1", "-i", "worker", "-c"];
    server.subscribe(&[&subscriber[..], &["-E"]].concat());
    for job in ["one", "two", "three"] {
        server.publish(&["-t", "jobs", "-q", "1", "-m", job]);
    }
    for job in ["one\n", "two\n", "three\n"] {
        assert_eq!(
            server.subscribe(&[&subscriber[..], &["-C", "1"]].concat()),
            job
        );
    }
}

#[test]
fn a_will_tells_of_a_client_that_was_killed() {
    let server = Server::start("will");
    let heir = server.subscriber(&["-t", "will", "-C", "1", "-v"]);
    let mut victim = server.subscriber(&[
        "-t",
        "x",
        "--will-topic",
        "will",
        "--will-payload",
        "gone",
        "--will-qos",
        "1",
    ]);
    victim.kill().expect("it runs");
    victim.wait().expect("it ends");
    assert_eq!(printed(heir), "will gone\n");
}

#[test]
fn large_messages_come_through() {
    let server = Server::start("large");
    let payload: Vec<u8> = (0..900_000_u32).map(|n| (n % 251) as u8).collect();
    let file = server.folder.join("payload");
    fs::write(&file, &payload).expect("a file");
    let subscriber = server.subscriber(&["-t", "large", "-q", "2", "-C", "1", "-N"]);
    let name = file.to_str().expect("UTF-8");
    server.publish(&["-t", "large", "-q", "2", "-f", name]);
    let output = subscriber.wait_with_output().expect("sub ends");
    assert!(output.stdout == payload);
}

#[test]
fn mistakes_are_told_in_one_line() {
    for (arguments, told) in [
        (
            &["pub", "-t", "a", "-m", "x", "--cafile", "ca.pem"][..],
            "--cafile is not yet supported",
        ),
        (&["sub", "-t", "a", "--ws"], "--ws is not yet supported"),
        (
            &["sub", "-L", "mqtts://localhost/a"],
            "mqtts:// is not yet supported",
        ),
        (&["pub", "-m", "x"], "no topic"),
        (&["pub", "-t", "a"], "no message"),
        (&["pub", "-t", "", "-m", "x"], "it is empty"),
        (&["sub", "-t", ""], "it is empty"),
        (&["pub", "-t", "a/+", "-m", "x"], "'a/+' is not a topic"),
        (&["sub", "-t", "a/#/b"], "'a/#/b' is not a topic filter"),
        (&["sub", "-t", "a", "-F", "%k"], "unknown %k"),
        (&["sub", "-t", "a", "-c"], "needs a client identifier (-i)"),
    ] {
        let (code, error) = run(arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        assert!(error.contains(told), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_with_advice() {
    // A port that was free a moment ago.
    let place = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = place.local_addr().expect("an address").port().to_string();
    drop(place);
    let (code, error) = run(&["sub", "-h", "127.0.0.1", "-p", &port, "-t", "a"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("Start it with `nightjar`"), "{error}");
}
