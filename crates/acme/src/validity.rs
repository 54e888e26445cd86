//! When a certificate is due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What of a certificate says when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    /// Signed by itself: nobody's.
    pub(crate) is_stand_in: bool,
    /// The names that it is for, sorted, in lower case.
    names: Vec<String>,
    /// In seconds since 1970.
    not_before: i64,
    pub(crate) not_after: i64,
}

/// That of the first certificate of a file; `None` if there is none that can be read.
pub(crate) fn of(text: &str) -> Option<Validity> {
    let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
    let (_, parsed) = X509Certificate::from_der(&der).ok()?;
    let names = parsed.subject_alternative_name().ok()?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Some(Validity {
        is_stand_in: parsed.subject() == parsed.issuer(),
        names,
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
    })
}

impl Validity {
    /// How long it need not be renewed: until two thirds of its time are over, and a little less by
    /// chance (`dice` is from 0 to 255), so that not all servers come at once. Other names are due at
    /// once.
    pub(crate) fn rest(&self, domains: &[String], dice: u8, now: SystemTime) -> Duration {
        let mut wanted: Vec<String> = domains.iter().map(|it| it.to_ascii_lowercase()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if self.is_stand_in || wanted != self.names {
            return Duration::ZERO;
        }
        let whole = self.not_after.saturating_sub(self.not_before).max(0);
        // At most a twentieth.
        let early = whole / 20 * i64::from(dice) / 255;
        let due = self.not_before + whole / 3 * 2 - early;
        Duration::from_secs(u64::try_from(due.saturating_sub(seconds(now))).unwrap_or(0))
    }

    /// Whether it can be shown at all.
    pub(crate) fn is_good(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&seconds(now))
    }

    /// How long it is good; `None` for a stand-in.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        let left = u64::try_from(self.not_after.saturating_sub(seconds(now))).unwrap_or(0);
        (!self.is_stand_in).then(|| Duration::from_secs(left))
    }
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// How long to wait after so many failures in a row: a minute, then three times as long each, at most
/// six hours, and up to a fifth more by chance. Authorities bound how often one may fail.
pub(crate) fn pause(failures: u32, dice: u8) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(3_u32.saturating_pow(failures.saturating_sub(1)));
    let pause = pause.min(LONGEST_PAUSE);
    pause + pause / 5 * u32::from(dice) / 255
}

const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn at(day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(day * DAY)
    }

    fn days(count: u64) -> Duration {
        Duration::from_secs(count * DAY)
    }

    #[test]
    fn it_is_due_when_two_thirds_are_over_or_its_names_are_others() {
        let names = |listed: &[&str]| listed.iter().map(|it| (*it).to_owned()).collect();
        let good = Validity {
            is_stand_in: false,
            names: names(&["a.example", "b.example"]),
            not_before: 0,
            not_after: 90 * 86_400,
        };
        let wanted: Vec<String> = names(&["B.example", "a.example"]);
        assert_eq!(good.rest(&wanted, 0, at(0)), days(60));
        assert_eq!(good.rest(&wanted, 255, at(10)), days(50) - days(9) / 2);
        assert_eq!(good.rest(&wanted, 0, at(61)), Duration::ZERO);
        assert_eq!(good.rest(&wanted[..1], 0, at(0)), Duration::ZERO);
        assert_eq!(good.left(at(80)), Some(days(10)));
        assert_eq!(good.left(at(100)), Some(Duration::ZERO));
        let stand_in = Validity {
            is_stand_in: true,
            ..good
        };
        assert_eq!(stand_in.rest(&wanted, 0, at(0)), Duration::ZERO);
        assert_eq!(stand_in.left(at(0)), None);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        assert_eq!(pause(1, 0), minutes(1));
        assert_eq!(pause(2, 0), minutes(3));
        assert_eq!(pause(2, 255), Duration::from_secs(216));
        assert_eq!(pause(u32::MAX, 0), minutes(360));
    }
}
