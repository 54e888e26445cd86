//! Bans. Workers hear of them by the policy, and end the connections that they are about.

use std::time::{SystemTime, UNIX_EPOCH};

use admin::server::{Ban, BanOn, Bans, NewBan, bans::Until};
use admin::{Failure, Listed, Page, Record, Stamp};
use providers::access::{self, AccessError};

use super::{Steer, failure, noted, seconds};

impl Bans for Steer {
    fn bans(&self, page: Page) -> Result<Listed<Ban>, Failure> {
        let now = now();
        let bans = self.doors.access().bans().into_iter();
        let bans = bans.filter(|ban| ban.until.is_none_or(|until| until > now));
        Ok(page.of(bans.map(shown)))
    }

    fn ban(&self, on: BanOn, who: &str) -> Result<Ban, Failure> {
        let wanted = of(on, who);
        let now = now();
        let found = self.doors.access().ban(&wanted);
        let found = found.map_err(|error| failure(error, &ban(on, who)))?;
        found
            .filter(|ban| ban.until.is_none_or(|until| until > now))
            .map(shown)
            .ok_or_else(|| failure(AccessError::Missing, &ban(on, who)))
    }

    fn create_ban(&self, new: NewBan, by: &str, record: &Record) -> Result<Ban, Failure> {
        let agree = noted(record, shown);
        let now = now();
        let until = match new.until {
            Until::Lifted => None,
            // Not before it was said.
            Until::Time(stamp) => Some(stamp.as_millis().div_ceil(1000)),
        };
        if until.is_some_and(|until| until <= now) {
            return Err(Failure::Invalid("until: this time is over".into()));
        }
        let wanted = access::Ban {
            on: of(new.on, &new.who),
            until,
            reason: new.reason,
            by: by.into(),
            created: now,
        };
        let made = self.doors.access().changes(&agree).put_ban(&wanted);
        made.map_err(|error| failure(error, &ban(new.on, &new.who)))?;
        Ok(shown(wanted))
    }

    fn delete_ban(&self, on: BanOn, who: &str, record: &Record) -> Result<(), Failure> {
        let agree = noted(record, shown);
        let gone = self.doors.access().changes(&agree).delete_ban(&of(on, who));
        gone.map(drop)
            .map_err(|error| failure(error, &ban(on, who)))
    }
}

fn ban(on: BanOn, who: &str) -> String {
    format!("ban of {} {who:?}", on.as_str())
}

fn of(on: BanOn, who: &str) -> access::BanOn {
    match on {
        BanOn::ClientId => access::BanOn::Client(who.into()),
        BanOn::UserName => access::BanOn::User(who.into()),
        BanOn::PeerHost => access::BanOn::Network(who.into()),
    }
}

/// A ban as the API shows it.
pub(super) fn shown(ban: access::Ban) -> Ban {
    let (on, who) = match ban.on {
        access::BanOn::Client(who) => (BanOn::ClientId, who),
        access::BanOn::User(who) => (BanOn::UserName, who),
        access::BanOn::Network(who) => (BanOn::PeerHost, who),
    };
    Ban {
        on,
        who,
        by: ban.by,
        reason: ban.reason,
        at: seconds(ban.created),
        until: match ban.until {
            None => Until::Lifted,
            Some(until) => Until::Time(Stamp::from_millis(until.saturating_mul(1000))),
        },
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
