//! From `[[authentication]]` to who is asked who a client is.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use auth::{
    Admitted, Answer, Asker, Authenticator, Identity, Outcome, Refresh, Refused, Request, Secret,
};
use broker::Mail;
use config::{Authentication, Config, Location, Method};
use net::Mailboxes;
use providers::settings as wanted;
use providers::{Access, Chain, Figures, Notice, Problem, ProviderSettings, Purge, Settings};
use tracing::{info, warn};
use types::ReasonCode;

use super::permissions::places;

/// Why clients could not be told apart.
#[derive(Debug)]
pub(crate) enum IdentityError {
    /// A provider cannot start.
    Provider(Problem),
    /// A file with a secret cannot be read.
    Secret(PathBuf, io::Error),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(problem) => problem.fmt(f),
            Self::Secret(path, error) => {
                write!(f, "authentication: {}: {error}", path.display())
            }
        }
    }
}

/// Who says who clients are, and what a reload changes of that.
pub(crate) struct Identities {
    asked: RwLock<Asked>,
    access: Arc<Access>,
    mailboxes: Arc<OnceLock<Mailboxes<Mail>>>,
}

/// Why providers could not start, with their names; nothing is started.
pub(crate) fn obstacles(config: &Config) -> Vec<(String, IdentityError)> {
    let look = |one: &Authentication| {
        let settings = provider(config, one)?;
        Chain::foresee(&settings).map_err(IdentityError::Provider)
    };
    let all = config.authentication.iter();
    all.filter_map(|one| Some((one.name.clone(), look(one).err()?)))
        .collect()
}

/// Who is asked.
#[derive(Clone)]
enum Asked {
    /// Nobody: clients come in as nobody in particular, where the listener lets them.
    Nobody(Arc<[bool]>),
    /// A chain of providers.
    Chain(Arc<Chain>),
}

impl Identities {
    /// Starts whatever the configuration names.
    ///
    /// # Errors
    /// A provider cannot start; nobody is let in by chance (S69).
    pub(crate) fn start(config: &Config, access: &Arc<Access>) -> Result<Arc<Self>, IdentityError> {
        let mailboxes = Arc::default();
        let asked = Asked::start(config, access, &mailboxes)?;
        Ok(Arc::new(Self {
            asked: RwLock::new(asked),
            access: Arc::clone(access),
            mailboxes,
        }))
    }

    /// Tells where answers go to. Until then nobody asks.
    pub(crate) fn join(&self, mailboxes: &Mailboxes<Mail>) {
        // It is told once.
        let _first = self.mailboxes.set(mailboxes.clone());
    }

    /// Puts another configuration in force.
    ///
    /// # Errors
    /// As for [`Identities::start`]; then all stays as it is.
    pub(crate) fn replace(&self, config: &Config) -> Result<(), IdentityError> {
        let chain = match self.asked() {
            Asked::Chain(chain) if !config.authentication.is_empty() => Some(chain),
            Asked::Chain(_) | Asked::Nobody(_) => None,
        };
        match chain {
            Some(chain) => chain
                .replace(settings(config, &self.access)?)
                .map_err(IdentityError::Provider),
            None => {
                let asked = Asked::start(config, &self.access, &self.mailboxes)?;
                *self.asked.write().unwrap_or_else(PoisonError::into_inner) = asked;
                Ok(())
            }
        }
    }

    /// What was asked so far; `None` if nobody is asked.
    pub(crate) fn figures(&self) -> Option<Figures> {
        match self.asked() {
            Asked::Chain(chain) => Some(chain.figures()),
            Asked::Nobody(_) => None,
        }
    }

    /// Whether a file of passwords has this user; `None` if this provider is none.
    pub(crate) fn knows(&self, provider: &str, user: &str) -> Option<bool> {
        match self.asked() {
            Asked::Chain(chain) => chain.knows(provider, user),
            Asked::Nobody(_) => None,
        }
    }

    /// Forgets who was let in lately.
    pub(crate) fn forget(&self, whom: Purge<'_>) {
        match self.asked() {
            Asked::Chain(chain) => {
                // How many there were is of no interest.
                let _forgotten = chain.purge(whom);
            }
            Asked::Nobody(_) => {}
        }
    }

