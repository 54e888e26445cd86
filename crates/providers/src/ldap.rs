//! LDAP. A password is right if the directory takes it in a bind. What takes the place of
//! a placeholder is escaped: in names by RFC 4514, in filters by RFC 4515.
//!
//! | the user's name in the directory | what becomes of a wrong password and of an unknown user |
//! |---|---|
//! | is filled in ([`LdapUser::Name`]) | both are refused: directories do not tell one from the other |
//! | is searched for ([`LdapUser::Search`]) | one is refused, for the other the next provider is asked |
//!
//! An empty password is never sent: directories take it for nobody in particular, and say yes
//! (RFC 4513, 5.1.2). Referrals are not followed.

use std::sync::Arc;
use std::time::Duration;

use auth::Secret;
use ldap3::{Ldap as Connection, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry};
use ldap3::{SearchOptions, dn_escape, ldap_escape};

use crate::pool::Pool;
use crate::question::{Known, Purpose, Question, Verdict};
use crate::settings::{LdapGroups, LdapUser};
use crate::template::Template;
use crate::{Problem, settings, tls};

/// Asks a directory.
pub(crate) struct Ldap {
    url: String,
    tls: Arc<rustls::ClientConfig>,
    user: User,
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
        verdict.unwrap_or_else(Verdict::Failed)
    }

    async fn verify(&self, question: &Question) -> Result<Verdict, Arc<str>> {
        let Some(name) = question.user() else {
            return Ok(Verdict::Unknown);
        };
        let Some(dn) = self.find(question).await? else {
            return Ok(Verdict::Unknown);
        };
        if question.purpose == Purpose::Admit {
            // An empty one would be taken for nobody in particular.
            let Some((_, password)) = question.credentials() else {
                return Ok(Verdict::Unknown);
            };
            if !self.bind(&dn, password).await? {
                return Ok(Verdict::Wrong("the directory says no".into()));
            }
        }
        Ok(Verdict::Known(Known {
            groups: self.groups(&dn, question).await?,
            ..Known::user(name)
        }))
    }

    /// The user's name in the directory.
    async fn find(&self, question: &Question) -> Result<Option<String>, Arc<str>> {
        match &self.user {
            User::Name(template) => {
                Ok(template.fill(question, None, |it| dn_escape(it).into_owned()))
            }
            User::Search { base, filter } => {
                let Some(filter) = filter.fill(question, None, |it| ldap_escape(it).into_owned())
                else {
                    return Ok(None);
                };
                let mut found = self.search(base, &filter, "1.1", 2).await?;
                match (found.pop(), found.pop()) {
                    (None, _) => Ok(None),
                    (Some(entry), None) => Ok(Some(entry.dn)),
                    (Some(_), Some(_)) => Err("LDAP: the search finds several users".into()),
                }
            }
        }
    }

    async fn groups(&self, dn: &str, question: &Question) -> Result<Vec<Arc<str>>, Arc<str>> {
        let Some(Groups { base, filter, name }) = &self.groups else {
            return Ok(Vec::new());
        };
        let escape = |text: &str| ldap_escape(text).into_owned();
        let Some(filter) = filter.fill(question, Some(dn), escape) else {
            return Ok(Vec::new());
        };
        let found = self.search(base, &filter, name, MOST_GROUPS).await?;
        let named = |entry: SearchEntry| {
            let attribute = entry
                .attrs
                .into_iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name));
            attribute.map_or(Vec::new(), |(_, values)| values)
        };
        Ok(found.into_iter().flat_map(named).map(Arc::from).collect())
    }

    /// Whether the directory takes the password, on a connection of its own.
    async fn bind(&self, dn: &str, password: &[u8]) -> Result<bool, Arc<str>> {
        let Ok(password) = std::str::from_utf8(password) else {
            return Ok(false);
        };
        let mut connection = self.connect().await?;
        let bound = connection.simple_bind(dn, password).await;
        let code = bound.map_err(|error| said(&error))?.rc;
        match code {
            0 => Ok(true),
            INVALID_CREDENTIALS | NO_SUCH_OBJECT | INVALID_DN => Ok(false),
            code => Err(format!("LDAP: the bind ended with {code}").into()),
        }
    }

    async fn search(
        &self,
        base: &str,
        filter: &str,
        attribute: &str,
        most: i32,
    ) -> Result<Vec<SearchEntry>, Arc<str>> {
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
            let password = password.map_err(|_| Arc::from("LDAP: the password is not UTF-8"))?;
            let bound = connection.simple_bind(name, password).await;
            let bound = bound.map_err(|error| said(&error))?;
            if bound.rc != 0 {
                return Err(format!("LDAP: who searches was refused with {}", bound.rc).into());
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
    ) -> Result<Vec<SearchEntry>, Arc<str>> {
        let options = SearchOptions::new().sizelimit(most);
        let found = connection.with_search_options(options);
        let found = found
            .search(base, Scope::Subtree, filter, [attribute])
            .await;
        let ldap3::SearchResult(entries, result) = found.map_err(|error| said(&error))?;
        match result.rc {
            0 => {}
            NO_SUCH_OBJECT => return Ok(Vec::new()),
            code => return Err(format!("LDAP: the search ended with {code}").into()),
        }
        let entries = entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        Ok(entries.map(SearchEntry::construct).collect())
    }

    async fn connect(&self) -> Result<Connection, Arc<str>> {
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

/// What went wrong, in few words: the library's own may repeat what it was asked.
fn said(error: &LdapError) -> Arc<str> {
    match error {
        LdapError::Io { source } => format!("LDAP: {source}").into(),
        LdapError::Timeout { .. } => "LDAP: no answer in time".into(),
        LdapError::FilterParsing => "LDAP: the search is no filter".into(),
        LdapError::LdapResult { result } => format!("LDAP: result {}", result.rc).into(),
        _ => "LDAP: the question failed".into(),
    }
}

const NO_SUCH_OBJECT: u32 = 32;
const INVALID_DN: u32 = 34;
const INVALID_CREDENTIALS: u32 = 49;
const CONNECT: Duration = Duration::from_secs(5);
const MOST_GROUPS: i32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::question;
    use crate::settings::{Address, Tls};

    fn settings(url: &str, user: LdapUser) -> settings::Ldap {
        settings::Ldap {
            url: Address::new(url),
            user,
            search_as: Some(("cn=reader".into(), Secret::new(b"pa55"))),
            groups: None,
            tls: Tls::default(),
        }
    }

    fn name(text: &str) -> LdapUser {
        LdapUser::Name(text.into())
    }

    #[test]
    fn names_are_escaped() {
        let template = Template::of_client("uid=${username},ou=people").unwrap();
        for (username, dn) in [
            ("ann", "uid=ann,ou=people"),
            ("x,ou=admins", "uid=x\\2cou\\3dadmins,ou=people"),
            ("#a", "uid=\\23a,ou=people"),
            (" a ", "uid=\\20a\\20,ou=people"),
            ("a\"\\<>;", "uid=a\\22\\5c\\3c\\3e\\3b,ou=people"),
            ("a+b=c", "uid=a\\2bb\\3dc,ou=people"),
        ] {
            let asked = question("c", username, "p");
            let filled = template
                .fill(&asked, None, |it| dn_escape(it).into_owned())
                .unwrap();
            assert_eq!(filled.to_lowercase(), dn, "RFC 4514");
        }
        let template = Template::of_client("(uid=${username})").unwrap();
        for (username, filter) in [
            ("ann", "(uid=ann)"),
            ("*", "(uid=\\2a)"),
            ("a)(|(uid=*", "(uid=a\\29\\28|\\28uid=\\2a)"),
            ("\\2a", "(uid=\\5c2a)"),
        ] {
            let asked = question("c", username, "p");
            let filled = template
                .fill(&asked, None, |it| ldap_escape(it).into_owned())
                .unwrap();
            assert_eq!(filled.to_lowercase(), filter, "RFC 4515");
        }
    }

    #[test]
    fn s69_settings_that_make_no_sense_refuse_the_start() {
        for url in ["ldap://h", "ldaps://h:636", "ldap://[::1]:389"] {
            let made = Ldap::new(&settings(url, name("uid=${username}")));
            let made = made.unwrap_or_else(|problem| panic!("{url}: {problem}"));
            assert!(!format!("{made:?}").contains("pa55"), "s71");
        }
        for url in ["h", "ldap://", "http://h", "ldap://u:pa55@h"] {
            let problem = Ldap::new(&settings(url, name("x")))
                .unwrap_err()
                .to_string();
            assert!(!problem.contains("pa55"), "s71: {problem}");
        }
        assert!(Ldap::new(&settings("ldap://h", name("uid=${user}"))).is_err());
        assert!(Ldap::new(&settings("ldap://h", name("uid=${dn}"))).is_err());
    }

    #[test]
    fn s62_an_empty_password_is_not_sent() {
        let ldap = Ldap::new(&settings("ldap://h", name("uid=${username}"))).unwrap();
        let said = ldap.quick(&question("c", "ann", ""));
        assert!(matches!(said, Some(Verdict::Unknown)));
        assert!(ldap.quick(&question("c", "ann", "p")).is_none());
    }

    #[test]
    fn who_can_only_bind_is_not_asked_again() {
        assert!(
            !Ldap::new(&settings("ldap://h", name("uid=${username}")))
                .unwrap()
                .can_refresh()
        );
        let search = LdapUser::Search {
            base: "dc=x".into(),
            filter: "(uid=${username})".into(),
        };
        assert!(
            Ldap::new(&settings("ldap://h", search))
                .unwrap()
                .can_refresh()
        );
        let grouped = settings::Ldap {
            groups: Some(LdapGroups {
                base: "dc=x".into(),
                filter: "(member=${dn})".into(),
                name: "cn".into(),
            }),
            ..settings("ldap://h", name("uid=${username}"))
        };
        assert!(Ldap::new(&grouped).unwrap().can_refresh());
    }
}
