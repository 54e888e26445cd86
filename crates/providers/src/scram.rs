//! SCRAM-SHA-256 (RFC 5802, RFC 7677) against the users of the database: the client proves that it
//! knows the password without showing it, and the server proves it too.
//!
//! | from | data |
//! |---|---|
//! | client, CONNECT | `n,,n=user,r=nonce` |
//! | server, AUTH | `r=nonce and more,s=salt,i=iterations` |
//! | client, AUTH | `c=biws,r=nonce and more,p=proof` |
//! | server, CONNACK | `v=signature` |
//!
//! Channel binding is not offered, and who asks to act for somebody else is refused. Passwords
//! are prepared (SASLprep) when they are kept, as clients do before they prove; names are compared
//! byte for byte, as everywhere: rules and bans name the same users. A user who is not there, or who
//! has nothing that SCRAM could verify, gets a salt that is always the same and a refusal at the
//! end, as after a wrong password (S65).

use std::fmt;
use std::sync::Arc;

use auth::{Enhanced, Exchange};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

use crate::access::scram::{Verifier, sign};
use crate::chain::Hashing;
use crate::question::{Known, Purpose, Question, Verdict};
use crate::{Access, database};

/// The method's name.
pub(crate) const METHOD: &str = "SCRAM-SHA-256";

/// Converses with clients.
#[derive(Debug)]
pub(crate) struct Scram {
    access: Arc<Access>,
}

/// Between the first message and the last.
struct Conversation {
    user: Box<str>,
    verifier: Verifier,
    /// Whether the verifier is somebody's.
    is_real: bool,
    /// What `c=` must say.
    binding: &'static str,
    nonce: String,
    /// The three messages, but for the proof.
    so_far: String,
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conversation")
    }
}

impl Scram {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self { access }
    }

    /// Of a client without the method it knows nothing.
    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        let asked = question.purpose == Purpose::Refresh && question.username.is_some();
        (!asked).then_some(Verdict::Unknown)
    }

    /// What a user has who is in.
    pub(crate) async fn refresh(&self, question: &Question, hashing: &Hashing) -> Verdict {
        let (Some(name), None) = (question.username.clone(), self.quick(question)) else {
            return Verdict::Unknown;
        };
        let (access, client) = (Arc::clone(&self.access), question.client_id.clone());
        let found = hashing
            .run(move || database::look_up(&access, &name, &client))
            .await;
        found.unwrap_or_else(Verdict::Failed)
    }

    /// The next message.
    pub(crate) async fn converse(
        &self,
        question: &Question,
        enhanced: Enhanced,
        hashing: &Hashing,
    ) -> Verdict {
        let Enhanced { data, exchange, .. } = enhanced;
        let access = Arc::clone(&self.access);
        let said = match exchange.map(|Exchange(exchange)| exchange.downcast::<Conversation>()) {
            None => hashing.run(move || begin(&access, data.reveal())).await,
            Some(Ok(conversation)) => {
                let client = question.client_id.clone();
                let end = move || end(&access, &client, *conversation, data.reveal());
                hashing.run(end).await
            }
            Some(Err(_)) => return Verdict::Failed("a conversation of somebody else".into()),
        };
        said.unwrap_or_else(Verdict::Failed)
    }
}

/// Answers the client's first message.
fn begin(access: &Access, message: &[u8]) -> Verdict {
    let First {
        user,
        nonce,
        binding,
        bare,
    } = match First::parse(message) {
        Ok(first) => first,
        Err(why) => return Verdict::Wrong(why.into()),
    };
    let mut random = [0; 18];
    if SystemRandom::new().fill(&mut random).is_err() {
        return Verdict::Failed("the system gives no random numbers".into());
    }
    let stored = match access.stored(&user) {
        Ok(stored) => stored.filter(|user| !user.disabled),
        Err(error) => return Verdict::Failed(error.to_string().into()),
    };
    let verifier = stored.and_then(|user| user.credentials.scram);
    // Made in both cases, so that it takes the same time.
    let pretence = pretence(access, &user);
    let is_real = verifier.is_some();
    let verifier = verifier.unwrap_or(pretence);
    let nonce = format!("{nonce}{}", STANDARD.encode(random));
    let salt = STANDARD.encode(&verifier.salt);
    let answer = format!("r={nonce},s={salt},i={}", verifier.iterations);
    let conversation = Conversation {
        user,
        verifier,
        is_real,
        binding,
        nonce,
        so_far: format!("{bare},{answer}"),
    };
    Verdict::Continue {
        data: answer.into(),
        exchange: Exchange(Box::new(conversation)),
    }
}

/// What a user who is not there would have. Its salt is always the same.
fn pretence(access: &Access, user: &str) -> Verifier {
    let salt = sign(&access.seed(), user.as_bytes());
    Verifier {
        salt: salt.as_ref().iter().copied().take(16).collect(),
        iterations: access.scram_iterations(),
        stored_key: vec![0; 32],
        server_key: vec![0; 32],
    }
}

