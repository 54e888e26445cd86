mod authentication;
mod certificate;
mod listener;
mod names;
mod property;
mod reload;
mod rule;
mod secret;
mod telemetry;
mod told;
mod topic;

use std::path::PathBuf;
use std::time::Duration;

use types::Durability;
use types::limits::{QueuePolicy, Rate};

use super::*;

/// A file of its own for one test; gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("nightjar-config-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn sources(&self, text: &str) -> Sources {
        let file = self.0.join("nightjar.toml");
        std::fs::write(&file, text).unwrap();
        Sources {
            file: Some(file),
            ..Sources::default()
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn load(test: &str, text: &str) -> Result<Config, ConfigErrors> {
    Config::load(&Folder::new(test).sources(text))
}

/// The errors without the folder's name.
fn errors(test: &str, text: &str) -> Vec<String> {
    let folder = Folder::new(test);
    let found = Config::load(&folder.sources(text)).expect_err("an error");
    let prefix = format!("{}/", folder.0.display());
    found
        .iter()
        .map(|error| error.to_string().replace(&prefix, ""))
        .collect()
}

/// Each text has just this error, to its end or so far as it is told.
fn assert_told(test: &str, cases: &[(&str, &str)]) {
    for (text, told) in cases {
        let found = errors(test, text);
        assert_eq!(found.len(), 1, "{text}\n{found:?}");
        assert!(found[0].starts_with(told), "{text}\n{}\n{told}", found[0]);
    }
}

fn variable(name: &str, value: &str) -> Sources {
    Sources {
        environment: vec![(name.into(), value.into())],
        ..Sources::default()
    }
}

#[test]
fn nothing_said_gives_the_defaults() {
    assert_eq!(
        Config::load(&Sources::default()).unwrap(),
        Config::default()
    );
    assert_eq!(load("empty", "").unwrap(), Config::default());
    assert!(
        Config::default()
            .listeners
            .iter()
            .all(Listener::is_loopback)
    );
}

#[test]
fn every_kind_of_key_is_read() {
    let config = load(
        "kinds",
        r#"
            node = "edge-1"
            data_dir = "/var/lib/nightjar"
            workers = 4
            sys_interval = 0
            server_reference = "other.example:1883"
            [log]
            format = "json"
            level = "debug"
            [store]
            durability = "os"
            sync_interval = "200ms"
            segment_size = "16MiB"
            [shared_subscriptions]
            strategy = "least_inflight"
            [[listener]]
            address = "127.0.0.1:1884"
            durability = "memory"
            [[listener]]
            address = "[::1]:0"
            [limits]
            packet_size = "2MiB"
            connect_packet_size = 4096
            connect_deadline = "250ms"
            session_expiry = "never"
            keep_alive = "10m"
            queue_policy = "drop_newest"
            queue_qos0 = true
        "#,
    )
    .unwrap();
    assert_eq!(config.node.as_deref(), Some("edge-1"));
    assert_eq!(config.data_dir, Some("/var/lib/nightjar".into()));
    assert_eq!(config.workers, 4);
    assert_eq!(config.sys_interval, Duration::ZERO);
    assert_eq!(
        config.server_reference.as_deref(),
        Some("other.example:1883")
    );
    assert_eq!(
        config.log,
        Log {
            format: LogFormat::Json,
            level: LogLevel::Debug
        }
    );
    assert_eq!(config.strategy, SharedStrategy::LeastInflight);
    assert_eq!(
        config.store,
        Store {
            durability: Durability::Os,
            sync_interval: Duration::from_millis(200),
            segment_bytes: 16 << 20,
        }
    );
    assert_eq!(config.listeners[0].durability, Some(Durability::Memory));
    assert_eq!(config.listeners[1].durability, None);
    let addresses: Vec<_> = config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1:1884", "[::1]:0"]);
    assert_eq!(config.limits.packet_size, 2 << 20);
    assert_eq!(config.limits.connect_packet_size, 4096);
    assert_eq!(config.limits.connect_deadline, Duration::from_millis(250));
    assert_eq!(
        config.limits.session_expiry,
        Duration::from_secs(u64::from(u32::MAX))
    );
    assert_eq!(config.limits.keep_alive, 600);
    assert_eq!(config.limits.queue_policy, QueuePolicy::DropNewest);
    assert!(config.limits.queue_qos0);
}

#[test]
fn all_errors_are_told_with_line_and_column() {
    let found = errors(
        "all",
        "wrokers = 2\n[limits]\n  packet_sise = 1\ninflight = 0\nmemory = 1.5\nqueued_bytes = \"3 potatoes\"\n[nets]\n",
    );
    assert_eq!(
        found[0],
        "nightjar.toml:1:1: unknown key wrokers; did you mean workers?"
    );
    assert_eq!(
        found[1],
        "nightjar.toml:3:3: unknown key packet_sise in limits; did you mean packet_size?"
    );
    assert_eq!(
        found[2],
        "nightjar.toml:4:12: limits.inflight: 0 is out of range; write a number from 1 to 65535"
    );
    assert!(found[3].starts_with("nightjar.toml:5:10: limits.memory: a number with a fraction"));
    assert!(
        found[4].contains("\"3 potatoes\" does not fit; write a size"),
        "{}",
        found[4]
    );
    assert!(
        found[5].starts_with("nightjar.toml:7:2: unknown key nets"),
        "{}",
        found[5]
    );
    assert_eq!(found.len(), 6);
}

#[test]
fn a_key_in_the_wrong_table_is_told_its_place() {
    let found = errors("place", "packet_size = 1024\n[limits]\nworkers = 1\n");
    assert_eq!(
        found[0],
        "nightjar.toml:1:1: unknown key packet_size; it belongs below [limits]"
    );
    let end = "unknown key workers in limits; it belongs above the first table";
    assert!(found[1].ends_with(end), "{found:?}");
}

#[test]
fn errors_of_toml_stand_alone() {
    let found = errors("syntax", "workers = \nnode = 'a\n[limits]\nnonsense = 1\n");
    assert!(found[0].starts_with("nightjar.toml:1:"), "{found:?}");
    assert!(
        found.iter().all(|line| !line.contains("nonsense")),
        "{found:?}"
    );
    let twice = errors("twice", "workers = 1\nworkers = 2\n");
    assert_eq!(twice, ["nightjar.toml:2:1: workers is there twice"]);
}

#[test]
fn a_missing_or_huge_file_is_an_error() {
    let folder = Folder::new("missing");
    let sources = Sources {
        file: Some(folder.0.join("none.toml")),
        ..Sources::default()
    };
    assert!(
        Config::load(&sources)
            .unwrap_err()
            .to_string()
            .contains("none.toml: cannot be read")
    );
    let binary = folder.sources("");
    std::fs::write(folder.0.join("nightjar.toml"), b"\xff\xfe").unwrap();
    let found = Config::load(&binary).unwrap_err().to_string();
    assert!(found.ends_with("is not text in UTF-8"), "{found}");
    let huge = folder.sources(&"#".repeat((1 << 20) + 1));
    assert!(
        Config::load(&huge)
            .unwrap_err()
            .to_string()
            .contains("is no configuration")
    );
}

#[test]
fn variables_override_the_file_and_options_override_both() {
    let folder = Folder::new("layers");
    let mut sources = folder.sources("workers = 1\n[limits]\ninflight = 5\nsessions = 7\n");
    sources.environment = vec![
        ("NIGHTJAR__LIMITS__INFLIGHT".into(), "6".into()),
        ("NIGHTJAR__WORKERS".into(), "2".into()),
        ("NIGHTJAR__LISTENER".into(), "127.0.0.1:1,[::1]:2".into()),
    ];
    let set = |option, key, value: &str| Setting {
        option,
        key,
        value: value.into(),
    };
    sources.options = vec![set("--data-dir", "data_dir", "/d")];
    let config = Config::load(&sources).unwrap();
    assert_eq!(
        (
            config.workers,
            config.limits.inflight,
            config.limits.sessions
        ),
        (2, 6, 7)
    );
    assert_eq!(config.listeners.len(), 2);
    assert_eq!(config.data_dir, Some("/d".into()));
    sources.options = vec![
        set("--listen", "listener", "127.0.0.1:3"),
        set("--listen", "listener", "127.0.0.1:4"),
        set("--listen", "listener", "127.0.0.1:5"),
    ];
    assert_eq!(Config::load(&sources).unwrap().listeners.len(), 3);
}

#[test]
fn an_unknown_variable_is_an_error() {
    let found = Config::load(&variable("NIGHTJAR__LIMITS__INFLIHGT", "6")).unwrap_err();
    assert_eq!(
        found.to_string(),
        "variable NIGHTJAR__LIMITS__INFLIHGT: unknown key inflihgt in limits; \
         did you mean inflight?"
    );
    for (name, told) in [
        ("NIGHTJAR__LOG", "log is a table; write NIGHTJAR__LOG__KEY"),
        ("NIGHTJAR__LISTENER__ADDRESS", "write NIGHTJAR__LISTENER="),
        ("NIGHTJAR__", "unknown key \"\"; docs/configuration.md"),
        ("NIGHTJAR__LIMITS__COLOUR", "docs/limits.md lists the keys"),
    ] {
        let found = Config::load(&variable(name, "1")).unwrap_err().to_string();
        assert!(found.contains(told), "{found}");
    }
}

#[test]
fn strings_may_name_variables() {
    let folder = Folder::new("interpolation");
    let mut sources = folder.sources("data_dir = \"/${WHERE}/$${x}\"\nworkers = \"${N}\"\n");
    sources.environment = vec![("WHERE".into(), "srv".into()), ("N".into(), "3".into())];
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.data_dir, Some("/srv/${x}".into()));
    assert_eq!(config.workers, 3);
    let found = errors(
        "no-variable",
        "data_dir = \"${NOWHERE_TO_BE_FOUND}\"\nnode = \"${\"\n",
    );
    assert!(
        found[0].contains("no variable \"NOWHERE_TO_BE_FOUND\""),
        "{found:?}"
    );
    assert!(found[1].contains("not closed"), "{found:?}");
}

