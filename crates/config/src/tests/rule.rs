use types::QoS;

use super::*;

#[test]
fn every_key_of_a_rule_is_read() {
    let text = r#"
[[rule]]
deny = "publish"
topics = ["a/${username}/#", "b/$${x}"]
exact = ["c/${clientid}-${ip}/${cert.cn}"]
users = ["u"]
clients = ["c-*"]
groups = ["g"]
roles = ["r"]
addresses = ["10.0.0.0/8"]
listeners = ["mqtt-1883"]
qos = [1, 2]
retain = true

[[rule]]
allow = "all"
anonymous = true
"#;
    let config = load("rule-keys", text).unwrap();
    let wanted = Rule {
        permission: Permission::Deny,
        action: RuleAction::Publish,
        topics: vec!["a/${username}/#".into(), "b/$${x}".into()],
        exact: vec!["c/${clientid}-${ip}/${cert.cn}".into()],
        users: vec!["u".into()],
        clients: vec!["c-*".into()],
        groups: vec!["g".into()],
        roles: vec!["r".into()],
        addresses: vec![Network::parse("10.0.0.0/8").unwrap()],
        listeners: vec!["mqtt-1883".into()],
        anonymous: Mark(false),
        qos: vec![QoS::AtLeastOnce, QoS::ExactlyOnce],
        retain: Some(true),
        source: "nightjar.toml:2".into(),
    };
    assert_eq!(config.rules[0], wanted);
    assert_eq!(config.rules[1].permission, Permission::Allow);
    assert_eq!(config.rules[1].action, RuleAction::All);
    assert_eq!(config.rules[1].anonymous, Mark(true));
    let mut again = load("rule-keys-again", &config.to_toml()).unwrap();
    for (rule, old) in again.rules.iter_mut().zip(&config.rules) {
        rule.source.clone_from(&old.source);
    }
    assert_eq!(again, config);
}

#[test]
fn what_is_wrong_with_a_rule_is_told() {
    for (text, told) in [
        ("topics = [\"a\"]\n", "1:1: a rule needs allow or deny"),
        (
            "allow = \"all\"\ndeny = \"publish\"\n",
            "3:1: a rule has allow or deny, not both; leave one out",
        ),
        (
            "allow = \"read\"\n",
            "2:9: rule.allow: \"read\" does not fit; write one of \"publish\", \"subscribe\", \"all\"",
        ),
        (
            "allow = true\n",
            "2:9: rule.allow: true does not fit; write one of \"publish\"",
        ),
        (
            "allow = \"all\"\ntopic = [\"a\"]\n",
            "3:1: unknown key topic in rule; did you mean topics?",
        ),
        (
            "allow = \"all\"\nwho = [\"a\"]\n",
            "3:1: unknown key who in rule; docs/configuration.md lists",
        ),
        (
            "allow = \"all\"\ntopics = [\"a/#/b\"]\n",
            "3:10: rule.topics: \"a/#/b\" is no topic filter; + fills a whole level, # only the last",
        ),
        (
            "allow = \"all\"\ntopics = [\"a/${user}\"]\n",
            "3:10: rule.topics: \"a/${user}\" has a placeholder that does not exist; there are \
             ${username}, ${clientid}, ${ip} and ${cert.cn}, and $${ stands for ${",
        ),
        (
            "allow = \"all\"\ntopics = [\"a/${user\"]\n",
            "3:10: rule.topics: \"a/${user\" has a ${ without }; write $${ for the characters",
        ),
        (
            "allow = \"all\"\nexact = [\"a/+${ip}\"]\n",
            "3:9: rule.exact: \"a/+${ip}\" has + or # beside a placeholder in one level",
        ),
        (
            "allow = \"all\"\nclients = [\"*a\"]\n",
            "3:11: rule.clients: \"*a\" has a * before its end; only the last letter can be one",
        ),
        (
            "allow = \"all\"\nclients = [\"*\"]\n",
            "3:11: rule.clients: \"*\" is every client; leave the key out",
        ),
        (
            "allow = \"all\"\nclients = [\"\"]\n",
            "3:11: rule.clients: \"\" is no client identifier",
        ),
        (
            "allow = \"all\"\nclients = [\"a\\n\"]\n",
            "3:11: rule.clients: \"a\\n\" has a control character in it",
        ),
        (
            "allow = \"all\"\nusers = []\n",
            "3:9: rule.users: an empty list says nothing; leave",
        ),
        (
            "allow = \"all\"\nqos = [3]\n",
            "3:7: rule.qos: 3 is out of range; write a number from 0 to 2",
        ),
        (
            "allow = \"all\"\nanonymous = false\n",
            "3:13: rule.anonymous: false does not fit; write true, or leave the key out",
        ),
        (
            "allow = \"all\"\nanonymous = true\nusers = [\"a\"]\n",
            "4:9: rule.users: clients without a user have no users; write two rules, or leave \
             anonymous out",
        ),
    ] {
        let told = format!("nightjar.toml:{told}");
        assert_told("rule-errors", &[(&format!("[[rule]]\n{text}"), &told)]);
    }
}

