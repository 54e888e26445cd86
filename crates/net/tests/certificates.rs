//! Certificates: of clients, and of the server while it runs.

#![cfg(unix)]

mod common;

use std::io::{Read, Write};
use std::path::PathBuf;

use common::pki::{Authority, Files, Pair, TlsClient, TlsStream, door};
use common::web::Web;
use common::{Client, LOOPBACK, Server};
use net::{
    CertificateFiles, ClientAuth, ClientCa, HandshakeFailure, ListenerConfig, Revocation,
    ServerTls, TlsDoor, TlsFiles, WebSocket,
};
use rcgen::{DnType, ExtendedKeyUsagePurpose};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

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

fn connect(server: &Server, client: &TlsClient) -> Client<TlsStream> {
    Client::with(client.over(server.connect(0), "broker.example"))
}

/// The client sees an alert, or the end of the connection, and no answer.
fn assert_refused(server: &Server, place: usize, client: &TlsClient) {
    let mut stream = client.over(server.connect(place), "broker.example");
    // With TLS 1.3 the client is done before the server looks at its certificate.
    let asked = stream.write_all(b"echo in\n").and_then(|()| stream.flush());
    let answered = asked.and_then(|()| stream.read(&mut [0; 8]));
    assert!(answered.is_err(), "it got {answered:?}");
}

fn load_error(files: &TlsFiles) -> String {
    ServerTls::load(files).unwrap_err().to_string()
}

#[test]
fn the_core_sees_a_client_s_certificate_wherever_it_moves() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let clients = files.clients_of(&authority, &[]);
    let pair = authority.server(&["broker.example"]);
    for auth in [
        ClientAuth::Optional(clients.clone()),
        ClientAuth::Required(clients),
    ] {
        let optional = matches!(auth, ClientAuth::Optional(_));
        let tls = door(&files.server(&pair, auth));
        let server = Server::listening(2, &[listener(&tls)]);
        for version in [&TLS12, &TLS13] {
            let meter = authority.client("meter", 7);
            let tls = TlsClient::of_versions(&authority, Some(&meter), &[version]);
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut client = connect(&server, &tls);
                assert_eq!(client.ask("names"), "meter");
                assert_eq!(client.reader.get_ref().conn.handshake_kind(), Some(kind));
                for worker in [1, 0, 1] {
                    assert_eq!(client.ask(&format!("move {worker}\nnames")), "meter");
                }
            }
        }
        let without = TlsClient::new(&authority, None);
        if optional {
            assert_eq!(connect(&server, &without).ask("names"), "no certificate");
        } else {
            assert_refused(&server, 0, &without);
        }
        server.drain();
    }
}

#[test]
fn s78_without_a_good_certificate_nobody_comes_in() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let clients = files.clients_of(&authority, &[]);
    let required = ClientAuth::Required(clients.clone());
    let pair = authority.server(&["broker.example"]);
    let required = door(&files.server(&pair, required));
    let optional = door(&files.server(&pair, ClientAuth::Optional(clients)));
    let server = Server::listening(
        1,
        &[
            listener(&required),
            over_web(&required),
            listener(&optional),
        ],
    );
    let stranger = Authority::new("elsewhere");
    // Of the same name as ours, but not ours.
    let impostor = Authority::new("works");
    let wrong_use = authority.sign(&[], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, "meter");
    });
    let expired = authority.sign(&[], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = rcgen::date_time_ymd(2024, 1, 1);
    });
    let self_signed = {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "meter");
        let key = rcgen::KeyPair::generate().unwrap();
        Pair {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    };
    let bad: [(&str, Option<Pair>); 6] = [
        ("none", None),
        ("self-signed", Some(self_signed)),
        ("for servers", Some(wrong_use)),
        ("of another authority", Some(stranger.client("meter", 1))),
        (
            "of another authority of the same name",
            Some(impostor.client("meter", 1)),
        ),
        ("expired", Some(expired)),
    ];
    for version in [&TLS12, &TLS13] {
        for (why, pair) in &bad {
            let client = TlsClient::of_versions(&authority, pair.as_ref(), &[version]);
            for place in 0..3 {
                if pair.is_some() || place < 2 {
                    println!("{why}, {version:?}, at {place}");
                    assert_refused(&server, place, &client);
                }
            }
        }
    }
    let good = TlsClient::new(&authority, Some(&authority.client("meter", 1)));
    assert_eq!(connect(&server, &good).ask("names"), "meter");
    let web = Web::open(good.over(server.connect(1), "broker.example"));
    assert_eq!(Client::with(web).ask("names"), "meter");
    let counters = server.runtime.counters();
    let count = |place: u16, why| counters.listener(place).unwrap().handshakes_failed(why);
    assert_eq!(count(0, HandshakeFailure::NoCertificate), 2);
    assert_eq!(count(0, HandshakeFailure::BadCertificate), 10);
    assert_eq!(count(1, HandshakeFailure::BadCertificate), 10);
    assert_eq!(count(2, HandshakeFailure::BadCertificate), 10);
    server.drain();
}

