use std::net::Ipv4Addr;
use std::sync::Arc;

use tempfile::TempDir;

use super::attempts::Attempts;
use super::tokens::{LIFETIME, Tokens};
use super::*;
use crate::{Audit, Password, Record, audit};

struct Place {
    folder: TempDir,
    staff: Staff,
    audit: Arc<Audit>,
}

const FROM: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
const ELSEWHERE: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)));
const RIGHT: &str = "correct horse battery";

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let staff = Staff::open(folder.path().join("administrators.json")).unwrap();
        let audit = Audit::open(audit::Settings {
            file: folder.path().join("audit.jsonl"),
            size: 1 << 20,
            keep: 1,
        });
        Self {
            folder,
            staff,
            audit: audit.unwrap(),
        }
    }

    fn record(&self) -> Record {
        self.audit.record("eve", "192.0.2.1", "test", "x")
    }

    fn first(&self) -> SignedIn {
        let code = Password::new(self.staff.setup_code().unwrap());
        let set_up = self.staff.set_up(&code, new("root"), FROM, &self.record());
        set_up.unwrap()
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("administrators.json")
    }
}

fn new(username: &str) -> NewAdministrator {
    NewAdministrator {
        username: username.into(),
        password: Password::new(RIGHT),
        role: StaffRole::Admin,
        description: String::new(),
    }
}

#[test]
fn s96_the_first_administrator_needs_the_code_and_there_is_one_first() {
    let place = Place::new();
    let staff = &place.staff;
    assert!(staff.needs_setup());
    let code = staff.setup_code().unwrap();
    assert_eq!(code.replace('-', "").len(), 28);
    for wrong in ["", "0000-0000", &code[1..]] {
        let refused = staff.set_up(&Password::new(wrong), new("eve"), FROM, &place.record());
        assert!(matches!(refused, Err(Refused::Code)), "{wrong}");
    }
    assert!(staff.needs_setup());
    // As people type it.
    let typed = Password::new(format!(" {} ", code.replace('-', " ").to_lowercase()));
    let made = staff
        .set_up(&typed, new("root"), FROM, &place.record())
        .unwrap();
    assert_eq!(made.role, StaffRole::Admin);
    assert_eq!(staff.setup_code(), None);
    let again = staff.set_up(&typed, new("eve"), FROM, &place.record());
    assert!(matches!(again, Err(Refused::Failure(Failure::Exists(_)))));
    // Nor after a restart.
    let reopened = Staff::open(place.file()).unwrap();
    assert_eq!(reopened.setup_code(), None);
    let signed = reopened.sign_in("root", &Password::new(RIGHT), FROM);
    assert!(reopened.by_token(&signed.unwrap().token).is_some());
}

#[test]
fn s96_a_code_that_is_used_is_kept_nowhere() {
    let place = Place::new();
    let file = place.folder.path().join("setup-code");
    let Place {
        staff,
        audit,
        folder: _folder,
    } = place;
    let staff = staff.with_code_in(Some(file.clone()));
    let record = || audit.record("eve", "192.0.2.1", "test", "x");
    let code = staff.setup_code().unwrap();
    std::fs::write(&file, &code).unwrap();
    let wrong = staff.set_up(&Password::new("x"), new("root"), FROM, &record());
    assert!(wrong.is_err() && file.exists());
    let code = Password::new(code);
    staff.set_up(&code, new("root"), FROM, &record()).unwrap();
    assert!(!file.exists());
}

#[test]
fn s96_who_is_wrong_too_often_waits_and_locks_nobody_else_out() {
    let place = Place::new();
    place.first();
    let try_in = |name: &str, password: &str, from| {
        place.staff.sign_in(name, &Password::new(password), from)
    };
    for name in ["root", "nobody"] {
        for _ in 0..5 {
            assert!(matches!(try_in(name, "wrong", FROM), Err(Refused::Wrong)));
        }
        // Right or wrong is not looked at any more.
        assert!(matches!(
            try_in(name, RIGHT, FROM),
            Err(Refused::TooOften(_))
        ));
    }
    assert!(try_in("root", RIGHT, ELSEWHERE).is_ok());
}

