//! Who takes longest.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::input::{Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;
use crate::server::SlowSubscription;

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The page, from 1.
    #[param(minimum = 1)]
    page: Option<u32>,
    /// Rows of a page; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
}

/// List those who take longest, the slowest first
///
/// To ask is to watch: workers are asked each second for half a minute behind each question. Who was
/// not slow meanwhile is not listed.
#[utoipa::path(get, path = "/api/v5/slow_subscriptions", tag = "Topics",
    operation_id = "slow.list", params(Part),
    responses((status = 200, description = "A page of slow consumers", body = Rows<SlowSubscription>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(part): Params<Part>,
) -> Result<Json<Rows<SlowSubscription>>, Refusal> {
    let page = page(part.page, part.limit)?;
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
