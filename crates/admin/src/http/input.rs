//! What comes in, and what is wrong with it in plain words.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

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
            JsonRejection::JsonDataError(error) => Refusal::bad(innermost(error)),
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
