use std::fs;
use std::net::IpAddr;
use std::path::Path;

use config::{
    Anonymous, ClientCertificate, Config, ConfigErrors, Granted, LogLevel, Method, Permission,
    Protocol, Rule, RuleAction, Sources,
};
use proptest::prelude::*;
use types::Durability;
use types::limits::QueuePolicy;

use crate::options::{Becomes, KNOWN, Known, Scope};
use crate::read::read_text;
use crate::{Machine, Options, Translation, Weight, acl, load, render, translate};

mod strict;

fn machine() -> Machine<'static> {
    Machine {
        folder: Path::new("/run/here"),
        has_ipv6: true,
        is_root: false,
        system_folder: None,
        has_user: &|name| name == "mosquitto",
        resolve: &|host| match host {
            "localhost" => Ok(vec![IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap()]),
            _ => Err(std::io::Error::other("no such host")),
        },
    }
}

fn understood(text: &str) -> Result<Translation, ConfigErrors> {
    translate(&read_text(text)?, &Options::default(), &machine())
}

fn config(text: &str) -> Config {
    understood(text).unwrap().config
}

fn refused(text: &str) -> String {
    understood(text).unwrap_err().to_string()
}

fn differs(text: &str) -> Vec<String> {
    let notes = understood(text).unwrap().notes;
    let these = notes
        .into_iter()
        .filter(|note| note.weight == Weight::Differs);
    these.map(|note| note.text).collect()
}

#[test]
fn without_a_listener_only_this_machine_comes_in() {
    let config = config("# nothing\n");
    let addresses: Vec<String> = config
        .listeners
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1:1883", "[::1]:1883"]);
    assert!(
        config
            .listeners
            .iter()
            .all(|it| it.allow_anonymous == Some(true))
    );
    let options = Options {
        ports: vec![1, 2],
        verbose: true,
    };
    let read = read_text("").unwrap();
    let config = translate(&read, &options, &machine()).unwrap().config;
    assert_eq!(config.listeners.len(), 4);
    assert_eq!(config.listeners[3].address.to_string(), "[::1]:2");
    assert_eq!(config.listeners[3].allow_anonymous, Some(true));
    assert_eq!(config.log.level, LogLevel::Debug);
}

#[test]
fn the_defaults_are_those_of_mosquitto() {
    let config = config("listener 1883\nallow_anonymous true\n");
    assert_eq!(config.listeners[0].address.to_string(), "[::]:1883");
    assert_eq!(config.allow_anonymous, Anonymous::Refused);
    assert_eq!(config.listeners[0].allow_anonymous, Some(true));
    assert_eq!(config.store.durability, Durability::Memory);
    assert_eq!(config.access.no_match, Some(Permission::Allow));
    assert_eq!(config.access.granted, Granted::Any);
    assert_eq!(config.rules.len(), 1);
    assert_eq!(config.rules[0].topics, ["$SYS/#"]);
    let limits = &config.limits;
    assert_eq!((limits.inflight, limits.queued_messages), (20, 1000));
    assert_eq!(limits.queue_policy, QueuePolicy::DropNewest);
    assert_eq!(limits.packet_size, 268_435_460);
    assert_eq!(limits.session_expiry.as_secs(), u64::from(u32::MAX));
    assert_eq!(limits.v3_session_expiry, limits.session_expiry);
    assert_eq!((limits.keep_alive, limits.queue_qos0), (0, false));
}

