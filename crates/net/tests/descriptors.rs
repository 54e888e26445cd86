//! What happens when descriptors run out. A process of its own, as the limit is one of the
//! process: these tests must stay one test.

#![cfg(unix)]

mod common;

use std::io::{ErrorKind, Read};
use std::time::Instant;

use common::{Client, FEW, PATIENCE, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

#[test]
fn accepting_pauses_without_descriptors_and_goes_on_with_them() {
    assert!(net::raise_descriptor_limit().is_ok());
    let before = getrlimit(Resource::Nofile);
    assert_eq!(before.current, before.maximum);

    let server = Server::start(1);
    let mut first = server.client();
    assert_eq!(first.ask("echo in"), "in");

    // The clients' own descriptors are taken first, then few are left for the server.
    let sockets: Vec<Socket> = (0..40)
        .map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap())
        .collect();
    let late = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let highest = sockets
        .iter()
        .map(std::os::fd::AsRawFd::as_raw_fd)
        .max()
        .unwrap();
    let tight = Rlimit {
        current: Some(u64::try_from(highest).unwrap() + 11),
        maximum: before.maximum,
    };
    setrlimit(Resource::Nofile, tight).unwrap();
    let mut clients: Vec<Client> = sockets
        .into_iter()
        .map(|socket| {
            socket.connect(&server.address.into()).unwrap();
            Client::over(socket.into())
        })
        .collect();

    // Some got in, the others are turned away and not left to their timeouts.
    let mut turned_away = 0;
    for client in &mut clients {
        use std::io::Write;
        // It fails if the server was faster.
        let _ = client.stream().write_all(b"echo in\n");
        let mut bytes = [0; 3];
        match client.reader.read_exact(&mut bytes) {
            Ok(()) => assert_eq!(&bytes, b"in\n"),
            Err(error) => {
                let ended = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                assert!(ended.contains(&error.kind()), "{error}");
                turned_away += 1;
            }
        }
    }
    let inside = u64::try_from(clients.len()).unwrap() - turned_away;
    assert!(
        turned_away >= 1 && inside >= 1,
        "{turned_away} of 40 turned away"
    );
    assert_eq!(first.ask("count"), (inside + 1).to_string());
    assert_eq!(server.runtime.counters().refused(), turned_away);
    assert_eq!(server.runtime.counters().accept_pauses(), 1);
    assert_eq!(*server.notices.lock().unwrap(), ["paused"]);

    // Somebody waits to be accepted, and still the loop is asleep.
    late.connect(&server.address.into()).unwrap();
    assert!(
        first.turns_while_idle() <= FEW,
        "the loop spins without descriptors"
    );

    setrlimit(Resource::Nofile, before).unwrap();
    let start = Instant::now();
    loop {
        let mut client = server.client();
        client.send("echo back\n");
        let mut bytes = [0; 5];
        if client.reader.read_exact(&mut bytes).is_ok() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "accepting never goes on");
    }
    drop((first, clients, late));
    server.drain();
}
