//! TLS with real sockets and rustls' own client.

#![cfg(unix)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use common::pki::{Authority, Files, TlsClient, TlsStream, door};
use common::web::Web;
use common::{Client, FEW, LOOPBACK, PATIENCE, Server, pattern};
use net::{ClientAuth, HandshakeFailure, ListenerConfig, TlsDoor, WebSocket};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};

/// A server with one worker or more, and what its clients need.
struct Setup {
    server: Server,
    authority: Authority,
    #[allow(dead_code, reason = "the files live as long as the server")]
    files: Files,
}

fn listener(tls: &TlsDoor) -> ListenerConfig {
    ListenerConfig {
        tls: Some(tls.clone()),
        ..ListenerConfig::new(LOOPBACK)
    }
}

fn over_web(tls: &TlsDoor) -> ListenerConfig {
    ListenerConfig {
        websocket: Some(WebSocket::default()),
        ..listener(tls)
    }
}

/// TLS in the first place, WebSocket over TLS in the second.
fn setup(workers: u16) -> Setup {
    let authority = Authority::new("works");
    let files = Files::new();
    let pair = authority.server(&["broker.example"]);
    let tls = door(&files.server(&pair, ClientAuth::Off));
    let server = Server::listening(workers, &[listener(&tls), over_web(&tls)]);
    Setup {
        server,
        authority,
        files,
    }
}

fn connect(server: &Server, client: &TlsClient) -> Client<TlsStream> {
    Client::with(client.over(server.connect(0), "broker.example"))
}

fn kind(client: &Client<TlsStream>) -> HandshakeKind {
    client.reader.get_ref().conn.handshake_kind().unwrap()
}

/// How a client learns that it may not: an alert, or the end of the connection.
fn refused(server: &Server, place: usize, client: &TlsClient) -> String {
    let mut stream = client.over(server.connect(place), "broker.example");
    // With TLS 1.3 the client is done before the server looks at its certificate.
    let written = stream
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .and_then(|()| stream.flush());
    let read = written.and_then(|()| stream.read(&mut [0]).map(|count| assert_eq!(count, 0)));
    read.expect_err("it may not").to_string()
}

#[test]
fn lines_over_both_versions_and_moves() {
    let setup = setup(3);
    for (version, wanted) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let tls = TlsClient::of_versions(&setup.authority, None, &[version]);
        let mut client = connect(&setup.server, &tls);
        assert_eq!(client.ask("echo hello"), "hello");
        assert_eq!(
            client.reader.get_ref().conn.protocol_version(),
            Some(wanted)
        );
        assert_eq!(client.ask("names"), "no certificate");
        let own = client
            .reader
            .get_ref()
            .sock
            .local_addr()
            .unwrap()
            .to_string();
        for round in 0..30 {
            let to = round % 3;
            client.send(&format!("move {to}\nwhere\npeer\necho ro"));
            assert_eq!(client.line(), format!("worker {to}"));
            assert_eq!(client.line(), own);
            client.send("und\n");
            assert_eq!(client.line(), "round");
        }
    }
    let counters = setup.server.runtime.counters();
    assert_eq!(counters.listener(0).unwrap().handshakes_full(), 2);
    setup.server.drain();
}

#[test]
fn web_sockets_over_tls() {
    let setup = setup(2);
    let tls = TlsClient::new(&setup.authority, None);
    let mut client = Client::with(Web::open(
        tls.over(setup.server.connect(1), "broker.example"),
    ));
    assert_eq!(client.ask("echo hello"), "hello");
    for worker in [1, 0, 1] {
        assert_eq!(
            client.ask(&format!("move {worker}\nwhere")),
            format!("worker {worker}")
        );
    }
    client.send("close bye\n");
    assert_eq!(client.line(), "bye");
    assert_eq!(client.line(), "");
    drop(client);
    setup.server.drain();
}

#[test]
fn sessions_are_resumed_on_any_worker() {
    for version in [&TLS12, &TLS13] {
        let setup = setup(3);
        let tls = TlsClient::of_versions(&setup.authority, None, &[version]);
        let mut first = connect(&setup.server, &tls);
        assert_eq!(first.ask("echo first"), "first");
        assert_eq!(kind(&first), HandshakeKind::Full);
        for _ in 0..10 {
            let mut client = connect(&setup.server, &tls);
            assert_eq!(client.ask("echo again"), "again");
            assert_eq!(kind(&client), HandshakeKind::Resumed);
        }
        let counters = setup.server.runtime.counters();
        let counters = counters.listener(0).unwrap();
        assert_eq!(
            (counters.handshakes_full(), counters.handshakes_resumed()),
            (1, 10)
        );
        drop(first);
        setup.server.drain();
    }
}

