//! What happened to a client.

use axum::Json;
use axum::extract::State as Extract;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::input::{Named, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::Timeline;

/// How much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Most events; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
}

/// Show what happened to a client, the newest first
///
/// So much is kept as `limits.timeline_events` says, of all clients together: those of whom nothing
/// was heard for longest are forgotten first. A client of whom nothing is known has an empty list.
#[utoipa::path(get, path = "/api/v5/clients/{clientid}/timeline", tag = "Clients",
    operation_id = "clients.timeline",
    params(("clientid" = String, Path, description = "The client identifier"), Wanted),
    responses((status = 200, description = "Events", body = Timeline),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(clientid): Named<String>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Timeline>, Refusal> {
    let most = page(None, wanted.limit)?.limit();
    let timeline = state.wait(move |state| Ok(state.server().timeline(&clientid, most)));
    Ok(Json(timeline.await?))
}
