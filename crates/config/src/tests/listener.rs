use super::*;

#[test]
fn an_open_door_must_be_asked_for() {
    let open = "[[listener]]\naddress = \"0.0.0.0:1883\"\n";
    let found = errors("open", open);
    assert!(
        found[0].starts_with("nightjar.toml:2:11: 0.0.0.0:1883 is open"),
        "{found:?}"
    );
    assert!(load("asked", &format!("allow_anonymous = true\n{open}")).is_ok());
    assert!(
        load(
            "mapped",
            "[[listener]]\naddress = \"[::ffff:127.0.0.1]:1883\"\n"
        )
        .is_ok()
    );
    let refused = errors("refused", "allow_anonymous = false\n");
    assert_eq!(
        refused,
        [
            "nightjar.toml:1:19: allow_anonymous = false would let nobody in: there is no \
          [[authentication]]; add one, or leave the key out to serve this machine only"
        ]
    );
    let door = Config::load(&variable("NIGHTJAR__LISTENER", "0.0.0.0:1883")).unwrap_err();
    assert!(
        door.to_string()
            .starts_with("variable NIGHTJAR__LISTENER: 0.0.0.0:1883 is open")
    );
}

#[test]
fn listeners_are_checked() {
    let twice =
        "[[listener]]\naddress = \"127.0.0.1:5\"\n[[listener]]\naddress = \"127.0.0.1:5\"\n";
    assert!(errors("same", twice)[0].ends_with("127.0.0.1:5 is there twice"));
    for (wide, narrow) in [
        ("0.0.0.0", "127.0.0.1"),
        ("[::]", "0.0.0.0"),
        ("[::]", "[::1]"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
    ] {
        for (one, other) in [(wide, narrow), (narrow, wide)] {
            let text = format!(
                "allow_anonymous = true\n[[listener]]\naddress = \"{one}:5\"\n\
                 [[listener]]\naddress = \"{other}:5\"\n"
            );
            let found = errors("overlap", &text);
            let told = format!("nightjar.toml:5:11: {other}:5 and {one}:5 overlap");
            assert!(found[0].starts_with(&told), "{found:?}");
            let apart = text.replacen(":5", ":6", 1);
            assert!(load("apart", &apart).is_ok(), "{apart}");
        }
    }
    let apart = twice.replacen("127.0.0.1", "[::1]", 1);
    assert_eq!(load("families", &apart).unwrap().listeners.len(), 2);
    let free = twice.replace(":5", ":0");
    assert_eq!(load("free", &free).unwrap().listeners.len(), 2);
    assert!(errors("none", "listener = []\n")[0].starts_with("nightjar.toml:1:12: no listener"));
    assert!(errors("table", "[listener]\naddress = \"127.0.0.1:5\"\n")[0].contains("[[listener]]"));
    assert!(
        errors("host", "[[listener]]\naddress = \"localhost:1883\"\n")[0].contains("IP address")
    );
    assert!(
        errors("key", "[[listener]]\nadress = \"[::1]:5\"\n")[0].contains("did you mean address")
    );
    assert!(
        errors("port", "[[listener]]\nport = 5\n")[0]
            .ends_with("unknown key port in listener; docs/configuration.md lists its keys")
    );
}

const AUTHENTICATION: &str = "[[authentication]]\ntype = \"database\"\n";
const TLS: &str = "[[certificate]]\nname = \"main\"\nchain = \"c.pem\"\nkey = \"k.pem\"\n";

#[test]
fn s72_who_may_come_in_is_said_for_each_listener() {
    let open = "[[listener]]\naddress = \"0.0.0.0:1883\"\n";
    let admits = |text: &str| {
        let config = load("admits", text).unwrap();
        let listeners = config.listeners.iter();
        listeners
            .map(|it| config.admits_anonymous(it))
            .collect::<Vec<_>>()
    };
    assert_eq!(admits(""), [true]);
    assert_eq!(admits(AUTHENTICATION), [false]);
    assert_eq!(admits(&format!("{open}{AUTHENTICATION}")), [false]);
    assert_eq!(
        admits(&format!("allow_anonymous = true\n{open}{AUTHENTICATION}")),
        [true]
    );
    assert_eq!(
        admits(&format!("allow_anonymous = false\n{open}{AUTHENTICATION}")),
        [false]
    );
    assert_eq!(admits(&format!("{open}allow_anonymous = true\n")), [true]);
    assert_eq!(
        admits(&format!(
            "allow_anonymous = false\n{open}[[listener]]\naddress = \"/run/x.sock\"\n\
             allow_anonymous = true\n{AUTHENTICATION}"
        )),
        [false, true]
    );
    let local = "[[listener]]\naddress = \"/run/x.sock\"\n";
    assert_eq!(admits(local), [true]);
    assert_told(
        "walled-up",
        &[
            (
                "[[listener]]\naddress = \"0.0.0.0:1883\"\n",
                "nightjar.toml:2:11: 0.0.0.0:1883 is open to other machines, where anyone could \
                 connect without a password; add an [[authentication]], or if that is what you \
                 want, say allow_anonymous = true",
            ),
            (
                "[[listener]]\naddress = \"127.0.0.1:1\"\nallow_anonymous = false\n",
                "nightjar.toml:2:11: nobody could come in by 127.0.0.1:1: no [[authentication]] is \
                 for it, and clients without a password may not; add one, or say allow_anonymous \
                 = true below this [[listener]]",
            ),
            (
                "[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"a\"\n[[listener]]\n\
                 address = \"127.0.0.1:2\"\n[[authentication]]\ntype = \"database\"\n\
                 listeners = [\"a\"]\n",
                "nightjar.toml:5:11: nobody could come in by 127.0.0.1:2",
            ),
        ],
    );
}

#[test]
fn listeners_have_names() {
    let config = load(
        "names",
        "allow_anonymous = true\n[[listener]]\naddress = \"127.0.0.1:5\"\n[[listener]]\n\
         address = \"[::1]:5\"\n[[listener]]\naddress = \"127.0.0.1:6\"\nname = \"mqtt-5-2\"\n\
         [[listener]]\naddress = \"/run/a b.sock\"\nprotocol = \"ws\"\n",
    )
    .unwrap();
    let names: Vec<_> = config.listeners.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["mqtt-5", "mqtt-5-3", "mqtt-5-2", "ws-ab.sock"]);
    assert_eq!(load("names-again", &config.to_toml()).unwrap(), config);
}

