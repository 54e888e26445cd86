//! MQTT over WebSocket with real sockets.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use common::web::{REQUEST, Web, frame};
use common::{Client, FEW, LOOPBACK, Mail, PATIENCE, Server, pattern};
use net::{ListenerConfig, Network, ProxyProtocol, WebSocket};

fn server() -> Server {
    Server::listening(2, &[listener()])
}

fn listener() -> ListenerConfig {
    ListenerConfig {
        websocket: Some(WebSocket::default()),
        ..ListenerConfig::new(LOOPBACK)
    }
}

fn open(server: &Server) -> Web<TcpStream> {
    Web::open(server.connect(0))
}

#[test]
fn lines_come_and_go_in_frames() {
    let server = server();
    let mut client = Client::with(open(&server));
    assert_eq!(client.ask("echo hello"), "hello");
    for worker in [1, 0, 1] {
        // A move keeps half a line, which here is half a frame.
        let text = format!("move {worker}\nwhere\necho a");
        client.send(&text);
        assert_eq!(client.line(), format!("worker {worker}"));
        let stream = &mut client.reader.get_mut().stream;
        let rest = frame(0x82, b"b\n");
        stream.write_all(&rest[..5]).unwrap();
        stream.write_all(&rest[5..]).unwrap();
        assert_eq!(client.line(), "ab");
    }
    drop(client);
    server.drain();
}

#[test]
fn one_frame_for_each_flush() {
    let server = Server::listening(1, &[listener()]);
    let mut web = open(&server);
    web.send(&frame(0x82, b"echo one\necho two\necho three\n"));
    assert_eq!(web.frame(), (0x82, b"one\ntwo\nthree\n".to_vec()));
    drop(web);
    server.drain();
}

#[test]
fn s85_a_line_over_many_frames_and_many_lines_in_one() {
    let server = server();
    let mut web = open(&server);
    let line = format!("echo {}\n", "x".repeat(994));
    let mut bytes = Vec::new();
    for byte in line.as_bytes() {
        bytes.extend(frame(0x82, &[*byte]));
        bytes.extend(frame(0x82, b""));
    }
    web.send(&bytes);
    web.send(&frame(0x82, "echo y\n".repeat(1000).as_bytes()));
    let mut answer = vec![0; 995 + 2000];
    web.read_exact(&mut answer).unwrap();
    assert_eq!(
        answer,
        format!("{}\n{}", "x".repeat(994), "y\n".repeat(1000)).as_bytes()
    );
    drop(web);
    server.drain();
}

#[test]
fn what_follows_the_request_at_once_is_not_lost() {
    let server = server();
    let mut stream = server.connect(0);
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(frame(0x82, b"echo early\n"));
    // The request comes in two pieces, the second with the frame.
    stream.write_all(&bytes[..100]).unwrap();
    stream.write_all(&bytes[100..]).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x82\x06early\n");
    drop(stream);
    server.drain();
}

#[test]
fn s84_wrong_frames_end_with_their_code() {
    let server = server();
    let unmasked = b"\x82\x05hello".to_vec();
    let mut long = vec![0x82, 0xff];
    long.extend((1u64 << 40).to_be_bytes());
    long.extend([0; 4]);
    let table = [
        (1003, frame(0x81, b"text")),
        (1002, unmasked),
        (1002, frame(0xc2, b"compressed?")),
        (1002, frame(0x83, b"")),
        (1002, frame(0x09, b"half a ping")),
        (1002, frame(0x89, &[0; 126])),
        (1002, frame(0x80, b"")),
        (1009, long),
    ];
    let count = table.len() as u64;
    for (code, bytes) in table {
        let mut web = open(&server);
        // What came before still counts.
        web.send(&frame(0x82, b"echo heard\n"));
        assert_eq!(web.frame(), (0x82, b"heard\n".to_vec()));
        web.send(&bytes);
        assert_eq!(web.close_code(), code, "{bytes:x?}");
    }
    assert_eq!(
        server
            .runtime
            .counters()
            .listener(0)
            .unwrap()
            .websocket_refused(),
        count
    );
    server.drain();
}

