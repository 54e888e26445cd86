//! The newest denials.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::denials::{Denial, DenialFilter, Wanted as What};
use crate::http::input::{Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;

/// Which denials: those for which all of this holds.
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
    /// The client identifier is this.
    clientid: Option<String>,
    /// The user is this.
    username: Option<String>,
    /// The topic is this, to the letter.
    topic: Option<String>,
    /// This was wanted.
    #[param(inline)]
    wanted: Option<What>,
}

/// List denials, the newest first
#[utoipa::path(get, path = "/api/v5/authorization/denials", tag = "Authorization",
    operation_id = "denials.list", params(Wanted),
    responses((status = 200, description = "A page of denials", body = Rows<Denial>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<Denial>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let filter = DenialFilter {
        clientid: wanted.clientid,
        username: wanted.username,
        topic: wanted.topic,
        wanted: wanted.wanted,
    };
    let listed = state.wait(move |state| Ok(state.denials().newest(&filter, page)));
    Ok(Json(Rows::new(page, listed.await?)))
}

/// Forget all denials
#[utoipa::path(delete, path = "/api/v5/authorization/denials", tag = "Authorization",
    operation_id = "denials.clear",
    responses((status = 204, description = "There are none")))]
pub(super) async fn clear(
    Extract(state): Extract<State>,
    Noted(record): Noted,
) -> Result<StatusCode, Refusal> {
    let cleared = state.wait(move |state| {
        record.acted()?;
        state.denials().clear();
        Ok(())
    });
    cleared.await?;
    Ok(StatusCode::NO_CONTENT)
}
