//! Who watches messages, as workers are told.

use std::sync::{Arc, Mutex, PoisonError};

use broker::{Control, Mail, Probe, Tracer, Watchers};
use net::Mailboxes;
use types::WorkerId;

/// Tells workers who watches.
pub(crate) struct Watching {
    mailboxes: Mailboxes<Mail>,
    watchers: Mutex<Watchers>,
}

impl Watching {
    pub(crate) fn new(mailboxes: Mailboxes<Mail>) -> Arc<Self> {
        Arc::new(Self {
            mailboxes,
            watchers: Mutex::default(),
        })
    }

    /// This one is told every step from now on.
    pub(crate) fn every(&self, probe: Option<Arc<dyn Probe>>) {
        self.change(|watchers| watchers.every = probe);
    }

    /// This one is told samples from now on.
    pub(crate) fn some(&self, probe: Option<Arc<dyn Probe>>) {
        self.change(|watchers| watchers.some = probe);
    }

    /// This one follows messages from now on.
    pub(crate) fn traced(&self, tracer: Option<Arc<dyn Tracer>>) {
        self.change(|watchers| watchers.traced = tracer);
    }

    fn change(&self, change: impl FnOnce(&mut Watchers)) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut watchers);
        for worker in (0..=u16::MAX).map(WorkerId).take(self.mailboxes.workers()) {
            let control = Control::Watch(watchers.clone());
            // A worker that has ended has no messages.
            let _ended = self.mailboxes.send(worker, Mail::Control(control));
        }
    }
}
