//! S08, S09, S20 to S22, S24, S42, S43: attacks that need sockets, on a real server.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use codec::{Connect, ConnectProperties, Frame, Packet, Publish, Subscribe, SubscribeFiltersBuf};
use serde_json::Value;
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, SubscriptionOptions};

const V5: ProtocolVersion = ProtocolVersion::V5;
const MIB: u64 = 1 << 20;

/// A running server with a folder of its own.
struct Server {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Server {
    fn start(test: &str, configuration: &str) -> Self {
        net::raise_descriptor_limit().expect("descriptors for both sides");
        let name = format!("nightjar-hostile-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a temporary folder");
        fs::write(folder.join("nightjar.toml"), configuration).expect("a file");
        let mut process = Command::new(env!("CARGO_BIN_EXE_nightjar"))
            .env("NIGHTJAR__DASHBOARD__ENABLED", "false")
            .args(["serve", "--config", "nightjar.toml", "--data-dir", "data"])
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nightjar starts");
        let mut log = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let mut address = None;
        for line in log.by_ref() {
            let line: Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
            if line["message"] == "listening" {
                address = line["address"].as_str().map(str::to_owned);
            }
            if line["message"] == "serving" {
                break;
            }
        }
        // What it has to say of its attackers is not read, but taken.
        thread::spawn(move || log.for_each(drop));
        let address = address.expect("it listens").parse().expect("an address");
        Self {
            process,
            folder,
            address,
        }
    }

    /// Resident memory in bytes.
    fn resident(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(status).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let words = line.and_then(|line| line.split_whitespace().nth(1));
        words.and_then(|kib| kib.parse::<u64>().ok()).expect("KiB") * 1024
    }

    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("a connection");
        // A server that does not answer fails the test instead of holding it up.
        let patience = Some(Duration::from_secs(30));
        socket.set_read_timeout(patience).expect("a timeout");
        socket.set_write_timeout(patience).expect("a timeout");
        socket.set_nodelay(true).expect("no delay");
        socket
    }

    fn client(&self, id: &str) -> Client {
        let mut client = Client {
            socket: self.socket(),
            kept: Vec::new(),
        };
        client.send(&hello(id));
        assert_eq!(client.next().map(|first| first >> 4), Some(2), "CONNACK");
        client
    }

    /// Somebody comes, is served and goes; how long that took.
    fn serves(&self) -> Duration {
        let begin = Instant::now();
        let mut client = self.client("");
        client.subscribe("served");
        client.send(&message("served", b"x", None));
        assert_eq!(client.next().map(|first| first >> 4), Some(3), "PUBLISH");
        begin.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has to be there still, whatever was done to it.
        let ended = self.process.try_wait();
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            eprintln!("the server stays: {error}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
        if !thread::panicking() {
            assert!(matches!(ended, Ok(None)), "the server ended: {ended:?}");
        }
    }
}

/// A client without habits.
struct Client {
    socket: TcpStream,
    kept: Vec<u8>,
}

impl Client {
    fn send(&mut self, packet: &[u8]) {
        self.socket.write_all(packet).expect("the server reads");
    }

    /// The first byte of the next packet, or `None` at the end.
    fn next(&mut self) -> Option<u8> {
        self.next_packet().map(|packet| packet[0])
    }

    fn next_packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Ok(Frame::Complete { total_len, .. }) = codec::frame(&self.kept, u32::MAX) {
                return Some(self.kept.drain(..total_len).collect());
            }
            let mut buffer = [0; 16 * 1024];
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.kept.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer: {error}"),
            }
        }
    }

    fn subscribe(&mut self, filter: &str) {
        let mut filters = SubscribeFiltersBuf::new();
        let options = SubscriptionOptions::plain(QoS::AtLeastOnce);
        filters.push(filter, options).expect("short");
        self.send(&encode(&Packet::Subscribe(Subscribe {
            packet_id: PacketId::FIRST,
            subscription_id: None,
            user: Default::default(),
            filters: filters.as_borrowed(),
        })));
        assert_eq!(self.next().map(|first| first >> 4), Some(9), "SUBACK");
    }

    fn ping(&mut self) -> Duration {
        let begin = Instant::now();
        self.send(b"\xc0\x00");
        assert_eq!(self.next(), Some(0xd0), "PINGRESP");
        begin.elapsed()
    }

    /// The worst of a hundred, of a thousand.
    fn p99(&mut self) -> Duration {
        let mut times: Vec<Duration> = (0..1_000).map(|_| self.ping()).collect();
        times.sort();
        times[990]
    }
}

