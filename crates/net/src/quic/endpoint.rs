//! The thread of the endpoints.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime, VarInt};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use types::{Peer, WorkerId};

use super::Arrived;
use super::handshake::{attend, server_config};
use crate::counters::{Counters, Notice, Refusal};
use crate::listener::Listener;
use crate::runtime::Notices;
use crate::transport::tls::{HandshakeFailure, TlsDoor};

/// Takes a connection to a worker.
pub(crate) type Deliver = Arc<dyn Fn(Arrived) + Send + Sync>;

/// The thread of all endpoints; none before the first of them opens.
pub(crate) struct Endpoints {
    handle: Handle,
    orders: UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

enum Order {
    Open(Arc<Entrance>, Endpoint),
    /// No new connections by this one.
    Close(u16),
    /// No new connections at all.
    StopAccepting,
    /// All is over.
    End,
}

/// The way in by one listener.
pub(super) struct Entrance {
    /// The listener's place.
    pub(super) place: u16,
    door: TlsDoor,
    unreachable_after: Option<Duration>,
    /// Made of the door's certificates with this number.
    current: Mutex<Option<(u64, Arc<ServerConfig>)>>,
    /// Whether nobody comes in any more.
    closed: AtomicBool,
    /// Handshakes that are not over.
    busy: AtomicUsize,
    deliver: Deliver,
    counters: Arc<Counters>,
    notices: Notices,
}

impl Endpoints {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (orders, inbox) = unbounded_channel();
        let thread = thread::Builder::new()
            .name("quic".into())
            .spawn(move || runtime.block_on(serve(inbox)))?;
        Ok(Self {
            handle,
            orders,
            thread,
        })
    }

    /// Takes connections by a listener.
    ///
    /// # Errors
    /// Its TLS is missing or no use for QUIC, or the system refuses.
    pub(crate) fn open(
        &self,
        (place, listener): (u16, &Listener),
        deliver: Deliver,
        (counters, notices): (Arc<Counters>, Notices),
    ) -> io::Result<()> {
        let Some(door) = listener.door().tls.clone() else {
            let text = "QUIC needs TLS";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let entrance = Entrance {
            place,
            door,
            unreachable_after: listener.unreachable_after(),
            current: Mutex::new(None),
            closed: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            deliver,
            counters,
            notices,
        };
        let (config, _) = entrance.config().map_err(io::Error::other)?;
        let socket = listener.socket().try_clone()?;
        let _within = self.handle.enter();
        let endpoint = Endpoint::new(
            EndpointConfig::default(),
            Some(ServerConfig::clone(&config)),
            socket.into(),
            Arc::new(TokioRuntime),
        )?;
        let entrance = Arc::new(entrance);
        self.handle
            .spawn(accept(endpoint.clone(), Arc::clone(&entrance)));
        self.order(Order::Open(entrance, endpoint));
        Ok(())
    }

    /// Takes no new connections by a listener; those that are there stay.
    pub(crate) fn close(&self, place: u16) {
        self.order(Order::Close(place));
    }

    /// Takes no new connections.
    pub(crate) fn stop_accepting(&self) {
        self.order(Order::StopAccepting);
    }

    /// Ends all connections, and waits until the other sides could have heard of it.
    pub(crate) fn end(self) {
        self.order(Order::End);
        // A panic there has ended all connections, and each has told its worker.
        let _ended = self.thread.join();
    }

    fn order(&self, order: Order) {
        // After a panic there, nobody is left to be told.
        let _told = self.orders.send(order);
    }
}

impl std::fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoints").finish_non_exhaustive()
    }
}

impl Entrance {
    /// One more handshake, until the guard is dropped; `None` if there are too many, or nobody comes
    /// in any more.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Busy> {
        if self.closed.load(Ordering::Relaxed) {
            return None;
        }
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        let busy = Busy(Arc::clone(self));
        (before < MOST_HANDSHAKES).then_some(busy)
    }

    /// Whether so many handshakes are on the way that some may come from forged addresses.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > UNSHOWN_HANDSHAKES
    }

    pub(super) fn deliver(&self, arrived: Arrived) {
        (self.deliver)(arrived);
    }

    /// What a handshake goes by now, and the number of its certificates.
    pub(super) fn config(&self) -> Result<(Arc<ServerConfig>, u64), String> {
        let tls = self.door.current();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((by, config)) = &*current
            && *by == tls.id()
        {
            return Ok((Arc::clone(config), *by));
        }
        let config = Arc::new(server_config(&tls, self.unreachable_after)?);
        *current = Some((tls.id(), Arc::clone(&config)));
        Ok((config, tls.id()))
    }

    pub(super) fn count_failure(&self, class: HandshakeFailure) {
        if let Some(counters) = self.counters.listener(self.place) {
            counters.count_failure(class);
        }
    }

    pub(super) fn refused(&self, worker: WorkerId, peer: Peer, why: Refusal) {
        (self.notices)(Notice::Refused {
            worker,
            listener: self.place,
            peer,
            why,
        });
    }
}

/// A handshake that is not over.
pub(super) struct Busy(Arc<Entrance>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries orders out until the end, or until nobody is left to give any.
async fn serve(mut inbox: UnboundedReceiver<Order>) {
    let mut endpoints: HashMap<u16, (Arc<Entrance>, Endpoint)> = HashMap::new();
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Open(entrance, endpoint) => {
                endpoints.insert(entrance.place, (entrance, endpoint));
            }
            Order::Close(place) => {
                if let Some((entrance, endpoint)) = endpoints.get(&place) {
                    entrance.closed.store(true, Ordering::Relaxed);
                    tokio::spawn(outlive(endpoint.clone()));
                }
            }
            Order::StopAccepting => endpoints
                .values()
                .for_each(|(entrance, _)| entrance.closed.store(true, Ordering::Relaxed)),
            Order::End => break,
        }
    }
    for (_, endpoint) in endpoints.values() {
        endpoint.close(VarInt::from_u32(0), b"");
    }
    for (_, endpoint) in endpoints.values() {
        let _in_time = timeout(GOODBYE, endpoint.wait_idle()).await;
    }
}

/// A closed endpoint keeps its port for the connections that are there.
async fn outlive(endpoint: Endpoint) {
    endpoint.wait_idle().await;
    endpoint.close(VarInt::from_u32(0), b"");
}

async fn accept(endpoint: Endpoint, entrance: Arc<Entrance>) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(attend(incoming, Arc::clone(&entrance)));
    }
}

/// Most handshakes of a listener at a time; who comes then is refused.
const MOST_HANDSHAKES: usize = 1024;
/// Above so many, who comes must first show that the address is theirs (RFC 9000, 8.1.2).
const UNSHOWN_HANDSHAKES: usize = 64;
/// How long the end of the process waits for connections to hear of it.
const GOODBYE: Duration = Duration::from_secs(1);
