//! Who asks by the port of the dashboard.

use std::net::SocketAddr;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::caller::{Caller, Rights, Via};
use crate::http::refusal::Refusal;
use crate::staff::{Staff, StaffRole};

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
    let (name, role) = by_key(headers, staff).ok_or_else(wrong)?;
    Ok(named(&format!("key {name}"), role.by_key(), Via::Key))
}

/// Whose key a request shows.
fn by_key(headers: &HeaderMap, staff: &Staff) -> Option<(String, StaffRole)> {
    let (scheme, encoded) = shown(headers)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let (key, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    staff.by_key(key, secret)
}

/// Whether what a caller showed with a request still holds: for what goes on after its answer has
/// begun. A token counts as shown.
pub(crate) fn still_holds(caller: &Caller, headers: &HeaderMap, staff: &Staff) -> bool {
    match caller.via {
        Via::Socket => true,
        Via::Token => bearer(headers).is_some_and(|token| staff.by_token(token).is_some()),
        Via::Key => by_key(headers, staff).is_some(),
        Via::Nothing => caller.rights > Rights::Stranger,
    }
}
