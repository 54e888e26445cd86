//! The kinds of providers, as the chain sees them.

use std::sync::Arc;

use auth::Enhanced;

use crate::certificate::ByCertificate;
use crate::chain::Hashing;
use crate::database::Database;
use crate::hash::Hash;
#[cfg(feature = "http")]
use crate::http::Http;
use crate::jwt::Jwt;
#[cfg(feature = "ldap")]
use crate::ldap::Ldap;
#[cfg(feature = "mongodb")]
use crate::mongodb::MongoDb;
#[cfg(feature = "mysql")]
use crate::mysql::MySql;
use crate::passwords::Passwords;
#[cfg(feature = "postgresql")]
use crate::postgresql::PostgreSql;
use crate::question::{Question, Verdict};
#[cfg(feature = "redis")]
use crate::redis::Redis;
use crate::scram::{self, Scram};
use crate::settings::Kind;
#[cfg(any(
    feature = "postgresql",
    feature = "mysql",
    feature = "redis",
    feature = "mongodb"
))]
use crate::table::Table;
use crate::{Access, Problem, ProviderSettings};

/// A provider that is ready to be asked.
#[derive(Debug)]
pub(crate) enum Provider {
    Passwords(Passwords),
    Database(Database),
    Scram(Scram),
    Certificate(ByCertificate),
    Jwt(Jwt),
    #[cfg(feature = "http")]
    Http(Box<Http>),
    #[cfg(feature = "postgresql")]
    PostgreSql(Box<Table<PostgreSql>>),
    #[cfg(feature = "mysql")]
    MySql(Box<Table<MySql>>),
    #[cfg(feature = "redis")]
    Redis(Box<Table<Redis>>),
    #[cfg(feature = "mongodb")]
    MongoDb(Box<Table<MongoDb>>),
    #[cfg(feature = "ldap")]
    Ldap(Box<Ldap>),
}

