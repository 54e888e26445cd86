//! A request before and after its route.
//!
//! Who calls must have come by a door (S91) and must have the rights that the table asks for. At
//! most so many requests are inside, by each door and from strangers; one more is refused at once,
//! and what a stranger sends is read before he is inside. None is waited for beyond the time
//! limit, but a change that has begun is finished, whether or not somebody still waits: a
//! caller that hangs up cannot cut it in two. What answers wait to be read is bounded. Each change
//! leaves a line in the audit log, also if it was refused.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State as Extract};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;

use super::refusal::Refusal;
use super::state::State;
use crate::Record;
use crate::caller::{Caller, Door, Rights};
use crate::routes::{Effect, PROBES, Route};

/// How long a stranger's body may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of it: more than a name and a password have.
const FROM_STRANGERS: usize = 16 * 1024;

/// What stands in front of one route.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) state: State,
    pub(crate) route: &'static Route,
}

/// The layer of each route of the table.
pub(crate) async fn guard(
    Extract(guard): Extract<Guard>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let state = guard.state.clone();
    let answer = guarded(guard, params.ok(), request, next).await;
    let response = finish(answer.unwrap_or_else(Refusal::into_response));
    state.answered(response.status().as_u16());
    response
}

async fn guarded(
    Guard { state, route }: Guard,
    params: Option<RawPathParams>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let caller = caller(&request)?;
    // Strangers learn nothing, and what they try fills no log (S91).
    if caller.rights < route.rights && caller.rights == Rights::Stranger {
        return Err(stranger());
    }
    // Whether the server lives is answered however many ask for something else.
    if PROBES.contains(&route.path) {
        return Ok(caught(next.run(request)).await);
    }
    if caller.rights == Rights::Stranger {
        request = received(request, state.time_limit().min(PATIENCE)).await?;
    }
    let permit = state.place(&caller).ok_or_else(|| {
        let words = "too many requests at once; try again";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
    })?;
    let unsent = state.unsent(&caller);
    let target = target(params);
    let allowed = allowed(&caller, route).and(target.clone().map(drop));
    let limit = route.time_limit.unwrap_or(state.time_limit());
    let record = match route.effect {
        Effect::None => None,
        Effect::Change => {
            let target = target.unwrap_or_else(|_| request.uri().path().into());
            let audit = state.audit();
            Some(audit.record(&caller.who, &caller.from, route.operation, &target))
        }
    };
    if let Some(record) = &record {
        request.extensions_mut().insert(record.clone());
    }
    request.extensions_mut().insert(caller);

    let work = async move {
        let _inside = permit;
        let response = match allowed {
            Ok(()) => caught(next.run(request)).await,
            Err(refusal) => refusal.into_response(),
        };
        match record {
            Some(record) => audited(&state, record, response).await,
            None => {
                let held = unsent.held(response).await;
                held.unwrap_or_else(Refusal::into_response)
            }
        }
    };
    let response = match route.effect {
        Effect::None => timeout(limit, work).await,
        Effect::Change => timeout(limit, kept(work)).await,
    };
    response.map_err(|_| {
        let words = "this takes too long; a change that has begun goes on, see the audit log";
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, words)
    })
}

/// The request with all of its body: who has not said who he is takes nobody's place while he sends.
async fn received(request: Request, patience: Duration) -> Result<Request, Refusal> {
    let (head, body) = request.into_parts();
    let read = timeout(patience, to_bytes(body, FROM_STRANGERS)).await;
    let read = read.map_err(|_| {
        let words = "the body comes too slowly";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, words)
    })?;
    let bytes = read.map_err(|_| {
        let words = "the body is too large, or breaks off";
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, words)
    })?;
    Ok(Request::from_parts(head, Body::from(bytes)))
}

/// What the request is about: the names in its path.
fn target(params: Option<RawPathParams>) -> Result<String, Refusal> {
    let params = params.ok_or_else(|| Refusal::bad("the path: a name in it is not UTF-8"))?;
    let names: Vec<&str> = params.iter().map(|(_, value)| value).collect();
    Ok(names.join("/"))
}

/// What is answered where the table has no route.
pub(crate) async fn nothing(request: Request) -> Response {
    let refusal = match known(&request) {
        Ok(_) => Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path"),
        Err(refusal) => refusal,
    };
    finish(refusal.into_response())
}

/// What is answered where the table has routes for other methods.
pub(crate) async fn other_method(request: Request) -> Response {
    let refusal = match known(&request) {
        Ok(_) => {
            let words = format!("this path is not for {}", request.method());
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words)
        }
        Err(refusal) => refusal,
    };
    finish(refusal.into_response())
}

fn caller(request: &Request) -> Result<Caller, Refusal> {
    let door = request.extensions().get::<Door>();
    door.map(Door::caller).ok_or_else(stranger)
}

/// Who calls, if he is not a stranger.
fn known(request: &Request) -> Result<Caller, Refusal> {
    let caller = caller(request)?;
    if caller.rights == Rights::Stranger {
        return Err(stranger());
    }
    Ok(caller)
}

fn stranger() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "say who you are")
}

fn allowed(caller: &Caller, route: &Route) -> Result<(), Refusal> {
    if caller.rights >= route.rights {
        return Ok(());
    }
    let (has, needs) = (caller.rights.as_str(), route.rights.as_str());
    let words = format!("this is for the rights {needs:?}, and you have {has:?}");
    Err(Refusal::new(StatusCode::FORBIDDEN, words))
}

/// The answer, once the audit log says what became of the change.
async fn audited(state: &State, record: Record, response: Response) -> Response {
    let refusal = response.extensions().get::<Refusal>().cloned();
    if refusal.is_none() && record.outcome().is_some() {
        return response;
    }
    let written = state.wait(move |_| match refusal {
        Some(refusal) if refusal.is_failure() => record.failed(refusal.message()),
        Some(refusal) => record.refused(refusal.message()),
        // Nothing was to be done.
        None => record.acted(),
    });
    match written.await {
        Ok(()) => response,
        Err(refusal) => refusal.into_response(),
    }
}

/// The answer, also if the route panics.
async fn caught(work: impl Future<Output = Response> + Send + 'static) -> Response {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(work);
    // Who hangs up drops the set, and that ends the task.
    match tasks.join_next().await {
        Some(Ok(response)) => response,
        Some(Err(_)) | None => Refusal::internal().into_response(),
    }
}

/// The answer of something that goes on when nobody waits for it any more.
async fn kept(work: impl Future<Output = Response> + Send + 'static) -> Response {
    match tokio::spawn(work).await {
        Ok(response) => response,
        Err(_) => Refusal::internal().into_response(),
    }
}

/// Nothing that is answered here is to be kept, or taken for something else.
fn finish(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