fn encode(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(packet, V5, &mut bytes).expect("a packet");
    bytes
}

fn hello(id: &str) -> Vec<u8> {
    encode(&Packet::Connect(Box::new(Connect {
        version: V5,
        bridge: false,
        clean_start: true,
        keep_alive: 0,
        client_id: id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    })))
}

fn message(topic: &str, payload: &[u8], id: Option<u16>) -> Vec<u8> {
    encode(&Packet::Publish(Publish {
        dup: false,
        qos: match id {
            Some(_) => QoS::AtLeastOnce,
            None => QoS::AtMostOnce,
        },
        retain: false,
        topic,
        packet_id: id.and_then(PacketId::new),
        properties: Default::default(),
        payload,
    }))
}

/// The server closed it, perhaps after some bytes.
fn is_over(socket: &mut TcpStream) -> bool {
    let mut buffer = [0; 1024];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return true,
            Err(error) => panic!("it stays open: {error}"),
        }
    }
}

#[test]
fn s08_connects_that_trickle_in_end_at_the_deadline_and_hold_nobody_up() {
    let server = Server::start("s08", "[limits]\nconnect_deadline = \"2s\"\n");
    let begin = Instant::now();
    let mut slow: Vec<TcpStream> = (0..2_000).map(|_| server.socket()).collect();
    let hello = hello("slow");
    // A byte each, round after round: the deadline is for the whole packet, not for a byte.
    for byte in &hello[..hello.len() - 1] {
        for socket in &mut slow {
            // The first may be over when the last is served.
            if socket.write_all(&[*byte]).is_err() {
                assert!(begin.elapsed() > Duration::from_millis(1_500));
            }
        }
        assert!(server.serves() < Duration::from_secs(1));
    }
    assert!(slow.iter_mut().all(is_over));
    assert!(server.serves() < Duration::from_secs(1));
}

#[test]
fn s09_half_sent_connects_take_no_more_memory_than_the_limit() {
    let limits = "[limits]\nunauthenticated_bytes = \"4MiB\"\n";
    let server = Server::start("s09", limits);
    server.serves();
    let before = server.resident();
    let half = [&b"\x10\xf0\xff\x03"[..], &[0; 60_000]].concat();
    let mut sockets: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut socket = server.socket();
            // It may be the oldest before all is sent.
            match socket.write_all(&half) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
            socket
        })
        .collect();
    // The oldest goes, and who comes now is served.
    assert!(is_over(&mut sockets[0]));
    assert!(server.serves() < Duration::from_secs(5));
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 24 * MIB, "{} MiB for 4 MiB", grown / MIB);
}

