//! What is kept, and how safely.

use axum::Json;
use axum::extract::State as Extract;

use crate::http::state::State;
use crate::server::Store;

/// What acknowledgements promise, and what the store holds
#[utoipa::path(get, path = "/api/v5/store", tag = "Server", operation_id = "store",
    responses((status = 200, description = "Classes of durability, and the store's figures",
        body = Store)))]
pub(super) async fn show(Extract(state): Extract<State>) -> Json<Store> {
    Json(state.server().store())
}
