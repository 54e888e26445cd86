//! Whether the server lives and serves, for probes that do not sign in. Nothing else is said.

use axum::extract::State as Extract;
use axum::http::StatusCode;

use crate::http::state::State;

/// Whether the process lives
#[utoipa::path(get, path = "/livez", tag = "Health", operation_id = "live",
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain")))]
pub(super) async fn live() -> &'static str {
    "ok"
}

/// Whether clients can be served
#[utoipa::path(get, path = "/readyz", tag = "Health", operation_id = "ready",
    responses((status = 200, description = "`ok`", body = String, content_type = "text/plain"),
        (status = 503, description = "Why not, in one word: `stopping`, `store`", body = String,
            content_type = "text/plain")))]
pub(super) async fn ready(Extract(state): Extract<State>) -> (StatusCode, &'static str) {
    match state.server().figures().readiness() {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
