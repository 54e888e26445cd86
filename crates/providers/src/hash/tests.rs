use super::*;

/// What `mosquitto_passwd` 2.0.11 made of `correct horse`.
const SEVEN: &str = "$7$101$B1E/oaJOaaM241QA$uHq3KrnIIRI5SsWel1brZLhyww8sTQMcCZ3aOGmM2g9MQc3F1Ks/7laGv2TECklOJmk68kzdFCLTNyo29wo2fA==";
const SIX: &str = "$6$aMb8R6a4BboYQ0Ld$qJKg+l2gr/K47+jnz01q0cmlhwhqyDtVzxrip2t+xir99dAc0PHQVD59VyGr8YNLCOxe7zJ1UE+nM2zmSnjpVg==";

#[test]
fn mosquittos_hashes_are_read_as_they_are() {
    for text in [SEVEN, SIX] {
        let hash = Hash::parse(text).unwrap();
        assert!(hash.verify(b"correct horse"), "{text}");
        assert!(!hash.verify(b"correct horsf"), "{text}");
        assert!(!hash.verify(b""), "{text}");
    }
}

#[test]
fn other_common_hashes_are_read() {
    for (text, password) in [
        // The example of the PHC string format's own argon2 tests: password "password".
        (
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "password",
        ),
        // OpenBSD's bcrypt, password "U*U" (from its test vectors).
        (
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
    ] {
        let hash = Hash::parse(text).unwrap();
        assert!(hash.verify(password.as_bytes()), "{text}");
        assert!(!hash.verify(b"other"), "{text}");
    }
}

#[test]
fn pbkdf2_says_its_parameters() {
    // RFC 7914, 11: PBKDF2-HMAC-SHA-256, P = "passwd", S = "salt", c = 1, the first 32 bytes.
    let right = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
    let right = STANDARD_NO_PAD.encode(hexadecimal(right).unwrap());
    for parameters in ["i=1", "i=1,l=32"] {
        let hash = Hash::parse(&format!("$pbkdf2-sha256${parameters}$c2FsdA${right}")).unwrap();
        assert!(hash.verify(b"passwd") && !hash.verify(b"password"));
    }
}

#[test]
fn what_is_written_is_read() {
    let password = Secret::new("grüße\0x".as_bytes());
    let text = hash_argon2id(&password).unwrap();
    assert!(
        text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{text}"
    );
    let hash = Hash::parse(&text).unwrap();
    assert!(hash.verify(password.reveal()));
    assert!(!hash.verify("grüße".as_bytes()));
    assert_ne!(hash_argon2id(&password).unwrap(), text, "each has its salt");
    assert!(hash_argon2id(&Secret::new(b"")).is_err());
    assert_eq!(Hash::decoy().class(), hash.class());
}

#[test]
fn s63_damaged_and_costly_hashes_are_none() {
    let long = "A".repeat(86);
    for (text, error) in [
        ("", UNKNOWN),
        ("secret", UNKNOWN),
        ("$", UNKNOWN),
        ("$1$abc$def", UNKNOWN),
        (
            "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            UNKNOWN,
        ),
        ("$6$", DAMAGED),
        ("$6$$", DAMAGED),
        ("$6$AAAA$AAAA", DAMAGED),
        (&format!("$6$$${long}=="), DAMAGED),
        (&format!("$6$AAAA${long}"), DAMAGED),
        (&format!("$7$0$AAAA${long}=="), DAMAGED),
        (&format!("$7$+1$AAAA${long}=="), DAMAGED),
        (&format!("$7$99999999999$AAAA${long}=="), DAMAGED),
        (&format!("$7$5000001$AAAA${long}=="), COSTLY),
        (&format!("$7$1$AAAA${long}==$"), DAMAGED),
        (
            "$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            DAMAGED,
        ),
        (
            "$argon2id$v=19$m=8,t=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            DAMAGED,
        ),
        (
            "$argon2id$v=19$m=8,m=8,t=1,p=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            DAMAGED,
        ),
        (
            "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            DAMAGED,
        ),
        (
            "$argon2id$v=19$m=8,t=1,p=1$c29t$YWFhYWFhYWFhYWFhYWFhYQ",
            DAMAGED,
        ),
        ("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$YWFh", DAMAGED),
        (
            "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            COSTLY,
        ),
        (
            "$argon2id$v=19$m=8,t=65,p=1$c29tZXNhbHQ$YWFhYWFhYWFhYWFhYWFhYQ",
            COSTLY,
        ),
        ("$2b$05$short", DAMAGED),
        (
            "$2b$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            COSTLY,
        ),
        (
            "$pbkdf2-sha256$i=1,l=31$c2FsdA$YWFhYWFhYWFhYWFhYWFhYQ",
            DAMAGED,
        ),
        ("$pbkdf2-sha256$c2FsdA$YWFhYWFhYWFhYWFhYWFhYQ", DAMAGED),
    ] {
        assert_eq!(Hash::parse(text), Err(error), "{text}");
    }
}

#[test]
fn tables_keep_digests_with_the_salt_in_front() {
    // SHA-256 of "saltpassword".
    let text = "13601bda4ea78e55a07b98866d2be6be0744e3866f13c00c811cab608a28f322";
    for kind in [HashKind::Sha256, HashKind::Auto] {
        let hash = Hash::of_column(kind, text, Some("salt")).unwrap();
        assert!(hash.verify(b"password") && !hash.verify(b"Password"));
        let other = Hash::of_column(kind, &text.to_uppercase(), Some("pepper")).unwrap();
        assert!(!other.verify(b"password"));
    }
    let unsalted = digest::digest(&digest::SHA512, b"password");
    let text: String = unsalted
        .as_ref()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    assert!(
        Hash::of_column(HashKind::Sha512, &text, None)
            .unwrap()
            .verify(b"password")
    );
    assert!(
        Hash::of_column(HashKind::Auto, &text, None)
            .unwrap()
            .verify(b"password")
    );
    assert!(
        Hash::of_column(HashKind::Auto, SEVEN, None)
            .unwrap()
            .verify(b"correct horse")
    );
    for (kind, text) in [
        (HashKind::Sha256, "abc"),
        (HashKind::Sha256, &text[..]),
        (HashKind::Sha512, "zz"),
        (HashKind::Auto, "password"),
        (HashKind::Auto, ""),
        (HashKind::Plain, ""),
        (HashKind::Bcrypt, SEVEN),
        (HashKind::Argon2id, SIX),
        (HashKind::Pbkdf2, SIX),
    ] {
        assert!(
            Hash::of_column(kind, text, None).is_err(),
            "{kind:?} {text}"
        );
    }
    let plain = Hash::of_column(HashKind::Plain, "pa55", None).unwrap();
    assert!(plain.verify(b"pa55") && !plain.verify(b"pa5") && !plain.verify(b""));
}

#[test]
fn s71_a_hash_does_not_show_itself() {
    let plain = Hash::of_column(HashKind::Plain, "pa55", None).unwrap();
    assert_eq!(format!("{plain:?}"), "Hash(plain)");
    assert!(
        !Hash::parse("$6$pa55")
            .unwrap_err()
            .to_string()
            .contains("pa55")
    );
}

#[test]
fn a_salted_digest_of_a_table_is_kept_as_text() {
    // echo -n "saltpassword" | sha256sum
    let digits = "13601bda4ea78e55a07b98866d2be6be0744e3866f13c00c811cab608a28f322";
    let text = salted(digits, "salt").unwrap();
    let hash = Hash::parse(&text).unwrap();
    assert!(hash.verify(b"password") && !hash.verify(b"passwore"));
    let bare = Hash::parse(&salted(digits, "").unwrap()).unwrap();
    assert!(bare.verify(b"saltpassword"));
    assert!(salted("abcd", "salt").is_err());
}
