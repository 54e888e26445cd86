//! The last message of a topic, kept for who subscribes later.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::check;
use crate::http::input::{Body, Named, Noted, Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::Pieces;
use crate::server::RetainedMessage;

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Rows of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `meta.cursor` of the piece before.
    cursor: Option<String>,
    /// Of topics that match this filter; `#` unless given. Topics that begin with `$` need a filter
    /// that begins so.
    topic: Option<String>,
}

/// Most rows of a piece: messages that lie in the store are loaded for it.
const ROWS: u32 = 1000;

/// List retained messages
///
/// By topic, without payloads. They are looked for piece by piece: go on with `meta.cursor` while
/// `meta.hasnext` is true, also behind a piece that has fewer rows than asked for, or none.
#[utoipa::path(get, path = "/api/v5/mqtt/retainer/messages", tag = "Retained",
    operation_id = "retained.list", params(Wanted),
    responses((status = 200, description = "Some of the messages", body = Pieces<RetainedMessage>),
        (status = 400, body = Trouble, description = "A number, cursor or filter is none")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Pieces<RetainedMessage>>, Refusal> {
    let page = page(None, wanted.limit)?;
    if page.rows() > ROWS {
        return Err(Refusal::bad(format!("limit: 1 to {ROWS} rows")));
    }
    let filter = wanted.topic.filter(|topic| !topic.is_empty());
    let filter = filter.unwrap_or_else(|| "#".into());
    check::plain_filter("topic", &filter)?;
    let retained = state.server().retained();
    let piece = retained.messages(filter, wanted.cursor, page.limit());
    Ok(Json(Pieces::new(page.rows(), piece.await?)))
}

/// Show a retained message
///
/// With its payload, of which it gives the first MiB.
#[utoipa::path(get, path = "/api/v5/mqtt/retainer/message/{topic}", tag = "Retained",
    operation_id = "retained.show",
    params(("topic" = String, Path, description = "The topic")),
    responses((status = 200, description = "The message", body = RetainedMessage),
        (status = 400, body = Trouble, description = "The topic is none"),
        (status = 404, body = Trouble, description = "Nothing is retained for it")))]
pub(super) async fn show(
    Extract(state): Extract<State>,
    Named(topic): Named<String>,
) -> Result<Json<RetainedMessage>, Refusal> {
    check::topic(&topic)?;
    Ok(Json(state.server().retained().message(topic).await?))
}

/// Delete a retained message
///
/// Nobody hears of it: subscribers keep what they were sent.
#[utoipa::path(delete, path = "/api/v5/mqtt/retainer/message/{topic}", tag = "Retained",
    operation_id = "retained.delete",
    params(("topic" = String, Path, description = "The topic")),
    responses((status = 204, description = "The message is gone, and safely so"),
        (status = 400, body = Trouble, description = "The topic is none"),
        (status = 404, body = Trouble, description = "Nothing is retained for it")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(topic): Named<String>,
) -> Result<StatusCode, Refusal> {
    check::topic(&topic)?;
    // What is not there has no line that says that it was deleted.
    state.server().retained().message(topic.clone()).await?;
    state.wait(move |_| record.acted()).await?;
    state.server().retained().clear(topic).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which messages go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Going {
    /// Those of topics that match this filter.
    filter: String,
}

/// How many went.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Gone {
    /// So many.
    deleted: u64,
}

/// Delete retained messages
///
/// All whose topics match the filter, in steps, so that nobody waits; it is answered when that is
/// safe. Nobody hears of it: subscribers keep what they were sent. The audit log has two lines of
/// it: the filter, before anything is deleted, and the number.
#[utoipa::path(post, path = "/api/v5/mqtt/retainer/delete", tag = "Retained",
    operation_id = "retained.clear", request_body = Going,
    responses((status = 200, description = "They are gone", body = Gone),
        (status = 400, body = Trouble, description = "The filter is none"),
        (status = 503, body = Trouble, description = "A part of them is gone at most")))]
pub(super) async fn clear(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(going): Body<Going>,
) -> Result<Json<Gone>, Refusal> {
    check::plain_filter("filter", &going.filter)?;
    record.target(&going.filter);
    let (before, wanted) = (record.clone(), going.clone());
    state
        .wait(move |_| before.done(Some(&wanted), None))
        .await?;
    let deleted = state.server().retained().clear(going.filter).await?;
    let gone = Gone { deleted };
    let said = gone.clone();
    state.wait(move |_| record.done(None, Some(&said))).await?;
    Ok(Json(gone))
}
