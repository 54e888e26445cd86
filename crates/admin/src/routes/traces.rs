//! Traces: what happens to one client, topic or address, line by line.

use std::io::Write;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Failure;
use crate::caller::{Caller, Rights};
use crate::http::download::{Download, download as streamed};
use crate::http::input::{Body, Named, Noted, Params};
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::State;
use crate::server::Server;
use crate::server::traces::{Chunk, NewTrace, PayloadEncode, Trace};

/// All traces.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Traces {
    data: Vec<Trace>,
}

/// List traces, the newest first
#[utoipa::path(get, path = "/api/v5/trace", tag = "Traces", operation_id = "traces.list",
    responses((status = 200, description = "All traces", body = Traces)))]
pub(super) async fn list(Extract(state): Extract<State>) -> Result<Json<Traces>, Refusal> {
    let data = state.wait(|state| state.server().traces().traces());
    Ok(Json(Traces { data: data.await? }))
}

/// Start a trace
///
/// It ends by itself at its time, after 16 MiB of lines, or when the server ends.
#[utoipa::path(post, path = "/api/v5/trace", tag = "Traces", operation_id = "traces.start",
    request_body = NewTrace,
    responses((status = 201, description = "It goes on", body = Trace),
        (status = 400, body = Trouble, description = "Name, value or time make no sense"),
        (status = 409, body = Trouble, description = "There is one of this name")))]
pub(super) async fn start(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Body(new): Body<NewTrace>,
) -> Result<(StatusCode, Json<Trace>), Refusal> {
    record.target(&new.name);
    let started = state.wait(move |state| state.server().traces().start_trace(new, &record));
    Ok((StatusCode::CREATED, Json(started.await?)))
}

/// Stop a trace; its lines stay
#[utoipa::path(put, path = "/api/v5/trace/{name}/stop", tag = "Traces", operation_id = "traces.stop",
    params(("name" = String, Path, description = "The trace")),
    responses((status = 200, description = "It is over", body = Trace),
        (status = 404, body = Trouble, description = "There is no such trace")))]
pub(super) async fn stop(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<Json<Trace>, Refusal> {
    let stopped = state.wait(move |state| state.server().traces().stop_trace(&name, &record));
    Ok(Json(stopped.await?))
}

/// Stop a trace and remove its lines
#[utoipa::path(delete, path = "/api/v5/trace/{name}", tag = "Traces",
    operation_id = "traces.delete",
    params(("name" = String, Path, description = "The trace")),
    responses((status = 204, description = "It is gone"),
        (status = 404, body = Trouble, description = "There is no such trace")))]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Noted(record): Noted,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    let gone = state.wait(move |state| state.server().traces().delete_trace(&name, &record));
    gone.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which part of a trace.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// From this byte on: `meta.position` of the part before, or 0.
    position: Option<u64>,
    /// Most bytes; 65536 unless given.
    #[param(minimum = 1, maximum = 1_048_576)]
    bytes: Option<u32>,
}

/// Bytes of a part unless another number is asked for.
const USUAL: u32 = 64 * 1024;
/// Most bytes of a part.
const MOST: u32 = 1024 * 1024;

/// Read lines of a trace, as it grows
///
/// Each line is an object of JSON. Viewers may read traces without payloads only.
#[utoipa::path(get, path = "/api/v5/trace/{name}/log", tag = "Traces", operation_id = "traces.log",
    params(("name" = String, Path, description = "The trace"), Part),
    responses((status = 200, description = "Lines", body = Chunk),
        (status = 400, body = Trouble, description = "A number is out of range"),
        (status = 403, body = Trouble, description = "It has payloads, which viewers do not see"),
        (status = 404, body = Trouble, description = "There is no such trace")))]
pub(super) async fn log(
    Extract(state): Extract<State>,
    caller: Caller,
    Named(name): Named<String>,
    Params(part): Params<Part>,
) -> Result<Json<Chunk>, Refusal> {
    let bytes = part.bytes.unwrap_or(USUAL);
    if bytes == 0 || bytes > MOST {
        return Err(Refusal::bad(format!("bytes: 1 to {MOST}")));
    }
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let position = part.position.unwrap_or(0);
    // No file goes beyond that.
    if i64::try_from(position).is_err() {
        return Err(Refusal::bad(format!("position: 0 to {}", i64::MAX)));
    }
    let read = state.wait(move |state| {
        let server = state.server();
        let may = may_read(server, &caller, &name)?;
        let chunk = may.then(|| server.traces().read_trace(&name, position, bytes));
        chunk.transpose()
    });
    Ok(Json(read.await?.ok_or_else(hidden)?))
}

/// Download a trace
#[utoipa::path(get, path = "/api/v5/trace/{name}/download", tag = "Traces",
    operation_id = "traces.download",
    params(("name" = String, Path, description = "The trace")),
    responses((status = 200, description = "All lines", body = String, content_type = "text/plain"),
        (status = 403, body = Trouble, description = "It has payloads, which viewers do not see"),
        (status = 404, body = Trouble, description = "There is no such trace"),
        (status = 503, body = Trouble, description = "Others download traces")))]
pub(super) async fn download(
    Extract(state): Extract<State>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Response, Refusal> {
    let turn = state.download_turn()?;
    let asked = name.clone();
    let may = state.wait(move |state| may_read(state.server(), &caller, &asked));
    if !may.await? {
        return Err(hidden());
    }
    let (mut sink, body) = streamed();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let written = copy(state.server(), &name, &mut sink);
        sink.end(written);
    });
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// Writes all lines that there are, part by part.
fn copy(server: &dyn Server, name: &str, sink: &mut Download) -> Result<(), Failure> {
    let part = usize::try_from(USUAL).unwrap_or(usize::MAX);
    let mut position = 0;
    loop {
        let chunk = server.traces().read_trace(name, position, part)?;
        if chunk.meta.bytes == 0 {
            return Ok(());
        }
        let sent = sink.write_all(chunk.items.as_bytes());
        sent.map_err(|error| Failure::Unavailable(format!("the other side: {error}")))?;
        position = chunk.meta.position;
    }
}

/// Whether somebody may read the lines of a trace (S96).
fn may_read(server: &dyn Server, caller: &Caller, name: &str) -> Result<bool, Failure> {
    let trace = server.traces().trace(name)?;
    let shows_payloads = trace.payload_encode != PayloadEncode::Hidden;
    Ok(!shows_payloads || caller.rights >= Rights::Operator)
}

fn hidden() -> Refusal {
    let words = "this trace has payloads in it, which the role viewer does not see";
    Refusal::new(StatusCode::FORBIDDEN, words)
}
