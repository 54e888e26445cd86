//! The context that a message carries: the user properties `traceparent` and `tracestate`.

use std::sync::Arc;

use telemetry::Context;

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried<'a> {
    /// No context.
    Nothing,
    /// One that makes no sense, or more than one: nobody follows it.
    Broken,
    /// A context.
    One {
        context: Context,
        /// `traceparent` as it stands there.
        text: &'a str,
    },
}

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// Most bytes of `tracestate` that go into a span, and most members (W3C Trace Context, 3.3.1.5 and
/// 3.3.1.1).
const LONGEST_STATE: usize = 512;
const MEMBERS: usize = 32;
/// The identifier of User Property (MQTT 5.0, 2.2.2.2).
const USER_PROPERTY: u8 = 0x26;

impl<'a> Carried<'a> {
    /// What is in the properties of a message, in the encoding of MQTT 5.0.
    pub(super) fn of(properties: &'a [u8]) -> Self {
        // One byte, two lengths, the key and the value.
        if properties.len() < 5 + PARENT.len() {
            return Self::Nothing;
        }
        let Ok(forward) = codec::publish::parse_forward(properties) else {
            return Self::Nothing;
        };
        let mut found = None;
        for (key, value) in forward.user.iter() {
            if key == PARENT && found.replace(value).is_some() {
                return Self::Broken;
            }
        }
        let Some(text) = found else {
            return Self::Nothing;
        };
        match Context::parse(text) {
            Some(context) => Self::One { context, text },
            None => Self::Broken,
        }
    }
}

/// `tracestate` of a message, for its spans: several are one, in order. Empty without, and if it is not
/// as it has to be (W3C Trace Context, 3.3.1): the message itself keeps it as it came.
pub(super) fn state(properties: &[u8]) -> Box<str> {
    let Ok(forward) = codec::publish::parse_forward(properties) else {
        return Box::default();
    };
    let found = forward.user.iter().filter(|(key, _)| *key == STATE);
    let all = found.flat_map(|(_, value)| value.split(','));
    let all = all.map(|member| member.trim_matches([' ', '\t']));
    let mut members: Vec<(&str, &str)> = Vec::new();
    let mut length = 0_usize;
    for member in all.filter(|member| !member.is_empty()) {
        let Some((key, value)) = member.split_once('=') else {
            return Box::default();
        };
        let is_there = members.iter().any(|(known, _)| *known == key);
        length = length.saturating_add(member.len()).saturating_add(1);
        if is_there
            || members.len() == MEMBERS
            || length > LONGEST_STATE.saturating_add(1)
            || !is_key(key)
            || !is_value(value)
        {
            return Box::default();
        }
        members.push((key, value));
    }
    let members = members.iter().map(|(key, value)| format!("{key}={value}"));
    members.collect::<Vec<_>>().join(",").into()
}

/// 3.3.1.3.1.
fn is_key(key: &str) -> bool {
    let is_letter =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let begins = key.starts_with(|one: char| one.is_ascii_lowercase() || one.is_ascii_digit());
    begins && key.len() <= 256 && key.bytes().all(is_letter) && key.matches('@').count() <= 1
}

/// 3.3.1.3.2.
fn is_value(value: &str) -> bool {
    let is_letter = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b',' && byte != b'=';
    !value.is_empty() && value.len() <= 256 && value.bytes().all(is_letter)
}

/// The same properties with another context: in the place of the one that is there, or at the end.
/// `None` if they would be too long to be encoded.
pub(super) fn replaced(properties: &[u8], old: Option<&str>, new: Context) -> Option<Arc<[u8]>> {
    let new = new.to_string();
    let mut all = Vec::with_capacity(properties.len() + 5 + PARENT.len() + Context::LEN);
    match old {
        Some(old) => {
            // It is a part of the properties, behind its length.
            let at = old
                .as_ptr()
                .addr()
                .checked_sub(properties.as_ptr().addr())?;
            all.extend_from_slice(properties.get(..at.checked_sub(2)?)?);
            put(&mut all, &new)?;
            all.extend_from_slice(properties.get(at.checked_add(old.len())?..)?);
        }
        None => {
            all.extend_from_slice(properties);
            all.push(USER_PROPERTY);
            put(&mut all, PARENT)?;
            put(&mut all, &new)?;
        }
    }
    Some(all.into())
}

