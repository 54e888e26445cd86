//! What is common to back ends that keep hashes of passwords: find the user, verify the password
//! here, then ask for groups and rules.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use auth::{Rules, Secret};

use crate::chain::Hashing;
use crate::hash::Hash;
use crate::question::{Known, Purpose, Question, Trouble, Verdict};
use crate::rules::{self, RuleText};
use crate::settings::HashKind;

/// A back end that keeps users.
pub(crate) trait Users: Send + Sync {
    /// Finds the user that the client says it is; `None`: there is none, or the client lacks what
    /// the question needs.
    fn find(
        &self,
        question: &Question,
    ) -> impl Future<Output = Result<Option<Row>, Trouble>> + Send;

    /// What the user has.
    fn extras(&self, question: &Question) -> impl Future<Output = Result<Extras, Trouble>> + Send;
}

/// A user.
#[derive(Clone, Default)]
pub(crate) struct Row {
    /// The user's name as the back end writes it, if it says so: it may take `Ann` for `ann`, and
    /// rules and bans do not.
    pub(crate) name: Option<String>,
    /// `None`: no password lets it in.
    pub(crate) hash: Option<String>,
    pub(crate) salt: Option<String>,
    pub(crate) superuser: bool,
    /// Groups that stand beside the password.
    pub(crate) groups: Vec<Arc<str>>,
}

/// What a user has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) groups: Vec<Arc<str>>,
    /// `None`: nobody is asked about rules.
    pub(crate) rules: Option<Vec<RuleText>>,
}

/// A back end with hashes.
#[derive(Debug)]
pub(crate) struct Table<U> {
    users: U,
    hash: HashKind,
    /// A hash as it had one lately (S65).
    sample: Mutex<Arc<Hash>>,
    /// Where its rules stand.
    source: Arc<str>,
}

