//! What figures say of trouble. An alarm is over only when things have been well again for a while, by
//! some margin: none comes and goes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use admin::alarms::Severity;
use config::Alarms;
use store::{Condition, Shortage};

/// What there is to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    /// Bytes that are free where the data folder is, and bytes that there are.
    pub(super) disk: Option<(u64, u64)>,
    /// Bytes of memory that the process holds, and the budget; zero: there is none.
    pub(super) memory: Option<(u64, u64)>,
    /// The certificates of the listeners.
    pub(super) certificates: Vec<Validity>,
    /// Messages that were dropped in a second, on average over the last ten.
    pub(super) drops: f64,
    /// Providers that are down.
    pub(super) down: Vec<String>,
    /// Bridges that have been without a connection for longer than they may be.
    pub(super) bridges: Vec<Away>,
    /// For how long nothing has reached the collector of metrics and traces.
    pub(super) collector: Option<Duration>,
    /// How the store fares, if there is one.
    pub(super) store: Condition,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// A bridge that is not connected and should be.
#[derive(Clone, Debug)]
pub(super) struct Away {
    /// Its name.
    pub(super) name: String,
    /// How long it may be so.
    pub(super) most: Duration,
    /// Why, if that is known.
    pub(super) why: Option<String>,
}

/// How long a certificate is valid, in seconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Validity {
    /// Its name.
    pub(super) name: String,
    pub(super) begins: u64,
    pub(super) ends: u64,
    /// Whether the server renews it by itself.
    pub(super) is_renewed: bool,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Something is wrong, or is worse.
    Raise {
        severity: Severity,
        name: &'static str,
        about: String,
        words: String,
    },
    /// It is over.
    Clear { name: &'static str, about: String },
}

/// Watches figures.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    active: BTreeMap<(&'static str, String), Active>,
}

#[derive(Debug)]
struct Active {
    severity: Severity,
    /// For how many looks it has been well again.
    well: u32,
}

/// What one figure says.
enum Sight {
    /// It is wrong.
    Bad(Severity, String),
    /// It is neither: an alarm stays, and none is raised.
    Between,
}

pub(super) const DISK: &str = "disk_full";
pub(super) const MEMORY: &str = "memory_high";
pub(super) const CERTIFICATE: &str = "certificate_expiry";
pub(super) const DROPS: &str = "messages_dropped";
pub(super) const BACK_END: &str = "back_end_down";
pub(super) const BRIDGE: &str = "bridge_down";
pub(super) const COLLECTOR: &str = "telemetry_down";
pub(super) const SLOW: &str = "store_slow";
pub(super) const FULL: &str = "store_full";
pub(super) const FAILED: &str = "store_failed";

/// Looks that must find things well, one a second, before an alarm is over.
const WELL: u32 = 10;
/// In percent: above this the last room is being used up.
const DISK_CRITICAL: u64 = 98;
/// In percent of the budget: soon messages are shed.
const MEMORY_CRITICAL: u64 = 95;
/// How far below the threshold disk and memory must be, in percent.
const MARGIN: u64 = 3;
/// For how long a collector may be away: one that is started anew is no trouble.
const AWAY: Duration = Duration::from_secs(60);
/// Days before its end at which a certificate is urgent.
const URGENT: u64 = 7;
const DAY: u64 = 86_400;

impl Lookout {
    /// Looks, and says what is new; once a second.
    pub(super) fn look(&mut self, scene: &Scene, wanted: &Alarms) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, about, sight) in sights(scene, wanted) {
            let key = (name, about);
            seen.insert(key.clone());
            let active = self.active.get_mut(&key);
            let Sight::Bad(severity, words) = sight else {
                if let Some(active) = active {
                    active.well = 0;
                }
                continue;
            };
            if let Some(active) = active {
                active.well = 0;
                if active.severity >= severity {
                    continue;
                }
            }
            self.active
                .insert(key.clone(), Active { severity, well: 0 });
            let (name, about) = key;
            changes.push(Change::Raise {
                severity,
                name,
                about,
                words,
            });
        }
        self.active.retain(|key, active| {
            if seen.contains(key) {
                return true;
            }
            active.well += 1;
            if active.well < WELL {
                return true;
            }
            let (name, about) = key.clone();
            changes.push(Change::Clear { name, about });
            false
        });
        changes
    }
}

/// What is not well. What is not here is.
fn sights(scene: &Scene, wanted: &Alarms) -> Vec<(&'static str, String, Sight)> {
    let mut sights = Vec::new();
    if let Some((free, all)) = scene.disk
        && let Some(sight) = disk(free, all, wanted.disk_percent)
    {
        sights.push((DISK, "data folder".to_owned(), sight));
    }
    if let Some((used, budget)) = scene.memory
        && let Some(sight) = memory(used, budget, wanted.memory_percent)
    {
        sights.push((MEMORY, "process".to_owned(), sight));
    }
    for one in &scene.certificates {
        if let Some(sight) = certificate(one, scene.now, wanted.certificate_days) {
            sights.push((CERTIFICATE, one.name.clone(), sight));
        }
    }
    if let Some(sight) = drops(scene.drops, wanted) {
        sights.push((DROPS, "server".to_owned(), sight));
    }
    for name in &scene.down {
        let words = format!(
            "{name} does not answer who clients are: it is left alone, but for a question now and then"
        );
        sights.push((BACK_END, name.clone(), Sight::Bad(Severity::Warning, words)));
    }
    sights.extend(scene.bridges.iter().map(bridge));
    if scene.collector.is_some_and(|away| away >= AWAY) {
        let words = "metrics and traces do not reach the collector of `telemetry.endpoint`; the log \
                     says why, and what has no room is dropped";
        let sight = Sight::Bad(Severity::Warning, words.to_owned());
        sights.push((COLLECTOR, "collector".to_owned(), sight));
    }
    if let Some((name, severity, words)) = store(scene.store) {
        let sight = Sight::Bad(severity, words.to_owned());
        sights.push((name, "store".to_owned(), sight));
    }
    sights
}

