//! What runs.

use axum::Json;
use axum::extract::State as Extract;

use crate::http::state::State;
use crate::server::Status;

/// What runs
#[utoipa::path(get, path = "/api/v5/status", tag = "Server", operation_id = "status",
    responses((status = 200, description = "What runs", body = Status)))]
pub(super) async fn show(Extract(state): Extract<State>) -> Json<Status> {
    Json(state.server().status())
}
