//! Signals, as a supervisor sends them: reload, end, end at once.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use common::Server;
use rustix::process::Signal;

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

/// The hash is of "correct horse".
const USERS: &str = "ann:$7$101$B1E/oaJOaaM241QA$uHq3KrnIIRI5SsWel1brZLhyww8sTQMcCZ3aOGmM2g9MQc3F1Ks/7laGv2TECklOJmk68kzdFCLTNyo29wo2fA==\n";

#[test]
fn s48_a_reload_asks_again_about_who_is_in() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reloaded-users");
    fs::write(&file, USERS).expect("a file");
    let mut server = Server::start(
        "users",
        &format!(
            "access.no_match = \"allow\"\n[[authentication]]\ntype = \"passwords\"\nfile = {file:?}\n"
        ),
    );
    let mut link = TcpStream::connect(server.addresses[0]).expect("a connection");
    let patience = Some(Duration::from_secs(20));
    link.set_read_timeout(patience).expect("a time limit");
    link.write_all(
        b"\x10\x21\x00\x04MQTT\x04\xc2\x00\x00\x00\x01c\x00\x03ann\x00\x0dcorrect horse",
    )
    .expect("CONNECT");
    let mut answer = [0; 4];
    link.read_exact(&mut answer).expect("CONNACK");
    assert_eq!(answer, [0x20, 2, 0, 0]);
    fs::write(&file, USERS.replace("ann", "bob")).expect("a file");
    server.signal(Signal::HUP);
    server.line("configuration read again: nothing has changed");
    assert_eq!(link.read(&mut [0]).expect("the end"), 0);
}

/// Two listeners with names; others behind them.
fn listeners(more: &str) -> String {
    format!(
        "allow_anonymous = true\n\
         [[listener]]\nname = \"stays\"\naddress = \"127.0.0.1:0\"\n{more}\n\
         [[listener]]\nname = \"goes\"\naddress = \"127.0.0.1:0\"\n"
    )
}

#[test]
fn a_reload_opens_and_closes_listeners() {
    let both = listeners("");
    let mut server = Server::listening("listeners", &both, &[]);
    let (stays, goes) = (server.addresses[0], server.addresses[1]);
    let mut old = server.connect_to(goes);
    let one = both.replace("\"goes\"", "\"comes\"");
    server.configure(&one);
    server.signal(Signal::HUP);
    let opened = server.line("listening");
    assert_eq!(opened["listener"], "comes");
    let told = server.line("configuration taken over");
    assert_eq!(
        told["applied"],
        "listener[goes] (gone) listener[comes] (new)"
    );
    let comes = opened["address"].as_str().expect("an address");
    server.connect_to(comes.parse().expect("an address"));
    server.connect_to(stays);
    server.await_closed(goes);
    // PINGREQ: who came by it is still there.
    old.write_all(&[0xc0, 0]).expect("PINGREQ");
    old.read_exact(&mut [0; 2]).expect("PINGRESP");
    // Back again, with another place.
    server.configure(&both);
    server.signal(Signal::HUP);
    let opened = server.line("listening");
    assert_eq!(opened["listener"], "goes");
    let again = opened["address"].as_str().expect("an address");
    server.connect_to(again.parse().expect("an address"));
}

#[test]
fn a_reload_changes_what_holds_for_a_listener() {
    let mut server = Server::listening("rules", &listeners(""), &[]);
    let stays = server.addresses[0];
    let _first = server.connect_to(stays);
    let reload = |server: &mut Server, more: &str, applied: &str| {
        server.configure(&listeners(more));
        server.signal(Signal::HUP);
        let told = server.line("configuration taken over");
        assert_eq!(told["applied"], applied);
    };
    reload(
        &mut server,
        "connections = 1",
        "listener[stays].connections",
    );
    assert!(server.is_refused(stays), "one is there already");
    let both = "connections = 9\ndeny = [\"127.0.0.0/8\"]";
    let applied = "listener[stays].connections listener[stays].deny";
    reload(&mut server, both, applied);
    assert!(server.is_refused(stays), "it is denied");
    let both = "connections = 9\nallow = [\"127.0.0.1\"]";
    let applied = "listener[stays].allow listener[stays].deny";
    reload(&mut server, both, applied);
    server.connect_to(stays);
    server.configure(&listeners("connections = 9\nmount = \"a/\""));
    server.signal(Signal::HUP);
    assert_eq!(
        server.line("changes that wait for a restart")["keys"],
        "listener[stays].mount"
    );
}

#[test]
fn a_reload_with_a_listener_that_cannot_open_changes_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address, taken));
    let (address, _open) = taken.expect("an address");
    let mut server = Server::listening("taken", &listeners(""), &[]);
    let (stays, goes) = (server.addresses[0], server.addresses[1]);
    server.configure(&format!(
        "allow_anonymous = true\n[limits]\ninflight = 5\n\
         [[listener]]\nname = \"stays\"\naddress = \"127.0.0.1:0\"\nconnections = 1\n\
         [[listener]]\nname = \"new\"\naddress = \"{address}\"\n"
    ));
    server.signal(Signal::HUP);
    let line = server.line("configuration not taken over");
    let problem = line["problem"].as_str().expect("a problem");
    assert!(
        problem.contains(&format!("cannot listen on {address}")),
        "{problem}"
    );
    let _first = server.connect_to(stays);
    server.connect_to(stays);
    server.connect_to(goes);
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
    let rest = server.rest_of_log();
    assert!(
        rest.iter().all(|line| !line.contains("SECRETS")),
        "{rest:?}"
    );
    assert!(server.end().success());
}