/// What the chain has to know of a kind.
#[derive(Clone, Copy, Debug)]
struct Nature {
    /// It is asked about passwords that people choose, and so can be asked until one is right.
    guessed: bool,
    /// It depends on somebody else, who can be down.
    remote: bool,
    /// It can say something about a client that shows nothing more.
    refreshes: bool,
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
        let name = &settings.name;
        Ok(match &settings.kind {
            Kind::Passwords { file } => Self::Passwords(Passwords::load(file)?),
            Kind::Database => Self::Database(Database::new(users()?)),
            Kind::Scram => Self::Scram(Scram::new(users()?)),
            Kind::Certificate { user_from } => Self::Certificate(ByCertificate::new(*user_from)),
            Kind::Jwt(jwt) => Self::Jwt(Jwt::new(jwt, name)?),
            #[cfg(feature = "http")]
            Kind::Http(http) => Self::Http(Box::new(Http::new(http, name)?)),
            #[cfg(feature = "postgresql")]
            Kind::PostgreSql(sql) => {
                let users = PostgreSql::new(sql)?;
                Self::PostgreSql(Box::new(Table::new(users, sql.hash, name)))
            }
            #[cfg(feature = "mysql")]
            Kind::MySql(sql) => {
                let users = MySql::new(sql, settings.concurrency)?;
                Self::MySql(Box::new(Table::new(users, sql.hash, name)))
            }
            #[cfg(feature = "redis")]
            Kind::Redis(redis) => {
                let users = Redis::new(redis)?;
                Self::Redis(Box::new(Table::new(users, redis.hash, name)))
            }
            #[cfg(feature = "mongodb")]
            Kind::MongoDb(mongodb) => {
                let users = MongoDb::new(mongodb)?;
                Self::MongoDb(Box::new(Table::new(users, mongodb.hash, name)))
            }
            #[cfg(feature = "ldap")]
            Kind::Ldap(ldap) => Self::Ldap(Box::new(Ldap::new(ldap)?)),
            #[cfg(not(all(
                feature = "http",
                feature = "postgresql",
                feature = "mysql",
                feature = "redis",
                feature = "mongodb",
                feature = "ldap"
            )))]
            kind => {
                let why = "this build has no provider of the kind";
                return Err(Problem::new(format!("{why} {:?}", kind.as_str())));
            }
        })
    }

    /// What it says without work, if it can.
    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        match self {
            Self::Passwords(passwords) => passwords.quick(question),
            Self::Database(database) => database.quick(question),
            Self::Scram(scram) => scram.quick(question),
            Self::Certificate(certificate) => Some(certificate.verify(question)),
            Self::Jwt(jwt) => jwt.quick(question),
            #[cfg(feature = "http")]
            Self::Http(http) => http.quick(question),
            #[cfg(feature = "postgresql")]
            Self::PostgreSql(table) => table.quick(question),
            #[cfg(feature = "mysql")]
            Self::MySql(table) => table.quick(question),
            #[cfg(feature = "redis")]
            Self::Redis(table) => table.quick(question),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(table) => table.quick(question),
            #[cfg(feature = "ldap")]
            Self::Ldap(ldap) => ldap.quick(question),
        }
    }

    /// What it says.
    pub(crate) async fn ask(&self, question: &Question, hashing: &Hashing) -> Verdict {
        match self {
            Self::Passwords(passwords) => passwords.ask(question, hashing).await,
            Self::Database(database) => database.ask(question, hashing).await,
            Self::Scram(scram) => scram.refresh(question, hashing).await,
            Self::Certificate(certificate) => certificate.verify(question),
            Self::Jwt(jwt) => jwt.ask(question).await,
            #[cfg(feature = "http")]
            Self::Http(http) => http.ask(question).await,
            #[cfg(feature = "postgresql")]
            Self::PostgreSql(table) => table.ask(question, hashing).await,
            #[cfg(feature = "mysql")]
            Self::MySql(table) => table.ask(question, hashing).await,
            #[cfg(feature = "redis")]
            Self::Redis(table) => table.ask(question, hashing).await,
            #[cfg(feature = "mongodb")]
            Self::MongoDb(table) => table.ask(question, hashing).await,
            #[cfg(feature = "ldap")]
            Self::Ldap(ldap) => ldap.ask(question).await,
        }
    }

    /// What it says to the next step of an enhanced authentication.
    pub(crate) async fn converse(
        &self,
        question: &Question,
        enhanced: Enhanced,
        hashing: &Hashing,
    ) -> Verdict {
        match self {
            Self::Scram(scram) => scram.converse(question, enhanced, hashing).await,
            _ => Verdict::Unknown,
        }
    }

    /// The method of enhanced authentication that it knows.
    pub(crate) fn method(&self) -> Option<&'static str> {
        matches!(self, Self::Scram(_)).then_some(scram::METHOD)
    }

    /// Whether it can say something about a client that shows nothing more.
    pub(crate) fn can_refresh(&self) -> bool {
        self.nature().refreshes
    }

    /// Whether what it takes for a secret may stand where others have their user name (S71).
    pub(crate) fn takes_secret_names(&self) -> bool {
        matches!(self, Self::Jwt(jwt) if jwt.is_in_username())
    }

    /// Whether it is asked about passwords that people choose, and so can be asked until one is
    /// right (S64).
    pub(crate) fn can_be_guessed(&self) -> bool {
        self.nature().guessed
    }

    /// Whether it depends on somebody else, who can be down (S68).
    pub(crate) fn is_remote(&self) -> bool {
        self.nature().remote
    }

    /// A hash as its users have them, to be spent on somebody whom nobody knows (S65).
    pub(crate) fn sample(&self) -> Option<Arc<Hash>> {
        match self {
            Self::Passwords(passwords) => Some(passwords.sample()),
            Self::Database(database) => Some(database.sample()),
            Self::Scram(_) | Self::Certificate(_) | Self::Jwt(_) => None,
            #[cfg(feature = "http")]
            Self::Http(_) => None,
            #[cfg(feature = "postgresql")]
            Self::PostgreSql(table) => Some(table.sample()),
            #[cfg(feature = "mysql")]
            Self::MySql(table) => Some(table.sample()),
            #[cfg(feature = "redis")]
            Self::Redis(table) => Some(table.sample()),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(table) => Some(table.sample()),
            #[cfg(feature = "ldap")]
            Self::Ldap(_) => None,
        }
    }

    /// Counts changes of what it knows; zero: that is not known here.
    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Database(database) => database.version(),
            _ => 0,
        }
    }

    fn nature(&self) -> Nature {
        let (guessed, remote, refreshes) = match self {
            Self::Passwords(_) | Self::Database(_) | Self::Scram(_) => (true, false, true),
            Self::Certificate(_) => (false, false, true),
            // What the client showed is all that there is.
            Self::Jwt(jwt) => (false, jwt.is_remote(), false),
            #[cfg(feature = "http")]
            Self::Http(_) => (true, true, true),
            #[cfg(feature = "postgresql")]
            Self::PostgreSql(_) => (true, true, true),
            #[cfg(feature = "mysql")]
            Self::MySql(_) => (true, true, true),
            #[cfg(feature = "redis")]
            Self::Redis(_) => (true, true, true),
            #[cfg(feature = "mongodb")]
            Self::MongoDb(_) => (true, true, true),
            #[cfg(feature = "ldap")]
            Self::Ldap(ldap) => (true, true, ldap.can_refresh()),
        };
        Nature {
            guessed,
            remote,
            refreshes,
        }
    }
}
