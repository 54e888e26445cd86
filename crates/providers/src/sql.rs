//! Queries in SQL: placeholders become parameters, never a part of the text.

use std::sync::Arc;

use crate::Problem;
use crate::question::Question;
use crate::settings;
use crate::template::{Part, Placeholder, Template};

/// How a database writes parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// `$1`, `$2`, ...
    Numbered,
    /// `?`
    Question,
}

/// A query that is ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) text: String,
    parameters: Vec<Placeholder>,
}

/// The queries of one back end.
#[derive(Clone, Debug)]
pub(crate) struct Queries {
    pub(crate) user: Query,
    pub(crate) groups: Option<Query>,
    pub(crate) rules: Option<Query>,
}

impl Queries {
    pub(crate) fn new(settings: &settings::Sql, marks: Marks) -> Result<Self, Problem> {
        let parse = |key: &str, text: &str| {
            let query = Query::parse(text, marks);
            query.map_err(|why| Problem::new(format!("{key}: {why}")))
        };
        let optional = |key: &str, text: &Option<String>| {
            text.as_deref().map(|text| parse(key, text)).transpose()
        };
        Ok(Self {
            user: parse("query", &settings.query)?,
            groups: optional("groups_query", &settings.groups_query)?,
            rules: optional("rules_query", &settings.rules_query)?,
        })
    }
}

impl Query {
    pub(crate) fn parse(text: &str, marks: Marks) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the query is empty".into());
        }
        let template = Template::of_client(text).map_err(|error| error.to_string())?;
        let mut query = Self {
            text: String::new(),
            parameters: Vec::new(),
        };
        let mut place = Place::Code;
        for part in template.parts {
            match part {
                Part::Text(text) => {
                    place = place.after(&text);
                    query.text.push_str(&text);
                }
                Part::Value(_) if place != Place::Code => {
                    return Err(format!(
                        "a placeholder inside {} would be a part of the text; a parameter needs no \
                         quotes",
                        place.name()
                    ));
                }
                Part::Value(placeholder) => query.push(placeholder, marks),
            }
        }
        Ok(query)
    }

    fn push(&mut self, placeholder: Placeholder, marks: Marks) {
        match marks {
            Marks::Question => {
                self.parameters.push(placeholder);
                self.text.push('?');
            }
            Marks::Numbered => {
                let known = self.parameters.iter().position(|it| *it == placeholder);
                let number = known.unwrap_or_else(|| {
                    self.parameters.push(placeholder);
                    self.parameters.len().saturating_sub(1)
                });
                self.text
                    .push_str(&format!("${}", number.saturating_add(1)));
            }
        }
    }

    /// The values of its parameters; `None`: the client lacks one.
    pub(crate) fn values(&self, question: &Question) -> Option<Vec<String>> {
        let value = |placeholder: &Placeholder| placeholder.value(question);
        self.parameters.iter().map(value).collect()
    }
}

/// Where in the text of a query something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Code,
    /// Between two of these.
    Quotes(char),
    /// Behind `--`.
    Line,
    /// Behind `/*`.
    Comment,
}

impl Place {
    /// Where the end of this text stands, if its beginning stands here.
    fn after(mut self, text: &str) -> Self {
        let mut before = ' ';
        for letter in text.chars() {
            self = match (self, before, letter) {
                (Self::Code, _, '\'' | '"' | '`') => Self::Quotes(letter),
                (Self::Code, '-', '-') => Self::Line,
                (Self::Code, '/', '*') => Self::Comment,
                (Self::Quotes(quote), _, letter) if quote == letter => Self::Code,
                (Self::Line, _, '\n') | (Self::Comment, '*', '/') => Self::Code,
                (same, _, _) => same,
            };
            before = letter;
        }
        self
    }

    fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Quotes(_) => "quotes",
            Self::Line | Self::Comment => "a comment",
        }
    }
}

/// More than one user.
pub(crate) fn several() -> Arc<str> {
    "the query finds several users".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::tests::question;

    const PASSWORDS: &str = "SELECT password_hash, '--' FROM u WHERE name = ${username} AND (c = ${clientid} OR n = ${username})";

    #[test]
    fn placeholders_are_parameters() {
        let numbered = Query::parse(PASSWORDS, Marks::Numbered).unwrap();
        assert_eq!(
            numbered.text,
            "SELECT password_hash, '--' FROM u WHERE name = $1 AND (c = $2 OR n = $1)"
        );
        let evil = question("x' OR '1'='1", "ann'; DROP TABLE u; --", "p");
        assert_eq!(
            numbered.values(&evil).unwrap(),
            ["ann'; DROP TABLE u; --", "x' OR '1'='1"]
        );
        let marked = Query::parse(PASSWORDS, Marks::Question).unwrap();
        assert_eq!(
            marked.text,
            "SELECT password_hash, '--' FROM u WHERE name = ? AND (c = ? OR n = ?)"
        );
        let values = marked.values(&question("c", "u", "p")).unwrap();
        assert_eq!(values, ["u", "c", "u"]);
        let needs = Query::parse("SELECT ${cert.cn}", Marks::Question).unwrap();
        assert_eq!(needs.values(&question("c", "u", "p")), None);
    }

    #[test]
    fn s69_placeholders_in_quotes_are_refused() {
        for text in [
            "",
            "  ",
            "SELECT '${username}'",
            "SELECT \"${username}\"",
            "SELECT `${username}`",
            "SELECT 'it''s ${username}'",
            "SELECT 1 -- ${username}",
            "SELECT /* ${username} */ 1",
            "SELECT ${user}",
            "SELECT ${dn}",
            "SELECT ${username",
        ] {
            assert!(Query::parse(text, Marks::Numbered).is_err(), "{text}");
        }
        for text in [
            "SELECT 'it''s', ${username}",
            "SELECT 1 -- '\n, ${username}",
            "SELECT /* ' */ ${username}",
            "SELECT 2 - -1, ${ip}",
        ] {
            assert!(Query::parse(text, Marks::Numbered).is_ok(), "{text}");
        }
    }
}
