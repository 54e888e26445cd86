//! Groups of users.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::check;
use crate::http::input::{Body, Named, Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Rows;
use crate::server::{Group, GroupChange};

/// Which groups.
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

/// List groups
#[utoipa::path(get, path = "/api/v5/authorization/groups", tag = "Groups",
    operation_id = "groups.list", params(Wanted),
    responses((status = 200, description = "A page of groups", body = Rows<Group>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<Group>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let listed = state.wait(move |state| state.server().roles().groups(page));
    Ok(Json(Rows::new(page, listed.await?)))
}

/// Show a group
#[utoipa::path(get, path = "/api/v5/authorization/groups/{name}", tag = "Groups",
    operation_id = "groups.show", params(("name" = String, Path, description = "The name")),
    responses((status = 200, description = "The group", body = Group),
        (status = 404, body = Trouble, description = "There is no such group")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(name): Named<String>,
) -> Result<Json<Group>, Refusal> {
    let group = state.wait(move |state| state.server().roles().group(&name));
    Ok(Json(group.await?))
}

/// Make or change a group
#[utoipa::path(put, path = "/api/v5/authorization/groups/{name}", tag = "Groups",
    operation_id = "groups.put", request_body = GroupChange,
    params(("name" = String, Path, description = "The name")),
    responses((status = 200, description = "The group", body = Group),
        (status = 400, body = Trouble, description = "There is no such role")))]
pub(super) async fn set(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
    Body(group): Body<GroupChange>,
) -> Result<Json<Group>, Refusal> {
    check::name("the name", &name).map_err(Refusal::bad)?;
    check::names("roles", &group.roles)?;
    let group = state.wait(move |state| {
        let roles = state.server().roles();
        roles.put_group(&name, group, &record)
    });
    Ok(Json(group.await?))
}

/// Remove a group
#[utoipa::path(delete, path = "/api/v5/authorization/groups/{name}", tag = "Groups",
    operation_id = "groups.delete", params(("name" = String, Path, description = "The name")),
    responses((status = 204, description = "The group is gone"),
        (status = 404, body = Trouble, description = "There is no such group")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.server().roles().delete_group(&name, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}
