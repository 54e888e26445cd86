//! MQTT over QUIC, with a client of QUIC against the real server.
#![cfg(all(unix, feature = "quic"))]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::Server;
use common::pki::{Authority, Files, TlsClient};
use common::quic::{QuicClient, QuicStream};
use rustix::process::Signal;

/// A server with a plain listener and one for QUIC, and who signs for it.
struct Setting {
    authority: Authority,
    files: Files,
    server: Server,
}

impl Setting {
    /// `top` stands at the top of the configuration, `quic` in the listener, `more` behind it.
    fn new(test: &str, [top, quic, more]: [&str; 3]) -> Self {
        let (authority, files) = (Authority::new("tests"), Files::new());
        let pair = files.pair("server", &authority.server(&["localhost"]));
        files.write("ca.pem", &authority.certificate);
        let configuration = format!(
            "allow_anonymous = true\n{top}\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nprotocol = \"quic\"\n\
             certificates = [\"main\"]\n{quic}\n\
             [[certificate]]\nname = \"main\"\nchain = {:?}\nkey = {:?}\n{more}\n",
            pair.chain, pair.key
        );
        let configuration = configuration.replace("CA", &files.path("ca.pem").to_string_lossy());
        let server = Server::listening(&format!("quic-{test}"), &configuration, &[]);
        Self {
            authority,
            files,
            server,
        }
    }

    fn plain(test: &str) -> Self {
        Self::new(test, [""; 3])
    }

    fn from(&self) -> QuicClient {
        QuicClient::new(&TlsClient::new(&self.authority, None))
    }

    /// A connection on which nothing was said.
    fn open(&self, from: &QuicClient) -> Mqtt<QuicStream> {
        Mqtt(from.open(self.server.addresses[1]))
    }

    fn client(&self, from: &QuicClient, name: &str) -> Mqtt<QuicStream> {
        let mut client = self.open(from);
        client.connect(name, 0, &[]);
        client
    }

    fn tcp(&self, name: &str) -> Mqtt<TcpStream> {
        let stream = TcpStream::connect(self.server.addresses[0]).expect("a connection");
        let patience = Some(common::PATIENCE);
        stream.set_read_timeout(patience).expect("a time limit");
        let mut client = Mqtt(stream);
        client.connect(name, 0, &[]);
        client
    }
}

/// A client of MQTT 3.1.1.
struct Mqtt<S>(S);

impl<S: Read + Write> Mqtt<S> {
    fn send(&mut self, first: u8, body: &[&[u8]]) {
        let mut packet = vec![first];
        let mut length: usize = body.iter().map(|part| part.len()).sum();
        loop {
            let more = if length > 127 { 0x80 } else { 0 };
            packet.push((length % 128) as u8 | more);
            length /= 128;
            if length == 0 {
                break;
            }
        }
        packet.extend(body.concat());
        self.0.write_all(&packet).expect("the packet goes");
    }

    /// The next packet; none at the end.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).ok()?;
        let first = byte[0];
        let (mut length, mut shift) = (0, 0);
        loop {
            self.0.read_exact(&mut byte).expect("the length");
            length |= usize::from(byte[0] & 0x7f) << shift;
            shift += 7;
            if byte[0] & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the packet");
        Some((first, body))
    }

    fn expect(&mut self, first: u8, body: &[u8]) {
        let (found, came) = self.next().expect("a packet");
        assert_eq!((found, &came[..]), (first, body));
    }

    /// `will` is a topic whose message is empty.
    fn connect(&mut self, name: &str, keep_alive: u16, will: &[u8]) {
        let flags = if will.is_empty() { 2 } else { 6 };
        let will = match will {
            [] => Vec::new(),
            topic => [&text(topic)[..], &[0, 0]].concat(),
        };
        self.send(
            0x10,
            &[
                b"\x00\x04MQTT\x04",
                &[flags],
                &keep_alive.to_be_bytes(),
                &text(name.as_bytes()),
                &will,
            ],
        );
        self.expect(0x20, &[0, 0]);
    }

    fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(0x82, &[&[0, 1], &text(filter.as_bytes()), &[qos]]);
        self.expect(0x90, &[0, 1, qos]);
    }

    /// Publishes and takes what acknowledges it.
    fn publish(&mut self, topic: &str, payload: &[u8], qos: u8) {
        let id: &[u8] = if qos == 0 { &[] } else { &[0, 9] };
        self.send(0x30 | qos << 1, &[&text(topic.as_bytes()), id, payload]);
        match qos {
            0 => {}
            1 => self.expect(0x40, id),
            _ => {
                self.expect(0x50, id);
                self.send(0x62, &[id]);
                self.expect(0x70, id);
            }
        }
    }

    /// Takes a message, acknowledges it, and returns its payload.
    fn message(&mut self, topic: &str, qos: u8) -> Vec<u8> {
        let (first, body) = self.next().expect("a packet");
        assert_eq!(first, 0x30 | qos << 1);
        let body = body.strip_prefix(&text(topic.as_bytes())[..]);
        let body = body.expect("the topic");
        let (id, payload) = body.split_at(if qos == 0 { 0 } else { 2 });
        match qos {
            0 => {}
            1 => self.send(0x40, &[id]),
            _ => {
                self.send(0x50, &[id]);
                self.expect(0x62, id);
                self.send(0x70, &[id]);
            }
        }
        payload.to_vec()
    }

    /// Whether the server has ended the connection.
    fn has_ended(&mut self) -> bool {
        self.next().is_none()
    }
}

