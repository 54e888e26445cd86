//! Administrators and API keys: who may use this API.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Password;
use crate::caller::{Caller, Via};
use crate::http::input::{Body, Named, Noted};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::staff::{
    Administrator, AdministratorChange, ApiKey, ApiKeyChange, MadeApiKey, NewAdministrator,
    NewApiKey,
};

/// All administrators: there are at most 1000.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllAdministrators {
    data: Vec<Administrator>,
}

/// All keys: there are at most 1000.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllApiKeys {
    data: Vec<ApiKey>,
}

/// A new password, for who knows the old one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// The password until now.
    old_pwd: Password,
    /// At least 10 characters.
    new_pwd: Password,
}

/// List administrators
#[utoipa::path(get, path = "/api/v5/admins", tag = "Staff", operation_id = "admins.list",
    responses((status = 200, description = "All administrators", body = AllAdministrators)))]
pub(super) async fn list(Extract(state): Extract<State>) -> Json<AllAdministrators> {
    let data = state.staff().administrators();
    Json(AllAdministrators { data })
}

/// Make an administrator
#[utoipa::path(post, path = "/api/v5/admins", tag = "Staff", operation_id = "admins.create",
    request_body = NewAdministrator,
    responses((status = 201, description = "The administrator", body = Administrator),
        (status = 400, body = Trouble, description = "Something about him is wrong"),
        (status = 409, body = Trouble, description = "There is one of this name already")))]
pub(super) async fn create(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(new): Body<NewAdministrator>,
) -> Result<(StatusCode, Json<Administrator>), Refusal> {
    record.target(&new.username);
    let turn = state.password_turn()?;
    let made = state.wait(move |state| {
        let _turn = turn;
        state.staff().create_administrator(new, &record)
    });
    Ok((StatusCode::CREATED, Json(made.await?)))
}

/// Change an administrator
#[utoipa::path(put, path = "/api/v5/admins/{username}", tag = "Staff",
    operation_id = "admins.change", request_body = AdministratorChange,
    params(("username" = String, Path, description = "The name")),
    responses((status = 200, description = "The administrator", body = Administrator),
        (status = 400, body = Trouble, description = "He is the last, or something is wrong"),
        (status = 404, body = Trouble, description = "There is no such administrator")))]
pub(super) async fn change(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(username): Named<String>,
    Body(change): Body<AdministratorChange>,
) -> Result<Json<Administrator>, Refusal> {
    let turn = state.password_turn()?;
    let changed = state.wait(move |state| {
        let _turn = turn;
        let staff = state.staff();
        staff.change_administrator(&username, change, &record)
    });
    Ok(Json(changed.await?))
}

/// Remove an administrator
#[utoipa::path(delete, path = "/api/v5/admins/{username}", tag = "Staff",
    operation_id = "admins.delete",
    params(("username" = String, Path, description = "The name")),
    responses((status = 204, description = "He is removed, and signed out"),
        (status = 400, body = Trouble, description = "He is the last"),
        (status = 404, body = Trouble, description = "There is no such administrator")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(username): Named<String>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.staff().delete_administrator(&username, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change one's own password
///
/// Ends all one's sessions. An administrator's password that he forgot is changed by another, or by
/// the control socket: `PUT /admins/{username}`.
#[utoipa::path(post, path = "/api/v5/admins/{username}/change_pwd", tag = "Staff",
    operation_id = "admins.password", request_body = PasswordChange,
    params(("username" = String, Path, description = "One's own name")),
    responses((status = 204, description = "It is changed"),
        (status = 401, body = Trouble, description = "The old password is wrong"),
        (status = 403, body = Trouble, description = "It is not one's own name"),
        (status = 429, body = Trouble, description = "Wrong too often")))]
pub(super) async fn change_password(
    Extract(state): Extract<State>,
    caller: Caller,
    Noted(record): Noted,
    Named(username): Named<String>,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, Refusal> {
    if caller.via != Via::Token || *caller.who != *username {
        let words = "here one changes one's own password only, signed in";
        return Err(Refusal::new(StatusCode::FORBIDDEN, words));
    }
    let turn = state.password_turn()?;
    let changed = state.wait(move |state| {
        let _turn = turn;
        let PasswordChange { old_pwd, new_pwd } = change;
        let staff = state.staff();
        let changed = staff.change_password(&username, &old_pwd, new_pwd, caller.address, &record);
        Ok(changed.map_err(|refused| match refused {
            // 401 would say that the session is over.
            crate::staff::Refused::Wrong => {
                Refusal::new(StatusCode::BAD_REQUEST, "old_pwd: it is wrong")
            }
            other => other.into(),
        }))
    });
    changed.await??;
    Ok(StatusCode::NO_CONTENT)
}

/// List API keys
#[utoipa::path(get, path = "/api/v5/api_key", tag = "Staff", operation_id = "keys.list",
    responses((status = 200, description = "All keys, without their secrets", body = AllApiKeys)))]
pub(super) async fn list_keys(Extract(state): Extract<State>) -> Json<AllApiKeys> {
    let data = state.staff().keys();
    Json(AllApiKeys { data })
}

/// Make an API key
///
/// For Basic authentication: `api_key` is the name, `api_secret` the password. The secret is shown
/// this once. A key never says who may use this API, whatever its role.
#[utoipa::path(post, path = "/api/v5/api_key", tag = "Staff", operation_id = "keys.create",
    request_body = NewApiKey,
    responses((status = 201, description = "The key, with its secret", body = MadeApiKey),
        (status = 400, body = Trouble, description = "Something about it is wrong"),
        (status = 409, body = Trouble, description = "There is one of this name already")))]
pub(super) async fn create_key(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(new): Body<NewApiKey>,
) -> Result<(StatusCode, Json<MadeApiKey>), Refusal> {
    record.target(&new.name);
    let made = state.wait(move |state| state.staff().create_key(new, &record));
    Ok((StatusCode::CREATED, Json(made.await?)))
}

/// Change an API key
#[utoipa::path(put, path = "/api/v5/api_key/{name}", tag = "Staff", operation_id = "keys.change",
    request_body = ApiKeyChange,
    params(("name" = String, Path, description = "What people call it")),
    responses((status = 200, description = "The key", body = ApiKey),
        (status = 404, body = Trouble, description = "There is no such key")))]
pub(super) async fn change_key(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
    Body(change): Body<ApiKeyChange>,
) -> Result<Json<ApiKey>, Refusal> {
    let changed = state.wait(move |state| state.staff().change_key(&name, change, &record));
    Ok(Json(changed.await?))
}

/// Remove an API key
#[utoipa::path(delete, path = "/api/v5/api_key/{name}", tag = "Staff",
    operation_id = "keys.delete",
    params(("name" = String, Path, description = "What people call it")),
    responses((status = 204, description = "It is removed"),
        (status = 404, body = Trouble, description = "There is no such key")))]
pub(super) async fn remove_key(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.staff().delete_key(&name, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}
