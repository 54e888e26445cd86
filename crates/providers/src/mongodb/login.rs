//! Who we are at MongoDB: SCRAM-SHA-256 (RFC 5802, RFC 7677), from the client's side. The server
//! has to show that it knows the password too.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use auth::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, pbkdf2};
use subtle::ConstantTimeEq;

use super::bson::{Bson, Document};
use super::wire;
use crate::access::scram::{LEAST_ITERATIONS, sign};
use crate::link::Link;

/// A name and a password, and the database that knows them.
pub(super) struct Login {
    /// As SCRAM writes it.
    name: String,
    password: Secret,
    source: String,
    /// What the password became with a salt, so that not each connection does the work.
    salted: Mutex<Option<(Challenge, [u8; 32])>>,
}

/// What the password is salted with.
#[derive(Clone, PartialEq, Eq)]
struct Challenge {
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl Login {
    pub(super) fn new(name: &str, password: &str, source: &str) -> Result<Self, &'static str> {
        // Names are taken as they are, passwords are prepared: so MongoDB wants it.
        let password = stringprep::saslprep(password);
        let password = password.map_err(|_| "the password has a character that SCRAM forbids")?;
        Ok(Self {
            name: name.replace('=', "=3D").replace(',', "=2C"),
            password: Secret::new(password.as_bytes()),
            source: source.into(),
            salted: Mutex::new(None),
        })
    }

    pub(super) async fn log_in(&self, link: &mut Link) -> Result<(), Arc<str>> {
        let mut random = [0; 24];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Arc::from("the system gives no random numbers"))?;
        let nonce = STANDARD.encode(random);
        let bare = format!("n={},r={nonce}", self.name);
        let start = Document::new([
            ("saslStart", Bson::Int32(1)),
            ("mechanism", Bson::Text("SCRAM-SHA-256".into())),
            ("payload", Bson::Bytes(format!("n,,{bare}").into_bytes())),
            (
                "options",
                Bson::Document(Document::new([("skipEmptyExchange", Bson::Flag(true))])),
            ),
        ]);
        let first = self.step(link, start).await?;
        let said = payload(&first)?;
        let (challenge, combined) = Challenge::parse(said, &nonce).ok_or_else(refused)?;
        let salted = self.salt(challenge).await?;
        let without_proof = format!("c=biws,r={combined}");
        let signed = format!("{bare},{said},{without_proof}");
        let proof = STANDARD.encode(proof(&salted, signed.as_bytes()));
        let second = Document::new([
            ("saslContinue", Bson::Int32(1)),
            ("conversationId", conversation(&first)),
            (
                "payload",
                Bson::Bytes(format!("{without_proof},p={proof}").into_bytes()),
            ),
        ]);
        let second = self.step(link, second).await?;
        let server_key = sign(&salted, b"Server Key");
        let expected = STANDARD.encode(sign(server_key.as_ref(), signed.as_bytes()));
        let shown = payload(&second)?.strip_prefix("v=").ok_or_else(refused)?;
        if !bool::from(shown.as_bytes().ct_eq(expected.as_bytes())) {
            return Err("MongoDB: the server does not know the password".into());
        }
        if second.number("done") != Some(1.0) {
            let last = Document::new([
                ("saslContinue", Bson::Int32(1)),
                ("conversationId", conversation(&second)),
                ("payload", Bson::Bytes(Vec::new())),
            ]);
            self.step(link, last).await?;
        }
        Ok(())
    }

    async fn step(&self, link: &mut Link, command: Document) -> Result<Document, Arc<str>> {
        let answered = wire::run(link, &self.source, command).await;
        answered.map_err(|failure| match failure {
            wire::Failure::Refused(_) => refused(),
            wire::Failure::Link(_) => format!("MongoDB: {failure}").into(),
        })
    }

    async fn salt(&self, challenge: Challenge) -> Result<[u8; 32], Arc<str>> {
        let known = self.salted().clone();
        if let Some((_, salted)) = known.filter(|it| it.0 == challenge) {
            return Ok(salted);
        }
        let (password, task) = (self.password.clone(), challenge.clone());
        let done = tokio::task::spawn_blocking(move || task.salt(password.reveal()));
        let salted = done.await.map_err(|_| Arc::from("no salted password"))?;
        *self.salted() = Some((challenge, salted));
        Ok(salted)
    }

    fn salted(&self) -> std::sync::MutexGuard<'_, Option<(Challenge, [u8; 32])>> {
        self.salted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Challenge {
    /// Reads the server's first message; with it the nonce that both made.
    fn parse<'a>(text: &'a str, nonce: &str) -> Option<(Self, &'a str)> {
        let mut parts = text.split(',');
        let combined = parts.next()?.strip_prefix("r=")?;
        let salt = STANDARD.decode(parts.next()?.strip_prefix("s=")?).ok()?;
        let iterations: NonZeroU32 = parts.next()?.strip_prefix("i=")?.parse().ok()?;
        let is_longer = combined.len() > nonce.len() && combined.starts_with(nonce);
        // Few would give the password away, very many would keep us busy.
        let fits = (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(&iterations);
        (is_longer && fits).then_some((Self { salt, iterations }, combined))
    }

    fn salt(&self, password: &[u8]) -> [u8; 32] {
        let mut salted = [0; 32];
        let function = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(function, self.iterations, &self.salt, password, &mut salted);
        salted
    }
}

