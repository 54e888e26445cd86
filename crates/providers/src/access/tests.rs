use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use auth::Secret;
use tempfile::TempDir;

use super::*;
use crate::hash::Hash;
use crate::rules::Permission;

/// Changes that everybody agrees to.
impl Access {
    fn agreed(&self) -> Changes<'_> {
        self.changes(&|_| Ok(()))
    }

    pub(crate) fn put_user(&self, name: &str, edit: UserEdit) -> Result<Change, AccessError> {
        self.agreed().put_user(name, edit)
    }

    pub(crate) fn delete_user(&self, name: &str) -> Result<Change, AccessError> {
        self.agreed().delete_user(name)
    }

    fn put_group(&self, group: &Group) -> Result<Change, AccessError> {
        self.agreed().put_group(group)
    }

    fn delete_group(&self, name: &str) -> Result<Change, AccessError> {
        self.agreed().delete_group(name)
    }

    fn put_role(&self, role: &Role) -> Result<Change, AccessError> {
        self.agreed().put_role(role)
    }

    fn delete_role(&self, name: &str) -> Result<Change, AccessError> {
        self.agreed().delete_role(name)
    }

    fn put_rules(&self, texts: &[RuleText]) -> Result<Change, AccessError> {
        self.agreed().put_rules(texts)
    }

    fn put_ban(&self, ban: &Ban) -> Result<Change, AccessError> {
        self.agreed().put_ban(ban)
    }

    fn delete_ban(&self, on: &BanOn) -> Result<Change, AccessError> {
        self.agreed().delete_ban(on)
    }
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.redb");
    (folder, file)
}

fn open(file: &Path) -> Access {
    Access::open(file, Some(scram::LEAST_ITERATIONS)).unwrap()
}

fn edit(groups: &[&str], roles: &[&str]) -> UserEdit {
    let names = |names: &[&str]| names.iter().map(|&it| it.into()).collect();
    UserEdit {
        groups: names(groups),
        roles: names(roles),
        ..UserEdit::default()
    }
}

fn role(name: &str, topics: &[&str]) -> Role {
    let rule = |&topic: &&str| RuleText {
        permission: Permission::Allow,
        topics: vec![topic.into()],
        ..RuleText::default()
    };
    Role {
        name: name.into(),
        rules: topics.iter().map(rule).collect(),
        acls: Vec::new(),
    }
}

