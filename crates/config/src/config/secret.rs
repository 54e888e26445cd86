//! What must not be seen: passwords, keys, and addresses with passwords in them (S71).

use std::fmt;

use crate::value::HIDDEN;

/// A password or a key: no error, no log and no rendered configuration shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What it is, for who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// An address such as `postgresql://user:password@host/db`. Shown without its password, and without
/// the values behind `?`, any of which may be one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Url(String);

impl Url {
    /// Takes one of these schemes.
    ///
    /// # Errors
    /// What is wrong; without the text, which may hold a password.
    pub(crate) fn parse(text: &str, schemes: &[&str]) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("this is no address")?;
        if !schemes.contains(&scheme) {
            return Err("this address begins in another way");
        }
        if text
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control())
        {
            return Err("an address has no spaces in it; write %20");
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        // Where the password ends would be a guess, and a wrong guess would show a part of it.
        if authority.matches('@').count() > 1 || path.contains(['@', '#']) {
            return Err(
                "@, /, ? and # in a name or a password would end it; write %40, %2F, %3F and %23",
            );
        }
        let host = authority
            .split_once('@')
            .map_or(authority, |(_, host)| host);
        if host.is_empty() {
            return Err("this address names no host");
        }
        Ok(Self(text.to_owned()))
    }

    /// What it is, password included.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What stands before `://`.
    pub fn scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(scheme, _)| scheme)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (user, host) = match rest.split_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            match user.split_once(':') {
                Some((name, _)) => write!(f, "{name}:{HIDDEN}@")?,
                None => write!(f, "{user}@")?,
            }
        }
        f.write_str(host)?;
        for (place, pair) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            write!(f, "{}{name}={HIDDEN}", if place == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A line of a request's head. Its value may be a token and is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it is called: letters, digits and `-`.
    pub name: String,
    /// What it says.
    pub value: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s71_a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Some(Secret::new("pa55"))), "Some(…)");
        let header = Header {
            name: "Authorization".into(),
            value: Secret::new("Bearer pa55"),
        };
        assert!(!format!("{header:?}").contains("pa55"));
    }

    #[test]
    fn s71_an_address_is_shown_without_its_password() {
        for (text, shown) in [
            ("http://host/path", "http://host/path"),
            ("redis://user@host", "redis://user@host"),
            (
                "postgresql://u:pa55@host:5/db",
                "postgresql://u:…@host:5/db",
            ),
            ("redis://:pa55@host", "redis://:…@host"),
            ("https://host/?token=pa55&x", "https://host/?token=…&x=…"),
        ] {
            let scheme = text.split_once("://").unwrap().0;
            let url = Url::parse(text, &[scheme]).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(url.reveal(), text);
        }
        let url = Url::parse("https://host", &["http", "https"]).unwrap();
        assert_eq!(url.scheme(), "https");
        for text in [
            "",
            "host",
            "ftp://host",
            "https://",
            "https://u:p@",
            "https://ho st",
        ] {
            assert!(Url::parse(text, &["https"]).is_err(), "{text}");
        }
        for text in ["u:p/a@host", "u:p@a@host", "u:p?a@host", "u:p#a@host"] {
            let found = Url::parse(&format!("mysql://{text}/db"), &["mysql"]).unwrap_err();
            assert!(found.ends_with("%40, %2F, %3F and %23"), "{text}: {found}");
        }
    }
}
