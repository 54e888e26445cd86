//! Who is asked who a client is.

use std::path::PathBuf;
use std::time::Duration;

use super::{Header, Secret, Url};

/// One that is asked who a client is. They are asked in the order of the file, until one knows the
/// client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// What it asks, and what it needs for that.
    pub method: Method,
    /// What listeners and logs call it: letters, digits, `-`, `_` and `.`, at most 64; no other has
    /// it. Without it the type.
    pub name: String,
    /// Names of the listeners whose clients it is asked about. Without it all.
    pub listeners: Vec<String>,
    /// Longest time until it answers, waiting included. Later: it has failed.
    pub timeout: Duration,
    /// Most questions at once. More wait.
    pub concurrency: u32,
    /// Most questions that wait. More: the client is refused with 0x89.
    pub queue: u32,
    /// What becomes of a client if it fails: `deny`: refused with 0x88; `next`: the next one is
    /// asked.
    pub on_failure: OnFailure,
    /// How long a yes is remembered and nobody asked again. Zero: not at all.
    pub cache: Duration,
    /// How often groups and rules of a client are asked for again while it is connected. Zero:
    /// never.
    pub refresh: Duration,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// A file of names and hashes.
    Passwords(Passwords),
    /// The database of users in the data folder.
    Database,
    /// The database of users in the data folder, by SCRAM-SHA-256: the password itself does not
    /// travel. The client needs MQTT 5.0.
    Scram,
    /// The client's certificate.
    Certificate(ByCertificate),
    /// A token that the client brings.
    Jwt(Jwt),
    /// A web service.
    Http(Http),
    /// PostgreSQL.
    PostgreSql(Sql),
    /// MySQL or MariaDB.
    MySql(Sql),
    /// Redis.
    Redis(Redis),
    /// MongoDB.
    MongoDb(MongoDb),
    /// LDAP.
    Ldap(Ldap),
}

impl Method {
    /// Its word in the file.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passwords(_) => "passwords",
            Self::Database => "database",
            Self::Scram => "scram",
            Self::Certificate(_) => "certificate",
            Self::Jwt(_) => "jwt",
            Self::Http(_) => "http",
            Self::PostgreSql(_) => "postgresql",
            Self::MySql(_) => "mysql",
            Self::Redis(_) => "redis",
            Self::MongoDb(_) => "mongodb",
            Self::Ldap(_) => "ldap",
        }
    }

    /// Whether permissions may come with the client, or with roles of the database.
    pub(crate) fn brings_rules(&self) -> bool {
        match self {
            Self::Database | Self::Scram | Self::Jwt(_) | Self::Http(_) => true,
            Self::PostgreSql(sql) | Self::MySql(sql) => sql.rules_query.is_some(),
            Self::Redis(redis) => redis.rules_command.is_some(),
            Self::MongoDb(mongodb) => mongodb.rules_collection.is_some(),
            Self::Passwords(_) | Self::Certificate(_) | Self::Ldap(_) => false,
        }
    }
}

/// A file of names and hashes. Read again at a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passwords {
    /// The file: a line `name:hash` for each user, as `nightjar passwd` and `mosquitto_passwd`
    /// write them (`$6$`, `$7$`, argon2id).
    pub file: PathBuf,
}

/// The client's certificate, on listeners that ask for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByCertificate {
    /// What of the certificate is the name of the user: the Common Name (`cn`), the name of a host
    /// (`dns`), of a resource (`uri`) or an address (`email`) among the alternative names, the whole
    /// subject (`subject`), or the SHA-256 of the certificate in hexadecimal digits
    /// (`fingerprint`). A certificate with none or several of these is refused, and so is a name
    /// with `+`, `#`, `/` or a control character.
    pub user_from: UserFrom,
}

impl Default for ByCertificate {
    fn default() -> Self {
        Self {
            user_from: UserFrom::CommonName,
        }
    }
}

/// What of a certificate is the name of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserFrom {
    /// The Common Name of the subject.
    CommonName,
    /// The alternative name that is a host.
    Dns,
    /// The alternative name that is a resource.
    Uri,
    /// The alternative name that is a mail address.
    Email,
    /// The whole subject.
    Subject,
    /// The SHA-256 of the certificate.
    Fingerprint,
}

