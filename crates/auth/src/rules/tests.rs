//! The algebra against brute force, and what a client's name can do to a pattern.

use proptest::prelude::*;
use types::{Certificate, TopicFilter};

use super::*;
use crate::{Identity, Subject};

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, u16::MAX).unwrap()
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

struct Client {
    id: &'static str,
    identity: Identity,
    names: Option<Certificate>,
}

impl Client {
    fn new(id: &'static str, user: Option<&str>) -> Self {
        Self {
            id,
            identity: Identity::of(user.map(Arc::from)),
            names: None,
        }
    }

    fn with_names(mut self, names: &[&str]) -> Self {
        self.names = Some(Certificate {
            common_names: names.iter().map(|&name| name.to_owned()).collect(),
            ..Certificate::default()
        });
        self
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            identity: &self.identity,
            client_id: self.id,
            grant: None,
            address: Some("::1".parse().unwrap()),
            certificate: self.names.as_ref(),
            listener: None,
        }
    }

    fn matches(&self, rule: &str, topic: &str) -> bool {
        pattern(rule).matches(&Values::of(&self.subject()), topic)
    }

    fn covers(&self, rule: &str, text: &str) -> bool {
        pattern(rule).covers(&Values::of(&self.subject()), &filter(text))
    }

    fn overlaps(&self, rule: &str, text: &str) -> bool {
        pattern(rule).overlaps(&Values::of(&self.subject()), &filter(text))
    }
}

#[test]
fn placeholders_fill_levels_and_parts_of_them() {
    let client = Client::new("c1", Some("u")).with_names(&["unit 7"]);
    assert!(client.matches("a/${clientid}/b", "a/c1/b"));
    assert!(client.matches("a/x-${clientid}-${username}", "a/x-c1-u"));
    assert!(client.matches("${ip}/${cert.cn}/#", "::1/unit 7"));
    assert!(!client.matches("a/x-${clientid}", "a/x-c1-"));
    assert!(!client.matches("a/${clientid}", "a/c2"));
    assert!(client.matches("a/$${clientid}", "a/${clientid}"));
    assert!(client.matches("$${/$$$${/$", "${/$$${/$"));
    assert!(!client.matches("a/$${clientid}", "a/c1"));
}

#[test]
fn mosquitto_has_placeholders_of_its_own() {
    let client = Client::new("c1", Some("u"));
    let rule = Pattern::mosquitto("%u/x%c/${clientid}/%d%/%").unwrap();
    let values = client.subject();
    assert!(rule.matches(&Values::of(&values), "u/xc1/${clientid}/%d%/%"));
    assert!(client.matches("%c", "%c"));
    assert_eq!(Pattern::mosquitto("a/%c+"), Err(PatternError::Wildcard));
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    use types::{FilterError, TopicError};
    for (text, error) in [
        (
            "",
            PatternError::Filter(FilterError::Topic(TopicError::Empty)),
        ),
        ("a/#/b", PatternError::Filter(FilterError::MisplacedHash)),
        ("a+", PatternError::Filter(FilterError::MisplacedPlus)),
        ("a/${clientid}+", PatternError::Wildcard),
        ("a/#${clientid}", PatternError::Wildcard),
        ("a/${clientid", PatternError::Unclosed),
        ("${}", PatternError::Unknown(String::new())),
        ("${group}", PatternError::Unknown("group".into())),
        ("${a/b}", PatternError::Unknown("a/b".into())),
        (
            "a\0${clientid}",
            PatternError::Filter(FilterError::Topic(TopicError::Nul)),
        ),
    ] {
        assert_eq!(Pattern::parse(text), Err(error), "{text}");
    }
    let long = "x".repeat(65_536);
    let error = PatternError::Filter(FilterError::Topic(TopicError::TooLong));
    assert_eq!(Pattern::parse(&long), Err(error));
}

#[test]
fn a_value_that_is_missing_matches_nothing() {
    for client in [
        Client::new("c", None),
        Client::new("c", Some("")).with_names(&[]),
        Client::new("c", None).with_names(&[""]),
        Client::new("c", None).with_names(&["one", "two"]),
    ] {
        for rule in ["a/${username}/#", "a/${cert.cn}/#"] {
            for topic in ["a", "a/", "a//b", "a/one", "a/one/b"] {
                assert!(!client.matches(rule, topic), "{rule} {topic}");
            }
            for text in ["a/#", "a//#", "a/+/#", "#", "a/one/x"] {
                assert!(!client.covers(rule, text), "{rule} {text}");
                assert!(!client.overlaps(rule, text), "{rule} {text}");
            }
        }
    }
}

