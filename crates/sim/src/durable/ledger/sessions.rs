//! Connections, sessions, the end of a life, wills.

use std::collections::BTreeMap;
use std::time::Duration;

use types::QoS;

use super::subscriptions::Subscription;
use super::{GotAll, Ledger, MessageId, Step, millis};
use crate::failure::{Failure, ensure};

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: usize,
    pub(super) expiry: Duration,
    pub(super) state: State,
    /// The store has it for sure.
    sure: bool,
    /// Whether the server has it is not known.
    doubtful: bool,
    /// When it would have ended if its client had not come back, which the store may not know.
    earlier: Option<u64>,
    /// Its connection was lost with the server: the store counts from each start anew.
    crashed: bool,
    /// Nothing more is owed to it.
    pub(super) void: bool,
    /// When it ended; [`Step::MAX`] if the server may still have it.
    pub(super) over: Option<Step>,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) got: GotAll,
    /// For each publisher, topic and QoS, the last message in order.
    pub(super) last: BTreeMap<(usize, &'static str, QoS), MessageId>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its client is connected.
    Live,
    /// It is not: the session ends no earlier and no later than this, by the store's clock.
    Away {
        least: u64,
        most: u64,
        /// The store knows.
        synced: bool,
    },
    /// It ended.
    Over,
}

/// What CONNACK has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// Session Present.
    Must,
    /// Not.
    MustNot,
    /// Either.
    May,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client went without a word.
    HungUp,
    /// The server closed it, after DISCONNECT or of itself.
    Closed,
}

/// Whether the server may have a session that its client knows nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ghost {
    /// No.
    None,
    /// Once it has crashed: that the session ended may not be on the disk.
    AfterCrash,
    /// Yes.
    Perhaps,
}

/// What a life of the server follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// A life that ended as it should.
    AfterEnd,
    /// One that did not.
    AfterCrash,
}

/// A will.
#[derive(Debug)]
pub(super) struct Will {
    client: usize,
    message: MessageId,
    delay: u64,
    /// The session outlives the connection, by so much.
    expiry: u64,
    stage: Stage,
    /// The store has it for sure.
    safe: bool,
}

/// What becomes of a will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The connection lasts.
    Armed,
    /// The connection broke: it is due no earlier and no later than this.
    Waiting { least: u64, most: u64 },
    /// It is published, and all is safe.
    Published,
    /// It was taken back, and the store may not know.
    Off,
    /// It may be published, or not.
    Perhaps,
}

impl Session {
    fn new(client: usize, expiry: Duration) -> Self {
        Self {
            client,
            expiry,
            state: State::Live,
            sure: false,
            doubtful: false,
            earlier: None,
            crashed: false,
            void: false,
            over: None,
            subscriptions: Vec::new(),
            got: GotAll::new(),
            last: BTreeMap::new(),
        }
    }

    pub(super) fn is_sure(&mut self) {
        self.sure = true;
    }

    /// It has ended, or may have: nothing is owed to it any more.
    pub(super) fn give_up_at(&mut self, step: Step) {
        self.state = State::Over;
        self.void = true;
        self.over = self.over.or(Some(step));
    }

    pub(super) fn give_up(&mut self) {
        self.give_up_at(Step::MAX);
    }

    /// Whether what is owed to it must have come.
    pub(super) fn is_owed(&self) -> bool {
        self.state == State::Live && !self.void && !self.expiry.is_zero()
    }

    fn ends_from(&mut self, clock: u64) {
        let ends = clock.saturating_add(millis(self.expiry));
        self.state = State::Away {
            least: ends,
            most: ends,
            synced: false,
        };
    }
}

impl Ledger {
    /// What CONNACK has to say to a client that connects now.
    pub fn expected(&self, client: usize, clean: bool) -> Present {
        if clean {
            return Present::MustNot;
        }
        let Some(session) = self.current[client].map(|place| &self.sessions[place]) else {
            return match self.ghosts[client] {
                Ghost::Perhaps => Present::May,
                Ghost::None | Ghost::AfterCrash => Present::MustNot,
            };
        };
        match session.state {
            State::Away { most, .. } if self.clock >= most => Present::MustNot,
            State::Away { least, .. } if self.clock >= least => Present::May,
            State::Over => Present::May,
            _ if session.doubtful => Present::May,
            State::Live | State::Away { .. } => Present::Must,
        }
    }

