use super::*;

#[test]
fn a_reload_tells_what_acts_now_and_what_waits() {
    let mut running = Config {
        server_reference: Some("a".into()),
        ..Config::default()
    };
    let mut new = running.clone();
    new.limits.packet_size = 4096;
    new.server_reference = None;
    new.log.level = LogLevel::Trace;
    new.workers = 9;
    new.listeners.clear();
    new.store.durability = Durability::Os;
    new.topics.push(TopicRule {
        prefix: "a".into(),
        durability: Durability::Memory,
    });
    let changes = running.adopt(&new).unwrap();
    assert_eq!(
        changes.applied,
        [
            "server_reference",
            "log.level",
            "limits.packet_size",
            "listener[mqtt-1883] (gone)"
        ]
    );
    assert_eq!(
        changes.after_restart,
        ["workers", "store.durability", "topic[a] (new)"]
    );
    assert_eq!(running.limits, new.limits);
    assert_eq!(running.server_reference, None);
    assert_eq!(running.log.level, LogLevel::Trace);
    assert_eq!((running.workers, running.listeners.len()), (0, 0));
    assert!(running.reload_changes(&running).is_empty());
}

#[test]
fn a_reload_takes_what_may_change_in_an_entry() {
    let listener = |port: u16, more: &str| {
        format!("[[listener]]\naddress = \"127.0.0.1:{port}\"\nname = \"l{port}\"\n{more}")
    };
    let read = |text: &str| load("entries", text).unwrap();
    let mut running = read(&(listener(1, "") + &listener(2, "") + &listener(3, "")));
    let new = read(
        &(listener(4, "")
            + &listener(3, "")
            + &listener(
                1,
                "allow = [\"::1\"]\nbyte_rate = \"1KiB/s\"\nmount = \"a/\"\n",
            )),
    );
    let changes = running.adopt(&new).unwrap();
    assert_eq!(
        changes.applied,
        [
            "listener[l1].allow",
            "listener[l1].byte_rate",
            "listener[l2] (gone)",
            "listener[l4] (new)",
            "listener (order)"
        ]
    );
    assert_eq!(changes.after_restart, ["listener[l1].mount"]);
    let names: Vec<_> = running
        .listeners
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(names, ["l4", "l3", "l1"]);
    let changed = &running.listeners[2];
    assert_eq!(changed.allow, new.listeners[2].allow);
    assert_eq!(changed.byte_rate, new.listeners[2].byte_rate);
    assert_eq!(changed.mount, None);
    let changes = running.adopt(&read(
        &(listener(1, "") + &listener(2, "") + &listener(3, "")),
    ));
    assert_eq!(
        changes.unwrap().applied,
        [
            "listener[l4] (gone)",
            "listener[l1].allow",
            "listener[l1].byte_rate",
            "listener[l2] (new)",
            "listener (order)"
        ]
    );
    assert_eq!(running.listeners[0].allow, []);
}

#[test]
fn a_reload_takes_rules_and_identities_as_a_whole() {
    let database = "[[authentication]]\ntype = \"database\"\n";
    let http = "[[authentication]]\ntype = \"http\"\nurl = \"https://u:pa55@host\"\n";
    let rule = "[[rule]]\nallow = \"publish\"\n";
    let read = |text: &str| load("wholes", text).unwrap();
    let mut running = read(&format!("{database}{rule}"));
    let new = read(&format!(
        "[access]\nno_match = \"allow\"\n{http}{database}timeout = 1\n"
    ));
    let changes = running.adopt(&new).unwrap();
    assert_eq!(changes.after_restart, [""; 0]);
    assert_eq!(
        changes.applied,
        [
            "access.no_match",
            "authentication[database].timeout",
            "authentication[http] (new)",
            "rule"
        ]
    );
    assert_eq!(running, new);
    let other = read(&new.to_toml().replace("u:…@host", "u:pa56@host"));
    assert_eq!(
        running.adopt(&other).unwrap().applied,
        ["authentication[http].url"]
    );
    let moved = read(&format!(
        "# a line more\n{}",
        other.to_toml().replace("u:…@", "u:pa56@")
    ));
    assert!(running.adopt(&moved).unwrap().is_empty());
    let typed = format!("{database}name = \"http\"\n");
    let changes = running.reload_changes(&read(&typed));
    let told = "authentication[http].type".to_owned();
    assert!(changes.applied.contains(&told), "{changes:?}");
}

#[test]
fn a_rule_that_only_moved_changes_nothing_but_its_place() {
    let rule = "[[rule]]\nallow = \"publish\"\n";
    let mut running = load("moved", rule).unwrap();
    let new = load("moved", &format!("\n\n{rule}")).unwrap();
    assert!(running.adopt(&new).unwrap().is_empty());
    assert_eq!(running.rules[0].source, "nightjar.toml:3");
}

#[test]
fn what_a_file_of_rules_says_is_compared() {
    let folder = Folder::new("file-of-rules");
    let file = folder.0.join("access.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Config::load(&folder.sources("[access]\nfile = \"access.toml\"\n")).unwrap()
    };
    let mut running = read("[[rule]]\nallow = \"publish\"\n");
    let new = read("\n[[rule]]\nallow = \"all\"\n");
    assert_eq!(running.adopt(&new).unwrap().applied, ["access.file"]);
    assert_eq!(running, new);
    let moved = read("\n\n[[rule]]\nallow = \"all\"\n");
    assert!(running.adopt(&moved).unwrap().is_empty());
    assert_eq!(running.access.rules[0].source, "access.toml:3");
}