#[test]
fn the_last_packet_and_the_closing_of_tls_arrive() {
    let setup = setup(1);
    let tls = TlsClient::new(&setup.authority, None);
    for _ in 0..20 {
        let mut client = connect(&setup.server, &tls);
        let mut text = "close bye\n".to_owned();
        text.extend(std::iter::repeat_n('x', 40 * 1024));
        client.send(&text);
        assert_eq!(client.line(), "bye");
        // Without close_notify, this would be an error.
        assert_eq!(client.line(), "");
    }
    const BYTES: usize = 4 * 1024 * 1024;
    let mut client = connect(&setup.server, &tls);
    client.send(&format!("burstclose {BYTES}\n"));
    let mut bytes = Vec::new();
    client.reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), BYTES);
    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| *byte == pattern(place))
    );
    // The client closes in good order.
    let mut polite = connect(&setup.server, &tls);
    assert_eq!(polite.ask("echo here"), "here");
    let stream = polite.reader.get_mut();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    assert_eq!(polite.line(), "");
    assert_eq!(setup.server.runtime.counters().cut_short(), 0);
    drop((client, polite));
    setup.server.drain();
}

#[test]
fn a_slow_reader_over_tls_loses_nothing() {
    const BYTES: usize = 24 * 1024 * 1024;
    let setup = setup(1);
    let tls = TlsClient::new(&setup.authority, None);
    let mut slow = connect(&setup.server, &tls);
    slow.send(&format!("burst {BYTES}\n"));
    let mut other = connect(&setup.server, &tls);
    let start = Instant::now();
    while other.number("stalls") == 0 {
        assert!(start.elapsed() < PATIENCE, "the socket takes 24 MiB");
    }
    while other.turns_while_idle() > FEW {
        assert!(start.elapsed() < PATIENCE, "it spins over a full socket");
    }
    let mut bytes = vec![0; BYTES];
    slow.reader.read_exact(&mut bytes).unwrap();
    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| *byte == pattern(place))
    );
    assert!(other.turns_while_idle() <= FEW);
    drop((slow, other));
    setup.server.drain();
}

#[test]
fn s74_a_hello_in_records_of_one_byte() {
    let setup = setup(1);
    let tls = TlsClient::new(&setup.authority, None);
    let name = rustls::pki_types::ServerName::try_from("broker.example").unwrap();
    let mut conn = rustls::ClientConnection::new(Arc::clone(&tls.config), name).unwrap();
    let mut hello = Vec::new();
    conn.write_tls(&mut hello).unwrap();
    let mut stream = setup.server.connect(0);
    // One byte of the message in each record, and each record in two pieces.
    for byte in &hello[5..] {
        stream.write_all(&[0x16, 3, 1]).unwrap();
        stream.write_all(&[0, 1, *byte]).unwrap();
    }
    let mut client = Client::with(rustls::StreamOwned::new(conn, stream));
    assert_eq!(client.ask("echo in"), "in");
    drop(client);
    setup.server.drain();
}

#[test]
fn s74_records_of_one_byte_and_bytes_one_by_one() {
    let setup = setup(1);
    let tls = TlsClient::new(&setup.authority, None);
    let mut client = connect(&setup.server, &tls);
    assert_eq!(client.ask("echo in"), "in");
    for byte in b"echo slowly\n" {
        // A record for each.
        client.reader.get_mut().write_all(&[*byte]).unwrap();
        client.reader.get_mut().flush().unwrap();
    }
    assert_eq!(client.line(), "slowly");
    let stream = client.reader.get_mut();
    stream.conn.writer().write_all(b"echo in pieces\n").unwrap();
    let mut record = Vec::new();
    stream.conn.write_tls(&mut record).unwrap();
    for byte in record {
        stream.sock.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.line(), "in pieces");
    drop(client);
    setup.server.drain();
}

#[test]
fn s74_a_hello_of_64_kib_is_not_kept() {
    let setup = setup(1);
    let mut stream = setup.server.connect(0);
    let mut bytes = Vec::new();
    let mut body = vec![1, 0, 0xff, 0xff];
    body.resize(4 + 0xffff, 0);
    for piece in body.chunks(16 * 1024) {
        bytes.extend([0x16, 3, 1]);
        bytes.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
        bytes.extend(piece);
    }
    // The server may have closed before all of it is sent.
    let _ = stream.write_all(&bytes);
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    setup.server.await_notice("Refused");
    setup.server.drain();
}

