//! Who is connected or away.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::input::{Named, Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Pieces;
use crate::server::{Client, ClientFilter, Subscription};

/// Which clients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Rows of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// `meta.cursor` of the piece before.
    cursor: Option<String>,
    /// The client identifier contains this.
    like_clientid: Option<String>,
    /// Of this user.
    username: Option<String>,
    /// Connected from this address.
    ip_address: Option<String>,
    /// Connected by the listener of this name.
    listener: Option<String>,
    /// Connected, or away.
    #[param(inline)]
    conn_state: Option<ConnState>,
}

/// Whether a client is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConnState {
    /// It is connected.
    Connected,
    /// Its session waits for it.
    Disconnected,
}

/// List clients
///
/// They are asked of the workers piece by piece: go on with `meta.cursor` while `meta.hasnext` is
/// true, also behind a piece that has fewer rows than asked for. Clients that come and go meanwhile
/// are listed or not.
#[utoipa::path(get, path = "/api/v5/clients", tag = "Clients", operation_id = "clients.list",
    params(Wanted),
    responses((status = 200, description = "Some of the clients", body = Pieces<Client>),
        (status = 400, body = Trouble, description = "A number, cursor or name makes no sense")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Pieces<Client>>, Refusal> {
    let page = page(None, wanted.limit)?;
    let filter = ClientFilter {
        like: wanted.like_clientid,
        username: wanted.username,
        address: wanted.ip_address,
        listener: wanted.listener,
        connected: wanted.conn_state.map(|it| it == ConnState::Connected),
    };
    let clients = state.server().clients();
    let piece = clients.clients(filter, wanted.cursor, page.limit()).await?;
    Ok(Json(Pieces::new(page.rows(), piece)))
}

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Rows of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// `meta.cursor` of the piece before.
    cursor: Option<String>,
}

/// List the subscriptions of a client
#[utoipa::path(get, path = "/api/v5/clients/{clientid}/subscriptions", tag = "Clients",
    operation_id = "clients.subscriptions",
    params(("clientid" = String, Path, description = "The client identifier"), Part),
    responses((status = 200, description = "Some of its subscriptions", body = Pieces<Subscription>),
        (status = 400, body = Trouble, description = "A number or cursor makes no sense"),
        (status = 404, body = Trouble, description = "There is no such client")))]
pub(super) async fn subscriptions(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
    Params(part): Params<Part>,
) -> Result<Json<Pieces<Subscription>>, Refusal> {
    let page = page(None, part.limit)?;
    let clients = state.server().clients();
    let piece = clients.subscriptions(clientid, part.cursor, page.limit());
    Ok(Json(Pieces::new(page.rows(), piece.await?)))
}

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
