//! Lines that strangers can cause: so many a second, and a count of the rest (S82).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::warn;

/// Lines of one kind. All that a stranger can cause without showing who he is goes through one.
pub(crate) struct Lines {
    /// What they tell of.
    about: &'static str,
    window: Mutex<Option<Window>>,
}

struct Window {
    began: Instant,
    admitted: u32,
    withheld: u64,
}

/// Most lines of a kind in a window.
const MOST: u32 = 20;
/// How long a window is.
const SPAN: Duration = Duration::from_secs(1);

impl Lines {
    pub(crate) const fn new(about: &'static str) -> Self {
        Self {
            about,
            window: Mutex::new(None),
        }
    }

    /// Whether another line may be written now. Called on workers: it does not wait, and a line
    /// that meets another is counted as withheld by nobody.
    pub(crate) fn admits(&self) -> bool {
        self.admits_at(Instant::now())
    }

    fn admits_at(&self, now: Instant) -> bool {
        let Ok(mut window) = self.window.try_lock() else {
            return false;
        };
        let window = window.get_or_insert(Window {
            began: now,
            admitted: 0,
            withheld: 0,
        });
        if now.duration_since(window.began) >= SPAN {
            if window.withheld > 0 {
                warn!(
                    withheld = window.withheld,
                    "{}: more than the log tells of", self.about
                );
            }
            *window = Window {
                began: now,
                admitted: 0,
                withheld: 0,
            };
        }
        if window.admitted < MOST {
            window.admitted += 1;
            return true;
        }
        window.withheld += 1;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s82_a_flood_leaves_so_many_lines_a_second() {
        let lines = Lines::new("tests");
        let now = Instant::now();
        let admitted = (0..1000).filter(|_| lines.admits_at(now)).count();
        assert_eq!(admitted, 20);
        assert!(lines.admits_at(now + SPAN));
    }
}
