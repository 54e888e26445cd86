//! The log's level, and a copy of all that is kept.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Stamp;
use crate::http::download::download;
use crate::http::input::{Body, Noted};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::tools::Level;

/// How much is written into the log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevel {
    /// The level.
    level: Level,
}

/// Show the log's level
#[utoipa::path(get, path = "/api/v5/log/level", tag = "Server", operation_id = "log.level",
    responses((status = 200, description = "The level", body = LogLevel)))]
pub(super) async fn level(Extract(state): Extract<State>) -> Json<LogLevel> {
    let level = state.server().logging().level();
    Json(LogLevel { level })
}

/// Change the log's level, until the configuration is read again or the server restarts
#[utoipa::path(put, path = "/api/v5/log/level", tag = "Server", operation_id = "log.set",
    request_body = LogLevel,
    responses((status = 200, description = "The level", body = LogLevel),
        (status = 400, body = Trouble, description = "There is no such level")))]
pub(super) async fn set_level(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(wanted): Body<LogLevel>,
) -> Result<Json<LogLevel>, Refusal> {
    let level = wanted.level;
    let set = state.wait(move |state| state.server().logging().set_level(level, &record));
    set.await?;
    Ok(Json(wanted))
}

/// Copy all that is kept: sessions, messages, users, administrators, the configuration
#[utoipa::path(post, path = "/api/v5/data/export", tag = "Server", operation_id = "data.export",
    responses((status = 200, description = "A JSON object a line; whole if its last line says so",
            content_type = "application/x-ndjson", body = String),
        (status = 503, body = Trouble, description = "Another copy is being made")))]
pub(super) async fn export(
    Extract(state): Extract<State>,
    Noted(record): Noted,
) -> Result<Response, Refusal> {
    let turn = state.export_turn()?;
    // Who takes a copy is written down before the first byte leaves.
    state.wait(move |_| record.acted()).await?;
    let (mut sink, body) = download();
    let server = state.clone();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let written = server.server().backup().export(&mut sink);
        sink.end(written);
    });
    let day = Stamp::now().to_string();
    let day = day.get(..10).unwrap_or("backup");
    let named = format!("attachment; filename=\"nightjar-{day}.backup\"");
    let head = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, named),
    ];
    Ok((head, body).into_response())
}
