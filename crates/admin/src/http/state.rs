//! What routes work with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::crowd::{Crowd, Member};
use super::refusal::Refusal;
use super::unsent::Unsent;
use crate::caller::{Caller, Rights, Via};
use crate::metrics::{Reading, Traffic};
use crate::staff::Staff;
use crate::{Audit, Denials, Failure, Server};

/// Most passwords that are hashed at once.
const PASSWORDS: usize = 4;
/// Most requests at once of those who have not said who they are.
pub(crate) const STRANGERS: u16 = 8;

/// Most requests at once by the port of metrics.
pub(crate) const SCRAPES: u16 = 8;

/// Most bytes of answers of each room that wait to be read.
const UNSENT: u32 = 64 * 1024 * 1024;

/// Most traces that are downloaded at once: each takes a thread for as long as its reader likes.
const DOWNLOADS: usize = 4;

/// Most streams of events for one administrator or key.
const STREAMS_OF_ONE: usize = 8;

/// A place for what one asks for; dropping it makes room.
pub(crate) type Place = (OwnedSemaphorePermit, Member<Arc<str>>);

/// What routes work with. Clones are the same.
#[derive(Clone)]
pub(crate) struct State(Arc<Inner>);

struct Inner {
    server: Arc<dyn Server>,
    audit: Arc<Audit>,
    denials: Arc<Denials>,
    staff: Arc<Staff>,
    /// By the control socket, by the port, by the port from strangers, and by the port of metrics:
    /// none of them takes the room of another.
    rooms: [Room; 4],
    /// Who is in the room of the port: one has half of it at most.
    callers: Crowd<Arc<str>>,
    imports: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    passwords: Arc<Semaphore>,
    followers: Crowd<Arc<str>>,
    downloads: Arc<Semaphore>,
    traffic: Arc<Traffic>,
    stop: watch::Receiver<()>,
    time_limit: Duration,
}

/// So many requests at once, and so many bytes of answers.
struct Room {
    places: Arc<Semaphore>,
    most: u16,
    unsent: Unsent,
}

impl Room {
    fn new(most: u16) -> Self {
        let places = Arc::new(Semaphore::new(usize::from(most)));
        let unsent = Unsent::new(UNSENT);
        Self {
            places,
            most,
            unsent,
        }
    }
}

impl State {
    pub(crate) fn new(
        server: Arc<dyn Server>,
        audit: Arc<Audit>,
        denials: Arc<Denials>,
        staff: Arc<Staff>,
        requests: u16,
        time_limit: Duration,
        stop: watch::Receiver<()>,
    ) -> Self {
        Self(Arc::new(Inner {
            server,
            audit,
            denials,
            staff,
            rooms: [requests, requests, STRANGERS, SCRAPES].map(Room::new),
            callers: Crowd::new(usize::from(requests).div_ceil(2)),
            imports: Arc::new(Semaphore::new(1)),
            exports: Arc::new(Semaphore::new(1)),
            passwords: Arc::new(Semaphore::new(PASSWORDS)),
            followers: Crowd::new(STREAMS_OF_ONE),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            traffic: Arc::default(),
            stop,
            time_limit,
        }))
    }

    pub(crate) fn server(&self) -> &dyn Server {
        &*self.0.server
    }

    pub(crate) fn audit(&self) -> &Arc<Audit> {
        &self.0.audit
    }

    pub(crate) fn denials(&self) -> &Denials {
        &self.0.denials
    }

    pub(crate) fn staff(&self) -> &Arc<Staff> {
        &self.0.staff
    }

    /// A turn to hash a password: each takes memory and a processor for a while, and strangers may
    /// ask for it.
    pub(crate) fn password_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0.passwords).try_acquire_owned();
        turn.map_err(|_| Failure::Busy("others sign in right now; try again".into()).into())
    }

    /// A place for a stream of events.
    pub(crate) fn stream_place(&self, caller: &Caller) -> Result<Place, Refusal> {
        let words = "too many follow the events; ask for what you need instead";
        let full = || Refusal::from(Failure::Busy(words.into()));
        let member = self.0.followers.enter(caller.counted());
        let member = member.ok_or_else(full)?;
        let place = self.0.traffic.stream_place();
        Ok((place.ok_or_else(full)?, member))
    }

    /// Changes when the API ends.
    pub(crate) fn stop(&self) -> watch::Receiver<()> {
        self.0.stop.clone()
    }

    /// Counts a request that was answered with this status.
    pub(super) fn answered(&self, status: u16) {
        self.0.traffic.answered(status);
    }

    /// What the API does.
    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.0.traffic)
    }

    /// All that metrics are read from, as it is now.
    pub(crate) fn reading(&self) -> Reading {
        Reading::take(self.server(), &self.0.traffic)
    }

    /// The turn to import a file: there is one, because the database is another's meanwhile.
    pub(crate) fn import_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0.imports).try_acquire_owned();
        turn.map_err(|_| {
            let words = "another import goes on; try again when it is done";
            Failure::Busy(words.into()).into()
        })
    }

    /// The turn to copy all that is kept: one at a time keeps the disk for the clients.
    pub(crate) fn export_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0.exports).try_acquire_owned();
        turn.map_err(|_| {
            let words = "another copy is being made; try again when it is done";
            Failure::Busy(words.into()).into()
        })
    }

    /// A turn to download a trace.
    pub(crate) fn download_turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.0.downloads).try_acquire_owned();
        turn.map_err(|_| Failure::Busy("others download traces; try again".into()).into())
    }

    /// A place for a request, if there is one for who asks.
    pub(super) fn place(&self, caller: &Caller) -> Option<Place> {
        let room = self.room(caller);
        // Strangers and scrapers have no name.
        let who = match caller.via {
            Via::Token | Via::Key => caller.counted(),
            Via::Socket | Via::Nothing => None,
        };
        let member = self.0.callers.enter(who)?;
        let permit = Arc::clone(&room.places).try_acquire_owned().ok()?;
        Some((permit, member))
    }

    /// Where the answer waits to be read.
    pub(super) fn unsent(&self, caller: &Caller) -> Unsent {
        self.room(caller).unsent.clone()
    }

    fn room(&self, caller: &Caller) -> &Room {
        let [by_socket, by_port, strangers, by_scrape] = &self.0.rooms;
        match (caller.via, caller.rights) {
            (Via::Socket, _) => by_socket,
            (_, Rights::Stranger) => strangers,
            (Via::Nothing, _) => by_scrape,
            (Via::Token | Via::Key, _) => by_port,
        }
    }

    /// How long a request may take, and a piece of what is uploaded.
    pub(crate) fn time_limit(&self) -> Duration {
        self.0.time_limit
    }

    /// Waits until no request is inside, and lets none in any more.
    pub(super) async fn finished(&self) {
        for room in &self.0.rooms {
            // It is closed only here.
            drop(room.places.acquire_many(room.most.into()).await);
            room.places.close();
        }
    }

    /// Runs what may wait for a disk, on a thread that may.
    pub(crate) async fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Refusal> {
        let state = self.clone();
        match tokio::task::spawn_blocking(move || work(&state)).await {
            Ok(result) => Ok(result?),
            // It panicked; the hook has said so.
            Err(_) => Err(Refusal::internal()),
        }
    }
}
