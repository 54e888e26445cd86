//! The providers, as the chain sees them.

use std::sync::Arc;

use auth::Enhanced;

use crate::certificate::ByCertificate;
use crate::chain::Hashing;
use crate::database::Database;
use crate::hash::Hash;
use crate::jwt::Jwt;
use crate::passwords::Passwords;
use crate::question::{Question, Verdict};
use crate::scram::{self, Scram};
use crate::settings::Kind;
use crate::{Access, Problem, ProviderSettings};

/// A provider that is ready to be asked.
#[derive(Debug)]
pub(crate) enum Provider {
    Passwords(Passwords),
    Certificate(ByCertificate),
    Database(Database),
    Scram(Scram),
    Jwt(Jwt),
}

impl Provider {
    /// Reads what settings name: files, keys.
    pub(crate) fn build(
        settings: &ProviderSettings,
        access: Option<&Arc<Access>>,
    ) -> Result<Self, Problem> {
        let users = || {
            let missing = || Problem::new("there is no database of users");
            access.cloned().ok_or_else(missing)
        };
        match &settings.kind {
            Kind::Passwords { file } => Passwords::load(file).map(Self::Passwords),
            Kind::Certificate { user_from } => {
                Ok(Self::Certificate(ByCertificate::new(*user_from)))
            }
            Kind::Database => Ok(Self::Database(Database::new(users()?))),
            Kind::Scram => Ok(Self::Scram(Scram::new(users()?))),
            Kind::Jwt(jwt) => Jwt::new(jwt, &settings.name).map(Self::Jwt),
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
            Self::Database(database) => database.quick(question),
            Self::Scram(scram) => scram.quick(question),
            Self::Jwt(jwt) => jwt.quick(question),
        }
    }

    /// What it says.
    pub(crate) async fn ask(&self, question: &Question, hashing: &Hashing) -> Verdict {
        match self {
            Self::Passwords(passwords) => passwords.ask(question, hashing).await,
            Self::Certificate(certificate) => certificate.verify(question),
            Self::Database(database) => database.ask(question, hashing).await,
            Self::Scram(scram) => scram.refresh(question, hashing).await,
            Self::Jwt(jwt) => jwt.ask(question).await,
        }
    }

    /// What it says to the next step of an enhanced authentication.
    pub(crate) async fn converse(&self, enhanced: Enhanced, hashing: &Hashing) -> Verdict {
        match self {
            Self::Scram(scram) => scram.converse(enhanced, hashing).await,
            _ => Verdict::Unknown,
        }
    }

    /// The method of enhanced authentication that it knows.
    pub(crate) fn method(&self) -> Option<&'static str> {
        matches!(self, Self::Scram(_)).then_some(scram::METHOD)
    }

    /// Whether it can say something about a client that shows nothing more.
    pub(crate) fn can_refresh(&self) -> bool {
        match self {
            Self::Passwords(_) | Self::Certificate(_) | Self::Database(_) | Self::Scram(_) => true,
            // What the client showed is all that there is.
            Self::Jwt(_) => false,
        }
    }

    /// Whether it is asked about passwords that people choose, and so can be asked until one is
    /// right (S64).
    pub(crate) fn can_be_guessed(&self) -> bool {
        match self {
            Self::Passwords(_) | Self::Database(_) | Self::Scram(_) => true,
            Self::Certificate(_) | Self::Jwt(_) => false,
        }
    }

    /// Whether it depends on somebody else, who can be down (S68).
    pub(crate) fn is_remote(&self) -> bool {
        match self {
            Self::Passwords(_) | Self::Certificate(_) | Self::Database(_) | Self::Scram(_) => false,
            Self::Jwt(jwt) => jwt.is_remote(),
        }
    }

    /// A hash as its users have them, to be spent on somebody whom nobody knows (S65).
    pub(crate) fn sample(&self) -> Option<Arc<Hash>> {
        match self {
            Self::Passwords(passwords) => Some(passwords.sample()),
            Self::Database(database) => Some(database.sample()),
            Self::Certificate(_) | Self::Scram(_) | Self::Jwt(_) => None,
        }
    }
}
