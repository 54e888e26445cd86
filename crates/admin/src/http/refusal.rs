//! What is answered when something is wrong: a status, a word for scripts, words for people.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Failure;

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
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
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

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::NotFound(_) => StatusCode::NOT_FOUND,
            Failure::Exists(_) => StatusCode::CONFLICT,
            Failure::Invalid(_) => StatusCode::BAD_REQUEST,
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
            StatusCode::PAYLOAD_TOO_LARGE => "TOO_LARGE",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UNSUPPORTED_MEDIA_TYPE",
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
        // For the audit log.
        response.extensions_mut().insert(self);
        response
    }
}
