//! MongoDB. A filter is a JSON document; what stands for something of the client's in one of its
//! texts is text there, never an operator.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::options::{ClientOptions, Tls as DriverTls, TlsOptions};
use mongodb::{Client, Collection, Database};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::question::Question;
use crate::rules::{self, RuleText};
use crate::table::{self, Extras, Row, Users};
use crate::template::Template;
use crate::{Problem, settings, tls};

/// Asks MongoDB.
pub(crate) struct MongoDb {
    settings: settings::MongoDb,
    concurrency: u32,
    filter: Filter,
    rules_filter: Option<Filter>,
    /// Made with the first question: the driver wants to be on our threads.
    database: OnceCell<Database>,
}

impl std::fmt::Debug for MongoDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MongoDb")
    }
}

/// A document with placeholders in its texts.
#[derive(Clone, Debug)]
enum Filter {
    Text(Template),
    Other(Value),
    List(Vec<Filter>),
    Object(Vec<(String, Filter)>),
}

impl MongoDb {
    pub(crate) fn new(settings: &settings::MongoDb, concurrency: u32) -> Result<Self, Problem> {
        let url = settings.url.reveal();
        if !url.starts_with("mongodb://") && !url.starts_with("mongodb+srv://") {
            return Err(Problem::new(
                "the address begins with neither mongodb:// nor mongodb+srv://",
            ));
        }
        if settings.collection.is_empty() || settings.password_field.is_empty() {
            return Err(Problem::new("collection and password_field are not empty"));
        }
        tls::client(&settings.tls)?;
        let filter = |key: &str, text: &str| {
            let filter = Filter::parse(text);
            filter.map_err(|why| Problem::new(format!("{key}: {why}")))
        };
        let rules_filter = settings.rules_filter.as_deref();
        Ok(Self {
            filter: filter("filter", &settings.filter)?,
            rules_filter: rules_filter
                .map(|text| filter("rules_filter", text))
                .transpose()?,
            settings: settings.clone(),
            concurrency,
            database: OnceCell::new(),
        })
    }

    async fn collection(&self, name: &str) -> Result<Collection<Document>, Arc<str>> {
        let database = self.database.get_or_try_init(|| self.connect()).await?;
        Ok(database.collection(name))
    }

    async fn connect(&self) -> Result<Database, Arc<str>> {
        let parsed = ClientOptions::parse(self.settings.url.reveal()).await;
        // What it says may hold the address.
        let mut options = parsed.map_err(|_| Arc::from("MongoDB: the address is not right"))?;
        options.app_name = Some("nightjar".into());
        options.max_pool_size = Some(self.concurrency.max(1));
        options.server_selection_timeout.get_or_insert(PATIENCE);
        options.connect_timeout.get_or_insert(PATIENCE);
        let uses_tls = matches!(options.tls, Some(DriverTls::Enabled(_)));
        if let (Some(ca), true) = (&self.settings.tls.ca, uses_tls) {
            let tls = TlsOptions::builder().ca_file_path(ca.clone()).build();
            options.tls = Some(DriverTls::Enabled(tls));
        }
        let client = Client::with_options(options).map_err(|error| said(&error))?;
        let missing = || Arc::from("MongoDB: the address names no database");
        client.default_database().ok_or_else(missing)
    }

    async fn rules(&self, name: &str, question: &Question) -> Result<Vec<RuleText>, Arc<str>> {
        let filter = self.rules_filter.as_ref().unwrap_or(&self.filter);
        let Some(filter) = filter.document(question) else {
            return Ok(Vec::new());
        };
        let collection = self.collection(name).await?;
        let most = i64::try_from(table::MOST_ROWS).unwrap_or(i64::MAX);
        let found = collection.find(filter).limit(most).await;
        let mut cursor = found.map_err(|error| said(&error))?;
        let mut rules = Vec::new();
        while cursor.advance().await.map_err(|error| said(&error))? {
            let document = cursor.deserialize_current().map_err(|error| said(&error))?;
            rules.push(rule(&document)?);
        }
        Ok(rules)
    }
}

