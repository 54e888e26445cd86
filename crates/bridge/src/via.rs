//! Through which servers a message has come, so that it comes to none of them again.
//!
//! The list is one user property, which a bridge makes longer on the way out. So it survives queues,
//! the store and other servers of 5.0, and is lost with a server of MQTT 3 on the way.

use codec::{UserProperties, UserPropertiesBuf};

/// The name of the property.
pub const NAME: &str = "nightjar-via";

/// What a list says to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The message has not been here.
    New,
    /// It has.
    Again,
    /// It has come through more servers than any way has.
    TooMany,
}

/// Whether a message that comes in has been at this server.
pub fn passed(user: &UserProperties<'_>, own: &str) -> Passed {
    look(user, own).0
}

/// Whether a message that goes out has been here before it came the last time: then it has gone round.
pub fn went_round(user: &UserProperties<'_>, own: &str) -> bool {
    matches!(
        look(user, own),
        (Passed::Again, false) | (Passed::TooMany, _)
    )
}

/// What the list says, and whether this server is the last in it.
fn look(user: &UserProperties<'_>, own: &str) -> (Passed, bool) {
    let mut servers = 0_usize;
    let mut last = false;
    let mut passed = Passed::New;
    for (key, list) in user.iter() {
        if key != NAME {
            continue;
        }
        for server in list.split(',') {
            last = server == own;
            if last && passed == Passed::New {
                passed = Passed::Again;
            }
            servers = servers.saturating_add(1);
        }
    }
    match passed {
        Passed::New if servers >= MOST_SERVERS => (Passed::TooMany, last),
        passed => (passed, last),
    }
}

/// The user properties of a message that is at this server: as they are, with this server at the end of
/// the list. `None`: it is there already, or there is no room for it, and they stay as they are.
pub fn extended(user: &UserProperties<'_>, own: &str) -> Option<UserPropertiesBuf> {
    if look(user, own).1 {
        return None;
    }
    let mut found = false;
    let mut list = UserPropertiesBuf::new();
    for (key, value) in user.iter() {
        if key == NAME && !found {
            found = true;
            list.push(key, &[value, ",", own].concat()).ok()?;
        } else {
            list.push(key, value).ok()?;
        }
    }
    if !found {
        // One more could be one too many for the next server, which would end the connection.
        if user.len() >= MOST_PROPERTIES {
            return None;
        }
        list.push(NAME, own).ok()?;
    }
    Some(list)
}

/// No way is longer.
const MOST_SERVERS: usize = 16;
/// With more user properties than these, none is added: servers have bounds on them.
const MOST_PROPERTIES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> UserPropertiesBuf {
        let mut list = UserPropertiesBuf::new();
        for (key, value) in pairs {
            list.push(key, value).unwrap();
        }
        list
    }

    #[test]
    fn s102_a_message_that_was_here_is_known_again() {
        let first = extended(&of(&[("k", "v")]).as_borrowed(), "one").unwrap();
        let pairs: Vec<_> = first.as_borrowed().iter().collect();
        assert_eq!(pairs, [("k", "v"), (NAME, "one")]);
        let second = extended(&first.as_borrowed(), "two").unwrap();
        let second = second.as_borrowed();
        assert_eq!(second.iter().last(), Some((NAME, "one,two")));
        assert_eq!(passed(&second, "one"), Passed::Again);
        assert_eq!(passed(&second, "two"), Passed::Again);
        assert_eq!(passed(&second, "on"), Passed::New);
        // The last one may send it on; the one before would send it round.
        assert!(went_round(&second, "one") && !went_round(&second, "two"));
        assert!(!went_round(&second, "three"));
        assert_eq!(extended(&second, "two"), None);
        assert_eq!(
            passed(&of(&[("k", "one")]).as_borrowed(), "one"),
            Passed::New
        );
    }

    #[test]
    fn s102_no_way_is_endless() {
        let mut list = of(&[]);
        for number in 0..16 {
            assert_eq!(passed(&list.as_borrowed(), "own"), Passed::New);
            list = extended(&list.as_borrowed(), &format!("server-{number}")).unwrap();
        }
        assert_eq!(passed(&list.as_borrowed(), "own"), Passed::TooMany);
    }

    #[test]
    fn a_full_list_of_properties_stays_as_it_is() {
        let many: Vec<_> = (0..60).map(|_| ("k", "v")).collect();
        assert_eq!(extended(&of(&many).as_borrowed(), "own"), None);
        let mut known = of(&many[1..]);
        known.push(NAME, "a").unwrap();
        let longer = extended(&known.as_borrowed(), "own").unwrap();
        assert_eq!(longer.as_borrowed().len(), 60);
    }
}
