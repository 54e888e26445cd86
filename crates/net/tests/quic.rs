//! Listeners for QUIC, with clients of QUIC.

#![cfg(all(unix, feature = "quic"))]

mod common;

use std::io::Read;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::pki::{Authority, Files, Pair, TlsClient, door};
use common::quic::{QuicClient, QuicStream};
use common::{Client, LineCore, Mail, PATIENCE, Server, pattern};
use net::{Address, ClientAuth, HandshakeFailure, Listener, ListenerConfig, ServerTls, TlsDoor};
use quinn::ConnectionError;

/// A server that listens for QUIC, and its authority.
struct Setting {
    authority: Authority,
    files: Files,
    door: TlsDoor,
    server: Server,
    address: SocketAddr,
}

impl Setting {
    fn new(adapt: fn(LineCore) -> LineCore, how: impl FnOnce(&mut ListenerConfig)) -> Self {
        let authority = Authority::new("tests");
        Self::with(authority, |_, _| ClientAuth::Off, adapt, how)
    }

    fn plain() -> Self {
        Self::new(|core| core, |_| {})
    }

    fn with(
        authority: Authority,
        client: impl FnOnce(&Files, &Authority) -> ClientAuth,
        adapt: fn(LineCore) -> LineCore,
        how: impl FnOnce(&mut ListenerConfig),
    ) -> Self {
        let files = Files::new();
        let client = client(&files, &authority);
        let door = door(&files.server(&authority.server(&["localhost"]), client));
        let mut config = quic(&door);
        how(&mut config);
        let server = Server::build(2, &[config], adapt);
        let address = server.addresses[0].udp().unwrap();
        Self {
            authority,
            files,
            door,
            server,
            address,
        }
    }

    fn client(&self) -> QuicClient {
        QuicClient::new(&TlsClient::new(&self.authority, None))
    }

    fn client_with(&self, pair: &Pair) -> QuicClient {
        QuicClient::new(&TlsClient::new(&self.authority, Some(pair)))
    }

    fn open(&self, client: &QuicClient) -> Client<QuicStream> {
        Client::with(client.open(self.address))
    }

    fn failed(&self, why: HandshakeFailure) -> u64 {
        let counters = self.server.runtime.counters();
        counters.listener(0).unwrap().handshakes_failed(why)
    }

    /// Waits until another handshake has failed than those `before`.
    fn await_failed(&self, why: HandshakeFailure, before: u64) {
        let start = Instant::now();
        while self.failed(why) == before {
            assert!(start.elapsed() < PATIENCE, "no {} more", why.name());
            std::thread::yield_now();
        }
        assert_eq!(self.failed(why), before + 1);
    }
}

fn quic(door: &TlsDoor) -> ListenerConfig {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    ListenerConfig {
        tls: Some(door.clone()),
        ..ListenerConfig::new(Address::Udp(address))
    }
}

#[test]
fn a_stream_is_a_link_like_any_other() {
    let setting = Setting::plain();
    let from = setting.client();
    let mut client = setting.open(&from);
    assert_eq!(client.ask("echo hello"), "hello");
    let own = from.endpoint.local_addr().unwrap();
    assert_eq!(client.ask("peer"), own.to_string());
    for worker in [1, 0, 1] {
        client.send(&format!("move {worker}\n"));
        assert_eq!(client.ask("where"), format!("worker {worker}"));
    }
    let few = client.turns_while_idle();
    assert!(few < common::FEW, "{few} turns");
    let counters = setting.server.runtime.counters();
    assert_eq!(counters.listener(0).unwrap().handshakes_full(), 1);
    assert_eq!(counters.accepted(), 1);
}

#[test]
fn a_flood_arrives_whole_and_a_slow_reader_holds_only_itself_up() {
    const BYTES: usize = 8_000_000;
    let setting = Setting::plain();
    let from = setting.client();
    let mut slow = setting.open(&from);
    slow.send(&format!("move 0\nburst {BYTES}\n"));
    let mut other = setting.open(&from);
    other.send("move 0\n");
    other.ask_until("stalls", "1");
    let mut found = vec![0; BYTES];
    slow.reader.read_exact(&mut found).unwrap();
    assert!(
        (0..)
            .zip(&found)
            .all(|(place, byte)| *byte == pattern(place))
    );
}

