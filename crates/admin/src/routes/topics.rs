//! The topics that there are.

use axum::Json;
use axum::extract::State as Extract;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::http::input::{Params, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::topics::{LastValue, Level, LevelWanted};

/// Which level of the topics.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Below this topic; nothing: the first level.
    under: Option<String>,
    /// Names of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `meta.after` of the piece before.
    after: Option<String>,
}

/// Most names of a piece.
const MOST: usize = 1000;

/// List the topics, one level at a time
///
/// A piece ends early where its names are long: go on with `meta.after` as long as there is one.
///
/// To ask is to watch: behind each question, workers tell of messages for half a minute. Topics are
/// known that were published to while somebody watched, and those on which a message is retained.
#[utoipa::path(get, path = "/api/v5/topics", tag = "Topics", operation_id = "topics.list",
    params(Wanted),
    responses((status = 200, description = "Some names of the level", body = Level),
        (status = 400, body = Trouble, description = "A number is out of range")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Level>, Refusal> {
    let limit = page(None, wanted.limit)?.limit();
    if limit > MOST {
        return Err(Refusal::bad(format!("limit: 1 to {MOST} names")));
    }
    // A topic may begin with an empty level, but the first level is asked for by nothing.
    let wanted = LevelWanted {
        under: wanted.under.filter(|under| !under.is_empty()),
        after: wanted.after,
        limit,
    };
    let level = state.wait(move |state| state.server().topics().level(&wanted));
    Ok(Json(level.await?))
}

/// Which topic.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The topic.
    topic: String,
}

/// Show the last value of a topic
///
/// What was published while somebody watched, else what is retained.
#[utoipa::path(get, path = "/api/v5/topics/last", tag = "Topics", operation_id = "topics.last",
    params(Which),
    responses((status = 200, description = "The value, and those before it", body = LastValue),
        (status = 403, body = Trouble, description = "Viewers see no payloads"),
        (status = 404, body = Trouble, description = "Nothing is known of it")))]
pub(super) async fn last(
    Extract(state): Extract<State>,
    Params(which): Params<Which>,
) -> Result<Json<LastValue>, Refusal> {
    let topic = which.topic.clone();
    // The tree is another's for moments: who serves all does not wait for it.
    let seen = state.wait(move |state| state.server().topics().seen(&topic));
    if let Some(seen) = seen.await? {
        return Ok(Json(seen));
    }
    Ok(Json(state.server().topics().kept(which.topic).await?))
}