impl<U: Users> Table<U> {
    pub(crate) fn new(users: U, hash: HashKind, name: &Arc<str>) -> Self {
        Self {
            users,
            hash,
            sample: Mutex::new(Arc::new(Hash::decoy())),
            source: format!("back end {name}").into(),
        }
    }

    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        question.user().is_none().then_some(Verdict::Unknown)
    }

    pub(crate) async fn ask(&self, question: &Question, hashing: &Hashing) -> Verdict {
        let verdict = self.verify(question, hashing).await;
        verdict.unwrap_or_else(Verdict::from)
    }

    async fn verify(&self, question: &Question, hashing: &Hashing) -> Result<Verdict, Trouble> {
        let Some(name) = question.user() else {
            return Ok(Verdict::Unknown);
        };
        let Some(row) = self.users.find(question).await? else {
            return Ok(Verdict::Unknown);
        };
        if row
            .name
            .as_ref()
            .is_some_and(|it| it.is_empty() || it.chars().any(char::is_control))
        {
            return Err("the user's name is none".into());
        }
        if question.purpose == Purpose::Admit && !self.is_right(question, &row, hashing).await? {
            return Ok(Verdict::Wrong("wrong password".into()));
        }
        let Extras { mut groups, rules } = self.users.extras(question).await?;
        groups.extend(row.groups);
        if groups.len() > MOST_GROUPS {
            return Err("the user has too many groups".into());
        }
        Ok(Verdict::Known(Known {
            groups,
            superuser: row.superuser,
            rules: rules.map(|texts| self.rules(&texts)).transpose()?,
            ..Known::user(row.name.as_deref().unwrap_or(name))
        }))
    }

    async fn is_right(
        &self,
        question: &Question,
        row: &Row,
        hashing: &Hashing,
    ) -> Result<bool, Trouble> {
        let (Some(text), Some((_, password))) = (&row.hash, question.credentials()) else {
            return Ok(false);
        };
        let hash = Hash::of_column(self.hash, text, row.salt.as_deref());
        let hash = hash.map_err(|error| Arc::from(format!("the user's password: {error}")))?;
        let hash = Arc::new(hash);
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&hash);
        let verified = hashing.verify(hash, Secret::new(password)).await;
        verified.map_err(Trouble::Failed)
    }

    fn rules(&self, texts: &[RuleText]) -> Result<Arc<Rules>, Arc<str>> {
        let found = rules::of_texts(texts, &self.source);
        found.map_err(|error| format!("the user's rules: {error}").into())
    }

    pub(crate) fn sample(&self) -> Arc<Hash> {
        Arc::clone(&self.sample.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What tables say for yes.
pub(crate) fn is_yes(text: &str) -> Result<bool, Arc<str>> {
    match text {
        "1" | "t" | "true" => Ok(true),
        "" | "0" | "f" | "false" => Ok(false),
        _ => Err("is_superuser is neither yes nor no".into()),
    }
}

const MOST_GROUPS: usize = 1000;

/// Rules, or groups, that are read of one user; one more than are taken, so that too many are
/// noticed.
pub(crate) const MOST_ROWS: usize = 1001;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::question;
    use crate::rules::of_words;

    /// A table with one user.
    struct One {
        row: Row,
        extras: Result<Extras, Trouble>,
    }

    impl Users for One {
        async fn find(&self, question: &Question) -> Result<Option<Row>, Trouble> {
            Ok((question.username.as_deref() == Some("ann")).then(|| self.row.clone()))
        }

        async fn extras(&self, _: &Question) -> Result<Extras, Trouble> {
            self.extras.clone()
        }
    }

    const HASH: &str = "$7$101$B1E/oaJOaaM241QA$uHq3KrnIIRI5SsWel1brZLhyww8sTQMcCZ3aOGmM2g9MQc3F1Ks/7laGv2TECklOJmk68kzdFCLTNyo29wo2fA==";

    fn row(hash: Option<&str>) -> Row {
        Row {
            hash: hash.map(String::from),
            ..Row::default()
        }
    }

    fn ask(row: Row, extras: Result<Extras, Trouble>, question: &Question) -> Verdict {
        let table = Table::new(One { row, extras }, HashKind::Auto, &"sql".into());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let verdict = runtime.block_on(table.ask(question, &Hashing::new()));
        if matches!(verdict, Verdict::Known(_) | Verdict::Wrong(_)) {
            let expected = Hash::parse(HASH).unwrap();
            let is_same = table.sample().class() == expected.class();
            assert_eq!(is_same, question.purpose == Purpose::Admit, "s65");
        }
        verdict
    }

    #[test]
    fn users_of_tables_are_verified_here() {
        let extras = Extras {
            groups: vec!["a".into()],
            rules: Some(vec![of_words("deny", "all", "x").unwrap()]),
        };
        let row = Row {
            superuser: true,
            groups: vec!["b".into()],
            ..row(Some(HASH))
        };
        let right = question("c", "ann", "correct horse");
        let refresh = Question {
            purpose: Purpose::Refresh,
            password: None,
            ..question("c", "ann", "")
        };
        for asked in [right, refresh] {
            let Verdict::Known(known) = ask(row.clone(), Ok(extras.clone()), &asked) else {
                panic!("it is known");
            };
            assert_eq!(known.user.as_deref(), Some("ann"));
            assert!(known.superuser && known.groups.len() == 2);
            let rule = known.rules.unwrap().list[0].to_string();
            assert_eq!(rule, r#"back end sql: deny publish and subscribe "x""#);
        }
        let wrong = ask(row.clone(), Ok(extras.clone()), &question("c", "ann", "p"));
        assert!(matches!(wrong, Verdict::Wrong(_)));
        let nobody = ask(
            row,
            Ok(Extras::default()),
            &question("c", "bob", "correct horse"),
        );
        assert!(matches!(nobody, Verdict::Unknown));
    }

    #[test]
    fn s68_what_tables_should_not_have_fails() {
        let asked = question("c", "ann", "correct horse");
        let with_rules = |texts| {
            Ok(Extras {
                rules: Some(texts),
                ..Extras::default()
            })
        };
        let good = of_words("allow", "all", "x").unwrap();
        let bad = of_words("allow", "all", "x/#/y").unwrap();
        let groups = vec!["g".into(); MOST_GROUPS + 1];
        for (hash, extras) in [
            ("secret", Ok(Extras::default())),
            ("", Ok(Extras::default())),
            (HASH, with_rules(vec![good.clone(), bad])),
            (HASH, with_rules(vec![good; MOST_ROWS])),
            (
                HASH,
                Ok(Extras {
                    groups,
                    rules: None,
                }),
            ),
        ] {
            let said = ask(row(Some(hash)), extras, &asked);
            // What is wrong is the row: others can still be looked up.
            let Verdict::Unclear(why) = said else {
                panic!("{said:?}");
            };
            assert!(!why.contains("secret"), "s71: {why}");
        }
        let gone = Err(Trouble::failed("gone"));
        let said = ask(row(Some(HASH)), gone, &asked);
        assert!(matches!(said, Verdict::Failed(_)), "{said:?}");
        let none = Table::new(
            One {
                row: row(None),
                extras: Ok(Extras::default()),
            },
            HashKind::Auto,
            &"sql".into(),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let said = runtime.block_on(none.ask(&asked, &Hashing::new()));
        assert!(matches!(said, Verdict::Wrong(_)), "no password lets it in");
    }

    #[test]
    fn s62_half_of_what_is_needed_asks_nobody() {
        let table = Table::new(
            One {
                row: row(Some(HASH)),
                extras: Ok(Extras::default()),
            },
            HashKind::Auto,
            &"sql".into(),
        );
        for (name, password) in [("", ""), ("ann", ""), ("", "p")] {
            let said = table.quick(&question("c", name, password));
            assert!(matches!(said, Some(Verdict::Unknown)), "{name}");
        }
        assert!(table.quick(&question("c", "ann", "p")).is_none());
    }

    #[test]
    fn yes_and_no_have_several_forms() {
        for (text, yes) in [
            ("1", true),
            ("t", true),
            ("true", true),
            ("0", false),
            ("", false),
        ] {
            assert_eq!(is_yes(text), Ok(yes));
        }
        assert!(is_yes("yes please").is_err());
    }
}
