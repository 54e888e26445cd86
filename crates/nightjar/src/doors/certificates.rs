//! Certificates, keys, authorities and revocation lists that change while the server runs (S73, S75).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::Mail;
use net::{ClientAuth, Mailboxes, ServerTls, TlsDoor, TlsFiles};
use tracing::{error, info, warn};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long before its end a certificate is worth a line in the log, and how often.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 86_400);
const WARN_EVERY: Duration = Duration::from_secs(86_400);

/// The files of one listener's TLS.
pub(crate) struct Watched {
    listener: String,
    files: TlsFiles,
    door: TlsDoor,
    /// What the files looked like when they were last read, or tried to be.
    seen: Vec<Look>,
    /// They looked like this a moment ago, and not yet so before: somebody may be at work on them.
    changing: Option<Vec<Look>>,
    warned: Option<SystemTime>,
}

/// What tells a file from what it was: a renewed one has another number, size or time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    path: PathBuf,
    state: Result<(u64, u64, Option<SystemTime>), io::ErrorKind>,
}

impl Look {
    fn at(path: &Path) -> Self {
        let state = fs::metadata(path)
            .map(|found| (number(&found), found.len(), found.modified().ok()))
            .map_err(|error| error.kind());
        Self {
            path: path.to_path_buf(),
            state,
        }
    }
}

#[cfg(unix)]
fn number(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> u64 {
    0
}

impl Watched {
    pub(crate) fn new(listener: &str, files: TlsFiles, door: TlsDoor) -> Self {
        let seen = looks(&files);
        Self {
            listener: listener.to_owned(),
            files,
            door,
            seen,
            changing: None,
            warned: None,
        }
    }

    /// Looks at the files. Whether new ones are in force.
    fn look(&mut self) -> bool {
        let now = looks(&self.files);
        if now == self.seen {
            self.changing = None;
            return false;
        }
        // Chain and key are two files: what is half written is given one more interval.
        if self.changing.as_ref() != Some(&now) {
            self.changing = Some(now);
            return false;
        }
        self.changing = None;
        self.seen = now;
        self.take_over()
    }

    /// Reads the files. Wrong ones leave the old ones in force.
    fn take_over(&mut self) -> bool {
        let listener = &*self.listener;
        match ServerTls::load(&self.files) {
            Ok(tls) => {
                self.door.swap(tls);
                self.warned = None;
                info!(
                    listener,
                    "certificates read again: new connections see them"
                );
                true
            }
            Err(problem) => {
                error!(listener, %problem, "certificates not taken over: the old ones stay");
                false
            }
        }
    }

    /// Says once a day that a certificate or a list is about to end, or has ended.
    fn warn_of_end(&mut self, now: SystemTime) {
        let told = self.warned.and_then(|last| now.duration_since(last).ok());
        if told.is_some_and(|passed| passed < WARN_EVERY) {
            return;
        }
        let listener = &*self.listener;
        let current = self.door.current();
        let soon = seconds(now + WARN_BEFORE);
        for one in current.certificates() {
            if one.not_after < soon {
                let days = (one.not_after - seconds(now)).div_euclid(86_400);
                let file = &*one.path.to_string_lossy();
                warn!(listener, file, days, "a certificate ends soon: renew it");
                self.warned = Some(now);
            }
        }
        if current
            .crl_next_update()
            .is_some_and(|at| at < seconds(now))
        {
            warn!(
                listener,
                "a revocation list is outdated: clients with certificates are not let in"
            );
            self.warned = Some(now);
        }
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn looks(files: &TlsFiles) -> Vec<Look> {
    let own = files.certificates.iter();
    let own = own.flat_map(|one| [&one.chain, &one.key]);
    let ca = match &files.client {
        ClientAuth::Off => None,
        ClientAuth::Optional(ca) | ClientAuth::Required(ca) => Some(ca),
    };
    let theirs = ca
        .into_iter()
        .flat_map(|ca| ca.roots.iter().chain(&ca.crls));
    own.chain(theirs).map(|path| Look::at(path)).collect()
}

/// What changes about what is watched.
pub(crate) enum Watch {
    /// These too.
    Add(Watched),
    /// Those of this listener no more.
    Remove(String),
}

/// Watches files until the sender is dropped.
pub(crate) fn watch(mailboxes: Mailboxes<Mail>) -> io::Result<Sender<Watch>> {
    let (changes, changed) = mpsc::channel::<Watch>();
    let mut watched: Vec<Watched> = Vec::new();
    thread::Builder::new()
        .name("certificates".into())
        .spawn(move || {
            loop {
                let now = SystemTime::now();
                watched.iter_mut().for_each(|one| one.warn_of_end(now));
                let heard = match watched.is_empty() {
                    true => changed.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    false => changed.recv_timeout(INTERVAL),
                };
                match heard {
                    Ok(Watch::Add(one)) => watched.push(one),
                    Ok(Watch::Remove(listener)) => watched.retain(|one| one.listener != listener),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                let mut new = false;
                for one in &mut watched {
                    new |= one.look();
                }
                if new {
                    // Who came with a certificate that is withdrawn now, goes.
                    mailboxes.recheck_certificates();
                }
            }
        })?;
    Ok(changes)
}
