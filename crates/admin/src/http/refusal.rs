//! What is answered when something is wrong: a status, a word for scripts, words for people.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Failure;
use crate::staff::Refused;

/// What is answered when something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Trouble {
    /// A word for scripts: `NOT_FOUND`, `BAD_REQUEST`, ...
    pub(crate) code: String,
    /// Words for people.
    pub(crate) message: String,
}

/// A [`Trouble`] on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    /// When it is worth trying again.
    wait: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            message,
            wait: None,
        }
    }

    /// Too many attempts: after so long it may be tried again.
    pub(crate) fn too_often(wait: Duration) -> Self {
        let seconds = wait.as_secs().saturating_add(1);
        let words = format!("too many attempts failed; try again in {seconds} seconds");
        Self {
            wait: Some(wait),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, words)
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A mistake of the server's own. What went wrong is in its log, not in the answer.
    pub(crate) fn internal() -> Self {
        let words = "the server made a mistake; please report what you asked it";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, words)
    }

    /// Whether the server is to blame, and not the caller.
    pub(crate) fn is_failure(&self) -> bool {
        self.status.is_server_error()
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Wrong => {
                let words = "the name or the password is wrong";
                Self::new(StatusCode::UNAUTHORIZED, words)
            }
            Refused::Code => {
                let words = "the code is wrong; it is in the file setup-code of the server's data \
                             folder, and another one after each start";
                Self::new(StatusCode::UNAUTHORIZED, words)
            }
            Refused::TooOften(wait) => Self::too_often(wait),
            Refused::Failure(failure) => failure.into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::NotFound(_) => StatusCode::NOT_FOUND,
            Failure::Exists(_) => StatusCode::CONFLICT,
            Failure::Changed(_) => StatusCode::PRECONDITION_FAILED,
            Failure::Invalid(_) => StatusCode::BAD_REQUEST,
            Failure::Denied(_) => StatusCode::FORBIDDEN,
            Failure::Busy(_) | Failure::Unavailable(_) | Failure::Audit(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Failure::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, failure.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = match self.status {
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "FORBIDDEN",
            StatusCode::NOT_FOUND => "NOT_FOUND",
            StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
            StatusCode::CONFLICT => "ALREADY_EXISTS",
            StatusCode::PRECONDITION_FAILED => "CHANGED",
            StatusCode::PAYLOAD_TOO_LARGE => "TOO_LARGE",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
            StatusCode::TOO_MANY_REQUESTS => "TOO_MANY_REQUESTS",
            StatusCode::MISDIRECTED_REQUEST => "MISDIRECTED_REQUEST",
            StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
            StatusCode::GATEWAY_TIMEOUT => "TIMEOUT",
            status if status.is_server_error() => "INTERNAL_ERROR",
            _ => "BAD_REQUEST",
        };
        let trouble = Trouble {
            code: code.into(),
            message: self.message.clone(),
        };
        let mut response = (self.status, Json(trouble)).into_response();
        if let Some(wait) = self.wait {
            let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        // For the audit log.
        response.extensions_mut().insert(self);
        response
    }
}
