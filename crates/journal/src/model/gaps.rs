//! What lost frames must have held.

use std::collections::BTreeMap;

/// Each session numbers what it is owed one by one. So where frames of a replay are missing, the
/// next number of a session tells how many of its deliveries were in them; they may have been
/// settled there as well.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The last frame that came.
    frame: u64,
    /// The numbers that sessions go on with, for those that were there when frames were lost.
    expected: BTreeMap<u64, u64>,
    lost: BTreeMap<u64, u64>,
}

impl Gaps {
    /// A frame has come. Whether frames before it have not.
    pub(super) fn frame(&mut self, sequence: u64) -> bool {
        let before = std::mem::replace(&mut self.frame, sequence);
        before > 0 && sequence > before.saturating_add(1)
    }

    /// Frames were lost, when the next delivery of a session was this one.
    pub(super) fn expect(&mut self, session: u64, next: u64) {
        // If it has not been seen since frames were lost before, those count too.
        self.expected.entry(session).or_insert(next);
    }

    /// A session goes on with this number.
    #[inline]
    pub(super) fn go_on(&mut self, session: u64, number: u64) {
        if self.expected.is_empty() {
            return;
        }
        if let Some(next) = self.expected.remove(&session)
            && number > next
        {
            let lost = self.lost.entry(session).or_default();
            *lost = lost.saturating_add(number.saturating_sub(next));
        }
    }

    /// How many deliveries of which session were lost. Nothing is expected any more.
    pub(super) fn take(&mut self) -> BTreeMap<u64, u64> {
        std::mem::take(self).lost
    }
}
