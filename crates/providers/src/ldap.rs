//! LDAP. A password is right if the directory takes it in a bind. What takes the place of
//! a placeholder is escaped: in names by RFC 4514, in filters by RFC 4515.
//!
//! | the user's name in the directory | what becomes of a wrong password and of an unknown user |
//! |---|---|
//! | is filled in ([`LdapUser::Name`]) | both are refused: directories do not tell one from the other |
//! | is searched for ([`LdapUser::Search`]) | one is refused, for the other the next provider is asked |
//!
//! Directories take `Ann`, `ANN` and ` ann` for the same name, and rules and bans do not. So the
//! client's user is the name as the directory writes it: the attribute that `${username}` is
//! compared with (`uid=${username}`). Where the directory does not show it, it is the name in lower
//! case, and a name that is not plain (spaces at its ends or two in a row, letters beyond ASCII) is
//! refused.
//!
//! An empty password is never sent: directories take it for nobody in particular, and say yes
//! (RFC 4513, 5.1.2). Referrals are not followed.

use std::sync::Arc;
use std::time::Duration;

use auth::Secret;
use ldap3::{Ldap as Connection, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry};
use ldap3::{SearchOptions, dn_escape, ldap_escape};

use crate::pool::Pool;
use crate::question::{Known, Purpose, Question, Trouble, Verdict};
use crate::settings::{LdapGroups, LdapUser};
use crate::template::Template;
use crate::{Problem, settings, tls};

/// Asks a directory.
pub(crate) struct Ldap {
    url: String,
    tls: Arc<rustls::ClientConfig>,
    user: User,
    /// What `${username}` is compared with.
    attribute: Option<String>,
    search_as: Option<(String, Secret)>,
    groups: Option<Groups>,
    /// Connections that search.
    pool: Pool<Connection>,
}

impl std::fmt::Debug for Ldap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ldap")
    }
}

#[derive(Debug)]
enum User {
    Name(Template),
    Search { base: String, filter: Template },
}

/// A user's entry.
struct Entry {
    dn: String,
    /// The names that it has there, if that is known yet.
    names: Option<Vec<String>>,
}

#[derive(Debug)]
struct Groups {
    base: String,
    filter: Template,
    name: String,
}

impl Ldap {
    pub(crate) fn new(settings: &settings::Ldap) -> Result<Self, Problem> {
        let url = settings.url.reveal();
        let host = url
            .strip_prefix("ldaps://")
            .or_else(|| url.strip_prefix("ldap://"));
        if host.is_none_or(|host| host.is_empty() || host.contains('@')) {
            return Err(Problem::new(
                "the address is neither ldap://host nor ldaps://host",
            ));
        }
        if settings.tls.ca.is_some() && !url.starts_with("ldaps://") {
            return Err(Problem::new("ca is for an address with ldaps://"));
        }
        let template = |key: &str, text: &str, parse: fn(&str) -> _| {
            let template: Result<Template, _> = parse(text);
            template.map_err(|error| Problem::new(format!("{key}: {error}")))
        };
        let user = match &settings.user {
            LdapUser::Name(text) => User::Name(template("bind_dn", text, Template::of_client)?),
            LdapUser::Search { base, filter } => User::Search {
                base: base.clone(),
                filter: template("search", filter, Template::of_client)?,
            },
        };
        let attribute = match &settings.user {
            LdapUser::Name(text) => attribute(text),
            LdapUser::Search { filter, .. } => attribute(filter),
        };
        let groups = |LdapGroups { base, filter, name }: &LdapGroups| {
            Ok(Groups {
                base: base.clone(),
                filter: template("group_search", filter, Template::parse)?,
                name: name.clone(),
            })
        };
        Ok(Self {
            url: url.into(),
            tls: Arc::new(tls::client(&settings.tls)?),
            user,
            attribute,
            search_as: settings.search_as.clone(),
            groups: settings.groups.as_ref().map(groups).transpose()?,
            pool: Pool::new(),
        })
    }

