//! Where Nightjar could be more open than the Mosquitto that it replaces.

use std::fs;
use std::path::Path;

use config::{ClientCertificate, Method, Permission};

use super::{config, differs, machine, refused, understood};
use crate::{Machine, Options, acl, load, read, speaks_mosquitto, translate};

/// A folder with an `acl_file` of this text; and the path of that.
fn acl_file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acl");
    fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    (folder, path)
}

#[test]
fn s59_global_plugins_hold_with_settings_of_listeners() {
    let (_folder, acl) = acl_file("topic read a\n");
    let head = format!(
        "per_listener_settings true\nglobal_plugin /usr/lib/mosquitto_acl_file.so\n\
         plugin_opt_acl_file {acl}\n"
    );
    let open = config(&format!("{head}listener 1883\nallow_anonymous true\n"));
    assert_eq!(open.access.no_match, Some(Permission::Deny));
    assert_eq!(open.rules.len(), 1);
    assert_eq!(open.rules[0].topics, ["a"]);
    let found = refused(&format!("{head}listener 1\nacl_file {acl}2\n"));
    assert!(found.contains("a file of its own"), "{found}");

    let shut = config(
        "per_listener_settings true\nglobal_plugin /usr/lib/mosquitto_dynamic_security.so\n\
         listener 1883\nallow_anonymous true\n",
    );
    assert_eq!(shut.listeners[0].allow_anonymous, Some(false));
    let asked = config(
        "per_listener_settings true\nglobal_plugin /usr/lib/mosquitto_password_file.so\n\
         plugin_opt_password_file /etc/users\nlistener 1883\n",
    );
    assert!(matches!(
        asked.authentication[0].method,
        Method::Passwords(_)
    ));
}

