//! Who is not let in.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::check;
use crate::caller::Caller;
use crate::http::input::{Body, Named, Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;
use crate::server::{Ban, BanOn, NewBan};

/// Most bytes of a reason.
const REASON: usize = 1024;

/// Which bans.
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
}

/// List bans
#[utoipa::path(get, path = "/api/v5/banned", tag = "Bans", operation_id = "bans.list",
    params(Wanted),
    responses((status = 200, description = "A page of bans", body = Rows<Ban>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<Ban>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let listed = state.wait(move |state| state.server().bans().bans(page));
    Ok(Json(Rows::new(page, listed.await?)))
}

/// Show a ban
#[utoipa::path(get, path = "/api/v5/banned/{as}/{who}", tag = "Bans", operation_id = "bans.show",
    params(("as" = BanOn, Path, description = "What `who` is"),
        ("who" = String, Path, description = "Whom the ban is about")),
    responses((status = 200, description = "The ban", body = Ban),
        (status = 404, body = Trouble, description = "There is no such ban")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named((on, who)): Named<(BanOn, String)>,
) -> Result<Json<Ban>, Refusal> {
    let ban = state.wait(move |state| state.server().bans().ban(on, &who));
    Ok(Json(ban.await?))
}

/// Ban somebody
///
/// Who is connected is disconnected within a second. A ban that there is already is changed.
#[utoipa::path(post, path = "/api/v5/banned", tag = "Bans", operation_id = "bans.create",
    request_body = NewBan,
    responses((status = 200, description = "The ban", body = Ban),
        (status = 400, body = Trouble, description = "Something about it is wrong")))]
pub(super) async fn create(
    Extract(state): Extract<State>,
    caller: Caller,
    Noted(record): Noted,
    Body(ban): Body<NewBan>,
) -> Result<Json<Ban>, Refusal> {
    record.target(&format!("{}/{}", ban.on.as_str(), ban.who));
    check::name("who", &ban.who).map_err(Refusal::bad)?;
    if ban.reason.len() > REASON {
        return Err(Refusal::bad(format!("reason: more than {REASON} bytes")));
    }
    let ban = state.wait(move |state| {
        let bans = state.server().bans();
        bans.create_ban(ban, &caller.who, &record)
    });
    Ok(Json(ban.await?))
}

/// Lift a ban
#[utoipa::path(delete, path = "/api/v5/banned/{as}/{who}", tag = "Bans",
    operation_id = "bans.delete",
    params(("as" = BanOn, Path, description = "What `who` is"),
        ("who" = String, Path, description = "Whom the ban is about")),
    responses((status = 204, description = "The ban is lifted"),
        (status = 404, body = Trouble, description = "There is no such ban")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named((on, who)): Named<(BanOn, String)>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.server().bans().delete_ban(on, &who, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}
