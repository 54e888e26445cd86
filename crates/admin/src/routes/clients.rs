//! Who is connected or away.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;

use crate::http::input::{Named, Noted};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::Client;

/// Show a client
#[utoipa::path(get, path = "/api/v5/clients/{clientid}", tag = "Clients",
    operation_id = "clients.show",
    params(("clientid" = String, Path, description = "The client identifier")),
    responses((status = 200, description = "The client, connected or away", body = Client),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
) -> Result<Json<Client>, Refusal> {
    Ok(Json(state.server().clients().client(clientid).await?))
}

/// Disconnect a client
///
/// Its session stays as long as it would. To keep it out, ban it.
#[utoipa::path(delete, path = "/api/v5/clients/{clientid}", tag = "Clients",
    operation_id = "clients.kick",
    params(("clientid" = String, Path, description = "The client identifier")),
    responses((status = 204, description = "The client is disconnected"),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn kick(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(clientid): Named<String>,
) -> Result<StatusCode, Refusal> {
    // Who is not there has no line that says that he was disconnected.
    state.server().clients().client(clientid.clone()).await?;
    state.wait(move |_| record.acted()).await?;
    state.server().clients().kick(clientid).await?;
    Ok(StatusCode::NO_CONTENT)
}