#[test]
fn s73_a_new_certificate_holds_for_new_handshakes_and_old_connections_live() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let first =
        ServerTls::load(&files.server(&authority.server(&["broker.example"]), ClientAuth::Off));
    let tls = TlsDoor::new(first.unwrap());
    let server = Server::listening(2, &[listener(&tls)]);
    let config = TlsClient::new(&authority, None);
    let mut old: Vec<_> = (0..20).map(|_| connect(&server, &config)).collect();
    for client in &mut old {
        assert_eq!(client.ask("echo before"), "before");
    }
    let shown = |client: &Client<TlsStream>| {
        client.reader.get_ref().conn.peer_certificates().unwrap()[0].to_vec()
    };
    // A handshake that begins before and ends after.
    let mut across = config.over(server.connect(0), "broker.example");
    across.conn.write_tls(&mut across.sock).unwrap();
    old[0].ask_until("echo read", "read");

    let second = authority.server(&["broker.example"]);
    let replaced = tls.swap(ServerTls::load(&files.server(&second, ClientAuth::Off)).unwrap());
    server.runtime.mailboxes().recheck_certificates();
    assert_eq!(replaced.certificates()[0].names, ["broker.example"]);
    let mut new = connect(&server, &config);
    assert_eq!(new.ask("echo after"), "after");
    assert_ne!(shown(&new), shown(&old[0]));
    assert_eq!(
        new.reader.get_ref().conn.handshake_kind(),
        Some(HandshakeKind::Full),
        "tickets of before are worth nothing"
    );
    let mut across = Client::with(across);
    assert_eq!(across.ask("echo across"), "across");
    for (place, client) in old.iter_mut().enumerate() {
        let worker = place % 2;
        assert_eq!(client.ask(&format!("move {worker}\necho still")), "still");
    }
    drop((old, new, across));
    server.drain();
}

#[test]
fn s75_s81_a_revoked_client_is_cut_and_cannot_resume() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = authority.server(&["broker.example"]);
    let auth = |crl: String| ClientAuth::Required(files.clients_of(&authority, &[crl]));
    let load = |crl| ServerTls::load(&files.server(&pair, auth(crl))).unwrap();
    let tls = TlsDoor::new(load(authority.crl(&[99], 2100)));
    let server = Server::listening(2, &[listener(&tls)]);
    for version in [&TLS12, &TLS13] {
        tls.swap(load(authority.crl(&[99], 2100)));
        server.runtime.mailboxes().recheck_certificates();
        let config = |serial| {
            let pair = authority.client(&format!("meter{serial}"), serial);
            TlsClient::of_versions(&authority, Some(&pair), &[version])
        };
        let (good, bad) = (config(1), config(2));
        assert_refused(&server, 0, &config(99));
        let mut stays: Vec<_> = (0..40).map(|_| connect(&server, &good)).collect();
        let mut goes: Vec<_> = (0..40).map(|_| connect(&server, &bad)).collect();
        for worker in 0..40 {
            let ask = format!("move {}\nnames", worker % 2);
            assert_eq!(stays[worker].ask(&ask), "meter1");
            assert_eq!(goes[worker].ask(&ask), "meter2");
        }
        tls.swap(load(authority.crl(&[99, 2], 2100)));
        server.runtime.mailboxes().recheck_certificates();
        for client in &mut goes {
            assert_eq!(client.line(), "", "the end, in good order");
        }
        assert_refused(&server, 0, &bad);
        for client in &mut stays {
            assert_eq!(client.ask("names"), "meter1");
        }
    }
    let counters = server.runtime.counters();
    let counters = counters.listener(0).unwrap();
    assert_eq!(counters.certificates_withdrawn(), 80);
    assert_eq!(counters.handshakes_failed(HandshakeFailure::Revoked), 4);
    server.drain();
}

