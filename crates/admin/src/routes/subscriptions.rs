//! Who wants what.

use axum::Json;
use axum::extract::State as Extract;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::check;
use crate::http::input::{Body, Params, Part, page};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::page::{Pieces, Rows};
use crate::server::{Matched, SharedGroup, Subscribed, SubscriptionWish};

/// Which subscriptions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Rows of a piece; 100 unless given.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<u32>,
    /// `meta.cursor` of the piece before.
    cursor: Option<String>,
    /// Of this client.
    clientid: Option<String>,
    /// For this filter, to the letter, with `$share/name/` or without.
    topic: Option<String>,
    /// For filters that match this topic.
    match_topic: Option<String>,
    /// In the group of this name.
    share_group: Option<String>,
    /// With this QoS.
    #[param(minimum = 0, maximum = 2)]
    qos: Option<u8>,
}

/// List subscriptions
///
/// They are asked of the workers piece by piece: go on with `meta.cursor` while `meta.hasnext` is
/// true, also behind a piece that has fewer rows than asked for, or none.
#[utoipa::path(get, path = "/api/v5/subscriptions", tag = "Subscriptions",
    operation_id = "subscriptions.list", params(Wanted),
    responses((status = 200, description = "Some of the subscriptions", body = Pieces<Subscribed>),
        (status = 400, body = Trouble, description = "A number, cursor, topic or filter is none")))]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Pieces<Subscribed>>, Refusal> {
    let page = page(None, wanted.limit)?;
    if wanted.qos.is_some_and(|qos| qos > 2) {
        return Err(Refusal::bad("qos: it is not 0, 1 or 2"));
    }
    if let Some(topic) = &wanted.match_topic {
        check::topic(topic)?;
    }
    if let Some(filter) = &wanted.topic {
        check::filter(filter)?;
    }
    let wish = SubscriptionWish {
        clientid: wanted.clientid,
        topic: wanted.topic,
        matching: wanted.match_topic,
        share: wanted.share_group,
        qos: wanted.qos,
    };
    let subscriptions = state.server().subscriptions();
    let piece = subscriptions.subscriptions(wish, wanted.cursor, page.limit());
    Ok(Json(Pieces::new(page.rows(), piece.await?)))
}

/// List shared groups
///
/// With their members. They are made of up to 100,000 memberships.
#[utoipa::path(get, path = "/api/v5/shared_groups", tag = "Subscriptions",
    operation_id = "subscriptions.groups", params(Part),
    responses((status = 200, description = "One page of the groups", body = Rows<SharedGroup>),
        (status = 400, body = Trouble, description = "A number makes no sense")))]
pub(super) async fn groups(
    Extract(state): Extract<State>,
    Params(part): Params<Part>,
) -> Result<Json<Rows<SharedGroup>>, Refusal> {
    let page = part.page()?;
    let groups = state.server().subscriptions().groups(page).await?;
    Ok(Json(Rows::new(page, groups)))
}

/// A message that is thought of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Thought {
    /// Its topic, as the server knows it.
    topic: String,
    /// Who would publish it: No Local keeps it from that client.
    #[serde(default)]
    from: Option<String>,
}

/// Ask who gets a topic
///
/// Nothing is published. At most 1000 receivers are named.
#[utoipa::path(post, path = "/api/v5/subscriptions/match", tag = "Subscriptions",
    operation_id = "subscriptions.match", request_body = Thought,
    responses((status = 200, description = "Who would get the message", body = Matched),
        (status = 400, body = Trouble, description = "The topic is none")))]
pub(super) async fn matching(
    Extract(state): Extract<State>,
    Body(thought): Body<Thought>,
) -> Result<Json<Matched>, Refusal> {
    check::topic(&thought.topic)?;
    let subscriptions = state.server().subscriptions();
    let found = subscriptions.receivers(thought.topic, thought.from);
    Ok(Json(found.await?))
}
