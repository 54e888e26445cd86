//! `[[authentication]]`: the keys of each type.

use super::{AUTHENTICATION, Column, List, Need, Sort, Sorts, Wrong, column, part_column};
use crate::config::{
    Authentication, ByCertificate, Config, Http, Jwt, Ldap, Location, Method, MongoDb, Passwords,
    Redis, Sql,
};
use crate::formats::{group_search, mqtt_text, name, password, query, signing_secret};
use crate::keys::{DAY, Effect, count, short_span, span};
use crate::value::{ALGORITHMS, Kind, ON_FAILURES, PASSWORD_HASHES, TOKENS_IN, USERS_FROM};

pub(super) const LIST: List = List {
    name: AUTHENTICATION,
    one: "an authentication",
    columns: COMMON,
    sorts: Sorts::Word(TYPE, TYPES),
    known_by: Some("name"),
    short: None,
    effect: Effect::Reload,
    len: |config| config.authentication.len(),
    push: |config| config.authentication.push(Authentication::default()),
    copy: |config, other| config.authentication.clone_from(&other.authentication),
    check,
};

/// The key that says which of the types it is.
pub(crate) const TYPE: &str = "type";

macro_rules! common {
    ($name:ident, $kind:expr) => {
        column!(
            authentication,
            stringify!($name),
            $kind,
            Need::Optional,
            Reload,
            $name
        )
    };
}

const COMMON: &[Column] = &[
    common!(name, Kind::Text(name)),
    common!(listeners, Kind::List(&Kind::Text(name))),
    common!(timeout, short_span()),
    common!(concurrency, count(1, 10_000)),
    common!(queue, count(0, 1_000_000)),
    common!(on_failure, Kind::Choice(ON_FAILURES)),
    common!(cache, span(0, DAY)),
    common!(refresh, span(0, 30 * DAY)),
];

macro_rules! sort {
    ($word:literal, $columns:expr, $variant:ident($part:ident)) => {
        Sort {
            word: $word,
            columns: $columns,
            begin: |config, at| begin(config, at, Method::$variant($part::default())),
            has: |config, at| matches!(method(config, at), Some(Method::$variant(_))),
        }
    };
    ($word:literal, $variant:ident) => {
        Sort {
            word: $word,
            columns: &[],
            begin: |config, at| begin(config, at, Method::$variant),
            has: |config, at| matches!(method(config, at), Some(Method::$variant)),
        }
    };
}

const TYPES: &[Sort] = &[
    sort!("passwords", PASSWORDS, Passwords(Passwords)),
    sort!("database", Database),
    sort!("scram", Scram),
    sort!("certificate", CERTIFICATE, Certificate(ByCertificate)),
    sort!("jwt", JWT, Jwt(Jwt)),
    sort!("http", HTTP, Http(Http)),
    sort!("postgresql", POSTGRESQL, PostgreSql(Sql)),
    sort!("mysql", MYSQL, MySql(Sql)),
    sort!("redis", REDIS, Redis(Redis)),
    sort!("mongodb", MONGODB, MongoDb(MongoDb)),
    sort!("ldap", LDAP, Ldap(Ldap)),
];

macro_rules! key {
    ($variant:ident, $name:ident, $kind:expr) => {
        key!($variant, $name, $kind, Need::Optional)
    };
    ($variant:ident, $name:ident, $kind:expr, $need:expr) => {
        part_column!(
            authentication.method,
            Method::$variant,
            $name,
            $kind,
            $need,
            Reload
        )
    };
}

const PASSWORDS: &[Column] = &[key!(
    Passwords,
    file,
    Kind::File,
    Need::Required("\"passwords\"")
)];

const CERTIFICATE: &[Column] = &[key!(Certificate, user_from, Kind::Choice(USERS_FROM))];

const JWT: &[Column] = &[
    key!(Jwt, algorithms, Kind::List(&Kind::Choice(ALGORITHMS))),
    key!(Jwt, secret, Kind::Secret(signing_secret)),
    key!(Jwt, secret_file, Kind::File),
    key!(Jwt, public_key, Kind::File),
    key!(Jwt, jwks, Kind::Location(&["https"])),
    key!(Jwt, jwks_refresh, span(10, DAY)),
    key!(Jwt, ca, Kind::File),
    key!(Jwt, audience, Kind::List(&Kind::Text(mqtt_text))),
    key!(Jwt, issuer, Kind::Text(mqtt_text)),
    key!(Jwt, require_expiry, Kind::Flag),
    key!(Jwt, token_in, Kind::Choice(TOKENS_IN)),
    key!(Jwt, user_claim, Kind::Text(mqtt_text)),
    key!(Jwt, groups_claim, Kind::Text(mqtt_text)),
    key!(Jwt, rules_claim, Kind::Text(mqtt_text)),
    key!(Jwt, must_match_client, Kind::Flag),
];

