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
        /// `tracestate`; empty without, or if it is too long.
        state: &'a str,
        /// `traceparent` as it stands there.
        text: &'a str,
    },
}

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
/// Most bytes of `tracestate` that go into a span.
const LONGEST_STATE: usize = 512;
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
        let (mut found, mut state) = (None, "");
        for (key, value) in forward.user.iter() {
            if key == PARENT && found.replace(value).is_some() {
                return Self::Broken;
            }
            if key == STATE && value.len() <= LONGEST_STATE {
                state = value;
            }
        }
        let Some(text) = found else {
            return Self::Nothing;
        };
        match Context::parse(text) {
            Some(context) => Self::One {
                context,
                state,
                text,
            },
            None => Self::Broken,
        }
    }
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
        let Carried::One {
            context: one,
            state,
            text,
        } = found
        else {
            panic!("{found:?}");
        };
        assert_eq!((one, state, text), (context(ONE), "x=y", ONE));
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
    }
}