    /// CONNECT is sent. With Clean Start nothing more is owed to the session.
    pub fn connecting(&mut self, client: usize, clean: bool) {
        self.tick();
        if let Some(place) = self.current[client].filter(|_| clean) {
            self.sessions[place].void = true;
            self.sessions[place].over = Some(Step::MAX);
        }
        let clock = self.clock;
        for will in self.wills.iter_mut().filter(|will| will.client == client) {
            let waits = match will.stage {
                Stage::Armed => true,
                Stage::Waiting { most, .. } => clock < most,
                _ => false,
            };
            if waits {
                will.stage = Stage::Perhaps;
            }
        }
    }

    /// CONNACK came. Both kinds of `expected` are: when CONNECT was sent, and now.
    pub fn connected(
        &mut self,
        client: usize,
        present: bool,
        expected: [Present; 2],
        expiry: Duration,
        will: Option<(MessageId, u32)>,
    ) -> Result<(), Failure> {
        let step = self.tick();
        let [sent, heard] = expected;
        let fits = |one: Present| match one {
            Present::Must => present,
            Present::MustNot => !present,
            Present::May => true,
        };
        ensure!(
            fits(sent) || fits(heard),
            "client{client}: session present is {present} (MQTT-3.2.2-2, -3): {sent:?}, {:?}",
            self.current[client].map(|place| self.sessions[place].state)
        );
        self.ghosts[client] = Ghost::None;
        match self.current[client].filter(|_| present) {
            Some(place) => {
                let session = &mut self.sessions[place];
                if let State::Away { least, .. } = session.state {
                    session.earlier = Some(session.earlier.map_or(least, |at| at.min(least)));
                }
                session.state = State::Live;
                session.crashed = false;
                session.doubtful = false;
            }
            None => {
                if let Some(place) = self.current[client] {
                    self.sessions[place].give_up_at(step);
                }
                let all = self.sessions.iter_mut();
                let gone = |old: &&mut Session| old.client == client && !present;
                for old in all.filter(gone).filter(|old| old.over == Some(Step::MAX)) {
                    old.over = Some(step);
                }
                self.current[client] = Some(self.sessions.len());
                self.sessions.push(Session::new(client, expiry));
            }
        }
        if let Some((message, delay)) = will {
            self.wills.push(Will {
                client,
                message,
                delay: u64::from(delay) * 1000,
                expiry: millis(expiry),
                stage: Stage::Armed,
                safe: false,
            });
        }
        Ok(())
    }

    /// A client without a session hears that it has one: it goes and begins anew.
    pub fn disown(&mut self, client: usize) {
        self.tick();
        if let Some(place) = self.current[client].take() {
            self.sessions[place].give_up();
        }
        self.ghosts[client] = Ghost::Perhaps;
        for will in self.wills.iter_mut().filter(|will| will.client == client) {
            will.stage = Stage::Perhaps;
        }
    }

    /// A connection without CONNACK is lost: whether the server took CONNECT is not known.
    /// Whether the client may rely on its session still.
    pub fn lost_in_greeting(&mut self, client: usize) -> bool {
        let Some(place) = self.current[client] else {
            self.ghosts[client] = Ghost::Perhaps;
            return false;
        };
        let clock = self.clock;
        let session = &mut self.sessions[place];
        let again = clock.saturating_add(millis(session.expiry));
        let keeps = match &mut session.state {
            // It was being taken over.
            State::Live => {
                session.ends_from(clock);
                true
            }
            State::Away {
                least,
                most,
                synced,
            } => {
                *synced = false;
                *most = again.max(*most);
                clock < *least
            }
            State::Over => false,
        };
        if !keeps || session.void {
            self.disown(client);
            return false;
        }
        true
    }

    /// A connection is over. `goodbye` says whether DISCONNECT was sent, and with the session's
    /// end.
    pub fn left(&mut self, client: usize, ended: Ended, goodbye: Option<bool>) {
        let step = self.tick();
        let Some(place) = self.current[client] else {
            return;
        };
        let clock = self.clock;
        let ends_session = goodbye == Some(true);
        let session = &mut self.sessions[place];
        if session.expiry.is_zero() || ends_session {
            match (ends_session, ended) {
                (true, Ended::HungUp) => session.give_up(),
                _ => session.give_up_at(step),
            }
            self.current[client] = None;
            if ends_session {
                self.ghosts[client] = match ended {
                    Ended::Closed => Ghost::AfterCrash,
                    Ended::HungUp => Ghost::Perhaps,
                };
            }
        } else {
            session.ends_from(clock);
        }
        let armed = |will: &&mut Will| will.client == client && will.stage == Stage::Armed;
        for will in self.wills.iter_mut().filter(armed) {
            will.stage = match (goodbye, ended) {
                (None, _) => {
                    let due = clock + will.delay.min(will.expiry);
                    self.posted[will.message.0].from = step;
                    Stage::Waiting {
                        least: due,
                        most: due,
                    }
                }
                (Some(_), Ended::Closed) => Stage::Off,
                (Some(_), Ended::HungUp) => Stage::Perhaps,
            };
        }
    }