fn ban(on: BanOn, until: Option<u64>) -> Ban {
    Ban {
        on,
        until,
        reason: "noise".into(),
        by: "root".into(),
        created: 1,
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn what_is_changed_is_there_after_a_restart() {
    let (_folder, file) = folder();
    {
        let access = open(&file);
        access.put_role(&role("r", &["a/#"])).unwrap();
        access
            .put_group(&Group {
                name: "g".into(),
                roles: vec!["r".into()],
            })
            .unwrap();
        access.put_user("ann", edit(&["g"], &["r"])).unwrap();
        access.put_user("bob", UserEdit::default()).unwrap();
        access.put_rules(&role("", &["b"]).rules).unwrap();
        let change = access
            .put_ban(&ban(BanOn::Client("evil*".into()), None))
            .unwrap();
        assert_eq!(change.revision, 6);
    }
    let access = open(&file);
    assert_eq!(access.revision(), 6);
    let snapshot = access.snapshot(at(5));
    assert_eq!(snapshot.revision, 6);
    assert_eq!(
        snapshot.roles[0].rules.list[0].to_string(),
        r#"role r: allow publish and subscribe "a/#""#
    );
    assert_eq!(snapshot.rules.list.len(), 1);
    let ann = &snapshot.members.users["ann"];
    assert_eq!((&*ann.groups[0], &*ann.roles[0]), ("g", "r"));
    assert!(
        !snapshot.members.users.contains_key("bob"),
        "belongs to nothing"
    );
    assert_eq!(&*snapshot.members.groups["g"][0], "r");
    assert!(snapshot.bans.find("evil7", None, None).is_some());
    assert_eq!(access.users(None, 10).unwrap().items.len(), 2);
    access.delete_group("g").unwrap();
    access.delete_role("r").unwrap();
    access.delete_user("ann").unwrap();
    let change = access.delete_ban(&BanOn::Client("evil*".into())).unwrap();
    assert!(change.before.is_some() && change.after.is_none());
    let after = access.snapshot(at(5));
    assert!(after.members.users.is_empty() && after.members.groups.is_empty());
    assert!(after.roles.is_empty() && after.bans.find("evil7", None, None).is_none());
    assert!(
        snapshot.members.users.contains_key("ann"),
        "what was taken stays as it was"
    );
    for missing in [
        access.delete_user("ann"),
        access.delete_group("g"),
        access.delete_role("r"),
        access.delete_ban(&BanOn::User("ann".into())),
    ] {
        assert!(matches!(missing, Err(AccessError::Missing)));
    }
    assert_eq!(access.revision(), 10);
}

#[test]
fn s71_the_audit_says_what_changed_but_no_secret() {
    let (_folder, file) = folder();
    let access = open(&file);
    let with_password = UserEdit {
        password: PasswordEdit::Set(Secret::new(b"pa55")),
        ..edit(&["g"], &[])
    };
    assert!(!format!("{with_password:?}").contains("pa55"));
    let made = access.put_user("ann", with_password).unwrap();
    assert_eq!((made.what.as_str(), &made.before), ("user ann", &None));
    let after = made.after.clone().unwrap();
    assert_eq!(after["has_password"], true);
    assert_eq!(after["has_scram"], true);
    let kept = access.put_user("ann", edit(&[], &[])).unwrap();
    assert_eq!(kept.before, made.after);
    let after = kept.after.clone().unwrap();
    assert_eq!(
        (&after["has_password"], &after["groups"]),
        (&true.into(), &Vec::<String>::new().into())
    );
    let stored = access.stored("ann").unwrap().unwrap();
    let hash = stored.credentials.hash.clone().unwrap();
    assert!(Hash::parse(&hash).unwrap().verify(b"pa55"));
    let shown = format!("{made:?} {kept:?}");
    assert!(!shown.contains("argon2") && !shown.contains(&hash));
    let removed = UserEdit {
        password: PasswordEdit::Remove,
        ..UserEdit::default()
    };
    let removed = access.put_user("ann", removed).unwrap().after.unwrap();
    assert_eq!(
        (&removed["has_password"], &removed["has_scram"]),
        (&false.into(), &false.into())
    );
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let (_folder, file) = folder();
    let access = open(&file);
    let password = |password| UserEdit {
        password,
        ..UserEdit::default()
    };
    for refused in [
        access.put_user("", UserEdit::default()),
        access.put_user("a\0b", UserEdit::default()),
        access.put_user(&"x".repeat(65_536), UserEdit::default()),
        access.put_user("a", edit(&[], &["none"])),
        access.put_user("a", edit(&[""], &[])),
        access.put_user("a", password(PasswordEdit::Set(Secret::new(b"")))),
        access.put_user("a", password(PasswordEdit::Hash("secret".into()))),
        access.put_group(&Group {
            name: "g".into(),
            roles: vec!["none".into()],
        }),
        access.put_role(&role("r", &["a/#/b"])),
        access.put_role(&role("", &["a"])),
        access.put_rules(&role("r", &["${x}"]).rules),
        access.put_ban(&ban(BanOn::Client("*".into()), None)),
        access.put_ban(&ban(BanOn::User(String::new()), None)),
        access.put_ban(&ban(BanOn::Network("10.0.0.1/8".into()), None)),
    ] {
        assert!(
            matches!(refused, Err(AccessError::Invalid(_))),
            "{refused:?}"
        );
    }
    assert_eq!(access.revision(), 0);
    assert!(Access::open(&file, NonZeroU32::new(4095)).is_err());
}

#[test]
fn s55_a_ban_gives_way_only_to_one_that_lasts_longer() {
    let (_folder, file) = folder();
    let access = open(&file);
    let user = |until| ban(BanOn::User("u".into()), until);
    let until = |until| {
        let made = access.agreed().lengthen_ban(&user(until)).unwrap();
        (made.is_some(), access.bans()[0].until)
    };
    assert_eq!(until(Some(50)), (true, Some(50)));
    assert_eq!(until(Some(50)), (false, Some(50)));
    assert_eq!(until(Some(100)), (true, Some(100)));
    assert_eq!(until(Some(99)), (false, Some(100)));
    assert_eq!(until(None), (true, None));
    assert_eq!(until(Some(101)), (false, None));
    // An operator says what it is to be.
    access.put_ban(&user(Some(10))).unwrap();
    assert_eq!(access.bans()[0].until, Some(10));
}

#[test]
fn s55_bans_end_when_they_are_over() {
    let (_folder, file) = folder();
    let access = open(&file);
    access
        .put_ban(&ban(BanOn::User("u".into()), Some(100)))
        .unwrap();
    access
        .put_ban(&ban(BanOn::User("v".into()), Some(50)))
        .unwrap();
    access
        .put_ban(&ban(BanOn::Network("::ffff:10.0.0.0/104".into()), None))
        .unwrap();
    let banned = |now, user| {
        access
            .snapshot(at(now))
            .bans
            .find("c", Some(user), None)
            .is_some()
    };
    assert!(banned(49, "u") && banned(49, "v"));
    assert_eq!(access.snapshot(at(49)).next_expiry, Some(at(50)));
    assert!(banned(50, "u") && !banned(50, "v"));
    assert_eq!(access.snapshot(at(50)).next_expiry, Some(at(100)));
    assert_eq!(access.snapshot(at(100)).next_expiry, None);
    assert_eq!(access.bans().len(), 3);
    assert_eq!(access.sweep_bans(at(50)).unwrap(), 1);
    assert_eq!(access.bans().len(), 2);
    // However a network is written, it is one.
    access
        .delete_ban(&BanOn::Network("10.0.0.0/8".into()))
        .unwrap();
}

#[test]
fn a_disabled_user_belongs_to_nothing() {
    let (_folder, file) = folder();
    let access = open(&file);
    access.put_user("ann", edit(&["g"], &[])).unwrap();
    assert!(access.snapshot(at(0)).members.users.contains_key("ann"));
    let disabled = UserEdit {
        disabled: true,
        ..edit(&["g"], &[])
    };
    access.put_user("ann", disabled).unwrap();
    assert!(!access.snapshot(at(0)).members.users.contains_key("ann"));
    access.put_user("ann", edit(&["g"], &[])).unwrap();
    assert!(access.snapshot(at(0)).members.users.contains_key("ann"));
}

#[test]
fn users_are_listed_page_by_page() {
    let (_folder, file) = folder();
    let access = open(&file);
    for name in ["b", "a", "d", "c", "é"] {
        access.put_user(name, UserEdit::default()).unwrap();
    }
    let mut names = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = access.users(after.as_deref(), 2).unwrap();
        assert!(page.items.len() <= 2);
        names.extend(page.items.into_iter().map(|user| user.name));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "é"]);
    assert_eq!(access.users(Some("zz"), 5).unwrap().items[0].name, "é");
    assert_eq!(
        access.users(Some("é"), 5).unwrap(),
        Page {
            items: vec![],
            next: None
        }
    );
    assert_eq!(access.users(None, usize::MAX).unwrap().items.len(), 5);
}

