//! Redis. The user is found by one command that only reads:
//!
//! | command | what it gives |
//! |---|---|
//! | `GET key`, `HGET key field` | the hash |
//! | `HMGET key a b c`, `MGET a b c` | the hash, perhaps the salt, perhaps whether the user is a superuser |
//! | `HGETALL key` | fields `password_hash`, `salt`, `is_superuser` |
//!
//! Rules are found by `HGETALL key`: topics, and for each `publish`, `subscribe` or `all`. They all
//! allow. What stands for something of the client's is a whole argument or a part of one; it never
//! makes two of one. `"` around an argument keeps its spaces.

mod resp;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use auth::Secret;

use crate::link::{Link, Target};
use crate::pool::Pool;
use crate::question::{Question, Trouble};
use crate::rules;
use crate::table::{self, Extras, Row, Users};
use crate::template::Template;
use crate::{Problem, settings, url};
use resp::Reply;

/// Asks Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    server: Server,
    user: Command,
    rules: Option<Command>,
    pool: Pool<Link>,
}

/// Where it is, and who we are there.
struct Server {
    target: Target,
    login: Option<(Option<String>, Secret)>,
    database: Option<String>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.target.fmt(f)
    }
}

/// A command with placeholders.
#[derive(Debug)]
struct Command {
    kind: Kind,
    arguments: Vec<Template>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    One,
    Several,
    All,
}

impl Redis {
    pub(crate) fn new(settings: &settings::Redis) -> Result<Self, Problem> {
        let command = |key: &str, text: &str| {
            let command = Command::parse(text);
            command.map_err(|why| Problem::new(format!("{key}: {why}")))
        };
        let rules = settings.rules_command.as_deref();
        let rules = rules
            .map(|text| command("rules_command", text))
            .transpose()?;
        if rules.as_ref().is_some_and(|it| it.kind != Kind::All) {
            return Err(Problem::new("rules_command: this is not HGETALL"));
        }
        Ok(Self {
            server: Server::parse(settings)?,
            user: command("command", &settings.command)?,
            rules,
            pool: Pool::new(),
        })
    }

    /// What a command gives; `None`: the client lacks what it needs.
    async fn run(&self, command: &Command, question: &Question) -> Result<Option<Reply>, Trouble> {
        let fill = |it: &Template| it.fill(question, None, |it| it.to_owned());
        let Some(arguments) = command
            .arguments
            .iter()
            .map(fill)
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(None);
        };
        if let Some(mut connection) = self.pool.take() {
            // The server may have gone while it waited.
            if let Ok(reply) = resp::call(&mut connection, &arguments).await {
                return self.settle(connection, reply);
            }
        }
        let connected = self.server.connect().await;
        let mut connection = connected.map_err(Trouble::Failed)?;
        let reply = resp::call(&mut connection, &arguments).await;
        let reply = reply.map_err(|error| Trouble::Failed(said(&error)))?;
        self.settle(connection, reply)
    }

    fn settle(&self, connection: Link, reply: Reply) -> Result<Option<Reply>, Trouble> {
        self.pool.put(connection);
        match reply {
            Reply::Error(code) => {
                let why = Arc::from(format!("Redis: {code}"));
                Err(match OF_KEYS.contains(&code.as_str()) {
                    true => Trouble::Unclear(why),
                    false => Trouble::Failed(why),
                })
            }
            reply => Ok(Some(reply)),
        }
    }
}

impl Users for Redis {
    async fn find(&self, question: &Question) -> Result<Option<Row>, Trouble> {
        let Some(reply) = self.run(&self.user, question).await? else {
            return Ok(None);
        };
        let [hash, salt, superuser] = match self.user.kind {
            Kind::One => [reply.text()?, None, None],
            Kind::Several => {
                let mut items = reply.items()?.into_iter();
                let mut next = || items.next().map_or(Ok(None), Reply::text);
                [next()?, next()?, next()?]
            }
            Kind::All => {
                let mut fields: HashMap<String, String> = reply.pairs()?.into_iter().collect();
                ["password_hash", "salt", "is_superuser"].map(|field| fields.remove(field))
            }
        };
        if hash.is_none() {
            return Ok(None);
        }
        Ok(Some(Row {
            name: None,
            hash,
            salt,
            superuser: table::is_yes(&superuser.unwrap_or_default())?,
            groups: Vec::new(),
        }))
    }

