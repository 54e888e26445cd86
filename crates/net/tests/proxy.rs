//! Listeners behind proxies, and peers at the wrong port.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use common::{Client, LOOPBACK, Server, patient};
use net::{ListenerConfig, Network, ProxyProtocol};

fn behind(networks: &[(&str, u8)]) -> ListenerConfig {
    let networks = networks
        .iter()
        .map(|(address, bits)| Network::new(address.parse().unwrap(), *bits).unwrap());
    ListenerConfig {
        proxy: ProxyProtocol::From(networks.collect()),
        ..ListenerConfig::new(LOOPBACK)
    }
}

/// All that comes until the end, by close or reset.
fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    bytes
}

#[test]
fn the_core_sees_whom_the_proxy_speaks_for() {
    let server = Server::listening(2, &[behind(&[("127.0.0.0", 8)])]);
    let header = "PROXY TCP4 192.0.2.7 10.0.0.1 40000 1883\r\n";
    // The header whole, with the first command behind it, and byte by byte.
    let mut client = server.client();
    client.send(&format!("{header}peer\n"));
    assert_eq!(client.line(), "192.0.2.7:40000");
    let mut slow = server.client();
    for byte in header.as_bytes() {
        slow.stream().write_all(&[*byte]).unwrap();
    }
    for worker in [1, 0, 1] {
        assert_eq!(slow.ask(&format!("move {worker}\npeer")), "192.0.2.7:40000");
    }
    let mut binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24".to_vec();
    binary.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
    binary.extend([0; 16]);
    binary.extend([0x9c, 0x40, 0, 0]);
    let mut second = server.client();
    second.reader.get_mut().write_all(&binary).unwrap();
    assert_eq!(second.ask("peer"), "[2001:db8::7]:40000");
    assert_eq!(second.ask("names"), "no certificate");
    let mut health = server.client();
    let own = health.stream().local_addr().unwrap().to_string();
    health.send("PROXY UNKNOWN\r\npeer\n");
    assert_eq!(health.line(), own);
    drop((client, slow, second, health));
    server.drain();
}

#[test]
fn s89_a_verified_name_comes_along_and_moves_along() {
    let server = Server::listening(2, &[behind(&[("127.0.0.1", 32)])]);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x1c".to_vec();
    header.extend([192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0x40, 7, 0x5b]);
    header.extend(b"\x20\x00\x0d\x03\x00\x00\x00\x00\x22\x00\x05meter");
    let mut client = server.client();
    client.reader.get_mut().write_all(&header).unwrap();
    assert_eq!(client.ask("names"), "meter");
    for worker in [0, 1, 0] {
        assert_eq!(client.ask(&format!("move {worker}\nnames")), "meter");
    }
    drop(client);
    server.drain();
}

#[test]
fn s89_who_is_not_trusted_is_closed_at_once() {
    let server = Server::listening(1, &[behind(&[("10.0.0.0", 8), ("::", 0)])]);
    let client = server.client();
    assert_eq!(rest(client.stream()), b"");
    server.await_notice("in no trusted network");
    let counters = server.runtime.counters();
    assert_eq!(counters.listener(0).unwrap().proxy_refused(), 1);
    assert_eq!(counters.refused(), 1);
    drop(client);
    server.drain();
}

#[test]
fn s89_a_wrong_header_closes() {
    let server = Server::listening(1, &[behind(&[("127.0.0.1", 32)])]);
    for (header, notice) in [
        (&b"echo hello\n"[..], "no PROXY header"),
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 400001 1883\r\necho x\n",
            "bad port",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x00\x00\x00echo x\n",
            "without an address",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0d0123456789ab\x04echo x\n",
            "shorter than",
        ),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            "more than 536 bytes",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "looks_like: Http"),
        (b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c", "looks_like: Mqtt"),
    ] {
        let mut stream = patient(TcpStream::connect(server.address).unwrap());
        stream.write_all(header).unwrap();
        assert_eq!(rest(&stream), b"", "{notice}");
        server.await_notice(notice);
    }
    let mut good = server.client();
    good.send("PROXY UNKNOWN\r\n");
    good.ask_until("count", "1");
    drop(good);
    server.drain();
}

#[test]
fn s82_other_protocols_on_a_plain_port_are_closed_and_named() {
    let server = Server::start(1);
    for (bytes, notice) in [
        (
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            "looks_like: Http",
        ),
        (
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
            "looks_like: Tls",
        ),
        (
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
            "looks_like: Ssl2",
        ),
        (
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n",
            "looks_like: Proxy",
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "looks_like: Proxy"),
    ] {
        let mut stream = patient(TcpStream::connect(server.address).unwrap());
        stream.write_all(bytes).unwrap();
        assert_eq!(rest(&stream), b"", "{notice}");
        server.await_notice(notice);
    }
    let mut client = server.client();
    assert_eq!(client.ask("echo alive"), "alive");
    // Only the first bytes are looked at.
    client.send("echo GET\n");
    assert_eq!(client.line(), "GET");
    assert_eq!(server.runtime.counters().listener(0).unwrap().foreign(), 5);
    drop(client);
    server.drain();
}

#[test]
fn a_proxy_on_this_machine_may_use_a_unix_socket() {
    use std::os::unix::net::UnixStream;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let config = ListenerConfig {
        proxy: ProxyProtocol::From(Vec::new()),
        ..ListenerConfig::new(net::Address::unix(&path))
    };
    let server = Server::listening(1, &[config]);
    let mut client = Client::with(UnixStream::connect(&path).unwrap());
    client.send("PROXY TCP6 2001:db8::7 ::1 40000 1883\r\npeer\n");
    assert_eq!(client.line(), "[2001:db8::7]:40000");
    drop(client);
    server.drain();
}
