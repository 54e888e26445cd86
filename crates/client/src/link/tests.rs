use std::net::TcpListener;

use codec::{ConnAck, Frame, Packet, PacketType};
use types::{ProtocolVersion, ReasonCode};

use super::*;
use crate::message::Message;
use crate::options::DisconnectOptions;

/// Serves one link: answers CONNECT and says what it saw until the link ended.
fn serve_one(listener: TcpListener) -> Vec<PacketType> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut seen = Vec::new();
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Frame::Complete {
            first_byte,
            total_len,
            ..
        } = codec::frame(&input, u32::MAX).unwrap()
        {
            let packet = PacketType::from_first_byte(first_byte).unwrap();
            if packet == PacketType::Connect {
                let mut out = Vec::new();
                let ack = Packet::ConnAck(Box::new(ConnAck::new(ReasonCode::Success)));
                codec::encode(&ack, ProtocolVersion::V5, &mut out).unwrap();
                stream.write_all(&out).unwrap();
            }
            seen.push(packet);
            input.drain(..total_len);
        }
        match stream.read(&mut buffer).unwrap() {
            0 => return seen,
            count => input.extend_from_slice(&buffer[..count]),
        }
    }
}

fn listen() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, Endpoint::new("127.0.0.1", port))
}

#[test]
fn a_link_carries_a_session_and_ends_in_order() {
    let (listener, endpoint) = listen();
    let endpoint = Endpoint {
        bind: Some("127.0.0.1".to_owned()),
        nodelay: true,
        ..endpoint
    };
    let server = thread::spawn(move || serve_one(listener));
    let mut client: Client<&str> = Client::new(endpoint, ConnectOptions::default());
    let inbox = client.inbox();
    client.open().unwrap();
    assert!(matches!(
        client.next(None),
        Turn::Event(Event::Connected(_))
    ));

    thread::spawn(move || inbox.send("hello").unwrap())
        .join()
        .unwrap();
    assert_eq!(client.next(None), Turn::Input("hello"));

    let now = client.now();
    client
        .session()
        .publish(Message::new("t", *b"x"), now)
        .unwrap();
    assert!(matches!(
        client.next(None),
        Turn::Event(Event::Published { .. })
    ));
    client
        .session()
        .disconnect(&DisconnectOptions::default(), now)
        .unwrap();
    assert_eq!(
        client.next(None),
        Turn::Event(Event::Closed(CloseReason::Done))
    );
    let seen = server.join().unwrap();
    assert_eq!(
        seen,
        [
            PacketType::Connect,
            PacketType::Publish,
            PacketType::Disconnect
        ]
    );
    assert_eq!(client.next(Some(Instant::now())), Turn::Deadline);
}

#[test]
fn a_link_that_breaks_can_be_replaced() {
    let (listener, endpoint) = listen();
    let server = thread::spawn(move || {
        drop(listener.accept().unwrap());
        serve_one(listener)
    });
    let mut client: Client<()> = Client::new(endpoint, ConnectOptions::default());
    client.open().unwrap();
    assert!(matches!(
        client.next(None),
        Turn::Event(Event::Closed(CloseReason::Link(_)))
    ));
    client.open().unwrap();
    assert!(matches!(
        client.next(None),
        Turn::Event(Event::Connected(_))
    ));
    drop(client);
    assert_eq!(server.join().unwrap(), [PacketType::Connect]);
}

#[test]
fn errors_name_the_culprit() {
    let (listener, endpoint) = listen();
    drop(listener);
    let mut client: Client<()> = Client::new(endpoint.clone(), ConnectOptions::default());
    let error = client.open().unwrap_err();
    assert!(matches!(error, ConnectError::Connect { .. }), "{error}");
    let other_family = Endpoint {
        bind: Some("::1".to_owned()),
        ..endpoint
    };
    let mut client: Client<()> = Client::new(other_family, ConnectOptions::default());
    let error = client.open().unwrap_err();
    assert!(matches!(error, ConnectError::NoAddress { .. }), "{error}");
}