    async fn extras(&self, question: &Question) -> Result<Extras, Trouble> {
        let Some(command) = &self.rules else {
            return Ok(Extras::default());
        };
        let pairs = match self.run(command, question).await? {
            Some(reply) => reply.pairs()?,
            None => Vec::new(),
        };
        let rule = |(topic, action): (String, String)| rules::of_words("allow", &action, &topic);
        let rules: Result<_, _> = pairs.into_iter().map(rule).collect();
        Ok(Extras {
            groups: Vec::new(),
            rules: Some(rules.map_err(|error| error.to_string())?),
        })
    }
}

impl Server {
    /// `redis://user:password@host:port/database`, or `rediss` for TLS.
    fn parse(settings: &settings::Redis) -> Result<Self, Problem> {
        let bad = || Problem::new("the address is not redis://user:password@host:port/number");
        let (scheme, rest) = settings.url.reveal().split_once("://").ok_or_else(bad)?;
        let (rest, database) = match rest.split_once('/') {
            Some((rest, "")) => (rest, None),
            Some((rest, number)) => (rest, Some(number)),
            None => (rest, None),
        };
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, rest),
        };
        let target = Target::parse(authority, 6379).ok_or_else(bad)?;
        let digits = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
        if !database.is_none_or(digits) {
            return Err(bad());
        }
        let login = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => None,
            Some((name, password)) => {
                let name = url::decode(name).ok_or_else(bad)?;
                let password = url::decode(password).ok_or_else(bad)?;
                let name = Some(name).filter(|it| !it.is_empty());
                Some((name, Secret::new(password.as_bytes())))
            }
        };
        let target = match scheme {
            "redis" if settings.tls.ca.is_some() => {
                return Err(Problem::new("ca is for an address with rediss://"));
            }
            "redis" => target,
            "rediss" => target.with_tls(&settings.tls)?,
            _ => return Err(bad()),
        };
        Ok(Self {
            target,
            login,
            database: database.map(String::from),
        })
    }

    async fn connect(&self) -> Result<Link, Arc<str>> {
        let connected = self.target.connect(CONNECT).await;
        let mut connection = connected.map_err(|error| said(&error))?;
        if let Some((name, password)) = &self.login {
            let mut arguments = vec![b"AUTH".as_slice()];
            arguments.extend(name.as_deref().map(str::as_bytes));
            arguments.push(password.reveal());
            greet(&mut connection, &arguments, "the login was refused").await?;
        }
        if let Some(database) = &self.database {
            let arguments = [b"SELECT".as_slice(), database.as_bytes()];
            greet(&mut connection, &arguments, "there is no such database").await?;
        }
        Ok(connection)
    }
}

async fn greet(connection: &mut Link, arguments: &[&[u8]], why: &str) -> Result<(), Arc<str>> {
    match resp::call(connection, arguments).await {
        Ok(Reply::Simple(_)) => Ok(()),
        Ok(_) => Err(format!("Redis: {why}").into()),
        Err(error) => Err(said(&error)),
    }
}

impl Command {
    fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let Some(name) = words.first().map(|it| it.to_ascii_uppercase()) else {
            return Err("the command is empty".into());
        };
        let kind = match name.as_str() {
            "GET" | "HGET" => Kind::One,
            "MGET" | "HMGET" => Kind::Several,
            "HGETALL" => Kind::All,
            _ => return Err("the command is none of GET, HGET, MGET, HMGET and HGETALL".into()),
        };
        let arguments = words.iter().map(|word| Template::of_client(word));
        let arguments: Result<Vec<_>, _> = arguments.collect();
        Ok(Self {
            kind,
            arguments: arguments.map_err(|error| error.to_string())?,
        })
    }
}

/// Words, which spaces separate, but for those between quotation marks.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    if quoted {
        return Err("a quotation mark is not closed");
    }
    words.extend(word);
    Ok(words)
}

fn said(error: &std::io::Error) -> Arc<str> {
    format!("Redis: {error}").into()
}

/// Errors about the key that was asked for, which clients have a say in: it holds something else,
/// belongs to another server of a cluster, or is not ours to read.
const OF_KEYS: [&str; 5] = ["WRONGTYPE", "MOVED", "ASK", "CROSSSLOT", "NOPERM"];
const CONNECT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
