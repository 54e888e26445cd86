//! Timers of one worker, in buckets of 100 milliseconds.
//!
//! A timer is never cancelled: when it comes up, its owner looks whether it still means
//! something and sets the next one. A connection that is alive costs one entry in each keep
//! alive, however many packets arrive.

use std::collections::BTreeMap;

use types::{ConnId, SessionKey, Time};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A connection must have finished CONNECT.
    ConnectDeadline(ConnId),
    /// A connection must have sent something.
    KeepAlive(ConnId),
    /// A connection must have taken something.
    WriteStall(ConnId),
    /// What a client was granted is over, or is to be asked for again.
    Grant(ConnId),
    /// A connection that sent too much may go on.
    Rate(ConnId),
    /// A session without a connection ends, or its delayed will is due.
    Session(SessionKey),
    /// `$SYS` is due (worker 0).
    Sys,
    /// Expired retained messages are due (worker 0).
    RetainedExpiry,
}

const GRAIN: u64 = 100;

/// Timers by bucket; a timer never comes up early.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    buckets: BTreeMap<u64, Vec<Timer>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Time, timer: Timer) {
        self.buckets
            .entry(at.as_millis().div_ceil(GRAIN))
            .or_default()
            .push(timer);
    }

    /// When the first bucket is due.
    pub(crate) fn next(&self) -> Option<Time> {
        let (bucket, _) = self.buckets.first_key_value()?;
        Some(Time::from_millis(bucket.saturating_mul(GRAIN)))
    }

    /// The timers of the first bucket, if it is due.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<Vec<Timer>> {
        if self.next()? > now {
            return None;
        }
        self.buckets.pop_first().map(|(_, timers)| timers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_up_in_order_and_never_early() {
        let mut timers = Timers::default();
        timers.set(Time::from_millis(1_001), Timer::Sys);
        timers.set(Time::from_millis(100), Timer::RetainedExpiry);
        assert_eq!(timers.next(), Some(Time::from_millis(100)));
        assert_eq!(timers.take_due(Time::from_millis(99)), None);
        let far = Time::from_millis(1_099);
        assert_eq!(timers.take_due(far), Some(vec![Timer::RetainedExpiry]));
        assert_eq!(timers.take_due(far), None);
        assert_eq!(
            timers.take_due(Time::from_millis(1_100)),
            Some(vec![Timer::Sys])
        );
        assert_eq!(timers.next(), None);
    }
}