#[test]
fn without_rules_and_identities_everything_may_be_done() {
    let rule = "[[rule]]\nallow = \"publish\"\n";
    for (text, wanted) in [
        ("", Permission::Allow),
        ("allow_anonymous = true\n", Permission::Allow),
        (rule, Permission::Deny),
        (
            "[[authentication]]\ntype = \"database\"\n",
            Permission::Deny,
        ),
        (
            "[access]\nno_match = \"allow\"\n[[rule]]\ndeny = \"all\"\n",
            Permission::Allow,
        ),
    ] {
        assert_eq!(load("no-match", text).unwrap().no_match(), wanted, "{text}");
    }
}

#[test]
fn somebody_can_do_something() {
    let told = "nobody could publish or subscribe: no rule allows anything; add a [[rule]], say \
                access.no_match = \"allow\", or use an [[authentication]] that brings rules or roles";
    let passwords = "[[authentication]]\ntype = \"passwords\"\nfile = \"p\"\n";
    for (text, place) in [
        ("[access]\nno_match = \"deny\"\n", "2:12"),
        ("[[rule]]\ndeny = \"all\"\n", "1:1"),
        (passwords, "1:1"),
    ] {
        let told = format!("nightjar.toml:{place}: {told}");
        assert_told("nobody", &[(text, &told)]);
    }
    for more in [
        "[[rule]]\nallow = \"all\"\n",
        "[access]\nno_match = \"allow\"\n",
        "[[authentication]]\ntype = \"scram\"\n",
        "[[authentication]]\ntype = \"http\"\nurl = \"https://host\"\n",
        "[[authentication]]\ntype = \"redis\"\nurl = \"redis://host\"\ncommand = \"GET a\"\n\
         rules_command = \"GET b\"\n",
    ] {
        assert!(
            load("somebody", &format!("{passwords}{more}")).is_ok(),
            "{more}"
        );
    }
}

#[test]
fn rules_of_a_file_come_behind() {
    let folder = Folder::new("access");
    std::fs::create_dir_all(folder.0.join("acl")).unwrap();
    let file = folder.0.join("acl/access.toml");
    std::fs::write(
        &file,
        "# rules\n[[rule]]\nallow = \"all\"\nusers = [\"${WHO}\"]\n",
    )
    .unwrap();
    let mut sources = folder.sources(
        "[access]\nfile = \"acl/access.toml\"\n[[rule]]\ndeny = \"publish\"\ntopics = [\"a\"]\n",
    );
    sources.environment = vec![("WHO".into(), "root".into())];
    let config = Config::load(&sources).unwrap();
    let found: Vec<_> = config
        .all_rules()
        .map(|rule| rule.source.as_str())
        .collect();
    assert_eq!(found, ["nightjar.toml:3", "access.toml:2"]);
    assert_eq!(config.access.file, Some(file.clone()));
    assert_eq!(config.access.rules[0].users, ["root"]);
    assert_eq!(
        Rule::read_file(&file, &sources.environment).unwrap(),
        config.access.rules
    );
    std::fs::write(&file, "[[rule]]\nallow = \"all\"\nlisteners = [\"web\"]\n").unwrap();
    let found = Config::load(&sources).unwrap_err().to_string();
    let told = "acl/access.toml:3:13: rule.listeners: no [[listener]] has the name \"web\"";
    assert!(found.contains(told), "{found}");
    std::fs::write(&file, "[[rule]]\ndeny = \"all\"\n").unwrap();
    let only = folder.sources("[access]\nfile = \"acl/access.toml\"\n");
    let found = Config::load(&only).unwrap_err().to_string();
    assert!(
        found.contains("nightjar.toml:2:8: nobody could publish"),
        "{found}"
    );
}

#[test]
fn s59_a_file_of_rules_that_says_nothing_is_refused() {
    let folder = Folder::new("s59");
    let sources = folder.sources("[access]\nfile = \"access.toml\"\n");
    let file = folder.0.join("access.toml");
    let found = Config::load(&sources).unwrap_err().to_string();
    assert!(
        found.contains("nightjar.toml:2:8: access.file: \""),
        "{found}"
    );
    assert!(found.contains("access.toml\" cannot be read"), "{found}");
    let found = Rule::read_file(&file, &[]).unwrap_err().to_string();
    assert!(found.contains("access.toml: cannot be read"), "{found}");
    for (text, told) in [
        (
            "",
            "access.toml: holds no [[rule]]; write one, or leave access.file out",
        ),
        ("# nothing\n", "access.toml: holds no [[rule]]"),
        ("rule = []\n", "access.toml: holds no [[rule]]"),
        ("[[rule]]\nallow = \n", "access.toml:2:"),
        (
            "[[rule]]\nallow = \"al\"\n",
            "access.toml:2:9: rule.allow: \"al\" does not fit",
        ),
        (
            "workers = 1\n[[rule]]\nallow = \"all\"\n",
            "access.toml:1:1: workers does not belong here; a file of rules has only [[rule]] in it",
        ),
        (
            "[[rules]]\nallow = \"all\"\n",
            "access.toml:1:3: rules does not belong here; a file",
        ),
    ] {
        std::fs::write(&file, text).unwrap();
        for found in [
            Config::load(&sources).unwrap_err(),
            Rule::read_file(&file, &[]).unwrap_err(),
        ] {
            let found = found.to_string();
            assert!(found.contains(told), "{text}: {found}");
            assert!(!found.contains('\n'), "{found}");
        }
    }
}
