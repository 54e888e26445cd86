//! What happens, as it happens: Server-Sent Events.
//!
//! A stream holds a connection and a place among the streams, and no place among the requests. It
//! ends with the server, with the token or key that it was asked for with, and when its reader does
//! not keep up.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use hyper::body::Bytes;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use crate::caller::Caller;
use crate::http::refusal::{Refusal, Trouble};
use crate::http::state::{Place, State};
use crate::web::still_holds;

/// Events on their way to a reader; more wait as what they are about: the newest.
const WAITING: usize = 4;

/// How long a reader may take for what waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// After so long without an event comes a comment, so that nobody on the way hangs up.
const QUIET: Duration = Duration::from_secs(15);

/// What happens, as it happens
///
/// Server-Sent Events: `overview` each second, with what `/api/v5/overview` answers; `alarm` at the
/// beginning and when one is raised or over, with how many are active.
#[utoipa::path(get, path = "/api/v5/events", tag = "Figures", operation_id = "events",
    responses((status = 200, description = "A stream that does not end by itself", body = String,
            content_type = "text/event-stream"),
        (status = 503, body = Trouble, description = "Too many follow already")))]
pub(super) async fn follow(
    Extract(state): Extract<State>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let place = state.stream_place(&caller)?;
    let (to, body) = Channel::<Bytes, Infallible>::new(WAITING);
    tokio::spawn(tell(state, (caller, headers), to, place));
    let kind = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        // Proxies are not to collect it.
        ("x-accel-buffering", "no"),
    ];
    Ok((kind, Body::new(body)).into_response())
}

/// How many alarms are active.
#[derive(Serialize)]
struct Alarmed {
    active: u64,
}

/// Tells one reader, until something ends it.
async fn tell(
    state: State,
    (caller, headers): (Caller, HeaderMap),
    mut to: Sender<Bytes, Infallible>,
    _place: Place,
) {
    let server = state.server();
    let mut overviews = server.figures().overviews();
    let mut alarms = server.alarms().changes();
    let mut stop = state.stop();
    overviews.mark_changed();
    alarms.mark_changed();
    loop {
        let next = async {
            tokio::select! {
                biased;
                changed = alarms.changed() => {
                    let active = server.alarms().active().iter().map(|(_, count)| count).sum();
                    changed.is_ok().then(|| event("alarm", &Alarmed { active })).flatten()
                }
                changed = overviews.changed() => {
                    let overview = overviews.borrow_and_update().clone();
                    changed.is_ok().then(|| event("overview", &*overview)).flatten()
                }
                () = sleep(QUIET) => Some(Bytes::from_static(b":\n\n")),
            }
        };
        let sent = async {
            let event = next.await?;
            if !still_holds(&caller, &headers, state.staff()) {
                return None;
            }
            timeout(PATIENCE, to.send_data(event)).await.ok()?.ok()
        };
        let sent = tokio::select! {
            biased;
            _ = stop.changed() => None,
            sent = sent => sent,
        };
        if sent.is_none() {
            return;
        }
    }
}

fn event(name: &str, data: &impl Serialize) -> Option<Bytes> {
    // One line: JSON has no line breaks of its own.
    let data = serde_json::to_string(data).ok()?;
    Some(format!("event: {name}\ndata: {data}\n\n").into())
}
