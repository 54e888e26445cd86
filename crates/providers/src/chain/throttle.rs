//! Who guesses has to wait (S64).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failed logins by address.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// So many in a minute are free; zero: all.
    limit: u32,
    addresses: HashMap<IpAddr, Failures>,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    /// When the minute began.
    since: Instant,
    last: Instant,
    count: u32,
    /// How many times it had to wait.
    waits: u32,
    until: Instant,
}

impl Throttle {
    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        if limit == 0 {
            self.addresses.clear();
        }
    }

    /// Until when attempts from an address are refused unread.
    pub(crate) fn blocked_until(&self, address: IpAddr, now: Instant) -> Option<Instant> {
        let failures = self.addresses.get(&of_site(address))?;
        (failures.until > now).then_some(failures.until)
    }

    /// An attempt from an address failed.
    pub(crate) fn fail(&mut self, address: IpAddr, now: Instant) {
        if self.limit == 0 {
            return;
        }
        let address = of_site(address);
        if self.addresses.len() >= MOST && !self.addresses.contains_key(&address) {
            self.make_room(now);
        }
        let fresh = Failures {
            since: now,
            last: now,
            count: 0,
            waits: 0,
            until: now,
        };
        let failures = self.addresses.entry(address).or_insert(fresh);
        if failures.until > now {
            // It was on its way when the waiting began.
            return;
        }
        let rested = now.saturating_duration_since(failures.last) >= MINUTE;
        let over = now.saturating_duration_since(failures.since) >= MINUTE;
        if rested || (over && failures.waits == 0) {
            *failures = fresh;
        }
        failures.last = now;
        failures.count = failures.count.saturating_add(1);
        if failures.count >= self.limit {
            let factor = 1_u32.checked_shl(failures.waits).unwrap_or(u32::MAX);
            let wait = FIRST_WAIT.saturating_mul(factor).min(LONGEST_WAIT);
            failures.waits = failures.waits.saturating_add(1).min(31);
            failures.until = now.checked_add(wait).unwrap_or(now);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Forgets who has rested; if nobody has, some who happen to come first.
    fn make_room(&mut self, now: Instant) {
        let rests = |it: &Failures| now.saturating_duration_since(it.last) >= MINUTE;
        self.addresses.retain(|_, failures| !rests(failures));
        if self.addresses.len() >= MOST {
            let mut place = 0_usize;
            self.addresses.retain(|_, _| {
                place = place.saturating_add(1);
                place > MOST / 16
            });
        }
    }
}

/// Who has an IPv6 address has 2^64 of them.
fn of_site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Addresses in the list.
const MOST: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn throttle(limit: u32) -> Throttle {
        let mut throttle = Throttle::default();
        throttle.set_limit(limit);
        throttle
    }

    #[test]
    fn s64_who_guesses_waits_longer_each_time_and_nobody_else_does() {
        let mut throttle = throttle(3);
        let (bad, good) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut now = Instant::now();
        for _ in 0..2 {
            throttle.fail(bad, now);
            assert_eq!(throttle.blocked_until(bad, now), None);
        }
        for wait in [1, 2, 4, 8, 16, 30, 30] {
            throttle.fail(bad, now);
            let until = now + Duration::from_secs(wait);
            assert_eq!(throttle.blocked_until(bad, now), Some(until));
            throttle.fail(bad, now);
            assert_eq!(throttle.blocked_until(bad, now), Some(until), "not more");
            assert_eq!(throttle.blocked_until(good, now), None);
            now = until;
            assert_eq!(throttle.blocked_until(bad, now), None);
        }
        now += MINUTE;
        throttle.fail(bad, now);
        assert_eq!(throttle.blocked_until(bad, now), None, "it has rested");
    }

    #[test]
    fn s64_a_few_mistakes_now_and_then_are_free() {
        let mut throttle = throttle(3);
        let mut now = Instant::now();
        for _ in 0..20 {
            throttle.fail(address("::1"), now);
            assert_eq!(throttle.blocked_until(address("::1"), now), None);
            now += Duration::from_secs(31);
        }
    }

    #[test]
    fn s64_a_site_has_one_account() {
        let mut throttle = throttle(1);
        let now = Instant::now();
        throttle.fail(address("2001:db8::1"), now);
        throttle.fail(address("::ffff:192.0.2.1"), now);
        let blocked = |text| throttle.blocked_until(address(text), now).is_some();
        assert!(blocked("2001:db8::ffff:1") && !blocked("2001:db8:0:1::1"));
        assert!(blocked("192.0.2.1") && !blocked("192.0.2.2"));
    }

    #[test]
    fn s64_the_list_is_bounded() {
        let mut throttle = throttle(1);
        let now = Instant::now();
        for number in 0..u32::try_from(MOST).unwrap() + 10 {
            throttle.fail(IpAddr::V4(number.into()), now);
        }
        assert!(throttle.len() <= MOST);
        let last = u32::try_from(MOST).unwrap() + 9;
        assert!(
            throttle
                .blocked_until(IpAddr::V4(last.into()), now)
                .is_some()
        );
        throttle.set_limit(0);
        throttle.fail(address("192.0.2.1"), now);
        assert_eq!(throttle.len(), 0);
    }
}
