//! The thread that keeps certificates good.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::wanted::{Notice, Wanted};
use crate::{authority, folder, validity};

/// Keeps certificates good, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Keeper {
    orders: UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Keep(Wanted),
    Forget(String),
}

/// A certificate that is kept.
struct Kept {
    wanted: Wanted,
    due: Instant,
    /// In a row.
    failures: u32,
}

impl Keeper {
    /// Starts the thread. `notices` is called on it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(notices: Arc<dyn Fn(Notice) + Send + Sync>) -> io::Result<Self> {
        let (orders, inbox) = unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("acme".into())
            .spawn(move || runtime.block_on(keep(inbox, &*notices)))?;
        Ok(Self { orders })
    }

    /// Makes the files of a certificate, with a stand-in if there is none yet, so that
    /// [`Wanted::file`] can be used from now on.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn prepare(wanted: &Wanted) -> io::Result<()> {
        folder::prepare(wanted, SystemTime::now())
    }

    /// Keeps a certificate good, in place of what had its name.
    pub fn keep(&self, wanted: Wanted) {
        self.order(Order::Keep(wanted));
    }

    /// Keeps it no more; its files stay.
    pub fn forget(&self, name: &str) {
        self.order(Order::Forget(name.to_owned()));
    }

    fn order(&self, order: Order) {
        // After a panic there, which the log has, nobody is left to be told.
        let _told = self.orders.send(order);
    }
}

async fn keep(mut inbox: UnboundedReceiver<Order>, notices: &(dyn Fn(Notice) + Send + Sync)) {
    let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
    loop {
        let next = kept.values().map(|one| one.due).min();
        let wait = next.map_or(LONGEST_WAIT, |due| {
            due.saturating_duration_since(Instant::now())
        });
        match timeout(wait.min(LONGEST_WAIT), inbox.recv()).await {
            Ok(None) => return,
            Ok(Some(Order::Keep(wanted))) => {
                let due = Instant::now() + rest(&wanted);
                let failures = 0;
                let name = wanted.name.clone();
                kept.insert(
                    name,
                    Kept {
                        wanted,
                        due,
                        failures,
                    },
                );
            }
            Ok(Some(Order::Forget(name))) => {
                kept.remove(&name);
            }
            Err(_) => {
                let now = Instant::now();
                for one in kept.values_mut().filter(|one| one.due <= now) {
                    one.renew(notices).await;
                }
            }
        }
    }
}

impl Kept {
    async fn renew(&mut self, notices: &(dyn Fn(Notice) + Send + Sync)) {
        let wait = match obtain(&self.wanted).await {
            Ok(not_after) => {
                self.failures = 0;
                let name = self.wanted.name.clone();
                notices(Notice::Issued { name, not_after });
                // What is due again at once would be for ever.
                rest(&self.wanted).max(SHORTEST_REST)
            }
            Err(problem) => {
                self.failures = self.failures.saturating_add(1);
                let again = validity::pause(self.failures, dice());
                let left = known(&self.wanted).and_then(|known| known.left(SystemTime::now()));
                notices(Notice::Failed {
                    name: self.wanted.name.clone(),
                    problem,
                    left,
                    again,
                });
                again
            }
        };
        self.due = Instant::now() + wait;
    }
}

/// Gets a certificate and puts it in place. Returns when it ends.
async fn obtain(wanted: &Wanted) -> Result<i64, String> {
    let text = authority::ask(wanted).await;
    let text = text.map_err(|failure| failure.to_string())?;
    let new = validity::of(&text).ok_or("what the authority gave is no certificate")?;
    let file = wanted.file();
    folder::replace(&file, &text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(new.not_after)
}

/// The certificate that is there.
fn known(wanted: &Wanted) -> Option<validity::Validity> {
    validity::of(&fs::read_to_string(wanted.file()).ok()?)
}

/// How long nothing is to be done for it.
fn rest(wanted: &Wanted) -> Duration {
    let known = known(wanted);
    known.map_or(Duration::ZERO, |known| {
        known.rest(&wanted.domains, dice(), SystemTime::now())
    })
}

/// A number by chance; always the same if the system has none to give.
fn dice() -> u8 {
    let mut dice = [0];
    match SystemRandom::new().fill(&mut dice) {
        Ok(()) => dice[0],
        Err(_) => 128,
    }
}

/// The clock may be set, and sleep of the machine may not count: looked at again after so long.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Between two certificates of the same name.
const SHORTEST_REST: Duration = Duration::from_secs(5);
