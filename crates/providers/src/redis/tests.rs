use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::question::tests::question;
use crate::settings::{Address, HashKind, Tls};

fn settings(url: &str, command: &str) -> settings::Redis {
    settings::Redis {
        url: Address::new(url),
        command: command.into(),
        rules_command: Some("HGETALL acl:${username}".into()),
        hash: HashKind::Auto,
        tls: Tls::default(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(future)
}

/// Asks a server that says this, one answer for each command of each connection; what it was sent.
async fn with_server<T>(
    answers: Vec<&'static [&'static str]>,
    command: &str,
    ask: impl AsyncFnOnce(&Redis) -> T,
) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://me:p%40ss@{}/3", listener.local_addr().unwrap());
    let redis = Redis::new(&settings(&url, command)).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&seen);
    let server = tokio::spawn(async move {
        for connection in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in connection {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).await.unwrap();
                tell.lock()
                    .unwrap()
                    .push(String::from_utf8(bytes[..read].into()).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    let result = ask(&redis).await;
    drop(redis);
    server.abort();
    let seen = seen.lock().unwrap().clone();
    (result, seen)
}

const OK: &str = "+OK\r\n";

#[test]
fn commands_are_sent_argument_by_argument() {
    let asked = question("c", "ann ${clientid}\r\nDEL x", "p");
    let answers = &[
        OK,
        OK,
        "*3\r\n$4\r\nhash\r\n$-1\r\n$1\r\n1\r\n",
        "*2\r\n$1\r\na\r\n$7\r\npublish\r\n",
    ];
    let command = "hmget user:${username} password_hash \"the salt\" is_superuser";
    let ((row, extras), seen) = run(with_server(vec![answers], command, async |redis| {
        let row = redis.find(&asked).await.unwrap().unwrap();
        (row, redis.extras(&asked).await.unwrap())
    }));
    assert_eq!(
        (row.hash.as_deref(), row.salt, row.superuser),
        (Some("hash"), None, true)
    );
    let rule = extras.rules.unwrap()[0]
        .rule(&"r".into())
        .unwrap()
        .to_string();
    assert_eq!(rule, "r: allow publish \"a\"");
    assert_eq!(
        seen,
        [
            "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$4\r\np@ss\r\n",
            "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n",
            "*5\r\n$5\r\nhmget\r\n$27\r\nuser:ann ${clientid}\r\nDEL x\r\n$13\r\npassword_hash\r\n\
             $8\r\nthe salt\r\n$12\r\nis_superuser\r\n",
            "*2\r\n$7\r\nHGETALL\r\n$26\r\nacl:ann ${clientid}\r\nDEL x\r\n",
        ]
    );
}

#[test]
fn users_are_found_by_each_command() {
    let find = |command: &'static str, answer: &'static str| {
        let answers: &'static [&'static str] = Box::leak(Box::new([OK, OK, answer]));
        let asked = question("c", "ann", "p");
        let (row, _) = run(with_server(vec![answers], command, async |redis| {
            redis.find(&asked).await
        }));
        row.map(|row| row.map(|row| (row.hash.unwrap_or_default(), row.salt, row.superuser)))
    };
    assert_eq!(
        find("GET ${username}", "$1\r\nh\r\n"),
        Ok(Some(("h".into(), None, false)))
    );
    assert_eq!(find("GET ${username}", "$-1\r\n"), Ok(None));
    assert_eq!(find("HGETALL ${username}", "*0\r\n"), Ok(None));
    assert_eq!(
        find(
            "HGETALL ${username}",
            "*4\r\n$13\r\npassword_hash\r\n$1\r\nh\r\n$4\r\nsalt\r\n$1\r\ns\r\n"
        ),
        Ok(Some(("h".into(), Some("s".into()), false)))
    );
    assert_eq!(find("MGET a b", "*2\r\n$-1\r\n$-1\r\n"), Ok(None));
    for (command, answer) in [
        ("GET ${username}", "-WRONGTYPE Operation against ann\r\n"),
        ("GET ${username}", "*0\r\n"),
        ("GET ${username}", "+OK\r\n"),
        ("GET ${username}", "$2\r\n\u{e9}\r\n$"),
        ("GET ${username}", "$1\r\nhxx"),
        ("GET ${username}", "$99999999999999999999\r\n"),
        ("GET ${username}", "$300000\r\n"),
        ("GET ${username}", "HTTP/1.1 400 Bad Request\r\n"),
        ("MGET a b", "*3\r\n$1\r\nh\r\n$-1\r\n$5\r\nmaybe\r\n"),
        ("HGETALL ${username}", "*1\r\n$1\r\nh\r\n"),
        ("HGETALL ${username}", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"),
    ] {
        let found = find(command, answer);
        let is_fine = found.is_err() || answer.contains('\u{e9}');
        assert!(is_fine, "s68: {command} {answer:?}: {found:?}");
        assert!(!format!("{found:?}").contains("ann"), "s71: {found:?}");
    }
}

#[test]
fn a_connection_that_went_away_is_made_again() {
    let asked = question("c", "ann", "p");
    let first: &[&str] = &[OK, OK, "$1\r\nh\r\n"];
    let second: &[&str] = &[OK, OK, "$1\r\ni\r\n"];
    let (hashes, _) = run(with_server(vec![first, second], "GET x", async |redis| {
        let one = redis.find(&asked).await.unwrap().unwrap().hash;
        let other = redis.find(&asked).await.unwrap().unwrap().hash;
        (one.unwrap(), other.unwrap())
    }));
    assert_eq!(hashes, ("h".into(), "i".into()));
}

#[test]
fn s68_a_login_that_is_refused_fails() {
    let asked = question("c", "ann", "p");
    for answers in [
        &["-WRONGPASS invalid p@ss\r\n"][..],
        &[OK, "-ERR DB index\r\n"],
    ] {
        let (found, _) = run(with_server(vec![answers], "GET x", async |redis| {
            redis.find(&asked).await.map(|_| ())
        }));
        let Trouble::Failed(why) = found.unwrap_err() else {
            panic!("nobody can be asked about");
        };
        assert!(!why.contains("p@ss"), "s71: {why}");
    }
}

#[test]
fn s68_a_key_that_holds_something_else_is_not_a_server_that_fails() {
    let asked = question("c", "ann", "p");
    for (answers, is_unclear) in [
        (&[OK, OK, "-WRONGTYPE Operation against ann\r\n"][..], true),
        (&[OK, OK, "-MOVED 3999 127.0.0.1:6381\r\n"], true),
        (&[OK, OK, "*0\r\n"], true),
        (&[OK, OK, "-LOADING Redis is loading\r\n"], false),
        (&[OK, OK, "-NOAUTH Authentication required.\r\n"], false),
        (&[OK, OK, "-ERR max number of clients reached\r\n"], false),
        (&[OK, OK, "HTTP/1.1 400 Bad Request\r\n"], false),
    ] {
        let (found, _) = run(with_server(vec![answers], "GET x", async |redis| {
            redis.find(&asked).await.map(|_| ())
        }));
        let trouble = found.unwrap_err();
        let found = matches!(trouble, Trouble::Unclear(_));
        assert_eq!(found, is_unclear, "{answers:?}: {trouble:?}");
    }
}

#[test]
fn s69_settings_that_make_no_sense_refuse_the_start() {
    for url in [
        "redis://h",
        "redis://h/",
        "redis://h:1/0",
        "redis://:pa55@h",
        "redis://u:pa55@[::1]:1",
        "redis://[::1]",
        "rediss://h",
    ] {
        let made = Redis::new(&settings(url, "GET x"));
        let made = made.unwrap_or_else(|problem| panic!("{url}: {problem}"));
        assert!(!format!("{made:?}").contains("pa55"), "s71");
    }
    for url in [
        "h",
        "http://h",
        "redis://",
        "redis://h:x",
        "redis://h/x",
        "redis://%zz@h",
    ] {
        assert!(Redis::new(&settings(url, "GET x")).is_err(), "{url}");
    }
    for command in [
        "",
        " ",
        "DEL x",
        "EVAL \"x\"",
        "GET \"x",
        "GET ${user}",
        "GET ${dn}",
    ] {
        assert!(
            Redis::new(&settings("redis://h", command)).is_err(),
            "{command}"
        );
    }
    let open = settings::Redis {
        tls: Tls {
            ca: Some("ca.pem".into()),
            identity: None,
        },
        ..settings("redis://h", "GET x")
    };
    assert!(Redis::new(&open).is_err(), "s79");
    let wrong = settings::Redis {
        rules_command: Some("GET x".into()),
        ..settings("redis://h", "GET x")
    };
    assert!(Redis::new(&wrong).is_err());
}
