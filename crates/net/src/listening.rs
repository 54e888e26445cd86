//! Listeners that come and go while the workers run.

use std::fmt;
use std::io;
use std::sync::Arc;
#[cfg(all(feature = "quic", unix))]
use std::sync::{Mutex, MutexGuard, PoisonError};

use types::WorkerId;

use crate::counters::Counters;
use crate::listener::Listener;
use crate::mailbox::{Envelope, Mailboxes};
#[cfg(all(feature = "quic", unix))]
use crate::quic::{Deliver, Endpoints};
use crate::runtime::Notices;
use crate::transport::Doors;

/// What the workers take connections from. Clones are the same.
pub struct Listening<M> {
    inner: Arc<Inner<M>>,
}

struct Inner<M> {
    mailboxes: Mailboxes<M>,
    counters: Arc<Counters>,
    doors: Doors,
    #[cfg(all(feature = "quic", unix))]
    notices: Notices,
    /// The thread of QUIC, from its first listener on.
    #[cfg(all(feature = "quic", unix))]
    endpoints: Mutex<Option<Endpoints>>,
}

impl<M: Send + 'static> Listening<M> {
    pub(crate) fn new(
        mailboxes: Mailboxes<M>,
        (counters, notices): (Arc<Counters>, Notices),
        doors: Doors,
    ) -> Self {
        #[cfg(not(all(feature = "quic", unix)))]
        drop(notices);
        Self {
            inner: Arc::new(Inner {
                mailboxes,
                counters,
                doors,
                #[cfg(all(feature = "quic", unix))]
                notices,
                #[cfg(all(feature = "quic", unix))]
                endpoints: Mutex::new(None),
            }),
        }
    }

    /// Takes connections by one more listener, soon. Returns its place, which no other listener has
    /// had or will have.
    ///
    /// # Errors
    /// There have been 65,535 of them, or the system has no thread left for QUIC. The listener is
    /// closed then.
    pub fn open(&self, listener: Listener) -> io::Result<u16> {
        let Some(place) = self.inner.doors.push(Arc::clone(listener.door())) else {
            return Err(io::Error::other("no more listeners before a restart"));
        };
        self.inner.counters.add_listener();
        self.begin(place, listener)?;
        Ok(place)
    }

    /// Takes connections by a listener that has its place already.
    pub(crate) fn begin(&self, place: u16, listener: Listener) -> io::Result<()> {
        if listener.address().udp().is_some() {
            return self.begin_quic(place, &listener);
        }
        let listener = Arc::new(listener);
        self.tell_all(|| Envelope::Listen(place, Arc::clone(&listener)));
        Ok(())
    }

    /// Takes no more connections by a listener, soon; those that are there stay. The system refuses
    /// new ones when each worker has heard of it, and with QUIC when the last connection is over.
    pub fn close(&self, place: u16) {
        self.tell_all(|| Envelope::Unlisten(place));
        #[cfg(all(feature = "quic", unix))]
        if let Some(endpoints) = &*self.endpoints() {
            endpoints.close(place);
        }
    }

    /// A link to one of the workers, for a client within the server: what is written to it arrives as
    /// from a connection of the listener [`types::LinkInfo::WITHIN`], which nobody outside can come by.
    ///
    /// # Errors
    /// The system has no descriptors left, or the workers have ended.
    #[cfg(unix)]
    pub fn link(&self) -> io::Result<std::os::unix::net::UnixStream> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        // Any will do: home is found after CONNECT.
        let placed = self
            .inner
            .mailboxes
            .put(WorkerId(0), Envelope::Within(theirs.into()));
        match placed {
            Ok(()) => Ok(ours),
            Err(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn stop_accepting(&self) {
        self.tell_all(|| Envelope::StopAccepting);
        #[cfg(all(feature = "quic", unix))]
        if let Some(endpoints) = &*self.endpoints() {
            endpoints.stop_accepting();
        }
    }

    /// The workers have ended; so does what is beside them.
    pub(crate) fn end(&self) {
        #[cfg(all(feature = "quic", unix))]
        if let Some(endpoints) = self.endpoints().take() {
            endpoints.end();
        }
    }

    pub(crate) fn mailboxes(&self) -> &Mailboxes<M> {
        &self.inner.mailboxes
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.inner.counters
    }

    pub(crate) fn tell_all(&self, envelope: impl Fn() -> Envelope<M>) {
        let workers = self.inner.mailboxes.workers();
        for id in (0..=u16::MAX).map(WorkerId).take(workers) {
            // A worker that has ended accepts no more.
            let _ = self.inner.mailboxes.put(id, envelope());
        }
    }

    #[cfg(not(all(feature = "quic", unix)))]
    fn begin_quic(&self, _: u16, _: &Listener) -> io::Result<()> {
        // No such listener can be bound.
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(all(feature = "quic", unix))]
    fn begin_quic(&self, place: u16, listener: &Listener) -> io::Result<()> {
        let mut endpoints = self.endpoints();
        let endpoints = match &mut *endpoints {
            Some(endpoints) => endpoints,
            none => none.insert(Endpoints::start()?),
        };
        let with = (
            Arc::clone(&self.inner.counters),
            Arc::clone(&self.inner.notices),
        );
        endpoints.open((place, listener), self.deliver(), with)
    }

    /// Takes connections to the workers in turn; home is found after CONNECT.
    #[cfg(all(feature = "quic", unix))]
    fn deliver(&self) -> Deliver {
        use std::sync::atomic::{AtomicU16, Ordering};
        let mailboxes = self.inner.mailboxes.clone();
        let next = AtomicU16::new(0);
        Arc::new(move |arrived| {
            let workers = u16::try_from(mailboxes.workers()).unwrap_or(u16::MAX);
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let to = WorkerId(turn.checked_rem(workers).unwrap_or(0));
            // With a worker that has ended goes what would have been its answer: no place.
            let _ = mailboxes.put(to, Envelope::Arrive(Box::new(arrived)));
        })
    }

    #[cfg(all(feature = "quic", unix))]
    fn endpoints(&self) -> MutexGuard<'_, Option<Endpoints>> {
        let endpoints = self.inner.endpoints.lock();
        endpoints.unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Clone for Listening<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<M> fmt::Debug for Listening<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}
