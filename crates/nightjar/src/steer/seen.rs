//! What is kept of the broker's events for who asks later.

use std::sync::Arc;

use admin::denials::{Denial, Wanted};
use admin::{Denials, Stamp};
use broker::{Dropped, Event};
use types::Limits;

use super::bell::Bell;
use super::drops::Drops;
use super::tally::Tally;
use super::timeline::Timelines;
use super::traces::Traces;
use super::watch::Watch;

/// What is kept. Workers put it in and never wait.
#[derive(Debug)]
pub(crate) struct Seen {
    denials: Arc<Denials>,
    bell: Arc<Bell>,
    tally: Tally,
    watch: Watch,
    drops: Drops,
    timelines: Timelines,
    traces: Traces,
}

impl Seen {
    /// Room for as much as the limits say, and a place for each of so many workers.
    pub(crate) fn new(limits: &Limits, workers: usize) -> Self {
        Self {
            denials: Denials::new(limits.denials),
            bell: Arc::default(),
            tally: Tally::default(),
            watch: Watch::new(limits),
            drops: Drops::new(workers),
            timelines: Timelines::new(limits.timeline_events),
            traces: Traces::new(),
        }
    }

    /// The newest denials.
    pub(crate) fn denials(&self) -> &Arc<Denials> {
        &self.denials
    }

    /// What is wrong.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// How often what happened.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Who connects too often.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// What was dropped.
    pub(super) fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What happened to clients.
    pub(super) fn timelines(&self) -> &Timelines {
        &self.timelines
    }

    /// What is traced.
    pub(super) fn traces(&self) -> &Traces {
        &self.traces
    }

    /// A message was dropped. Called on a worker.
    pub(crate) fn dropped(&self, dropped: &Dropped<'_>) {
        self.drops.note(dropped);
        self.timelines.dropped(dropped);
    }

    /// Something happened. Called on a worker.
    pub(crate) fn event(&self, event: &Event) {
        self.tally.event(event);
        self.timelines.event(event);
        self.traces.event(event);
        match event {
            Event::Denied(denial) => self.denials.push(kept(denial)),
            other => self.watch.event(other),
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
