//! Documents with placeholders in their texts.

use serde_json::Value;

use super::bson::{Bson, Document};
use crate::question::Question;
use crate::template::{Part, Template};

/// A filter, read once.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Text(Template),
    Other(Value),
    List(Vec<Filter>),
    Object(Vec<(String, Filter)>),
}

impl Filter {
    /// Reads a JSON object.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|_| "this is no JSON")?;
        if value.as_object().is_none_or(serde_json::Map::is_empty) {
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
                let entries = map.into_iter().map(|(key, value)| Self::entry(key, value));
                Self::Object(entries.collect::<Result<_, _>>()?)
            }
            other => Self::Other(other),
        })
    }

    fn entry(key: String, value: Value) -> Result<(String, Self), String> {
        if key.contains("${") {
            return Err("a placeholder is never the name of a field".into());
        }
        if key.contains('\0') {
            return Err("the name of a field has a zero in it".into());
        }
        let filter = Self::of(value)?;
        // Elsewhere a text can be more than text: a regular expression, code, words to look for.
        if key.starts_with('$') && !OPERATORS.contains(&key.as_str()) && filter.has_placeholder() {
            return Err(format!("a placeholder in {key} would be more than text"));
        }
        Ok((key, filter))
    }

    fn has_placeholder(&self) -> bool {
        match self {
            Self::Text(template) => template.parts.iter().any(|it| matches!(it, Part::Value(_))),
            Self::Other(_) => false,
            Self::List(list) => list.iter().any(Self::has_placeholder),
            Self::Object(entries) => entries.iter().any(|it| it.1.has_placeholder()),
        }
    }

    /// The document for a client; `None`: it lacks what the filter needs.
    pub(super) fn document(&self, question: &Question) -> Option<Document> {
        match self.value(question)? {
            Bson::Document(document) => Some(document),
            _ => None,
        }
    }

    fn value(&self, question: &Question) -> Option<Bson> {
        Some(match self {
            Self::Text(template) => Bson::Text(template.fill(question, None, str::to_owned)?),
            Self::Other(Value::Bool(flag)) => Bson::Flag(*flag),
            Self::Other(Value::Number(number)) => match number.as_i64() {
                Some(number) => Bson::Int64(number),
                None => Bson::Double(number.as_f64()?),
            },
            Self::Other(_) => Bson::Null,
            Self::List(list) => {
                let values = list.iter().map(|it| it.value(question));
                Bson::List(values.collect::<Option<_>>()?)
            }
            Self::Object(entries) => {
                let entry = |(key, filter): &(String, Self)| {
                    let value = filter.value(question)?;
                    Some((key.clone(), value))
                };
                Bson::Document(Document(entries.iter().map(entry).collect::<Option<_>>()?))
            }
        })
    }
}

/// Operators that compare a text with nothing but itself, or hold such.
const OPERATORS: [&str; 12] = [
    "$all",
    "$and",
    "$elemMatch",
    "$eq",
    "$gt",
    "$gte",
    "$in",
    "$lt",
    "$lte",
    "$ne",
    "$nin",
    "$or",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::question;

    #[test]
    fn values_are_texts_and_never_operators() {
        let text = |text: &str| Bson::Text(text.into());
        let filter = r#"{"$or": [{"name": "${username}"}, {"id": "x-${clientid}", "on": true, "n": 7}],
                         "gone": null}"#;
        let filter = Filter::parse(filter).unwrap();
        let evil = question(r#"{"$gt": ""}"#, r#"", "$ne": ""#, "p");
        let Document(mut entries) = filter.document(&evil).unwrap();
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        let name = Document::new([("name", text(r#"", "$ne": ""#))]);
        let Some(("$or", Bson::List(list))) = entries.first().map(|it| (it.0.as_str(), &it.1))
        else {
            panic!("{entries:?}");
        };
        assert_eq!(list[0], Bson::Document(name));
        let Bson::Document(other) = &list[1] else {
            panic!("{list:?}");
        };
        assert_eq!(other.text("id"), Some(r#"x-{"$gt": ""}"#));
        assert_eq!(other.get("on"), Some(&Bson::Flag(true)));
        assert_eq!(other.get("n"), Some(&Bson::Int64(7)));
        assert_eq!(entries[1], ("gone".into(), Bson::Null));
        let needs = Filter::parse(r#"{"name": "${cert.cn}"}"#).unwrap();
        let nameless = needs.document(&question("c", "u", "p"));
        assert_eq!(nameless, None, "null would match others");
    }

    #[test]
    fn s45_no_text_of_a_client_becomes_a_pattern() {
        for text in [
            r#"{"name": {"$regex": "${username}"}}"#,
            r#"{"name": {"$not": {"$regex": "^${username}"}}}"#,
            r#"{"$text": {"$search": "${username}"}}"#,
            r#"{"$where": "this.name == '${username}'"}"#,
            r#"{"$expr": {"$eq": ["$name", "${username}"]}}"#,
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        for text in [
            r#"{"name": "${username}", "kind": {"$regex": "^a"}}"#,
            r#"{"name": {"$in": ["${username}", "${clientid}"]}, "gone": {"$exists": false}}"#,
        ] {
            assert!(Filter::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn s69_filters_that_make_no_sense_are_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "7",
            r#"{"a": "${user}"}"#,
            r#"{"${username}": 1}"#,
            r#"{"a\u0000": 1}"#,
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
