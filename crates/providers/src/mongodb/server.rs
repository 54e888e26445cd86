//! Where MongoDB is: `mongodb://name:password@host:port,host:port/database?authSource=admin`.

use std::sync::Arc;
use std::time::Duration;

use super::bson::{Bson, Document};
use super::login::Login;
use super::wire;
use crate::link::{Link, Target};
use crate::{Problem, settings, url};

/// The servers that an address names.
pub(super) struct Servers {
    targets: Vec<Target>,
    login: Option<Login>,
    /// The database that is asked.
    pub(super) database: String,
    replica_set: Option<String>,
}

impl std::fmt::Debug for Servers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.targets.fmt(f)
    }
}

/// What stands behind the question mark.
#[derive(Default)]
struct Options {
    source: Option<String>,
    replica_set: Option<String>,
    tls: bool,
}

impl Servers {
    pub(super) fn parse(settings: &settings::MongoDb) -> Result<Self, Problem> {
        let bad = || {
            Problem::new("the address is not mongodb://name:password@host:port,host:port/database")
        };
        let address = settings.url.reveal();
        if address.starts_with("mongodb+srv://") {
            return Err(Problem::new(
                "addresses with mongodb+srv are not looked up; write mongodb:// and the hosts \
                 that it stands for, with tls=true",
            ));
        }
        let rest = address.strip_prefix("mongodb://").ok_or_else(bad)?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let options = Options::parse(options)?;
        let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = url::decode(database).ok_or_else(bad)?;
        if database.is_empty() {
            return Err(Problem::new("the address names no database"));
        }
        let (login, hosts) = match rest.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, rest),
        };
        let targets = hosts.split(',').map(|host| {
            let target = Target::parse(host, 27017).ok_or_else(bad)?;
            match options.tls {
                true => target.with_tls(&settings.tls),
                false => Ok(target),
            }
        });
        let targets = targets.collect::<Result<_, _>>()?;
        if settings.tls.ca.is_some() && !options.tls {
            return Err(Problem::new("ca is for an address with tls=true"));
        }
        let login = match login {
            None => None,
            Some(login) => {
                let (name, password) = login.split_once(':').ok_or_else(bad)?;
                let name = url::decode(name).ok_or_else(bad)?;
                let password = url::decode(password).ok_or_else(bad)?;
                let source = options.source.as_deref().unwrap_or(&database);
                Some(Login::new(&name, &password, source).map_err(Problem::new)?)
            }
        };
        Ok(Self {
            targets,
            login,
            database,
            replica_set: options.replica_set,
        })
    }

    /// A connection to the primary, or else to a secondary, logged in.
    pub(super) async fn connect(&self) -> Result<Link, Arc<str>> {
        let mut secondary = None;
        let mut why: Arc<str> = "MongoDB: no server that can be asked".into();
        for target in &self.targets {
            match self.greet(target).await {
                Ok((link, true)) => return self.log_in(link).await,
                Ok((link, false)) => secondary = secondary.or(Some(link)),
                Err(error) => why = error,
            }
        }
        match secondary {
            Some(link) => self.log_in(link).await,
            None => Err(why),
        }
    }

    /// A connection, and whether it leads to the primary.
    async fn greet(&self, target: &Target) -> Result<(Link, bool), Arc<str>> {
        let connected = target.connect(PATIENCE).await;
        let mut link = connected.map_err(|error| Arc::from(format!("MongoDB: {error}")))?;
        let hello = Document::new([("hello", Bson::Int32(1))]);
        let answered = wire::run(&mut link, "admin", hello);
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        let answered = answered.map_err(|_| Arc::from("MongoDB: no answer in time"))?;
        let answer = answered.map_err(|failure| Arc::from(format!("MongoDB: {failure}")))?;
        if self.replica_set.is_some() && answer.text("setName") != self.replica_set.as_deref() {
            return Err("MongoDB: a server of another replica set".into());
        }
        let is = |name: &str| answer.number(name) == Some(1.0);
        match (is("isWritablePrimary"), is("secondary")) {
            (true, _) => Ok((link, true)),
            (false, true) => Ok((link, false)),
            (false, false) => Err("MongoDB: no server that can be asked".into()),
        }
    }

    async fn log_in(&self, mut link: Link) -> Result<Link, Arc<str>> {
        if let Some(login) = &self.login {
            login.log_in(&mut link).await?;
        }
        Ok(link)
    }
}

impl Options {
    /// What is not known is refused: it could be what an address is safe by.
    fn parse(text: &str) -> Result<Self, Problem> {
        let mut options = Self::default();
        for option in text.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = url::decode(value);
            let value = value.ok_or_else(|| Problem::new("the address has a broken option"))?;
            let wrong = || Problem::new(format!("the address's option {name} is not supported"));
            match (name.to_ascii_lowercase().as_str(), value.as_str()) {
                ("authsource", _) => options.source = Some(value),
                ("replicaset", _) => options.replica_set = Some(value),
                ("tls" | "ssl", "true") => options.tls = true,
                ("tls" | "ssl", "false") => options.tls = false,
                ("authmechanism", "SCRAM-SHA-256") => {}
                // What they say is so, or makes no difference to who only reads.
                ("appname" | "w" | "retrywrites" | "retryreads", _)
                | ("readpreference", "primaryPreferred") => {}
                ("authmechanism", _) => {
                    return Err(Problem::new("logins are by SCRAM-SHA-256 only"));
                }
                _ => return Err(wrong()),
            }
        }
        Ok(options)
    }
}

/// For a connection, and for its first answer.
const PATIENCE: Duration = Duration::from_secs(2);
