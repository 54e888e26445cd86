//! The process's limit of open files.

use std::io;

/// Raises the soft limit of open descriptors to the hard one and returns it; `None` if there
/// is no limit. Whoever configures the most connections should stay well below the figure:
/// the store, the control plane and each worker (four descriptors) need theirs.
///
/// # Errors
/// The system refused; the old limit stands.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let set = |current| {
            let maximum = limit.maximum;
            setrlimit(Resource::Nofile, Rlimit { current, maximum }).map(|()| current)
        };
        // macOS calls its hard limit unlimited, and takes no more than this.
        let or_less = |error| {
            if limit.maximum.is_none() {
                set(Some(10_240))
            } else {
                Err(error)
            }
        };
        Ok(set(limit.maximum).or_else(or_less)?)
    }
    #[cfg(not(unix))]
    Ok(None)
}
