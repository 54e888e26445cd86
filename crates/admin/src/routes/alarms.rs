//! What is wrong, and what was lately.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::alarms::Alarm;
use crate::http::input::{Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;

/// Which alarms.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The page, from 1.
    #[param(minimum = 1)]
    page: Option<u32>,
    /// Rows of a page; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// Those that are active, or those that are over; without it both.
    activated: Option<bool>,
}

/// List alarms, the active ones first
#[utoipa::path(get, path = "/api/v5/alarms", tag = "Server", operation_id = "alarms.list",
    params(Wanted),
    responses((status = 200, description = "A page of alarms", body = Rows<Alarm>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<Alarm>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let listed = state.server().alarms().list(wanted.activated, page);
    Ok(Json(Rows::new(page, listed)))
}

/// Forget the alarms that are over
#[utoipa::path(delete, path = "/api/v5/alarms", tag = "Server", operation_id = "alarms.forget",
    responses((status = 204, description = "They are forgotten; active ones stay")))]
pub(super) async fn forget(
    Extract(state): Extract<State>,
    Noted(record): Noted,
) -> Result<StatusCode, Refusal> {
    let forget = move |state: &State| {
        record.acted()?;
        state.server().alarms().forget();
        Ok(StatusCode::NO_CONTENT)
    };
    state.wait(forget).await
}