#[test]
fn every_key_of_a_listener_is_read() {
    let text = format!(
        r#"
            allow_anonymous = true
            [[listener]]
            address = "0.0.0.0:8084"
            name = "web"
            protocol = "wss"
            durability = "os"
            certificates = ["main"]
            client_certificate = "optional"
            client_ca = "ca.pem"
            crl = ["/etc/crl.pem", "crl/other.pem"]
            tls_minimum = "1.3"
            path = ["/mqtt", "/"]
            origins = ["https://app.example.com", "http://localhost:8080"]
            proxy = ["10.0.0.0/8"]
            allow = ["10.0.0.0/8", "::1"]
            deny = ["10.1.0.0/16"]
            mount = "site1/"
            connections = 500
            connection_rate = "100/s"
            message_rate = "30/m"
            byte_rate = "1MiB/s"
            allow_anonymous = false
            authentication = ["database"]
            [[listener]]
            address = "/run/nightjar.sock"
            socket_mode = "0600"
            {AUTHENTICATION}
            {TLS}
        "#
    );
    let folder = Folder::new("listener-keys");
    let config = Config::load(&folder.sources(&text)).unwrap();
    let web = &config.listeners[0];
    let networks = |texts: &[&str]| -> Vec<Network> {
        texts
            .iter()
            .map(|text| Network::parse(text).unwrap())
            .collect()
    };
    let seconds = Duration::from_secs;
    let wanted = Listener {
        address: Address::Ip("0.0.0.0:8084".parse().unwrap()),
        name: "web".into(),
        protocol: Protocol::Wss,
        durability: Some(Durability::Os),
        certificates: vec!["main".into()],
        client_certificate: ClientCertificate::Optional,
        client_ca: Some(folder.0.join("ca.pem")),
        crl: vec!["/etc/crl.pem".into(), folder.0.join("crl/other.pem")],
        tls_minimum: TlsVersion::V1_3,
        path: vec!["/mqtt".into(), "/".into()],
        origins: vec![
            "https://app.example.com".into(),
            "http://localhost:8080".into(),
        ],
        proxy: networks(&["10.0.0.0/8"]),
        allow: networks(&["10.0.0.0/8", "::1"]),
        deny: networks(&["10.1.0.0/16"]),
        mount: Some("site1/".into()),
        connections: Some(500),
        connection_rate: Rate::new(100, seconds(1)),
        message_rate: Rate::new(30, seconds(60)),
        byte_rate: Rate::new(1 << 20, seconds(1)),
        allow_anonymous: Some(false),
        authentication: vec!["database".into()],
        socket_mode: Mode(0o660),
    };
    assert_eq!(*web, wanted);
    assert!(!web.is_loopback());
    assert_eq!(config.asked_by(web).count(), 1);
    let local = &config.listeners[1];
    assert_eq!(local.address, Address::Unix("/run/nightjar.sock".into()));
    assert_eq!(local.socket_mode, Mode(0o600));
    assert!(local.is_loopback());
    assert_eq!(
        Config::load(&folder.sources(&config.to_toml())).unwrap(),
        config
    );
}