#[test]
fn a_worker_that_does_not_read_stops_the_client() {
    const BYTES: usize = 4_000_000;
    let setting = Setting::plain();
    let mut client = setting.open(&setting.client());
    client.send("move 0\n");
    assert_eq!(client.ask("pause"), "paused");
    let mut bytes = b"echo ".to_vec();
    bytes.resize(BYTES - 1, b'x');
    bytes.push(b'\n');
    let written = client.reader.get_mut().write_what_goes(&bytes);
    assert!(written < 1_000_000, "{written} bytes went");
    setting.server.mail(0, Mail::Resume);
    let stream = client.reader.get_mut();
    std::io::Write::write_all(stream, &bytes[written..]).unwrap();
    assert_eq!(client.line().len(), BYTES - "echo \n".len());
}

#[test]
fn the_last_bytes_arrive_before_the_end() {
    const BYTES: usize = 150_000;
    let setting = Setting::plain();
    let from = setting.client();
    let mut client = setting.open(&from);
    client.send(&format!("burstclose {BYTES}\n"));
    let mut found = Vec::new();
    client.reader.read_to_end(&mut found).unwrap();
    assert_eq!(found.len(), BYTES);
    assert!(
        (0..)
            .zip(&found)
            .all(|(place, byte)| *byte == pattern(place))
    );
    let ended = from.end_of(&client.reader.get_ref().connection);
    assert!(
        matches!(&ended, ConnectionError::ApplicationClosed(close) if close.error_code == 0u32.into()),
        "{ended}"
    );
}

#[test]
fn a_client_that_goes_is_gone() {
    let setting = Setting::new(
        |core| core,
        |how| {
            how.unreachable_after = Some(Duration::from_secs(1));
        },
    );
    let from = setting.client();
    let mut watcher = setting.open(&from);
    watcher.send("move 0\n");
    let mut ends = setting.open(&from);
    ends.send("move 0\n");
    ends.ask_until("count", "2");
    ends.reader.get_mut().finish();
    watcher.ask_until("count", "1");
    let mut closes = setting.open(&from);
    closes.send("move 0\n");
    closes.ask_until("count", "2");
    closes.reader.get_ref().connection.close(9u32.into(), b"");
    watcher.ask_until("count", "1");
    // Nobody is there to say goodbye.
    let vanishes = setting.client();
    let mut vanished = setting.open(&vanishes);
    vanished.send("move 0\n");
    vanished.ask_until("count", "2");
    vanishes.vanish(vanished.reader.into_inner());
    watcher.ask_until("count", "1");
}

#[test]
fn an_address_may_change() {
    let setting = Setting::plain();
    let from = setting.client();
    let mut client = setting.open(&from);
    let peer = client.ask("peer");
    from.move_away();
    assert_ne!(from.endpoint.local_addr().unwrap().to_string(), peer);
    assert_eq!(client.ask("peer"), peer);
    assert_eq!(client.ask("echo still here"), "still here");
    assert_eq!(setting.server.runtime.counters().accepted(), 1);
}

#[test]
fn who_has_no_place_hears_so_before_the_handshake() {
    let setting = Setting::new(|core| core.with_most(0), |_| {});
    let refused = setting.client().connect(setting.address).unwrap_err();
    assert!(
        matches!(&refused, ConnectionError::ConnectionClosed(_)),
        "{refused}"
    );
    assert_eq!(setting.server.runtime.counters().refused(), 1);
    for why in HandshakeFailure::ALL {
        assert_eq!(setting.failed(why), 0, "{}", why.name());
    }
}

#[test]
fn s78_who_must_show_a_certificate_shows_a_good_one() {
    let other = Authority::new("others");
    let setting = Setting::with(
        Authority::new("tests"),
        |files, authority| ClientAuth::Required(files.clients_of(authority, &[])),
        |core| core,
        |_| {},
    );
    let good = setting.authority.client("meter-7", 7);
    let mut client = setting.open(&setting.client_with(&good));
    assert_eq!(client.ask("names"), "meter-7");
    client.send("move 1\n");
    assert_eq!(client.ask("names"), "meter-7");
    let stranger = other.client("meter-7", 7);
    let server = setting.authority.server(&["meter-7"]);
    for (client, why) in [
        (setting.client(), HandshakeFailure::NoCertificate),
        (
            setting.client_with(&stranger),
            HandshakeFailure::BadCertificate,
        ),
        (
            setting.client_with(&server),
            HandshakeFailure::BadCertificate,
        ),
    ] {
        let before = setting.failed(why);
        // In TLS 1.3 the client is done before the server has looked at its certificate.
        if let Ok(connection) = client.connect(setting.address) {
            let ended = client.end_of(&connection);
            assert!(
                matches!(ended, ConnectionError::ConnectionClosed(_)),
                "{ended}"
            );
        }
        setting.server.await_notice(&format!("class: {why:?}"));
        setting.await_failed(why, before);
    }
}