/// A token that the client brings (JWT, RFC 7519). One of `secret`, `secret_file`, `public_key` and
/// `jwks` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Signatures that are taken. Without it those that fit the key: `HS` for a secret, all others
    /// for public keys.
    pub algorithms: Vec<Algorithm>,
    /// The secret that issuer and server share, at least 32 bytes. Better: `"${VARIABLE}"`, or
    /// `secret_file`.
    pub secret: Option<Secret>,
    /// File whose bytes are the secret, without a line break at the end.
    pub secret_file: Option<PathBuf>,
    /// File (PEM) of the issuer's public key.
    pub public_key: Option<PathBuf>,
    /// Where the issuer's public keys are (JWKS, RFC 7517): an address with `https`, or a file.
    pub jwks: Option<Location>,
    /// How often they are fetched. A token with an unknown key makes them be fetched earlier.
    pub jwks_refresh: Duration,
    /// File (PEM) of the authorities to trust when they are fetched. Without it those that browsers
    /// trust.
    pub ca: Option<PathBuf>,
    /// The `aud` of a token must have one of these. Without it nobody looks at it.
    pub audience: Vec<String>,
    /// The `iss` of a token must be this. Without it nobody looks at it.
    pub issuer: Option<String>,
    /// Whether a token without `exp` is refused.
    pub require_expiry: bool,
    /// Where the client puts the token.
    pub token_in: TokenIn,
    /// The claim that is the name of the user.
    pub user_claim: String,
    /// The claim that lists the groups of the user. Without it there are none.
    pub groups_claim: Option<String>,
    /// The claim that lists rules: objects with `permission`, `action` and `topics`.
    pub rules_claim: String,
    /// Whether the claim `clientid` must be there and be the client's.
    pub must_match_client: bool,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithms: Vec::new(),
            secret: None,
            secret_file: None,
            public_key: None,
            jwks: None,
            jwks_refresh: Duration::from_secs(5 * 60),
            ca: None,
            audience: Vec::new(),
            issuer: None,
            require_expiry: true,
            token_in: TokenIn::Password,
            user_claim: "sub".into(),
            groups_claim: None,
            rules_claim: "acl".into(),
            must_match_client: false,
        }
    }
}

/// How a token is signed (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
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

impl Algorithm {
    /// Whether who verifies could sign as well.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Fetched.
    Url(Url),
    /// Read.
    File(PathBuf),
}

/// Where a client puts its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenIn {
    /// In the place of the password.
    Password,
    /// In the place of the user name.
    Username,
}

/// A web service. docs/authentication.md says what it is asked and how it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where it is asked, with `https` or `http`. Redirects are not followed.
    pub url: Url,
    /// Lines `"Name: value"` of each request's head. Values are not shown; `"${VARIABLE}"` keeps
    /// them out of the file.
    pub headers: Vec<Header>,
    /// File (PEM) of the authorities to trust. Without it those that browsers trust.
    pub ca: Option<PathBuf>,
    /// File (PEM) of the certificate that the server shows there.
    pub certificate: Option<PathBuf>,
    /// File (PEM) of its private key.
    pub key: Option<PathBuf>,
}

/// A database that speaks SQL. In queries, `${username}`, `${clientid}`, `${ip}` and `${cert.cn}`
/// are bound as parameters, never put into the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sql {
    /// Where it is: scheme, user, host and database, such as
    /// `postgresql://nightjar:${PASSWORD}@db.example/devices` with the password in a variable of
    /// the environment.
    pub url: Url,
    /// Finds the user: a column `password_hash`, perhaps `salt` and `is_superuser`. No row: the next
    /// one is asked.
    pub query: String,
    /// Finds the user's rules: columns `permission`, `action`, `topic`, in their order.
    pub rules_query: Option<String>,
    /// Finds the user's groups: one column.
    pub groups_query: Option<String>,
    /// How passwords are kept. `auto`: by what the hash looks like; `plain` is never guessed.
    pub hash: PasswordHash,
    /// File (PEM) of the authorities to trust. Without it those that browsers trust.
    pub ca: Option<PathBuf>,
}

/// How a database keeps passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordHash {
    /// By what it looks like; never plain.
    #[default]
    Auto,
    /// As they are.
    Plain,
    /// SHA-256 in hexadecimal digits, of the salt and the password.
    Sha256,
    /// SHA-512 in hexadecimal digits, of the salt and the password.
    Sha512,
    /// PBKDF2.
    Pbkdf2,
    /// bcrypt.
    Bcrypt,
    /// argon2id.
    Argon2id,
}

