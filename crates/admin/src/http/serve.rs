//! Connections: how many, how large a header, how long idle, how they end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::state::State;
use crate::caller::Door;

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most connections; others wait to be accepted.
    pub(crate) connections: usize,
    /// Most bytes of a request's head.
    pub(crate) head: usize,
    /// How long a connection may take for the head of a request, idle or not.
    pub(crate) idle: Duration,
    /// How long answers may take when the server ends.
    pub(crate) grace: Duration,
}

/// Most fields of a request's head.
const FIELDS: usize = 64;

/// How long to wait when the system gives no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` changes or its other end is gone; then what was asked is still answered.
pub(crate) async fn serve(
    listener: UnixListener,
    router: Router,
    state: State,
    bounds: Bounds,
    mut stop: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.changed() => break,
        };
        let Some((stream, place)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let user = stream.peer_cred().ok().map(|found| found.uid());
        let door = Door::Control { user };
        let connection = connection(stream, door, router.clone(), bounds, stop.clone());
        connections.spawn(async move {
            let _place = place;
            connection.await;
        });
    }
    drop(listener);
    let ended = async {
        while connections.join_next().await.is_some() {}
        // Changes for which nobody waits any more.
        state.finished().await;
    };
    // Who is not done then is cut off: the set ends its tasks when it is dropped.
    drop(timeout(bounds.grace, ended).await);
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &UnixListener, places: &Arc<Semaphore>) -> Option<(UnixStream, Place)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, place))
}

async fn connection(
    stream: UnixStream,
    door: Door,
    router: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<()>,
) {
    let service =
        service_fn(move |request: Request<Incoming>| answer(router.clone(), door.clone(), request));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle)
        .max_buf_size(bounds.head)
        .max_headers(FIELDS);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // How a connection ends is its other side's business: it hung up, was too slow, or spoke
    // something else, and it has been told so as far as HTTP has words for it.
    tokio::select! {
        ended = connection.as_mut() => drop(ended),
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

async fn answer(
    router: Router,
    door: Door,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(door);
    router.oneshot(request).await
}
