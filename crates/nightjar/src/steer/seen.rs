//! What is kept of the broker's events for who asks later.

use std::sync::Arc;

use admin::denials::{Denial, Wanted};
use admin::{Denials, Stamp};
use broker::Event;
use types::Limits;

/// What is kept. Workers put it in and never wait.
#[derive(Debug)]
pub(crate) struct Seen {
    denials: Arc<Denials>,
}

impl Seen {
    /// Room for as much as the limits say.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            denials: Denials::new(limits.denials),
        }
    }

    /// The newest denials.
    pub(crate) fn denials(&self) -> &Arc<Denials> {
        &self.denials
    }

    /// Something happened. Called on a worker.
    pub(crate) fn event(&self, event: &Event) {
        if let Event::Denied(denial) = event {
            self.denials.push(kept(denial));
        }
    }
}

fn kept(denial: &broker::Denial) -> Denial {
    let topic = Some(&*denial.topic).filter(|topic| !topic.is_empty());
    Denial {
        at: Stamp::now(),
        wanted: match denial.wanted {
            broker::Wanted::Connect => Wanted::Connect,
            broker::Wanted::Publish => Wanted::Publish,
            broker::Wanted::Subscribe => Wanted::Subscribe,
        },
        clientid: denial.client.as_ref().map(|id| id.as_str().into()),
        username: denial.user.as_deref().map(Into::into),
        peer: denial.peer.map(|peer| peer.to_string()),
        topic: topic.map(Into::into),
        why: denial.why.as_deref().map(Into::into),
    }
}
