//! Who takes longest.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;

use crate::http::input::{Noted, Params, Part};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;
use crate::server::SlowSubscription;

/// List those who take longest, the slowest first
///
/// To ask is to look: at each question workers are asked what waits for whom since when, and times
/// are as exact as the questions are frequent. Less than half a second is not listed. Who was slow
/// is listed for ten minutes from then on.
#[utoipa::path(get, path = "/api/v5/slow_subscriptions", tag = "Topics",
    operation_id = "slow.list", params(Part),
    responses((status = 200, description = "A page of slow consumers", body = Rows<SlowSubscription>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(part): Params<Part>,
) -> Result<Json<Rows<SlowSubscription>>, Refusal> {
    let page = part.page()?;
    let slow = state.server().slow().slow().await?;
    Ok(Json(Rows::new(page, page.of(slow.into_iter()))))
}

/// Forget who was slow
#[utoipa::path(delete, path = "/api/v5/slow_subscriptions", tag = "Topics",
    operation_id = "slow.clear",
    responses((status = 204, description = "There is nobody in the list")))]
pub(super) async fn clear(
    Extract(state): Extract<State>,
    Noted(record): Noted,
) -> Result<StatusCode, Refusal> {
    let cleared = state.wait(move |state| {
        record.acted()?;
        state.server().slow().forget_slow();
        Ok(())
    });
    cleared.await?;
    Ok(StatusCode::NO_CONTENT)
}
