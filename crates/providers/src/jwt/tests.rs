use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use auth::{Identity, Secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;
use crate::ProviderSettings;
use crate::chain::Notice;
use crate::chain::tests::{Bench, admitted, refusal, request};
use crate::question::Known;
use crate::question::tests::question;
use crate::settings::{Algorithm, Kind, Tls};
use crate::web::tests::{Server, says};

const SECRET: &[u8] = b"a secret that has thirty-two bytes";

fn settings(algorithms: &[Algorithm], keys: JwtKeys) -> settings::Jwt {
    settings::Jwt {
        algorithms: algorithms.to_vec(),
        keys,
        audience: Vec::new(),
        issuer: None,
        require_expiry: false,
        token_in: TokenIn::Password,
        user_claim: "sub".into(),
        groups_claim: Some("groups".into()),
        rules_claim: Some("acl".into()),
        must_match_client: false,
    }
}

fn with_secret() -> settings::Jwt {
    settings(&[Algorithm::Hs256], JwtKeys::Secret(Secret::new(SECRET)))
}

fn provider(settings: &settings::Jwt) -> Jwt {
    Jwt::new(settings, &"jwt".into()).unwrap()
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn hs256(key: &[u8]) -> impl Fn(&[u8]) -> Vec<u8> {
    move |text| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::sign(&key, text).as_ref().to_vec()
    }
}

fn signed(claims: &Value) -> String {
    token(&json!({"alg": "HS256"}), claims, hs256(SECRET))
}

/// What is said about a token at once.
fn say(jwt: &Jwt, token: &str) -> Result<Known, String> {
    match jwt.quick(&question("c", "u", token)) {
        Some(Verdict::Known(known)) => Ok(known),
        Some(Verdict::Wrong(why)) => Err(why.to_string()),
        other => Err(format!("{other:?}")),
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// RFC 7515, A.1 and A.3; those with RSA were signed by OpenSSL.
#[test]
fn what_others_signed_is_verified() {
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let secret = URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let rsa = json!({"kty": "RSA", "e": "AQAB", "n": "m_QG79hRa-pxyt71mM6FNysSF_H1oOJyRP027K-gVJlAlsUGKRjYMx-0MA9CcknK_NIoX-CzEoUxpvmDK1S58J7ZL3PC2INCniKUBh9EQCzSkFtemVCDxEMwNuJd5sBEpjvRx8695e8x72aau5QxOGgP29uddgeiZ1XU6WCJNpHR3nGKXrb2clQ9rHdejK2ibfFcNMt8d0ZCQpETcHk94i2Y6nMB-JJZcuBDp8OF641jxSj1bQmVvhPeaf0CgFyHU1XSKqQFDqDheeU0R9K1Bbp7zLTg9U_rxPt-d7NPH9ho-c1DE6AONUpwHkGQFl8x1YahRxPoVzX3Hjz4PGLgrw"});
    let p256 = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let set = |key: Value| Keys::of_json(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
    for (header, keys, signature) in [
        (
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            Keys::of_secret(&Secret::new(&secret)).unwrap(),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            "eyJhbGciOiJSUzI1NiJ9",
            set(rsa.clone()),
            "GoZh2XMK2K1Zi1OdXO7LbxaXO8E4Mf65_FidDpHERR12PJOL3aFG0571wnUHBZ03DJoPZEOg8Nil8g4_qOcuRB_JbkEWwXD60k6bxb50iYzFsS41ext8hlMRUsuX1FVD-AbaqVOaTgxKD5gcUKs9yH96ZehQ7dbncLx7SsToEBvpinndvTIv4fpRv1_AHBEkzEqK8K2Wpcx-OSiUeEeJTtjMF9k4FowokSnQIZxZh0BGo3ibIbbYAR3WGJgYn7h0T7zPUArSh7aspWltQtlubINIM2nGOZO2W3wg8lqyJPwogafbWe_olx7m_TrVjxEexTVz0IKYmUMsSe4L3DjdAA",
        ),
        (
            "eyJhbGciOiJQUzM4NCJ9",
            set(rsa),
            "kHU3NYNrrCU3vXVS4KueiyDvsAnpnch9mktXLHRl6cZ9m1c6-eSQj0wyPtCP5XumEAeEr5ixtqFsjETRyIbXj0yFCV75rS5kp6s8PgpNWREgEGDe-immlVQ90E0jGtZGpuLiJcV_eeYjGWI_4NBHfBy4tM12jHOVCEPS8UglrRpuuiDK4kuLeQzEpk7JSJ4yYM2AkqjgQasjQZX9xVAzl24J40uxbZif-xj1virgI4kfmbNG-HQNmLlU-zULGPYYZE989_WR7MgIz1jGtuNJ9qErMBwvq7S_gS3v724vGKpft1Hmq-6IM5TpB6jnwdTY1PpNwDBBXBzxINvGCj8Slw",
        ),
        (
            "eyJhbGciOiJFUzI1NiJ9",
            set(p256),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let text = format!("{header}.{payload}.{signature}");
        assert_eq!(
            Token::parse(text.as_bytes()).unwrap().verify(&keys),
            Signed::ByKey,
            "{header}"
        );
        let bent = format!("{header}.{}.{signature}", payload.replacen('J', "K", 1));
        let bent = Token::parse(bent.as_bytes()).unwrap().verify(&keys);
        assert_eq!(bent, Signed::Badly, "{header}");
    }
}

#[test]
fn a_token_says_who_its_client_is() {
    let jwt = provider(&with_secret());
    let end = now() + 100;
    let known = say(
        &jwt,
        &signed(&json!({
            "sub": "ann", "exp": end, "groups": ["a", "b"],
            "acl": [{"permission": "allow", "action": "publish", "topic": "x/${clientid}"}],
        })),
    )
    .unwrap();
    assert_eq!(known.user.as_deref(), Some("ann"));
    assert_eq!(
        known.groups.iter().map(|it| &**it).collect::<Vec<_>>(),
        ["a", "b"]
    );
    let valid_for = known.valid_for.unwrap();
    assert!(valid_for <= Duration::from_secs(100) && valid_for > Duration::from_secs(30));
    let rules = known.rules.unwrap();
    assert_eq!(
        rules.list[0].to_string(),
        r#"token (jwt): allow publish "x/${clientid}""#
    );
    let plain = say(
        &jwt,
        &signed(&json!({"sub": "ann", "groups": "a", "acl": null})),
    )
    .unwrap();
    assert_eq!(
        (plain.groups.len(), plain.rules, plain.valid_for),
        (1, None, None)
    );
}

#[test]
fn s66_claims_that_do_not_hold_are_refused() {
    let strict = settings::Jwt {
        audience: vec!["mqtt".into(), "iot".into()],
        issuer: Some("https://issuer".into()),
        require_expiry: true,
        must_match_client: true,
        ..with_secret()
    };
    let jwt = provider(&strict);
    let good = json!({
        "sub": "ann", "exp": now() + 60, "nbf": now() - 60, "aud": ["x", "iot"],
        "iss": "https://issuer", "clientid": "c",
    });
    assert!(say(&jwt, &signed(&good)).is_ok());
    for (claim, value, why) in [
        ("sub", json!(null), "the claim \"sub\" is no name of a user"),
        ("sub", json!(""), "the claim \"sub\" is no name of a user"),
        (
            "sub",
            json!("a\0b"),
            "the claim \"sub\" is no name of a user",
        ),
        ("sub", json!(7), "the claim \"sub\" is no name of a user"),
        ("exp", json!(now()), "the token has expired"),
        ("exp", json!(0), "the token has expired"),
        ("exp", json!(-1e300), "the token has expired"),
        ("exp", json!("soon"), "the claim \"exp\" is no time"),
        ("exp", json!(null), "the claim \"exp\" is no time"),
        ("nbf", json!(now() + 60), "the token is not valid yet"),
        ("nbf", json!(1e300), "the token is not valid yet"),
        ("aud", json!("y"), "the token is for another audience"),
        ("aud", json!([]), "the token is for another audience"),
        (
            "aud",
            json!({"mqtt": 1}),
            "the token is for another audience",
        ),
        (
            "iss",
            json!("https://issuer/"),
            "the token is by another issuer",
        ),
        (
            "iss",
            json!(["https://issuer"]),
            "the token is by another issuer",
        ),
        (
            "clientid",
            json!("d"),
            "the token is for another client identifier",
        ),
        (
            "clientid",
            json!(""),
            "the token is for another client identifier",
        ),
        (
            "groups",
            json!({}),
            "the token's groups are no list of names",
        ),
        (
            "groups",
            json!(["a", 7]),
            "the token's groups are no list of names",
        ),
    ] {
        let mut claims = good.clone();
        claims[claim] = value.clone();
        assert_eq!(
            say(&jwt, &signed(&claims)).unwrap_err(),
            why,
            "{claim} {value}"
        );
    }
    for (claim, why) in [
        ("exp", "the token never expires"),
        ("aud", "the token is for another audience"),
        ("iss", "the token is by another issuer"),
        ("clientid", "the token is for another client identifier"),
    ] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(say(&jwt, &signed(&claims)).unwrap_err(), why, "no {claim}");
    }
    let mut far = good.clone();
    far["exp"] = json!(1e300);
    assert!(say(&jwt, &signed(&far)).is_ok());
    let mut claims = good;
    claims["acl"] = json!([{"permission": "allow", "topic": "a/#/b"}]);
    assert!(
        say(&jwt, &signed(&claims))
            .unwrap_err()
            .starts_with("the token's rules: ")
    );
}

#[test]
fn s66_tokens_that_are_not_signed_as_they_should_be_are_refused() {
    let jwt = provider(&with_secret());
    let claims = json!({"sub": "ann"});
    let with = |header: Value, key: &[u8]| token(&header, &claims, hs256(key));
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    let good = signed(&claims);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let not_taken = "the token is signed in a way that is not taken";
    for (text, why) in [
        (unsigned, not_taken),
        (with(json!({"alg": "none"}), SECRET), not_taken),
        (with(json!({"alg": "None"}), SECRET), not_taken),
        (with(json!({"alg": "HS512"}), SECRET), not_taken),
        (with(json!({"alg": "RS256"}), SECRET), not_taken),
        (with(json!({"typ": "JWT"}), SECRET), not_taken),
        (with(json!({"alg": ["HS256"]}), SECRET), not_taken),
        (
            with(json!({"alg": "HS256"}), b"another"),
            "the token's signature is wrong",
        ),
        (
            with(json!({"alg": "HS256"}), b""),
            "the token's signature is wrong",
        ),
        (format!("{head}."), "the token's signature is wrong"),
        (
            format!("{head}.{}", &signature[4..]),
            "the token's signature is wrong",
        ),
        (format!("{head}.{signature}="), "the token is damaged"),
        (format!("{head}.+{signature}"), "the token is damaged"),
        (
            with(json!({"alg": "HS256", "kid": 7}), SECRET),
            "the token is damaged",
        ),
        (
            with(
                json!({"alg": "HS256", "crit": ["b64"], "b64": false}),
                SECRET,
            ),
            "the token must be understood in ways that are unknown",
        ),
        (format!("eyA.{}.", part(&claims)), "the token is damaged"),
        (
            format!("{head}.{}", "A".repeat(8192)),
            "the token is longer than 8 KiB",
        ),
        (
            token(&json!({"alg": "HS256"}), &json!(["sub"]), hs256(SECRET)),
            "the token is damaged",
        ),
    ] {
        assert_eq!(say(&jwt, &text).unwrap_err(), why, "{text}");
    }
    let huge = "x".repeat(1 << 20);
    for foreign in [
        "",
        "pa55",
        "a.b.c",
        "ey",
        "ey.",
        "ey.ey",
        "ey.ey.ey.ey",
        "..",
        &huge,
    ] {
        let said = jwt.quick(&question("c", "u", foreign));
        assert!(matches!(said, Some(Verdict::Unknown)), "{foreign}");
    }
}

/// A folder with keys made on the spot.
struct Pki {
    folder: tempfile::TempDir,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Pki {
    fn new() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let p256 =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random);
        let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            p256: p256.unwrap(),
            ed25519: Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap(),
        }
    }

    fn es256(&self, header: &Value, claims: &Value) -> String {
        let sign = |text: &[u8]| self.p256.sign(&SystemRandom::new(), text).unwrap();
        token(header, claims, |text| sign(text).as_ref().to_vec())
    }

    fn eddsa(&self, header: &Value, claims: &Value) -> String {
        token(header, claims, |text| {
            self.ed25519.sign(text).as_ref().to_vec()
        })
    }

    fn set(&self) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = self.p256.public_key().as_ref();
        json!({"keys": [
            {"kty": "oct", "kid": "secret", "k": encode(SECRET)},
            {"kty": "EC", "crv": "secp256k1", "kid": "strange"},
            {"kty": "RSA", "kid": "short", "n": encode(&[1; 128]), "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "kid": "enc", "use": "enc",
             "x": encode(&point[1..33]), "y": encode(&point[33..])},
            {"kty": "EC", "crv": "P-256", "kid": "p", "use": "sig", "alg": "ES256",
             "x": encode(&point[1..33]), "y": encode(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "e",
             "x": encode(self.ed25519.public_key().as_ref())},
        ]})
        .to_string()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }
}

fn ask(jwt: &Jwt, token: &str) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(jwt.ask(&question("c", "u", token)))
}

#[test]
fn s66_each_key_verifies_what_it_is_for() {
    let pki = Pki::new();
    let file = pki.write("keys.json", &pki.set());
    let algorithms = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let jwt = provider(&settings(&algorithms, JwtKeys::File(file)));
    let claims = json!({"sub": "ann"});
    for good in [
        pki.es256(&json!({"alg": "ES256", "kid": "p"}), &claims),
        pki.es256(&json!({"alg": "ES256"}), &claims),
        pki.eddsa(&json!({"alg": "EdDSA", "kid": "e"}), &claims),
    ] {
        assert!(jwt.quick(&question("c", "u", &good)).is_none());
        assert!(matches!(ask(&jwt, &good), Verdict::Known(_)), "{good}");
    }
    for unknown in [
        pki.es256(&json!({"alg": "ES256", "kid": "e"}), &claims),
        pki.es256(&json!({"alg": "ES256", "kid": "enc"}), &claims),
        pki.es256(&json!({"alg": "RS256", "kid": "short"}), &claims),
        pki.es256(&json!({"alg": "ES256", "kid": "other"}), &claims),
    ] {
        assert!(matches!(ask(&jwt, &unknown), Verdict::Unknown), "{unknown}");
    }
    let confused = token(
        &json!({"alg": "HS256", "kid": "secret"}),
        &claims,
        hs256(SECRET),
    );
    for wrong in [
        Pki::new().es256(&json!({"alg": "ES256", "kid": "p"}), &claims),
        pki.eddsa(&json!({"alg": "ES256", "kid": "p"}), &claims),
        confused,
    ] {
        assert!(matches!(ask(&jwt, &wrong), Verdict::Wrong(_)), "{wrong}");
    }
}

#[test]
fn public_keys_are_read_from_pem() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let pki = Pki::new();
    let random = SystemRandom::new();
    let signer = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &key.serialize_der(),
        &random,
    );
    let signer = signer.unwrap();
    let claims = json!({"sub": "ann"});
    let text = token(&json!({"alg": "ES256"}), &claims, |text| {
        signer.sign(&random, text).unwrap().as_ref().to_vec()
    });
    let certificate = rcgen::CertificateParams::new(vec!["x".into()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    for pem in [key.public_key_pem(), certificate.pem()] {
        let file = pki.write("key.pem", &pem);
        let jwt = provider(&settings(&[Algorithm::Es256], JwtKeys::PublicKey(file)));
        assert!(matches!(ask(&jwt, &text), Verdict::Known(_)), "{pem}");
        // S66: the public key, which everybody has, is no secret to sign with.
        let forged = token(&json!({"alg": "HS256"}), &claims, hs256(pem.as_bytes()));
        assert!(matches!(ask(&jwt, &forged), Verdict::Wrong(_)));
    }
    let file = pki.write("key.pem", &other.public_key_pem());
    let jwt = provider(&settings(
        &[Algorithm::Es256, Algorithm::EdDsa],
        JwtKeys::PublicKey(file),
    ));
    assert!(matches!(ask(&jwt, &text), Verdict::Unknown));
    let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&other.serialize_der()).unwrap();
    let text = token(&json!({"alg": "EdDSA"}), &claims, |text| {
        ed25519.sign(text).as_ref().to_vec()
    });
    assert!(matches!(ask(&jwt, &text), Verdict::Known(_)));
}

