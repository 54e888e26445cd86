//! Which providers there are, and what each needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::Secret;

use crate::Access;

/// What a chain is made of.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The providers, in the order in which they are asked. Names are unique.
    pub providers: Vec<ProviderSettings>,
    /// The listeners, by the number that requests name them by. One that is not here admits
    /// nobody without a user.
    pub listeners: Vec<ListenerSettings>,
    /// So many failed logins an address may have in a minute before further attempts from it are
    /// delayed and refused unread (S64). Zero: any number. Of IPv6 the first 64 bits count.
    pub failed_logins: u32,
    /// The users of this server, for [`Kind::Database`] and [`Kind::Scram`].
    pub access: Option<Arc<Access>>,
}

/// What is to be known of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// What back ends are told.
    pub name: Arc<str>,
    /// Whether clients that show nothing at all may come in as nobody in particular.
    pub anonymous: bool,
}

/// One provider.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// What logs and figures call it.
    pub name: Arc<str>,
    /// The listeners whose clients it is asked about; `None`: all.
    pub listeners: Option<Vec<u16>>,
    /// The longest time until it answers, waiting included; then it has failed.
    pub timeout: Duration,
    /// Most questions at once; at least one. More wait.
    pub concurrency: u32,
    /// Most questions that wait. More: the client is refused with 0x89.
    pub queue: u32,
    /// What becomes of a client if it fails.
    pub on_failure: OnFailure,
    /// How long a yes is remembered and nobody asked; zero: not at all. Only for providers that
    /// are slow to ask: back ends and hashes.
    pub cache: Duration,
    /// How often a connected client's groups and rules are asked for again; zero: never. Clients
    /// whose admission ends by itself ([`auth::Grant::valid_for`]) are not asked about.
    pub refresh: Duration,
    /// What is asked.
    pub kind: Kind,
}

/// What becomes of a client if a provider fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused (S68).
    #[default]
    Deny,
    /// The next provider is asked.
    Next,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A file of names and hashes, read at the start and at each [`crate::Chain::replace`].
    Passwords {
        /// The file.
        file: PathBuf,
    },
    /// The users of this server.
    Database,
    /// The same by SCRAM-SHA-256 (RFC 7677) over AUTH.
    Scram,
    /// The client's certificate.
    Certificate {
        /// What of it is the user's name.
        user_from: UserFrom,
    },
    /// A token.
    Jwt(Jwt),
    /// A web service.
    Http(Http),
    /// PostgreSQL (feature `postgresql`).
    PostgreSql(Sql),
    /// MySQL or MariaDB (feature `mysql`).
    MySql(Sql),
    /// Redis (feature `redis`).
    Redis(Redis),
    /// MongoDB (feature `mongodb`).
    MongoDb(MongoDb),
    /// LDAP (feature `ldap`).
    Ldap(Ldap),
}

impl Kind {
    /// Its word in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passwords { .. } => "passwords",
            Self::Database => "database",
            Self::Scram => "scram",
            Self::Certificate { .. } => "certificate",
            Self::Jwt(_) => "jwt",
            Self::Http(_) => "http",
            Self::PostgreSql(_) => "postgresql",
            Self::MySql(_) => "mysql",
            Self::Redis(_) => "redis",
            Self::MongoDb(_) => "mongodb",
            Self::Ldap(_) => "ldap",
        }
    }
}

/// What of a certificate is the user's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserFrom {
    /// The Common Name of the subject.
    #[default]
    CommonName,
    /// The DNS name among the alternative names.
    Dns,
    /// The URI among them.
    Uri,
    /// The mail address among them.
    Email,
    /// The whole subject (RFC 4514).
    Subject,
    /// The SHA-256 of the certificate, in hexadecimal digits.
    Fingerprint,
}

/// A token: JWT (RFC 7519), signed (RFC 7515).
#[derive(Clone, Debug)]
pub struct Jwt {
    /// Signatures that are taken; at least one. HS goes with a secret only, the others with
    /// public keys only (S66).
    pub algorithms: Vec<Algorithm>,
    /// What signatures are verified with.
    pub keys: JwtKeys,
    /// `aud` of a token must have one of these; none: nobody looks at it.
    pub audience: Vec<String>,
    /// `iss` of a token must be this; `None`: nobody looks at it.
    pub issuer: Option<String>,
    /// Whether a token without `exp` is refused.
    pub require_expiry: bool,
    /// Where the client puts the token.
    pub token_in: TokenIn,
    /// The claim that is the user's name.
    pub user_claim: String,
    /// The claim that lists the user's groups.
    pub groups_claim: Option<String>,
    /// The claim that lists the client's rules.
    pub rules_claim: Option<String>,
    /// Whether the claim `clientid` must be there and be the client's.
    pub must_match_client: bool,
}

/// What signatures are verified with.
#[derive(Clone, Debug)]
pub enum JwtKeys {
    /// What issuer and server share: at least 32 bytes.
    Secret(Secret),
    /// A public key or a certificate (PEM).
    PublicKey(PathBuf),
    /// Public keys (JWKS, RFC 7517) in a file.
    File(PathBuf),
    /// Public keys (JWKS) that are fetched.
    Url {
        /// Where: `https` or `http`.
        url: Address,
        /// How often; a token with an unknown key makes them be fetched earlier, at most every ten
        /// seconds.
        refresh: Duration,
        /// Whom to trust.
        tls: Tls,
    },
}