#[test]
fn s75_a_client_of_an_authority_that_is_trusted_no_more_is_cut() {
    let (old, new, files) = (Authority::new("old"), Authority::new("new"), Files::new());
    let pair = old.server(&["broker.example"]);
    let auth = |ca| ClientAuth::Required(files.clients_of(ca, &[]));
    let tls = door(&files.server(&pair, auth(&old)));
    let server = Server::listening(1, &[listener(&tls)]);
    let mut client = connect(
        &server,
        &TlsClient::new(&old, Some(&old.client("meter", 1))),
    );
    assert_eq!(client.ask("names"), "meter");
    tls.swap(ServerTls::load(&files.server(&pair, auth(&new))).unwrap());
    server.runtime.mailboxes().recheck_certificates();
    assert_eq!(client.line(), "");
    drop(client);
    server.drain();
}

#[test]
fn s75_a_link_that_moves_while_others_are_looked_at_is_not_missed() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = authority.server(&["broker.example"]);
    let auth = |crl: String| ClientAuth::Required(files.clients_of(&authority, &[crl]));
    let tls = door(&files.server(&pair, auth(authority.crl(&[], 2100))));
    let server = Server::listening(2, &[listener(&tls)]);
    let config = TlsClient::new(&authority, Some(&authority.client("meter", 2)));
    let mut client = connect(&server, &config);
    assert_eq!(client.ask("move 0\nwhere"), "worker 0");
    // Nobody is told to look: the move itself is enough.
    tls.swap(ServerTls::load(&files.server(&pair, auth(authority.crl(&[2], 2100)))).unwrap());
    assert_eq!(client.ask("names"), "meter");
    client.send("move 1\n");
    assert_eq!(client.line(), "");
    drop(client);
    server.drain();
}

#[test]
fn s75_outdated_and_missing_lists_are_for_the_policy() {
    let (authority, other, files) = (
        Authority::new("works"),
        Authority::new("other"),
        Files::new(),
    );
    let pair = authority.server(&["broker.example"]);
    for (why, crl) in [
        ("outdated", authority.crl(&[5], 2024)),
        ("of another authority", other.crl(&[5], 2100)),
    ] {
        let mut clients = files.clients_of(&authority, &[crl]);
        let strict = door(&files.server(&pair, ClientAuth::Required(clients.clone())));
        clients.revocation = Revocation::Lenient;
        let lenient = door(&files.server(&pair, ClientAuth::Required(clients)));
        let server = Server::listening(1, &[listener(&strict), listener(&lenient)]);
        let config = TlsClient::new(&authority, Some(&authority.client("meter", 1)));
        assert_refused(&server, 0, &config);
        let mut client = Client::with(config.over(server.connect(1), "broker.example"));
        assert_eq!(client.ask("names"), "meter", "{why}");
        let counters = server.runtime.counters();
        let counters = counters.listener(0).unwrap();
        assert_eq!(
            counters.handshakes_failed(HandshakeFailure::Revoked),
            1,
            "{why}"
        );
        drop(client);
        server.drain();
    }
}

#[test]
fn what_is_loaded_is_told() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = authority.sign(&["broker.example", "127.0.0.1", "::1"], |params| {
        params.distinguished_name.push(DnType::CommonName, "broker");
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    });
    let clients = files.clients_of(
        &authority,
        &[authority.crl(&[], 2099), authority.crl(&[], 2098)],
    );
    let tls = ServerTls::load(&files.server(&pair, ClientAuth::Optional(clients))).unwrap();
    let [facts] = tls.certificates() else {
        panic!("one certificate")
    };
    assert_eq!(facts.subject, "CN=broker");
    assert!(facts.issuer.contains("CN=works"), "{}", facts.issuer);
    assert_eq!(facts.names, ["broker.example", "127.0.0.1", "::1"]);
    assert_eq!(facts.not_after, 4_102_444_800);
    assert_eq!(tls.crl_next_update(), Some(4_039_372_800));
    assert!(!format!("{tls:?}").contains("PRIVATE"));
}