    fn asked(&self) -> Asked {
        let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }
}

impl Asked {
    fn start(
        config: &Config,
        access: &Arc<Access>,
        mailboxes: &Arc<OnceLock<Mailboxes<Mail>>>,
    ) -> Result<Self, IdentityError> {
        if config.authentication.is_empty() {
            let listeners = config.listeners.iter();
            let admits = listeners.map(|one| config.admits_anonymous(one));
            return Ok(Self::Nobody(admits.collect()));
        }
        let mailboxes = Arc::clone(mailboxes);
        let answers = Arc::new(move |asker: Asker, outcome: Outcome| {
            let answer = Mail::Answer(Box::new((asker.of, outcome)));
            // A worker that has ended waits for nothing.
            let _ended = mailboxes.wait().send(asker.worker, answer);
        });
        Chain::start(settings(config, access)?, answers, Arc::new(told))
            .map(Self::Chain)
            .map_err(IdentityError::Provider)
    }
}

impl Authenticator for Identities {
    fn authenticate(&self, request: Request) -> Answer {
        match self.asked() {
            Asked::Chain(chain) => chain.authenticate(request),
            Asked::Nobody(admits) => Answer::Now(nobody(&admits, &request)),
        }
    }

    fn refresh(&self, refresh: Refresh) -> Answer {
        match self.asked() {
            Asked::Chain(chain) => chain.refresh(refresh),
            Asked::Nobody(admits) => Answer::Now(stays(&admits, refresh)),
        }
    }

    fn takes_secret_names(&self, listener: u16) -> bool {
        match self.asked() {
            Asked::Chain(chain) => chain.takes_secret_names(listener),
            Asked::Nobody(_) => false,
        }
    }
}

/// Whether a client that is in stays where nobody is asked.
fn stays(admits: &[bool], refresh: Refresh) -> Outcome {
    let admits = admits.get(usize::from(refresh.listener));
    match (&refresh.identity, admits) {
        (Identity::Anonymous, Some(false)) => Outcome::Refused(Refused {
            reason: ReasonCode::NotAuthorized,
            why: "the listener lets nobody in without authentication any more".into(),
        }),
        _ => Outcome::Admitted(Admitted::plain(refresh.identity)),
    }
}

/// What a client hears where nobody is asked.
fn nobody(admits: &[bool], request: &Request) -> Outcome {
    let refused = |reason, why: &str| {
        Outcome::Refused(Refused {
            reason,
            why: why.into(),
        })
    };
    if request.enhanced.is_some() {
        // MQTT-4.12.0-1.
        let why = "no method of enhanced authentication is configured";
        return refused(ReasonCode::BadAuthenticationMethod, why);
    }
    match admits.get(usize::from(request.listener)) {
        Some(true) => Outcome::Admitted(Admitted::plain(Identity::Anonymous)),
        _ => refused(
            ReasonCode::NotAuthorized,
            "the listener lets nobody in without authentication, and none is configured",
        ),
    }
}

fn told(notice: Notice) {
    match notice {
        Notice::Down { provider, why } => {
            warn!(%provider, %why, "authentication: no answer; clients that it knows are not let in");
        }
        Notice::Up { provider } => info!(%provider, "authentication: answers again"),
    }
}

/// What the chain is made of.
fn settings(config: &Config, access: &Arc<Access>) -> Result<Settings, IdentityError> {
    let providers = config
        .authentication
        .iter()
        .map(|one| provider(config, one));
    let listeners = config.listeners.iter();
    Ok(Settings {
        providers: providers.collect::<Result<_, _>>()?,
        listeners: listeners
            .map(|one| wanted::ListenerSettings {
                name: one.name.as_str().into(),
                anonymous: config.admits_anonymous(one),
            })
            .collect(),
        failed_logins: config.limits.failed_logins,
        access: Some(Arc::clone(access)),
    })
}

