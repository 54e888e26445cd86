//! What a reload changes, and what it cannot.

use crate::config::Config;
use crate::keys::{Effect, KEYS};
use crate::lists::LISTS;

/// The keys that differ between a running configuration and a new one, by their paths such as
/// `limits.packet_size`, in the order of the documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// These act now.
    pub applied: Vec<String>,
    /// These act at the next start.
    pub after_restart: Vec<String>,
}

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty() && self.after_restart.is_empty()
    }
}

impl Config {
    /// Which keys `new` changes, without changing anything.
    pub fn reload_changes(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        for key in KEYS
            .iter()
            .filter(|key| (key.read)(self) != (key.read)(new))
        {
            match key.effect {
                Effect::Reload => changes.applied.push(key.path()),
                Effect::Restart => changes.after_restart.push(key.path()),
            }
        }
        for list in LISTS {
            if (list.rows)(self) != (list.rows)(new) {
                changes.after_restart.push(list.name.to_owned());
            }
        }
        changes
    }

    /// Takes over from `new` what may change while the server runs, and says what changed.
    ///
    /// # Errors
    /// None in practice; a key whose value its own kind does not take says so, and the
    /// configuration is as it was.
    pub fn adopt(&mut self, new: &Self) -> Result<Changes, String> {
        let changes = self.reload_changes(new);
        let mut next = self.clone();
        for key in KEYS.iter().filter(|key| key.effect == Effect::Reload) {
            if (key.read)(&next) != (key.read)(new) {
                (key.write)(&mut next, (key.read)(new))
                    .map_err(|reason| format!("{}: {reason}", key.path()))?;
            }
        }
        *self = next;
        Ok(changes)
    }
}
