//! Whether a request is meant for this server: a page of another site that resolves its own name to
//! this address (DNS rebinding) names that site as host.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderValue, Uri, header};

/// The names that this server goes by.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Vec<String>);

/// How a request calls this server: a name that is known, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// As in the request, with its port.
    pub(crate) authority: String,
    /// Without its port.
    pub(crate) name: String,
}

impl Hosts {
    pub(crate) fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// How a request calls this server; `None` if it means another, or does not say.
    pub(crate) fn called(&self, headers: &HeaderMap, uri: &Uri) -> Option<Called> {
        let authority = single(headers, &header::HOST)?.to_ascii_lowercase();
        // An absolute address counts more than the header (RFC 9112, 3.2.2): they must agree.
        if let Some(other) = uri.authority()
            && !other.as_str().eq_ignore_ascii_case(&authority)
        {
            return None;
        }
        let name = name(&authority)?;
        let known = is_address(name) || name == "localhost" || self.0.iter().any(|one| one == name);
        known.then(|| Called {
            name: name.to_owned(),
            authority: authority.clone(),
        })
    }
}

/// Whether a request comes from the pages of this server, or from no page.
pub(super) fn is_own(headers: &HeaderMap, called: &Called) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => {
            let origin = origin.to_str().unwrap_or("").to_ascii_lowercase();
            let rest = origin.split_once("://").map(|(_, rest)| rest);
            rest == Some(&*called.authority)
        }
        (Some(_), Some(_)) => false,
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value: &HeaderValue = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// The host of `host:port`.
fn name(authority: &str) -> Option<&str> {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(inner) => {
            let end = inner.find(']')?;
            let length = end.checked_add(2)?;
            (authority.get(..length)?, authority.get(length..)?)
        }
        None => match authority.find(':') {
            Some(at) => (authority.get(..at)?, authority.get(at..)?),
            None => (authority, ""),
        },
    };
    let port = rest.strip_prefix(':').unwrap_or(rest);
    let whole = rest.is_empty() || (rest.starts_with(':') && port.parse::<u16>().is_ok());
    (whole && !name.is_empty()).then_some(name)
}

fn is_address(name: &str) -> bool {
    match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4()),
    }
}
