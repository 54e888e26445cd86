//! Listeners on Unix sockets.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use common::{PATIENCE, Server};
use net::{Address, Listener, ListenerConfig};

#[test]
fn a_client_on_a_unix_socket_is_a_user_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let server = Server::listening(2, &[ListenerConfig::new(Address::unix(&path))]);
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(stream);
    for worker in 0..2 {
        let command = format!("move {worker}\nwhere\npeer\n");
        reader.get_mut().write_all(command.as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        reader.read_line(&mut answer).unwrap();
        let user = rustix::process::geteuid().as_raw();
        if cfg!(target_os = "linux") {
            assert_eq!(answer, format!("worker {worker}\nlocal user {user}\n"));
        } else {
            assert_eq!(answer, format!("worker {worker}\nlocal\n"));
        }
    }
    drop(reader);
    server.drain();
    assert!(!path.exists(), "the file goes with the server");
}

#[test]
fn the_file_gets_its_mode_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    for (address, mode) in [
        (Address::unix(&path), 0o660),
        (
            Address::Unix {
                path: path.clone(),
                mode: 0o606,
            },
            0o606,
        ),
    ] {
        let listener = Listener::bind(&ListenerConfig::new(address)).unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, mode);
        drop(listener);
        assert!(!path.exists());
    }
}

#[test]
fn only_a_socket_that_nobody_listens_on_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let config = ListenerConfig::new(Address::unix(&path));
    // A server that died leaves its file.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Listener::bind(&config).unwrap();
    let second = Listener::bind(&config).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AddrInUse, "{second}");
    assert!(path.exists(), "the first one's file is left alone");

    // Somebody else's file is not ours to remove, neither at bind nor at the end.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let error = Listener::bind(&config).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    drop(first);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}
