//! Who is let in by the dashboard's port, and who is in.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::audit::Outcome;
use crate::caller::{Caller, Rights, Via};
use crate::http::input::Body;
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::staff::{NewAdministrator, Refused, SignedIn, StaffRole};
use crate::{Password, Stamp};

/// Whether the first administrator is still to be made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Setup {
    /// Whether he is.
    needed: bool,
}

/// The first administrator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstAdministrator {
    /// The one-time code that the server printed when it started.
    code: Password,
    /// His name.
    username: String,
    /// At least 10 characters.
    password: Password,
}

/// Name and password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The name.
    username: String,
    /// The password.
    password: Password,
}

/// Somebody who has signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session {
    /// To be shown from now on: `Authorization: Bearer ...`.
    token: String,
    /// What he may do.
    role: StaffRole,
    /// When he has to sign in again; an hour of silence also ends it.
    expires_at: Stamp,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// His name, or that of his key.
    username: String,
    /// What he may do.
    role: StaffRole,
    /// How he showed who he is.
    via: Via,
}

impl From<SignedIn> for Session {
    fn from(made: SignedIn) -> Self {
        Self {
            token: made.token,
            role: made.role,
            expires_at: made.expires_at,
        }
    }
}

/// Whether the first administrator is still to be made
///
/// Needs no login.
#[utoipa::path(get, path = "/api/v5/setup", tag = "Session", operation_id = "setup.show",
    responses((status = 200, description = "Whether he is", body = Setup)))]
pub(super) async fn needed(Extract(state): Extract<State>) -> Json<Setup> {
    let needed = state.staff().needs_setup();
    Json(Setup { needed })
}

/// Make the first administrator
///
/// Needs no login, but the one-time code that the server printed.
#[utoipa::path(post, path = "/api/v5/setup", tag = "Session", operation_id = "setup",
    request_body = FirstAdministrator,
    responses((status = 201, description = "He is made, and signed in", body = Session),
        (status = 401, body = Trouble, description = "The code is wrong"),
        (status = 409, body = Trouble, description = "There are administrators already"),
        (status = 429, body = Trouble, description = "Wrong too often")))]
pub(super) async fn set_up(
    Extract(state): Extract<State>,
    caller: Caller,
    Body(first): Body<FirstAdministrator>,
) -> Result<(StatusCode, Json<Session>), Refusal> {
    let turn = state.password_turn()?;
    let made = state.wait(move |state| {
        let _turn = turn;
        let record = state
            .audit()
            .record(&caller.who, &caller.from, "setup", &first.username);
        let new = NewAdministrator {
            username: first.username,
            password: first.password,
            role: StaffRole::Admin,
            description: "made at the first start".into(),
        };
        let made = state
            .staff()
            .set_up(&first.code, new, caller.address, &record);
        noted(made, &record)
    });
    let made = made.await??;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Sign in
///
/// Needs no login. Five failures by an address and name, or twenty by an address, are too many for
/// five minutes.
#[utoipa::path(post, path = "/api/v5/login", tag = "Session", operation_id = "login",
    request_body = Login,
    responses((status = 200, description = "Signed in", body = Session),
        (status = 401, body = Trouble, description = "Name or password is wrong"),
        (status = 429, body = Trouble, description = "Wrong too often")))]
pub(super) async fn login(
    Extract(state): Extract<State>,
    caller: Caller,
    Body(login): Body<Login>,
) -> Result<Json<Session>, Refusal> {
    let turn = state.password_turn()?;
    let made = state.wait(move |state| {
        let _turn = turn;
        let record = state
            .audit()
            .record(&caller.who, &caller.from, "login", &login.username);
        let staff = state.staff();
        let made = staff.sign_in(&login.username, &login.password, caller.address);
        if made.is_ok() {
            record.acted()?;
        }
        noted(made, &record)
    });
    Ok(Json(made.await??.into()))
}

/// Writes down that somebody was wrong. Who is told to wait has no line, so that nobody can fill the
/// log with attempts.
fn noted(
    made: Result<SignedIn, Refused>,
    record: &crate::Record,
) -> Result<Result<SignedIn, Refusal>, crate::Failure> {
    match &made {
        Err(Refused::Wrong) => record.refused("the name or the password is wrong")?,
        Err(Refused::Code) => record.refused("the code is wrong")?,
        // The line before it says that it was done.
        Err(Refused::Failure(failure)) if record.outcome() == Some(Outcome::Done) => {
            record.failed(&failure.to_string())?;
        }
        Ok(_) | Err(Refused::Failure(_) | Refused::TooOften(_)) => {}
    }
    Ok(made.map_err(Refusal::from))
}

/// Sign out
///
/// The token that is shown holds no more.
#[utoipa::path(post, path = "/api/v5/logout", tag = "Session", operation_id = "logout",
    responses((status = 204, description = "Signed out")))]
pub(super) async fn logout(Extract(state): Extract<State>, headers: HeaderMap) -> StatusCode {
    if let Some(token) = crate::web::bearer(&headers) {
        state.staff().sign_out(token);
    }
    StatusCode::NO_CONTENT
}

/// Who asks
#[utoipa::path(get, path = "/api/v5/me", tag = "Session", operation_id = "me",
    responses((status = 200, description = "Who asks", body = Me)))]
pub(super) async fn me(caller: Caller) -> Json<Me> {
    let role = match caller.rights {
        Rights::Stranger | Rights::Viewer => StaffRole::Viewer,
        Rights::Operator => StaffRole::Operator,
        Rights::Admin | Rights::Owner => StaffRole::Admin,
    };
    Json(Me {
        username: caller.who.to_string(),
        role,
        via: caller.via,
    })
}
