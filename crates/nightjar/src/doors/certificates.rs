//! Certificates, keys, authorities and revocation lists that change while the server runs (S73, S75).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker::Mail;
use net::{ClientAuth, Mailboxes, ServerTls, TlsDoor, TlsFiles};
use tracing::{error, info, warn};

use crate::steer::bell::{Bell, Severity};

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
    /// Why the files are not in force, if they are not.
    refused: Option<String>,
    /// The alarms that are raised: their names, and what they are about.
    raised: Alarming,
}

/// Alarms by name and by what they are about, with their words.
type Alarming = BTreeMap<(&'static str, String), String>;

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
            refused: None,
            raised: Alarming::new(),
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
                self.refused = None;
                info!(
                    listener,
                    "certificates read again: new connections see them"
                );
                true
            }
            Err(problem) => {
                error!(listener, %problem, "certificates not taken over: the old ones stay");
                self.refused = Some(problem.to_string());
                false
            }
        }
    }

    /// Raises an alarm for each thing that is wrong now, and clears those that are over.
    fn alarm(&mut self, now: SystemTime, bell: &Bell) {
        let wrong = self.wrong(now);
        for ((name, about), words) in &wrong {
            if self.raised.get(&(*name, about.clone())) != Some(words) {
                // One too many is not kept; the log has its line.
                let _kept = bell.raise(Severity::Warning, name, about, words);
            }
        }
        for (name, about) in self.raised.keys() {
            if !wrong.contains_key(&(*name, about.clone())) {
                bell.clear(name, about);
            }
        }
        self.raised = wrong;
    }

    fn wrong(&self, now: SystemTime) -> Alarming {
        let mut wrong = Alarming::new();
        let listener = &self.listener;
        if let Some(problem) = &self.refused {
            let words = format!(
                "certificates of the listener {listener} are not taken over, the old ones stay: \
                 {problem}"
            );
            wrong.insert(("certificates_refused", listener.clone()), words);
        }
        let current = self.door.current();
        if current
            .crl_next_update()
            .is_some_and(|at| at < seconds(now))
        {
            let words = format!(
                "a revocation list of the listener {listener} is outdated: clients with \
                 certificates are not let in"
            );
            wrong.insert(("revocation_list_outdated", listener.clone()), words);
        }
        wrong
    }

    /// Nobody watches any more: nothing is wrong with it then.
    fn leave(&mut self, bell: &Bell) {
        for ((name, about), _) in std::mem::take(&mut self.raised) {
            bell.clear(name, &about);
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
    Add(Box<Watched>),
    /// Those of this listener no more.
    Remove(String),
}

/// Watches files until the sender is dropped.
pub(crate) fn watch(mailboxes: Mailboxes<Mail>, bell: Arc<Bell>) -> io::Result<Sender<Watch>> {
    let (changes, changed) = mpsc::channel::<Watch>();
    let mut watched: Vec<Watched> = Vec::new();
    thread::Builder::new()
        .name("certificates".into())
        .spawn(move || {
            loop {
                let now = SystemTime::now();
                for one in &mut watched {
                    one.warn_of_end(now);
                    one.alarm(now, &bell);
                }
                let heard = match watched.is_empty() {
                    true => changed.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    false => changed.recv_timeout(INTERVAL),
                };
                match heard {
                    Ok(Watch::Add(one)) => watched.push(*one),
                    Ok(Watch::Remove(listener)) => {
                        let gone = watched.extract_if(.., |one| one.listener == listener);
                        gone.for_each(|mut one| one.leave(&bell));
                    }
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

#[cfg(all(test, feature = "api"))]
mod tests {
    use net::CertificateFiles;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// Writes a certificate that ends on the first day of this year.
    fn write(files: &TlsFiles, year: i32) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let made = params.self_signed(&key).unwrap();
        fs::write(&files.certificates[0].chain, made.pem()).unwrap();
        write_key(files, &key.serialize_pem());
    }

    /// A key that others can read is refused (S99).
    fn write_key(files: &TlsFiles, text: &str) {
        let key = &files.certificates[0].key;
        fs::write(key, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    #[test]
    fn s73_a_certificate_that_is_none_raises_an_alarm() {
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificates: vec![CertificateFiles {
                chain: folder.path().join("chain.pem"),
                key: folder.path().join("key.pem"),
            }],
            ..TlsFiles::default()
        };
        write(&files, 4000);
        let door = TlsDoor::new(ServerTls::load(&files).unwrap());
        let mut watched = Watched::new("tls", files.clone(), door);
        let bell = Bell::default();
        let now = SystemTime::now();
        let raised = |watched: &mut Watched| {
            watched.alarm(now, &bell);
            let page = admin::Page::new(1, 100).unwrap();
            let mut found: Vec<_> = bell
                .alarms()
                .list(Some(true), page)
                .rows
                .into_iter()
                .map(|it| (it.name, it.about, it.count))
                .collect();
            found.sort();
            found
        };
        assert!(raised(&mut watched).is_empty());
        write_key(&files, "no key");
        assert!(!watched.take_over());
        let refused = vec![("certificates_refused".to_owned(), "tls".to_owned(), 1)];
        assert_eq!(raised(&mut watched), refused);
        assert_eq!(raised(&mut watched), refused, "it is told once");
        write(&files, 4001);
        assert!(watched.take_over());
        assert!(raised(&mut watched).is_empty());
        write_key(&files, "no key");
        assert!(!watched.take_over());
        assert_eq!(raised(&mut watched).len(), 1);
        watched.leave(&bell);
        assert!(bell.alarms().words().is_empty());
    }
}