/// Hundredths of something, rounded down.
fn percent(part: u64, whole: u64) -> u64 {
    let hundredths = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(hundredths).unwrap_or(u64::MAX)
}

fn disk(free: u64, all: u64, most: u16) -> Option<Sight> {
    let (used, most) = (percent(all.saturating_sub(free), all), u64::from(most));
    if most == 0 || used + MARGIN < most {
        return None;
    }
    if used < most {
        return Some(Sight::Between);
    }
    let severity = match used >= DISK_CRITICAL {
        true => Severity::Critical,
        false => Severity::Warning,
    };
    let free = free / (1 << 20);
    let words = format!("the disk of the data folder is {used} % full: {free} MiB are free");
    Some(Sight::Bad(severity, words))
}

fn memory(used: u64, budget: u64, most: u16) -> Option<Sight> {
    let (share, most) = (percent(used, budget), u64::from(most));
    if most == 0 || budget == 0 || share + MARGIN < most {
        return None;
    }
    if share < most {
        return Some(Sight::Between);
    }
    let severity = match share >= MEMORY_CRITICAL {
        true => Severity::Critical,
        false => Severity::Warning,
    };
    let (used, budget) = (used / (1 << 20), budget / (1 << 20));
    let words = format!(
        "{used} of {budget} MiB of the memory budget are in use ({share} %); beyond it messages are \
         shed and refused"
    );
    Some(Sight::Bad(severity, words))
}

fn certificate(one: &Validity, now: u64, days: u16) -> Option<Sight> {
    let (name, ends) = (&one.name, one.ends);
    if days == 0 {
        return None;
    }
    if ends <= now {
        let words = format!("the certificate {name} has ended: clients refuse it");
        return Some(Sight::Bad(Severity::Critical, words));
    }
    let left = ends - now;
    let (warning, urgent) = match one.is_renewed {
        true => {
            let lifetime = ends.saturating_sub(one.begins);
            (lifetime / 5, lifetime / 10)
        }
        false => (u64::from(days) * DAY, URGENT.min(days.into()) * DAY),
    };
    if left > warning {
        return None;
    }
    let severity = match left <= urgent {
        true => Severity::Critical,
        false => Severity::Warning,
    };
    let days = left / DAY;
    let why = match one.is_renewed {
        true => "; it should have been renewed, see the log",
        false => "",
    };
    let words = format!("the certificate {name} ends in {days} days{why}");
    Some(Sight::Bad(severity, words))
}

fn bridge(one: &Away) -> (&'static str, String, Sight) {
    let (name, most) = (&one.name, one.most.as_secs());
    let why = match &one.why {
        Some(why) => format!(": {why}"),
        None => String::new(),
    };
    let words = format!("the bridge {name} has not been connected for {most} s{why}");
    (BRIDGE, name.clone(), Sight::Bad(Severity::Warning, words))
}

fn drops(rate: f64, wanted: &Alarms) -> Option<Sight> {
    let most = f64::from(wanted.drops_per_second);
    if most == 0.0 || rate * 2.0 < most {
        return None;
    }
    if rate <= most {
        return Some(Sight::Between);
    }
    let words = format!(
        "{rate:.0} messages are dropped a second; `nightjar stats` and the page of drops say why"
    );
    Some(Sight::Bad(Severity::Warning, words))
}

fn store(condition: Condition) -> Option<(&'static str, Severity, &'static str)> {
    Some(match condition {
        Condition::Ok => return None,
        Condition::Slow => (
            SLOW,
            Severity::Warning,
            "the disk of the store is slow: it needs more than a second, and acknowledgements wait",
        ),
        Condition::Full(Shortage::Disk) => (
            FULL,
            Severity::Critical,
            "the disk of the store is full: what would have to be stored is refused",
        ),
        Condition::Full(Shortage::Limit) => (
            FULL,
            Severity::Critical,
            "limits.store_bytes is reached: what would have to be stored is refused",
        ),
        Condition::Full(Shortage::ReadOnly) => (
            FULL,
            Severity::Critical,
            "the file system of the store is read-only: what would have to be stored is refused",
        ),
        Condition::Failed => (FAILED, Severity::Critical, STORE_FAILED),
    })
}

/// What is said when the store has failed.
pub(super) const STORE_FAILED: &str =
    "the store has failed: nothing more is acknowledged at QoS 1 and 2, and the server ends";

#[cfg(test)]
mod tests;