/// Answers the client's last message, by what the database says now: the client took the time in
/// between, as long as it liked (S48, S61).
fn end(access: &Access, client: &str, conversation: Conversation, message: &[u8]) -> Verdict {
    let answer = match conversation.verify(message) {
        Ok(answer) => answer,
        Err(why) => return Verdict::Wrong(why.into()),
    };
    let Conversation { user, verifier, .. } = conversation;
    let stored = match access.stored(&user) {
        Ok(stored) => stored.filter(|user| user.credentials.scram.as_ref() == Some(&verifier)),
        Err(error) => return Verdict::Failed(error.to_string().into()),
    };
    match stored {
        None => Verdict::Wrong("the password was changed meanwhile".into()),
        Some(stored) if stored.disabled => Verdict::Wrong("the user is disabled".into()),
        Some(stored) if !stored.may_use(client) => Verdict::Wrong(database::ANOTHER.into()),
        Some(stored) => Verdict::Known(Known {
            superuser: stored.superuser,
            is_known: true,
            data: Some(answer.into()),
            ..Known::user(&user)
        }),
    }
}

impl Conversation {
    /// What proves the server to the client, if the client's last message proves the client.
    fn verify(&self, message: &[u8]) -> Result<String, &'static str> {
        let (without_proof, proof) = self.parse_last(message).ok_or(MALFORMED)?;
        let text = format!("{},{without_proof}", self.so_far);
        let signature = sign(&self.verifier.stored_key, text.as_bytes());
        let key: Vec<u8> = signature
            .as_ref()
            .iter()
            .zip(&proof)
            .map(|(a, b)| a ^ b)
            .collect();
        let stored = digest::digest(&digest::SHA256, &key);
        let is_right = bool::from(stored.as_ref().ct_eq(&self.verifier.stored_key));
        if !is_right || !self.is_real {
            return Err("wrong password, or no such user");
        }
        let proof = sign(&self.verifier.server_key, text.as_bytes());
        Ok(format!("v={}", STANDARD.encode(proof)))
    }

    /// `c=..,r=..[,x=..],p=..`: what comes before the proof, and the proof.
    fn parse_last<'a>(&self, message: &'a [u8]) -> Option<(&'a str, Vec<u8>)> {
        let message = text(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let binding = parts.next()?.strip_prefix("c=")?;
        let nonce = parts.next()?.strip_prefix("r=")?;
        // Extensions that must be understood; there is none that we do.
        let mandatory = parts.any(|part| part.starts_with("m="));
        let proof = STANDARD.decode(proof).ok()?;
        let fits = binding == self.binding && nonce == self.nonce && proof.len() == 32;
        (fits && !mandatory).then_some((without_proof, proof))
    }
}

/// The client's first message.
struct First<'a> {
    user: Box<str>,
    nonce: &'a str,
    /// The header, as the last message repeats it.
    binding: &'static str,
    /// All but the header.
    bare: &'a str,
}

impl<'a> First<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let message = text(message)?;
        let (header, bare) = match (message.get(..3), message.get(3..)) {
            (Some(header), Some(bare)) => (header, bare),
            _ => return Err(MALFORMED),
        };
        let binding = match header {
            "n,," => "biws",
            "y,," => "eSws",
            _ if header.starts_with("p=") => return Err("channel binding is not offered"),
            _ if header.ends_with('a') => return Err("nobody acts for somebody else here"),
            _ => return Err(MALFORMED),
        };
        let mut parts = bare.split(',');
        let user = parts
            .next()
            .and_then(|part| part.strip_prefix("n="))
            .ok_or(MALFORMED)?;
        let nonce = parts
            .next()
            .and_then(|part| part.strip_prefix("r="))
            .ok_or(MALFORMED)?;
        if nonce.is_empty() || !nonce.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(MALFORMED);
        }
        Ok(Self {
            user: name(user)?,
            nonce,
            binding,
            bare,
        })
    }
}

/// A name: `=2C` stands for a comma, `=3D` for `=`.
fn name(text: &str) -> Result<Box<str>, &'static str> {
    let mut name = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        rest = if let Some(after) = after.strip_prefix("2C") {
            name.push(',');
            after
        } else if let Some(after) = after.strip_prefix("3D") {
            name.push('=');
            after
        } else {
            return Err(MALFORMED);
        };
    }
    name.push_str(rest);
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(MALFORMED);
    }
    Ok(name.into())
}

fn text(message: &[u8]) -> Result<&str, &'static str> {
    if message.len() > LONGEST_MESSAGE {
        return Err("the message is too long");
    }
    std::str::from_utf8(message).map_err(|_| MALFORMED)
}

const MALFORMED: &str = "the message is not what SCRAM says";
const LONGEST_MESSAGE: usize = 4096;

#[cfg(test)]
mod tests;
