//! The chain of providers.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::input::{Noted, Params};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::{Chain, Selector};

/// Show the chain of providers, with figures
#[utoipa::path(get, path = "/api/v5/authentication", tag = "Authentication",
    operation_id = "authentication",
    responses((status = 200, description = "The chain in its order", body = Chain)))]
pub(super) async fn show(Extract(state): Extract<State>) -> Json<Chain> {
    Json(state.server().authentication().chain())
}

/// Whose answers are forgotten. Without any: all.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// Of this client.
    clientid: Option<String>,
    /// Of this user.
    username: Option<String>,
}

/// Forget what back ends said
///
/// They are asked again for what connected clients are granted.
#[utoipa::path(delete, path = "/api/v5/authorization/cache", tag = "Authentication",
    operation_id = "authentication.purge", params(Whose),
    responses((status = 204, description = "It is forgotten"),
        (status = 400, body = Trouble, description = "Both a client and a user are given")))]
pub(super) async fn purge(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Params(whose): Params<Whose>,
) -> Result<StatusCode, Refusal> {
    let selector = match (whose.clientid, whose.username) {
        (None, None) => Selector::All,
        (Some(clientid), None) => {
            record.target(&format!("clientid/{clientid}"));
            Selector::Client(clientid)
        }
        (None, Some(username)) => {
            record.target(&format!("username/{username}"));
            Selector::User(username)
        }
        (Some(_), Some(_)) => return Err(Refusal::bad("give clientid or username, not both")),
    };
    state.wait(move |_| record.acted()).await?;
    state.server().authentication().purge(selector).await?;
    Ok(StatusCode::NO_CONTENT)
}
