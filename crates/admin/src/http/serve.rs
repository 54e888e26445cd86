//! Connections: how many, from one address too, how large a header, how long idle, how they end.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::crowd::Crowd;
use super::progress::Progress;
use super::state::State;

/// Where connections come in.
pub(crate) trait Entrance {
    /// A connection that has come in.
    type Link: Send + 'static;

    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Link>>;

    /// From where a connection comes, if that is to be counted.
    fn address(link: &Self::Link) -> Option<IpAddr>;

    /// Holds a conversation by it, until it ends.
    fn serve(
        &self,
        link: Self::Link,
        conversation: Conversation,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most connections; others wait to be accepted.
    pub(crate) connections: usize,
    /// Most bytes of a request's head.
    pub(crate) head: usize,
    /// How long a connection may take for the head of a request, idle or not, and for taking anything
    /// of an answer.
    pub(crate) idle: Duration,
    /// How long answers may take when the server ends.
    pub(crate) grace: Duration,
}

/// Most fields of a request's head.
const FIELDS: usize = 64;

/// How long to wait when the system gives no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` changes or its other end is gone; then what was asked is still answered.
pub(crate) async fn serve<E: Entrance>(
    entrance: E,
    state: State,
    bounds: Bounds,
    mut stop: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    // One address cannot have them all.
    let guests = Crowd::new(bounds.connections.div_ceil(4));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&entrance, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.changed() => break,
        };
        let Some((link, place)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let Some(guest) = guests.enter(E::address(&link).map(|it| it.to_canonical())) else {
            // It is closed.
            continue;
        };
        let conversation = Conversation {
            bounds,
            stop: stop.clone(),
        };
        let served = entrance.serve(link, conversation);
        connections.spawn(async move {
            let (_place, _guest) = (place, guest);
            served.await;
        });
    }
    drop(entrance);
    let ended = async {
        while connections.join_next().await.is_some() {}
        // Changes for which nobody waits any more.
        state.finished().await;
    };
    // Who is not done then is cut off: the set ends its tasks when it is dropped.
    drop(timeout(bounds.grace, ended).await);
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept<E: Entrance>(entrance: &E, places: &Arc<Semaphore>) -> Option<(E::Link, Place)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let link = entrance.accept().await.ok()?;
    Some((link, place))
}

/// Requests and answers by one connection.
pub(crate) struct Conversation {
    bounds: Bounds,
    stop: watch::Receiver<()>,
}

impl Conversation {
    /// How long a connection may take until its first request can be read.
    pub(crate) fn patience(&self) -> Duration {
        self.bounds.idle
    }

    /// Answers what is asked by this connection, until it ends.
    pub(crate) async fn hold<Stream, Answer, Answered>(mut self, stream: Stream, answer: Answer)
    where
        Stream: AsyncRead + AsyncWrite + Unpin,
        Answer: Fn(Request<Incoming>) -> Answered,
        Answered: Future<Output = Response>,
    {
        let service = service_fn(|request: Request<Incoming>| {
            let answered = answer(request);
            async { Ok::<_, Infallible>(answered.await) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.idle)
            .max_buf_size(self.bounds.head)
            .max_headers(FIELDS);
        // Who takes nothing of his answer would keep his place for ever.
        let stream = Progress::new(stream, self.bounds.idle);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        // How a connection ends is its other side's business: it hung up, was too slow, or spoke
        // something else, and it has been told so as far as HTTP has words for it.
        tokio::select! {
            ended = connection.as_mut() => drop(ended),
            _ = self.stop.changed() => {
                connection.as_mut().graceful_shutdown();
                drop(connection.await);
            }
        }
    }
}
