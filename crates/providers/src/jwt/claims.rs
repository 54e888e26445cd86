//! What a token says.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::question::{Known, Question};
use crate::rules;
use crate::settings;

/// What a token must say, and what it may.
#[derive(Debug)]
pub(super) struct Wanted {
    audience: Vec<String>,
    issuer: Option<String>,
    require_expiry: bool,
    user_claim: String,
    groups_claim: Option<String>,
    rules_claim: Option<String>,
    must_match_client: bool,
    /// Where its rules stand.
    source: Arc<str>,
}

impl Wanted {
    pub(super) fn new(settings: &settings::Jwt, name: &Arc<str>) -> Self {
        Self {
            audience: settings.audience.clone(),
            issuer: settings.issuer.clone(),
            require_expiry: settings.require_expiry,
            user_claim: settings.user_claim.clone(),
            groups_claim: settings.groups_claim.clone(),
            rules_claim: settings.rules_claim.clone(),
            must_match_client: settings.must_match_client,
            source: format!("token ({name})").into(),
        }
    }

    /// Reads the claims of a token whose signature is right.
    pub(super) fn read(
        &self,
        payload: &[u8],
        question: &Question,
        now: SystemTime,
    ) -> Result<Known, Arc<str>> {
        let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| DAMAGED)?;
        let claims: Map<String, Value> = serde_json::from_slice(&json).map_err(|_| DAMAGED)?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let valid_for = self.check_times(&claims, now)?;
        self.check_parties(&claims)?;
        if self.must_match_client {
            let claimed = claims.get("clientid").and_then(Value::as_str);
            if claimed.is_none_or(|it| it.is_empty() || it != &*question.client_id) {
                return Err("the token is for another client identifier".into());
            }
        }
        let user = claims.get(&self.user_claim).and_then(Value::as_str);
        let is_name = |name: &&str| !name.is_empty() && !name.chars().any(char::is_control);
        let user = user.filter(is_name).ok_or_else(|| {
            Arc::from(format!(
                "the claim {:?} is no name of a user",
                self.user_claim
            ))
        })?;
        Ok(Known {
            groups: self.groups(&claims)?,
            rules: match self
                .rules_claim
                .as_ref()
                .and_then(|claim| claims.get(claim))
            {
                Some(value) => rules::of_json(value, &self.source)
                    .map_err(|error| Arc::from(format!("the token's rules: {error}")))?,
                None => None,
            },
            valid_for,
            ..Known::user(user)
        })
    }

    /// How long the token is valid from now on.
    fn check_times(
        &self,
        claims: &Map<String, Value>,
        now: Duration,
    ) -> Result<Option<Duration>, Arc<str>> {
        if time(claims, "nbf")?.is_some_and(|begin| begin > now.saturating_add(LEEWAY)) {
            return Err("the token is not valid yet".into());
        }
        match time(claims, "exp")? {
            Some(end) => match end.checked_sub(now) {
                Some(rest) if !rest.is_zero() => Ok(Some(rest)),
                Some(_) | None => Err("the token has expired".into()),
            },
            None if self.require_expiry => Err("the token never expires".into()),
            None => Ok(None),
        }
    }

    fn check_parties(&self, claims: &Map<String, Value>) -> Result<(), Arc<str>> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        if self.issuer.is_some() && self.issuer.as_deref() != issuer {
            return Err("the token is by another issuer".into());
        }
        if self.audience.is_empty() {
            return Ok(());
        }
        let is_ours = |value: &Value| {
            let found = value.as_str();
            found.is_some_and(|found| self.audience.iter().any(|it| it == found))
        };
        let ours = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        };
        if ours {
            Ok(())
        } else {
            Err("the token is for another audience".into())
        }
    }

    fn groups(&self, claims: &Map<String, Value>) -> Result<Vec<Arc<str>>, Arc<str>> {
        let claim = self
            .groups_claim
            .as_ref()
            .and_then(|claim| claims.get(claim));
        let list = match claim {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) if list.len() <= MOST_GROUPS => list.as_slice(),
            Some(one @ Value::String(_)) => std::slice::from_ref(one),
            Some(_) => return Err("the token's groups are no list of names".into()),
        };
        let name = |value: &Value| value.as_str().map(Arc::from);
        let names: Option<_> = list.iter().map(name).collect();
        names.ok_or_else(|| "the token's groups are no list of names".into())
    }
}

/// A point in time, from 1970 on (RFC 7519, 2: NumericDate).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Duration>, Arc<str>> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|it| it.is_finite());
    let seconds = seconds.ok_or_else(|| Arc::from(format!("the claim {name:?} is no time")))?;
    Ok(Some(Duration::from_secs_f64(seconds.clamp(0.0, FAR))))
}

const DAMAGED: &str = "the token is damaged";
/// How much clocks may differ about the beginning of a token.
const LEEWAY: Duration = Duration::from_secs(5);
/// Later than any clock that we will see, in seconds.
const FAR: f64 = 1e12;
const MOST_GROUPS: usize = 1000;