#[test]
fn s87_pings_are_answered_and_a_flood_costs_nothing() {
    let server = Server::listening(1, &[listener()]);
    let mut web = open(&server);
    web.send(&frame(0x89, b"there?"));
    assert_eq!(web.frame(), (0x8a, b"there?".to_vec()));
    // Nobody reads the answers; what comes afterwards must still come.
    let pings = frame(0x89, &[b'p'; 125]).repeat(500);
    for _ in 0..200 {
        web.send(&pings);
    }
    web.send(&frame(0x82, b"echo after\n"));
    let mut pongs = 0;
    loop {
        match web.frame() {
            (0x8a, payload) => {
                assert_eq!(payload, [b'p'; 125]);
                pongs += 1;
            }
            (0x82, payload) => {
                assert_eq!(payload, b"after\n");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(
        pongs < 100_000,
        "one answer for what was read at once, not {pongs}"
    );
    drop(web);
    server.drain();
}

#[test]
fn closing_takes_both_sides() {
    let server = server();
    // The client begins: its code comes back.
    let mut web = open(&server);
    web.send(&frame(0x88, b"\x03\xe9going away"));
    assert_eq!(web.close_code(), 1001);
    // The server begins, after its last packet.
    let mut web = open(&server);
    web.send(&frame(0x82, b"close bye\n"));
    assert_eq!(web.frame(), (0x82, b"bye\n".to_vec()));
    assert_eq!(web.frame(), (0x88, vec![3, 0xe8]));
    web.send(&frame(0x88, b"\x03\xe8"));
    let mut rest = Vec::new();
    web.stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    // The client is gone without a word.
    let mut other = Client::with(open(&server));
    drop(open(&server));
    other.ask_until("count", "1");
    assert_eq!(server.runtime.counters().cut_short(), 0);
    drop(other);
    server.drain();
}

#[test]
fn s83_s88_requests_that_are_refused() {
    let server = server();
    let ask = |request: &str| {
        let mut stream = server.connect(0);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("MQTT over WebSocket"), "{answer}");
    for (status, from, to) in [
        ("404", "/mqtt", "/other"),
        ("405", "GET", "PUT"),
        (
            "403",
            "\r\n\r\n",
            "\r\nOrigin: https://evil.example\r\n\r\n",
        ),
        ("400", "Protocol: mqtt", "Protocol: chat"),
    ] {
        let answer = ask(&REQUEST.replace(from, to));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    let huge = REQUEST.replace(
        "\r\n\r\n",
        &format!("\r\nCookie: {}\r\n\r\n", "x".repeat(64 * 1024)),
    );
    let mut stream = server.connect(0);
    // The server may have closed before all of it is sent.
    let _ = stream.write_all(huge.as_bytes());
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 400");
    let mut client = Client::with(open(&server));
    assert_eq!(client.ask("echo alive"), "alive");
    drop((stream, client));
    server.drain();
}

#[test]
fn s82_other_protocols_on_a_websocket_port() {
    let server = server();
    for (bytes, notice) in [
        (
            &b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"[..],
            "looks_like: Tls",
        ),
        (
            b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
            "looks_like: Mqtt",
        ),
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n\r\n",
            "looks_like: Proxy",
        ),
    ] {
        let mut stream = server.connect(0);
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        if let Err(error) = stream.read_to_end(&mut rest) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        assert_eq!(rest, b"");
        server.await_notice(notice);
    }
    server.drain();
}

#[test]
fn a_slow_reader_gets_whole_frames_and_holds_up_nobody() {
    const BYTES: usize = 24 * 1024 * 1024;
    let server = Server::listening(1, &[listener()]);
    let mut slow = open(&server);
    slow.send(&frame(0x82, format!("burst {BYTES}\n").as_bytes()));
    let mut other = Client::with(open(&server));
    let start = Instant::now();
    while other.number("stalls") == 0 {
        assert!(start.elapsed() < PATIENCE, "the socket takes 24 MiB");
    }
    // A pong must not come into the middle of a frame.
    slow.send(&frame(0x89, b"middle"));
    while other.turns_while_idle() > FEW {
        assert!(start.elapsed() < PATIENCE, "it spins over a full socket");
    }
    let (mut place, mut pongs) = (0, 0);
    while place < BYTES {
        let (first, payload) = slow.frame();
        if first == 0x8a {
            assert_eq!(payload, b"middle");
            pongs += 1;
            continue;
        }
        for byte in payload {
            assert_eq!(byte, pattern(place));
            place += 1;
        }
    }
    assert_eq!(pongs, 1);
    drop((slow, other));
    server.drain();
}

#[test]
fn a_close_with_much_output_is_one_last_frame() {
    const BYTES: usize = 4 * 1024 * 1024;
    let server = server();
    let mut web = open(&server);
    web.send(&frame(0x82, format!("burstclose {BYTES}\n").as_bytes()));
    let mut bytes = Vec::new();
    web.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), BYTES);
    assert!(
        bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| *byte == pattern(place))
    );
    drop(web);
    server.drain();
}

#[test]
fn mail_reaches_web_sockets_of_all_workers() {
    let server = server();
    let mut clients: Vec<_> = (0..10).map(|_| Client::with(open(&server))).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        let worker = place % 2;
        assert_eq!(
            client.ask(&format!("move {worker}\nwhere")),
            format!("worker {worker}")
        );
    }
    for worker in 0..2 {
        server.mail(worker, Mail::All("news".into()));
    }
    for client in &mut clients {
        assert_eq!(client.line(), "news");
    }
    drop(clients);
    server.drain();
}

#[test]
fn s87_without_the_end_of_the_request_the_core_s_deadline_holds() {
    // The core is told of the link when it is accepted, and may close it whatever its transport
    // waits for.
    let server = Server::listening(1, &[listener()]);
    let mut stream = server.connect(0);
    stream.write_all(&REQUEST.as_bytes()[..50]).unwrap();
    let mut other = Client::with(open(&server));
    other.ask_until("count", "2");
    drop(other);
    server.mail(0, Mail::Drain);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"", "nothing that is no HTTP");
    stream.shutdown(Shutdown::Both).unwrap();
    server.runtime.join().unwrap();
}

#[test]
fn s89_behind_a_proxy_and_x_forwarded_for_is_ignored() {
    let trusted = Network::new("127.0.0.0".parse().unwrap(), 8).unwrap();
    let config = ListenerConfig {
        proxy: ProxyProtocol::From(vec![trusted]),
        ..listener()
    };
    let server = Server::listening(1, &[config, listener()]);
    let mut stream = server.connect(0);
    stream
        .write_all(b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 8083\r\n")
        .unwrap();
    let mut client = Client::with(Web::open(stream));
    assert_eq!(client.ask("peer"), "192.0.2.7:40000");

    let mut stream = server.connect(1);
    let own = stream.local_addr().unwrap().to_string();
    let request = REQUEST.replace("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(&frame(0x82, b"peer\n")).unwrap();
    let mut answer = String::new();
    let mut head = [0; 1024];
    while !answer.contains(&own) {
        let count = stream.read(&mut head).unwrap();
        assert!(count > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&head[..count]));
    }
    drop((client, stream));
    server.drain();
}