#[test]
fn s69_keys_that_make_no_sense_refuse_the_start() {
    let pki = Pki::new();
    let private = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let new = |algorithms: &[Algorithm], keys| {
        let made = Jwt::new(&settings(algorithms, keys), &"jwt".into());
        made.unwrap_err().to_string()
    };
    let secret = |bytes: &[u8]| JwtKeys::Secret(Secret::new(bytes));
    let hs = &[Algorithm::Hs256][..];
    let es = &[Algorithm::Es256][..];
    let file = |text: &str| pki.write("f", text);
    for problem in [
        new(&[], secret(SECRET)),
        new(es, secret(SECRET)),
        new(hs, secret(&[b'x'; 31])),
        new(hs, JwtKeys::File(file(&pki.set()))),
        new(
            &[Algorithm::Hs256, Algorithm::Es256],
            JwtKeys::File(file(&pki.set())),
        ),
        new(es, JwtKeys::File(file("{}"))),
        new(es, JwtKeys::File(file("{\"keys\": []}"))),
        new(es, JwtKeys::File(file("not JSON"))),
        new(es, JwtKeys::File("/nowhere".into())),
        new(es, JwtKeys::PublicKey(file(""))),
        new(es, JwtKeys::PublicKey(file("text"))),
        new(es, JwtKeys::PublicKey(file(&private))),
    ] {
        assert!(
            !problem.is_empty() && !problem.contains("a secret that"),
            "{problem}"
        );
    }
}

