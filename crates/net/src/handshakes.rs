//! Whose turn it is to shake hands.
//!
//! A step of a TLS handshake takes as long as hundreds of messages, so a worker does few in a turn,
//! and the other links wait. Those that have begun go first: if thousands come at once, one after
//! the other gets in, instead of all of them getting half way when their time is over. While many
//! wait that have not begun, no more are accepted: the time that a link has until its CONNECT
//! begins when the server can turn to it (F17).

use std::collections::VecDeque;

use types::ConnId;

/// The handshakes of one worker.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// What this turn still has time for.
    steps: usize,
    begun: VecDeque<ConnId>,
    fresh: VecDeque<ConnId>,
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing was done for it.
    Fresh,
    /// The server has answered.
    Begun,
}

impl Handshakes {
    pub(crate) fn begin_turn(&mut self) {
        self.steps = STEPS_PER_TURN;
    }

    /// Whether there is time for a step, which is taken then.
    pub(crate) fn take_step(&mut self) -> bool {
        let Some(left) = self.steps.checked_sub(1) else {
            return false;
        };
        self.steps = left;
        true
    }

    /// A link has something to be read, and no step was left for it.
    pub(crate) fn wait(&mut self, conn: ConnId, progress: Progress) {
        match progress {
            Progress::Fresh => self.fresh.push_back(conn),
            Progress::Begun => self.begun.push_back(conn),
        }
    }

    /// Who is next, if there is time for a step. The link may be gone.
    pub(crate) fn next(&mut self) -> Option<ConnId> {
        if self.steps == 0 {
            return None;
        }
        self.begun.pop_front().or_else(|| self.fresh.pop_front())
    }

    /// Nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.fresh.is_empty()
    }

    /// So many wait that others are better off in the system's queue.
    pub(crate) fn is_behind(&self) -> bool {
        self.fresh.len() >= MOST_FRESH
    }
}

/// Most reads of links in handshakes in one turn.
const STEPS_PER_TURN: usize = 8;
/// So many links wait for their first step: less than a second's work, even where one takes
/// three milliseconds.
const MOST_FRESH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn conn(slot: u32) -> ConnId {
        ConnId {
            slot,
            generation: 1,
        }
    }

    #[test]
    fn f17_who_has_begun_is_finished_first() {
        let mut handshakes = Handshakes::default();
        handshakes.begin_turn();
        while handshakes.take_step() {}
        for slot in 0..100 {
            handshakes.wait(conn(slot), Progress::Fresh);
        }
        handshakes.wait(conn(500), Progress::Begun);
        handshakes.wait(conn(501), Progress::Begun);
        assert_eq!(handshakes.next(), None);
        handshakes.begin_turn();
        let order: Vec<u32> = (0..4)
            .filter_map(|_| handshakes.next().filter(|_| handshakes.take_step()))
            .map(|conn| conn.slot)
            .collect();
        assert_eq!(order, [500, 501, 0, 1]);
    }

    #[test]
    fn a_turn_has_so_many_steps_and_no_more() {
        let mut handshakes = Handshakes::default();
        handshakes.begin_turn();
        let taken = (0..1000).filter(|_| handshakes.take_step()).count();
        assert_eq!(taken, STEPS_PER_TURN);
        assert!(handshakes.is_empty());
    }

    #[test]
    fn f17_it_is_behind_while_many_have_not_begun() {
        let mut handshakes = Handshakes::default();
        for slot in 0..256 {
            assert!(!handshakes.is_behind());
            handshakes.wait(conn(slot), Progress::Fresh);
        }
        assert!(handshakes.is_behind());
        handshakes.begin_turn();
        assert!(handshakes.next().is_some());
        assert!(!handshakes.is_behind());
    }
}