#[test]
fn a_client_ca_makes_certificates_required() {
    let text = |more: &str| {
        format!(
            "[[listener]]\naddress = \"0.0.0.0:8883\"\nprotocol = \"mqtts\"\n\
             certificates = [\"main\"]\n{more}{AUTHENTICATION}{TLS}"
        )
    };
    let found =
        |more: &str| load("client-ca", &text(more)).unwrap().listeners[0].client_certificate;
    assert_eq!(found(""), ClientCertificate::Off);
    assert_eq!(
        found("client_ca = \"ca.pem\"\n"),
        ClientCertificate::Required
    );
    let optional = "client_ca = \"ca.pem\"\nclient_certificate = \"optional\"\n";
    assert_eq!(found(optional), ClientCertificate::Optional);
    for (more, told) in [
        (
            "client_ca = \"ca.pem\"\nclient_certificate = \"off\"\n",
            "nightjar.toml:6:22: listener.client_certificate: \"off\" asks nobody for the \
             certificate that client_ca is for; leave one of them out",
        ),
        (
            "client_certificate = \"required\"\n",
            "nightjar.toml:5:22: listener.client_certificate: nothing says who signs clients' \
             certificates; write client_ca = \"…\" with the file of the authorities",
        ),
        (
            "crl = [\"crl.pem\"]\n",
            "nightjar.toml:5:7: listener.crl: nobody is asked for a certificate that could be \
             revoked; write client_ca",
        ),
    ] {
        assert_told("client-ca-wrong", &[(&text(more), told)]);
    }
}

#[test]
fn keys_of_a_listener_fit_what_it_is() {
    let tls = "mqtts, wss and quic only; leave it out";
    let web = "ws and wss only; leave it out";
    let ip = "IP addresses, which a Unix socket has not, only; leave it out";
    for (address, protocol, key, value, whose) in [
        ("127.0.0.1:1", "mqtt", "certificates", "[\"main\"]", tls),
        (
            "127.0.0.1:1",
            "ws",
            "client_certificate",
            "\"optional\"",
            tls,
        ),
        ("127.0.0.1:1", "mqtt", "client_ca", "\"ca.pem\"", tls),
        ("127.0.0.1:1", "mqtt", "crl", "[\"crl.pem\"]", tls),
        ("127.0.0.1:1", "mqtt", "tls_minimum", "\"1.3\"", tls),
        ("127.0.0.1:1", "mqtt", "path", "[\"/a\"]", web),
        ("127.0.0.1:1", "mqtt", "origins", "[\"*\"]", web),
        ("/run/x", "mqtt", "proxy", "[\"::1\"]", ip),
        ("/run/x", "ws", "allow", "[\"::1\"]", ip),
        ("/run/x", "ws", "deny", "[\"::1\"]", ip),
        (
            "127.0.0.1:1",
            "mqtt",
            "socket_mode",
            "\"0600\"",
            "Unix sockets only; leave it out",
        ),
    ] {
        let text = format!(
            "[[listener]]\naddress = \"{address}\"\nprotocol = \"{protocol}\"\n{key} = {value}\n"
        );
        let found = errors("fits", &text);
        let told = format!(
            "nightjar.toml:4:{}: listener.{key} is for {whose}",
            key.len() + 4
        );
        let own: Vec<_> = found.iter().filter(|line| line.contains(key)).collect();
        assert_eq!(own[0], &told, "{found:?}");
    }
    let quic = |address: &str, more: &str| {
        format!(
            "[[listener]]\naddress = \"{address}\"\nprotocol = \"quic\"\n\
             certificates = [\"main\"]\n{more}{TLS}"
        )
    };
    assert_told(
        "quic",
        &[
            (
                &quic("127.0.0.1:1", "proxy = [\"::1\"]\n"),
                "nightjar.toml:5:9: listener.proxy is for what comes by TCP only; leave it out",
            ),
            (
                &quic("/run/x", ""),
                "nightjar.toml:2:11: listener.address: quic has no Unix sockets; write an IP \
                 address and a port, such as \"0.0.0.0:14567\"",
            ),
            (
                "[[listener]]\naddress = \"127.0.0.1:1\"\nprotocol = \"quic\"\n",
                "nightjar.toml:3:12: listener.protocol: quic shows a certificate; write \
                 certificates = [\"…\"] with the name of a [[certificate]]",
            ),
        ],
    );
    let beside = format!(
        "{}[[listener]]\naddress = \"127.0.0.1:1\"\n",
        quic("127.0.0.1:1", "")
    );
    assert_eq!(load("udp", &beside).unwrap().listeners.len(), 2);
}