/// How a token is signed (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC, SHA-256.
    Hs256,
    /// HMAC, SHA-384.
    Hs384,
    /// HMAC, SHA-512.
    Hs512,
    /// RSA, PKCS 1.5, SHA-256.
    Rs256,
    /// RSA, PKCS 1.5, SHA-384.
    Rs384,
    /// RSA, PKCS 1.5, SHA-512.
    Rs512,
    /// RSA, PSS, SHA-256.
    Ps256,
    /// RSA, PSS, SHA-384.
    Ps384,
    /// RSA, PSS, SHA-512.
    Ps512,
    /// ECDSA, P-256.
    Es256,
    /// ECDSA, P-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

/// Where a client puts its token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenIn {
    /// In the place of the password.
    #[default]
    Password,
    /// In the place of the user name.
    Username,
}

/// A web service that is asked by POST.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where: `https` or `http`. Redirects are not followed (S97).
    pub url: Address,
    /// Lines of each request's head: names and values.
    pub headers: Vec<(String, Secret)>,
    /// Whom to trust, and what to show.
    pub tls: Tls,
}

/// A database that speaks SQL. `${clientid}`, `${username}`, `${ip}` and `${cert.cn}` in queries
/// are bound as parameters. A client that has no such value is unknown.
#[derive(Clone, Debug)]
pub struct Sql {
    /// Where: `postgresql://`, `mysql://`, with user, password and database.
    pub url: Address,
    /// Finds the user: a column `password_hash`, and perhaps `salt`, `is_superuser`, and `username`:
    /// the name as the table writes it, if the query compares it less exactly than rules do.
    pub query: String,
    /// Finds the rules: columns `permission`, `action`, `topic`.
    pub rules_query: Option<String>,
    /// Finds the groups: one column.
    pub groups_query: Option<String>,
    /// How passwords are kept.
    pub hash: HashKind,
    /// Whom to trust.
    pub tls: Tls,
}

/// Redis.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Where: `redis://` or `rediss://`, with user, password and the number of the database.
    pub url: Address,
    /// Finds the user: `HMGET key password_hash salt is_superuser`, or `GET key`, or `HGETALL key`.
    pub command: String,
    /// Finds the rules: `HGETALL key`, topics and actions.
    pub rules_command: Option<String>,
    /// How passwords are kept.
    pub hash: HashKind,
    /// Whom to trust.
    pub tls: Tls,
}

/// MongoDB.
#[derive(Clone, Debug)]
pub struct MongoDb {
    /// Where: `mongodb://`, several hosts perhaps, with the database as its path.
    pub url: Address,
    /// The collection of users.
    pub collection: String,
    /// Finds the user: a JSON document.
    pub filter: String,
    /// The field of the password's hash; `salt`, `is_superuser` and `groups` may stand beside it.
    pub password_field: String,
    /// The collection of rules: fields `permission`, `action`, `topics`.
    pub rules_collection: Option<String>,
    /// Finds them; `None`: as `filter`.
    pub rules_filter: Option<String>,
    /// How passwords are kept.
    pub hash: HashKind,
    /// Whom to trust.
    pub tls: Tls,
}

/// LDAP: a password is right if the directory takes it in a bind.
#[derive(Clone, Debug)]
pub struct Ldap {
    /// Where: `ldap://` or `ldaps://`.
    pub url: Address,
    /// Who binds.
    pub user: LdapUser,
    /// Who searches: name and password; `None`: nobody in particular.
    pub search_as: Option<(String, Secret)>,
    /// Where groups are searched for; `None`: there are none.
    pub groups: Option<LdapGroups>,
    /// Whom to trust.
    pub tls: Tls,
}

/// How a user's name in the directory is come by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LdapUser {
    /// By filling in a name such as `uid=${username},ou=people,dc=example,dc=com`.
    Name(String),
    /// By a search; several that match are refused.
    Search {
        /// Below what.
        base: String,
        /// For what: `(uid=${username})`.
        filter: String,
    },
}

/// How a user's groups are found in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapGroups {
    /// Below what.
    pub base: String,
    /// For what: `(member=${dn})`, where `${dn}` is the user's name in the directory.
    pub filter: String,
    /// The attribute that is a group's name.
    pub name: String,
}

/// How a database keeps passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashKind {
    /// By what it looks like; never plain.
    #[default]
    Auto,
    /// As they are.
    Plain,
    /// SHA-256 of salt and password, in hexadecimal digits.
    Sha256,
    /// SHA-512 of salt and password, in hexadecimal digits.
    Sha512,
    /// PBKDF2 as a text that says its parameters.
    Pbkdf2,
    /// bcrypt.
    Bcrypt,
    /// argon2id.
    Argon2id,
}

/// Whom to trust at the other end, and what to show there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities (PEM); `None`: those that browsers trust.
    pub ca: Option<PathBuf>,
    /// Certificate and private key (PEM) that are shown.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// An address that may have a password in it, and so is not shown (S71).
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Takes it as it is; it is looked at when the chain starts.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What it is, password included.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

impl ProviderSettings {
    /// A provider with the usual bounds: 5 s, 32 questions at once, 1,024 that wait, refusal if it
    /// fails, no cache, no refresh.
    pub fn new(name: impl Into<Arc<str>>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            listeners: None,
            timeout: Duration::from_secs(5),
            concurrency: 32,
            queue: 1024,
            on_failure: OnFailure::Deny,
            cache: Duration::ZERO,
            refresh: Duration::ZERO,
            kind,
        }
    }

    /// Whether it is asked about clients of a listener.
    pub(crate) fn is_for(&self, listener: u16) -> bool {
        match &self.listeners {
            Some(listeners) => listeners.contains(&listener),
            None => true,
        }
    }
}
