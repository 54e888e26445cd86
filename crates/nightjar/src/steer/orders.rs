//! Orders that clients give at control topics: one thread carries them out, one after the other, and
//! the answers go to the sessions that gave them.
//!
//! A control topic of another kind is another line of [`DESKS`]. Who may give orders is decided
//! before they come here, by the rules: `auth::rulebook::Contents::open`.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use admin::Audit;
use auth::Secret;
use broker::{Errand, Mail, NotTaken, Order, Orders, Task};
use tracing::{debug, warn};
use types::{SessionRef, WorkerId};

use super::{Steer, dynsec};

/// Orders that wait.
const WAITING: usize = 32;
/// Most bytes of an order.
const LONGEST: usize = 256 * 1024;

/// Who answers at a control topic.
struct Desk {
    topic: &'static str,
    /// Where answers are published.
    answers: &'static str,
    carry_out: fn(&Clerk, &Received) -> Outcome,
}

/// All of them.
const DESKS: &[Desk] = &[Desk {
    topic: dynsec::TOPIC,
    answers: dynsec::ANSWERS,
    carry_out: dynsec::carry_out,
}];

/// Where orders wait. Workers put them there.
pub(crate) struct Inbox {
    sender: SyncSender<Piece>,
    /// Until somebody carries them out.
    receiver: Mutex<Option<Receiver<Piece>>>,
}

enum Piece {
    Order(Box<Received>),
    End,
}

/// An order that waits.
pub(super) struct Received {
    desk: &'static Desk,
    /// There may be passwords in it.
    pub(super) payload: Secret,
    session: SessionRef,
    /// Who gave it, for the audit log.
    pub(super) who: String,
    /// From where.
    pub(super) from: String,
}

/// What came of an order.
pub(super) struct Outcome {
    /// What who gave it is told.
    pub(super) answer: Vec<u8>,
    /// What live connections are to see of it, when that is on its way: it may end that of who
    /// gave the order.
    pub(super) then: Vec<Then>,
}

/// What live connections see of a change of users.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Then {
    /// Clients of this user are asked about again.
    Refresh(String),
    /// Clients of this user have to prove again who they are.
    End(String),
}

/// Who carries orders out.
pub(super) struct Clerk {
    pub(super) steer: Arc<Steer>,
    pub(super) audit: Arc<Audit>,
    is_ending: Arc<AtomicBool>,
}

impl Inbox {
    /// An empty one.
    pub(crate) fn new() -> Arc<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        Arc::new(Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
        })
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

impl Orders for Inbox {
    fn knows(&self, topic: &str) -> bool {
        DESKS.iter().any(|desk| desk.topic == topic)
    }

    fn take(&self, order: &Order<'_>) -> Result<(), NotTaken> {
        let mut desks = DESKS.iter();
        let desk = desks.find(|desk| desk.topic == order.topic);
        let desk = desk.ok_or(NotTaken::Busy)?;
        if order.payload.len() > LONGEST {
            return Err(NotTaken::TooLarge);
        }
        let from = match order.peer {
            Some(peer) => format!("client {} at {peer}", order.client),
            None => format!("client {}", order.client),
        };
        let received = Received {
            desk,
            payload: Secret::new(order.payload),
            session: order.session,
            who: format!("MQTT user {}", order.user),
            from,
        };
        let put = self.sender.try_send(Piece::Order(Box::new(received)));
        put.map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => NotTaken::Busy,
        })
    }
}

/// The thread. Dropping this ends it, when what it is about is done.
pub(crate) struct Answering {
    thread: Option<JoinHandle<()>>,
    inbox: Arc<Inbox>,
    is_ending: Arc<AtomicBool>,
}

impl Answering {
    /// Begins to carry orders out.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(
        inbox: Arc<Inbox>,
        steer: Arc<Steer>,
        audit: Arc<Audit>,
    ) -> io::Result<Self> {
        let is_ending = Arc::new(AtomicBool::new(false));
        let clerk = Clerk {
            steer,
            audit,
            is_ending: Arc::clone(&is_ending),
        };
        let mut receiver = inbox
            .receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let orders = receiver.take();
        drop(receiver);
        let thread = thread::Builder::new().name("orders".into());
        let thread = thread.spawn(move || {
            for piece in orders.into_iter().flatten() {
                match piece {
                    Piece::Order(order) if !clerk.is_ending() => clerk.serve(&order),
                    Piece::Order(_) | Piece::End => break,
                }
            }
        })?;
        Ok(Self {
            thread: Some(thread),
            inbox,
            is_ending,
        })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // If it is full, the thread sees the flag at the next one.
        let _seen_anyway = self.inbox.sender.try_send(Piece::End);
        if let Some(thread) = self.thread.take() {
            // A panic on it has been told by the hook.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answering")
    }
}

impl Clerk {
    /// Whether nothing more is to be begun.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    fn serve(&self, order: &Received) {
        let outcome = (order.desk.carry_out)(self, order);
        let task = Task::Tell {
            session: order.session.key,
            topic: order.desk.answers.into(),
            payload: outcome.answer.into(),
        };
        self.tell(order.session.worker, task);
        for then in outcome.then {
            let done = match &then {
                Then::Refresh(user) => self.steer.refresh_user(user),
                Then::End(user) => self.steer.end_users([Arc::from(&**user)].into()),
            };
            if let Err(failure) = done {
                warn!(%failure, "connections of a user do not hear of a change");
            }
        }
    }

    fn tell(&self, worker: WorkerId, task: Task) {
        let errand = Errand {
            task,
            reply: Box::new(|done| {
                // Who has left, or does not listen, is answered by nothing.
                debug!(?done, "the answer to an order");
            }),
        };
        let mail = Mail::Errand(Box::new(errand));
        if self.steer.mailboxes.send(worker, mail).is_err() {
            debug!("the answer to an order comes too late: the server ends");
        }
    }
}