fn provider(config: &Config, one: &Authentication) -> Result<ProviderSettings, IdentityError> {
    let asked_by = |listener| {
        config
            .asked_by(listener)
            .any(|asked| asked.name == one.name)
    };
    let names: Vec<String> = config
        .listeners
        .iter()
        .filter(|listener| asked_by(listener))
        .map(|listener| listener.name.clone())
        .collect();
    Ok(ProviderSettings {
        name: one.name.as_str().into(),
        listeners: Some(places(config, &names)),
        timeout: one.timeout,
        concurrency: one.concurrency,
        queue: one.queue,
        on_failure: match one.on_failure {
            config::OnFailure::Deny => wanted::OnFailure::Deny,
            config::OnFailure::Next => wanted::OnFailure::Next,
        },
        cache: one.cache,
        refresh: one.refresh,
        kind: kind(&one.method)?,
    })
}

fn kind(method: &Method) -> Result<wanted::Kind, IdentityError> {
    Ok(match method {
        Method::Passwords(it) => wanted::Kind::Passwords {
            file: it.file.clone(),
        },
        Method::Database => wanted::Kind::Database,
        Method::Scram => wanted::Kind::Scram,
        Method::Certificate(it) => wanted::Kind::Certificate {
            user_from: user_from(it.user_from),
        },
        Method::Jwt(it) => wanted::Kind::Jwt(jwt(it)?),
        Method::Http(it) => wanted::Kind::Http(http(it)),
        Method::PostgreSql(it) => wanted::Kind::PostgreSql(sql(it)),
        Method::MySql(it) => wanted::Kind::MySql(sql(it)),
        Method::Redis(it) => wanted::Kind::Redis(wanted::Redis {
            url: address(&it.url),
            command: it.command.clone(),
            rules_command: it.rules_command.clone(),
            hash: hash(it.hash),
            tls: trust(it.ca.as_deref()),
        }),
        Method::MongoDb(it) => wanted::Kind::MongoDb(wanted::MongoDb {
            url: address(&it.url),
            collection: it.collection.clone(),
            filter: it.filter.clone(),
            password_field: it.password_field.clone(),
            rules_collection: it.rules_collection.clone(),
            rules_filter: it.rules_filter.clone(),
            hash: hash(it.hash),
            tls: trust(it.ca.as_deref()),
        }),
        Method::Ldap(it) => wanted::Kind::Ldap(ldap(it)?),
    })
}

fn user_from(from: config::UserFrom) -> wanted::UserFrom {
    match from {
        config::UserFrom::CommonName => wanted::UserFrom::CommonName,
        config::UserFrom::Dns => wanted::UserFrom::Dns,
        config::UserFrom::Uri => wanted::UserFrom::Uri,
        config::UserFrom::Email => wanted::UserFrom::Email,
        config::UserFrom::Subject => wanted::UserFrom::Subject,
        config::UserFrom::Fingerprint => wanted::UserFrom::Fingerprint,
    }
}

fn jwt(it: &config::Jwt) -> Result<wanted::Jwt, IdentityError> {
    let keys = match (&it.secret, &it.secret_file, &it.public_key, &it.jwks) {
        (Some(secret), ..) => wanted::JwtKeys::Secret(Secret::new(secret.reveal().as_bytes())),
        (None, Some(path), ..) => wanted::JwtKeys::Secret(secret_file(path)?),
        (None, None, Some(path), _) => wanted::JwtKeys::PublicKey(path.clone()),
        (None, None, None, Some(Location::File(path))) => wanted::JwtKeys::File(path.clone()),
        (None, None, None, Some(Location::Url(url))) => wanted::JwtKeys::Url {
            url: address(url),
            refresh: it.jwks_refresh,
            tls: trust(it.ca.as_deref()),
        },
        // The configuration has one of them; without a key no token is right.
        (None, None, None, None) => wanted::JwtKeys::Secret(Secret::new(&[])),
    };
    let symmetric = matches!(keys, wanted::JwtKeys::Secret(_));
    let all = ALGORITHMS.iter().copied();
    let algorithms = match it.algorithms.is_empty() {
        true => all
            .filter(|(one, _)| one.is_symmetric() == symmetric)
            .map(|(_, one)| one)
            .collect(),
        false => all
            .filter(|(one, _)| it.algorithms.contains(one))
            .map(|(_, one)| one)
            .collect(),
    };
    Ok(wanted::Jwt {
        algorithms,
        keys,
        audience: it.audience.clone(),
        issuer: it.issuer.clone(),
        require_expiry: it.require_expiry,
        token_in: match it.token_in {
            config::TokenIn::Password => wanted::TokenIn::Password,
            config::TokenIn::Username => wanted::TokenIn::Username,
        },
        user_claim: it.user_claim.clone(),
        groups_claim: it.groups_claim.clone(),
        rules_claim: Some(it.rules_claim.clone()).filter(|claim| !claim.is_empty()),
        must_match_client: it.must_match_client,
    })
}

