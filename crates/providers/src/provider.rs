//! The providers, as the chain sees them.

use std::sync::Arc;

use auth::Enhanced;

use crate::certificate::ByCertificate;
use crate::chain::Hashing;
use crate::hash::Hash;
use crate::passwords::Passwords;
use crate::question::{Question, Verdict};
use crate::settings::Kind;
use crate::{Problem, ProviderSettings};

/// A provider that is ready to be asked.
#[derive(Debug)]
pub(crate) enum Provider {
    Passwords(Passwords),
    Certificate(ByCertificate),
}

impl Provider {
    /// Reads what settings name: files, keys.
    pub(crate) fn build(settings: &ProviderSettings) -> Result<Self, Problem> {
        match &settings.kind {
            Kind::Passwords { file } => Passwords::load(file).map(Self::Passwords),
            Kind::Certificate { user_from } => {
                Ok(Self::Certificate(ByCertificate::new(*user_from)))
            }
            kind => Err(Problem::new(format!(
                "this build has no provider of the kind {:?}",
                kind.as_str()
            ))),
        }
    }

    /// What it says without work, if it can.
    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        match self {
            Self::Passwords(passwords) => passwords.quick(question),
            Self::Certificate(certificate) => Some(certificate.verify(question)),
        }
    }

    /// What it says.
    pub(crate) async fn ask(&self, question: &Question, hashing: &Hashing) -> Verdict {
        match self {
            Self::Passwords(passwords) => passwords.ask(question, hashing).await,
            Self::Certificate(certificate) => certificate.verify(question),
        }
    }

    /// What it says to the next step of an enhanced authentication.
    pub(crate) async fn converse(&self, _: Enhanced, _: &Hashing) -> Verdict {
        match self {
            Self::Passwords(_) | Self::Certificate(_) => Verdict::Unknown,
        }
    }

    /// The method of enhanced authentication that it knows.
    pub(crate) fn method(&self) -> Option<&'static str> {
        match self {
            Self::Passwords(_) | Self::Certificate(_) => None,
        }
    }

    /// Whether it can say something about a client that shows nothing more.
    pub(crate) fn can_refresh(&self) -> bool {
        match self {
            Self::Passwords(_) | Self::Certificate(_) => true,
        }
    }

    /// Whether it is asked about passwords that people choose, and so can be asked until one is
    /// right (S64).
    pub(crate) fn can_be_guessed(&self) -> bool {
        match self {
            Self::Passwords(_) => true,
            Self::Certificate(_) => false,
        }
    }

    /// Whether it depends on somebody else, who can be down (S68).
    pub(crate) fn is_remote(&self) -> bool {
        match self {
            Self::Passwords(_) | Self::Certificate(_) => false,
        }
    }

    /// A hash as its users have them, to be spent on somebody whom nobody knows (S65).
    pub(crate) fn sample(&self) -> Option<Arc<Hash>> {
        match self {
            Self::Passwords(passwords) => Some(passwords.sample()),
            Self::Certificate(_) => None,
        }
    }
}
