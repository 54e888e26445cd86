//! Messages that somebody did not get.

use axum::Json;
use axum::extract::State as Extract;

use crate::http::refusal::Refusal;
use crate::http::state::State;
use crate::server::Drops;

/// Show what was dropped: by reason, client and topic, with samples
#[utoipa::path(get, path = "/api/v5/drops", tag = "Topics", operation_id = "drops.show",
    responses((status = 200, description = "What was dropped since the start", body = Drops)))]
pub(super) async fn show(Extract(state): Extract<State>) -> Result<Json<Drops>, Refusal> {
    let drops = state.wait(|state| Ok(state.server().drops()));
    Ok(Json(drops.await?))
}
