//! What is wrong, and what was lately.
//!
//! An alarm is raised and cleared by who watches for it, never on a worker. There are at most so
//! many of both kinds; of those that are over the oldest is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::{Listed, Page, Stamp};

/// Most alarms that are active, and most that are over.
const MOST: usize = 1000;

/// Alarms.
#[derive(Debug)]
pub struct Alarms {
    inner: Mutex<Inner>,
    /// Counts what became active or over, for who waits for that.
    changes: watch::Sender<u64>,
}

impl Default for Alarms {
    fn default() -> Self {
        let (changes, _) = watch::channel(0);
        Self {
            inner: Mutex::default(),
            changes,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    active: BTreeMap<(String, String), Alarm>,
    /// The newest at the end.
    over: VecDeque<Alarm>,
}

/// That something is wrong, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// What kind it is, for scripts: `flapping`, `duplicate_client_id`, ...
    pub name: String,
    /// How grave it is.
    pub severity: Severity,
    /// What it is about: a client identifier, a file, ...
    pub about: String,
    /// What is wrong, in words.
    pub message: String,
    /// When it was raised.
    pub activate_at: Stamp,
    /// When it was raised again the last time.
    pub last_at: Stamp,
    /// When it was over; absent while it is not.
    pub deactivate_at: Option<Stamp>,
    /// How often it was raised in between.
    pub count: u64,
}

/// How grave an alarm is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlarmSeverity)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should see to it.
    Warning,
    /// Somebody should see to it now.
    Critical,
}

impl Severity {
    /// Each, the least grave first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// A word for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What became of an alarm that was raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// It is new: worth a line in the log.
    New,
    /// It was active already.
    Again,
    /// There are too many; it is not kept.
    Lost,
}

impl Alarms {
    /// Raises an alarm, or notes that it is raised again, with newer words.
    pub fn raise(&self, severity: Severity, name: &str, about: &str, message: &str) -> Raised {
        let raised = self.put(severity, name, about, message);
        if raised == Raised::New {
            self.tell();
        }
        raised
    }

    fn put(&self, severity: Severity, name: &str, about: &str, message: &str) -> Raised {
        let mut inner = self.lock();
        let now = Stamp::now();
        let key = (name.to_owned(), about.to_owned());
        if let Some(alarm) = inner.active.get_mut(&key) {
            alarm.message = message.into();
            alarm.severity = severity;
            alarm.last_at = now;
            alarm.count = alarm.count.saturating_add(1);
            return Raised::Again;
        }
        if inner.active.len() >= MOST {
            return Raised::Lost;
        }
        let alarm = Alarm {
            name: name.into(),
            severity,
            about: about.into(),
            message: message.into(),
            activate_at: now,
            last_at: now,
            deactivate_at: None,
            count: 1,
        };
        inner.active.insert(key, alarm);
        Raised::New
    }

    /// An alarm is over; whether it was active.
    pub fn clear(&self, name: &str, about: &str) -> bool {
        let mut inner = self.lock();
        let key = (name.to_owned(), about.to_owned());
        let Some(mut alarm) = inner.active.remove(&key) else {
            return false;
        };
        alarm.deactivate_at = Some(Stamp::now());
        if inner.over.len() >= MOST {
            inner.over.pop_front();
        }
        inner.over.push_back(alarm);
        drop(inner);
        self.tell();
        true
    }

    /// Forgets those that are over; how many there were.
    pub fn forget(&self) -> usize {
        let gone = std::mem::take(&mut self.lock().over);
        self.tell();
        gone.len()
    }

    /// How many are active, by severity.
    pub fn active(&self) -> [(Severity, u64); Severity::ALL.len()] {
        let inner = self.lock();
        Severity::ALL.map(|severity| {
            let active = inner.active.values();
            let count = active.filter(|alarm| alarm.severity == severity).count();
            (severity, u64::try_from(count).unwrap_or(u64::MAX))
        })
    }

    /// Changes whenever an alarm becomes active or over.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn tell(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Active ones (`Some(true)`), those that are over (`Some(false)`), or all: the active ones
    /// first, each kind with the newest first.
    pub fn list(&self, activated: Option<bool>, page: Page) -> Listed<Alarm> {
        let inner = self.lock();
        let mut active: Vec<&Alarm> = inner.active.values().collect();
        active.sort_by_key(|alarm| std::cmp::Reverse(alarm.activate_at));
        let active = active.into_iter().filter(|_| activated != Some(false));
        let over = inner.over.iter().rev();
        let over = over.filter(|_| activated != Some(true));
        page.of(active.chain(over).cloned())
    }

    /// What is wrong now, in words; at most a hundred.
    pub fn words(&self) -> Vec<String> {
        let inner = self.lock();
        let active = inner.active.values().take(100);
        active.map(|alarm| alarm.message.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_raised_once_and_cleared_once() {
        let alarms = Alarms::default();
        assert_eq!(
            alarms.raise(Severity::Warning, "disk", "d", "slow"),
            Raised::New
        );
        assert_eq!(
            alarms.raise(Severity::Warning, "disk", "d", "slower"),
            Raised::Again
        );
        assert_eq!(alarms.words(), ["slower"]);
        assert!(alarms.clear("disk", "d") && !alarms.clear("disk", "d"));
        assert!(alarms.words().is_empty());
        assert_eq!(
            alarms.raise(Severity::Warning, "disk", "d", "slow"),
            Raised::New
        );
        let page = Page::new(1, 10).unwrap();
        let counts = |activated| -> Vec<u64> {
            let rows = alarms.list(activated, page).rows;
            rows.iter().map(|alarm| alarm.count).collect()
        };
        assert_eq!(counts(None), [1, 2]);
        assert_eq!(
            (counts(Some(true)), counts(Some(false))),
            (vec![1], vec![2])
        );
    }

    #[test]
    fn a_change_is_told_once_and_what_is_over_can_be_forgotten() {
        let alarms = Alarms::default();
        let mut changes = alarms.changes();
        alarms.raise(Severity::Critical, "disk", "d", "full");
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        alarms.raise(Severity::Critical, "disk", "d", "full");
        assert!(!changes.has_changed().unwrap());
        assert_eq!(alarms.active()[2], (Severity::Critical, 1));
        assert_eq!(alarms.forget(), 0);
        alarms.clear("disk", "d");
        assert!(changes.has_changed().unwrap());
        assert_eq!((alarms.forget(), alarms.active()[2].1), (1, 0));
        assert_eq!(alarms.list(None, Page::new(1, 1).unwrap()).count, 0);
    }

    #[test]
    fn there_are_at_most_so_many() {
        let alarms = Alarms::default();
        for number in 0..MOST {
            assert_eq!(
                alarms.raise(Severity::Warning, "a", &number.to_string(), ""),
                Raised::New
            );
        }
        assert_eq!(
            alarms.raise(Severity::Warning, "a", "more", ""),
            Raised::Lost
        );
        for number in 0..MOST {
            alarms.clear("a", &number.to_string());
        }
        alarms.raise(Severity::Warning, "a", "more", "");
        alarms.clear("a", "more");
        let page = Page::new(1, 10).unwrap();
        assert_eq!(alarms.list(None, page).count, MOST as u64);
        assert_eq!(alarms.list(None, page).rows[0].about, "more");
    }
}