fn proof(salted: &[u8], signed: &[u8]) -> Vec<u8> {
    let client_key = sign(salted, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let signature = sign(stored_key.as_ref(), signed);
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    pairs.map(|(one, other)| one ^ other).collect()
}

fn payload(answer: &Document) -> Result<&str, Arc<str>> {
    match answer.get("payload") {
        Some(Bson::Bytes(bytes)) => std::str::from_utf8(bytes).map_err(|_| refused()),
        _ => Err(refused()),
    }
}

fn conversation(answer: &Document) -> Bson {
    answer
        .get("conversationId")
        .cloned()
        .unwrap_or(Bson::Int32(1))
}

fn refused() -> Arc<str> {
    "MongoDB: the login was refused".into()
}

const MOST_ITERATIONS: NonZeroU32 = match NonZeroU32::new(1_000_000) {
    Some(count) => count,
    None => NonZeroU32::MAX,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677_comes_out() {
        let said = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (challenge, combined) = Challenge::parse(said, "rOprNGfwEbeRWgbNEkqO").unwrap();
        let salted = challenge.salt(b"pencil");
        let signed = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{said},c=biws,r={combined}");
        let shown = STANDARD.encode(proof(&salted, signed.as_bytes()));
        assert_eq!(shown, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let server_key = sign(&salted, b"Server Key");
        let shown = STANDARD.encode(sign(server_key.as_ref(), signed.as_bytes()));
        assert_eq!(shown, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn s68_challenges_that_make_no_sense_are_refused() {
        for (said, fits) in [
            ("r=nx,s=c2FsdA==,i=4096", true),
            ("r=n,s=c2FsdA==,i=4096", false),
            ("r=mx,s=c2FsdA==,i=4096", false),
            ("r=nx,s=c2FsdA==,i=4095", false),
            ("r=nx,s=c2FsdA==,i=1000001", false),
            ("r=nx,s=?,i=4096", false),
            ("s=c2FsdA==,r=nx,i=4096", false),
            ("e=other-error", false),
            ("", false),
        ] {
            assert_eq!(Challenge::parse(said, "n").is_some(), fits, "{said}");
        }
    }

    #[test]
    fn names_are_escaped_and_passwords_prepared() {
        let login = Login::new("a=b,c", "I\u{ad}X\u{2168}", "admin").unwrap();
        assert_eq!(login.name, "a=3Db=2Cc");
        assert_eq!(login.password.reveal(), b"IXIX", "RFC 4013, 3");
        assert!(Login::new("a", "\u{7}", "admin").is_err());
    }
}
