//! Roles with their rules.

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
use crate::server::{Role, RoleChange};

/// Which roles.
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

/// List roles
#[utoipa::path(get, path = "/api/v5/authorization/roles", tag = "Roles",
    operation_id = "roles.list", params(Wanted),
    responses((status = 200, description = "A page of roles", body = Rows<Role>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<Role>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let listed = state.wait(move |state| state.server().roles().roles(page));
    Ok(Json(Rows::new(page, listed.await?)))
}

/// Show a role
#[utoipa::path(get, path = "/api/v5/authorization/roles/{name}", tag = "Roles",
    operation_id = "roles.show", params(("name" = String, Path, description = "The name")),
    responses((status = 200, description = "The role", body = Role),
        (status = 404, body = Trouble, description = "There is no such role")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(name): Named<String>,
) -> Result<Json<Role>, Refusal> {
    let role = state.wait(move |state| state.server().roles().role(&name));
    Ok(Json(role.await?))
}

/// Make or change a role
#[utoipa::path(put, path = "/api/v5/authorization/roles/{name}", tag = "Roles",
    operation_id = "roles.put", request_body = RoleChange,
    params(("name" = String, Path, description = "The name")),
    responses((status = 200, description = "The role", body = Role),
        (status = 400, body = Trouble, description = "A rule is wrong")))]
pub(super) async fn set(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
    Body(role): Body<RoleChange>,
) -> Result<Json<Role>, Refusal> {
    check::name("the name", &name).map_err(Refusal::bad)?;
    check::rules(&role.rules)?;
    let role = state.wait(move |state| {
        let roles = state.server().roles();
        roles.put_role(&name, role, &record)
    });
    Ok(Json(role.await?))
}

/// Remove a role
#[utoipa::path(delete, path = "/api/v5/authorization/roles/{name}", tag = "Roles",
    operation_id = "roles.delete", params(("name" = String, Path, description = "The name")),
    responses((status = 204, description = "The role is gone"),
        (status = 404, body = Trouble, description = "There is no such role")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.server().roles().delete_role(&name, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}
