//! What stands in the place of `steer` in a build without the feature `api`: nobody asks and nobody
//! steers. What is wrong is a line in the log, and `$SYS` says what it always does.
//!
//! **Never** more than a face: what has the same name there has the same promises here, or none to keep.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use config::{Config, Places};

use crate::serve::Parts;
use seen::Seen;

/// The API, which nobody can have.
pub(crate) type Api = Infallible;

/// Why it could not start, which never happens.
pub(crate) type Problem = Infallible;

/// The running server, as nobody sees it.
pub(crate) struct Steer;

/// What would steer it.
pub(crate) struct Steering {
    pub(crate) api: Option<Api>,
    pub(crate) steer: Arc<Steer>,
}

/// Serves nothing.
///
/// # Errors
/// None.
pub(crate) fn serve(_: Parts, _: &Arc<Seen>, _: &Path) -> Result<Steering, Problem> {
    Ok(Steering {
        api: None,
        steer: Arc::new(Steer),
    })
}

impl Steer {
    pub(crate) fn configured(&self, _: &Config, _: &Config, _: Places) {}

    pub(crate) fn ending(&self) {}

    /// The log has it.
    pub(crate) fn store_failed(&self) {}
}

/// Trouble, as it is told.
pub(crate) mod bell {
    use std::collections::BTreeSet;
    use std::sync::{Mutex, PoisonError};

    use tracing::{error, info, warn};

    /// How grave it is.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Severity {
        Info,
        Warning,
        Critical,
    }

    /// Tells of trouble when it begins and when it is over.
    #[derive(Debug, Default)]
    pub(crate) struct Bell(Mutex<BTreeSet<(String, String)>>);

    impl Bell {
        /// Something is wrong, or still is; whether that is news.
        pub(crate) fn raise(
            &self,
            severity: Severity,
            name: &str,
            about: &str,
            words: &str,
        ) -> bool {
            let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !raised.insert((name.to_owned(), about.to_owned())) {
                return false;
            }
            match severity {
                Severity::Critical => error!(alarm = name, about, words, "alarm raised"),
                Severity::Warning => warn!(alarm = name, about, words, "alarm raised"),
                Severity::Info => info!(alarm = name, about, words, "alarm raised"),
            }
            true
        }

        /// It is over.
        pub(crate) fn clear(&self, name: &str, about: &str) {
            let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if raised.remove(&(name.to_owned(), about.to_owned())) {
                info!(alarm = name, about, "alarm over");
            }
        }
    }
}

/// The dashboard's port.
pub(crate) mod board {
    use std::io;
    use std::path::Path;

    use config::Config;

    use super::Api;
    use crate::banner::Board;

    /// There is none.
    ///
    /// # Errors
    /// None.
    pub(crate) fn board(api: &Api, _: &Config, _: &Path) -> io::Result<Option<Board>> {
        match *api {}
    }
}

/// The configuration, which nobody shows or changes here.
pub(crate) mod configuration {
    use std::convert::Infallible;
    use std::path::Path;

    use config::{Config, Places, Sources};

    /// A word to read it again, which nobody says.
    #[derive(Debug)]
    pub(crate) struct Reread(Infallible);

    impl Reread {
        pub(crate) fn answer(self, _: impl FnOnce() -> Result<(), String>) {
            match self.0 {}
        }
    }

    /// Where it would be kept.
    pub(crate) struct Kept;

    impl Kept {
        pub(crate) fn new(
            _: (Config, Places),
            _: Sources,
            _: &Path,
            _: Box<dyn Fn(Reread) + Send>,
        ) -> Self {
            Self
        }
    }
}

/// Orders of clients, which nobody carries out.
pub(crate) mod orders {
    use std::sync::Arc;

    use broker::{NotTaken, Order, Orders};

    pub(crate) struct Inbox;

    impl Inbox {
        pub(crate) fn new() -> Arc<Self> {
            Arc::new(Self)
        }
    }

    impl Orders for Inbox {
        fn knows(&self, topic: &str) -> bool {
            ().knows(topic)
        }

        fn take(&self, order: &Order<'_>) -> Result<(), NotTaken> {
            ().take(order)
        }
    }
}

/// What is kept of the broker's events: nothing.
pub(crate) mod seen {
    use std::sync::Arc;

    use broker::{Dropped, Event};
    use types::Limits;

    use super::bell::Bell;

    #[derive(Debug, Default)]
    pub(crate) struct Seen {
        bell: Arc<Bell>,
    }

    impl Seen {
        pub(crate) fn new(_: &Limits, _: usize) -> Self {
            Self::default()
        }

        /// What is wrong.
        pub(crate) fn bell(&self) -> &Arc<Bell> {
            &self.bell
        }

        pub(crate) fn event(&self, _: &Event) {}

        pub(crate) fn dropped(&self, _: &Dropped<'_>) {}
    }
}

impl fmt::Debug for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steer")
    }
}
