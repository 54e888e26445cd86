//! Doors, their certificates, their figures.

use axum::Json;
use axum::extract::State as Extract;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::state::State;
use crate::server::Listener;

/// All listeners.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AllListeners {
    /// In the order of the configuration.
    data: Vec<Listener>,
}

/// List listeners
#[utoipa::path(get, path = "/api/v5/listeners", tag = "Server", operation_id = "listeners.list",
    responses((status = 200, description = "All listeners", body = AllListeners)))]
pub(super) async fn list(Extract(state): Extract<State>) -> Json<AllListeners> {
    let data = state.server().listeners().listeners();
    Json(AllListeners { data })
}