/// What the configuration calls a signature, and what the providers do.
const ALGORITHMS: [(config::Algorithm, wanted::Algorithm); 12] = {
    use config::Algorithm as C;
    use wanted::Algorithm as W;
    [
        (C::Hs256, W::Hs256),
        (C::Hs384, W::Hs384),
        (C::Hs512, W::Hs512),
        (C::Rs256, W::Rs256),
        (C::Rs384, W::Rs384),
        (C::Rs512, W::Rs512),
        (C::Ps256, W::Ps256),
        (C::Ps384, W::Ps384),
        (C::Ps512, W::Ps512),
        (C::Es256, W::Es256),
        (C::Es384, W::Es384),
        (C::EdDsa, W::EdDsa),
    ]
};

fn http(it: &config::Http) -> wanted::Http {
    let headers = it.headers.iter().map(|header| {
        let value = Secret::new(header.value.reveal().as_bytes());
        (header.name.clone(), value)
    });
    wanted::Http {
        url: address(&it.url),
        headers: headers.collect(),
        tls: wanted::Tls {
            identity: it.certificate.clone().zip(it.key.clone()),
            ..trust(it.ca.as_deref())
        },
    }
}

fn sql(it: &config::Sql) -> wanted::Sql {
    wanted::Sql {
        url: address(&it.url),
        query: it.query.clone(),
        rules_query: it.rules_query.clone(),
        groups_query: it.groups_query.clone(),
        hash: hash(it.hash),
        tls: trust(it.ca.as_deref()),
    }
}

fn ldap(it: &config::Ldap) -> Result<wanted::Ldap, IdentityError> {
    let password = match (&it.search_password, &it.search_password_file) {
        (Some(secret), _) => Some(Secret::new(secret.reveal().as_bytes())),
        (None, Some(path)) => Some(secret_file(path)?),
        (None, None) => None,
    };
    Ok(wanted::Ldap {
        url: address(&it.url),
        user: match (&it.bind_dn, &it.base) {
            (Some(name), _) => wanted::LdapUser::Name(name.clone()),
            (None, base) => wanted::LdapUser::Search {
                base: base.clone().unwrap_or_default(),
                filter: it.search.clone(),
            },
        },
        search_as: it.search_dn.clone().zip(password),
        groups: it.group_base.clone().map(|base| wanted::LdapGroups {
            base,
            filter: it.group_search.clone(),
            name: it.group_name.clone(),
        }),
        tls: trust(it.ca.as_deref()),
    })
}

fn hash(kind: config::PasswordHash) -> wanted::HashKind {
    match kind {
        config::PasswordHash::Auto => wanted::HashKind::Auto,
        config::PasswordHash::Plain => wanted::HashKind::Plain,
        config::PasswordHash::Sha256 => wanted::HashKind::Sha256,
        config::PasswordHash::Sha512 => wanted::HashKind::Sha512,
        config::PasswordHash::Pbkdf2 => wanted::HashKind::Pbkdf2,
        config::PasswordHash::Bcrypt => wanted::HashKind::Bcrypt,
        config::PasswordHash::Argon2id => wanted::HashKind::Argon2id,
    }
}

fn address(url: &config::Url) -> wanted::Address {
    wanted::Address::new(url.reveal())
}

fn trust(ca: Option<&Path>) -> wanted::Tls {
    wanted::Tls {
        ca: ca.map(Path::to_path_buf),
        identity: None,
    }
}

/// A secret that stands in a file, without the line break at its end.
fn secret_file(path: &Path) -> Result<Secret, IdentityError> {
    let bytes = fs::read(path).map_err(|error| IdentityError::Secret(path.to_path_buf(), error))?;
    let end = bytes.len()
        - bytes
            .iter()
            .rev()
            .take_while(|one| b"\r\n".contains(one))
            .count();
    Ok(Secret::new(&bytes[..end]))
}