const HTTP: &[Column] = &[
    key!(
        Http,
        url,
        Kind::Url(&["https", "http"]),
        Need::Required("\"https://…\"")
    ),
    key!(Http, headers, Kind::List(&Kind::Header)),
    key!(Http, ca, Kind::File),
    key!(Http, certificate, Kind::File),
    key!(Http, key, Kind::File),
];

/// PostgreSQL and MySQL have the same keys.
macro_rules! sql {
    ($variant:ident, $schemes:expr, $example:literal) => {
        &[
            key!($variant, url, Kind::Url($schemes), Need::Required($example)),
            key!(
                $variant,
                query,
                Kind::Template(query),
                Need::Required(SQL_EXAMPLE)
            ),
            key!($variant, rules_query, Kind::Template(query)),
            key!($variant, groups_query, Kind::Template(query)),
            key!($variant, hash, Kind::Choice(PASSWORD_HASHES)),
            key!($variant, ca, Kind::File),
        ]
    };
}

const POSTGRESQL: &[Column] = sql!(
    PostgreSql,
    &["postgresql", "postgres"],
    "\"postgresql://…\""
);
const MYSQL: &[Column] = sql!(MySql, &["mysql"], "\"mysql://…\"");
const SQL_EXAMPLE: &str = "\"SELECT password_hash FROM users WHERE name = ${username}\"";

const REDIS: &[Column] = &[
    key!(
        Redis,
        url,
        Kind::Url(&["redis", "rediss"]),
        Need::Required("\"redis://…\"")
    ),
    key!(
        Redis,
        command,
        Kind::Template(query),
        Need::Required("\"HMGET user:${username} password_hash salt\"")
    ),
    key!(Redis, rules_command, Kind::Template(query)),
    key!(Redis, hash, Kind::Choice(PASSWORD_HASHES)),
    key!(Redis, ca, Kind::File),
];

const MONGODB: &[Column] = &[
    key!(
        MongoDb,
        url,
        Kind::Url(&["mongodb"]),
        Need::Required("\"mongodb://…\"")
    ),
    key!(
        MongoDb,
        collection,
        Kind::Text(mqtt_text),
        Need::Required("\"users\"")
    ),
    key!(MongoDb, filter, Kind::Template(query)),
    key!(MongoDb, password_field, Kind::Text(mqtt_text)),
    key!(MongoDb, rules_collection, Kind::Text(mqtt_text)),
    key!(MongoDb, rules_filter, Kind::Template(query)),
    key!(MongoDb, hash, Kind::Choice(PASSWORD_HASHES)),
    key!(MongoDb, ca, Kind::File),
];

const LDAP: &[Column] = &[
    key!(
        Ldap,
        url,
        Kind::Url(&["ldaps", "ldap"]),
        Need::Required("\"ldaps://…\"")
    ),
    key!(Ldap, bind_dn, Kind::Template(query)),
    key!(Ldap, base, Kind::Text(mqtt_text)),
    key!(Ldap, search, Kind::Template(query)),
    key!(Ldap, search_dn, Kind::Text(mqtt_text)),
    key!(Ldap, search_password, Kind::Secret(password)),
    key!(Ldap, search_password_file, Kind::File),
    key!(Ldap, group_base, Kind::Text(mqtt_text)),
    key!(Ldap, group_search, Kind::Template(group_search)),
    key!(Ldap, group_name, Kind::Text(mqtt_text)),
    key!(Ldap, ca, Kind::File),
];

fn method(config: &Config, at: usize) -> Option<&Method> {
    config.authentication.get(at).map(|entry| &entry.method)
}

fn begin(config: &mut Config, at: usize, method: Method) {
    if let Some(entry) = config.authentication.get_mut(at) {
        entry.method = method;
    }
}

fn check(config: &Config, at: usize) -> Vec<Wrong> {
    match method(config, at) {
        Some(Method::Jwt(jwt)) => check_jwt(jwt),
        Some(Method::Http(http)) => check_http(http),
        Some(Method::MongoDb(mongodb)) => check_mongodb(mongodb),
        Some(Method::Ldap(ldap)) => check_ldap(ldap),
        _ => Vec::new(),
    }
}

