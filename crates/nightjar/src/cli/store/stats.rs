//! `nightjar store stats`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use journal::disk::Disk;
use journal::model::Counts;
use journal::record::StoreClock;
use serde_json::json;
use store::{RecoveredDelivery, Stage};

use super::survey::{Depth, Survey, spares, steadily};
use super::target::Where;
use super::{Failure, counted, print, show_bytes, wall_millis};

/// Count what is in the store
#[derive(Args, Debug)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    place: Where,
    /// One JSON object in place of text for people
    #[arg(long)]
    json: bool,
}

/// Prints the figures of a store.
pub(super) fn run(args: &StatsArgs) -> Result<ExitCode, Failure> {
    let target = args.place.target()?;
    let about = |failure: Failure| target.about(failure);
    let disk = target.look()?;
    let survey = steadily(
        || Survey::take(Arc::clone(&disk), Depth::State),
        |survey| &survey.faults,
    );
    let survey = survey.map_err(about)?;
    let figures = Figures::of(&survey, &*disk).map_err(about)?;
    let folder = target.folder.display().to_string();
    let text = if args.json {
        figures.to_json(&folder)
    } else {
        figures.to_text(&folder)
    };
    print(&text)?;
    match survey.faults.first() {
        None => Ok(ExitCode::SUCCESS),
        Some(fault) => Err(about(Failure(format!(
            "it is damaged, and the figures may be wrong: {fault}; {} says more",
            target.command("verify")
        )))),
    }
}

/// What there is to say of a store.
#[derive(Debug)]
pub(super) struct Figures {
    id: String,
    segments: u64,
    spares: u64,
    disk_bytes: u64,
    message_bytes: u64,
    state_bytes: u64,
    replay_from: u64,
    replay_bytes: u64,
    counts: Counts,
    subscriptions: u64,
    passed: u64,
    /// The store's clock, in milliseconds since 1970: now, and when the oldest message came.
    now: u64,
    oldest: Option<u64>,
    /// The sessions with most bytes waiting, most first.
    longest: Vec<Queue>,
}

/// What waits for one session. A message that waits for several counts for each of them.
#[derive(Debug)]
struct Queue {
    client: String,
    deliveries: u64,
    bytes: u64,
}

impl Figures {
    pub(super) fn of(survey: &Survey, disk: &dyn Disk) -> Result<Self, Failure> {
        let (spares, spare_bytes) =
            spares(disk).map_err(|error| Failure(format!("cannot be read: {error}")))?;
        let (segments, bytes) = survey
            .segments()
            .fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes));
        let model = &survey.model;
        let now = survey.clock(wall_millis());
        let recovered = model.recovered(StoreClock { base: now });
        let subscriptions = recovered
            .sessions
            .iter()
            .map(|it| it.subscriptions.len() as u64);
        let queues = recovered.sessions.iter().map(|session| Queue {
            client: session.client.as_str().to_owned(),
            deliveries: session.deliveries.len() as u64,
            bytes: session.deliveries.iter().map(waiting_bytes).sum(),
        });
        let mut longest: Vec<_> = queues.filter(|queue| queue.deliveries > 0).collect();
        longest.sort_by(|a, b| {
            let sizes = (b.bytes, b.deliveries).cmp(&(a.bytes, a.deliveries));
            sizes.then_with(|| a.client.cmp(&b.client))
        });
        longest.truncate(LONGEST);
        Ok(Self {
            id: survey.id().to_owned(),
            segments,
            spares,
            disk_bytes: bytes + spare_bytes,
            message_bytes: model.live_bytes(),
            state_bytes: model.state_bytes(),
            replay_from: survey.replay_from(),
            replay_bytes: survey.tail.replayed_bytes,
            counts: model.counts(),
            subscriptions: subscriptions.sum(),
            passed: recovered.passed.len() as u64,
            now,
            oldest: model.oldest().map(|message| message.millis()),
            longest,
        })
    }

    fn to_text(&self, folder: &str) -> String {
        let counts = &self.counts;
        let since = self.oldest.map_or_else(String::new, |oldest| {
            let at = i64::try_from(oldest).ok();
            let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at / 1000 * 1000).ok());
            at.map_or_else(String::new, |at| format!(", the oldest since {at}"))
        });
        let mut text = format!(
            "store     {folder} (id {})\n\
             on disk   {} in {} and {}\n\
             needed    {} of messages, and about {} beside them\n\
             a start   reads {}, from segment {} on\n\
             sessions  {}, with {}\n\
             waiting   {} to sessions, of {}{since}\n\
             retained  {}\n",
            self.id,
            show_bytes(self.disk_bytes),
            counted(self.segments, "segment"),
            counted(self.spares, "spare"),
            show_bytes(self.message_bytes),
            show_bytes(self.state_bytes),
            show_bytes(self.replay_bytes),
            self.replay_from,
            counts.sessions,
            counted(self.subscriptions, "subscription"),
            counted(counts.deliveries, "delivery"),
            counted(counts.messages, "stored message"),
            counted(counts.retained, "topic"),
        );
        if self.passed > 0 {
            text.push_str(&format!(
                "passed    {} on the way between members of groups\n",
                counted(self.passed, "message")
            ));
        }
        if !self.longest.is_empty() {
            text.push_str("most wait for\n");
        }
        for queue in &self.longest {
            text.push_str(&format!(
                "{:>9}  {:>9}  {}\n",
                queue.deliveries,
                show_bytes(queue.bytes),
                queue.client.escape_debug()
            ));
        }
        text
    }

    pub(super) fn to_json(&self, folder: &str) -> String {
        let longest: Vec<_> = self
            .longest
            .iter()
            .map(|queue| {
                json!({
                    "client": queue.client,
                    "deliveries": queue.deliveries,
                    "bytes": queue.bytes,
                })
            })
            .collect();
        let object = json!({
            "folder": folder,
            "id": self.id,
            "segments": self.segments,
            "spares": self.spares,
            "disk_bytes": self.disk_bytes,
            "message_bytes": self.message_bytes,
            "state_bytes": self.state_bytes,
            "replay_from": self.replay_from,
            "replay_bytes": self.replay_bytes,
            "sessions": self.counts.sessions,
            "subscriptions": self.subscriptions,
            "deliveries": self.counts.deliveries,
            "messages": self.counts.messages,
            "retained": self.counts.retained,
            "passed": self.passed,
            "now": self.now,
            "oldest": self.oldest,
            "longest_queues": longest,
        });
        format!("{object}\n")
    }
}

/// The bytes of the message that a delivery waits with, if it still has one.
fn waiting_bytes(delivery: &RecoveredDelivery) -> u64 {
    match delivery.stage {
        Stage::Waiting(body) | Stage::Sent(_, body) => body.size.into(),
        Stage::Received(_) => 0,
    }
}

/// How many queues are told.
const LONGEST: usize = 10;
