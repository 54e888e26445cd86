//! Rates: how much may come in a period, and when the next may.
//!
//! What came is charged after it was taken, and may run into debt: then nothing is read until the
//! debt is paid. So nothing is ever dropped or refused for a rate, and it holds on average.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use types::limits::Rate;
use types::{Limits, Time};

use crate::listeners::Listener;

/// One rate and how it is used: until when, in nanoseconds of the worker's clock, what came would
/// take at this rate (a leaky bucket as a meter). 32 bytes, there only where a rate is configured.
///
/// Those of listeners and users are shared by all workers as one number each: a share for each
/// worker would let a user have as many rates as there are workers, or one worker's part of one.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    full_until: AtomicU64,
}

impl Bucket {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            full_until: AtomicU64::new(0),
        }
    }

    /// So much came.
    pub(crate) fn charge(&self, count: usize, now: Time) {
        let (now, cost) = (nanos(now), self.cost(count));
        let before = self.full_until.load(Ordering::Relaxed);
        let next = |before: u64| before.max(now).saturating_add(cost);
        let mut before = before;
        while let Err(other) = self.full_until.compare_exchange_weak(
            before,
            next(before),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            before = other;
        }
    }

    /// How long so much takes at this rate, in nanoseconds.
    fn cost(&self, count: usize) -> u64 {
        let count = u128::try_from(count).unwrap_or(u128::MAX);
        let cost = count.saturating_mul(self.rate.period().as_nanos());
        let cost = cost.checked_div(u128::from(self.rate.count())).unwrap_or(0);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    /// When more may come, if not now: as much as a period allows may come at once.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        let period = u64::try_from(self.rate.period().as_nanos()).unwrap_or(u64::MAX);
        let until = self
            .full_until
            .load(Ordering::Relaxed)
            .saturating_sub(period);
        (until > nanos(now)).then(|| Time::from_millis(until.div_ceil(NANOS)))
    }
}

fn nanos(time: Time) -> u64 {
    time.as_millis().saturating_mul(NANOS)
}

/// In a millisecond.
const NANOS: u64 = 1_000_000;

/// Messages and bytes of one client, one listener, or one user.
#[derive(Debug)]
pub(crate) struct Pair {
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Pair {
    /// `None` if neither has a rate.
    pub(crate) fn new(messages: Option<Rate>, bytes: Option<Rate>) -> Option<Self> {
        (messages.is_some() || bytes.is_some()).then(|| Self {
            messages: messages.map(Bucket::new),
            bytes: bytes.map(Bucket::new),
        })
    }

    /// Whether these are its rates.
    fn has(&self, messages: Option<Rate>, bytes: Option<Rate>) -> bool {
        let rate = |bucket: &Option<Bucket>| bucket.as_ref().map(|bucket| bucket.rate);
        rate(&self.messages) == messages && rate(&self.bytes) == bytes
    }

    fn until(&self, now: Time) -> Option<Time> {
        let both = self.messages.iter().chain(&self.bytes);
        both.filter_map(|bucket| bucket.until(now)).max()
    }
}

/// All rates that hold for one connection.
pub(crate) struct Rates {
    own: Option<Pair>,
    /// Of the listener, which has some.
    listener: Option<Arc<Listener>>,
    user: Option<Arc<Pair>>,
}

impl Rates {
    /// Those of a connection, `None` if there is none; a rate that stays goes on where it was
    /// `before`.
    pub(crate) fn new(
        before: Option<Box<Self>>,
        limits: &Limits,
        listener: Option<Arc<Listener>>,
        user: Option<Arc<Pair>>,
    ) -> Option<Box<Self>> {
        let (messages, bytes) = (limits.client_message_rate, limits.client_byte_rate);
        let own = before
            .and_then(|rates| rates.own)
            .filter(|own| own.has(messages, bytes))
            .or_else(|| Pair::new(messages, bytes));
        let listener = listener.filter(|listener| listener.rates.is_some());
        let any = own.is_some() || listener.is_some() || user.is_some();
        any.then(|| {
            Box::new(Self {
                own,
                listener,
                user,
            })
        })
    }

    fn all(&self) -> impl Iterator<Item = &Pair> {
        let listener = self.listener.as_ref();
        let listener = listener.and_then(|listener| listener.rates.as_ref());
        self.own.iter().chain(listener).chain(self.user.as_deref())
    }