#[test]
fn lists_are_one_variable() {
    let config = Config::load(&variable("NIGHTJAR__TOPIC", "a/=memory, b=c=disk")).unwrap();
    let found: Vec<_> = config
        .topics
        .iter()
        .map(|rule| (rule.prefix.as_str(), rule.durability))
        .collect();
    assert_eq!(
        found,
        [("a/", Durability::Memory), ("b=c", Durability::Disk)]
    );
    let config = Config::load(&variable("NIGHTJAR__LISTENER", "[::1]:5=os,[::1]:6")).unwrap();
    let found: Vec<_> = config.listeners.iter().map(|it| it.durability).collect();
    assert_eq!(found, [Some(Durability::Os), None]);
    let folder = Folder::new("emptied");
    let mut sources = folder.sources("[[topic]]\nprefix = \"a\"\ndurability = \"os\"\n");
    sources.environment = vec![("NIGHTJAR__TOPIC".into(), String::new())];
    assert_eq!(Config::load(&sources).unwrap().topics, []);
    for (name, value, told) in [
        ("NIGHTJAR__TOPIC", "a", "a topic needs durability"),
        (
            "NIGHTJAR__TOPIC__PREFIX",
            "a",
            "write NIGHTJAR__TOPIC=PREFIX=DURABILITY, more with commas",
        ),
        (
            "NIGHTJAR__LISTENER",
            "[::1]:5=ssd",
            "listener.durability: \"ssd\" does not fit",
        ),
    ] {
        let found = Config::load(&variable(name, value))
            .unwrap_err()
            .to_string();
        assert!(found.contains(told), "{found}");
    }
}

