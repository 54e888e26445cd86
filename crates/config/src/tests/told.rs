use super::*;
use crate::{Loaded, masked, unmasked};

const SECRETS: &str = r#"
[log]
level = "debug" # as a test

[[authentication]]
type = "http"
url = "https://u:pa55@host/x?token=t0ken"
headers = ["X-Key: s3cret", "X-Other: ${KEY}"]

[[authentication]]
type = "ldap"
url = "ldaps://ldap"
base = "ou=people"
search = "(cn=${username})"
search_dn = "cn=search"
search_password = "hush"
"#;

fn sources(environment: &[(&str, &str)]) -> Sources {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        file: Some("nightjar.toml".into()),
        environment: environment.iter().map(pair).collect(),
        options: vec![Setting {
            option: "--data-dir",
            key: "data_dir",
            value: "/d".into(),
        }],
    }
}

#[test]
fn each_value_says_from_where_it_is() {
    let sources = sources(&[("NIGHTJAR__WORKERS", "3")]);
    let text = "log.level = \"debug\"\n[[listener]]\naddress = \"127.0.0.1:1\"\n";
    let loaded = Loaded::read_text(&sources, text).unwrap();
    let told = loaded.config.told(&loaded.places);
    let of = |key: &str| told.iter().find(|one| one.key == key).unwrap();
    assert_eq!(
        of("workers").place,
        Place::Variable("NIGHTJAR__WORKERS".into())
    );
    assert_eq!(of("data_dir").place, Place::Option("--data-dir"));
    assert_eq!(of("sys_interval").place, Place::Default);
    assert_eq!(of("log.level").value, "\"debug\"");
    let address = of("listener[mqtt-1].address");
    assert!(
        matches!(address.place, Place::File { line: 3, .. }),
        "{address:?}"
    );
    assert_eq!(of("listener[mqtt-1].protocol").place, Place::Default);
}

#[test]
fn s71_what_is_told_of_a_configuration_has_no_secret_in_it() {
    let text = masked(SECRETS).unwrap();
    let loaded = Loaded::read_text(&sources(&[("KEY", "k3y")]), SECRETS).unwrap();
    let told = format!("{:?}", loaded.config.told(&loaded.places));
    let other = SECRETS.replace("hush", "hush2").replace("pa55", "pa55w");
    let other = Loaded::read_text(&sources(&[("KEY", "k3y")]), &other).unwrap();
    let changes = format!(
        "{:?}",
        loaded
            .config
            .changes_to(&loaded.places, &other.config, &other.places)
    );
    for secret in ["pa55", "s3cret", "hush", "t0ken"] {
        for shown in [&text, &told, &changes] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
    assert!(text.contains("level = \"debug\" # as a test"));
    assert!(text.contains("\"X-Other: ${KEY}\"") && text.contains("\"X-Key: ***\""));
    assert!(told.contains("***") && changes.contains("authentication"));
    assert_eq!(masked("[broken"), None);
}

#[test]
fn s71_a_secret_stays_where_it_was_and_goes_nowhere_else() {
    let path = std::path::Path::new("nightjar.toml");
    let shown = masked(SECRETS).unwrap();
    assert_eq!(unmasked(path, &shown, SECRETS).unwrap(), SECRETS);
    let more = shown
        .replace("debug", "warn")
        .replace("\"ldaps://ldap\"", "\"ldaps://ldap\"\ngroup_name = \"cn\"");
    let back = unmasked(path, &more, SECRETS).unwrap();
    assert!(back.contains("search_password = \"hush\"") && back.contains("warn"));
    let moved = shown.replace("ldaps://ldap", "ldaps://elsewhere");
    let errors = unmasked(path, &moved, SECRETS).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("nightjar.toml:16:19: authentication.search_password: ***"),
        "{errors:?}"
    );
    let new = "[[authentication]]\ntype = \"jwt\"\nsecret = \"***\"\n";
    assert!(unmasked(path, new, SECRETS).is_err());
    let written = shown.replace("search_password = \"***\"", "search_password = \"new\"");
    assert!(
        unmasked(path, &written, SECRETS)
            .unwrap()
            .contains("\"new\"")
    );
}

#[test]
fn changes_say_from_what_to_what_and_when() {
    let read = |text: &str| Loaded::read_text(&Sources::default(), text).unwrap();
    let old = read("workers = 1\n[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"l\"\n");
    let new = read(
        "workers = 2\nlimits.inflight = 7\n[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"l\"\n\
         allow = [\"::1\"]\n[[listener]]\naddress = \"127.0.0.1:2\"\nname = \"m\"\n",
    );
    let changes = old.config.changes_to(&old.places, &new.config, &new.places);
    let row = |key: &str| changes.iter().find(|one| one.key == key).unwrap();
    assert_eq!((&*row("workers").from, &*row("workers").to), ("1", "2"));
    assert!(row("workers").needs_restart && !row("limits.inflight").needs_restart);
    assert_eq!(row("listener[l].allow").from, "");
    assert!(row("listener[l].allow").to.contains("::1"));
    let come = row("listener[m] (new)");
    assert!(
        come.from.is_empty() && come.to.contains("address = \"127.0.0.1:2\""),
        "{come:?}"
    );
    assert_eq!(changes.len(), 4);
    let none = old.config.changes_to(&old.places, &old.config, &old.places);
    assert!(none.is_empty());
}

