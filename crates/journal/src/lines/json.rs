//! One line: written in the order in which a person reads it, read in any.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use types::{Durability, MessageRef, QoS};

/// A line that is being written.
pub(super) struct Line(String);

impl Line {
    pub(super) fn new(kind: &str) -> Self {
        Self(String::from("{")).text("kind", kind)
    }

    /// The first line.
    pub(super) fn header(version: u64) -> Self {
        Self(String::from("{")).number("nightjar_export", version)
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    pub(super) fn field(mut self, name: &str, value: &Value) -> Self {
        self.name(name);
        self.0.push_str(&value.to_string());
        self
    }

    pub(super) fn text(self, name: &str, text: &str) -> Self {
        self.field(name, &Value::from(text))
    }

    pub(super) fn number(self, name: &str, number: u64) -> Self {
        self.field(name, &Value::from(number))
    }

    pub(super) fn flag(self, name: &str, flag: bool) -> Self {
        self.field(name, &Value::from(flag))
    }

    /// Nothing if there is none.
    pub(super) fn optional(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.field(name, &value.into()),
            None => self,
        }
    }

    /// A reference has 64 bits, and numbers of JSON are safe only to 53.
    pub(super) fn message(self, name: &str, message: MessageRef) -> Self {
        self.text(name, &format!("{:016x}", message.0))
    }

    /// Nothing if there are none.
    pub(super) fn bytes(self, name: &str, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            self
        } else {
            self.text(name, &STANDARD.encode(bytes))
        }
    }

    pub(super) fn numbers(self, name: &str, numbers: impl Iterator<Item = u64>) -> Self {
        self.field(name, &numbers.map(Value::from).collect())
    }

    /// An object within the line.
    pub(super) fn object(mut self, name: &str, fields: impl FnOnce(Self) -> Self) -> Self {
        self.name(name);
        let inner = fields(Self(String::from("{"))).end();
        self.0.push_str(&inner);
        self
    }

    /// A list of objects within the line.
    pub(super) fn objects<T>(
        mut self,
        name: &str,
        list: &[T],
        fields: impl Fn(Self, &T) -> Self,
    ) -> Self {
        self.name(name);
        let object = |one| fields(Self(String::from("{")), one).end();
        let objects: Vec<String> = list.iter().map(object).collect();
        self.0.push('[');
        self.0.push_str(&objects.join(","));
        self.0.push(']');
        self
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A line that is being read: what was taken is gone, and in the end nothing may be left.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let value = serde_json::from_str(line).map_err(|error| format!("not JSON: {error}"))?;
        Self::of(value, "the line")
    }

    fn of(value: Value, what: &str) -> Result<Self, String> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(format!("{what} is not an object")),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(name) => Err(format!("unknown field {name:?}")),
            None => Ok(()),
        }
    }

    /// Absent and null are the same.
    fn value(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// An object within the line.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, String> {
        let value = self.value(name);
        value.map(|value| Self::of(value, name)).transpose()
    }

    /// A list of objects within the line; absent is empty.
    pub(super) fn objects(&mut self, name: &str) -> Result<Vec<Self>, String> {
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => {
                let fields = values.into_iter().map(|value| Self::of(value, name));
                fields.collect()
            }
            Some(_) => Err(format!("{name} is not a list")),
        }
    }

    pub(super) fn optional_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is not a text")),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<String, String> {
        needed(name, self.optional_text(name)?)
    }

    pub(super) fn optional<T: TryFrom<u64>>(&mut self, name: &str) -> Result<Option<T>, String> {
        self.value(name)
            .map(|value| number(name, &value))
            .transpose()
    }

    pub(super) fn number<T: TryFrom<u64>>(&mut self, name: &str) -> Result<T, String> {
        needed(name, self.optional(name)?)
    }

    /// Absent is `false`.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.value(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(format!("{name} is neither true nor false")),
        }
    }

    pub(super) fn numbers<T: TryFrom<u64>>(
        &mut self,
        name: &str,
    ) -> Result<Option<Vec<T>>, String> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                let numbers = values.iter().map(|value| number(name, value));
                numbers.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(format!("{name} is not a list")),
        }
    }

    pub(super) fn optional_message(&mut self, name: &str) -> Result<Option<MessageRef>, String> {
        let Some(text) = self.optional_text(name)? else {
            return Ok(None);
        };
        match u64::from_str_radix(&text, 16) {
            Ok(number) if number > 0 => Ok(Some(MessageRef(number))),
            _ => Err(format!("{name} is not the name of a message")),
        }
    }

    pub(super) fn message(&mut self, name: &str) -> Result<MessageRef, String> {
        needed(name, self.optional_message(name)?)
    }

    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let text = self.optional_text(name)?.unwrap_or_default();
        STANDARD
            .decode(text)
            .map_err(|error| format!("{name} is not base64: {error}"))
    }

    pub(super) fn qos(&mut self) -> Result<QoS, String> {
        QoS::from_bits(self.number("qos")?).ok_or_else(|| String::from("an unknown QoS"))
    }

    pub(super) fn durability(&mut self) -> Result<Durability, String> {
        let text = self.text("durability")?;
        Durability::ALL
            .into_iter()
            .find(|durability| durability.as_str() == text)
            .ok_or_else(|| format!("unknown durability {text:?}"))
    }

    /// A text that is to be understood as something.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        let text = self.text(name)?;
        parse(&text).ok_or_else(|| format!("{name} {text:?} is not valid"))
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("no {name}"))
}

fn number<T: TryFrom<u64>>(name: &str, value: &Value) -> Result<T, String> {
    value
        .as_u64()
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("{name} is not a number in its range"))
}