#[test]
fn s20_a_flood_of_pings_is_shared_out_fairly() {
    let server = Server::start("s20", "workers = 1\n");
    let mut calm = server.client("calm");
    let quiet = calm.p99();
    let over = AtomicBool::new(false);
    let mut flood = server.client("flood");
    let flooded = thread::scope(|scope| {
        let mut drain = flood.socket.try_clone().expect("a second handle");
        scope.spawn(move || {
            let mut buffer = [0; 64 * 1024];
            // Until the other thread has shut the socket.
            while drain.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        scope.spawn(|| {
            let pings = b"\xc0\x00".repeat(32 * 1024);
            let begin = Instant::now();
            while !over.load(Ordering::Relaxed) && begin.elapsed() < Duration::from_secs(20) {
                flood.send(&pings);
            }
            let both = std::net::Shutdown::Both;
            flood.socket.shutdown(both).expect("an open socket");
        });
        let flooded = calm.p99();
        over.store(true, Ordering::Relaxed);
        flooded
    });
    // Machines that test are shared; a flood that is not held back takes seconds.
    let bound = quiet * 20 + Duration::from_millis(100);
    assert!(flooded < bound, "{quiet:?} became {flooded:?}");
    server.serves();
}

#[test]
fn s21_and_s22_bad_packets_end_their_own_connection_only() {
    let server = Server::start("s21", "workers = 1\n");
    let mut calm = server.client("calm");
    let before = server.resident();
    for round in 0..50 {
        for bad in [
            &b"\x30\xff\xff\xff\x7f"[..], // 256 MiB, from the header alone
            b"\x30\x02\x00\x05",
            b"\x82\x02\x00\x00",
            b"\xff\xff\xff\xff\xff",
            b"\x36\x04\x00\x01t\x00",
        ] {
            let mut client = server.client("bad");
            client.send(bad);
            let goodbye = client.next_packet().expect("DISCONNECT");
            assert_eq!(goodbye[0], 0xe0);
            if bad.len() == 5 && bad[0] == 0x30 {
                assert_eq!(goodbye[2], ReasonCode::PacketTooLarge.byte());
            }
            assert!(is_over(&mut client.socket), "round {round}");
        }
        calm.ping();
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 8 * MIB, "{} KiB", grown / 1024);
}

#[test]
fn s24_a_storm_of_takeovers_ends_with_one() {
    let server = Server::start("s24", "workers = 2\n");
    let mut stay: Vec<TcpStream> = thread::scope(|scope| {
        let storms: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = None;
                    for _ in 0..200 {
                        let mut socket = server.socket();
                        // CONNACK, or the end at once if another one was faster.
                        socket.write_all(&hello("twin")).expect("it reads");
                        assert!(socket.read(&mut [0; 5]).is_ok());
                        last = Some(socket);
                    }
                    last.expect("the last")
                })
            })
            .collect();
        let joined = storms
            .into_iter()
            .map(|storm| storm.join().expect("no panic"));
        joined.collect()
    });
    let mut last = server.client("twin");
    assert!(stay.iter_mut().all(is_over));
    last.subscribe("t");
    last.send(&message("t", b"x", None));
    assert_eq!(last.next().map(|first| first >> 4), Some(3));
    server.serves();
}

#[test]
fn s42_a_client_that_never_reads_costs_its_limits_and_goes() {
    let limits = "workers = 1\n[limits]\nwrite_stall = \"2s\"\n";
    let server = Server::start("s42", limits);
    let mut watch = server.client("watch");
    watch.subscribe("$SYS/brokers/+/clients/stuck/disconnected");
    let mut stuck = server.client("stuck");
    stuck.subscribe("t");
    let mut publisher = server.client("publisher");
    let before = server.resident();
    let payload = vec![7; 256 * 1024];
    let mut most = 0;
    let begin = Instant::now();
    for id in 1..=400 {
        publisher.send(&message("t", &payload, Some(id)));
        assert_eq!(publisher.next().map(|first| first >> 4), Some(4), "PUBACK");
        most = most.max(server.resident());
    }
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "publisher stalled"
    );
    let grown = most.saturating_sub(before);
    // 16 MiB may be queued and 2 MiB written; 100 MiB were sent.
    assert!(grown < 48 * MIB, "{} MiB", grown / MIB);
    let told = watch.next_packet().expect("presence");
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("write stall"), "{told}");
    server.serves();
}

#[test]
fn s43_memory_comes_back_after_a_storm() {
    let server = Server::start("s43", "");
    let storm = || {
        let mut clients: Vec<Client> = (0..1_000)
            .map(|number| {
                let mut client = server.client(&format!("storm{number}"));
                client.subscribe(&format!("storm/{number}/+"));
                client
            })
            .collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(&message(&format!("storm/{number}/x"), &[7; 8_000], None));
            assert_eq!(client.next().map(|first| first >> 4), Some(3));
        }
        drop(clients);
        server.serves();
    };
    storm();
    storm();
    let before = server.resident();
    for _ in 0..3 {
        storm();
    }
    let after = server.resident();
    let grown = after.saturating_sub(before);
    assert!(grown < before / 5 + 2 * MIB, "{before} became {after}");
}
