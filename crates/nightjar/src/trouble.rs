//! How the store fares, as lines of the log: one when trouble begins, one when it is over.

use std::path::Path;

use journal::server::Change;
use store::{Condition, Shortage};
use tracing::{error, info, warn};

/// Logs a change. `folder` is the store.
pub(crate) fn log(change: &Change, folder: &Path) {
    let folder = &*folder.to_string_lossy();
    let seconds = change.lasted.as_secs();
    match change.before {
        Condition::Slow => info!(
            seconds,
            folder, "the disk of the store is fast enough again"
        ),
        Condition::Full(_) => info!(seconds, folder, "the store takes messages again"),
        Condition::Ok | Condition::Failed => {}
    }
    match change.now.condition {
        Condition::Ok => {}
        Condition::Slow => warn!(
            folder,
            publishers = "QoS 1 and 2 that must be stored wait for their acknowledgements",
            advice = "see what else keeps this disk busy, and whether it is failing",
            "the disk of the store is slow: it needs more than a second"
        ),
        Condition::Full(Shortage::Disk) => warn!(
            folder,
            publishers = REFUSED,
            advice = "free space on this file system; `nightjar store stats` names long queues",
            "the disk of the store is full"
        ),
        Condition::Full(Shortage::ReadOnly) => warn!(
            folder,
            publishers = REFUSED,
            advice = "look for disk errors in the system's log, then mount it writable again",
            "the file system of the store is read-only"
        ),
        Condition::Full(Shortage::Limit) => warn!(
            folder,
            publishers = REFUSED,
            advice = "raise the limit; `nightjar store stats` names long queues",
            "limits.store_bytes is reached"
        ),
        Condition::Failed => error!(
            folder,
            why = change.why,
            publishers = "nothing more is acknowledged at QoS 1 and 2, and the server ends",
            advice = "check the disk, then start the server again: what was acknowledged is there",
            "the store has failed"
        ),
    }
}

const REFUSED: &str = "what would have to be stored is refused with 0x97 (MQTT 3: messages are not \
                       acknowledged): QoS 1 and 2, retained messages, and new sessions and \
                       subscriptions that last";
