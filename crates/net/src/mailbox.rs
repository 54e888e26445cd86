//! Mail between workers, and from the control plane to a worker.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::Socket;
use types::{LinkInfo, WorkerId};

use crate::counters::Counters;
use crate::listener::Listener;
use crate::poller::Poller;
use crate::transport::Transport;

/// What lies in a mailbox.
#[derive(Debug)]
pub(crate) enum Envelope<M> {
    /// For the core.
    Mail(M),
    /// A link that moves in.
    Adopt(Box<Adopted>),
    /// A link that comes by QUIC.
    #[cfg(all(feature = "quic", unix))]
    Arrive(Box<crate::quic::Arrived>),
    /// A link that the server makes itself.
    #[cfg(unix)]
    Within(Socket),
    /// Look whether clients must go by what their listeners' TLS goes by now.
    RecheckCertificates,
    /// Take connections by this listener too.
    Listen(u16, Arc<Listener>),
    /// Take none by the listener with this place any more.
    Unlisten(u16),
    /// Close the listeners.
    StopAccepting,
    /// End now, drained or not.
    Abandon,
}

/// A link between two workers.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) socket: Socket,
    pub(crate) transport: Option<Box<Transport>>,
    pub(crate) info: LinkInfo,
    pub(crate) received: Vec<u8>,
}

/// The mailboxes of all workers. Mail of one sender to one worker arrives in order, also in
/// relation to links that the sender moves there.
///
/// A mailbox does not know the size of mail and sets no bound: what a core sends, it bounds
/// itself by `Limits::mailbox_bytes` before it admits the cause.
pub struct Mailboxes<M> {
    boxes: Arc<[Mailbox<M>]>,
    counters: Arc<Counters>,
}

impl<M> Mailboxes<M> {
    pub(crate) fn new(pollers: &[Arc<Poller>], counters: Arc<Counters>) -> Self {
        let boxes = pollers
            .iter()
            .map(|poller| Mailbox::new(Arc::clone(poller)))
            .collect();
        Self { boxes, counters }
    }

    /// The number of workers; their ids are those below it.
    pub fn workers(&self) -> usize {
        self.boxes.len()
    }

    /// Puts mail into a worker's mailbox and wakes it if it sleeps. Never waits for the
    /// worker.
    ///
    /// # Errors
    /// There is no such worker, or it has ended; the mail comes back.
    pub fn send(&self, to: WorkerId, mail: M) -> Result<(), Undeliverable<M>> {
        match self.put(to, Envelope::Mail(mail)) {
            Ok(()) => Ok(()),
            Err(Envelope::Mail(mail)) => Err(Undeliverable(mail)),
            Err(_) => unreachable!("a mailbox gives back what it was given"),
        }
    }

    /// After [`crate::TlsDoor::swap`]: cuts the clients whose certificates are revoked or come from
    /// an authority that is trusted no more, soon and a few at a time (S75, S81).
    pub fn recheck_certificates(&self) {
        for id in (0..=u16::MAX).map(WorkerId).take(self.boxes.len()) {
            // A worker that has ended has no clients.
            let _ = self.put(id, Envelope::RecheckCertificates);
        }
    }

    pub(crate) fn put(&self, to: WorkerId, envelope: Envelope<M>) -> Result<(), Envelope<M>> {
        let Some(mailbox) = self.boxes.get(to.index()) else {
            return Err(envelope);
        };
        let wake = {
            let mut inner = mailbox.lock();
            if inner.state == Owner::Gone {
                return Err(envelope);
            }
            inner.mail.push(envelope);
            inner.begin_wake()
        };
        self.wake(mailbox, wake);
        Ok(())
    }

    /// Appends a whole batch and empties it, with one wake-up at most. Mail to a worker that
    /// has ended is dropped and counted.
    pub(crate) fn post(&self, to: WorkerId, batch: &mut Vec<Envelope<M>>) {
        let Some(mailbox) = self.boxes.get(to.index()) else {
            panic!(
                "a core sends mail to worker {}, of {}",
                to.0,
                self.boxes.len()
            );
        };
        let wake = {
            let mut inner = mailbox.lock();
            if inner.state == Owner::Gone {
                drop(inner);
                batch
                    .drain(..)
                    .for_each(|_| self.counters.undelivered.add_one());
                return;
            }
            inner.mail.append(batch);
            inner.begin_wake()
        };
        self.wake(mailbox, wake);
    }

    pub(crate) fn of(&self, worker: WorkerId) -> &Mailbox<M> {
        &self.boxes[worker.index()]
    }

    fn wake(&self, mailbox: &Mailbox<M>, wake: bool) {
        if wake {
            self.counters.wakes.add_one();
            mailbox
                .poller
                .wake()
                .expect("a worker's wake-up channel works while it exists");
        }
    }
}

impl<M> Clone for Mailboxes<M> {
    fn clone(&self) -> Self {
        Self {
            boxes: Arc::clone(&self.boxes),
            counters: Arc::clone(&self.counters),
        }
    }
}

impl<M> fmt::Debug for Mailboxes<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailboxes")
            .field("workers", &self.boxes.len())
            .finish_non_exhaustive()
    }
}

/// Mail to a worker that does not exist or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undeliverable<M>(
    /// The mail.
    pub M,
);

impl<M> fmt::Display for Undeliverable<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the worker does not exist or has ended")
    }
}

impl<M: fmt::Debug> std::error::Error for Undeliverable<M> {}

