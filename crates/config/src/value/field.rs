//! Fields of the configuration, as keys read and write them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use types::QoS;
use types::limits::Rate;

use super::{Value, path_text};
use crate::config::{
    Address, Anonymous, ControlSocket, Header, Location, Mark, Mode, Network, Secret, Url,
};
use crate::formats::header_parts;

/// A field of the configuration, as keys read and write it.
pub(crate) trait Field: Sized {
    /// The value as it is.
    fn read(&self) -> Value;
    /// Takes a value that its key's kind let through; the error says what does not fit.
    fn of(value: Value) -> Result<Self, String>;
}

/// What no owner of a file sees: a key's kind and its field do not belong together.
pub(crate) const MISFIT: &str = "a value of another kind is needed";

macro_rules! number_field {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn read(&self) -> Value {
                // No number of ours is wider than 64 bits.
                Value::Number(u64::try_from(*self).unwrap_or(u64::MAX))
            }

            fn of(value: Value) -> Result<Self, String> {
                let number = match value {
                    Value::Number(number) => number,
                    Value::Span(span) if span.subsec_nanos() == 0 => span.as_secs(),
                    Value::Span(_) => return Err("write whole seconds".into()),
                    _ => return Err(MISFIT.into()),
                };
                Self::try_from(number).map_err(|_| format!("{number} is more than {}", Self::MAX))
            }
        }
    )*};
}

number_field!(u16, u32, u64, usize);

/// Fields that are just one sort of value.
macro_rules! plain_field {
    ($($field:ty: $variant:ident),* $(,)?) => {$(
        impl Field for $field {
            fn read(&self) -> Value {
                Value::$variant(self.clone())
            }

            fn of(value: Value) -> Result<Self, String> {
                match value {
                    Value::$variant(value) => Ok(value),
                    _ => Err(MISFIT.into()),
                }
            }
        }
    )*};
}

plain_field!(Duration: Span, Rate: Rate, bool: Flag, String: Text, Secret: Secret, Url: Url);

impl<T: Field> Field for Option<T> {
    fn read(&self) -> Value {
        self.as_ref().map_or(Value::Unset, T::read)
    }

    fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Unset => Ok(None),
            value => T::of(value).map(Some),
        }
    }
}

/// None of them is the same as nothing said: a list in the file is never empty.
impl<T: Field> Field for Vec<T> {
    fn read(&self) -> Value {
        if self.is_empty() {
            return Value::Unset;
        }
        Value::List(self.iter().map(T::read).collect())
    }

    fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Unset => Ok(Self::new()),
            Value::List(values) => values.into_iter().map(T::of).collect(),
            _ => Err(MISFIT.into()),
        }
    }
}

impl Field for PathBuf {
    fn read(&self) -> Value {
        Value::Text(path_text(self))
    }

    fn of(value: Value) -> Result<Self, String> {
        String::of(value).map(Self::from)
    }
}

impl Field for Anonymous {
    fn read(&self) -> Value {
        match self {
            Self::FromLoopback => Value::Unset,
            Self::FromAnywhere => Value::Flag(true),
            Self::Refused => Value::Flag(false),
        }
    }

    fn of(value: Value) -> Result<Self, String> {
        Ok(match Option::<bool>::of(value)? {
            None => Self::FromLoopback,
            Some(true) => Self::FromAnywhere,
            Some(false) => Self::Refused,
        })
    }
}

impl Field for Mark {
    fn read(&self) -> Value {
        if self.0 {
            Value::Flag(true)
        } else {
            Value::Unset
        }
    }

    fn of(value: Value) -> Result<Self, String> {
        Option::<bool>::of(value).map(|flag| Self(flag.unwrap_or_default()))
    }
}

impl Field for ControlSocket {
    fn read(&self) -> Value {
        match self {
            Self::At(path) => path.read(),
            Self::Off => Value::Text(String::new()),
        }
    }

    fn of(value: Value) -> Result<Self, String> {
        let text = String::of(value)?;
        Ok(if text.is_empty() {
            Self::Off
        } else {
            Self::At(text.into())
        })
    }
}

impl Field for Address {
    fn read(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn of(value: Value) -> Result<Self, String> {
        let text = String::of(value)?;
        let text = text.trim();
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        text.parse().map(Self::Ip).map_err(|_| MISFIT.into())
    }
}

impl Field for SocketAddr {
    fn read(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn of(value: Value) -> Result<Self, String> {
        String::of(value)?.trim().parse().map_err(|_| MISFIT.into())
    }
}

impl Field for Network {
    fn read(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn of(value: Value) -> Result<Self, String> {
        Self::parse(&String::of(value)?).map_err(str::to_owned)
    }
}

impl Field for Location {
    fn read(&self) -> Value {
        match self {
            Self::Url(url) => url.read(),
            Self::File(path) => path.read(),
        }
    }

    fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Url(url) => Ok(Self::Url(url)),
            value => PathBuf::of(value).map(Self::File),
        }
    }
}

impl Field for Header {
    fn read(&self) -> Value {
        Value::Secret(Secret::new(format!(
            "{}: {}",
            self.name,
            self.value.reveal()
        )))
    }

    fn of(value: Value) -> Result<Self, String> {
        let line = Secret::of(value)?;
        let (name, value) = header_parts(line.reveal()).ok_or(MISFIT)?;
        Ok(Self {
            name: name.to_owned(),
            value: Secret::new(value),
        })
    }
}

impl Field for Mode {
    fn read(&self) -> Value {
        self.0.read()
    }

    fn of(value: Value) -> Result<Self, String> {
        u16::of(value).map(Self)
    }
}

impl Field for QoS {
    fn read(&self) -> Value {
        Value::Number(self.bits().into())
    }

    fn of(value: Value) -> Result<Self, String> {
        match value {
            Value::Number(0) => Ok(Self::AtMostOnce),
            Value::Number(1) => Ok(Self::AtLeastOnce),
            Value::Number(2) => Ok(Self::ExactlyOnce),
            _ => Err(MISFIT.into()),
        }
    }
}
