//! A rule as people read it.

use std::fmt;

use super::{Action, Effect, Rule, Who};

impl fmt::Display for Rule {
    /// `access.toml:12: deny publish "a/#" qos 1, 2 if retained for user "u"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = match self.effect {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        };
        let action = match self.action {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
            Action::Both => "publish and subscribe",
        };
        write!(f, "{}: {effect} {action}", self.source)?;
        if self.topics.is_empty() {
            f.write_str(" everything")?;
        }
        for (place, pattern) in self.topics.iter().enumerate() {
            f.write_str(if place == 0 { " " } else { ", " })?;
            if pattern.is_literal() {
                f.write_str("exactly ")?;
            }
            write!(f, "{:?}", pattern.text())?;
        }
        for (place, qos) in self.qos.iter().enumerate() {
            let before = if place == 0 { " qos " } else { ", " };
            write!(f, "{before}{}", qos.bits())?;
        }
        match self.retain {
            Some(true) => f.write_str(" if retained")?,
            Some(false) => f.write_str(" unless retained")?,
            None => {}
        }
        for (place, who) in self.who.iter().enumerate() {
            let before = if place == 0 { " for " } else { " and " };
            write!(f, "{before}{who}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("clients without a user"),
            Self::User(names) => list(f, "user", names),
            Self::Client(names) => list(f, "client", names),
            Self::Group(names) => list(f, "group", names),
            Self::Role(names) => list(f, "role", names),
            Self::Address(networks) => {
                f.write_str("address ")?;
                separated(f, networks, |f, network| write!(f, "{network}"))
            }
            Self::Listener(listeners) => {
                f.write_str("listener ")?;
                separated(f, listeners, |f, listener| write!(f, "{listener}"))
            }
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, names: &[std::sync::Arc<str>]) -> fmt::Result {
    write!(f, "{what} ")?;
    separated(f, names, |f, name| write!(f, "{name:?}"))
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            f.write_str(" or ")?;
        }
        write(f, item)?;
    }
    if items.is_empty() {
        f.write_str("(none)")?;
    }
    Ok(())
}