fn put(all: &mut Vec<u8>, text: &str) -> Option<()> {
    all.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
    all.extend_from_slice(text.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn pair(key: &str, value: &str) -> Vec<u8> {
        let mut bytes = vec![USER_PROPERTY];
        put(&mut bytes, key).unwrap();
        put(&mut bytes, value).unwrap();
        bytes
    }

    fn context(text: &str) -> Context {
        Context::parse(text).unwrap()
    }

    fn pairs(properties: &[u8]) -> Vec<(&str, &str)> {
        let forward = codec::publish::parse_forward(properties).unwrap();
        forward.user.iter().collect()
    }

    #[test]
    fn a_context_is_found_among_other_properties() {
        let all = [
            // Payload Format Indicator.
            vec![1, 1],
            pair("a", ONE),
            pair(STATE, "x=y"),
            pair(PARENT, ONE),
        ]
        .concat();
        let found = Carried::of(&all);
        let Carried::One { context: one, text } = found else {
            panic!("{found:?}");
        };
        assert_eq!((one, text, &*state(&all)), (context(ONE), ONE, "x=y"));
        assert_eq!(Carried::of(&pair("Traceparent", ONE)), Carried::Nothing);
        assert_eq!(Carried::of(&[]), Carried::Nothing);
    }

    #[test]
    fn what_is_broken_is_nobodys() {
        let twice = [pair(PARENT, ONE), pair(PARENT, ONE)].concat();
        assert_eq!(Carried::of(&twice), Carried::Broken);
        for text in ["", "00", "00-zz", &ONE.to_ascii_uppercase(), &ONE[..54]] {
            assert_eq!(Carried::of(&pair(PARENT, text)), Carried::Broken, "{text}");
        }
        // Never from a client: it was checked as it came.
        assert_eq!(Carried::of(&[0xff; 99]), Carried::Nothing);
    }

    #[test]
    fn a_state_is_joined_and_left_out_if_it_is_none() {
        let told = |values: &[&str]| {
            let all: Vec<u8> = values.iter().flat_map(|value| pair(STATE, value)).collect();
            state(&all)
        };
        assert_eq!(
            &*told(&["a=1, b@c=2 ", "", "d_*/-=x y,"]),
            "a=1,b@c=2,d_*/-=x y"
        );
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=v")).collect();
        assert_eq!(told(&[&many[..32].join(",")]).matches('=').count(), 32);
        let long = format!("a={}", "x".repeat(257));
        let longest = |length: usize| format!("a={},b={}", "x".repeat(250), "y".repeat(length));
        assert_eq!(told(&[&longest(257)]).len(), 0);
        assert_eq!(told(&[&longest(255)]).len(), 2 + 250 + 1 + 2 + 255);
        let full = format!("{},c=", longest(254));
        assert_eq!(told(&[&format!("{full}z")]).len(), 0);
        for wrong in [
            &many.join(","),
            &long,
            "a",
            "=b",
            "A=1",
            "a=",
            "a=b=c",
            "a=\u{e9}",
        ] {
            assert_eq!(&*told(&[wrong]), "", "{wrong}");
        }
        assert_eq!(&*told(&["a=1", "a=2"]), "");
    }

    #[test]
    fn a_context_takes_the_place_of_another_and_all_else_stays() {
        let newer = format!("01{}-more", &ONE[2..]);
        for old in [ONE, &newer] {
            let all = [pair("a", "b"), pair(PARENT, old), pair(STATE, "x=y")].concat();
            let Carried::One { text, .. } = Carried::of(&all) else {
                panic!("{old}");
            };
            let new = replaced(&all, Some(text), context(OTHER)).unwrap();
            let told = [("a", "b"), (PARENT, OTHER), (STATE, "x=y")];
            assert_eq!(pairs(&new), told);
        }
        let all = pair("a", "b");
        let new = replaced(&all, None, context(OTHER)).unwrap();
        assert_eq!(pairs(&new), [("a", "b"), (PARENT, OTHER)]);
        let new = replaced(&[], None, context(OTHER)).unwrap();
        assert_eq!(&*new, pair(PARENT, OTHER));
        assert_eq!(new.len(), types::Followed::ADDED);
    }
}
