//! A file of names and hashes: a line `name:hash` for each user, as `nightjar passwd` and
//! `mosquitto_passwd` write them ([`crate::hash`] has the kinds). Lines that are blank or begin
//! with `#` are passed over. Any other line that is not right makes the whole file be refused
//! (S63).

mod file;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;

use auth::Secret;

use crate::Problem;
use crate::chain::Hashing;
use crate::hash::Hash;
use crate::question::{Known, Purpose, Question, Verdict};

pub use crate::hash::hash_argon2id;
pub use file::{Changed, create, delete, set};

/// A file of names and hashes, as it was read.
#[derive(Debug)]
pub(crate) struct Passwords {
    users: HashMap<Box<str>, User>,
    /// A hash of the kind that most users have.
    sample: Arc<Hash>,
}

#[derive(Debug)]
struct User {
    hash: Arc<Hash>,
    /// Of the line: another one means that the password has changed.
    mark: u64,
}

impl Passwords {
    pub(crate) fn load(file: &Path) -> Result<Self, Problem> {
        let text = file::read(file)?;
        let mut users = HashMap::new();
        for line in file::lines(file, &text) {
            let (line, entry) = line?;
            if let Some((name, hash)) = entry {
                let user = User {
                    hash: Arc::new(hash),
                    mark: mark(line),
                };
                users.insert(name.into(), user);
            }
        }
        let sample = most_common(&users).unwrap_or_else(|| Arc::new(Hash::decoy()));
        Ok(Self { users, sample })
    }

    /// Who is not in the file is known to nobody here without any work; what that work would have
    /// been is spent at the end of the chain (S65).
    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        let Some(name) = question.user() else {
            return Some(Verdict::Unknown);
        };
        match (self.users.get(name), question.purpose) {
            (None, _) => Some(Verdict::Unknown),
            (Some(user), Purpose::Refresh) => Some(user.again(name, question.credential)),
            (Some(_), Purpose::Admit) => None,
        }
    }

    pub(crate) async fn ask(&self, question: &Question, hashing: &Hashing) -> Verdict {
        if let Some(verdict) = self.quick(question) {
            return verdict;
        }
        let Some((name, password)) = question.credentials() else {
            return Verdict::Unknown;
        };
        let Some(user) = self.users.get(name) else {
            return Verdict::Unknown;
        };
        let verified = hashing.verify(Arc::clone(&user.hash), Secret::new(password));
        match verified.await {
            Ok(true) => Verdict::Known(user.known(name)),
            Ok(false) => Verdict::Wrong("wrong password".into()),
            Err(why) => Verdict::Failed(why),
        }
    }

    /// Whether it has a line for this user.
    pub(crate) fn has(&self, user: &str) -> bool {
        self.users.contains_key(user)
    }

    pub(crate) fn sample(&self) -> Arc<Hash> {
        Arc::clone(&self.sample)
    }
}

impl User {
    fn known(&self, name: &str) -> Known {
        Known {
            credential: Some(self.mark),
            ..Known::user(name)
        }
    }

    /// About a client that is in by the line with this mark.
    fn again(&self, name: &str, mark: Option<u64>) -> Verdict {
        match mark.is_some_and(|mark| mark != self.mark) {
            true => Verdict::Wrong("the password has changed".into()),
            false => Verdict::Known(self.known(name)),
        }
    }
}

fn mark(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

fn most_common(users: &HashMap<Box<str>, User>) -> Option<Arc<Hash>> {
    let mut classes: HashMap<_, (usize, &Arc<Hash>)> = HashMap::new();
    for User { hash, .. } in users.values() {
        let entry = classes.entry(hash.class()).or_insert((0, hash));
        entry.0 = entry.0.saturating_add(1);
    }
    let most = classes
        .into_iter()
        .max_by_key(|(class, (count, _))| (*count, *class));
    most.map(|(_, (_, hash))| Arc::clone(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$6$aMb8R6a4BboYQ0Ld$qJKg+l2gr/K47+jnz01q0cmlhwhqyDtVzxrip2t+xir99dAc0PHQVD59VyGr8YNLCOxe7zJ1UE+nM2zmSnjpVg==";

    fn load(text: impl AsRef<[u8]>) -> Result<Passwords, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        std::fs::write(&file, text).unwrap();
        Passwords::load(&file).map_err(|problem| {
            let shown = file.display().to_string();
            problem.to_string().replace(&shown, "p")
        })
    }

    #[test]
    fn files_of_mosquitto_are_read() {
        let text = format!("# users\n\nalice:{HASH}\r\n   \nb b#:{HASH}\n#:{HASH}\ngrün:{HASH}");
        let passwords = load(text).unwrap();
        let mut names: Vec<_> = passwords.users.keys().map(|name| &**name).collect();
        names.sort_unstable();
        assert_eq!(names, ["alice", "b b#", "grün"]);
        assert!(load("").unwrap().users.is_empty());
    }

    #[test]
    fn s63_one_bad_line_refuses_the_file() {
        let good = format!("alice:{HASH}\n");
        for (line, why) in [
            ("bob", "a line is name:hash"),
            ("bob:", "not a hash of a known kind"),
            ("bob:secret", "not a hash of a known kind"),
            ("bob:$6$AAAA$AAAA", "a damaged hash"),
            (&format!(":{HASH}"), "the name is empty"),
            (
                &format!(" bob:{HASH}"),
                "the name begins or ends with a space",
            ),
            (
                &format!("bob :{HASH}"),
                "the name begins or ends with a space",
            ),
            (&format!("b\0b:{HASH}"), "the name has a control character"),
            (&format!("bob:{HASH}\0"), "a damaged hash"),
            (&format!("alice:{HASH}"), "the user has a line before"),
        ] {
            let problem = load(format!("{good}\n{line}\n")).unwrap_err();
            assert_eq!(problem, format!("p:3: {why}"), "{line:?}");
        }
        let problem = load(b"\xff:x").unwrap_err();
        assert_eq!(problem, "p:1: this is not UTF-8");
        let long = format!("{}:{HASH}", "x".repeat(65_536));
        assert_eq!(
            load(long).unwrap_err(),
            "p:1: the name is longer than 65535 bytes"
        );
    }

    #[test]
    fn s59_a_file_that_is_not_there_is_a_problem() {
        let folder = tempfile::tempdir().unwrap();
        let problem = Passwords::load(&folder.path().join("none")).unwrap_err();
        assert!(problem.to_string().contains("cannot be read"), "{problem}");
    }

    #[test]
    fn s65_unknown_users_cost_what_most_users_do() {
        let seven = "$7$101$B1E/oaJOaaM241QA$uHq3KrnIIRI5SsWel1brZLhyww8sTQMcCZ3aOGmM2g9MQc3F1Ks/7laGv2TECklOJmk68kzdFCLTNyo29wo2fA==";
        let text = format!("a:{HASH}\nb:{seven}\nc:{seven}\n");
        let passwords = load(text).unwrap();
        assert_eq!(
            passwords.sample().class(),
            Hash::parse(seven).unwrap().class()
        );
        assert_eq!(load("").unwrap().sample().class(), Hash::decoy().class());
    }
}
