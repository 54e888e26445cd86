use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use admin::server::Configuration;
use admin::{Audit, audit};
use tempfile::TempDir;

use super::*;

/// A configuration with a server that takes it over, or does not.
struct Stage {
    folder: TempDir,
    kept: Arc<Kept>,
    takes: Arc<AtomicBool>,
    audit: Arc<Audit>,
}

impl Stage {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nightjar.toml");
        fs::write(&file, text).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        let loaded = Loaded::read(&sources).unwrap();
        let takes = Arc::new(AtomicBool::new(true));
        let answer = Arc::clone(&takes);
        let reread = Box::new(move |reread: Reread| {
            reread.answer(|| match answer.load(Ordering::Relaxed) {
                true => Ok(()),
                false => Err("the port is in use".to_owned()),
            });
        });
        let data = folder.path().join("data");
        let kept = Kept::new((loaded.config, loaded.places), sources, &data, reread);
        let audit = Audit::open(audit::Settings {
            file: folder.path().join("audit.jsonl"),
            size: 1 << 20,
            keep: 1,
        });
        Self {
            folder,
            kept: Arc::new(kept),
            takes,
            audit: audit.unwrap(),
        }
    }

    fn record(&self) -> Record {
        self.audit
            .record("ann", "a test", "configuration.apply", "")
    }

    fn apply(&self, text: &str) -> Result<Applied, Failure> {
        self.kept.apply(text, None, "ann", &self.record())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join("nightjar.toml")).unwrap()
    }
}

#[test]
fn what_is_applied_replaces_the_file_and_what_was_there_is_kept() {
    let stage = Stage::new("workers = 1\n");
    let file = stage.folder.path().join("nightjar.toml");
    #[cfg(unix)]
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let applied = stage.apply("workers = 2\n").unwrap();
    assert_eq!(
        (applied.version, &*applied.changes[0].key),
        (Some(1), "workers")
    );
    assert!(applied.changes[0].needs_restart);
    assert_eq!(stage.text(), "workers = 2\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        let folder = stage.folder.path().join("data/configurations");
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
    let versions = stage.kept.versions().unwrap();
    assert_eq!((versions[0].version, &*versions[0].by), (1, "ann"));
    let back = stage.kept.rollback(1, "bob", &stage.record()).unwrap();
    assert_eq!(
        (stage.text(), back.version),
        ("workers = 1\n".to_owned(), Some(2))
    );
    assert!(matches!(
        stage.kept.rollback(9, "bob", &stage.record()),
        Err(Failure::NotFound(_))
    ));
}

#[test]
fn what_is_wrong_or_not_taken_over_leaves_the_file_as_it_was() {
    let stage = Stage::new("workers = 1\n");
    let Err(Failure::Invalid(words)) = stage.apply("workers = \"many\"\nworkrs = 1\n") else {
        panic!("it is wrong");
    };
    assert!(
        words.contains("nightjar.toml:1:11: workers:") && words.contains("1 more"),
        "{words}"
    );
    stage.takes.store(false, Ordering::Relaxed);
    let Err(Failure::Invalid(words)) = stage.apply("workers = 3\n") else {
        panic!("it is not taken over");
    };
    assert_eq!(words, "the port is in use");
    assert_eq!(stage.text(), "workers = 1\n");
    assert!(stage.kept.versions().unwrap().is_empty());
}

#[test]
fn so_many_versions_are_kept_and_no_more() {
    let stage = Stage::new("workers = 1\n");
    for workers in 2..30 {
        stage.apply(&format!("workers = {workers}\n")).unwrap();
    }
    let versions = stage.kept.versions().unwrap();
    let numbers: Vec<u64> = versions.iter().map(|one| one.version).collect();
    assert_eq!(
        (numbers.len(), numbers.first(), numbers.last()),
        (20, Some(&28), Some(&9))
    );
}

#[test]
fn s71_secrets_are_not_shown_and_not_lost() {
    let stage = Stage::new(concat!(
        "workers = 1 # mine\naccess.no_match = \"allow\"\n[[authentication]]\ntype = \"ldap\"\nurl = \"ldaps://h\"\n",
        "base = \"ou=p\"\nsearch = \"(cn=${username})\"\nsearch_dn = \"cn=s\"\n",
        "search_password = \"hush\"\n"
    ));
    let shown = stage.kept.shown(Text::File).unwrap();
    assert!(shown.toml.starts_with("workers = 1 # mine\n"));
    assert!(!format!("{shown:?}").contains("hush") && shown.toml.contains("\"***\""));
    stage.apply(&shown.toml.replace("= 1", "= 2")).unwrap();
    assert!(stage.text().starts_with("workers = 2 # mine\n"));
    assert!(stage.text().contains("search_password = \"hush\""));
    let line = fs::read_to_string(stage.folder.path().join("audit.jsonl")).unwrap();
    assert!(line.contains("workers") && !line.contains("hush"));
    let row = shown
        .values
        .iter()
        .find(|row| row.key == "workers")
        .unwrap();
    assert_eq!(row.source, "file:1");
    assert!(
        !stage
            .kept
            .shown(Text::Rendered)
            .unwrap()
            .toml
            .contains("mine")
    );
}

#[test]
fn a_check_says_where_and_what() {
    let stage = Stage::new("");
    let checked = stage.kept.check("[limits]\ninflight = 0\n").unwrap();
    assert!(!checked.ok);
    let problem = &checked.problems[0];
    assert_eq!((problem.line, problem.column), (Some(2), Some(12)));
    assert_eq!(problem.key.as_deref(), Some("limits.inflight"));
    assert!(problem.hint.is_some());
    let checked = stage.kept.check("limits.inflight = 7\n").unwrap();
    assert!(checked.ok && checked.changes.len() == 1);
    assert_eq!(stage.text(), "");
}

#[test]
fn without_a_file_nothing_is_applied_and_it_says_why() {
    let stage = Stage::new("");
    let sources = Sources::default();
    let loaded = Loaded::read(&sources).unwrap();
    let reread = Box::new(|_: Reread| panic!("nothing to read"));
    let kept = Kept::new(
        (loaded.config, loaded.places),
        sources,
        stage.folder.path(),
        reread,
    );
    let Err(Failure::Invalid(words)) = kept.apply("workers = 2\n", None, "ann", &stage.record())
    else {
        panic!("there is no file");
    };
    assert!(words.contains("--config"), "{words}");
    let shown = kept.shown(Text::File).unwrap();
    assert!(shown.file.is_none() && shown.toml.contains("[limits]"));
}

#[test]
fn s97_a_change_that_fails_costs_no_version() {
    let stage = Stage::new("workers = 1\n");
    for workers in 2..23 {
        stage.apply(&format!("workers = {workers}\n")).unwrap();
    }
    let before = stage.kept.versions().unwrap();
    stage.takes.store(false, Ordering::Relaxed);
    assert!(stage.apply("workers = 30\n").is_err());
    assert_eq!(stage.kept.versions().unwrap(), before);
}

#[test]
fn s97_what_could_not_start_is_not_applied() {
    let stage = Stage::new("workers = 1\n");
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("metrics.listen = \"{}\"\n", held.local_addr().unwrap());
    for (text, key) in [
        ("data_dir = \"/dev/null/data\"\n", "data_dir"),
        (
            "dashboard.address = \"203.0.113.7:18083\"\n",
            "dashboard.address",
        ),
        (&*taken, "metrics.listen"),
    ] {
        let checked = stage.kept.check(text).unwrap();
        assert!(!checked.ok, "{text}");
        assert_eq!(checked.problems[0].key.as_deref(), Some(key));
        let Err(Failure::Invalid(words)) = stage.apply(text) else {
            panic!("{text} is applied");
        };
        assert!(words.starts_with(key), "{words}");
    }
    assert_eq!(stage.text(), "workers = 1\n");
}

#[test]
fn s97_what_nobody_waits_for_any_more_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nightjar.toml");
    fs::write(&file, "workers = 1\n").unwrap();
    let sources = Sources {
        file: Some(file.clone()),
        ..Sources::default()
    };
    let loaded = Loaded::read(&sources).unwrap();
    let (asked, inbox) = std::sync::mpsc::channel();
    let reread = Box::new(move |reread| asked.send(reread).unwrap());
    let mut kept = Kept::new(
        (loaded.config, loaded.places),
        sources,
        folder.path(),
        reread,
    );
    kept.patience = Duration::ZERO;
    let stage = Stage::new("");
    let applied = kept.apply("workers = 2\n", None, "ann", &stage.record());
    assert!(matches!(applied, Err(Failure::Unavailable(_))));
    assert_eq!(fs::read_to_string(&file).unwrap(), "workers = 1\n");
    inbox
        .recv()
        .unwrap()
        .answer(|| panic!("it is taken over late"));
}