    /// A PUBLISH was taken.
    pub(crate) fn charge_message(&self, now: Time) {
        for bucket in self.all().filter_map(|pair| pair.messages.as_ref()) {
            bucket.charge(1, now);
        }
    }

    /// Bytes arrived.
    pub(crate) fn charge_bytes(&self, count: usize, now: Time) {
        for bucket in self.all().filter_map(|pair| pair.bytes.as_ref()) {
            bucket.charge(count, now);
        }
    }

    /// When the connection is read from again, if not now.
    pub(crate) fn until(&self, now: Time) -> Option<Time> {
        self.all().filter_map(|pair| pair.until(now)).max()
    }
}

/// A user, and the rates for messages and bytes: while limits change, workers hold it to others.
type Held = (Arc<str>, Option<Rate>, Option<Rate>);

/// The rates of users that are connected.
#[derive(Default)]
pub(crate) struct Users {
    known: Mutex<HashMap<Held, Weak<Pair>>>,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users")
    }
}

impl Users {
    /// The rates of a user, which all its clients share; `None` if users have none.
    pub(crate) fn rates(&self, user: &str, limits: &Limits) -> Option<Arc<Pair>> {
        let (messages, bytes) = (limits.user_message_rate, limits.user_byte_rate);
        if messages.is_none() && bytes.is_none() {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let held = (Arc::from(user), messages, bytes);
        if let Some(pair) = known.get(&held).and_then(Weak::upgrade) {
            return Some(pair);
        }
        if known.len() == known.capacity() {
            // Before it would grow: those of users who have left.
            known.retain(|_, pair| pair.strong_count() > 0);
        }
        let pair = Arc::new(Pair::new(messages, bytes)?);
        known.insert(held, Arc::downgrade(&pair));
        Some(pair)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_period_may_come_at_once_and_then_it_goes_by_the_rate() {
        let rate = Rate::new(10, Duration::from_secs(1)).unwrap();
        let bucket = Bucket::new(rate);
        let mut now = Time::from_millis(5_000);
        for _ in 0..10 {
            assert_eq!(bucket.until(now), None);
            bucket.charge(1, now);
        }
        assert_eq!(bucket.until(now), None);
        bucket.charge(1, now);
        assert_eq!(bucket.until(now), Some(Time::from_millis(5_100)));
        // A debt is paid before anything else.
        bucket.charge(29, now);
        assert_eq!(bucket.until(now), Some(Time::from_millis(8_000)));
        now = now + Duration::from_secs(60);
        assert_eq!(bucket.until(now), None);
        let huge = Bucket::new(Rate::new(u64::MAX, Duration::from_nanos(1)).unwrap());
        huge.charge(usize::MAX, now);
        assert_eq!(huge.until(now), None);
        let tiny = Bucket::new(Rate::new(1, Duration::MAX).unwrap());
        tiny.charge(usize::MAX, now);
        tiny.charge(1, now);
        assert_eq!(tiny.until(now), None, "its period is longer than any clock");
    }

    #[test]
    fn the_clients_of_one_user_share_its_rates() {
        let limits = Limits {
            user_message_rate: Rate::new(1, Duration::from_secs(1)),
            ..Limits::default()
        };
        let users = Users::default();
        let alice = users.rates("alice", &limits).unwrap();
        assert!(Arc::ptr_eq(&alice, &users.rates("alice", &limits).unwrap()));
        assert!(!Arc::ptr_eq(&alice, &users.rates("bob", &limits).unwrap()));
        for number in 0..1_000 {
            drop(users.rates(&number.to_string(), &limits));
        }
        assert!(users.known.lock().unwrap().len() < 100);
        assert!(users.rates("alice", &Limits::default()).is_none());
        let other = Limits {
            user_message_rate: Rate::new(2, Duration::from_secs(1)),
            ..Limits::default()
        };
        let faster = users.rates("alice", &other).unwrap();
        assert!(!Arc::ptr_eq(&alice, &faster));
        assert!(Arc::ptr_eq(&alice, &users.rates("alice", &limits).unwrap()));
        assert!(Arc::ptr_eq(&faster, &users.rates("alice", &other).unwrap()));
    }
}