#[test]
fn s96_attempts_are_counted_by_address_too_and_forgotten_in_time() {
    let mut attempts = Attempts::default();
    let now = Instant::now();
    for n in 0..20 {
        assert_eq!(attempts.wait(FROM, "other", now), None);
        attempts.failed(FROM, &format!("name {n}"), now);
    }
    assert!(attempts.wait(FROM, "other", now).is_some());
    assert_eq!(attempts.wait(ELSEWHERE, "other", now), None);
    let later = now + Duration::from_secs(300);
    assert_eq!(attempts.wait(FROM, "other", later), None);
    // One customer of IPv6 has more addresses than anybody could count.
    let of = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 1, 1, n, 0, 0, n]));
    for n in 0..20 {
        attempts.failed(of(n), &format!("name {n}"), now);
    }
    assert!(attempts.wait(of(999), "x", now).is_some());
    // Nor does it grow without end.
    for n in 0..20_000_u32 {
        attempts.failed(Some(IpAddr::from(n.to_be_bytes())), "x", now);
    }
    assert!(attempts.len() <= 4096);
}

#[test]
fn s96_tokens_end_by_time_and_by_every_change_of_who_has_them() {
    let mut tokens = Tokens::default();
    let now = Instant::now();
    tokens.keep("a", "root", StaffRole::Admin, now);
    let minutes = |n: u64| now + Duration::from_secs(60 * n);
    assert!(tokens.find("b", now).is_none());
    assert!(tokens.find("a", minutes(59)).is_some());
    assert!(tokens.find("a", minutes(118)).is_some());
    assert!(tokens.find("a", minutes(178)).is_none(), "idle for an hour");
    tokens.keep("a", "root", StaffRole::Admin, now);
    for minute in (30..480).step_by(30) {
        assert!(tokens.find("a", minutes(minute)).is_some());
    }
    assert!(tokens.find("a", now + LIFETIME).is_none());
    for n in 0..5000 {
        tokens.keep(
            &format!("t{n}"),
            &format!("u{}", n % 100),
            StaffRole::Viewer,
            now,
        );
    }
    assert!(tokens.len() <= 1024);

    let place = Place::new();
    let signed = |name: &str| {
        let signed = place.staff.sign_in(name, &Password::new(RIGHT), FROM);
        signed.unwrap().token
    };
    place.first();
    place
        .staff
        .create_administrator(new("two"), &place.record())
        .unwrap();
    let token = signed("two");
    let to_viewer = AdministratorChange {
        role: Some(StaffRole::Viewer),
        description: None,
        password: None,
    };
    place
        .staff
        .change_administrator("two", to_viewer, &place.record())
        .unwrap();
    assert_eq!(place.staff.by_token(&token), None);
    let token = signed("two");
    let fresh = Password::new("another password");
    let old = Password::new(RIGHT);
    place
        .staff
        .change_password("two", &old, fresh, FROM, &place.record())
        .unwrap();
    assert_eq!(place.staff.by_token(&token), None);
    let token = signed("root");
    place.staff.sign_out(&token);
    assert_eq!(place.staff.by_token(&token), None);
    // The last who could make others stays.
    let gone = place.staff.delete_administrator("root", &place.record());
    assert!(matches!(gone, Err(Failure::Invalid(_))));
    place
        .staff
        .delete_administrator("two", &place.record())
        .unwrap();
}

#[test]
fn s96_who_is_changed_while_he_signs_in_has_no_session_of_before() {
    let place = Place::new();
    place.first();
    let made = place
        .staff
        .create_administrator(new("two"), &place.record());
    made.unwrap();
    let hash = || {
        let book = lock(&place.staff.book);
        let mut all = book.administrators.iter();
        all.find(|one| one.username == "two")
            .map(|one| one.password.clone())
    };
    let change = |role, password: Option<&str>| {
        let change = AdministratorChange {
            role,
            description: None,
            password: password.map(Password::new),
        };
        let changed = place
            .staff
            .change_administrator("two", change, &place.record());
        changed.unwrap();
    };
    // As it stands when the password has just been found right, and the book is open to others.
    let shown = hash().unwrap();
    change(Some(StaffRole::Viewer), None);
    let signed = place.staff.signed_in("two", &shown).unwrap();
    assert_eq!(signed.role, StaffRole::Viewer);
    let (_, role) = place.staff.by_token(&signed.token).unwrap();
    assert_eq!(role, StaffRole::Viewer);
    change(None, Some("another password"));
    let late = place.staff.signed_in("two", &shown);
    assert!(matches!(late, Err(Refused::Wrong)), "{late:?}");
    let shown = hash().unwrap();
    let gone = place.staff.delete_administrator("two", &place.record());
    gone.unwrap();
    let late = place.staff.signed_in("two", &shown);
    assert!(matches!(late, Err(Refused::Wrong)), "{late:?}");
    assert_eq!(lock(&place.staff.tokens).len(), 1, "the first one's");
}