#[test]
fn values_of_a_listener_are_checked() {
    for (key, value, told) in [
        (
            "address",
            "\"run/x\"",
            "\"run/x\" is no address; write an IP address and a port",
        ),
        (
            "name",
            "\"a b\"",
            "\"a b\" is no name; write 1 to 64 letters",
        ),
        (
            "protocol",
            "\"tcp\"",
            "\"tcp\" does not fit; write one of \"mqtt\", \"mqtts\", \"ws\"",
        ),
        (
            "certificates",
            "\"main\"",
            "\"main\" does not fit; write a list, [a, b], for each: ",
        ),
        (
            "certificates",
            "[]",
            "an empty list says nothing; leave the key out, or write a list",
        ),
        ("allow", "[\"::1\", \"::1\"]", "\"::1\" is there twice"),
        (
            "allow",
            "[\"localhost\"]",
            "\"localhost\" is no network; write an address or a network",
        ),
        (
            "allow",
            "[\"10.0.0.1/8\"]",
            "\"10.0.0.1/8\" has bits beyond those that / says count",
        ),
        ("allow", "[5]", "5 does not fit; write text in quotes"),
        (
            "path",
            "[\"mqtt\"]",
            "\"mqtt\" is no path; write / and then letters",
        ),
        (
            "origins",
            "[\"example.com\"]",
            "\"example.com\" is no origin; write \"https://\" and",
        ),
        ("origins", "[\"https://a/\"]", "\"https://a/\" is no origin"),
        (
            "mount",
            "\"site1\"",
            "\"site1\" is no mount; write whole levels that end in /",
        ),
        ("mount", "\"$a/\"", "\"$a/\" is no mount"),
        ("mount", "\"a/+/\"", "\"a/+/\" is no beginning of topics"),
        (
            "connection_rate",
            "5",
            "5 does not fit; write a rate such as \"100/s\"",
        ),
        (
            "connection_rate",
            "\"0/s\"",
            "\"0/s\" does not fit; write a rate",
        ),
        (
            "message_rate",
            "\"1KiB/s\"",
            "\"1KiB/s\" does not fit; write a rate such as \"100/s\"",
        ),
        (
            "byte_rate",
            "\"1KiB/d\"",
            "\"1KiB/d\" does not fit; write a rate such as \"64KiB/s\"",
        ),
        (
            "socket_mode",
            "600",
            "600 does not fit; write octal digits in quotes, such as \"0660\"",
        ),
        (
            "socket_mode",
            "\"0888\"",
            "\"0888\" does not fit; write octal digits",
        ),
        (
            "socket_mode",
            "\"1777\"",
            "\"1777\" does not fit; write octal digits",
        ),
        ("client_ca", "\"\"", "\"\" is no path of a file"),
        (
            "client_ca",
            "[\"a\"]",
            "a list cannot stand here; write the path of a file in quotes",
        ),
        (
            "tls_minimum",
            "1.2",
            "a number with a fraction cannot stand here; write one of \"1.2\"",
        ),
    ] {
        let address = "address = \"/run/x\"\n";
        let rest = if key == "address" { "" } else { address };
        let text = format!("[[listener]]\n{key} = {value}\n{rest}");
        let told = format!("nightjar.toml:2:{}: listener.{key}: {told}", key.len() + 4);
        assert_told("values", &[(&text, &told)]);
    }
    let off = load(
        "off",
        "[[listener]]\naddress = \"[::1]:5\"\nbyte_rate = \"off\"\n",
    )
    .unwrap();
    assert_eq!(off.listeners[0].byte_rate, None);
}
