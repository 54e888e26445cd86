use super::*;

#[test]
fn topics_have_a_durability() {
    let config = load(
        "topics",
        "[[topic]]\nprefix = \"telemetry/\"\ndurability = \"memory\"\n\
         [[topic]]\nprefix = \"telemetry/alarm,a=b\"\ndurability = \"disk\"\n",
    );
    let rule = |prefix: &str, durability| TopicRule {
        prefix: prefix.into(),
        durability,
    };
    let config = config.unwrap();
    let wanted = [
        rule("telemetry/", Durability::Memory),
        rule("telemetry/alarm,a=b", Durability::Disk),
    ];
    assert_eq!(config.topics, wanted);
    assert_eq!(load("rendered-topics", &config.to_toml()).unwrap(), config);
    for (text, told) in [
        (
            "[topic]\nprefix = \"a\"\n",
            "nightjar.toml:1:1: topic is a list; write [[topic]], then prefix = \"…\" below",
        ),
        (
            "[[topic]]\nprefix = \"a\"\n",
            "nightjar.toml:1:1: a topic needs durability = \"os\" or another",
        ),
        (
            "[[topic]]\ndurability = \"os\"\n",
            "nightjar.toml:1:1: a topic needs prefix = \"telemetry/\" or another",
        ),
        (
            "[[topic]]\nprefix = \"a/#\"\ndurability = \"os\"\n",
            "nightjar.toml:2:10: topic.prefix: \"a/#\" is no beginning of topics",
        ),
        (
            "[[topic]]\nprefix = \"\"\ndurability = \"os\"\n",
            "nightjar.toml:2:10: topic.prefix: \"\" is no beginning of topics",
        ),
        (
            "[[topic]]\nprefix = 5\ndurability = \"os\"\n",
            "nightjar.toml:2:10: topic.prefix: 5 does not fit; write text in quotes",
        ),
        (
            "[[topic]]\nprefix = \"a\"\ndurability = \"ram\"\n",
            "nightjar.toml:3:14: topic.durability: \"ram\" does not fit; write one of \"disk\"",
        ),
        (
            "[[topic]]\nprefix = \"a\"\ndurabilty = \"os\"\n",
            "nightjar.toml:3:1: unknown key durabilty in topic; did you mean durability?",
        ),
        (
            "[[topic]]\nprefix = \"a\"\nqos = 1\n",
            "nightjar.toml:3:1: unknown key qos in topic; a topic has only prefix and durability",
        ),
        (
            "[[topics]]\nprefix = \"a\"\n",
            "nightjar.toml:1:3: unknown key topics; did you mean topic?",
        ),
        (
            "prefix = \"a\"\n",
            "nightjar.toml:1:1: unknown key prefix; it belongs below [[topic]]",
        ),
    ] {
        let found = errors("topic-errors", text);
        assert!(found[0].starts_with(told), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[test]
fn a_prefix_has_one_rule() {
    let rule = "[[topic]]\nprefix = \"a/\"\ndurability = \"os\"\n";
    let found = errors("prefixes", &rule.repeat(2));
    assert_eq!(
        found,
        ["nightjar.toml:5:10: topic.prefix: \"a/\" is there twice"]
    );
    let found = Config::load(&variable("NIGHTJAR__TOPIC", "a=os,a=disk")).unwrap_err();
    let told = "variable NIGHTJAR__TOPIC: topic.prefix: \"a\" is there twice";
    assert_eq!(found.to_string(), told);
}

#[test]
fn words_of_durability_are_those_of_the_log() {
    let words: Vec<_> = Durability::ALL.iter().map(|class| class.as_str()).collect();
    let mut known = crate::value::DURABILITIES.to_vec();
    known.reverse();
    assert_eq!(words, known);
}