    /// Whether it can say something without the password.
    pub(crate) fn can_refresh(&self) -> bool {
        matches!(self.user, User::Search { .. }) || self.groups.is_some()
    }

    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        question.user().is_none().then_some(Verdict::Unknown)
    }

    pub(crate) async fn ask(&self, question: &Question) -> Verdict {
        let verdict = self.verify(question).await;
        verdict.unwrap_or_else(Verdict::from)
    }

    async fn verify(&self, question: &Question) -> Result<Verdict, Trouble> {
        let Some(name) = question.user() else {
            return Ok(Verdict::Unknown);
        };
        let Some(Entry { dn, mut names }) = self.find(question).await? else {
            return Ok(Verdict::Unknown);
        };
        if question.purpose == Purpose::Admit {
            // An empty one would be taken for nobody in particular.
            let Some((_, password)) = question.credentials() else {
                return Ok(Verdict::Unknown);
            };
            let Some(mut connection) = self.bind(&dn, password).await? else {
                return Ok(Verdict::Wrong("the directory says no".into()));
            };
            if names.is_none() {
                names = Some(self.read_names(&mut connection, &dn).await?);
            }
        }
        // Who is in has its name from here.
        let user = match names {
            Some(names) => canonical(&names, name),
            None => Some(name.into()),
        };
        let Some(user) = user else {
            return Ok(Verdict::Wrong("the name is not one that is clear".into()));
        };
        Ok(Verdict::Known(Known {
            groups: self.groups(&dn, question).await?,
            ..Known::user(&user)
        }))
    }

    /// The user's name in the directory.
    async fn find(&self, question: &Question) -> Result<Option<Entry>, Trouble> {
        match &self.user {
            User::Name(template) => {
                let dn = template.fill(question, None, |it| dn_escape(it).into_owned());
                Ok(dn.map(|dn| Entry { dn, names: None }))
            }
            User::Search { base, filter } => {
                let Some(filter) = filter.fill(question, None, |it| ldap_escape(it).into_owned())
                else {
                    return Ok(None);
                };
                let attribute = self.attribute.as_deref().unwrap_or(NO_ATTRIBUTE);
                let mut found = self.search(base, &filter, attribute, 2).await?;
                match (found.pop(), found.pop()) {
                    (None, _) => Ok(None),
                    (Some(entry), None) => Ok(Some(Entry {
                        dn: entry.dn.clone(),
                        names: Some(values(entry, attribute)),
                    })),
                    (Some(_), Some(_)) => Err("LDAP: the search finds several users".into()),
                }
            }
        }
    }

    async fn groups(&self, dn: &str, question: &Question) -> Result<Vec<Arc<str>>, Trouble> {
        let Some(Groups { base, filter, name }) = &self.groups else {
            return Ok(Vec::new());
        };
        let escape = |text: &str| ldap_escape(text).into_owned();
        let Some(filter) = filter.fill(question, Some(dn), escape) else {
            return Ok(Vec::new());
        };
        let found = self.search(base, &filter, name, MOST_GROUPS).await?;
        Ok(found
            .into_iter()
            .flat_map(|entry| values(entry, name))
            .map(Arc::from)
            .collect())
    }

    /// A connection of the user's own, if the directory takes the password.
    async fn bind(&self, dn: &str, password: &[u8]) -> Result<Option<Connection>, Trouble> {
        let Ok(password) = std::str::from_utf8(password) else {
            return Ok(None);
        };
        let mut connection = self.connect().await?;
        let bound = connection.simple_bind(dn, password).await;
        let code = bound.map_err(|error| said(&error))?.rc;
        match code {
            0 => Ok(Some(connection)),
            code if NOT_LET_IN.contains(&code) => Ok(None),
            code => Err(Trouble::failed(format!("LDAP: the bind ended with {code}"))),
        }
    }

    /// The user's names, as its own entry shows them to it; none if it does not.
    async fn read_names(
        &self,
        connection: &mut Connection,
        dn: &str,
    ) -> Result<Vec<String>, Trouble> {
        let Some(attribute) = &self.attribute else {
            return Ok(Vec::new());
        };
        let found = connection
            .search(dn, Scope::Base, "(objectClass=*)", [attribute])
            .await;
        let ldap3::SearchResult(entries, _) = found.map_err(|error| said(&error))?;
        let entries = entries.into_iter().map(SearchEntry::construct);
        Ok(entries.flat_map(|entry| values(entry, attribute)).collect())
    }

    async fn search(
        &self,
        base: &str,
        filter: &str,
        attribute: &str,
        most: i32,
    ) -> Result<Vec<SearchEntry>, Trouble> {
        if let Some(mut connection) = self.pool.take().filter(|it| !it.clone().is_closed()) {
            match self
                .search_by(&mut connection, base, filter, attribute, most)
                .await
            {
                // The directory may have gone while the connection waited.
                Err(_) if connection.is_closed() => {}
                result => {
                    self.pool.put(connection);
                    return result;
                }
            }
        }
        let mut connection = self.connect().await?;
        if let Some((name, password)) = &self.search_as {
            let password = std::str::from_utf8(password.reveal());
            let password =
                password.map_err(|_| Trouble::failed("LDAP: the password is not UTF-8"))?;
            let bound = connection.simple_bind(name, password).await;
            let bound = bound.map_err(|error| said(&error))?;
            if bound.rc != 0 {
                let why = format!("LDAP: who searches was refused with {}", bound.rc);
                return Err(Trouble::failed(why));
            }
        }
        let found = self
            .search_by(&mut connection, base, filter, attribute, most)
            .await?;
        self.pool.put(connection);
        Ok(found)
    }

    async fn search_by(
        &self,
        connection: &mut Connection,
        base: &str,
        filter: &str,
        attribute: &str,
        most: i32,
    ) -> Result<Vec<SearchEntry>, Trouble> {
        let options = SearchOptions::new().sizelimit(most);
        let found = connection.with_search_options(options);
        let found = found
            .search(base, Scope::Subtree, filter, [attribute])
            .await;
        let ldap3::SearchResult(entries, result) = found.map_err(|error| said(&error))?;
        match result.rc {
            0 => {}
            NO_SUCH_OBJECT => return Ok(Vec::new()),
            code => {
                let why = Arc::from(format!("LDAP: the search ended with {code}"));
                return Err(match OF_QUESTION.contains(&code) {
                    true => Trouble::Unclear(why),
                    false => Trouble::Failed(why),
                });
            }
        }
        let entries = entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        Ok(entries.map(SearchEntry::construct).collect())
    }

    async fn connect(&self) -> Result<Connection, Trouble> {
        let settings = LdapConnSettings::new()
            .set_conn_timeout(CONNECT)
            .set_config(Arc::clone(&self.tls));
        let connected = LdapConnAsync::with_settings(settings, &self.url).await;
        let (driver, connection) = connected.map_err(|error| said(&error))?;
        tokio::spawn(async move {
            // The connection hears of it with its next question.
            let _ = driver.drive().await;
        });
        Ok(connection)
    }
}