fn fetched(server: &Server, refresh: Duration) -> settings::Jwt {
    let keys = JwtKeys::Url {
        url: server.url("/keys"),
        refresh,
        tls: Tls::default(),
    };
    settings(&[Algorithm::Es256, Algorithm::EdDsa], keys)
}

#[test]
fn keys_are_fetched_and_fetched_again_for_unknown_keys() {
    let pki = Pki::new();
    let set = pki.set();
    let changed = set.replace("\"p\"", "\"new\"");
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::new(move |_| {
        let first = is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
        says("200 OK", if first { &set } else { &changed })
    });
    let jwt = provider(&fetched(&server, Duration::from_secs(3600)));
    let claims = json!({"sub": "ann"});
    let of = |kid: &str| pki.es256(&json!({"alg": "ES256", "kid": kid}), &claims);
    assert!(matches!(ask(&jwt, &of("p")), Verdict::Known(_)));
    assert!(matches!(ask(&jwt, &of("p")), Verdict::Known(_)));
    assert!(matches!(ask(&jwt, &of("new")), Verdict::Unknown));
    assert_eq!(
        server.count(),
        1,
        "unknown keys are no reason to ask all the time"
    );
    let Source::Fetched(keys) = &jwt.source else {
        panic!("it is fetched");
    };
    keys.forget_the_pause();
    assert!(matches!(ask(&jwt, &of("new")), Verdict::Known(_)));
    assert_eq!(server.count(), 1);
    assert!(
        matches!(ask(&jwt, &of("p")), Verdict::Unknown),
        "it is not there any more"
    );
}