#[test]
fn s09_s74_half_hellos_are_kept_within_one_bound_for_all() {
    let setup = setup(1);
    // A hello of 30,000 bytes in two records, without its last bytes.
    let mut bytes = Vec::new();
    for (length, sent) in [(16_384u16, 16_384usize), (13_620, 12_000)] {
        bytes.extend([0x16, 3, 1]);
        bytes.extend(length.to_be_bytes());
        let begin = bytes.len();
        bytes.resize(begin + sent, 0);
    }
    bytes[5..9].copy_from_slice(&[1, 0, 0x75, 0x30]);
    // 600 times 28 KB are 16.5 MiB.
    let half: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = setup.server.connect(0);
            stream.write_all(&bytes).unwrap();
            stream
        })
        .collect();
    setup.server.await_notice("TooMuch");
    // Who needs nothing kept comes in.
    let mut client = connect(&setup.server, &TlsClient::new(&setup.authority, None));
    assert_eq!(client.ask("echo in"), "in");
    assert!(
        client.number("count") > 500,
        "only those beyond the bound are closed"
    );
    // What is given back can be used again.
    drop(half);
    client.ask_until("count", "1");
    let before = setup.server.notices.lock().unwrap().len();
    let mut one = setup.server.connect(0);
    one.write_all(&bytes).unwrap();
    client.ask_until("count", "2");
    assert_eq!(client.ask("echo in"), "in");
    assert_eq!(setup.server.notices.lock().unwrap().len(), before);
    drop((client, one));
    setup.server.drain();
}

#[test]
fn a_proxy_s_header_comes_before_tls() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let clients = files.clients_of(&authority, &[]);
    let pair = authority.server(&["broker.example"]);
    let tls = door(&files.server(&pair, ClientAuth::Required(clients)));
    let trusted = net::Network::new("127.0.0.0".parse().unwrap(), 8).unwrap();
    let proxied = |config| ListenerConfig {
        proxy: net::ProxyProtocol::From(vec![trusted]),
        ..config
    };
    let configs = [proxied(listener(&tls)), proxied(over_web(&tls))];
    let server = Server::listening(2, &configs);
    let meter = TlsClient::new(&authority, Some(&authority.client("meter", 1)));
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 8883\r\n";
    let mut stream = server.connect(0);
    stream.write_all(header).unwrap();
    let mut client = Client::with(meter.over(stream, "broker.example"));
    assert_eq!(client.ask("peer"), "192.0.2.7:40000");
    assert_eq!(client.ask("names"), "meter");
    let mut stream = server.connect(1);
    stream.write_all(header).unwrap();
    let mut web = Client::with(Web::open(meter.over(stream, "broker.example")));
    assert_eq!(web.ask("peer"), "192.0.2.7:40000");
    assert_eq!(web.ask("names"), "meter");
    // TLS without the header is at the wrong port.
    refused(&server, 0, &meter);
    server.await_notice("looks_like: Tls");
    drop((client, web));
    server.drain();
}

#[test]
fn s74_a_stalled_handshake_is_the_core_s_to_end_and_holds_up_nobody() {
    let setup = setup(1);
    let tls = TlsClient::new(&setup.authority, None);
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let mut stream = setup.server.connect(0);
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
        stalled.push(stream);
    }
    let mut client = connect(&setup.server, &tls);
    client.ask_until("count", "51");
    assert!(
        client.turns_while_idle() <= FEW,
        "it spins over half a hello"
    );
    stalled.pop();
    client.ask_until("count", "50");
    let counters = setup.server.runtime.counters();
    let counters = counters.listener(0).unwrap();
    assert_eq!(counters.handshakes_failed(HandshakeFailure::CutOff), 1);
    drop(client);
    // The others are closed by the core.
    setup.server.mail(0, common::Mail::Drain);
    for mut stream in stalled {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
    setup.server.runtime.join().unwrap();
    assert_eq!(counters.handshakes_failed(HandshakeFailure::CutOff), 50);
}

#[test]
fn a_storm_of_handshakes_leaves_room_for_others() {
    let setup = setup(1);
    let tls = TlsClient::new(&setup.authority, None);
    let mut calm = connect(&setup.server, &tls);
    assert_eq!(calm.ask("echo calm"), "calm");
    // All hellos are there before the first is looked at by more than a few turns.
    let name = || rustls::pki_types::ServerName::try_from("broker.example").unwrap();
    let mut storm: Vec<TlsStream> = (0..200)
        .map(|_| {
            let config = TlsClient::new(&setup.authority, None).config;
            let mut conn = rustls::ClientConnection::new(config, name()).unwrap();
            let mut stream = setup.server.connect(0);
            conn.write_tls(&mut stream).unwrap();
            rustls::StreamOwned::new(conn, stream)
        })
        .collect();
    let before = calm.number("turns");
    for stream in &mut storm {
        stream.write_all(b"echo in\n").unwrap();
    }
    assert!(calm.number("turns") >= before, "it answers between");
    for stream in &mut storm {
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"in\n");
    }
    // 200 handshakes of two steps, eight in a turn.
    assert!(
        calm.number("turns") - 2 >= 200 / 8,
        "they are spread over turns"
    );
    assert_eq!(
        setup
            .server
            .runtime
            .counters()
            .listener(0)
            .unwrap()
            .handshakes_full(),
        201
    );
    drop((calm, storm));
    setup.server.drain();
}

