//! What the server does, in numbers: at a glance, lately, and in EMQX's names.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::input::Params;
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::metrics::{self, Kind, Number};
use crate::server::figures::{Overview, Sample};

/// The server at a glance
#[utoipa::path(get, path = "/api/v5/overview", tag = "Figures", operation_id = "overview",
    responses((status = 200, description = "As of the last second", body = Overview)))]
pub(super) async fn overview(Extract(state): Extract<State>) -> Json<Overview> {
    let overview = state.server().figures().overview();
    Json(Overview::clone(&overview))
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// Seconds up to now; an hour unless given, and no more than a week.
    #[param(minimum = 1, maximum = 604_800)]
    latest: Option<u32>,
}

/// Seconds of a week: more is not kept.
const WEEK: u32 = 604_800;
/// Seconds of an hour.
const HOUR: u32 = 3600;

/// What the server did lately
///
/// At most 720 samples, the oldest first: an hour by 5 seconds, a day by 2 minutes, a week by 14
/// minutes. Messages and bytes are those of the step.
#[utoipa::path(get, path = "/api/v5/monitor", tag = "Figures", operation_id = "monitor",
    params(Span),
    responses((status = 200, description = "Samples", body = Vec<Sample>),
        (status = 400, body = Trouble, description = "The span is out of range")))]
pub(super) async fn monitor(
    Extract(state): Extract<State>,
    Params(span): Params<Span>,
) -> Result<Json<Vec<Sample>>, Refusal> {
    let seconds = span.latest.unwrap_or(HOUR);
    if !(1..=WEEK).contains(&seconds) {
        return Err(Refusal::bad("latest: 1 to 604800 seconds"));
    }
    let span = Duration::from_secs(seconds.into());
    let samples = state.wait(move |state| Ok(state.server().figures().monitor(span)));
    Ok(Json(samples.await?))
}

/// The server at a glance, as EMQX says it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Current {
    /// Sessions, of connected clients and of those that are away.
    connections: u64,
    /// Clients that are connected.
    live_connections: u64,
    /// Sessions.
    sessions: u64,
    /// Subscriptions, shared ones among them.
    subscriptions: u64,
    /// Shared subscriptions.
    shared_subscriptions: u64,
    /// Topic filters that somebody subscribed to.
    topics: u64,
    /// Retained messages.
    retained_msg_count: u64,
    /// PUBLISH packets that came in the last second.
    received_msg_rate: f64,
    /// PUBLISH packets that went out in the last second.
    sent_msg_rate: f64,
    /// Messages that were dropped in the last second.
    dropped_msg_rate: f64,
    /// Seconds since the start.
    node_uptime: u64,
}

/// The server at a glance, as EMQX says it
#[utoipa::path(get, path = "/api/v5/monitor_current", tag = "Figures",
    operation_id = "monitor.current",
    responses((status = 200, description = "As of the last second", body = Current)))]
pub(super) async fn current(Extract(state): Extract<State>) -> Json<Current> {
    let now = state.server().figures().overview();
    Json(Current {
        connections: now.sessions,
        live_connections: now.connections,
        sessions: now.sessions,
        subscriptions: now.subscriptions,
        shared_subscriptions: now.shared_subscriptions,
        topics: now.topics,
        retained_msg_count: now.retained,
        received_msg_rate: now.messages_in_per_s,
        sent_msg_rate: now.messages_out_per_s,
        dropped_msg_rate: now.dropped_per_s,
        node_uptime: now.uptime_ms / 1000,
    })
}

/// In which shape.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Shape {
    /// One object, and not a list with one for each server.
    aggregate: Option<bool>,
}

/// Figures by their names with dots; `node` has the server's name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Named {
    /// A list with the object of this server.
    Each([BTreeMap<String, serde_json::Value>; 1]),
    /// The object alone.
    Sum(BTreeMap<String, serde_json::Value>),
}

/// What is, in EMQX's names
#[utoipa::path(get, path = "/api/v5/stats", tag = "Figures", operation_id = "stats",
    params(Shape),
    responses((status = 200, description = "Figures with dots in their names", body = Named)))]
