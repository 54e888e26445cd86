//! The users of this server ([`crate::Access`]), by their passwords.

use std::sync::Arc;

use auth::Secret;

use crate::Access;
use crate::access::records::StoredUser;
use crate::chain::Hashing;
use crate::hash::Hash;
use crate::question::{Known, Purpose, Question, Verdict};

/// Verifies passwords of users of the database. What groups and roles they have is the policy's
/// business, which knows it by the user's name.
#[derive(Debug)]
pub(crate) struct Database {
    access: Arc<Access>,
    sample: Arc<Hash>,
}

impl Database {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        Self {
            access,
            sample: Arc::new(Hash::decoy()),
        }
    }

    pub(crate) fn quick(&self, question: &Question) -> Option<Verdict> {
        question.user().is_none().then_some(Verdict::Unknown)
    }

    pub(crate) async fn ask(&self, question: &Question, hashing: &Hashing) -> Verdict {
        let Some(name) = question.user() else {
            return Verdict::Unknown;
        };
        let (access, name) = (Arc::clone(&self.access), Box::<str>::from(name));
        let client = question.client_id.clone();
        let found = match (question.purpose, &question.password) {
            (Purpose::Admit, Some(password)) => {
                let password = password.clone();
                hashing
                    .run(move || verify(&access, &name, &client, &password))
                    .await
            }
            (Purpose::Admit, None) => return Verdict::Unknown,
            (Purpose::Refresh, _) => hashing.run(move || look_up(&access, &name, &client)).await,
        };
        found.unwrap_or_else(Verdict::Failed)
    }

    pub(crate) fn version(&self) -> u64 {
        self.access.revision()
    }

    pub(crate) fn sample(&self) -> Arc<Hash> {
        Arc::clone(&self.sample)
    }
}

fn verify(access: &Access, name: &str, client: &str, password: &Secret) -> Verdict {
    let user = match access.stored(name) {
        Ok(Some(user)) => user,
        Ok(None) => return Verdict::Unknown,
        Err(error) => return Verdict::Failed(error.to_string().into()),
    };
    // A name without a password only has groups and roles.
    let Some(hash) = &user.credentials.hash else {
        return Verdict::Unknown;
    };
    match Hash::parse(hash) {
        Err(error) => Verdict::Failed(format!("the user's password: {error}").into()),
        Ok(hash) if !hash.verify(password.reveal()) => Verdict::Wrong("wrong password".into()),
        // Only now: who does not know the password learns nothing by the time that this takes.
        Ok(_) => look_up_again(access, name, client, &user),
    }
}

/// Hashing took its time: who was changed meanwhile is not let in by what was there before.
fn look_up_again(access: &Access, name: &str, client: &str, before: &StoredUser) -> Verdict {
    match access.stored(name) {
        Ok(Some(user)) if user.credentials.hash == before.credentials.hash => {
            shown(name, client, &user)
        }
        Ok(_) => Verdict::Wrong("the password was changed meanwhile".into()),
        Err(error) => Verdict::Failed(error.to_string().into()),
    }
}

fn shown(name: &str, client: &str, user: &StoredUser) -> Verdict {
    if user.disabled {
        return Verdict::Wrong("the user is disabled".into());
    }
    if !user.may_use(client) {
        return Verdict::Wrong(ANOTHER.into());
    }
    Verdict::Known(Known {
        superuser: user.superuser,
        is_known: true,
        ..Known::user(name)
    })
}

/// What a user has who is in.
pub(crate) fn look_up(access: &Access, name: &str, client: &str) -> Verdict {
    match access.stored(name) {
        Ok(Some(user)) => shown(name, client, &user),
        Ok(None) => Verdict::Unknown,
        Err(error) => Verdict::Failed(error.to_string().into()),
    }
}

/// Why a user is not let in who is bound to a client identifier.
pub(crate) const ANOTHER: &str = "the user may only use another client identifier";