#[test]
fn s73_pairs_that_do_not_fit_are_refused_by_name() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = authority.server(&["broker.example"]);
    let good = files.pair("good", &pair);
    let load = |chain: &PathBuf, key: &PathBuf| {
        load_error(&TlsFiles {
            certificates: vec![CertificateFiles {
                chain: chain.clone(),
                key: key.clone(),
            }],
            ..TlsFiles::default()
        })
    };
    let missing = files.path("missing.pem");
    assert!(load(&missing, &good.key).contains("missing.pem: No such file"));
    assert!(load(&good.chain, &missing).contains("missing.pem: No such file"));
    let empty = files.write("empty.pem", "");
    assert!(load(&empty, &good.key).contains("empty.pem: no certificate in it"));
    assert!(load(&good.chain, &empty).contains("empty.pem: no private key"));
    assert!(load(&good.key, &good.key).contains("good.key: no certificate in it"));
    assert!(load(&good.chain, &good.chain).contains("good.pem: no private key"));
    let other = files.pair("other", &authority.server(&["other.example"]));
    let error = load(&good.chain, &other.key);
    assert!(
        error.contains("other.key: this key belongs to another") && error.contains("good.pem"),
        "{error}"
    );
    for (name, year) in [("expired", 2024), ("future", 2099)] {
        let pair = authority.sign(&["broker.example"], |params| {
            params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        });
        let pair = files.pair(name, &pair);
        let error = load(&pair.chain, &pair.key);
        assert!(
            error.contains(&format!("{name}.pem: valid only from")),
            "{error}"
        );
    }
    let broken = files.write("broken.pem", pair.certificate.replace("MII", "AAA"));
    assert!(load(&broken, &good.key).contains("broken.pem: "));
    let half = files.write("half.pem", &pair.certificate[..200]);
    assert!(load(&half, &good.key).contains("half.pem: "));
    let none = load_error(&TlsFiles::default());
    assert!(none.contains("needs a certificate"), "{none}");
}

#[test]
fn s99_a_key_that_others_can_read_is_refused() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = files.pair("server", &authority.server(&["broker.example"]));
    let tls = TlsFiles {
        certificates: vec![pair.clone()],
        ..TlsFiles::default()
    };
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610] {
        files.set_mode(&pair.key, mode);
        let error = load_error(&tls);
        assert!(
            error.contains("server.key: others") && error.contains(&format!("{mode:o}")),
            "{error}"
        );
    }
    files.set_mode(&pair.key, 0o400);
    assert!(ServerTls::load(&tls).is_ok());
}

#[test]
fn s79_an_empty_authority_is_never_nothing_to_verify() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = authority.server(&["broker.example"]);
    let with = |roots: Vec<PathBuf>| {
        let ca = ClientCa {
            roots,
            ..ClientCa::default()
        };
        [ClientAuth::Optional(ca.clone()), ClientAuth::Required(ca)]
            .map(|auth| load_error(&files.server(&pair, auth)))
    };
    for error in with(vec![]) {
        assert!(error.contains("no authority is named"), "{error}");
    }
    for error in with(vec![files.write("empty.pem", "# nothing here\n")]) {
        assert!(error.contains("empty.pem: no certificate in it"), "{error}");
    }
    for error in with(vec![files.path("missing.pem")]) {
        assert!(error.contains("missing.pem: No such file"), "{error}");
    }
}

#[test]
fn s76_malformed_lists_are_an_error() {
    let (authority, files) = (Authority::new("works"), Files::new());
    let pair = authority.server(&["broker.example"]);
    let crl = authority.crl(&[5], 2100);
    let load = |bytes: &[u8]| {
        let mut clients = files.clients_of(&authority, &[]);
        clients.crls = vec![files.write("list.crl", bytes)];
        ServerTls::load(&files.server(&pair, ClientAuth::Required(clients)))
    };
    assert!(load(crl.as_bytes()).is_ok());
    use rustls::pki_types::pem::PemObject;
    let der =
        rustls::pki_types::CertificateRevocationListDer::from_pem_slice(crl.as_bytes()).unwrap();
    assert!(load(&der).is_ok(), "DER is taken too");
    for end in 0..der.len() {
        let error = load(&der[..end]).unwrap_err().to_string();
        assert!(error.contains("list.crl: "), "{error}");
    }
    // Each byte wrong once: an error or a list, never a panic.
    let mut refused = 0;
    for place in 0..der.len() {
        let mut bytes = der.to_vec();
        bytes[place] ^= 0x80;
        refused += usize::from(load(&bytes).is_err());
    }
    assert!(refused > 0);
    for text in [
        "",
        "-----BEGIN X509 CRL-----\nMIIB",
        "-----BEGIN X509 CRL-----\n////\n-----END X509 CRL-----\n",
        &pair.certificate,
    ] {
        let error = load(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("list.crl: "), "{error}");
    }
}