#[test]
fn s96_a_key_holds_while_it_is_enabled_and_not_over() {
    let place = Place::new();
    let make = |name: &str, expires_at| {
        let new = NewApiKey {
            name: name.into(),
            role: StaffRole::Admin,
            description: String::new(),
            enabled: None,
            expires_at,
        };
        place.staff.create_key(new, &place.record()).unwrap()
    };
    let made = make("deploy", None);
    let shows = |secret: &str| place.staff.by_key(&made.key.api_key, secret);
    assert_eq!(
        shows(&made.api_secret),
        Some(("deploy".into(), StaffRole::Admin))
    );
    assert_eq!(shows("x"), None);
    assert_eq!(shows(""), None);
    let change = |enabled, expires_at| {
        let change = ApiKeyChange {
            role: None,
            description: None,
            enabled,
            expires_at,
        };
        place
            .staff
            .change_key("deploy", change, &place.record())
            .unwrap();
    };
    change(Some(false), None);
    assert_eq!(shows(&made.api_secret), None);
    change(Some(true), Some(Stamp::from_millis(1)));
    assert_eq!(shows(&made.api_secret), None);
    let over = make("old", Some(Stamp::from_millis(1)));
    assert_eq!(
        place.staff.by_key(&over.key.api_key, &over.api_secret),
        None
    );
    // Whatever its role, it does not say who may use the API.
    assert!(StaffRole::Admin.by_key() < Rights::Owner);
}

#[test]
fn s71_nothing_that_is_kept_or_shown_is_a_secret() {
    let place = Place::new();
    let code = place.staff.setup_code().unwrap();
    let signed = place.first();
    let key = NewApiKey {
        name: "k".into(),
        role: StaffRole::Viewer,
        description: String::new(),
        enabled: None,
        expires_at: None,
    };
    let key = place.staff.create_key(key, &place.record()).unwrap();
    let read = |name: &str| std::fs::read_to_string(place.folder.path().join(name)).unwrap();
    let all = [
        read("administrators.json"),
        read("audit.jsonl"),
        format!("{:?} {key:?}", place.staff),
    ];
    for secret in [RIGHT, &code, &signed.token, &key.api_secret] {
        for text in &all {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[cfg(unix)]
#[test]
fn s99_the_file_of_administrators_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.first();
    let mode = std::fs::metadata(place.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn s100_a_damaged_file_of_administrators_is_not_nobody() {
    let place = Place::new();
    place.first();
    let whole = std::fs::read_to_string(place.file()).unwrap();
    let spoiled = [
        String::new(),
        "{}".into(),
        whole[..whole.len() / 2].to_owned(),
        whole.replace("\"version\": 1", "\"version\": 2"),
        whole.replace("$argon2id$", "$argon3id$"),
    ];
    for text in spoiled {
        std::fs::write(place.file(), &text).unwrap();
        let opened = Staff::open(place.file());
        let error = opened.map(drop).unwrap_err();
        assert!(matches!(error, Problem::Staff(..)), "{text}");
        assert!(!error.to_string().contains("argon"), "{error}");
    }
}

#[test]
fn s97_nobody_has_a_name_that_is_another_s_in_the_audit_log() {
    let place = Place::new();
    for name in [
        "local user 0",
        "Local User 0",
        "local",
        "key deploy",
        " key deploy",
        "KEY\u{a0}deploy",
        "a stranger",
        "server",
        "MQTT user ann",
    ] {
        let made = place.staff.create_administrator(new(name), &place.record());
        assert!(matches!(made, Err(Failure::Invalid(_))), "{name}");
    }
    for name in ["keyholder", "locals", "serverless", "ann"] {
        let made = place.staff.create_administrator(new(name), &place.record());
        made.unwrap();
    }
}

#[test]
fn s95_who_serves_does_not_wait_for_the_disk_of_who_changes() {
    let place = Place::new();
    place.first();
    // As long as a change waits for its disk.
    let (_turn, _book) = place.staff.change();
    assert!(!place.staff.needs_setup());
    assert_eq!(place.staff.by_key("none", "x"), None);
    assert_eq!(place.staff.administrators().len(), 1);
    let signed = place.staff.sign_in("root", &Password::new(RIGHT), FROM);
    assert!(signed.is_ok());
}

#[test]
fn passwords_that_are_easily_guessed_are_not_taken() {
    let place = Place::new();
    for password in ["", "short", "123456789"] {
        let new = NewAdministrator {
            password: Password::new(password),
            ..new("x")
        };
        let made = place.staff.create_administrator(new, &place.record());
        assert!(matches!(made, Err(Failure::Invalid(_))), "{password}");
    }
}
