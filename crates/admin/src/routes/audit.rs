//! Who changed what.

use axum::Json;
use axum::extract::State as Extract;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::audit::Line;
use crate::http::input::{Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;

/// Most lines of a page: a line may have 40 KiB.
const MOST: usize = 1000;

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The page, from 1.
    #[param(minimum = 1)]
    page: Option<u32>,
    /// Lines of a page; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// List the audit log, the newest line first
#[utoipa::path(get, path = "/api/v5/audit", tag = "Server", operation_id = "audit.list",
    params(Wanted),
    responses((status = 200, description = "A page of lines", body = Rows<Line>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<Line>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    if page.limit() > MOST {
        return Err(Refusal::bad(format!("limit: 1 to {MOST} rows")));
    }
    let listed = state.wait(move |state| state.audit().newest(page));
    Ok(Json(Rows::new(page, listed.await?)))
}