#[test]
fn connect_is_no_larger_than_any_packet() {
    let found = errors("sizes", "[limits]\npacket_size = 2048\n");
    assert!(
        found[0].starts_with("nightjar.toml:2:15: limits.connect_packet_size"),
        "{found:?}"
    );
}

#[test]
fn no_error_breaks_its_line() {
    for text in [
        "\"a\\nb\" = 1\n",
        "[limits]\n\"\\r\\u001b[31m\" = 1\n",
        "node = \"a\\r\\nb\"\n",
    ] {
        for line in errors("lines", text) {
            assert!(line.chars().all(|letter| !letter.is_control()), "{line:?}");
        }
    }
}

#[test]
fn the_rendered_defaults_are_a_file() {
    assert_eq!(
        load("rendered", &Config::default().to_toml()).unwrap(),
        Config::default()
    );
}

#[test]
fn the_dashboard_is_told_where_and_for_whom() {
    let text = "[dashboard]\naddress = \"0.0.0.0:443\"\nhosts = [\"mqtt.example.com\", \"nightjar\"]\n\
                path = \"/mqtt/board\"\ncertificate = \"/c.pem\"\nkey = \"/k.pem\"\n";
    let config = load("dashboard", text).unwrap();
    let dashboard = &config.dashboard;
    assert_eq!(dashboard.address, Some("0.0.0.0:443".parse().unwrap()));
    assert_eq!(dashboard.hosts, ["mqtt.example.com", "nightjar"]);
    assert_eq!(dashboard.path.as_deref(), Some("/mqtt/board"));
    assert_eq!(load("dashboard", &config.to_toml()).unwrap(), config);
    for (line, culprit) in [
        ("path = \"mqtt\"", "dashboard.path"),
        ("path = \"/\"", "dashboard.path"),
        ("path = \"/a/../b\"", "dashboard.path"),
        ("path = \"/a\\r\\nb\"", "dashboard.path"),
        ("hosts = [\"a:1\"]", "dashboard.hosts"),
        ("hosts = [\"a b\"]", "dashboard.hosts"),
        ("address = \"18083\"", "dashboard.address"),
        (
            "certificate = \"/c.pem\"",
            "dashboard.certificate needs dashboard.key",
        ),
        (
            "key = \"/k.pem\"",
            "dashboard.key needs dashboard.certificate",
        ),
    ] {
        let errors = load("dashboard", &format!("[dashboard]\n{line}\n")).unwrap_err();
        assert!(errors.to_string().contains(culprit), "{line}: {errors}");
    }
}

