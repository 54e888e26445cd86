//! What is wrong, and what was lately.
//!
//! An alarm is raised and cleared by who watches for it, never on a worker. There are at most so
//! many of both kinds; of those that are over the oldest is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Listed, Page, Stamp};

/// Most alarms that are active, and most that are over.
const MOST: usize = 1000;

/// Alarms.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<Inner>);

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
    pub fn raise(&self, name: &str, about: &str, message: &str) -> Raised {
        let mut inner = self.lock();
        let now = Stamp::now();
        let key = (name.to_owned(), about.to_owned());
        if let Some(alarm) = inner.active.get_mut(&key) {
            alarm.message = message.into();
            alarm.last_at = now;
            alarm.count = alarm.count.saturating_add(1);
            return Raised::Again;
        }
        if inner.active.len() >= MOST {
            return Raised::Lost;
        }
        let alarm = Alarm {
            name: name.into(),
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
        true
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_raised_once_and_cleared_once() {
        let alarms = Alarms::default();
        assert_eq!(alarms.raise("disk", "d", "slow"), Raised::New);
        assert_eq!(alarms.raise("disk", "d", "slower"), Raised::Again);
        assert_eq!(alarms.words(), ["slower"]);
        assert!(alarms.clear("disk", "d") && !alarms.clear("disk", "d"));
        assert!(alarms.words().is_empty());
        assert_eq!(alarms.raise("disk", "d", "slow"), Raised::New);
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
    fn there_are_at_most_so_many() {
        let alarms = Alarms::default();
        for number in 0..MOST {
            assert_eq!(alarms.raise("a", &number.to_string(), ""), Raised::New);
        }
        assert_eq!(alarms.raise("a", "more", ""), Raised::Lost);
        for number in 0..MOST {
            alarms.clear("a", &number.to_string());
        }
        alarms.raise("a", "more", "");
        alarms.clear("a", "more");
        let page = Page::new(1, 10).unwrap();
        assert_eq!(alarms.list(None, page).count, MOST as u64);
        assert_eq!(alarms.list(None, page).rows[0].about, "more");
    }
}