/// A string of MQTT.
fn text(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short enough");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn messages_go_between_quic_and_tcp_at_each_quality() {
    let setting = Setting::plain("qualities");
    let from = setting.from();
    let mut over_quic = setting.client(&from, "over-quic");
    let mut other = setting.client(&from, "other");
    let mut over_tcp = setting.tcp("over-tcp");
    for qos in 0..=2 {
        let topic = format!("quality/{qos}");
        over_quic.subscribe(&topic, qos);
        over_tcp.subscribe(&topic, qos);
        for size in [0, 1, 1000, 1_000_000] {
            let payload: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
            other.publish(&topic, &payload, qos);
            assert!(over_quic.message(&topic, qos) == payload);
            assert!(over_tcp.message(&topic, qos) == payload);
        }
    }
    for client in [&mut over_quic, &mut other] {
        client.send(0xe0, &[]);
        assert!(client.has_ended());
    }
}

#[test]
fn a_slow_subscriber_gets_all_and_holds_up_nobody() {
    const MESSAGES: usize = 100;
    let setting = Setting::plain("slow");
    let mut slow = setting.client(&setting.from(), "slow");
    slow.subscribe("many", 0);
    let mut publisher = setting.tcp("publisher");
    // More than pipe and windows hold.
    for number in 0..MESSAGES {
        publisher.publish("many", &vec![number as u8; 10_000], 0);
    }
    publisher.send(0xc0, &[]);
    publisher.expect(0xd0, &[]);
    for number in 0..MESSAGES {
        assert!(slow.message("many", 0) == vec![number as u8; 10_000]);
    }
}

#[test]
fn limits_hold_as_by_other_doors() {
    let limits = "[limits]\npacket_size = \"2KiB\"\nconnect_packet_size = \"1KiB\"\nconnect_deadline = \"2s\"\n";
    let mut setting = Setting::new("limits", ["", "connections = 1", limits]);
    let from = setting.from();
    let mut only = setting.client(&from, "only");
    from.connect(setting.server.addresses[1])
        .expect_err("the place is taken");
    only.publish("a", &[0; 1000], 1);
    only.send(0x30, &[&[0; 4096]]);
    assert!(only.has_ended());
    setting.server.line("client disconnected");
    // Silence ends with the deadline, and so does a connection without a stream.
    assert!(setting.open(&from).has_ended());
    let without = from.connect(setting.server.addresses[1]);
    from.end_of(&without.expect("the place is free again"));
    let mut quiet = setting.open(&from);
    quiet.connect("quiet", 1, &[]);
    assert!(quiet.has_ended(), "it kept nothing alive");
}

#[test]
fn s78_denied_addresses_and_clients_without_a_certificate_stay_out() {
    let denied = Setting::new("denied", ["", "deny = [\"127.0.0.0/8\"]", ""]);
    let from = denied.from();
    from.connect(denied.server.addresses[1])
        .expect_err("its address is denied");
    let certificate = "[[authentication]]\ntype = \"certificate\"\nlisteners = [\"quic-0\"]\n\
                       [[rule]]\nallow = \"all\"\ntopics = [\"${username}/#\"]\n";
    let setting = Setting::new("required", ["", "client_ca = \"CA\"", certificate]);
    let address = setting.server.addresses[1];
    let nobody = setting.from();
    if let Ok(connection) = nobody.connect(address) {
        nobody.end_of(&connection);
    }
    let pair = setting.authority.client("meter-7", 7);
    let known = QuicClient::new(&TlsClient::new(&setting.authority, Some(&pair)));
    let mut client = Mqtt(known.open(address));
    client.connect("c", 0, &[]);
    client.subscribe("meter-7/a", 1);
    client.send(0x82, &[&[0, 2], &text(b"meter-8/a"), &[1]]);
    client.expect(0x90, &[0, 2, 0x80]);
}

#[test]
fn a_client_that_is_killed_leaves_its_will() {
    let setting = Setting::plain("killed");
    let mut heir = setting.tcp("heir");
    heir.subscribe("will", 0);
    let from = setting.from();
    let mut dies = setting.open(&from);
    dies.connect("dies", 1, b"will");
    from.vanish(dies.0);
    assert_eq!(heir.message("will", 0), b"");
}

#[test]
fn s73_a_certificate_is_renewed_while_clients_stay() {
    let mut setting = Setting::plain("renewed");
    let mut before = setting.client(&setting.from(), "before");
    let other = Authority::new("others");
    setting.files.pair("server", &other.server(&["localhost"]));
    setting
        .server
        .line("certificates read again: new connections see them");
    let from = QuicClient::new(&TlsClient::new(&other, None));
    setting.client(&from, "after");
    assert!(setting.from().connect(setting.server.addresses[1]).is_err());
    before.send(0xc0, &[]);
    before.expect(0xd0, &[]);
}

#[test]
fn the_end_of_the_server_is_heard() {
    let mut setting = Setting::plain("end");
    let from = setting.from();
    let mut client = setting.client(&from, "client");
    setting.server.signal(Signal::TERM);
    assert!(client.has_ended());
    from.end_of(&client.0.connection);
    setting.server.line("ended");
    assert!(setting.server.end().success());
}
