//! The thread of all bridges.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use crate::carry::{Task, Want, Wish};
use crate::dial;
use crate::figures::Figures;
use crate::relay::GivenUp;
use crate::settings::Settings;

/// The server that bridges belong to.
pub trait Home: Send + Sync + 'static {
    /// A new link to it, as from a client that needs no password. What is said on it is MQTT 5.0.
    ///
    /// # Errors
    /// The system gives none.
    fn link(&self) -> io::Result<UnixStream>;

    /// Asks how many messages wait for a bridge here. The answer may never come.
    fn waiting(&self, settings: &Settings, answer: Box<dyn FnOnce(u64) + Send>);

    /// Something has happened. It must not wait.
    fn tell(&self, settings: &Settings, occurrence: Occurrence);
}

/// What has happened to a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// Both sides are connected.
    Connected {
        /// Where the other server is.
        address: String,
    },
    /// They were, and are not any more.
    Disconnected,
    /// A connection has ended, or could not be made.
    Failed {
        /// Why.
        why: String,
        /// It was the same the last time.
        again: bool,
    },
    /// A message was dropped, since the other server ends the connection whenever it comes.
    GivenUp(GivenUp),
}

/// A bridge, for who looks.
#[derive(Clone, Debug)]
pub struct View {
    /// What it is to do.
    pub settings: Arc<Settings>,
    /// What it has done.
    pub figures: Arc<Figures>,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// All bridges, and the thread that they run on.
pub struct Bridges {
    home: Arc<dyn Home>,
    handle: Handle,
    known: Mutex<Vec<Known>>,
    /// Dropped, it ends the thread.
    end: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
    started: Instant,
    seed: u64,
}

struct Known {
    view: View,
    wish: watch::Sender<Wish>,
    /// Ends with the task.
    over: mpsc::Receiver<()>,
}

impl Bridges {
    /// Starts the thread; there are no bridges yet. `seed` makes pauses differ from those of other
    /// servers.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(home: Arc<dyn Home>, seed: u64) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("bridges".into())
            .spawn(move || {
                // An error says that the other end is gone, which is the same.
                let _end = runtime.block_on(ended);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            home,
            handle,
            known: Mutex::default(),
            end: Mutex::new(Some((end, thread))),
            started: Instant::now(),
            seed,
        })
    }

    /// Files that a bridge needs and that cannot be used.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn check(settings: &Settings) -> Result<(), String> {
        dial::check(settings).map_err(|error| error.to_string())
    }

    /// From now on these bridges are to be. Those that have changed connect again; those that are not
    /// named any more take their leave, and their sessions stay as they are.
    pub fn replace(&self, wanted: Vec<Settings>) {
        let mut known = self.lock();
        let gone = known.extract_if(.., |one| {
            !wanted
                .iter()
                .any(|settings| settings.name == one.view.settings.name)
        });
        for one in gone {
            one.wish.send_modify(|wish| wish.want = Want::End);
        }
        let order: Vec<String> = wanted.iter().map(|one| one.name.clone()).collect();
        for settings in wanted {
            let settings = Arc::new(settings);
            let place = known
                .iter_mut()
                .find(|one| one.view.settings.name == settings.name);
            match place {
                None => known.push(self.begin(settings)),
                Some(one) if *one.view.settings == *settings => {}
                Some(one) => {
                    one.view.settings = Arc::clone(&settings);
                    one.wish.send_modify(|wish| wish.settings = settings);
                }
            }
        }
        known.sort_by_key(|one| {
            let mut order = order.iter();
            order.position(|name| *name == one.view.settings.name)
        });
    }

    fn begin(&self, settings: Arc<Settings>) -> Known {
        let figures = Arc::<Figures>::default();
        let (wish, wishes) = watch::channel(Wish {
            want: Want::Run,
            settings: Arc::clone(&settings),
            round: 0,
        });
        let name = settings.name.bytes();
        let seed = name.fold(self.seed, |seed, byte| {
            seed.rotate_left(7) ^ u64::from(byte).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let task = Task {
            home: Arc::clone(&self.home),
            figures: Arc::clone(&figures),
            wishes,
            started: self.started,
            seed,
        };
        let (tell, over) = mpsc::channel::<()>();
        self.handle.spawn(async move {
            task.run().await;
            drop(tell);
        });
        let view = View {
            settings,
            figures,
            enabled: true,
        };
        Known { view, wish, over }
    }

    /// All bridges, in the order of the configuration.
    pub fn list(&self) -> Vec<View> {
        let known = self.lock();
        let views = known.iter().map(|one| View {
            enabled: one.wish.borrow().want == Want::Run,
            ..one.view.clone()
        });
        views.collect()
    }

    /// Asks anew how many messages wait for each bridge. [`Figures::waiting`] has the answers when
    /// they have come.
    pub fn ask_waiting(&self) {
        for one in self.lock().iter() {
            let figures = Arc::clone(&one.view.figures);
            let answer = Box::new(move |count| figures.set_waiting(count));
            self.home.waiting(&one.view.settings, answer);
        }
    }

    /// Connects a bridge anew, at once; `false`: there is none of this name.
    pub fn restart(&self, name: &str) -> bool {
        self.wish(name, |wish| {
            wish.want = Want::Run;
            wish.round = wish.round.wrapping_add(1);
        })
    }

    /// Switches a bridge on.
    pub fn enable(&self, name: &str) -> bool {
        self.wish(name, |wish| wish.want = Want::Run)
    }

    /// Switches a bridge off until it is switched on, or the server starts again. What is to go out
    /// waits meanwhile.
    pub fn disable(&self, name: &str) -> bool {
        self.wish(name, |wish| wish.want = Want::Rest)
    }

    fn wish(&self, name: &str, change: impl FnOnce(&mut Wish)) -> bool {
        let known = self.lock();
        let found = known.iter().find(|one| one.view.settings.name == name);
        found.inspect(|one| one.wish.send_modify(change)).is_some()
    }

    /// All bridges take their leave; waits for that, but not for long.
    pub fn end(&self) {
        let known = std::mem::take(&mut *self.lock());
        for one in &known {
            one.wish.send_modify(|wish| wish.want = Want::End);
        }
        for one in known {
            // It ends with the task, or the other server is too slow to say goodbye to.
            let _over = one.over.recv_timeout(PATIENCE);
        }
        let end = self
            .end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((end, thread)) = end {
            drop(end);
            // A panic there has ended all bridges.
            let _ended = thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Bridges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.list();
        let names = names.iter().map(|one| &one.settings.name);
        f.debug_list().entries(names).finish()
    }
}

/// How long a bridge has to take its leave.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