#[test]
fn s44_a_name_with_wildcards_or_levels_widens_nothing() {
    for id in ["+", "#", "a/b", "/", "+/+", "x#", "a\0b", ""] {
        let client = Client::new(id, Some(id));
        for rule in [
            "d/${clientid}",
            "d/${username}/#",
            "d/x${clientid}",
            "${clientid}/#",
        ] {
            let mosquitto = rule
                .replace("${clientid}", "%c")
                .replace("${username}", "%u");
            let mosquitto = Pattern::mosquitto(&mosquitto).unwrap();
            let subject = client.subject();
            let values = Values::of(&subject);
            for topic in ["d", "d/", "d/a", "d/a/b", "d/x", "d/xa", "a/b", "/"] {
                assert!(!client.matches(rule, topic), "{id} {rule} {topic}");
                assert!(!mosquitto.matches(&values, topic), "{id} {rule} {topic}");
            }
            for text in [
                "d/+", "d/#", "d/a", "d/a/b", "#", "+/#", "+", "d/+/#", "a/b",
            ] {
                assert!(!client.covers(rule, text), "{id} {rule} {text}");
                assert!(!client.overlaps(rule, text), "{id} {rule} {text}");
                assert!(
                    !mosquitto.covers(&values, &filter(text)),
                    "{id} {rule} {text}"
                );
                assert!(
                    !pattern(rule).is(&values, &filter(text)),
                    "{id} {rule} {text}"
                );
            }
        }
    }
}

#[test]
fn s45_a_name_with_regular_expressions_is_literal() {
    for id in [
        ".*",
        "[a-z]",
        "-",
        "^",
        "$",
        "a|b",
        "(",
        "\\d",
        "*",
        "?",
        "${clientid}",
        "%c",
    ] {
        let client = Client::new(id, None);
        assert!(client.matches("d/${clientid}", &format!("d/{id}")), "{id}");
        for topic in ["d/a", "d/b", "d/5", "d/", "d/ab"] {
            assert!(!client.matches("d/${clientid}", topic), "{id}");
        }
        for text in ["d/a", "d/+", "d/#"] {
            assert!(!client.covers("d/${clientid}", text), "{id}");
        }
        assert!(client.overlaps("d/${clientid}", "d/+"), "{id}");
    }
}

#[test]
fn s50_a_name_does_not_lead_below_dollar() {
    let client = Client::new("$SYS", None);
    assert!(!client.matches("${clientid}/#", "$SYS/broker"));
    assert!(!client.covers("${clientid}/#", "$SYS/broker"));
    assert!(!client.overlaps("${clientid}/#", "$SYS/#"));
    assert!(!client.overlaps("${clientid}/#", "#"));
    assert!(client.matches("a/${clientid}/#", "a/$SYS/b"));
    let client = Client::new("c", None);
    assert!(client.matches("$app-${clientid}/#", "$app-c/x"));
    assert!(client.covers("$app-${clientid}/#", "$app-c/+"));
    assert!(!client.overlaps("$app-${clientid}/#", "+/x"));
    assert!(!client.overlaps("$app-${clientid}/#", "#"));
}

#[test]
fn deep_topics_cost_no_stack() {
    let deep = "/".repeat(65_534);
    let client = Client::new("c", None);
    assert!(client.matches(&deep, &deep));
    assert!(client.covers("#", &deep));
    assert!(client.overlaps(&deep, &deep));
}

/// All topics of at most three levels over an alphabet in which each rule has an exception. `z`
/// stands for all the names that are in no filter.
fn topics() -> Vec<String> {
    let levels = ["", "a", "b", "$", "$a", "z"];
    let mut all: Vec<String> = levels.iter().map(|&level| level.to_owned()).collect();
    let mut last = all.clone();
    for _ in 0..3 {
        last = last
            .iter()
            .flat_map(|before| levels.iter().map(move |level| format!("{before}/{level}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all
}

fn filters() -> impl Strategy<Value = String> {
    let level = prop::sample::select(vec!["", "a", "b", "$", "$a", "+", "+"]);
    let end = prop::sample::select(vec!["", "/#", "/#"]);
    (prop::collection::vec(level, 0..=3), end).prop_filter_map("no filter", |(levels, end)| {
        let text = levels.join("/") + end;
        let text = if levels.is_empty() && !end.is_empty() {
            "#".to_owned()
        } else {
            text
        };
        (!text.is_empty()).then_some(text)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_algebra_is_what_brute_force_finds(rule in filters(), text in filters()) {
        thread_local!(static TOPICS: Vec<String> = topics());
        let client = Client::new("b", None);
        let subject = client.subject();
        let values = Values::of(&subject);
        // The same with a placeholder for `b`, which is the client.
        let filled = rule.split('/').map(|it| if it == "b" { "${clientid}" } else { it });
        let filled = pattern(&filled.collect::<Vec<_>>().join("/"));
        let (wanted, simple, unfilled) = (filter(&text), filter(&rule), pattern(&rule));
        let plain = Pattern::plain(&wanted);
        let (mut all, mut some) = (true, false);
        TOPICS.with(|topics| for topic in topics {
            let by_rule = unfilled.matches(&values, topic);
            // The empty topic is none.
            if let Ok(name) = types::TopicName::parse(topic, 9) {
                assert_eq!(by_rule, topics::matches(&simple, name), "{rule} {topic}");
            }
            assert_eq!(by_rule, filled.matches(&values, topic), "{rule} {topic}");
            if plain.matches(&values, topic) {
                all &= by_rule;
                some |= by_rule;
            }
        });
        for rule in [&unfilled, &filled] {
            prop_assert_eq!(rule.covers(&values, &wanted), all, "{} covers {}", rule, &text);
            prop_assert_eq!(rule.overlaps(&values, &wanted), some, "{} overlaps {}", rule, &text);
        }
        prop_assert_eq!(unfilled.is(&values, &wanted), rule == text);
    }
}
