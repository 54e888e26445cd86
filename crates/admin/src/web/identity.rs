//! Who asks by the port of the dashboard.

use std::net::SocketAddr;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::caller::{Caller, Rights, Via};
use crate::http::refusal::Refusal;
use crate::staff::Staff;

/// Most bytes of what somebody shows.
const LONGEST: usize = 4096;

/// The token that a request shows.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = shown(headers)?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn shown(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() || value.len() > LONGEST {
        return None;
    }
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    Some((scheme, rest.trim()))
}

/// Who asks. Who shows nothing is a stranger; who shows something wrong is refused.
///
/// # Errors
/// What is shown is wrong, or was too often.
pub(super) fn caller(
    headers: &HeaderMap,
    peer: SocketAddr,
    staff: &Staff,
) -> Result<Caller, Refusal> {
    let named = |who: &str, rights: Rights, via: Via| Caller {
        who: who.into(),
        from: peer.to_string().into(),
        rights,
        via,
        address: Some(peer.ip()),
    };
    if !headers.contains_key(header::AUTHORIZATION) {
        return Ok(named("a stranger", Rights::Stranger, Via::Nothing));
    }
    let wrong = || {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "what you show does not hold; sign in",
        )
    };
    if let Some(token) = bearer(headers) {
        // Nobody guesses 256 bits: what is wrong here is old, and is not counted.
        let (username, role) = staff.by_token(token).ok_or_else(wrong)?;
        return Ok(named(&username, role.in_person(), Via::Token));
    }
    let (scheme, encoded) = shown(headers).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| wrong())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
    let (key, secret) = text.split_once(':').ok_or_else(wrong)?;
    match staff.by_key(key, secret) {
        Some((name, role)) => Ok(named(&format!("key {name}"), role.by_key(), Via::Key)),
        None => Err(wrong()),
    }
}