#[test]
fn s68_keys_that_are_there_hold_while_the_issuer_is_down() {
    let pki = Pki::new();
    let set = pki.set();
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::new(move |_| {
        let first = is_first.swap(false, std::sync::atomic::Ordering::Relaxed);
        if first {
            says("200 OK", &set)
        } else {
            says("500 Oh", &set)
        }
    });
    let jwt = provider(&fetched(&server, Duration::ZERO));
    let text = pki.es256(&json!({"alg": "ES256", "kid": "p"}), &json!({"sub": "ann"}));
    let none = pki.es256(&json!({"alg": "ES256", "kid": "q"}), &json!({"sub": "ann"}));
    assert!(matches!(ask(&jwt, &text), Verdict::Known(_)));
    let Source::Fetched(keys) = &jwt.source else {
        panic!("it is fetched");
    };
    keys.forget_the_pause();
    // It waits for the answer, which is none.
    assert!(matches!(ask(&jwt, &none), Verdict::Unknown));
    assert_eq!(server.count(), 2);
    assert!(matches!(ask(&jwt, &text), Verdict::Known(_)));
}

#[test]
fn s68_an_issuer_that_hangs_keeps_no_valid_token_out() {
    let pki = Pki::new();
    let set = pki.set();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::new(move |_| {
        if !is_first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            // Until the test is over.
            let _ = held.lock().unwrap().recv();
        }
        says("200 OK", &set)
    });
    let jwt = provider(&fetched(&server, Duration::ZERO));
    let of = |kid: &str| pki.es256(&json!({"alg": "ES256", "kid": kid}), &json!({"sub": "ann"}));
    assert!(matches!(ask(&jwt, &of("p")), Verdict::Known(_)));
    let Source::Fetched(keys) = &jwt.source else {
        panic!("it is fetched");
    };
    keys.forget_the_pause();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        // Made-up keys wait a little for nothing, and are unknown rather than a failure.
        let (made_up, right) = (of("q"), of("p"));
        let made_up = question("c", "u", &made_up);
        let right = question("c", "u", &right);
        let (made_up, known) = tokio::join!(jwt.ask(&made_up), jwt.ask(&right));
        assert!(matches!(made_up, Verdict::Unknown), "{made_up:?}");
        assert!(matches!(known, Verdict::Known(_)), "{known:?}");
    });
    assert_eq!(server.count(), 2, "nobody asks twice at once");
    drop(hold);
}