#[test]
fn a_watcher_is_told_once_until_somebody_looks() {
    let (_folder, file) = folder();
    let access = open(&file);
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    access.watch(Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    for name in ["a", "b", "c"] {
        access.put_user(name, UserEdit::default()).unwrap();
    }
    assert_eq!(told.load(Ordering::Relaxed), 1);
    assert_eq!(access.snapshot(at(0)).revision, 3);
    access.put_user("d", UserEdit::default()).unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 2);
}

#[cfg(unix)]
#[test]
fn s99_the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, file) = folder();
    drop(open(&file));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn s100_a_file_that_is_not_right_is_not_begun_anew() {
    let (_folder, file) = folder();
    let access = open(&file);
    access.put_user("ann", edit(&["g"], &[])).unwrap();
    assert!(Access::open(&file, None).is_err(), "it is open");
    drop(access);
    let good = std::fs::read(&file).unwrap();
    for bad in [
        Vec::new(),
        vec![0; good.len()],
        vec![0xff; 4096],
        good[..good.len() / 2].to_vec(),
        good[..100].to_vec(),
        b"not a database".to_vec(),
    ] {
        std::fs::write(&file, &bad).unwrap();
        assert!(Access::open(&file, None).is_err(), "{} bytes", bad.len());
        let kept = std::fs::read(&file).unwrap();
        assert_eq!(kept.len(), bad.len(), "it is left as it is");
    }
    std::fs::write(&file, &good).unwrap();
    assert_eq!(open(&file).revision(), 1);
    store::tests::set_format(&file, 2);
    let Err(error) = Access::open(&file, None) else {
        panic!("a newer file");
    };
    assert!(error.to_string().contains("has format 2"), "{error}");
}

#[test]
fn a_snapshot_of_many_users_is_quick() {
    let (_folder, file) = folder();
    store::tests::fill(&file, 100_000);
    let access = open(&file);
    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        let held = access.snapshot(at(0));
        assert_eq!(held.members.users.len(), 100_000);
        let started = Instant::now();
        access.put_user("user 7", edit(&["other"], &[])).unwrap();
        let snapshot = access.snapshot(at(0));
        slowest = slowest.max(started.elapsed());
        assert_eq!(&*snapshot.members.users["user 7"].groups[0], "other");
        access.put_user("user 7", edit(&["g"], &[])).unwrap();
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    println!("change and snapshot: {slowest:?}");
}

#[test]
fn what_is_not_agreed_to_does_not_happen() {
    let (_folder, file) = folder();
    let access = open(&file);
    access.put_user("ann", edit(&["g"], &[])).unwrap();
    let refuse = |_: &Change| Err(String::from("no paper left"));
    let refused = access.changes(&refuse).put_user("ann", edit(&[], &[]));
    assert_eq!(refused.unwrap_err().to_string(), "no paper left");
    let refused = access.changes(&refuse).delete_user("ann");
    assert!(matches!(refused, Err(AccessError::NotAgreed(_))));
    assert_eq!(access.user("ann").unwrap().unwrap().groups, ["g"]);
    assert_eq!(access.revision(), 1);
}