pub(super) async fn stats(
    Extract(state): Extract<State>,
    Params(shape): Params<Shape>,
) -> Json<Named> {
    Json(named(&state, Kind::Gauge, &shape))
}

/// What has been counted, in EMQX's names
#[utoipa::path(get, path = "/api/v5/metrics", tag = "Figures", operation_id = "metrics",
    params(Shape),
    responses((status = 200, description = "Figures with dots in their names", body = Named)))]
pub(super) async fn metrics(
    Extract(state): Extract<State>,
    Params(shape): Params<Shape>,
) -> Json<Named> {
    Json(named(&state, Kind::Counter, &shape))
}

fn named(state: &State, kind: Kind, shape: &Shape) -> Named {
    let reading = state.reading();
    let mut all: BTreeMap<String, serde_json::Value> = metrics::dotted(&reading, kind)
        .into_iter()
        .filter_map(|(name, number)| {
            let number = match number {
                Number::Whole(number) => number.into(),
                Number::Real(number) => number.into(),
                Number::Times { .. } => return None,
            };
            Some((name.to_owned(), number))
        })
        .collect();
    if shape.aggregate == Some(true) {
        return Named::Sum(all);
    }
    all.insert("node".into(), reading.overview.node.clone().into());
    Named::Each([all])
}

/// A server, as EMQX says it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Node {
    /// Its name.
    node: String,
    /// `running`, or `stopping`.
    node_status: String,
    /// `core`: there is one.
    role: String,
    /// Its version.
    version: String,
    /// Milliseconds since the start.
    uptime: u64,
    /// Sessions, of connected clients and of those that are away.
    connections: u64,
    /// Clients that are connected.
    live_connections: u64,
    /// Most files and sockets that may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fds: Option<u64>,
    /// Bytes of memory that the process holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_used: Option<u64>,
    /// Bytes of memory of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_total: Option<u64>,
    /// Processes of the machine that ran or wanted to, on average over a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    load1: Option<f64>,
    /// The same over five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    load5: Option<f64>,
    /// The same over fifteen minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    load15: Option<f64>,
}

/// The servers: this one
#[utoipa::path(get, path = "/api/v5/nodes", tag = "Figures", operation_id = "nodes",
    responses((status = 200, description = "A list with this server", body = Vec<Node>)))]
pub(super) async fn nodes(Extract(state): Extract<State>) -> Result<Json<[Node; 1]>, Refusal> {
    let node = state.wait(|state| {
        let figures = state.server().figures();
        let (now, machine) = (figures.overview(), figures.machine());
        let load = machine.load;
        let status = match figures.readiness() {
            Ok(()) => "running",
            Err(why) => why,
        };
        Ok(Node {
            node: now.node.clone(),
            node_status: status.into(),
            role: "core".into(),
            version: now.version.clone(),
            uptime: now.uptime_ms,
            connections: now.sessions,
            live_connections: now.connections,
            max_fds: now.open_files_limit,
            memory_used: now.memory_bytes,
            memory_total: machine.memory,
            load1: load.map(|[one, _, _]| one),
            load5: load.map(|[_, five, _]| five),
            load15: load.map(|[_, _, fifteen]| fifteen),
        })
    });
    Ok(Json([node.await?]))
}

/// All metrics, for Prometheus
///
/// By the names of docs/metrics.md, or by EMQX's if `metrics.names` says so.
#[utoipa::path(get, path = "/metrics", tag = "Figures", operation_id = "prometheus",
    responses((status = 200, description = "The text that Prometheus reads", body = String,
        content_type = "text/plain; version=0.0.4")))]
pub(super) async fn prometheus(Extract(state): Extract<State>) -> Response {
    let names = state.server().figures().names();
    let text = metrics::text(&state.reading(), names);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// All metrics, for Prometheus, where EMQX has them
#[utoipa::path(get, path = "/api/v5/prometheus/stats", tag = "Figures",
    operation_id = "prometheus.stats",
    responses((status = 200, description = "As at /metrics", body = String,
        content_type = "text/plain; version=0.0.4")))]
pub(super) async fn prometheus_stats(state: Extract<State>) -> Response {
    prometheus(state).await
}