#[test]
fn s68_without_keys_nobody_comes_in_and_it_is_told_once() {
    let server = Server::new(|_| says("200 OK", "<html>"));
    let pki = Pki::new();
    let kind = Kind::Jwt(fetched(&server, Duration::from_secs(60)));
    let bench = Bench::of(vec![ProviderSettings::new("jwt", kind)]);
    let text = pki.es256(&json!({"alg": "ES256", "kid": "p"}), &json!({"sub": "ann"}));
    for _ in 0..7 {
        let (reason, _) = refusal(bench.ask(request(None, Some(&text))));
        assert_eq!(reason, types::ReasonCode::ServerUnavailable);
    }
    let Notice::Down { provider, why } = bench.notice() else {
        panic!("it is down");
    };
    assert_eq!(
        (&*provider, &*why),
        ("jwt", "keys: this is no set of keys (JWKS)")
    );
    let figures = bench.chain.figures();
    let jwt = &figures.providers[0];
    assert_eq!((jwt.failed, jwt.refused_by_breaker, jwt.down), (5, 2, true));
}

#[test]
fn s67_a_token_admits_for_as_long_as_it_lasts() {
    let settings = settings::Jwt {
        token_in: TokenIn::Username,
        ..with_secret()
    };
    let provider = ProviderSettings {
        refresh: Duration::from_secs(60),
        cache: Duration::from_secs(60),
        ..ProviderSettings::new("jwt", Kind::Jwt(settings))
    };
    let bench = Bench::of(vec![provider]);
    let text = signed(&json!({"sub": "ann", "exp": now() + 100}));
    let ann = admitted(bench.ask(request(Some(&text), None)));
    assert_eq!(ann.identity, Identity::User("ann".into()));
    let grant = ann.grant.clone().unwrap();
    assert!(grant.valid_for.unwrap() <= Duration::from_secs(100));
    assert_eq!(grant.refresh_after, None);
    assert_eq!(admitted(bench.refresh(&ann)), ann);
    admitted(bench.ask(request(Some(&text), None)));
    assert_eq!(
        bench.chain.figures().providers[0].cached,
        0,
        "it is read each time"
    );
    let (_, why) = refusal(bench.ask(request(Some("ann"), Some("p"))));
    assert_eq!(&*why, "no provider knows the client");
}