/// What a name is compared with: `uid` of `(uid=${username})` and of `uid=${username},ou=people`.
fn attribute(text: &str) -> Option<String> {
    let (before, after) = text.split_once("${username}")?;
    let before = before.strip_suffix('=')?;
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let start = before
        .rfind(|letter| !is_of_name(letter))
        .map_or(0, |place| place.saturating_add(1));
    let name = before.get(start..).filter(|it| !it.is_empty())?;
    let is_whole = after.is_empty() || after.starts_with([',', ')']);
    is_whole.then(|| name.into())
}

/// The one of an entry's names that is the user: the one that was given, or the only one. `None`:
/// it is not clear which.
fn canonical(names: &[String], given: &str) -> Option<String> {
    match names {
        names if names.iter().any(|it| it == given) => Some(given.into()),
        [name] => Some(name.clone()),
        [] => {
            let is_plain = given.is_ascii() && given.trim() == given && !given.contains("  ");
            is_plain.then(|| given.to_ascii_lowercase())
        }
        _ => None,
    }
}

/// An attribute of an entry.
fn values(entry: SearchEntry, name: &str) -> Vec<String> {
    let found = entry
        .attrs
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map_or(Vec::new(), |(_, values)| values)
}

/// What went wrong, in few words: the library's own may repeat what it was asked.
fn said(error: &LdapError) -> Trouble {
    match error {
        LdapError::Io { source } => Trouble::failed(format!("LDAP: {source}")),
        LdapError::Timeout { .. } => Trouble::failed("LDAP: no answer in time"),
        LdapError::FilterParsing => Trouble::from("LDAP: the search is no filter"),
        LdapError::LdapResult { result } => Trouble::failed(format!("LDAP: result {}", result.rc)),
        _ => Trouble::failed("LDAP: the question failed"),
    }
}

/// RFC 4511, 4.5.1.8.
const NO_ATTRIBUTE: &str = "1.1";
const NO_SUCH_OBJECT: u32 = 32;
/// What a directory says to a bind that it does not take, beside that the password is wrong (49): the
/// name is no name (34) or nobody's (32), the account is locked or its password over (19, 53), or
/// this way in is not for it (48, 50).
const NOT_LET_IN: [u32; 7] = [19, 32, 34, 48, 49, 50, 53];
/// What it says to a search because of what is searched for: more is found than may be (4, 11), what
/// is compared does not go with the attribute (16, 17, 18, 19, 21), a name is none (34).
const OF_QUESTION: [u32; 8] = [4, 11, 16, 17, 18, 19, 21, 34];
const CONNECT: Duration = Duration::from_secs(5);
const MOST_GROUPS: i32 = 1000;

#[cfg(test)]
mod tests;
