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
    let changes = format!("{:?}", loaded.config.changes_to(&other.config));
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
    let read = |text: &str| Loaded::read_text(&Sources::default(), text).unwrap().config;
    let old = read("workers = 1\n[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"l\"\n");
    let new = read(
        "workers = 2\nlimits.inflight = 7\n[[listener]]\naddress = \"127.0.0.1:1\"\nname = \"l\"\n\
         allow = [\"::1\"]\n[[listener]]\naddress = \"127.0.0.1:2\"\nname = \"m\"\n",
    );
    let changes = old.changes_to(&new);
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
    assert!(old.changes_to(&old).is_empty());
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