    /// Everything is at rest and on the disk.
    pub fn synced(&mut self) {
        let step = self.tick();
        for ghost in self
            .ghosts
            .iter_mut()
            .filter(|ghost| **ghost == Ghost::AfterCrash)
        {
            *ghost = Ghost::None;
        }
        for session in self.current.iter().flatten() {
            let session = &mut self.sessions[*session];
            session.sure = true;
            session.earlier = None;
            match &mut session.state {
                State::Away { synced, .. } => *synced = !session.crashed,
                State::Live => {
                    for got in session.got.values_mut() {
                        got.closed = true;
                    }
                }
                State::Over => {}
            }
        }
        self.qos0_is_over(step);
        let clock = self.clock;
        for will in &mut self.wills {
            will.safe = true;
            if let Stage::Waiting { most, .. } = will.stage
                && clock >= most.saturating_add(TIMER)
            {
                will.stage = Stage::Published;
                let posted = &mut self.posted[will.message.0];
                posted.acked = Some((step, clock));
                posted.ended = Some(step);
            }
        }
        self.wills
            .retain(|will| !matches!(will.stage, Stage::Published | Stage::Off));
    }

    /// What was sent at QoS 0 was taken over by now, or never is.
    fn qos0_is_over(&mut self, step: Step) {
        let all = self.posted.iter_mut();
        for posted in all.filter(|posted| posted.qos == QoS::AtMostOnce && !posted.is_will) {
            posted.ended = posted.ended.or(Some(step));
        }
    }

    /// The server starts again, after its end or after a crash; its store's clock begins here.
    pub fn restarted(&mut self, after: Restart, clock: u64) {
        let step = self.tick();
        let before = std::mem::replace(&mut self.clock, clock);
        self.unreadable = false;
        self.qos0_is_over(step);
        for (client, ghost) in self.ghosts.iter_mut().enumerate() {
            if (*ghost, after) == (Ghost::AfterCrash, Restart::AfterCrash) {
                *ghost = Ghost::Perhaps;
                let last = self.sessions.iter_mut().rfind(|one| one.client == client);
                if let Some(session) = last {
                    session.over = Some(Step::MAX);
                }
            }
        }
        for client in 0..self.current.len() {
            let Some(place) = self.current[client] else {
                continue;
            };
            let session = &mut self.sessions[place];
            session.doubtful |= !session.sure;
            let again = clock.saturating_add(millis(session.expiry));
            if matches!(session.state, State::Away { least, .. } if least <= before) {
                // It had ended, and the store may not know: then it is back, without what came
                // meanwhile.
                session.void = true;
                session.over = Some(Step::MAX);
            }
            if session.state == State::Live {
                session.crashed = true;
                session.ends_from(clock);
            }
            if let State::Away {
                least,
                most,
                synced: false,
            } = &mut session.state
            {
                *least = again.min(*least).min(session.earlier.unwrap_or(u64::MAX));
                *most = again.max(*most);
            }
            if session.expiry.is_zero() {
                session.give_up_at(step);
                self.current[client] = None;
                continue;
            }
            if after == Restart::AfterCrash {
                for got in session.got.values_mut().filter(|got| !got.closed) {
                    got.forgiven += 1;
                }
            }
        }
        self.restart_wills(before, clock, step);
    }

    fn restart_wills(&mut self, before: u64, clock: u64, step: Step) {
        let many = self.plan.workers.iter().any(|&workers| workers > 1);
        for will in &mut self.wills {
            let due = clock + will.delay.min(will.expiry);
            let lasts = will.safe && will.expiry > 0;
            will.stage = match will.stage {
                Stage::Armed if lasts => {
                    self.posted[will.message.0].from = step;
                    Stage::Waiting {
                        least: due,
                        most: due,
                    }
                }
                // The store may know that it is published before other workers owe it.
                Stage::Waiting { least, .. } if many && least <= before => Stage::Perhaps,
                // That the connection broke may be forgotten, not that there is a will.
                Stage::Waiting { least, most } if lasts => Stage::Waiting {
                    least: due.min(least),
                    most: due.max(most),
                },
                _ => Stage::Perhaps,
            };
        }
    }

    /// The last time at which a will is due.
    pub fn last_will(&self) -> Option<u64> {
        let wills = self.wills.iter().filter_map(|will| match will.stage {
            Stage::Waiting { most, .. } => Some(most.saturating_add(TIMER)),
            _ => None,
        });
        wills.max()
    }
}

/// Milliseconds by which the server's timers may be late.
const TIMER: u64 = 1_000;