impl Users for MongoDb {
    async fn find(&self, question: &Question) -> Result<Option<Row>, Arc<str>> {
        let Some(filter) = self.filter.document(question) else {
            return Ok(None);
        };
        let collection = self.collection(&self.settings.collection).await?;
        let found = collection.find(filter).limit(2).await;
        let mut cursor = found.map_err(|error| said(&error))?;
        if !cursor.advance().await.map_err(|error| said(&error))? {
            return Ok(None);
        }
        let document = cursor.deserialize_current().map_err(|error| said(&error))?;
        if cursor.advance().await.map_err(|error| said(&error))? {
            return Err("the filter finds several users".into());
        }
        user(&document, &self.settings.password_field).map(Some)
    }

    async fn extras(&self, question: &Question) -> Result<Extras, Arc<str>> {
        let rules = match &self.settings.rules_collection {
            Some(name) => Some(self.rules(name, question).await?),
            None => None,
        };
        Ok(Extras {
            groups: Vec::new(),
            rules,
        })
    }
}

fn user(document: &Document, password_field: &str) -> Result<Row, Arc<str>> {
    let superuser = match document.get("is_superuser") {
        None | Some(Bson::Null) => false,
        Some(Bson::Boolean(flag)) => *flag,
        Some(Bson::Int32(number)) => table::is_yes(&number.to_string())?,
        Some(Bson::Int64(number)) => table::is_yes(&number.to_string())?,
        Some(Bson::Double(number)) => table::is_yes(&number.to_string())?,
        Some(_) => return Err("is_superuser is neither yes nor no".into()),
    };
    Ok(Row {
        name: None,
        hash: text(document, password_field)?,
        salt: text(document, "salt")?,
        superuser,
        groups: names(document, "groups")?
            .into_iter()
            .map(Arc::from)
            .collect(),
    })
}

fn rule(document: &Document) -> Result<RuleText, Arc<str>> {
    let word = |field: &str| {
        let missing = || Arc::from(format!("a rule has no {field:?}"));
        text(document, field)?.ok_or_else(missing)
    };
    let mut topics = names(document, "topics")?;
    topics.extend(text(document, "topic")?);
    let mut rule = rules::of_words(&word("permission")?, &word("action")?, "")
        .map_err(|error| Arc::from(error.to_string()))?;
    rule.topics = topics;
    Ok(rule)
}

/// A text that may be missing.
fn text(document: &Document, field: &str) -> Result<Option<String>, Arc<str>> {
    match document.get(field) {
        None | Some(Bson::Null) => Ok(None),
        Some(Bson::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("the field {field:?} is no text").into()),
    }
}

/// A text or a list of texts that may be missing.
fn names(document: &Document, field: &str) -> Result<Vec<String>, Arc<str>> {
    let Some(Bson::Array(list)) = document.get(field) else {
        return Ok(text(document, field)?.into_iter().collect());
    };
    let name = |value: &Bson| value.as_str().map(String::from);
    let names: Option<_> = list.iter().map(name).collect();
    names.ok_or_else(|| format!("the field {field:?} is no list of texts").into())
}

impl Filter {
    fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "this is no JSON")?;
        if value.as_object().is_none_or(|it| it.is_empty()) {
            return Err("this is no JSON object, or an empty one".into());
        }
        Self::of(value)
    }

    fn of(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => {
                Self::Text(Template::of_client(&text).map_err(|error| error.to_string())?)
            }
            Value::Array(list) => {
                Self::List(list.into_iter().map(Self::of).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let entry = |(key, value): (String, Value)| {
                    if key.contains("${") {
                        return Err("a placeholder is never the name of a field".to_owned());
                    }
                    if matches!(key.as_str(), "$where" | "$expr" | "$function") {
                        // Texts there are code.
                        return Err(format!("{key} is not for filters here"));
                    }
                    Ok((key, Self::of(value)?))
                };
                Self::Object(map.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
            other => Self::Other(other),
        })
    }

    /// The document for a client; `None`: it lacks what the filter needs.
    fn document(&self, question: &Question) -> Option<Document> {
        match self.value(question)? {
            Bson::Document(document) => Some(document),
            _ => None,
        }
    }

    fn value(&self, question: &Question) -> Option<Bson> {
        Some(match self {
            Self::Text(template) => {
                Bson::String(template.fill(question, None, |it| it.to_owned())?)
            }
            Self::Other(Value::Bool(flag)) => Bson::Boolean(*flag),
            Self::Other(Value::Number(number)) => match number.as_i64() {
                Some(number) => Bson::Int64(number),
                None => Bson::Double(number.as_f64()?),
            },
            Self::Other(_) => Bson::Null,
            Self::List(list) => Bson::Array(
                list.iter()
                    .map(|it| it.value(question))
                    .collect::<Option<_>>()?,
            ),
            Self::Object(entries) => {
                let mut document = Document::new();
                for (key, filter) in entries {
                    document.insert(key.clone(), filter.value(question)?);
                }
                Bson::Document(document)
            }
        })
    }
}