#[test]
fn s97_who_began_with_another_text_overwrites_nobody_s_change() {
    let stage = Stage::new("workers = 1\n");
    let etag = || stage.kept.shown(Text::Rendered).unwrap().etag.unwrap();
    let apply = |text: &str, basis: &str| {
        let basis = format!("\"0\", \"{basis}\"");
        stage.kept.apply(text, Some(&basis), "ann", &stage.record())
    };
    let begun = etag();
    let first = apply("workers = 2\n", &begun).unwrap();
    assert_eq!(first.etag, etag());
    let second = apply("workers = 3\n", &begun);
    assert!(matches!(second, Err(Failure::Changed(_))));
    // By hand too.
    fs::write(stage.folder.path().join("nightjar.toml"), "workers = 4\n").unwrap();
    let third = apply("workers = 3\n", &first.etag);
    assert!(matches!(third, Err(Failure::Changed(_))));
    assert_eq!(stage.text(), "workers = 4\n");
    apply("workers = 5\n", &etag()).unwrap();
}

#[test]
fn s97_an_earlier_version_comes_back_without_a_server() {
    let stage = Stage::new("workers = 1\n");
    stage.apply("workers = 2\n").unwrap();
    let file = stage.folder.path().join("nightjar.toml");
    let data = stage.folder.path().join("data");
    // Whatever became of it.
    fs::write(&file, b"\xff workers").unwrap();
    roll_back_offline(&file, &data, 1).unwrap();
    assert_eq!(stage.text(), "workers = 1\n");
    assert_eq!(stage.kept.versions().unwrap().len(), 2);
    let none = roll_back_offline(&file, &data, 9);
    assert!(matches!(none, Err(Failure::NotFound(_))));
}