#[test]
fn users_are_imported_all_or_none() {
    let (_folder, file) = folder();
    let access = open(&file);
    access.put_user("ann", edit(&["old"], &[])).unwrap();
    let import = |names: &[&str], existing| {
        let entries = names
            .iter()
            .map(|&name| Ok((name.to_owned(), edit(&["new"], &[]))));
        let mut entries = entries.collect::<Vec<_>>().into_iter();
        let about = |name: &str, error| AccessError::Invalid(format!("{name}: {error}"));
        access
            .agreed()
            .import::<AccessError>(&mut entries, existing, about)
    };
    let refused = import(&["bob", "ann"], Existing::Refuse).unwrap_err();
    assert_eq!(refused.to_string(), "ann: there is such a thing already");
    assert!(import(&["bob", ""], Existing::Keep).is_err());
    assert_eq!(access.user("bob").unwrap(), None);
    let groups = |name: &str| access.user(name).unwrap().unwrap().groups;
    let kept = import(&["bob", "ann"], Existing::Keep).unwrap();
    assert_eq!((kept.created, kept.replaced, kept.kept), (1, 0, 1));
    assert_eq!(
        (groups("ann"), groups("bob")),
        (vec!["old".into()], vec!["new".into()])
    );
    let replaced = import(&["cid", "ann"], Existing::Replace).unwrap();
    assert_eq!((replaced.created, replaced.replaced), (1, 1));
    assert_eq!(groups("ann"), ["new"]);
    let members = access.snapshot(at(1)).members;
    assert!(members.users.contains_key("bob") && members.users.contains_key("cid"));
}

#[test]
fn s48_users_that_come_slowly_hold_up_no_ban() {
    let (_folder, file) = folder();
    let access = open(&file);
    let ban = |who: &str| Ban {
        on: BanOn::User(who.into()),
        until: Some(1),
        by: String::new(),
        reason: String::new(),
        created: 0,
    };
    // What is made while the entries still come.
    let mut entries = ["bob", "cid"].into_iter().map(|name| {
        assert!(access.writing.try_lock().is_ok(), "nobody has the database");
        access.put_ban(&ban(name)).unwrap();
        Ok((name.to_owned(), edit(&["new"], &[])))
    });
    let imported =
        access
            .agreed()
            .import::<AccessError>(&mut entries, Existing::Refuse, |name, error| {
                AccessError::Invalid(format!("{name}: {error}"))
            });
    assert_eq!(imported.unwrap().created, 2);
    assert_eq!(access.bans().len(), 2);
    let mut twice = ["eve", "eve"]
        .into_iter()
        .map(|name| Ok((name.to_owned(), edit(&[], &[]))));
    let refused =
        access
            .agreed()
            .import::<AccessError>(&mut twice, Existing::Refuse, |name, error| {
                AccessError::Invalid(format!("{name}: {error}"))
            });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "eve: there is such a thing already"
    );
    // Who tells of a ban does not wait for who makes a change.
    let writing = access.writing();
    assert_eq!(access.sweep_bans(at(2)).unwrap(), 0);
    drop(writing);
    assert_eq!(access.sweep_bans(at(2)).unwrap(), 2);
}

#[test]
fn a_copy_of_all_records_makes_the_same_database() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.redb");
    let access = Access::open(&first, None).unwrap();
    let agree = |_: &Change| Ok(());
    let edit = UserEdit {
        password: PasswordEdit::Set(Secret::new(b"wonder")),
        ..UserEdit::default()
    };
    access.changes(&agree).put_user("ann", edit).unwrap();
    let mut rows = Vec::new();
    let mut pass = |row: Row| {
        rows.push(row);
        Ok(())
    };
    access.rows(&mut pass).unwrap();
    assert!(
        rows.iter()
            .any(|row| row.table == "users" && row.key == "ann")
    );
    let second = folder.path().join("second.redb");
    Access::restore(&second, &mut rows.iter().cloned().map(Ok)).unwrap();
    let restored = Access::open(&second, None).unwrap();
    let mut again = Vec::new();
    let mut pass = |row: Row| {
        again.push(row);
        Ok(())
    };
    restored.rows(&mut pass).unwrap();
    assert!(again == rows);
    // Nothing is overwritten, and nothing half is left.
    let refused = Access::restore(&second, &mut rows.into_iter().map(Ok));
    assert!(matches!(refused, Err(AccessError::Exists)));
    drop(restored);
    let third = folder.path().join("third.redb");
    let strange = Row {
        table: "strange".into(),
        key: "k".into(),
        record: serde_json::Value::Null,
    };
    assert!(Access::restore(&third, &mut std::iter::once(Ok(strange))).is_err());
    assert!(!third.exists());
}