#[test]
fn s59_a_plugin_that_protects_nothing_refuses_the_start() {
    let plugin = "/usr/lib/mosquitto_acl_file.so\nplugin_opt_acl_file /etc/acl\n";
    let open = "listener 1883\nallow_anonymous true\n";
    for (text, told) in [
        (
            format!("per_listener_settings true\nplugin {plugin}{open}"),
            "for a listener that is not defined",
        ),
        (
            format!("plugin_load x {plugin}plugin_use x\n{open}"),
            "for a listener that is not defined",
        ),
        (
            format!("plugin_load x {plugin}{open}"),
            "no plugin_use names it",
        ),
        (
            format!("plugin {plugin}per_listener_settings true\n{open}"),
            "must stand before",
        ),
        (
            format!("acl_file /etc/other\nplugin {plugin}{open}"),
            "another file for the same thing",
        ),
        (
            format!("plugin {plugin}plugin_opt_acl_file /etc/b\n{open}"),
            "said twice of one plugin",
        ),
    ] {
        let found = refused(&text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn s59_options_of_security_without_a_listener_refuse_the_start() {
    let tls = "cafile a\ncertfile c\nkeyfile k\nrequire_certificate true\nallow_anonymous false\n";
    let own = "per_listener_settings true\npassword_file /etc/users\nallow_anonymous false\n";
    for text in [tls, own, "max_connections 5\n"] {
        let found = refused(text);
        assert!(found.contains("no listener is defined"), "{text}: {found}");
    }
    for text in [
        "allow_anonymous false\n",
        "per_listener_settings true\nallow_anonymous false\n",
        "allow_anonymous false\npassword_file /etc/users\n",
    ] {
        let read = understood(text).unwrap();
        assert!(read.is_local_only, "{text}");
        let listeners = read.config.listeners;
        assert_eq!(listeners.len(), 2, "{text}");
        let is_shut = |it: &config::Listener| it.allow_anonymous == Some(false);
        assert!(listeners.iter().all(is_shut), "{text}");
        assert!(!read.config.authentication.is_empty(), "{text}");
    }
    assert!(!understood("port 1\n").unwrap().is_local_only);
}

#[test]
fn s59_options_below_a_late_port_refuse_the_start() {
    let tls = "listener 8883\ncafile a\ncertfile c\nkeyfile k\nrequire_certificate true\n";
    for text in [
        format!("{tls}port 1883\ncrlfile revoked.crl\n"),
        format!("{tls}bind_address 127.0.0.1\nmax_connections 3\n"),
        format!("per_listener_settings true\n{tls}port 1883\nacl_file /etc/acl\n"),
    ] {
        let found = refused(&text);
        assert!(
            found.contains("put it below the listener"),
            "{text}: {found}"
        );
    }
    let fine = config(&format!("{tls}port 1883\nlistener 5\nmax_connections 3\n"));
    assert_eq!(fine.listeners.len(), 3);
    let found = refused("listener 1\ncrlfile revoked.crl\n");
    assert!(found.contains("has no TLS"), "{found}");
}

#[test]
fn s59_a_pattern_that_names_get_past_refuses_the_start() {
    for text in [
        "pattern deny priv/%u\npattern readwrite priv/#\n",
        "pattern readwrite #\npattern deny priv/%u\n",
        "pattern deny a/%u/%c\npattern a/%u/#\n",
        "pattern deny +/%u\npattern read b/c/d\n",
        "pattern deny priv/%u\npattern %c/x\n",
        "pattern deny %u\npattern x\n",
        "pattern deny priv/%u\npattern priv/${username}/x\n",
    ] {
        let found = acl::parse(Path::new("acl"), text).unwrap_err();
        let found = found[0].to_string();
        assert!(found.contains("would get past this"), "{text}: {found}");
    }
    for text in [
        "pattern deny dev/%c/locked\npattern dev/%c/#\npattern inbox/%u/#\n",
        "pattern deny priv/+\npattern priv/#\n",
        "pattern deny priv/%u\npattern priv\n",
        "pattern deny priv/%u\ntopic priv/#\n",
    ] {
        acl::parse(Path::new("acl"), text).unwrap();
    }
}

#[test]
fn s59_a_text_that_is_said_twice_refuses_the_start() {
    for text in [
        "acl_file /a\nacl_file /b\n",
        "password_file /a\npassword_file /b\n",
        "mount_point a/\nmount_point b/\n",
        "certfile a\ncertfile a\n",
        "pid_file a\npid_file b\n",
        "connection c\naddress a\nusername a\nremote_username b\n",
    ] {
        let found = refused(&format!("listener 1\n{text}"));
        assert!(found.contains("is said twice"), "{text}: {found}");
    }
    let found = refused("listener 1\nauto_id_prefix\n");
    assert!(found.contains("the value is missing"), "{found}");
    // Of two listeners each has its own.
    let two = config(
        "per_listener_settings true\nlistener 1\npassword_file a\nmount_point a/\nlistener 2\n\
         password_file b\nmount_point b/\n",
    );
    assert_eq!(two.authentication.len(), 2);
}

#[test]
fn s59_names_that_nobody_checks_are_told_and_may_not_be_denied() {
    let (_folder, acl) = acl_file("topic read a\nuser bob\ntopic b\npattern %u/#\n");
    let open = format!("listener 1\nallow_anonymous true\nacl_file {acl}\n");
    let told = differs(&open).join("\n");
    assert!(told.contains("acl:3, acl:4 of"), "{told}");
    let checked = differs(&format!("{open}password_file /etc/users\n")).join("\n");
    assert!(!checked.contains("hold for nobody"), "{checked}");
    fs::write(&acl, "topic #\nuser bob\ntopic deny secret\n").unwrap();
    let found = refused(&open);
    assert!(found.contains("acl:3 of"), "{found}");
    assert!(understood(&format!("{open}password_file /etc/users\n")).is_ok());
}

#[test]
fn s59_what_lets_more_clients_in_is_told() {
    let tls = "listener 8883\ncafile a\ncertfile c\nkeyfile k\nuse_identity_as_username true\n";
    let listener = &config(tls).listeners[0];
    assert_eq!(listener.client_certificate, ClientCertificate::Required);
    let told = |text: &str| differs(text).join("\n");
    assert!(told(tls).contains("require_certificate is not said"));
    let asks = format!("{tls}require_certificate true\n");
    assert!(!told(&asks).contains("require_certificate"));
    let found = refused("listener 1\nallow_zero_length_clientid false\n");
    assert!(found.contains("is given one, always"), "{found}");
    assert!(understood("listener 1\nallow_zero_length_clientid true\n").is_ok());
    assert!(told("listener 1\nmax_packet_size 100\n").contains("of up to 1024 bytes"));
    assert!(!told("listener 1\nmax_packet_size 1024\n").contains("max_packet_size"));
}

#[test]
fn s59_options_without_effect_are_told() {
    let all = |text: &str| {
        let notes = understood(text).unwrap().notes;
        let texts: Vec<String> = notes.into_iter().map(|note| note.text).collect();
        texts.join("\n")
    };
    let plain = all("listener 1 localhost\ncapath /etc/ssl/certs\ntls_version tlsv1.3\n");
    for name in ["capath", "tls_version"] {
        let told = format!("{name}: means nothing, because this listener has no TLS");
        assert_eq!(plain.matches(&told).count(), 1, "{plain}");
    }
    let tls = all("listener 1\ncertfile c\nkeyfile k\ncafile a\ncapath f\ncrlfile r\n");
    for name in ["cafile", "capath", "crlfile"] {
        let told = format!("{name}: means nothing, because clients are not asked");
        assert!(tls.contains(&told), "{tls}");
    }
}

#[test]
fn s59_a_server_that_root_starts_becomes_another_or_tells_that_it_stays_root() {
    let becomes = |text: &str, is_root, has_user| {
        let machine = Machine {
            is_root,
            has_user: &|name| has_user && name == "mosquitto",
            ..machine()
        };
        let read = read::read_text(text).unwrap();
        let found = translate(&read, &Options::default(), &machine).unwrap();
        let mut notes = found.notes.into_iter();
        let tells = notes.any(|note| note.text.contains("runs as root"));
        (found.config.user, tells)
    };
    let mosquitto = Some("mosquitto".to_owned());
    let plain = "listener 1883\n";
    assert_eq!(becomes(plain, true, true), (mosquitto, false));
    assert_eq!(becomes(plain, true, false), (None, true));
    assert_eq!(becomes(plain, false, true), (None, false));
    let bob = (Some("bob".to_owned()), false);
    assert_eq!(becomes("user bob\nlistener 1883\n", true, true), bob);
    assert_eq!(becomes("user bob\nlistener 1883\n", false, true), bob);
    assert_eq!(
        becomes("user root\nlistener 1883\n", true, true),
        (None, true)
    );
}

#[test]
fn a_comment_may_hold_any_byte_and_a_wrong_line_has_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mosquitto.conf");
    fs::write(&file, b"# K\xfcche\nlistener 1883\n").unwrap();
    let read = || load(Some(&file), &Options::default(), &machine());
    assert_eq!(read().unwrap().config.listeners.len(), 1);
    fs::write(&file, b"# K\xfcche\nlistener 1883\nmount_point k\xfcche/\n").unwrap();
    let found = read().unwrap_err().to_string();
    assert!(
        found.contains("mosquitto.conf:3:1: is not text in UTF-8"),
        "{found}"
    );
}

#[test]
fn a_file_of_mosquitto_is_known_by_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mosquitto.cfg");
    let speaks = |text: &str| {
        fs::write(&file, text).unwrap();
        speaks_mosquitto(&file)
    };
    assert!(speaks("# x\n\nlistener 1883\n"));
    assert!(speaks("allow_anonymous true"));
    for text in [
        "",
        "allow_anonymous = true\n",
        "[limits]\n",
        "listen 1\n",
        "user\n",
    ] {
        assert!(!speaks(text), "{text}");
    }
}
