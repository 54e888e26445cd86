//! Bridges to other servers: from `[[bridge]]` to what the bridges go by, and who they are here.
//!
//! | module | owns |
//! |---|---|
//! | [`guests`] | [`Guests`]: who bridges are at this server |
//! | [`wanted`] | from the configuration to settings |

pub(crate) mod guests;
pub(crate) mod wanted;

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use bridge::{Bridges, GivenUp, Home, Occurrence, Settings};
use broker::{Ask, Control, Findings, Mail, Question, Shared, Spools};
use config::Config;
use net::{Listening, Mailboxes};
use tracing::{debug, info, warn};
use types::{Limits, WorkerId};

use self::guests::Guests;

/// The bridges of a running server.
pub(crate) struct Running {
    bridges: Arc<Bridges>,
    guests: Arc<Guests>,
    mailboxes: Mailboxes<Mail>,
    names: Names,
}

/// What this server is called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// For people.
    pub(crate) node: String,
    /// In lists of servers that a message has passed: no other server has it.
    pub(crate) own: String,
}

impl Names {
    /// The names, with the one that is kept in the data folder.
    pub(crate) fn new(node: &str, data_dir: &Path) -> Self {
        let file = data_dir.join(FILE);
        let kept = fs::read_to_string(&file).ok();
        let kept =
            kept.filter(|text| text.len() == 16 && text.bytes().all(|it| it.is_ascii_hexdigit()));
        let number = kept.unwrap_or_else(|| {
            let number = format!("{:016x}", RandomState::new().build_hasher().finish());
            if let Err(error) = fs::write(&file, &number) {
                let file = &*file.to_string_lossy();
                warn!(%error, file, "the server's name for bridges is not kept over a restart");
            }
            number
        });
        Self {
            node: node.to_owned(),
            own: format!("{node}-{number}"),
        }
    }
}

/// In the data folder: a number that tells this server apart from others of its name.
const FILE: &str = "server-number";

impl Running {
    /// Starts the thread and what the configuration names.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn start(
        names: Names,
        guests: Arc<Guests>,
        shared: Arc<Shared>,
        mailboxes: Mailboxes<Mail>,
        listening: Listening<Mail>,
    ) -> io::Result<Self> {
        let home = Arc::new(Here {
            shared,
            listening,
            mailboxes: mailboxes.clone(),
        });
        let seed = RandomState::new().build_hasher().finish();
        Ok(Self {
            bridges: Arc::new(Bridges::start(home, seed)?),
            guests,
            mailboxes,
            names,
        })
    }

    /// For who looks, and gives orders.
    pub(crate) fn handle(&self) -> Arc<Bridges> {
        Arc::clone(&self.bridges)
    }

    /// From now on the bridges are these.
    pub(crate) fn replace(&self, config: &Config, limits: &Limits) {
        // Who they are is known before they come.
        self.guests.replace(config);
        let spools = Arc::new(spools(config, limits));
        for id in (0..=u16::MAX).map(WorkerId).take(self.mailboxes.workers()) {
            let control = Control::Spools(Arc::clone(&spools));
            // A worker that has ended keeps nothing.
            let _ended = self.mailboxes.send(id, Mail::Control(control));
        }
        let before = self.bridges.list();
        let wanted = wanted::settings(config, &self.names);
        for gone in before.iter().map(|one| &one.settings) {
            if !wanted.iter().any(|one| one.name == gone.name) {
                let (bridge, client) = (&*gone.name, &*gone.local_client_id);
                warn!(
                    bridge,
                    client,
                    "bridge removed: its session stays, with what waits in it, until it is ended"
                );
            }
        }
        self.bridges.replace(wanted);
        for one in config.bridges.iter().filter(|one| one.user.is_none()) {
            let bridge = &*one.name;
            info!(
                bridge,
                "the bridge has no `user`: what comes by it may be published on all topics here"
            );
        }
    }

    /// All take their leave.
    pub(crate) fn end(&self) {
        self.bridges.end();
    }
}

/// What waits for other servers has bounds of its own, and its sessions do not expire.
fn spools(config: &Config, limits: &Limits) -> Spools {
    Spools::new(config.bridges.iter().map(|one| {
        let limits = Limits {
            queued_messages: one.queued_messages,
            queued_bytes: one.queued_bytes,
            session_expiry: std::time::Duration::MAX,
            ..limits.clone()
        };
        (one.local_id().into(), Arc::new(limits))
    }))
}

/// This server, as its bridges see it.
struct Here {
    shared: Arc<Shared>,
    listening: Listening<Mail>,
    mailboxes: Mailboxes<Mail>,
}

impl Home for Here {
    fn link(&self) -> io::Result<UnixStream> {
        self.listening.link()
    }

    fn waiting(&self, settings: &Settings, answer: Box<dyn FnOnce(u64) + Send>) {
        let client = &*settings.local_client_id;
        let ask = Ask {
            question: Question::Client {
                client: client.into(),
                after: None,
                most: 1,
            },
            reply: Box::new(move |findings| {
                if let Findings::Client(facts) = findings {
                    // Where there is no session yet, nothing waits.
                    let count = facts.map_or(0, |it| it.waiting.saturating_add(it.inflight));
                    answer(count as u64);
                }
            }),
        };
        let home = self.shared.home_of(client);
        // A worker that has ended has no messages.
        let _ended = self.mailboxes.send(home, Mail::Ask(Box::new(ask)));
    }

    fn tell(&self, settings: &Settings, occurrence: Occurrence) {
        let bridge = &*settings.name;
        let state = match occurrence {
            Occurrence::Connected { address } => {
                info!(bridge, address, "bridge connected");
                Some("1")
            }
            Occurrence::Disconnected => {
                info!(bridge, "bridge disconnected");
                Some("0")
            }
            Occurrence::Failed { why, again: false } => {
                warn!(bridge, why, "bridge not connected: it tries again");
                Some("0")
            }
            Occurrence::Failed { why, again: true } => {
                debug!(bridge, why, "bridge not connected: it tries again");
                None
            }
            Occurrence::GivenUp(GivenUp { topic, bytes }) => {
                warn!(
                    bridge,
                    topic,
                    bytes,
                    "message dropped: the other server ends the connection whenever it comes"
                );
                None
            }
        };
        if let (Some(state), Some(topic)) = (state, settings.notify.local()) {
            let control = Control::Publish {
                topic: topic.into(),
                payload: state.as_bytes().into(),
                retain: true,
            };
            // A worker that has ended tells nobody.
            let _ended = self.mailboxes.send(WorkerId(0), Mail::Control(control));
        }
    }
}
