use serde_json::{Value, json};

use super::*;
use crate::settings::{Address, HashKind, Tls};

fn document(value: Value) -> Document {
    match bson(value) {
        Bson::Document(document) => document,
        other => panic!("{other:?}"),
    }
}

fn bson(value: Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Flag(flag),
        Value::Number(number) => Bson::Int64(number.as_i64().unwrap()),
        Value::String(text) => Bson::Text(text),
        Value::Array(list) => Bson::List(list.into_iter().map(bson).collect()),
        Value::Object(map) => {
            let entries = map.into_iter().map(|(name, value)| (name, bson(value)));
            Bson::Document(Document(entries.collect()))
        }
    }
}

fn settings(url: &str) -> settings::MongoDb {
    settings::MongoDb {
        url: Address::new(url),
        collection: "users".into(),
        filter: r#"{"name": "${username}"}"#.into(),
        password_field: "password_hash".into(),
        rules_collection: None,
        rules_filter: None,
        hash: HashKind::Auto,
        tls: Tls::default(),
    }
}

#[test]
fn s69_settings_that_make_no_sense_refuse_the_start() {
    for url in [
        "mongodb://h/db",
        "mongodb://u:pa55@h/db",
        "mongodb://u:pa55@h:1,[::1]:2/db?authSource=admin&tls=true&replicaSet=r&w=majority",
        "mongodb://u:pa55@h/db?authMechanism=SCRAM-SHA-256",
    ] {
        let made = MongoDb::new(&settings(url));
        let made = made.unwrap_or_else(|problem| panic!("{url}: {problem}"));
        assert!(!format!("{made:?}").contains("pa55"), "s71");
    }
    for url in [
        "http://h/db",
        "mongodb+srv://h/db",
        "mongodb://h",
        "mongodb://h/?tls=true",
        "mongodb:///db",
        "mongodb://pa55@h/db",
        "mongodb://u:pa55@h,/db",
        "mongodb://u:pa55@h:x/db",
        "mongodb://u:pa55%zz@h/db",
        "mongodb://u:pa55@h/db?tls=yes",
        "mongodb://u:pa55@h/db?tlsInsecure=true",
        "mongodb://u:pa55@h/db?authMechanism=PLAIN",
    ] {
        let problem = MongoDb::new(&settings(url)).unwrap_err().to_string();
        assert!(!problem.contains("pa55"), "s71: {problem}");
    }
    let nameless = settings::MongoDb {
        collection: String::new(),
        ..settings("mongodb://h/db")
    };
    assert!(MongoDb::new(&nameless).is_err());
    let without_tls = settings::MongoDb {
        tls: Tls {
            ca: Some("ca.pem".into()),
            identity: None,
        },
        ..settings("mongodb://h/db")
    };
    let problem = MongoDb::new(&without_tls).unwrap_err().to_string();
    assert_eq!(problem, "ca is for an address with tls=true", "s79");
}

#[test]
fn documents_are_users_and_rules() {
    let row = json!({"password": "h", "salt": "s", "is_superuser": true, "groups": ["a", "b"]});
    let row = user(&document(row), "password").unwrap();
    assert_eq!(
        (row.hash.as_deref(), row.salt.as_deref()),
        (Some("h"), Some("s"))
    );
    assert!(row.superuser && row.groups.len() == 2);
    assert!(
        user(&document(json!({})), "password")
            .unwrap()
            .hash
            .is_none()
    );
    for bad in [
        json!({"password": 7}),
        json!({"is_superuser": "yes"}),
        json!({"is_superuser": 2}),
        json!({"groups": [1]}),
    ] {
        assert!(user(&document(bad.clone()), "password").is_err(), "{bad}");
    }
    let text = |value| -> Result<String, Arc<str>> {
        let rule = rule(&document(value))?.rule(&"m".into());
        Ok(rule
            .map_err(|error| Arc::<str>::from(error.to_string()))?
            .to_string())
    };
    let both =
        json!({"permission": "deny", "action": "publish", "topics": ["a", "b"], "topic": "c"});
    assert_eq!(text(both).unwrap(), r#"m: deny publish "a", "b", "c""#);
    assert!(text(json!({"permission": "allow", "topic": "a"})).is_err());
}

#[test]
fn s68_answers_of_another_kind_fail() {
    let good = json!({"cursor": {"firstBatch": [{"a": 1}], "id": 0}, "ok": 1});
    assert_eq!(batch(document(good)).map(|it| it.len()), Ok(1));
    for bad in [
        json!({}),
        json!({"cursor": 1}),
        json!({"cursor": {"firstBatch": 7}}),
        json!({"cursor": {"firstBatch": [7]}}),
    ] {
        assert!(batch(document(bad.clone())).is_err(), "{bad}");
    }
}