#[cfg(test)]
pub(crate) mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use auth::Identity;
    use tempfile::TempDir;
    use types::ReasonCode;

    use super::*;
    use crate::access::{PasswordEdit, UserEdit};
    use crate::chain::tests::{Bench, admitted, login, refusal, request};
    use crate::settings::{Kind, Settings};
    use crate::{Problem, ProviderSettings};

    /// A database of users in a folder of its own.
    pub(crate) fn access() -> (TempDir, Arc<Access>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.redb");
        let access = Access::open(&file, NonZeroU32::new(4096)).unwrap();
        (folder, Arc::new(access))
    }

    /// A user with this password.
    pub(crate) fn with_password(password: &str) -> UserEdit {
        UserEdit {
            password: PasswordEdit::Set(Secret::new(password.as_bytes())),
            ..UserEdit::default()
        }
    }

    fn bench(access: &Arc<Access>) -> Bench {
        let provider = ProviderSettings {
            refresh: Duration::from_secs(60),
            ..ProviderSettings::new("users", Kind::Database)
        };
        Bench::new(Settings {
            providers: vec![provider],
            access: Some(Arc::clone(access)),
            ..Settings::default()
        })
    }

    #[test]
    fn users_of_the_database_are_verified() {
        let (_folder, access) = access();
        access.put_user("ann", with_password("one")).unwrap();
        access.put_user("name only", UserEdit::default()).unwrap();
        let bench = bench(&access);
        let ann = admitted(bench.ask(login("ann", "one")));
        assert_eq!(ann.identity, Identity::User("ann".into()));
        assert!(!ann.grant.unwrap().superuser);
        let (reason, why) = refusal(bench.ask(login("ann", "two")));
        assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
        assert_eq!(&*why, "users: wrong password");
        for nobody in ["bob", "name only"] {
            let (_, why) = refusal(bench.ask(login(nobody, "one")));
            assert_eq!(&*why, "no provider knows the client");
        }
        let root = UserEdit {
            superuser: true,
            ..with_password("two")
        };
        access.put_user("ann", root).unwrap();
        refusal(bench.ask(login("ann", "one")));
        let ann = admitted(bench.ask(login("ann", "two")));
        assert!(ann.grant.unwrap().superuser, "the change acts at once");
    }

    #[test]
    fn s61_a_change_of_users_forgets_who_was_admitted() {
        let (_folder, access) = access();
        access.put_user("ann", with_password("one")).unwrap();
        let provider = ProviderSettings {
            cache: Duration::from_secs(3600),
            ..ProviderSettings::new("users", Kind::Database)
        };
        let bench = Bench::new(Settings {
            providers: vec![provider],
            access: Some(Arc::clone(&access)),
            ..Settings::default()
        });
        for _ in 0..2 {
            admitted(bench.ask(login("ann", "one")));
        }
        assert_eq!(bench.chain.figures().providers[0].cached, 1);
        access.put_user("ann", with_password("two")).unwrap();
        refusal(bench.ask(login("ann", "one")));
        admitted(bench.ask(login("ann", "two")));
        access.delete_user("ann").unwrap();
        refusal(bench.ask(login("ann", "two")));
        assert_eq!(bench.chain.figures().providers[0].cached, 1);
    }

    #[test]
    fn s62_the_yes_of_a_refresh_lets_nobody_in() {
        let (_folder, access) = access();
        access.put_user("ann", with_password("one")).unwrap();
        let provider = ProviderSettings {
            cache: Duration::from_secs(3600),
            refresh: Duration::from_secs(60),
            ..ProviderSettings::new("users", Kind::Database)
        };
        let bench = Bench::new(Settings {
            providers: vec![provider],
            access: Some(Arc::clone(&access)),
            ..Settings::default()
        });
        let ann = admitted(bench.ask(login("ann", "one")));
        assert_eq!(admitted(bench.refresh(&ann)), ann);
        // The question of the refresh, word for word: the same client, and no password.
        let (reason, _) = refusal(bench.ask(request(Some("ann"), None)));
        assert_eq!(reason, ReasonCode::BadUserNameOrPassword);
        admitted(bench.ask(login("ann", "one")));
        assert_eq!(bench.chain.figures().providers[0].cached, 1);
    }

    #[test]
    fn s48_who_is_disabled_or_deleted_is_not_renewed() {
        let (_folder, access) = access();
        access.put_user("ann", with_password("one")).unwrap();
        let bench = bench(&access);
        let ann = admitted(bench.ask(login("ann", "one")));
        assert_eq!(admitted(bench.refresh(&ann)), ann);
        let disabled = UserEdit {
            disabled: true,
            ..UserEdit::default()
        };
        access.put_user("ann", disabled).unwrap();
        assert_eq!(
            &*refusal(bench.refresh(&ann)).1,
            "users: the user is disabled"
        );
        assert_eq!(
            &*refusal(bench.ask(login("ann", "one"))).1,
            "users: the user is disabled"
        );
        assert_eq!(
            &*refusal(bench.ask(login("ann", "two"))).1,
            "users: wrong password"
        );
        access.delete_user("ann").unwrap();
        assert_eq!(
            &*refusal(bench.refresh(&ann)).1,
            "users: the user is not known any more"
        );
    }

    #[test]
    fn hashes_of_other_servers_are_taken_over() {
        let (_folder, access) = access();
        let hash = "$7$101$B1E/oaJOaaM241QA$uHq3KrnIIRI5SsWel1brZLhyww8sTQMcCZ3aOGmM2g9MQc3F1Ks/7laGv2TECklOJmk68kzdFCLTNyo29wo2fA==";
        let edit = UserEdit {
            password: PasswordEdit::Hash(hash.into()),
            ..UserEdit::default()
        };
        access.put_user("ann", edit).unwrap();
        admitted(bench(&access).ask(login("ann", "correct horse")));
    }

    #[test]
    fn s25_a_user_who_is_bound_to_a_client_identifier_uses_no_other() {
        let (_folder, access) = access();
        let client = login("ann", "one").client_id;
        let bound = |client: &str| UserEdit {
            client_id: Some(client.into()),
            ..with_password("one")
        };
        access.put_user("ann", bound("another")).unwrap();
        let bench = bench(&access);
        let (_, why) = refusal(bench.ask(login("ann", "one")));
        assert_eq!(
            &*why,
            "users: the user may only use another client identifier"
        );
        // Who does not know the password does not learn that there is such a bond.
        let (_, why) = refusal(bench.ask(login("ann", "two")));
        assert_eq!(&*why, "users: wrong password");
        access.put_user("ann", bound(&client)).unwrap();
        let ann = admitted(bench.ask(login("ann", "one")));
        access.put_user("ann", bound("another")).unwrap();
        refusal(bench.refresh(&ann));
        assert!(access.put_user("ann", bound("")).is_err());
    }

    #[test]
    fn s69_a_chain_without_its_database_does_not_start() {
        let provider = ProviderSettings::new("users", Kind::Database);
        let built = crate::provider::Provider::build(&provider, None);
        assert_eq!(
            built.unwrap_err(),
            Problem::new("there is no database of users")
        );
    }
}