#[test]
fn limits_and_persistence_are_honoured() {
    let config = config(
        "listener 1883\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n\
         max_queued_bytes 5000\nmax_packet_size 100\nmax_keepalive 0x10\nsys_interval 5 seconds\n\
         persistent_client_expiration 2w\npersistence true\npersistence_location data/\n\
         memory_limit 1000000\nqueue_qos0_messages 1\nmax_connections 7\n",
    );
    let limits = &config.limits;
    assert_eq!(limits.inflight, u16::MAX);
    assert_eq!(limits.queued_messages, u32::MAX);
    assert_eq!(limits.queued_bytes, 5000);
    assert_eq!(
        (limits.packet_size, limits.connect_packet_size),
        (1024, 1024)
    );
    assert_eq!(limits.keep_alive, 16);
    assert_eq!(limits.session_expiry.as_secs(), 14 * 86_400);
    assert_eq!((limits.memory, limits.queue_qos0), (1_000_000, true));
    assert_eq!(config.sys_interval.as_secs(), 5);
    assert_eq!(config.store.durability, Durability::Os);
    assert_eq!(
        config.data_dir.unwrap(),
        Path::new("/run/here/data/nightjar")
    );
    assert_eq!(config.listeners[0].connections, Some(7));
}

#[test]
fn listeners_are_what_their_lines_say() {
    let config = config(
        "allow_anonymous true\nlistener 1 localhost\nlistener 0 /run/my mqtt.sock\n\
         listener 2\nprotocol websockets\nlistener 3\nsocket_domain ipv6\nlistener 4\n\
         mount_point site/\nsocket_domain ipv4\nlistener 5 192.0.2.1 # inside\n",
    );
    let shown: Vec<String> = config
        .listeners
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    let wanted = [
        "127.0.0.1:1",
        "[::1]:1",
        "/run/my mqtt.sock",
        "[::]:2",
        "[::]:3",
        "0.0.0.0:4",
        "192.0.2.1:5",
    ];
    assert_eq!(shown, wanted);
    let names: Vec<&str> = config.listeners.iter().map(|it| &*it.name).collect();
    assert_eq!(&names[..4], ["mqtt-1", "mqtt-1-2", "mqtt-socket", "ws-2"]);
    assert_eq!(config.listeners[3].path, ["*"]);
    assert_eq!(config.listeners[3].origins, ["*"]);
    assert_eq!(config.listeners[4].deny[0].to_string(), "0.0.0.0/0");
    assert_eq!(config.listeners[5].mount.as_deref(), Some("site/"));
}

#[test]
fn s77_certificates_name_users_only_where_they_are_asked_for() {
    let text = "listener 8883\ncertfile c.pem\nkeyfile /etc/k.pem\ncafile ca.pem\n";
    let config = config(&format!("{text}allow_anonymous true\n"));
    let listener = &config.listeners[0];
    assert_eq!(listener.protocol, Protocol::Mqtts);
    assert_eq!(listener.client_certificate, ClientCertificate::Off);
    assert_eq!(listener.client_ca, None);
    let named = format!("{text}use_identity_as_username true\nallow_anonymous true\ncrlfile r\n");
    let config = self::config(&named);
    let listener = &config.listeners[0];
    assert_eq!(listener.client_certificate, ClientCertificate::Required);
    assert_eq!(
        listener.client_ca.as_deref(),
        Some(Path::new("/run/here/ca.pem"))
    );
    assert_eq!(listener.crl.len(), 1);
    assert_eq!(listener.allow_anonymous, Some(false));
    assert!(matches!(
        config.authentication[0].method,
        Method::Certificate(_)
    ));
    for text in [
        "listener 1\nrequire_certificate true\n",
        "listener 1\ncafile ca\n",
        "listener 1\ncertfile c\n",
        "listener 1\nkeyfile c\n",
        "listener 1\ncertfile c\nkeyfile k\nrequire_certificate true\n",
        "listener 1\ncertfile c\nkeyfile k\nrequire_certificate true\ncapath /etc/ssl/certs\n",
    ] {
        understood(text).unwrap_err();
    }
}

#[test]
fn s72_a_listener_that_nobody_can_come_in_by_asks_the_own_users() {
    let text = "listener 1883\n";
    let config = config(text);
    assert_eq!(config.listeners[0].allow_anonymous, Some(false));
    assert!(matches!(config.authentication[0].method, Method::Database));
    assert!(differs(text)[0].contains("nobody can connect by mqtt-1883"));
}

