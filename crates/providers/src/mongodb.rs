//! MongoDB. A filter is a JSON document; what stands for something of the client's in one of its
//! texts is text there, never an operator.
//!
//! Of the servers that the address names the primary is asked, or, while there is none that
//! answers, a secondary. TLS is used if the address says `tls=true`.

mod bson;
mod filter;
mod login;
mod server;
mod wire;

use std::sync::Arc;

use crate::link::Link;
use crate::pool::Pool;
use crate::question::{Question, Trouble};
use crate::rules::{self, RuleText};
use crate::table::{self, Extras, Row, Users};
use crate::{Problem, settings};
use bson::{Bson, Document};
use filter::Filter;
use server::Servers;

/// Asks MongoDB.
#[derive(Debug)]
pub(crate) struct MongoDb {
    servers: Servers,
    collection: String,
    password_field: String,
    filter: Filter,
    rules: Option<(String, Filter)>,
    pool: Pool<Link>,
}

impl MongoDb {
    pub(crate) fn new(settings: &settings::MongoDb) -> Result<Self, Problem> {
        if settings.collection.is_empty() || settings.password_field.is_empty() {
            return Err(Problem::new("collection and password_field are not empty"));
        }
        let parse = |key: &str, text: &str| {
            let filter = Filter::parse(text);
            filter.map_err(|why| Problem::new(format!("{key}: {why}")))
        };
        let filter = parse("filter", &settings.filter)?;
        let rules_filter = match &settings.rules_filter {
            Some(text) => parse("rules_filter", text)?,
            None => filter.clone(),
        };
        Ok(Self {
            servers: Servers::parse(settings)?,
            collection: settings.collection.clone(),
            password_field: settings.password_field.clone(),
            filter,
            rules: settings
                .rules_collection
                .clone()
                .map(|it| (it, rules_filter)),
            pool: Pool::new(),
        })
    }

    /// At most so many documents; `None`: the client lacks what the filter needs.
    async fn documents(
        &self,
        collection: &str,
        filter: &Filter,
        most: usize,
        question: &Question,
    ) -> Result<Option<Vec<Document>>, Trouble> {
        let Some(filter) = filter.document(question) else {
            return Ok(None);
        };
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let mode = Document::new([("mode", Bson::Text("primaryPreferred".into()))]);
        let command = Document::new([
            ("find", Bson::Text(collection.into())),
            ("filter", Bson::Document(filter)),
            ("limit", Bson::Int32(most)),
            ("batchSize", Bson::Int32(most)),
            ("singleBatch", Bson::Flag(true)),
            ("$readPreference", Bson::Document(mode)),
        ]);
        let database = &self.servers.database;
        if let Some(mut link) = self.pool.take() {
            // The server may have gone while it waited, or may be the primary no more.
            if let Ok(answer) = wire::run(&mut link, database, command.clone()).await {
                self.pool.put(link);
                return Ok(Some(batch(answer)?));
            }
        }
        let connected = self.servers.connect().await;
        let mut link = connected.map_err(Trouble::Failed)?;
        let answer = match wire::run(&mut link, database, command).await {
            Ok(answer) => answer,
            Err(failure) => {
                let why = Arc::from(format!("MongoDB: {failure}"));
                return Err(match failure.is_of_question() {
                    true => Trouble::Unclear(why),
                    false => Trouble::Failed(why),
                });
            }
        };
        self.pool.put(link);
        Ok(Some(batch(answer)?))
    }
}

/// The documents that a `find` found.
fn batch(answer: Document) -> Result<Vec<Document>, Trouble> {
    let strange = || Trouble::failed("MongoDB: an answer of another kind");
    let Some(Bson::Document(cursor)) = answer.get("cursor") else {
        return Err(strange());
    };
    let Some(Bson::List(batch)) = cursor.get("firstBatch") else {
        return Err(strange());
    };
    let document = |value: &Bson| match value {
        Bson::Document(document) => Some(document.clone()),
        _ => None,
    };
    let documents: Option<_> = batch.iter().map(document).collect();
    documents.ok_or_else(strange)
}

impl Users for MongoDb {
    async fn find(&self, question: &Question) -> Result<Option<Row>, Trouble> {
        let found = self
            .documents(&self.collection, &self.filter, 2, question)
            .await?;
        match &found.unwrap_or_default()[..] {
            [] => Ok(None),
            [document] => Ok(Some(user(document, &self.password_field)?)),
            _ => Err("the filter finds several users".into()),
        }
    }

    async fn extras(&self, question: &Question) -> Result<Extras, Trouble> {
        let Some((collection, filter)) = &self.rules else {
            return Ok(Extras::default());
        };
        let found = self
            .documents(collection, filter, table::MOST_ROWS, question)
            .await?;
        let rules: Result<_, Arc<str>> = found.unwrap_or_default().iter().map(rule).collect();
        Ok(Extras {
            groups: Vec::new(),
            rules: Some(rules?),
        })
    }
}

fn user(document: &Document, password_field: &str) -> Result<Row, Arc<str>> {
    let superuser = match document.get("is_superuser") {
        None | Some(Bson::Null) => false,
        Some(Bson::Flag(flag)) => *flag,
        Some(Bson::Int32(number)) => table::is_yes(&number.to_string())?,
        Some(Bson::Int64(number)) => table::is_yes(&number.to_string())?,
        Some(Bson::Double(number)) => table::is_yes(&number.to_string())?,
        Some(_) => return Err("is_superuser is neither yes nor no".into()),
    };
    Ok(Row {
        name: text(document, "username")?,
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
        Some(Bson::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("the field {field:?} is no text").into()),
    }
}

/// A text or a list of texts that may be missing.
fn names(document: &Document, field: &str) -> Result<Vec<String>, Arc<str>> {
    let Some(Bson::List(list)) = document.get(field) else {
        return Ok(text(document, field)?.into_iter().collect());
    };
    let name = |value: &Bson| match value {
        Bson::Text(name) => Some(name.clone()),
        _ => None,
    };
    let names: Option<_> = list.iter().map(name).collect();
    names.ok_or_else(|| format!("the field {field:?} is no list of texts").into())
}

#[cfg(test)]
mod tests;
