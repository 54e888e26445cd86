//! What comes in, and what is wrong with it in plain words.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::refusal::Refusal;
use crate::caller::Caller;
use crate::{Page, Record};

/// The body, as JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let body = Json::<T>::from_request(request, state).await;
        let Json(body) = body.map_err(|rejection| match &rejection {
            JsonRejection::JsonDataError(error) => Refusal::bad(form(&innermost(error))),
            JsonRejection::JsonSyntaxError(error) => {
                Refusal::bad(format!("the body is not JSON: {}", innermost(error)))
            }
            JsonRejection::MissingJsonContentType(_) => Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body is to be JSON, with Content-Type: application/json",
            ),
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
            other => Refusal::new(other.status(), other.body_text()),
        })?;
        Ok(Self(body))
    }
}

/// The query. A key that the route does not know is an error.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match query {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let words = innermost(&rejection);
                Err(Refusal::bad(format!("the query: {words}")))
            }
        }
    }
}

/// The names in the path, decoded.
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        match path {
            Ok(Path(path)) => Ok(Self(path)),
            Err(rejection) if rejection.status().is_client_error() => {
                let words = innermost(&rejection);
                Err(Refusal::bad(format!("the path: {words}")))
            }
            Err(_) => Err(Refusal::internal()),
        }
    }
}

/// Which page of a list that has nothing else to ask for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// The page, from 1.
    #[param(minimum = 1)]
    page: Option<u32>,
    /// Rows of a page; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
}

impl Part {
    /// # Errors
    /// A number is out of its range.
    pub(crate) fn page(&self) -> Result<Page, Refusal> {
        page(self.page, self.limit)
    }
}

/// Which part of a list is asked for (S95).
///
/// # Errors
/// A number is out of its range.
pub(crate) fn page(page: Option<u32>, limit: Option<u32>) -> Result<Page, Refusal> {
    Page::new(page.unwrap_or(1), limit.unwrap_or(Page::USUAL)).map_err(Refusal::bad)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(Refusal::internal)
    }
}

/// The line of the audit log that this change has.
pub(crate) struct Noted(pub(crate) Record);

impl<S: Send + Sync> FromRequestParts<S> for Noted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let record = parts.extensions.get().cloned();
        record.map(Self).ok_or_else(Refusal::internal)
    }
}

/// What lies under the words of the library, which speak of types of Rust.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// What serde says about the form of a body, without what stood in the body: it may be a secret, and
/// what is answered also stands in the audit log (S71). What is expected is ours, and so is all behind
/// the last word that says so.
fn form(words: &str) -> String {
    // Where it is wrong, in names of ours.
    let is_of_path = |letter: char| letter.is_ascii_alphanumeric() || "_.[]".contains(letter);
    match words.split_once(": ") {
        Some((path, rest)) if path.chars().all(is_of_path) => format!("{path}: {}", what(rest)),
        _ => what(words),
    }
}

fn what(words: &str) -> String {
    if STATIC.iter().any(|kind| words.starts_with(kind)) {
        return words.into();
    }
    let kind = KINDS.iter().find(|kind| words.starts_with(*kind));
    let kind = kind.unwrap_or(&"it has the wrong form");
    let wanted = words.rfind(EXPECTED).and_then(|at| words.get(at..));
    if let Some(wanted) = wanted {
        return format!("{kind}, {wanted}");
    }
    let place = words.rfind(" at line ").and_then(|at| words.get(at..));
    format!("{kind}{}", place.unwrap_or_default())
}

/// What stands before what is wanted.
const EXPECTED: &str = "expected ";
/// Words that name fields of ours only.
const STATIC: [&str; 2] = ["missing field `", "duplicate field `"];
/// Words before something of the body.
const KINDS: [&str; 5] = [
    "invalid type",
    "invalid value",
    "invalid length",
    "unknown field",
    "unknown variant",
];

#[cfg(test)]
mod tests {
    use super::form;

    #[test]
    fn s71_what_is_wrong_is_said_without_what_was_sent() {
        for (words, said) in [
            (
                "invalid type: string \"hunter2\", expected struct Change at line 1 column 9",
                "invalid type, expected struct Change at line 1 column 9",
            ),
            (
                "unknown variant `hunter2, expected hunter2`, expected `a` or `b` at line 1 column 9",
                "unknown variant, expected `a` or `b` at line 1 column 9",
            ),
            (
                "\"hunter2\": expected a time at line 1 column 9",
                "it has the wrong form, expected a time at line 1 column 9",
            ),
            (
                "hunter2 is none at line 1 column 9",
                "it has the wrong form at line 1 column 9",
            ),
            ("hunter2", "it has the wrong form"),
            (
                "rules[0].qos: invalid value: string \"hunter2\", expected a number",
                "rules[0].qos: invalid value, expected a number",
            ),
            (
                "old_pwd: hunter2: it is none at line 1 column 9",
                "old_pwd: it has the wrong form at line 1 column 9",
            ),
            (
                "missing field `user_id` at line 1 column 2",
                "missing field `user_id` at line 1 column 2",
            ),
        ] {
            assert_eq!(form(words), said);
        }
    }
}
