//! Certificates: whether they can be used, for what names, and how long.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use net::{CertificateFiles, ChainLink, ServerTls, TlsError, TlsFiles};

use super::Patient;
use super::report::{Finding, Report};
use crate::doors::authorities::Authorities;
use crate::doors::listeners::{tls_files, waiting};

const AREA: &str = "certificates";
/// An authority's certificate that is renewed by itself has more than this.
const SOON: i64 = 14;

pub(super) fn look(patient: &Patient, report: &mut Report) {
    let config = &patient.config;
    let folder = patient.data_dir.clone().unwrap_or_default();
    let authorities = Authorities::new(&folder);
    for wanted in config.listeners.iter().filter(|it| it.protocol.has_tls()) {
        let files = tls_files(config, wanted, &authorities);
        let whose = format!("listener {}", wanted.name);
        let waits = waiting(config, &wanted.certificates, &files);
        if !waits.is_empty() {
            let what = format!(
                "{whose}: {} will be asked for at the start",
                waits.join(", ")
            );
            report.add(Finding::note(AREA, what));
            continue;
        }
        together(&whose, &files, report);
    }
    let dashboard = &config.dashboard;
    if let (Some(chain), Some(key)) = (&dashboard.certificate, &dashboard.key) {
        let files = TlsFiles {
            certificates: vec![CertificateFiles {
                chain: chain.clone(),
                key: key.clone(),
            }],
            ..TlsFiles::default()
        };
        together("the dashboard", &files, report);
    }
}

/// The files of one door, as the server would read them, then each chain by itself.
fn together(whose: &str, files: &TlsFiles, report: &mut Report) {
    match ServerTls::load(files) {
        Ok(_) => {}
        // Told below, in more detail.
        Err(TlsError::NotValidNow { .. }) => {}
        Err(error) => report.add(Finding::problem(
            AREA,
            format!("{whose}: {error}"),
            "the server does not start with it; mend or replace the file",
        )),
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let chains: Vec<&PathBuf> = files.certificates.iter().map(|one| &one.chain).collect();
    for path in chains {
        // What cannot be read was told by the loader.
        if let Ok(links) = net::certificate_chain(path) {
            chain(whose, path, &links, now, report);
        }
    }
}

fn chain(whose: &str, path: &Path, links: &[ChainLink], now: i64, report: &mut Report) {
    let Some(own) = links.first() else {
        return;
    };
    let shown = path.display();
    for link in links {
        if let Some(finding) = validity(whose, path, link, now) {
            report.add(finding);
        }
    }
    if own.names.is_empty() {
        report.add(Finding::warning(
            AREA,
            format!("{whose}: {shown} is for no name: clients look for a Subject Alternative Name"),
            "have it issued with the names that clients connect to",
        ));
    }
    let broken = links.windows(2).find(|two| match two {
        [one, next] => one.issuer != next.subject,
        _ => false,
    });
    if let Some([one, next]) = broken {
        report.add(Finding::warning(
            AREA,
            format!(
                "{whose}: in {shown}, {:?} is issued by {:?}, but {:?} follows",
                one.subject, one.issuer, next.subject
            ),
            "put the server's certificate first, then each issuer behind what it issued",
        ));
    }
    let is_self_signed = own.issuer == own.subject;
    if links.len() == 1 && is_self_signed {
        report.add(Finding::note(
            AREA,
            format!("{whose}: {shown} is signed by itself: clients have to be given it"),
        ));
    }
    let days = (own.not_after - now).div_euclid(86_400);
    if days >= SOON {
        report.add(
            Finding::good(
                AREA,
                format!(
                    "{whose}: {shown}, for {}, {days} days left",
                    own.names.join(", ")
                ),
            )
            .figure("days_left", days),
        );
    }
}

fn validity(whose: &str, path: &Path, link: &ChainLink, now: i64) -> Option<Finding> {
    let (shown, who) = (path.display(), &link.subject);
    let days = (link.not_after - now).div_euclid(86_400);
    if now < link.not_before {
        let what = format!("{whose}: {shown}: {who:?} is not valid yet");
        return Some(Finding::problem(
            AREA,
            what,
            "set the clock, or wait until it begins",
        ));
    }
    if now > link.not_after {
        let what = format!("{whose}: {shown}: {who:?} expired {} days ago", -days);
        let advice = "renew it; a running server takes the new files by itself";
        return Some(Finding::problem(AREA, what, advice).figure("days_left", days));
    }
    if days < SOON {
        let what = format!("{whose}: {shown}: {who:?} expires in {days} days");
        let advice = "renew it; a running server takes the new files by itself";
        return Some(Finding::warning(AREA, what, advice).figure("days_left", days));
    }
    None
}