/// Redis. In commands, `${username}`, `${clientid}`, `${ip}` and `${cert.cn}` stand for a whole
/// argument or a part of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redis {
    /// Where it is, with `redis` or `rediss` (TLS).
    pub url: Url,
    /// Finds the user, such as `HMGET user:${username} password_hash salt is_superuser`.
    pub command: String,
    /// Finds the user's rules, such as `HGETALL acl:${username}`: topics and actions.
    pub rules_command: Option<String>,
    /// How passwords are kept. `auto`: by what the hash looks like; `plain` is never guessed.
    pub hash: PasswordHash,
    /// File (PEM) of the authorities to trust. Without it those that browsers trust.
    pub ca: Option<PathBuf>,
}

/// MongoDB. In filters, `${username}`, `${clientid}`, `${ip}` and `${cert.cn}` stand for text only,
/// never for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MongoDb {
    /// Where it is: scheme, user, hosts and database, such as
    /// `mongodb://nightjar:${PASSWORD}@one.example,two.example/devices?tls=true`.
    pub url: Url,
    /// The collection that the user is in.
    pub collection: String,
    /// Finds the user: a document of JSON.
    pub filter: String,
    /// The field of its password's hash. `salt` and `is_superuser` may stand beside it.
    pub password_field: String,
    /// The collection that the user's rules are in: fields `permission`, `action`, `topics`.
    pub rules_collection: Option<String>,
    /// Finds the user's rules. Without it as `filter`.
    pub rules_filter: Option<String>,
    /// How passwords are kept. `auto`: by what the hash looks like; `plain` is never guessed.
    pub hash: PasswordHash,
    /// File (PEM) of the authorities to trust. Without it those that browsers trust.
    pub ca: Option<PathBuf>,
}

impl Default for MongoDb {
    fn default() -> Self {
        Self {
            url: Url::default(),
            collection: String::new(),
            filter: DEFAULT_MONGODB_FILTER.into(),
            password_field: "password_hash".into(),
            rules_collection: None,
            rules_filter: None,
            hash: PasswordHash::Auto,
            ca: None,
        }
    }
}

/// LDAP: a password is right if the directory lets its user in (bind). Either `bind_dn` is there,
/// or `base`, below which the user is searched for. What takes the place of `${username}`,
/// `${clientid}`, `${ip}` and `${cert.cn}` is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ldap {
    /// Where it is, with `ldaps`, or `ldap`, which shows passwords to the network.
    pub url: Url,
    /// The user's name in the directory, such as `uid=${username},ou=people,dc=example,dc=com`.
    pub bind_dn: Option<String>,
    /// Below what the user is searched for.
    pub base: Option<String>,
    /// How the user is found there. Several: refused.
    pub search: String,
    /// Who searches, with a password. Without it nobody in particular, if the directory allows that.
    pub search_dn: Option<String>,
    /// The password of who searches.
    pub search_password: Option<Secret>,
    /// File whose first line is the password of who searches.
    pub search_password_file: Option<PathBuf>,
    /// Below what groups are searched for. Without it there are none.
    pub group_base: Option<String>,
    /// How the user's groups are found there; `${dn}` is the user's name in the directory.
    pub group_search: String,
    /// The attribute of a group that is its name.
    pub group_name: String,
    /// File (PEM) of the authorities to trust. Without it those that browsers trust.
    pub ca: Option<PathBuf>,
}

impl Default for Ldap {
    fn default() -> Self {
        Self {
            url: Url::default(),
            bind_dn: None,
            base: None,
            search: "(uid=${username})".into(),
            search_dn: None,
            search_password: None,
            search_password_file: None,
            group_base: None,
            group_search: "(member=${dn})".into(),
            group_name: "cn".into(),
            ca: None,
        }
    }
}

/// What becomes of a client if who is asked fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused.
    Deny,
    /// The next one is asked.
    Next,
}

impl Default for Authentication {
    fn default() -> Self {
        Self {
            method: Method::Database,
            name: String::new(),
            listeners: Vec::new(),
            timeout: Duration::from_secs(5),
            concurrency: 32,
            queue: 1024,
            on_failure: OnFailure::Deny,
            cache: Duration::ZERO,
            refresh: Duration::from_secs(5 * 60),
        }
    }
}

const DEFAULT_MONGODB_FILTER: &str = r#"{ "username": "${username}" }"#;
