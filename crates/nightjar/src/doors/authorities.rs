//! From `[[certificate]]` with `acme` to certificates that are kept good.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use acme::{Keeper, Notice, Wanted};
use config::{Acme, CertificateOrigin, Challenge, Config};
use tracing::{error, info};

use super::listeners::ListenError;

/// Below the data folder, with a folder for each certificate.
const FOLDER: &str = "acme";

/// Certificates that come from authorities.
pub(crate) struct Authorities {
    data_dir: PathBuf,
    /// From the first certificate on.
    keeper: Option<Keeper>,
    /// Names of those that are kept.
    kept: BTreeSet<String>,
}

impl Authorities {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            keeper: None,
            kept: BTreeSet::new(),
        }
    }

    /// Makes what listeners need to open: each certificate has a file then.
    ///
    /// # Errors
    /// The data folder cannot be written to, or what is asked for is not spoken.
    pub(crate) fn prepare(&self, config: &Config) -> Result<(), ListenError> {
        for (name, acme) in certificates(config) {
            if acme.challenge == Challenge::TlsAlpn01 {
                let what =
                    "this version does not speak tls-alpn-01; choose challenge = \"http-01\"";
                return Err(ListenError::Certificate(name.to_owned(), what.to_owned()));
            }
            let wanted = self.wanted(name, acme);
            Keeper::prepare(&wanted).map_err(|error| {
                let what = format!("{}: {error}", wanted.folder.display());
                ListenError::Certificate(name.to_owned(), what)
            })?;
        }
        Ok(())
    }

    /// The file of a certificate, with its key.
    pub(crate) fn file(&self, name: &str, acme: &Acme) -> PathBuf {
        self.wanted(name, acme).file()
    }

    /// From now on these are kept good, and no others.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn keep(&mut self, config: &Config) -> io::Result<()> {
        let wanted: Vec<Wanted> = certificates(config)
            .filter(|(name, _)| !self.kept.contains(*name))
            .map(|(name, acme)| self.wanted(name, acme))
            .collect();
        let names: BTreeSet<String> = certificates(config)
            .map(|(name, _)| name.to_owned())
            .collect();
        if self.keeper.is_none() && !wanted.is_empty() {
            self.keeper = Some(Keeper::start(Arc::new(told))?);
        }
        if let Some(keeper) = &self.keeper {
            wanted.into_iter().for_each(|one| keeper.keep(one));
            self.kept
                .difference(&names)
                .for_each(|gone| keeper.forget(gone));
        }
        self.kept = names;
        Ok(())
    }

    fn wanted(&self, name: &str, acme: &Acme) -> Wanted {
        Wanted {
            name: name.to_owned(),
            directory: acme.acme.reveal().to_owned(),
            domains: acme.domains.clone(),
            email: acme.email.clone(),
            roots: acme.acme_ca.clone(),
            http: acme.http_address,
            folder: self.data_dir.join(FOLDER).join(name),
        }
    }
}

fn certificates(config: &Config) -> impl Iterator<Item = (&str, &Acme)> {
    let all = config.certificates.iter();
    all.filter_map(|one| match &one.origin {
        CertificateOrigin::Acme(acme) => Some((&*one.name, acme)),
        CertificateOrigin::Files(_) => None,
    })
}

/// What becomes of certificates; a failure is an alarm, though nothing is lost yet.
fn told(notice: Notice) {
    match notice {
        Notice::Issued { name, not_after } => {
            info!(certificate = name, not_after, "certificate issued");
        }
        Notice::Failed {
            name,
            problem,
            left,
            again,
        } => error!(
            certificate = name,
            problem,
            days_left = left.map(|left| left.as_secs() / 86_400),
            again_in = again.as_secs(),
            "certificate not issued: what was there stays"
        ),
    }
}
