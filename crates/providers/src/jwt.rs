//! Tokens: JSON Web Tokens (RFC 7519), signed (RFC 7515).
//!
//! A token says for itself who its client is, and until when. It is looked at before anything of it
//! is believed: 8 KiB at most, a signature that the settings take, by a key of the kind that goes
//! with it (S66). Keys that a token brings or points to (`jwk`, `jku`, `x5u`) are not looked at.
//!
//! | module | owns |
//! |---|---|
//! | `token` | the three parts of a token, and whether it is signed |
//! | `keys` | what signatures are verified with: secrets, PEM, JWKS |
//! | `fetched` | a JWKS that is fetched; `unfetched.rs` in a build without HTTP |
//! | `claims` | what a token says |

mod claims;
#[cfg_attr(not(feature = "http"), path = "jwt/unfetched.rs")]
mod fetched;
mod keys;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use crate::Problem;
use crate::question::{Purpose, Question, Verdict};
use crate::settings::{self, JwtKeys, TokenIn};
use claims::Wanted;
use fetched::Fetched;
use keys::Keys;
use token::{Signed, Token};

/// Verifies tokens.
#[derive(Debug)]
pub(crate) struct Jwt {
    algorithms: Vec<settings::Algorithm>,
    source: Source,
    token_in: TokenIn,
    wanted: Wanted,
}

#[derive(Debug)]
enum Source {
    Here(Arc<Keys>),
    Fetched(Box<Fetched>),
}

impl Jwt {
    /// Reads the keys, if they are files.
    pub(crate) fn new(settings: &settings::Jwt, name: &Arc<str>) -> Result<Self, Problem> {
        if settings.algorithms.is_empty() {
            return Err(Problem::new("no algorithm is taken"));
        }
        let symmetric = matches!(settings.keys, JwtKeys::Secret(_));
        if settings
            .algorithms
            .iter()
            .any(|it| it.is_symmetric() != symmetric)
        {
            return Err(Problem::new(if symmetric {
                "a secret goes with HS256, HS384 and HS512 only"
            } else {
                "public keys do not go with HS256, HS384 and HS512"
            }));
        }
        let source = match &settings.keys {
            JwtKeys::Secret(secret) => Source::Here(Arc::new(Keys::of_secret(secret)?)),
            JwtKeys::PublicKey(file) => Source::Here(Arc::new(Keys::of_pem(file)?)),
            JwtKeys::File(file) => Source::Here(Arc::new(Keys::of_file(file)?)),
            JwtKeys::Url { url, refresh, tls } => {
                Source::Fetched(Box::new(Fetched::new(url, *refresh, tls)?))
            }
        };
        Ok(Self {
            algorithms: settings.algorithms.clone(),
            source,
            token_in: settings.token_in,
            wanted: Wanted::new(settings, name),
        })
    }

    /// Whether keys are fetched from somebody who can be down.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.source, Source::Fetched(_))
    }

    /// What needs no public key is said at once.
    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        let token = match self.token(question) {
            Ok(token) => token,
            Err(verdict) => return Some(verdict),
        };
        match &self.source {
            Source::Here(keys) if token.algorithm.is_symmetric() => {
                Some(self.judge(&token, keys, question))
            }
            Source::Here(_) | Source::Fetched(_) => None,
        }
    }

    pub(crate) async fn ask(&self, question: &Question) -> Verdict {
        let token = match self.token(question) {
            Ok(token) => token,
            Err(verdict) => return verdict,
        };
        let keys = match &self.source {
            Source::Here(keys) => Arc::clone(keys),
            Source::Fetched(fetched) => {
                let keys = match fetched.keys().await {
                    Ok(keys) => keys,
                    Err(why) => return Verdict::Failed(why),
                };
                if keys.fit(&token).next().is_some() {
                    keys
                } else {
                    fetched.newer(keys).await
                }
            }
        };
        self.judge(&token, &keys, question)
    }

    /// Whether the token stands where others have their user name.
    pub(crate) fn is_in_username(&self) -> bool {
        matches!(self.token_in, TokenIn::Username)
    }

    /// The token, if there is one that looks like one.
    fn token<'a>(&self, question: &'a Question) -> Result<Token<'a>, Verdict> {
        if question.purpose == Purpose::Refresh {
            return Err(Verdict::Unknown);
        }
        let text = match self.token_in {
            TokenIn::Password => question.password.as_ref().map(|it| it.reveal()),
            TokenIn::Username => question.username.as_deref().map(str::as_bytes),
        };
        let text = text.filter(|it| !it.is_empty()).ok_or(Verdict::Unknown)?;
        let token = Token::parse(text).map_err(|error| match error {
            // Perhaps the password of somebody whom another provider knows.
            token::TokenError::Foreign => Verdict::Unknown,
            token::TokenError::Bad(why) => Verdict::Wrong(why.into()),
        })?;
        if self.algorithms.contains(&token.algorithm) {
            Ok(token)
        } else {
            Err(Verdict::Wrong(
                "the token is signed in a way that is not taken".into(),
            ))
        }
    }

    fn judge(&self, token: &Token<'_>, keys: &Keys, question: &Question) -> Verdict {
        match token.verify(keys) {
            Signed::ByKey => {}
            // Another provider may have the issuer's key.
            Signed::ByUnknown => return Verdict::Unknown,
            Signed::Badly => return Verdict::Wrong("the token's signature is wrong".into()),
        }
        match self.wanted.read(token.payload, question, SystemTime::now()) {
            Ok(known) => Verdict::Known(known),
            Err(why) => Verdict::Wrong(why),
        }
    }
}

impl settings::Algorithm {
    /// Whether who verifies could sign as well.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}