/// What went wrong, in few words: the driver's own may repeat what it was asked.
fn said(error: &mongodb::error::Error) -> Arc<str> {
    use mongodb::error::ErrorKind;
    let what = match &*error.kind {
        ErrorKind::Authentication { .. } => "the login was refused",
        ErrorKind::ServerSelection { .. } => "no server answers",
        ErrorKind::Io(_) => "the connection broke",
        ErrorKind::DnsResolve { .. } => "the name of the host is not known",
        ErrorKind::Command(error) => return format!("MongoDB: error {}", error.code).into(),
        _ => "the question failed",
    };
    format!("MongoDB: {what}").into()
}

const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;
    use crate::question::tests::question;
    use crate::settings::{Address, HashKind, Tls};

    #[test]
    fn values_are_texts_and_never_operators() {
        let filter = r#"{"$or": [{"name": "${username}"}, {"id": "x-${clientid}", "on": true, "n": 7}],
                         "gone": null}"#;
        let filter = Filter::parse(filter).unwrap();
        let evil = question(r#"{"$gt": ""}"#, r#"", "$ne": ""#, "p");
        assert_eq!(
            filter.document(&evil).unwrap(),
            doc! {
                "$or": [
                    {"name": r#"", "$ne": ""#},
                    {"id": r#"x-{"$gt": ""}"#, "on": true, "n": 7_i64},
                ],
                "gone": null,
            }
        );
        let needs = Filter::parse(r#"{"name": "${cert.cn}"}"#).unwrap();
        assert_eq!(
            needs.document(&question("c", "u", "p")),
            None,
            "null would match others"
        );
    }

    #[test]
    fn s69_settings_that_make_no_sense_refuse_the_start() {
        for text in [
            "",
            "{}",
            "[]",
            "7",
            r#"{"a": "${user}"}"#,
            r#"{"${username}": 1}"#,
            r#"{"$where": "this.name == '${username}'"}"#,
            r#"{"a": {"$expr": 1}}"#,
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        let settings = |url: &str| settings::MongoDb {
            url: Address::new(url),
            collection: "users".into(),
            filter: r#"{"name": "${username}"}"#.into(),
            password_field: "password_hash".into(),
            rules_collection: None,
            rules_filter: None,
            hash: HashKind::Auto,
            tls: Tls::default(),
        };
        let made = MongoDb::new(&settings("mongodb://u:pa55@h/db"), 8).unwrap();
        assert!(!format!("{made:?}").contains("pa55"), "s71");
        assert!(MongoDb::new(&settings("http://h/db"), 8).is_err());
        let nameless = settings::MongoDb {
            collection: String::new(),
            ..settings("mongodb://h/db")
        };
        assert!(MongoDb::new(&nameless, 8).is_err());
    }

    #[test]
    fn documents_are_users_and_rules() {
        let row = user(
            &doc! {"password": "h", "salt": "s", "is_superuser": true, "groups": ["a", "b"]},
            "password",
        );
        let row = row.unwrap();
        assert_eq!(
            (row.hash.as_deref(), row.salt.as_deref()),
            (Some("h"), Some("s"))
        );
        assert!(row.superuser && row.groups.len() == 2);
        assert!(user(&doc! {}, "password").unwrap().hash.is_none());
        for bad in [
            doc! {"password": 7},
            doc! {"is_superuser": "yes"},
            doc! {"is_superuser": 2},
            doc! {"groups": [1]},
        ] {
            assert!(user(&bad, "password").is_err(), "{bad}");
        }
        let text = |document: Document| -> Result<String, Arc<str>> {
            let rule = rule(&document)?.rule(&"m".into());
            Ok(rule
                .map_err(|error| Arc::<str>::from(error.to_string()))?
                .to_string())
        };
        let both =
            doc! {"permission": "deny", "action": "publish", "topics": ["a", "b"], "topic": "c"};
        assert_eq!(text(both).unwrap(), r#"m: deny publish "a", "b", "c""#);
        assert!(text(doc! {"permission": "allow", "topic": "a"}).is_err());
    }
}
