//! What the supervisor hears that started the process: systemd, or another that gives a
//! `NOTIFY_SOCKET`. Without one nothing is said, and nothing is paid.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use broker::{Ask, Mail, Question};
use net::Mailboxes;
use sd_notify::NotifyState;
use tracing::{error, info, warn};
use types::WorkerId;

/// The server serves.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// The configuration is read again, until [`ready`] is said.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "the supervisor does not hear of the reload"),
    }
}

/// The server is on its way to its end.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending")]);
}

/// The store is still recovered, and how long to wait for the next word: a large one may take
/// longer than a supervisor would wait for the start.
pub(crate) fn recovering(next: Duration) {
    let micros = u32::try_from(next.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::ExtendTimeoutUsec(micros),
        NotifyState::Status("recovering the store"),
    ]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the supervisor cannot be told");
    }
}

/// Tells the supervisor that all workers answer, three times in the time after which it takes the
/// process for dead; until the sender is dropped. `None`: it has no watchdog.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn watchdog(mailboxes: Mailboxes<Mail>) -> io::Result<Option<Sender<()>>> {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return Ok(None);
    };
    let (end, ended) = mpsc::channel::<()>();
    let every = patience / 3;
    thread::Builder::new()
        .name("watchdog".into())
        .spawn(move || {
            let mut pulse = Pulse::default();
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                if pulse.beats(every, || ask_all(&mailboxes)) {
                    tell(&[NotifyState::Watchdog]);
                }
            }
        })?;
    Ok(Some(end))
}

/// Asks each worker what costs it least. It answers between two turns of its loop.
fn ask_all(mailboxes: &Mailboxes<Mail>) -> Vec<(WorkerId, Receiver<()>)> {
    let workers = (0..=u16::MAX).map(WorkerId).take(mailboxes.workers());
    let asked = workers.map(|worker| {
        let (reply, answer) = mpsc::sync_channel(1);
        let ask = Ask {
            question: Question::Names(Vec::new()),
            reply: Box::new(move |_| {
                // Nobody waits any more.
                let _late = reply.send(());
            }),
        };
        // Mail that cannot be delivered hangs up, as the end of its worker would.
        drop(mailboxes.send(worker, Mail::Ask(Box::new(ask))));
        (worker, answer)
    });
    asked.collect()
}

/// Whether workers answer.
#[derive(Debug, Default)]
struct Pulse {
    /// Those that were asked and have not answered. Nobody is asked again before.
    waiting: Vec<(WorkerId, Receiver<()>)>,
    missing: bool,
}

impl Pulse {
    /// Waits for answers, so long at most. `false`: somebody owes one.
    fn beats(
        &mut self,
        patience: Duration,
        ask: impl FnOnce() -> Vec<(WorkerId, Receiver<()>)>,
    ) -> bool {
        if self.waiting.is_empty() {
            self.waiting = ask();
        }
        let until = Instant::now() + patience;
        self.waiting.retain(|(_, answer)| {
            let left = until.saturating_duration_since(Instant::now());
            answer.recv_timeout(left) == Err(RecvTimeoutError::Timeout)
        });
        let missing = !self.waiting.is_empty();
        if missing != self.missing {
            let workers: Vec<u16> = self.waiting.iter().map(|(worker, _)| worker.0).collect();
            match missing {
                true => error!(
                    ?workers,
                    "workers do not answer: the supervisor is not told"
                ),
                false => info!("all workers answer again"),
            }
        }
        self.missing = missing;
        !missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_missed_until_he_does() {
        let (late, answer) = mpsc::sync_channel(1);
        let (prompt, other) = mpsc::sync_channel(1);
        prompt.send(()).unwrap();
        let mut pulse = Pulse::default();
        let two = || vec![(WorkerId(0), other), (WorkerId(1), answer)];
        assert!(!pulse.beats(Duration::from_millis(1), two));
        let nobody = || unreachable!("nobody is asked twice");
        assert!(!pulse.beats(Duration::from_millis(1), nobody));
        late.send(()).unwrap();
        assert!(pulse.beats(Duration::from_secs(60), nobody));
        // A worker that has ended is told of elsewhere.
        assert!(pulse.beats(Duration::from_secs(60), || vec![(
            WorkerId(0),
            mpsc::sync_channel(1).1
        )]));
    }
}