#[test]
fn s82_other_protocols_on_a_tls_port() {
    let setup = setup(1);
    for (bytes, notice) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            "looks_like: Http",
        ),
        (
            b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
            "looks_like: Mqtt",
        ),
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "looks_like: Proxy",
        ),
        (
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
            "looks_like: Ssl2",
        ),
        (b"\x16\x03\x01\x00\x04\xff\x00\x00\x00", "class: Protocol"),
        (b"nonsense of some length", "class: Protocol"),
    ] {
        let mut stream = setup.server.connect(0);
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        setup.server.await_notice(notice);
    }
    setup.server.drain();
}

#[test]
fn versions_before_the_oldest_are_refused() {
    let authority = Authority::new("works");
    let files = Files::new();
    let mut only_13 = files.server(&authority.server(&["broker.example"]), ClientAuth::Off);
    only_13.oldest = net::TlsVersion::Tls13;
    let server = Server::listening(1, &[listener(&door(&only_13))]);
    let old = TlsClient::of_versions(&authority, None, &[&TLS12]);
    refused(&server, 0, &old);
    let counters = server.runtime.counters();
    let counters = counters.listener(0).unwrap();
    assert_eq!(
        counters.handshakes_failed(HandshakeFailure::Incompatible),
        1
    );
    let mut client = connect(&server, &TlsClient::new(&authority, None));
    assert_eq!(client.ask("echo in"), "in");
    drop(client);
    server.drain();
}

#[test]
fn a_client_that_does_not_trust_us_is_counted() {
    let setup = setup(1);
    let stranger = Authority::new("elsewhere");
    refused(&setup.server, 0, &TlsClient::new(&stranger, None));
    setup.server.await_notice("class: Alert");
    let counters = setup.server.runtime.counters();
    assert_eq!(
        counters
            .listener(0)
            .unwrap()
            .handshakes_failed(HandshakeFailure::Alert),
        1
    );
    setup.server.drain();
}

#[test]
fn s80_names_choose_certificates_and_nothing_else() {
    let authority = Authority::new("works");
    let files = Files::new();
    let mut tls = files.server(&authority.server(&["broker.example"]), ClientAuth::Off);
    tls.certificates.push(files.pair(
        "other",
        &authority.server(&["other.example", "*.wild.example"]),
    ));
    let lenient = door(&tls);
    tls.unknown_name = net::UnknownName::Refuse;
    let strict = door(&tls);
    let server = Server::listening(1, &[listener(&lenient), listener(&strict)]);
    let tls = TlsClient::new(&authority, None);
    let shown = |place: usize, name: &str| {
        let mut client = Client::with(tls.over(server.connect(place), name));
        client.reader.get_mut().write_all(b"echo in\n")?;
        client.reader.get_mut().flush()?;
        let mut answer = [0; 3];
        client.reader.read_exact(&mut answer)
    };
    for place in 0..2 {
        for name in ["broker.example", "OTHER.example", "a.wild.example"] {
            shown(place, name).unwrap();
        }
    }
    // The client sees the default's name, and that it is not what it asked for.
    let error = shown(0, "unknown.example").unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    let error = shown(0, "127.0.0.1").unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    for name in ["unknown.example", "a.b.wild.example", "127.0.0.1"] {
        let error = shown(1, name).unwrap_err().to_string();
        assert!(
            error.contains("AccessDenied") || error.contains("UnrecognisedName"),
            "{error}"
        );
    }
    server.drain();
}

#[test]
fn a_client_that_is_cut_in_the_handshake_leaves_nothing() {
    let setup = setup(1);
    let name = rustls::pki_types::ServerName::try_from("broker.example").unwrap();
    let config = TlsClient::new(&setup.authority, None).config;
    for _ in 0..100 {
        let mut conn = rustls::ClientConnection::new(Arc::clone(&config), name.clone()).unwrap();
        let mut stream: TcpStream = setup.server.connect(0);
        conn.write_tls(&mut stream).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    let mut client = connect(&setup.server, &TlsClient::new(&setup.authority, None));
    client.ask_until("count", "1");
    assert!(client.turns_while_idle() <= FEW);
    drop(client);
    setup.server.drain();
}
