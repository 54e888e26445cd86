//! Bridges to other servers.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::input::{Named, Noted};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::{Bridge, BridgeOrder};
use crate::{Failure, Record};

/// All bridges.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AllBridges {
    /// In the order of the configuration.
    data: Vec<Bridge>,
}

/// List bridges
#[utoipa::path(get, path = "/api/v5/bridges", tag = "Bridges", operation_id = "bridges.list",
    responses((status = 200, description = "All bridges", body = AllBridges)))]
pub(super) async fn list(Extract(state): Extract<State>) -> Json<AllBridges> {
    let data = state.server().bridges().bridges();
    Json(AllBridges { data })
}

/// Show a bridge
#[utoipa::path(get, path = "/api/v5/bridges/{name}", tag = "Bridges", operation_id = "bridges.show",
    params(("name" = String, Path, description = "The bridge")),
    responses((status = 200, description = "The bridge", body = Bridge),
        (status = 404, body = Trouble, description = "There is no such bridge")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(name): Named<String>,
) -> Result<Json<Bridge>, Refusal> {
    let mut all = state.server().bridges().bridges().into_iter();
    let found = all.find(|bridge| bridge.name == name);
    let found = found.ok_or_else(|| Failure::NotFound(format!("there is no bridge {name}")))?;
    Ok(Json(found))
}

/// Connect a bridge anew
///
/// One that is switched off is switched on. Nothing is lost by it.
#[utoipa::path(put, path = "/api/v5/bridges/{name}/restart", tag = "Bridges",
    operation_id = "bridges.restart",
    params(("name" = String, Path, description = "The bridge")),
    responses((status = 204, description = "It begins anew"),
        (status = 404, body = Trouble, description = "There is no such bridge")))]
pub(super) async fn restart(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    ordered(&state, name, BridgeOrder::Restart, record).await
}

/// Switch a bridge on
#[utoipa::path(put, path = "/api/v5/bridges/{name}/enable", tag = "Bridges",
    operation_id = "bridges.enable",
    params(("name" = String, Path, description = "The bridge")),
    responses((status = 204, description = "It is switched on"),
        (status = 404, body = Trouble, description = "There is no such bridge")))]
pub(super) async fn enable(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    ordered(&state, name, BridgeOrder::Enable, record).await
}

/// Switch a bridge off
///
/// Until it is switched on, or the server starts again. What is to go out waits meanwhile.
#[utoipa::path(put, path = "/api/v5/bridges/{name}/disable", tag = "Bridges",
    operation_id = "bridges.disable",
    params(("name" = String, Path, description = "The bridge")),
    responses((status = 204, description = "It is switched off"),
        (status = 404, body = Trouble, description = "There is no such bridge")))]
pub(super) async fn disable(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    ordered(&state, name, BridgeOrder::Disable, record).await
}

async fn ordered(
    state: &State,
    name: String,
    order: BridgeOrder,
    record: Record,
) -> Result<StatusCode, Refusal> {
    let done = state.wait(move |state| state.server().bridges().order(&name, order, &record));
    done.await?;
    Ok(StatusCode::NO_CONTENT)
}
