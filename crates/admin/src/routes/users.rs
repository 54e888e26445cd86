//! The built-in database of users.

use std::io::BufReader;
use std::time::Instant;

use axum::Json;
use axum::body::Body as Raw;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::check;
use crate::http::input::{Body, Named, Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::http::upload::{Bounds, upload};
use crate::import::{Entries, Format};
use crate::page::Rows;
use crate::server::users::{Existing, Imported, UserFilter};
use crate::server::{NewUser, User, UserChange};
use crate::{Failure, Password};

/// Most bytes of a file with users.
const FILE: u64 = 64 * 1024 * 1024;

/// Which users.
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
    /// The name contains this.
    like_user_id: Option<String>,
    /// The user is in this group.
    group: Option<String>,
}

/// List users
#[utoipa::path(get, path = "/api/v5/authentication/database/users", tag = "Users",
    operation_id = "users.list", params(Wanted),
    responses((status = 200, description = "A page of users", body = Rows<User>),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Rows<User>>, Refusal> {
    let page = page(wanted.page, wanted.limit)?;
    let filter = UserFilter {
        like: wanted.like_user_id,
        group: wanted.group,
    };
    let listed = state.wait(move |state| state.server().users().users(&filter, page));
    Ok(Json(Rows::new(page, listed.await?)))
}

/// Show a user
#[utoipa::path(get, path = "/api/v5/authentication/database/users/{user_id}", tag = "Users",
    operation_id = "users.show", params(("user_id" = String, Path, description = "The name")),
    responses((status = 200, description = "The user", body = User),
        (status = 404, body = Trouble, description = "There is no such user")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(user_id): Named<String>,
) -> Result<Json<User>, Refusal> {
    let user = state.wait(move |state| state.server().users().user(&user_id));
    Ok(Json(user.await?))
}

/// Make a user
#[utoipa::path(post, path = "/api/v5/authentication/database/users", tag = "Users",
    operation_id = "users.create", request_body = NewUser,
    responses((status = 201, description = "The user", body = User),
        (status = 400, body = Trouble, description = "Something about it is wrong"),
        (status = 409, body = Trouble, description = "There is such a user")))]
pub(super) async fn create(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(user): Body<NewUser>,
) -> Result<(StatusCode, Json<User>), Refusal> {
    record.target(&user.user_id);
    record.secret("password");
    check::name("user_id", &user.user_id).map_err(Refusal::bad)?;
    password(&user.password)?;
    client_id(user.client_id.as_deref())?;
    check::names("groups", &user.groups)?;
    check::names("roles", &user.roles)?;
    let user = state.wait(move |state| state.server().users().create_user(user, &record));
    Ok((StatusCode::CREATED, Json(user.await?)))
}

/// Change a user
///
/// What is not given stays as it is.
#[utoipa::path(put, path = "/api/v5/authentication/database/users/{user_id}", tag = "Users",
    operation_id = "users.change", request_body = UserChange,
    params(("user_id" = String, Path, description = "The name")),
    responses((status = 200, description = "The user", body = User),
        (status = 400, body = Trouble, description = "Something about it is wrong"),
        (status = 404, body = Trouble, description = "There is no such user")))]
pub(super) async fn change(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(user_id): Named<String>,
    Body(change): Body<UserChange>,
) -> Result<Json<User>, Refusal> {
    if let Some(new) = &change.password {
        password(new)?;
        record.secret("password");
    }
    client_id(change.client_id.as_deref())?;
    check::names("groups", change.groups.as_deref().unwrap_or_default())?;
    check::names("roles", change.roles.as_deref().unwrap_or_default())?;
    let user = state.wait(move |state| {
        let users = state.server().users();
        users.change_user(&user_id, change, &record)
    });
    Ok(Json(user.await?))
}

/// All groups that a user is in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserGroups {
    /// All groups that the user is in from now on.
    groups: Vec<String>,
}

/// Say which groups a user is in
#[utoipa::path(put, path = "/api/v5/authentication/database/users/{user_id}/groups", tag = "Users",
    operation_id = "users.groups", request_body = UserGroups,
    params(("user_id" = String, Path, description = "The name")),
    responses((status = 200, description = "The user", body = User),
        (status = 404, body = Trouble, description = "There is no such user")))]
pub(super) async fn set_groups(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(user_id): Named<String>,
    Body(UserGroups { groups }): Body<UserGroups>,
) -> Result<Json<User>, Refusal> {
    check::names("groups", &groups)?;
    let change = UserChange {
        groups: Some(groups),
        ..UserChange::default()
    };
    let user = state.wait(move |state| {
        let users = state.server().users();
        users.change_user(&user_id, change, &record)
    });
    Ok(Json(user.await?))
}

/// Remove a user
#[utoipa::path(delete, path = "/api/v5/authentication/database/users/{user_id}", tag = "Users",
    operation_id = "users.delete", params(("user_id" = String, Path, description = "The name")),
    responses((status = 204, description = "The user is gone"),
        (status = 404, body = Trouble, description = "There is no such user")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(user_id): Named<String>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.server().users().delete_user(&user_id, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a file with users is to be taken.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Import {
    /// How the file is written.
    #[param(inline)]
    format: Format,
    /// What becomes of users that exist.
    #[serde(default)]
    #[param(inline)]
    existing: Existing,
}

/// Import users
///
/// The body is the file, at most 64 MiB. All users of it are taken, or none, and within ten minutes:
/// passwords that are no hashes yet take tens of milliseconds each.
#[utoipa::path(post, path = "/api/v5/authentication/database/users/import", tag = "Users",
    operation_id = "users.import", params(Import),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, description = "What came of it", body = Imported),
        (status = 400, body = Trouble, description = "A line is wrong: nothing was imported"),
        (status = 409, body = Trouble, description = "A user exists: nothing was imported"),
        (status = 503, body = Trouble, description = "Another import goes on")))]
pub(super) async fn import(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Params(Import { format, existing }): Params<Import>,
    body: Raw,
) -> Result<Json<Imported>, Refusal> {
    let turn = state.import_turn()?;
    let bounds = Bounds {
        most: FILE,
        piece: state.time_limit(),
        whole: super::SLOW,
    };
    let (file, receive) = upload(body, bounds);
    let began = Instant::now();
    let imported = state.wait(move |state| {
        let _turn = turn;
        // Whoever waited is told by then that it takes too long: nobody hashes on for nobody.
        let mut entries = Entries::new(format, BufReader::new(file)).map(|entry| {
            if began.elapsed() < super::SLOW {
                return entry;
            }
            let words = "this takes too long, and nothing was imported; divide the file";
            Err(Failure::Busy(words.into()))
        });
        let users = state.server().users();
        users.import_users(&mut entries, existing, &record)
    });
    let (imported, ()) = tokio::join!(imported, receive);
    Ok(Json(imported?))
}

/// Empty is none.
fn client_id(id: Option<&str>) -> Result<(), Refusal> {
    match id {
        None | Some("") => Ok(()),
        Some(id) => check::name("client_id", id).map_err(Refusal::bad),
    }
}

fn password(password: &Password) -> Result<(), Refusal> {
    let length = password.reveal().len();
    if (1..=usize::from(u16::MAX)).contains(&length) {
        Ok(())
    } else {
        // More does not fit into CONNECT.
        Err(Refusal::bad("password: 1 to 65535 bytes"))
    }
}
