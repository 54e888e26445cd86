use super::*;

fn read(json: &str) -> Result<Vec<String>, String> {
    let value = serde_json::from_str(json).unwrap();
    let rules = of_json(&value, &"token".into()).map_err(|error| error.to_string())?;
    let list = rules.map_or(Vec::new(), |rules| rules.list.clone());
    Ok(list.iter().map(|rule| rule.to_string()).collect())
}

#[test]
fn rules_are_read_in_each_form() {
    for (json, rules) in [
        ("null", &[][..]),
        ("[]", &[]),
        ("{}", &[]),
        (
            r#"[{"permission": "allow", "action": "publish", "topic": "a/${clientid}"}]"#,
            &[r#"token: allow publish "a/${clientid}""#],
        ),
        (
            r#"[{"permission": "deny", "topics": ["a", "eq b/#"], "exact": "c/+", "qos": 1,
                 "retain": "all"},
                {"permission": "allow", "action": "all", "topics": "d", "qos": [0, 2],
                 "retain": true, "addresses": ["10.0.0.0/8"], "users": ["u"]}]"#,
            &[
                r#"token: deny publish and subscribe "a", exactly "b/#", exactly "c/+" qos 1"#,
                r#"token: allow publish and subscribe "d" qos 0, 2 if retained for user "u" and address 10.0.0.0/8"#,
            ],
        ),
        (
            r#"{"pub": ["a"], "sub": "b/#", "all": []}"#,
            &[
                r#"token: allow publish "a""#,
                r#"token: allow subscribe "b/#""#,
            ],
        ),
    ] {
        assert_eq!(read(json).unwrap(), rules, "{json}");
    }
}

#[test]
fn s68_a_rule_that_is_not_understood_refuses_all() {
    for json in [
        "7",
        r#""allow""#,
        r#"[{"action": "publish", "topic": "a"}]"#,
        r#"[{"permission": "ALLOW", "topic": "a"}]"#,
        r#"[{"permission": "allow", "action": "pub", "topic": "a"}]"#,
        r#"[{"permission": "allow"}]"#,
        r#"[{"permission": "allow", "topics": []}]"#,
        r#"[{"permission": "allow", "topic": "a", "topics": ["b"]}]"#,
        r#"[{"permission": "allow", "topic": "a/#/b"}]"#,
        r#"[{"permission": "allow", "topic": "${password}"}]"#,
        r#"[{"permission": "allow", "topic": "a", "qos": 3}]"#,
        r#"[{"permission": "allow", "topic": "a", "qos": -1}]"#,
        r#"[{"permission": "allow", "topic": "a", "retain": "no"}]"#,
        r#"[{"permission": "allow", "topic": "a", "when": "monday"}]"#,
        r#"[{"permission": "allow", "topic": "a", "addresses": ["10.0.0.1/8"]}]"#,
        r#"[{"permission": "allow", "topic": "a"}, 7]"#,
        r#"{"pub": ["a"], "pubsub": ["b"]}"#,
    ] {
        assert!(read(json).is_err(), "{json}");
    }
    let many = format!(
        "[{}1]",
        r#"{"permission": "deny", "topic": "a"},"#.repeat(MOST + 1)
    );
    assert!(
        read(&many.replace(",1]", "]"))
            .unwrap_err()
            .contains("more than")
    );
}

#[test]
fn what_is_written_is_read() {
    let text = RuleText {
        permission: Permission::Allow,
        action: RuleAction::Subscribe,
        topics: vec!["a/#".into()],
        qos: vec![1],
        retain: Some(false),
        groups: vec!["g".into()],
        anonymous: true,
        ..RuleText::default()
    };
    let json = serde_json::to_string(&text).unwrap();
    assert_eq!(serde_json::from_str::<RuleText>(&json).unwrap(), text);
    assert!(!json.contains("users"), "{json}");
}