#[test]
fn s72_settings_of_a_listener_stay_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl");
    fs::write(&acl, "user u\ntopic a\npattern read %u/#\n").unwrap();
    let config = config(&format!(
        "per_listener_settings true\nlistener 1 127.0.0.1\nallow_anonymous true\nlistener 2\n\
         password_file users\nacl_file {}\n",
        acl.display()
    ));
    let anonymous: Vec<_> = config
        .listeners
        .iter()
        .map(|it| it.allow_anonymous)
        .collect();
    assert_eq!(anonymous, [Some(true), Some(false)]);
    assert_eq!(config.authentication[0].listeners, ["mqtt-2"]);
    assert_eq!(config.access.no_match, Some(Permission::Deny));
    let of = |rule: &Rule| (rule.topics[0].clone(), rule.listeners.clone());
    let rules: Vec<_> = config.rules.iter().map(of).collect();
    let (one, two) = (vec!["mqtt-1".to_owned()], vec!["mqtt-2".to_owned()]);
    let wanted = [
        ("a".to_owned(), two.clone()),
        ("${username}/#".to_owned(), two),
        ("$SYS/#".to_owned(), one.clone()),
        ("#".to_owned(), one),
    ];
    assert_eq!(rules, wanted);
}

#[test]
fn s59_what_of_security_cannot_be_honoured_refuses_the_start() {
    for (text, told) in [
        ("psk_file /etc/psk\n", "psk_file: TLS with pre-shared keys"),
        ("listener 1\npsk_hint x\n", "psk_hint"),
        ("plugin /usr/lib/auth.so\n", "plugin: plugins are libraries"),
        ("auth_plugin /usr/lib/go-auth.so\n", "auth_plugin"),
        ("clientid_prefixes secure-\n", "clientid_prefixes"),
        (
            "listener 1\nuse_username_as_clientid true\n",
            "use_username_as_clientid",
        ),
        ("listener 1\nbind_interface eth0\n", "bind_interface"),
        ("listener 1\ntls_engine pkcs11\n", "tls_engine"),
        ("listener 1\ntls_keyform engine\n", "tls_keyform"),
        (
            "listener 1\naccept_protocol_versions 5\n",
            "accept_protocol_versions",
        ),
        ("listener 1\nmount_point site\n", "mount_point"),
        ("acl_file /nowhere/acl\n", "/nowhere/acl"),
        ("password_file\n", "the value is missing"),
        (
            "max_connections 5\nlistener 1\n",
            "before the first listener",
        ),
        (
            "per_listener_settings true\nallow_anonymous true\nlistener 1\n",
            "before the first",
        ),
        (
            "allow_anonymous false\nper_listener_settings true\n",
            "must stand before",
        ),
        ("topic # both\n", "there is no connection above it"),
        ("plugin_opt_acl_file x\n", "there is no plugin above it"),
    ] {
        let found = refused(text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn an_unknown_option_has_its_place_and_a_hint() {
    let found = refused("listener 1883\nalow_anonymous true\n  # indented\nport\t1883\nxyz 1\n");
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(
        lines[0],
        "mosquitto.conf:2:1: unknown option alow_anonymous; did you mean allow_anonymous?"
    );
    assert!(lines[1].contains("first column"), "{found}");
    assert!(lines[2].contains("not a tab"), "{found}");
    assert!(
        lines[3].ends_with("Mosquitto has none of this name"),
        "{found}"
    );
}

#[test]
fn a_bridge_is_translated_and_its_password_is_not_shown() {
    let text = "listener 1\nallow_anonymous true\nconnection hq\naddress mqtt.example:8883 other\n\
                topic a/# out 1 \"\" b/\nremote_username u\nremote_password pa55word\n\
                bridge_cafile ca.pem\nrestart_timeout 5 20\nround_robin true\n";
    let translation = understood(text).unwrap();
    let bridge = &translation.config.bridges[0];
    assert_eq!(bridge.addresses, ["mqtt.example:8883", "other:1883"]);
    assert_eq!(bridge.topics, ["a/# out 1 \"\" b/"]);
    assert!(bridge.tls && !bridge.prefer_first && bridge.ca[0].is_absolute());
    assert_eq!(bridge.restart_longest.as_secs(), 20);
    assert_eq!(bridge.version, config::BridgeVersion::V311);
    let all = format!(
        "{translation:?}{}",
        render(&translation, Path::new("m.conf"))
    );
    assert!(!all.contains("pa55word"), "{all}");
}

#[test]
fn s59_what_a_bridge_cannot_keep_secret_refuses_the_start() {
    let head = "listener 1\nallow_anonymous true\nconnection hq\naddress a\n";
    for line in [
        "bridge_psk 0123",
        "bridge_require_ocsp true",
        "bridge_certfile c\nbridge_keyfile k",
        "bridge_tls_version tlsv1.1",
        "topic a sideways",
        "start_type manual",
    ] {
        assert!(understood(&format!("{head}{line}\n")).is_err(), "{line}");
    }
}

#[test]
fn plugins_of_mosquitto_itself_stand_for_options() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl");
    fs::write(&acl, "topic a\n").unwrap();
    let config = config(&format!(
        "listener 1\nplugin /usr/lib/mosquitto_password_file.so\nplugin_opt_password_file users\n\
         plugin_load acl /usr/lib/mosquitto_acl_file.so\nplugin_opt_acl_file {}\nplugin_use acl\n\
         plugin /usr/lib/mosquitto_persist_sqlite.so\nplugin_opt_sync normal\n",
        acl.display()
    ));
    assert!(matches!(
        config.authentication[0].method,
        Method::Passwords(_)
    ));
    assert_eq!(config.rules.len(), 1);
    assert_eq!(config.store.durability, Durability::Os);
}

#[test]
fn s59_dynamic_security_that_is_not_read_lets_nobody_in() {
    let text = "listener 1\nallow_anonymous true\nplugin /usr/lib/mosquitto_dynamic_security.so\n\
                plugin_opt_config_file /var/lib/mosquitto/dynamic-security.json\n";
    let config = config(text);
    assert_eq!(config.listeners[0].allow_anonymous, Some(false));
    assert!(matches!(config.authentication[0].method, Method::Database));
    assert_eq!(config.access.no_match, Some(Permission::Deny));
    assert!(config.rules.is_empty());
    assert_eq!(config.access.granted, Granted::Covered);
    assert!(config.dynamic_security.enabled);
    assert!(differs(text).iter().any(|told| {
        told.contains("migrate --from-dynsec /var/lib/mosquitto/dynamic-security.json")
    }));
}

#[test]
fn s51_mosquitto_ctrl_is_answered_only_where_the_plugin_alone_decides() {
    let plugin = "plugin /usr/lib/mosquitto_dynamic_security.so\n";
    let text = format!(
        "per_listener_settings true\nlistener 1\n{plugin}listener 2\n\
                        allow_anonymous true\n"
    );
    assert!(!config(&text).dynamic_security.enabled);
    assert!(
        differs(&text)
            .iter()
            .any(|told| told.contains("mosquitto_ctrl is not answered"))
    );
    assert!(
        !config("listener 1\nallow_anonymous true\n")
            .dynamic_security
            .enabled
    );
}

#[test]
fn an_acl_file_keeps_its_order_and_what_denies_comes_first() {
    let text = "topic read a/${x}\nuser bob smith\ntopic b/#\r\ntopic deny b/c d\n# x\n\n\
                pattern write %c/%u\npattern deny x/%c\nuser\tx\n";
    let found = acl::parse(Path::new("acl"), text).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(
        found[0].to_string().starts_with("acl:9:1: "),
        "{}",
        found[0]
    );
    let rules = acl::parse(Path::new("/etc/acl"), &text.replace("user\tx\n", "")).unwrap();
    let shown: Vec<_> = rules
        .iter()
        .map(|rule| {
            (
                rule.permission,
                rule.action,
                &*rule.topics[0],
                &*rule.source,
            )
        })
        .collect();
    use Permission::{Allow, Deny};
    use RuleAction::{All, Publish, Subscribe};
    let wanted = [
        (Deny, All, "b/c d", "acl:4"),
        (Allow, Subscribe, "a/$${x}", "acl:1"),
        (Allow, All, "b/#", "acl:3"),
        (Deny, All, "x/${clientid}", "acl:8"),
        (Allow, Publish, "${clientid}/${username}", "acl:7"),
    ];
    assert_eq!(shown, wanted);
    assert_eq!(rules[0].users, ["bob smith"]);
    assert!(rules[1].anonymous.0 && rules[1].users.is_empty());
    assert!(!rules[3].anonymous.0 && rules[3].users.is_empty());
    for text in [
        "topic",
        "topic reed a",
        "topic a/#/b",
        "user",
        "topci a",
        "pattern +%c",
    ] {
        assert!(acl::parse(Path::new("acl"), text).is_err(), "{text}");
    }
}

#[test]
fn files_are_included_in_their_order_and_only_once_deep() {
    let folder = tempfile::tempdir().unwrap();
    let include = folder.path().join("conf.d");
    fs::create_dir(&include).unwrap();
    let main = folder.path().join("mosquitto.conf");
    fs::write(
        &main,
        format!("include_dir {}\nmax_keepalive 9\n", include.display()),
    )
    .unwrap();
    fs::write(include.join("b.conf"), "max_keepalive 2\nlistener 2\n").unwrap();
    fs::write(
        include.join("C.conf"),
        "sys_interval 3\nallow_anonymous true\n",
    )
    .unwrap();
    fs::write(include.join("a.conf"), "max_keepalive 1\nsys_interval 1\n").unwrap();
    fs::write(include.join("d.conf.bak"), "nonsense\n").unwrap();
    let found = load(Some(&main), &Options::default(), &machine()).unwrap();
    assert_eq!(found.config.limits.keep_alive, 9);
    assert_eq!(found.config.sys_interval.as_secs(), 3);
    fs::write(
        include.join("e.conf"),
        format!("include_dir {}\n", include.display()),
    )
    .unwrap();
    let found = load(Some(&main), &Options::default(), &machine())
        .unwrap_err()
        .to_string();
    assert!(
        found.contains("e.conf:1:1: include_dir: only the main file"),
        "{found}"
    );
    fs::write(include.join("e.conf"), b"\xff\xfe").unwrap();
    let found = load(Some(&main), &Options::default(), &machine())
        .unwrap_err()
        .to_string();
    assert!(found.contains("not text in UTF-8"), "{found}");
    assert!(load(Some(folder.path()), &Options::default(), &machine()).is_err());
    assert!(
        load(
            Some(&folder.path().join("none")),
            &Options::default(),
            &machine()
        )
        .is_err()
    );
}

#[test]
fn every_option_is_honoured_told_or_refused_by_the_code_that_the_table_promises() {
    for known in KNOWN.iter().filter(|known| !known.name.ends_with('*')) {
        if matches!(
            known.name,
            "include_dir" | "listener" | "plugin_use" | "connection"
        ) {
            continue;
        }
        let values = [
            "true", "1", "5", "x", "mqtt", "ipv4", "tlsv1.2", "2w", "pem", "error", "0",
        ];
        let tried: Vec<_> = values
            .iter()
            .map(|value| {
                let text = format!("listener 1\nconnection c\n{} {value}\n", known.name);
                understood(&text).map_err(|errors| errors.to_string())
            })
            .collect();
        let promised = "cannot be honoured";
        for found in &tried {
            if let Err(found) = found {
                assert!(
                    !found.ends_with(&format!("{}: {promised}", known.name)),
                    "{found}"
                );
            }
        }
        let is_refused = |what: &str| {
            let mut errors = tried.iter().filter_map(|found| found.as_ref().err());
            errors.any(|found| found.contains(what))
        };
        match known.becomes {
            Becomes::Refused(what) if known.name != "capath" => {
                assert!(is_refused(what), "{}", known.name);
            }
            Becomes::Noted(what) => assert!(!is_refused(what), "{}", known.name),
            Becomes::Honoured(_) | Becomes::Refused(_) => {}
        }
    }
}

#[test]
fn what_is_rendered_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let acl = folder.path().join("acl");
    fs::write(
        &acl,
        "topic read a/${x}\nuser bob\ntopic deny \"q\"\npattern %c/#\n",
    )
    .unwrap();
    for text in [
        "",
        "persistence true\npersistence_location /tmp/x\n",
        "listener 1\nallow_anonymous true\nmax_queued_messages 0\nmount_point a/\nlistener 2 localhost\n",
        &format!(
            "listener 1\npassword_file /etc/u\nacl_file {}\n",
            acl.display()
        ),
        "listener 1\ncertfile c\nkeyfile k\ncafile a\nuse_subject_as_username true\nlistener 2\n\
         protocol websockets\nlistener 0 /run/s\n",
    ] {
        let translation = understood(text).unwrap();
        let sources = Sources::default();
        let toml = render(&translation, Path::new("mosquitto.conf"));
        let read = config::Loaded::read_text(&sources, &toml);
        let read = read
            .unwrap_or_else(|errors| panic!("{errors}\n{toml}"))
            .config;
        let over = config::Loaded {
            config: translation.config,
            places: translation.places,
        };
        let over = config::Loaded::read_over(&sources, over).unwrap().config;
        assert_eq!(read.to_toml(), over.to_toml(), "{toml}");
    }
}

/// What is not honoured is told of, with its place.
#[test]
fn s59_no_option_is_passed_over_in_silence() {
    let noted = |known: &&Known| matches!(known.becomes, Becomes::Noted(_));
    let own = |known: &&Known| known.scope != Scope::Bridge;
    for known in KNOWN.iter().filter(noted).filter(own) {
        let value = if known.name == "log_dest" {
            "syslog"
        } else {
            "1"
        };
        let text = format!("listener 1\nallow_anonymous true\n{} {value}\n", known.name);
        let notes = understood(&text).unwrap().notes;
        let head = format!("{}: ", known.name);
        let is_it = |note: &crate::Note| note.place.is_some() && note.text.starts_with(&head);
        assert!(notes.iter().any(is_it), "{}", known.name);
    }
}

fn line() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = KNOWN.iter().map(|known| known.name).collect();
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        "[0-9]{1,6}",
        "-?[0-9a-fx]{0,25}",
        "[a-z/.#+%$ \"]{0,30}",
        "\\PC{0,20}",
    ];
    prop_oneof![
        4 => (prop::sample::select(names), value).prop_map(|(name, value)| format!("{name} {value}")),
        1 => "\\PC{0,40}",
        1 => Just("listener 1883".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(lines in prop::collection::vec(line(), 0..12), crlf in any::<bool>()) {
        let text = lines.join(if crlf { "\r\n" } else { "\n" });
        if let Ok(translation) = understood(&text) {
            prop_assert!(!render(&translation, Path::new("x")).is_empty());
        }
    }

    #[test]
    fn no_acl_makes_it_panic(text in "((user|topic|pattern|deny|read|#|%c|%u|\\+|/|[ \\t\\r\\n]|\\PC){1,4} ?){0,12}") {
        // Whatever comes out: what it names has lines.
        if let Err(errors) = acl::parse(Path::new("acl"), &text) {
            prop_assert!(!errors.is_empty());
        }
    }
}
