//! `nightjar store verify`.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use journal::disk::{Disk, QUARANTINE};
use journal::engine::{Engine, OnDamage, Options};
use journal::segment::segment_name;

use super::survey::{Depth, Lost, Survey, steadily};
use super::target::Where;
use super::{Failure, counted, print, show_bytes, wall_millis};

/// Check everything in the store against its checksums
///
/// Reads every segment, and says what is there, what is damaged and who loses messages by that.
/// Changes nothing without --quarantine. Exit code 0: everything is what was written; 1: it is
/// not.
#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: Where,
    /// Put damaged segments aside, into the store's folder quarantine, after all that can still
    /// be read of them is written once more; the rest is lost. No server may run. Exit code 0:
    /// the store is whole now
    #[arg(long)]
    quarantine: bool,
}

/// Checks a store, and mends it if that was asked for.
pub(super) fn run(args: VerifyArgs) -> Result<ExitCode, Failure> {
    let target = args.place.target()?;
    let about = |failure: Failure| target.about(failure);
    if !args.quarantine {
        let disk = target.look()?;
        let checked = steadily(|| Checked::check(&disk), |checked| &checked.survey.faults);
        let checked = checked.map_err(about)?;
        print(&checked.report(&target.folder))?;
        if !checked.survey.faults.is_empty() {
            print(&format!(
                "  restore it from an export, or go on without what is damaged: {}\n",
                target.command("verify --quarantine")
            ))?;
        }
        return Ok(checked.code());
    }
    let disk = target.lock()?;
    let checked = Checked::check(&disk).map_err(about)?;
    print(&checked.report(&target.folder))?;
    if checked.survey.faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let mended = mend(&disk, target.options, &checked).map_err(about)?;
    print(&mended.report())?;
    let again = Checked::check(&disk).map_err(about)?;
    print(&again.report(&target.folder))?;
    Ok(again.code())
}

/// A store that was read from its first byte to its last.
pub(super) struct Checked {
    pub(super) survey: Survey,
    pub(super) lost: Lost,
}

impl Checked {
    pub(super) fn check(disk: &Arc<dyn Disk>) -> Result<Self, Failure> {
        let mut survey = Survey::take(Arc::clone(disk), Depth::Everything)?;
        let lost = survey
            .lost()
            .map_err(|error| Failure(format!("cannot be read: {error}")))?;
        Ok(Self { survey, lost })
    }

    fn code(&self) -> ExitCode {
        if self.survey.faults.is_empty() && self.lost.owed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// What to tell of it.
    pub(super) fn report(&self, folder: &Path) -> String {
        let survey = &self.survey;
        let is_whole = survey.faults.is_empty() && self.lost.owed == 0;
        let verdict = if is_whole { "whole" } else { "damaged" };
        let (segments, bytes) = survey
            .segments()
            .fold((0, 0), |(count, sum), (_, bytes)| (count + 1, sum + bytes));
        let counts = survey.model.counts();
        let mut text = format!(
            "The store {} is {verdict}.\n  \
             read: {} ({}), {}, {}\n  \
             needed: {}, {} of {}, {} retained\n",
            folder.display(),
            counted(segments, "segment"),
            show_bytes(bytes),
            counted(survey.frames, "frame"),
            counted(survey.bodies, "message"),
            counted(counts.sessions, "session"),
            counted(counts.deliveries, "delivery"),
            counted(counts.messages, "message"),
            counts.retained,
        );
        let mut line = |what: std::fmt::Arguments<'_>| {
            // Text takes everything.
            let _infallible = writeln!(text, "  {what}");
        };
        if survey.tail.dropped_bytes > 0 {
            line(format_args!(
                "the end: {} of a write that never finished; the next start cuts them off",
                counted(survey.tail.dropped_bytes, "byte")
            ));
        }
        for fault in &survey.faults {
            line(format_args!("damaged: {fault}"));
        }
        if self.lost.owed > 0 {
            line(format_args!(
                "lost, counted once for each client or topic: {}",
                counted(self.lost.owed, "message")
            ));
        }
        for client in &self.lost.clients {
            line(format_args!(
                "client that loses messages: {}",
                show(client.as_str())
            ));
        }
        for (client, &most) in &self.lost.suspects {
            line(format_args!(
                "client that may have lost {}: {}",
                counted(most, "message"),
                show(client.as_str())
            ));
        }
        for topic in &self.lost.retained {
            line(format_args!(
                "retained message that is lost: {}",
                show(topic)
            ));
        }
        text
    }
}

/// What was done about damage.
pub(super) struct Mended {
    aside: Vec<u64>,
    lost: Lost,
}

impl Mended {
    fn report(&self) -> String {
        let mut text = String::new();
        for &number in &self.aside {
            text.push_str(&format!(
                "put aside: {QUARANTINE}/{}\n",
                segment_name(number)
            ));
        }
        text.push_str(&format!(
            "given up, counted once for each client or topic: {}\n",
            counted(self.lost.owed, "message")
        ));
        for client in &self.lost.clients {
            text.push_str(&format!("  owed to {}\n", show(client.as_str())));
        }
        for (client, &most) in &self.lost.suspects {
            text.push_str(&format!(
                "  perhaps {} more owed to {}\n",
                counted(most, "message"),
                show(client.as_str())
            ));
        }
        for topic in &self.lost.retained {
            text.push_str(&format!("  retained for {}\n", show(topic)));
        }
        text
    }
}

/// Puts damaged segments aside, after what is valid in them is written once more.
pub(super) fn mend(
    disk: &Arc<dyn Disk>,
    options: Options,
    checked: &Checked,
) -> Result<Mended, Failure> {
    let mut damaged: Vec<u64> = checked.survey.faults.iter().map(|it| it.segment).collect();
    damaged.dedup();
    let there = disk
        .list()
        .map_err(|error| Failure(format!("cannot be read: {error}")))?;
    let options = Options {
        damage: OnDamage::Quarantine,
        ..options
    };
    let opened = Engine::open(Arc::clone(disk), options, wall_millis());
    let (mut engine, _, report) = opened?;
    let mut lost = Lost::default();
    lost.add(report.losses);
    // A start looks at what came after the last checkpoint; what lies before it is left.
    lost.add(engine.put_segments_aside(&damaged)?);
    engine.close()?;
    // What was missing is not anywhere.
    damaged.retain(|&number| there.contains(&segment_name(number)));
    Ok(Mended {
        aside: damaged,
        lost,
    })
}

/// A client's or a topic's name, without what could steer a terminal.
fn show(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}