#[test]
fn s91_metrics_without_a_login_are_for_this_machine_unless_somebody_says_otherwise() {
    let text = "[metrics]\nlisten = \"127.0.0.1:9183\"\nnames = \"emqx\"\n";
    let config = load("metrics", text).unwrap();
    assert_eq!(config.metrics.names, MetricNames::Emqx);
    assert_eq!(load("metrics", &config.to_toml()).unwrap(), config);
    let open = "[metrics]\nlisten = \"0.0.0.0:9183\"\n";
    let told = load("metrics-open", open).unwrap_err().to_string();
    assert!(told.contains("nobody signs in there"), "{told}");
    load("metrics-open", &format!("{open}allow_remote = true\n")).unwrap();
}

#[test]
fn alarms_can_be_left_out() {
    let text = "[alarms]\ndisk_percent = 0\ndrops_per_second = 0\ncertificate_days = 7\n";
    let config = load("alarms", text).unwrap();
    assert_eq!(
        (config.alarms.disk_percent, config.alarms.drops_per_second),
        (0, 0)
    );
    assert_eq!(load("alarms", &config.to_toml()).unwrap(), config);
}

#[test]
fn a_relative_folder_of_the_file_is_beside_it() {
    let folder = Folder::new("beside");
    let config = Config::load(&folder.sources("data_dir = \"data\"\npid_file = \"pid\"\n"));
    let config = config.unwrap();
    assert_eq!(config.data_dir, Some(folder.0.join("data")));
    assert_eq!(config.pid_file, Some(folder.0.join("pid")));
    assert!(config.files().is_empty(), "the server makes them");
    let said = errors("home", "data_dir = \"~/data\"\n");
    assert!(said[0].contains("${HOME}"), "{said:?}");
}

#[test]
fn slips_of_a_newcomer_have_their_own_words() {
    for (text, wanted) in [
        (
            "[[listener]]\naddress = 0.0.0.0:1883\n",
            "2:11: address: text needs quotes; write address = \"…\"",
        ),
        (
            "[[rule]]\nallow = \"all\"\ntopics = \"home/#\"\n",
            "[\"home/#\"]",
        ),
        ("[rule]\nallow = \"all\"\n", "write [[rule]], then allow"),
        (
            "[[rule]]\nalow = \"all\"\ntopics = [\"a\"]\n",
            "2:1: unknown key alow in rule; did you mean allow?",
        ),
        (
            "[[listener]]\naddress = \"127.0.0.1:1\"\n[listener]\naddress = \"127.0.0.1:2\"\n",
            "write [[listener]]",
        ),
    ] {
        let said = errors("slips", text);
        assert_eq!(said.len(), 1, "{text}: {said:?}");
        assert!(said[0].contains(wanted), "{text}: {said:?}");
    }
    // What has no quotes may be a secret.
    let said = errors(
        "unquoted",
        "[[authentication]]\ntype = \"jwt\"\nsecret = hunter2\n",
    );
    assert!(!said.concat().contains("hunter2"), "{said:?}");
}

#[test]
fn the_sort_of_an_entry_has_a_place() {
    let folder = Folder::new("sort");
    let sources = folder.sources("[[authentication]]\ntype = \"database\"\n");
    let loaded = Loaded::read(&sources).unwrap();
    let told = loaded.config.told(&loaded.places);
    let found = told.iter().find(|one| one.key.ends_with("].type")).unwrap();
    assert!(
        matches!(found.place, Place::File { line: 2, .. }),
        "{found:?}"
    );
}