#[test]
fn s97_a_change_tells_the_name_of_a_variable_and_not_what_is_in_it() {
    let sources = sources(&[("PW", "hunter2"), ("PORT", "1889")]);
    let read = |text: &str| Loaded::read_text(&sources, text).unwrap();
    let old = read("");
    let new = read(concat!(
        "node = \"${PW}\"\nserver_reference = \"$${a}${PW}\"\n",
        "[[listener]]\naddress = \"127.0.0.1:${PORT}\"\nname = \"l\"\nprotocol = \"ws\"\n",
        "mount = \"${PW}/\"\norigins = [\"https://${PW}.b\"]\n",
        "[[authentication]]\ntype = \"http\"\nurl = \"https://h/${PW}\"\nheaders = [\"X-K: a${PW}\"]\n",
    ));
    assert_eq!(new.config.node.as_deref(), Some("hunter2"));
    let changes = old.config.changes_to(&old.places, &new.config, &new.places);
    let back = new.config.changes_to(&new.places, &old.config, &old.places);
    for changes in [&changes, &back] {
        let told = format!("{changes:?}");
        assert!(
            !told.contains("hunter2") && !told.contains("1889"),
            "{told}"
        );
    }
    let row = |key: &str| changes.iter().find(|one| one.key == key).unwrap();
    assert_eq!(row("node").to, "\"${PW}\"");
    assert_eq!(row("server_reference").to, "\"$${a}${PW}\"");
    // What a secret is made of is one.
    assert!(row("listener[l] (new)").to.contains("${PORT}"));
    assert!(!format!("{changes:?}").contains("a${PW}"));
    // What stands above the file is not in it.
    let above = Sources {
        environment: vec![
            ("NIGHTJAR__NODE".into(), "n".into()),
            ("PW".into(), "p".into()),
        ],
        ..Sources::default()
    };
    let new = Loaded::read_text(&above, "node = \"${PW}\"\n").unwrap();
    let changes = old.config.changes_to(&old.places, &new.config, &new.places);
    let row = changes.iter().find(|one| one.key == "node").unwrap();
    assert_eq!(row.to, "\"n\"");
}

#[test]
#[cfg(target_os = "linux")]
fn s97_what_is_no_regular_file_is_not_read() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in [std::path::Path::new("/dev/zero"), &pipe, folder.path()] {
        let text = format!("access.file = \"{}\"\n", path.display());
        let errors = Loaded::read_text(&sources(&[]), &text)
            .unwrap_err()
            .to_string();
        assert!(errors.contains("is no regular file"), "{errors}");
        let whole = Sources {
            file: Some(path.to_owned()),
            ..Sources::default()
        };
        let errors = Loaded::read(&whole).unwrap_err().to_string();
        assert!(errors.contains("is no regular file"), "{errors}");
    }
    // A file of the system that says it has no bytes is read to its end all the same.
    let file = "access.file = \"/proc/self/maps\"\n";
    let errors = Loaded::read_text(&sources(&[]), file)
        .unwrap_err()
        .to_string();
    assert!(!errors.contains("cannot be read"), "{errors}");
    let long = folder.path().join("long");
    std::fs::write(&long, vec![b' '; (1 << 20) + 1]).unwrap();
    let whole = Sources {
        file: Some(long),
        ..Sources::default()
    };
    let errors = Loaded::read(&whole).unwrap_err().to_string();
    assert!(errors.contains("more than 1048576 bytes"), "{errors}");
}

#[test]
fn files_that_are_named_are_known() {
    let text = "[access]\nfile = \"rules.toml\"\n[[certificate]]\nname = \"c\"\nchain = \"c.pem\"\nkey = \"k.pem\"\n";
    let errors = Loaded::read_text(&sources(&[]), text).unwrap_err();
    assert!(errors.to_string().contains("rules.toml"));
    let text = text.replace("file = \"rules.toml\"", "");
    let files = Loaded::read_text(&sources(&[]), &text)
        .unwrap()
        .config
        .files();
    let row = |at: usize| (&*files[at].key, files[at].is_secret);
    assert_eq!(row(0), ("certificate[c].chain", false));
    assert_eq!(row(1), ("certificate[c].key", true));
}

#[test]
fn an_error_says_its_key_and_what_to_write() {
    let text = "[limits]\ninflight = 0\ninfligt = 1\n";
    let errors = Loaded::read_text(&sources(&[]), text).unwrap_err();
    let parts: Vec<_> = errors.iter().map(|error| error.parts()).collect();
    assert_eq!(parts[0].key, Some("limits.inflight"));
    assert!(
        parts[0].hint.unwrap().starts_with("write a number from 1"),
        "{parts:?}"
    );
    assert_eq!(
        (parts[1].key, parts[1].hint),
        (None, Some("did you mean inflight?"))
    );
    assert!(parts[1].message.starts_with("unknown key infligt"));
}

#[test]
fn s97_two_doors_at_one_port_are_refused() {
    let wrong = |text: &str| Loaded::read_text(&Sources::default(), text).err();
    let same = "[dashboard]\naddress = \"127.0.0.1:9\"\n[metrics]\nlisten = \"127.0.0.1:9\"\n";
    let errors = wrong(same).unwrap().to_string();
    assert!(errors.contains("is that of dashboard.address"), "{errors}");
    let off = same.replace("[metrics]", "enabled = false\n[metrics]");
    assert!(wrong(&off).is_none());
    let door = "[dashboard]\naddress = \"127.0.0.1:9\"\n[[listener]]\naddress = \"127.0.0.1:9\"\n";
    assert!(
        wrong(door)
            .unwrap()
            .to_string()
            .contains("dashboard.address")
    );
}