fn check_jwt(jwt: &Jwt) -> Vec<Wrong> {
    let keys = [
        ("secret", jwt.secret.is_some()),
        ("secret_file", jwt.secret_file.is_some()),
        ("public_key", jwt.public_key.is_some()),
        ("jwks", jwt.jwks.is_some()),
    ];
    let said: Vec<&'static str> = keys.iter().filter(|it| it.1).map(|it| it.0).collect();
    let key = match said.as_slice() {
        [key] => *key,
        [] => {
            let message = "nothing says who signs tokens; write one of secret, secret_file, \
                           public_key and jwks";
            return vec![(TYPE, message.to_owned())];
        }
        [first, second, ..] => {
            let message = format!("{first} and {second} are both there; leave all but one out");
            return vec![(second, message)];
        }
    };
    if jwt.ca.is_some() && !matches!(jwt.jwks, Some(Location::Url(_))) {
        let message = "authentication.ca is for a jwks that is fetched; leave it out";
        return vec![("ca", message.to_owned())];
    }
    let shared = matches!(key, "secret" | "secret_file");
    let unfit = jwt
        .algorithms
        .iter()
        .find(|one| one.is_symmetric() != shared);
    match (unfit, shared) {
        (None, _) => Vec::new(),
        (Some(_), true) => {
            let message = format!(
                "authentication.algorithms: with {key} only HS256, HS384 and HS512 can be verified"
            );
            vec![("algorithms", message)]
        }
        // Who knows the public key, and that is everybody, could sign (S66).
        (Some(_), false) => {
            let message = format!(
                "authentication.algorithms: HS256, HS384 and HS512 need a secret, which {key} is \
                 not; leave them out"
            );
            vec![("algorithms", message)]
        }
    }
}

fn check_http(http: &Http) -> Vec<Wrong> {
    let both = "goes with certificate and key, both; write both, or leave both out";
    match (&http.certificate, &http.key) {
        (Some(_), None) => vec![("certificate", format!("authentication.certificate {both}"))],
        (None, Some(_)) => vec![("key", format!("authentication.key {both}"))],
        _ => Vec::new(),
    }
}

fn check_mongodb(mongodb: &MongoDb) -> Vec<Wrong> {
    if mongodb.rules_filter.is_some() && mongodb.rules_collection.is_none() {
        let message = "authentication.rules_filter finds nothing without rules_collection; write \
                       it, or leave both out";
        return vec![("rules_filter", message.to_owned())];
    }
    Vec::new()
}

fn check_ldap(ldap: &Ldap) -> Vec<Wrong> {
    let usual = Ldap::default();
    let mut wrong: Vec<Wrong> = Vec::new();
    let mut needs = |key: &'static str, is_said: bool, other: &str, holds: bool| {
        if is_said && !holds {
            let message = format!("authentication.{key} means nothing without {other}");
            wrong.push((key, format!("{message}; write it, or leave {key} out")));
        }
    };
    let searches = ldap.base.is_some();
    needs("search", ldap.search != usual.search, "base", searches);
    needs("search_dn", ldap.search_dn.is_some(), "base", searches);
    let named = ldap.search_dn.is_some();
    needs(
        "search_password",
        ldap.search_password.is_some(),
        "search_dn",
        named,
    );
    needs(
        "search_password_file",
        ldap.search_password_file.is_some(),
        "search_dn",
        named,
    );
    let grouped = ldap.group_base.is_some();
    needs(
        "group_search",
        ldap.group_search != usual.group_search,
        "group_base",
        grouped,
    );
    needs(
        "group_name",
        ldap.group_name != usual.group_name,
        "group_base",
        grouped,
    );
    match (&ldap.bind_dn, &ldap.base) {
        (Some(_), Some(_)) => {
            let message = "bind_dn and base are both there; leave out bind_dn to search for the \
                           user, or base not to";
            wrong.push(("base", message.to_owned()));
        }
        (None, None) => {
            let message = "nothing says where users are; write bind_dn = \
                           \"uid=${username},ou=people,…\", or base = \"ou=people,…\"";
            wrong.push((TYPE, message.to_owned()));
        }
        _ => {}
    }
    let password = ldap.search_password.is_some() || ldap.search_password_file.is_some();
    // A directory takes a name without a password for nobody in particular, and says that it fits.
    if named && searches && !password {
        let message = "authentication.search_dn has no password; write search_password or \
                       search_password_file, or leave search_dn out";
        wrong.push(("search_dn", message.to_owned()));
    }
    if ldap.search_password.is_some() && ldap.search_password_file.is_some() {
        let message = "search_password and search_password_file are both there; leave one out";
        wrong.push(("search_password_file", message.to_owned()));
    }
    wrong
}

/// Gives its type as a name to each that has none.
pub(crate) fn complete(config: &mut Config) {
    for entry in &mut config.authentication {
        if entry.name.is_empty() {
            entry.name = entry.method.as_str().to_owned();
        }
    }
}