#[test]
fn s73_a_new_certificate_is_for_new_connections() {
    let setting = Setting::plain();
    let mut before = setting.open(&setting.client());
    assert_eq!(before.ask("echo before"), "before");
    let other = Authority::new("others");
    let pair = other.server(&["localhost"]);
    let files = setting.files.server(&pair, ClientAuth::Off);
    setting.door.swap(ServerTls::load(&files).unwrap());
    let renewed = QuicClient::new(&TlsClient::new(&other, None));
    let mut after = setting.open(&renewed);
    assert_eq!(after.ask("echo after"), "after");
    let outdated = setting.client().connect(setting.address);
    assert!(outdated.is_err(), "it trusts the former authority");
    setting.server.await_notice("class: Alert");
    assert_eq!(before.ask("echo still"), "still");
}

#[test]
fn s81_who_is_revoked_while_connected_goes() {
    let setting = Setting::with(
        Authority::new("tests"),
        |files, authority| ClientAuth::Required(files.clients_of(authority, &[])),
        |core| core,
        |_| {},
    );
    let mut stays = setting.open(&setting.client_with(&setting.authority.client("good", 1)));
    let mut goes = setting.open(&setting.client_with(&setting.authority.client("bad", 2)));
    assert_eq!(stays.ask("names"), "good");
    assert_eq!(goes.ask("names"), "bad");
    let crl = setting.authority.crl(&[2], 2200);
    let ca = setting.files.clients_of(&setting.authority, &[crl]);
    let pair = setting.authority.server(&["localhost"]);
    let files = setting.files.server(&pair, ClientAuth::Required(ca));
    setting.door.swap(ServerTls::load(&files).unwrap());
    setting.server.runtime.mailboxes().recheck_certificates();
    assert_eq!(goes.line(), "");
    assert_eq!(stays.ask("echo here"), "here");
    let counters = setting.server.runtime.counters();
    assert_eq!(counters.listener(0).unwrap().certificates_withdrawn(), 1);
}

#[test]
fn only_mqtt_is_spoken() {
    let setting = Setting::plain();
    let web = QuicClient::speaking(&TlsClient::new(&setting.authority, None), b"h3");
    let refused = web.connect(setting.address).unwrap_err();
    assert!(refused.to_string().contains("error 120"), "{refused}");
    setting.server.await_notice("class: Incompatible");
    let mut client = setting.open(&setting.client());
    client.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.line(), "");
    setting.server.await_notice("Foreign");
}

#[test]
fn draining_lets_clients_hear_the_last_packet() {
    let setting = Setting::plain();
    let from = setting.client();
    let idle = from.connect(setting.address).unwrap();
    let mut client = setting.open(&from);
    assert_eq!(client.ask("echo hello"), "hello");
    setting.server.drain();
    assert_eq!(client.line(), "drained");
    from.end_of(&idle);
}

#[test]
fn listeners_come_and_go() {
    let setting = Setting::plain();
    let listening = setting.server.runtime.listening();
    let tcp = ListenerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    let tcp = Listener::bind(&tcp).unwrap();
    let udp = Listener::bind(&quic(&setting.door)).unwrap();
    let (stream, datagram) = (tcp.address().tcp().unwrap(), udp.address().udp().unwrap());
    assert_eq!(listening.open(tcp).unwrap(), 1);
    assert_eq!(listening.open(udp).unwrap(), 2);
    let connect = || std::net::TcpStream::connect(stream);
    let mut over_tcp = Client::over(connect().unwrap());
    assert_eq!(over_tcp.ask("echo tcp"), "tcp");
    let from = setting.client();
    let mut over_udp = Client::with(from.open(datagram));
    assert_eq!(over_udp.ask("echo udp"), "udp");
    assert!(setting.server.runtime.counters().listener(2).is_some());
    listening.close(1);
    listening.close(2);
    // Each worker has to hear of it first.
    let start = std::time::Instant::now();
    while connect().is_ok() {
        assert!(start.elapsed() < common::PATIENCE);
    }
    assert!(setting.client().connect(datagram).is_err());
    assert_eq!(over_tcp.ask("echo tcp"), "tcp");
    assert_eq!(over_udp.ask("echo udp"), "udp");
    let mut first = setting.open(&from);
    assert_eq!(first.ask("echo first"), "first");
}

#[test]
fn without_a_certificate_there_is_no_quic() {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    assert!(Listener::bind(&ListenerConfig::new(Address::Udp(address))).is_err());
}
