//! What stands in a command.

use std::fmt;

use providers::access::{Acl, AclKind};
use serde_json::{Map, Value};

/// What stands in a command beside its name.
#[derive(Clone, Copy)]
pub(super) struct Args<'a>(&'a Map<String, Value>);

/// Why a command was not carried out, in words for who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It cannot be done as it was asked for.
    Says(String),
    /// The server could not do it.
    Failed(String),
}

impl Wrong {
    pub(super) fn says(words: impl Into<String>) -> Self {
        Self::Says(words.into())
    }

    pub(super) fn failed(words: impl Into<String>) -> Self {
        Self::Failed(words.into())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Says(words) | Self::Failed(words) => f.write_str(words),
        }
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) count: usize,
    pub(super) is_verbose: bool,
}

impl<'a> Args<'a> {
    pub(super) fn new(fields: &'a Map<String, Value>) -> Self {
        Self(fields)
    }

    /// That nothing else is asked for than these, what comes with each command, and descriptions,
    /// of which only empty ones are known here.
    pub(super) fn only(self, known: &[&str]) -> Result<(), Wrong> {
        for (key, value) in self.0 {
            let key = key.as_str();
            match key {
                "command" | "correlationData" => {}
                "textname" | "textdescription" => match value.as_str() {
                    Some("") => {}
                    _ => {
                        return Err(Wrong::says(format!("There is no {key} here; leave it out")));
                    }
                },
                _ if known.contains(&key) => {}
                _ => return Err(Wrong::says(format!("There is no argument {key:?}"))),
            }
        }
        Ok(())
    }

    /// A text that may be missing.
    pub(super) fn text(self, key: &str) -> Result<Option<&'a str>, Wrong> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(key)),
        }
    }

    /// A text that must be there.
    pub(super) fn needs(self, key: &str) -> Result<&'a str, Wrong> {
        let text = self.text(key)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| invalid(key))
    }

    pub(super) fn flag(self, key: &str) -> Result<Option<bool>, Wrong> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(invalid(key)),
        }
    }

    fn number(self, key: &str) -> Result<Option<i64>, Wrong> {
        match self.0.get(key) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| invalid(key)),
        }
    }

    /// That who has which role or is in which group has no priority of its own: roles are asked in
    /// the order of their names. -1 is what the tools send for none.
    pub(super) fn no_priority(self) -> Result<(), Wrong> {
        match self.number("priority")? {
            None | Some(-1) => Ok(()),
            Some(_) => Err(Wrong::says(
                "Roles and groups have no priorities here: roles are asked in the order of their \
                 names; leave the priority out",
            )),
        }
    }

    /// A list that may be missing.
    pub(super) fn list(self, key: &str) -> Result<Option<Vec<Args<'a>>>, Wrong> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        let rows = value.as_array().ok_or_else(|| invalid(key))?;
        let row = |row: &'a Value| row.as_object().map(Args).ok_or_else(|| invalid(key));
        rows.iter().map(row).collect::<Result<_, _>>().map(Some)
    }

    /// The names in a list of objects, each once.
    pub(super) fn names(self, list: &str, key: &str) -> Result<Option<Vec<String>>, Wrong> {
        let Some(rows) = self.list(list)? else {
            return Ok(None);
        };
        let mut names: Vec<String> = Vec::new();
        for row in rows {
            row.only(&[key, "priority"])?;
            row.no_priority()?;
            let name = row.needs(key)?;
            if names.iter().all(|known| known != name) {
                names.push(name.into());
            }
        }
        Ok(Some(names))
    }

    pub(super) fn part(self) -> Result<Part, Wrong> {
        let count = self.number("count")?.unwrap_or(-1);
        let offset = self.number("offset")?.unwrap_or(0);
        Ok(Part {
            // What is below zero is all.
            count: usize::try_from(count).unwrap_or(usize::MAX),
            offset: usize::try_from(offset).map_err(|_| invalid("offset"))?,
            is_verbose: self.flag("verbose")?.unwrap_or(false),
        })
    }

    /// What an ACL is about.
    pub(super) fn acl_kind(self) -> Result<AclKind, Wrong> {
        let word = self.0.get("acltype").filter(|word| word.is_string());
        let word = word.ok_or_else(|| invalid("acltype"))?;
        serde_json::from_value(word.clone()).map_err(|_| Wrong::says("Unknown acltype"))
    }

    /// An ACL.
    pub(super) fn acl(self) -> Result<Acl, Wrong> {
        let acl = Acl {
            acltype: self.acl_kind()?,
            topic: self.needs("topic")?.into(),
            priority: self.number("priority")?.unwrap_or(0),
            allow: self.flag("allow")?.unwrap_or(false),
        };
        acl.check()
            .map_err(|why| Wrong::says(format!("Invalid ACL: {why}")))?;
        Ok(acl)
    }
}

pub(super) fn invalid(key: &str) -> Wrong {
    Wrong::says(format!("Invalid/missing {key}"))
}