/// One worker's mailbox.
///
/// Whether the owner sleeps stands under the same lock as the mail, so no order of events
/// loses a wake-up, and only the first sender to a sleeper pays for one.
pub(crate) struct Mailbox<M> {
    inner: Mutex<Inner<M>>,
    poller: Arc<Poller>,
}

struct Inner<M> {
    mail: Vec<Envelope<M>>,
    state: Owner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It will look at the mail before it sleeps.
    Awake,
    /// The first mail must wake it.
    Asleep,
    /// It takes no more mail.
    Gone,
}

impl<M> Inner<M> {
    /// Whether the owner must be woken. It counts as awake from here.
    fn begin_wake(&mut self) -> bool {
        let wake = self.state == Owner::Asleep;
        if wake {
            self.state = Owner::Awake;
        }
        wake
    }
}

impl<M> Mailbox<M> {
    fn new(poller: Arc<Poller>) -> Self {
        let inner = Inner {
            mail: Vec::new(),
            state: Owner::Awake,
        };
        Self {
            inner: Mutex::new(inner),
            poller,
        }
    }

    /// The owner is about to sleep. `false`: it has mail and must not.
    pub(crate) fn try_sleep(&self) -> bool {
        let mut inner = self.lock();
        let idle = inner.mail.is_empty();
        if idle {
            inner.state = Owner::Asleep;
        }
        idle
    }

    /// The owner is awake and takes all mail, in exchange for an empty list whose memory is
    /// used again.
    pub(crate) fn take(&self, mail: &mut Vec<Envelope<M>>) {
        debug_assert!(
            mail.is_empty(),
            "mail is handed over whole before more is taken"
        );
        // After a flood, what it grew to is given back.
        mail.shrink_to(KEPT_CAPACITY);
        let mut inner = self.lock();
        inner.state = Owner::Awake;
        std::mem::swap(&mut inner.mail, mail);
    }

    /// The owner ends; what nobody will read is dropped. Returns how much that was.
    pub(crate) fn close(&self) -> usize {
        let mail = {
            let mut inner = self.lock();
            inner.state = Owner::Gone;
            std::mem::take(&mut inner.mail)
        };
        mail.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // Nothing under the lock runs foreign code; a list is whole at every point.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Most envelopes for which a mailbox keeps memory while it is empty.
const KEPT_CAPACITY: usize = 4096;

/// Pollers for so many workers.
pub(crate) fn pollers(workers: usize) -> io::Result<Vec<Arc<Poller>>> {
    (0..workers).map(|_| Poller::new().map(Arc::new)).collect()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const HERE: WorkerId = WorkerId(0);

    fn mailboxes() -> Mailboxes<u32> {
        Mailboxes::new(&pollers(1).unwrap(), Arc::default())
    }

    fn read(mailboxes: &Mailboxes<u32>) -> Vec<u32> {
        let mut mail = Vec::new();
        mailboxes.of(HERE).take(&mut mail);
        let numbers = mail.into_iter().map(|envelope| match envelope {
            Envelope::Mail(number) => number,
            _ => panic!("only mail was sent"),
        });
        numbers.collect()
    }

    #[test]
    fn only_the_first_mail_to_a_sleeper_wakes_it() {
        let mailboxes = mailboxes();
        mailboxes.send(HERE, 0).unwrap();
        assert_eq!(mailboxes.counters.wakes(), 0, "it is awake");
        assert!(!mailboxes.of(HERE).try_sleep(), "it has mail");
        assert_eq!(read(&mailboxes), [0]);
        assert!(mailboxes.of(HERE).try_sleep());
        for number in 1..=100 {
            mailboxes.send(HERE, number).unwrap();
        }
        let mut batch: Vec<_> = (101..=200).map(Envelope::Mail).collect();
        mailboxes.post(HERE, &mut batch);
        assert!(batch.is_empty());
        assert_eq!(mailboxes.counters.wakes(), 1);
        assert_eq!(read(&mailboxes), (1..=200).collect::<Vec<_>>());
    }

    #[test]
    fn a_closed_mailbox_gives_mail_back() {
        let mailboxes = mailboxes();
        mailboxes.send(HERE, 1).unwrap();
        assert_eq!(mailboxes.of(HERE).close(), 1);
        assert_eq!(mailboxes.send(HERE, 2), Err(Undeliverable(2)));
        assert_eq!(mailboxes.send(WorkerId(9), 3), Err(Undeliverable(3)));
        mailboxes.post(HERE, &mut vec![Envelope::Mail(4)]);
        assert_eq!(mailboxes.counters.undelivered(), 1);
    }

    #[test]
    fn no_wake_up_is_lost_between_threads() {
        const EACH: u32 = 20_000;
        let mailboxes = mailboxes();
        let poller = Arc::clone(&mailboxes.of(HERE).poller);
        let senders = [0, 1, 2].map(|sender| {
            let mailboxes = mailboxes.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    mailboxes.send(HERE, sender * EACH + number).unwrap();
                }
            })
        });
        let mut next = [0, EACH, 2 * EACH];
        let mut events = crate::poller::Events::new();
        while next != [EACH, 2 * EACH, 3 * EACH] {
            if mailboxes.of(HERE).try_sleep() {
                // A lost wake-up would hang here.
                poller.wait(&mut events, None).unwrap();
            }
            for number in read(&mailboxes) {
                let expected = &mut next[(number / EACH) as usize];
                assert_eq!(number, *expected, "mail of one sender keeps its order");
                *expected += 1;
            }
        }
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    }
}
