//! The URL after `-L`.

/// The parts of `mqtt://[user[:password]@]host[:port]/topic`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) topic: Option<String>,
}

impl Url {
    /// Takes a URL apart; what is wrong with it is told in words for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("'{text}' after -L does not begin with mqtt://"));
        };
        match scheme {
            "mqtt" => {}
            "mqtts" | "ws" | "wss" => {
                return Err(format!("{scheme}:// is not yet supported; use mqtt://"));
            }
            _ => return Err(format!("-L knows mqtt://, not {scheme}://")),
        }
        let (authority, topic) = match rest.split_once('/') {
            Some((authority, topic)) => (authority, Some(topic.to_owned())),
            None => (rest, None),
        };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let (username, password) = match user.map(|user| user.split_once(':').unwrap_or((user, "")))
        {
            Some((name, "")) => (Some(percent_decoded(name)?), None),
            Some((name, password)) => (
                Some(percent_decoded(name)?),
                Some(percent_decoded(password)?),
            ),
            None => (None, None),
        };
        // The last colon parts the port, unless it stands within an IPv6 address's brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let port = port
                    .parse()
                    .map_err(|_| format!("'{port}' is not a port"))?;
                (host, Some(port))
            }
            _ => (place, None),
        };
        if host.is_empty() {
            return Err(format!("'{text}' after -L names no host"));
        }
        let topic = topic.filter(|topic| !topic.is_empty());
        Ok(Self {
            username,
            password,
            host: Some(host.to_owned()),
            port,
            topic,
        })
    }
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err("two hexadecimal digits follow a % in the URL after -L".to_owned());
        };
        bytes.extend(u8::try_from(high * 16 + low).ok());
    }
    String::from_utf8(bytes).map_err(|_| "the URL after -L is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let url = |host: &str| Url {
            host: Some(host.to_owned()),
            ..Url::default()
        };
        let some = |text: &str| Some(text.to_owned());
        for (text, parts) in [
            ("mqtt://h", url("h")),
            ("mqtt://h/", url("h")),
            (
                "mqtt://h/a/b",
                Url {
                    topic: some("a/b"),
                    ..url("h")
                },
            ),
            (
                "mqtt://h:1/a",
                Url {
                    port: Some(1),
                    topic: some("a"),
                    ..url("h")
                },
            ),
            ("mqtt://[::1]", url("[::1]")),
            (
                "mqtt://[::1]:9/t",
                Url {
                    port: Some(9),
                    topic: some("t"),
                    ..url("[::1]")
                },
            ),
            (
                "mqtt://u@h",
                Url {
                    username: some("u"),
                    ..url("h")
                },
            ),
            (
                "mqtt://u%40x:p%3aw@h:2/t",
                Url {
                    username: some("u@x"),
                    password: some("p:w"),
                    port: Some(2),
                    topic: some("t"),
                    ..url("h")
                },
            ),
        ] {
            assert_eq!(Url::parse(text), Ok(parts), "{text}");
        }
        for wrong in [
            "h/t",
            "mqtts://h",
            "http://h",
            "mqtt:///t",
            "mqtt://h:x/t",
            "mqtt://%4@h",
        ] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
    }
}
