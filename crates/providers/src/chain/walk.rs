//! From one provider to the next.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use auth::{Admitted, Answer, Enhanced, Grant, Identity, Outcome, Refresh};
use types::ReasonCode;

use super::Inner;
use super::gate::{Entry, Place};
use super::line::Line;
use super::promise::{Promise, refused};
use super::step::{Asked, Step};
use crate::question::{Question, Verdict};
use crate::settings::OnFailure;

/// How far a question came without waiting.
pub(super) enum Look {
    /// To its end.
    Ends(Outcome),
    /// To the provider at this place, which needs time.
    Slow(usize, Place),
    /// To the end of the line: nobody knows the client. The provider at this place spends the time
    /// that a wrong password would have taken (S65).
    Unknown(usize, Place),
    /// To a provider that converses with the client.
    Converses(usize, Place, Enhanced),
    /// To a provider that is not asked until then, because logins from this address failed.
    Blocked(Instant),
}

impl Inner {
    /// Goes on from a place of the line as far as nobody has to wait.
    pub(super) fn look(&self, line: &Line, question: &Question, from: usize) -> Look {
        for (place, step) in line.steps.iter().enumerate().skip(from) {
            if !step.is_for(question) {
                continue;
            }
            let is_guess = question.credentials().is_some();
            if let Some(until) = step.blocked_until(self, question).filter(|_| is_guess) {
                return Look::Blocked(until);
            }
            if let Some(known) = step.remembered(question) {
                return Look::Ends(Outcome::Admitted(step.admit(known)));
            }
            if let Some(verdict) = step.quick(question) {
                match self.judge(step, question, verdict) {
                    Some(outcome) => return Look::Ends(outcome),
                    None => continue,
                }
            }
            match step.enter() {
                Entry::In(inside) => return Look::Slow(place, inside),
                Entry::Busy => return Look::Ends(busy()),
                Entry::Down => {
                    let verdict = Verdict::Failed("the provider is down".into());
                    if let Some(outcome) = self.judge(step, question, verdict) {
                        return Look::Ends(outcome);
                    }
                }
            }
        }
        self.look_at_nobody(line, question)
    }

    /// The next step of an enhanced authentication (MQTT-4.12.0-1).
    pub(super) fn look_enhanced(
        &self,
        line: &Line,
        question: &Question,
        enhanced: Enhanced,
    ) -> Look {
        let knows = |step: &Arc<Step>| {
            step.is_for(question) && step.provider.method() == Some(&*enhanced.method)
        };
        let found = line.steps.iter().enumerate().find(|(_, step)| knows(step));
        let Some((place, step)) = found else {
            let why = "nobody knows this method of authentication";
            return Look::Ends(refused(ReasonCode::BadAuthenticationMethod, why));
        };
        if let Some(until) = step.blocked_until(self, question) {
            return Look::Blocked(until);
        }
        match step.enter() {
            Entry::In(inside) => Look::Converses(place, inside, enhanced),
            Entry::Busy => Look::Ends(busy()),
            Entry::Down => Look::Ends(unavailable("the provider is down")),
        }
    }

    /// Goes on to the end, waiting where it must.
    pub(super) async fn go(
        self: Arc<Self>,
        line: Arc<Line>,
        question: Question,
        mut look: Look,
        promise: Promise,
    ) {
        loop {
            look = match look {
                Look::Ends(outcome) => return promise.keep(outcome),
                Look::Blocked(until) => Look::Ends(self.hold_back(until).await),
                Look::Slow(place, inside) => {
                    let Some(step) = line.at(place) else {
                        return;
                    };
                    match step.ask(&self, &question, inside).await {
                        Asked::Blocked(until) => Look::Blocked(until),
                        Asked::Said(verdict) => match self.judge(step, &question, verdict) {
                            Some(outcome) => Look::Ends(outcome),
                            None => self.look(&line, &question, place.saturating_add(1)),
                        },
                    }
                }
                Look::Converses(place, inside, enhanced) => {
                    let Some(step) = line.at(place) else {
                        return;
                    };
                    match step.converse(&self, &question, enhanced, inside).await {
                        Asked::Blocked(until) => Look::Blocked(until),
                        Asked::Said(verdict) => {
                            let outcome = self.judge(step, &question, verdict);
                            Look::Ends(outcome.unwrap_or_else(unknown))
                        }
                    }
                }
                Look::Unknown(place, inside) => {
                    let Some(step) = line.at(place) else {
                        return;
                    };
                    match step.waste(&self, &question, inside).await {
                        Asked::Blocked(until) => Look::Blocked(until),
                        Asked::Said(Verdict::Failed(why)) => Look::Ends(unavailable(why)),
                        Asked::Said(_) => {
                            self.blame(&question);
                            Look::Ends(unknown())
                        }
                    }
                }
            };
        }
    }

    /// What follows from what a provider said; `None`: the next one is asked.
    fn judge(&self, step: &Step, question: &Question, verdict: Verdict) -> Option<Outcome> {
        match verdict {
            Verdict::Known(known) => Some(Outcome::Admitted(step.admit(known))),
            Verdict::Wrong(why) => {
                if step.provider.can_be_guessed() {
                    self.blame(question);
                }
                let why = format!("{}: {why}", step.name);
                Some(refused(ReasonCode::BadUserNameOrPassword, why))
            }
            Verdict::Unknown => None,
            Verdict::Failed(why) => match step.on_failure {
                OnFailure::Deny => Some(unavailable(format!("{}: {why}", step.name))),
                OnFailure::Next => None,
            },
            Verdict::Unclear(why) => match step.on_failure {
                OnFailure::Deny => {
                    // Who makes up questions that cannot be answered is slowed down as who guesses.
                    if step.provider.can_be_guessed() {
                        self.blame(question);
                    }
                    Some(unavailable(format!("{}: {why}", step.name)))
                }
                OnFailure::Next => None,
            },
            Verdict::Continue { data, exchange } => Some(Outcome::Continue { data, exchange }),
        }
    }

    /// Nobody knows the client.
    fn look_at_nobody(&self, line: &Line, question: &Question) -> Look {
        // Where nobody can know a name, one that is given counts for nothing.
        let known_by_none = || !line.steps.iter().any(|step| step.is_for(question));
        if question.is_anonymous() || line.admits_anonymous(question.listener) && known_by_none() {
            return Look::Ends(if line.admits_anonymous(question.listener) {
                Outcome::Admitted(Admitted::plain(Identity::Anonymous))
            } else {
                no_name()
            });
        }
        if question.credentials().is_none() {
            let why = "not both a user name and a password";
            return Look::Ends(refused(ReasonCode::BadUserNameOrPassword, why));
        }
        let mut steps = line.steps.iter().enumerate().rev();
        let hashes = |step: &Arc<Step>| step.is_for(question) && step.provider.sample().is_some();
        let Some((place, step)) = steps.find(|(_, step)| hashes(step)) else {
            let guesses =
                |step: &Arc<Step>| step.is_for(question) && step.provider.can_be_guessed();
            if line.steps.iter().any(guesses) {
                self.blame(question);
            }
            return Look::Ends(unknown());
        };
        match step.enter() {
            Entry::In(inside) => Look::Unknown(place, inside),
            Entry::Busy => Look::Ends(busy()),
            Entry::Down => Look::Ends(unknown()),
        }
    }

    /// Refuses, but not at once: who guesses is not told to try again. A few thousand wait; above,
    /// the answer comes at once.
    async fn hold_back(&self, until: Instant) -> Outcome {
        self.throttled.fetch_add(1, Relaxed);
        if self.waiting.fetch_add(1, Relaxed) < MOST_WAITING {
            let wait = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
        self.waiting.fetch_sub(1, Relaxed);
        let why = "too many failed logins from this address";
        refused(ReasonCode::ConnectionRateExceeded, why)
    }
}

/// Asks again about a client that is in. It keeps what it has while its provider fails, is late or
/// is down (F18), and is told to go if the provider does not know it any more.
pub(super) fn refresh(inner: &Arc<Inner>, refresh: Refresh) -> Answer {
    let line = inner.line();
    let has = Has {
        identity: refresh.identity.clone(),
        grant: refresh.grant.clone(),
    };
    let provider = has.grant.as_ref().and_then(|grant| grant.provider.clone());
    let Some(provider) = provider else {
        return Answer::Now(match has.identity {
            Identity::Anonymous if line.asks_for_names(refresh.listener) => no_name(),
            _ => has.keep(),
        });
    };
    let Some(step) = line.find(&provider).cloned() else {
        let why = format!("there is no provider {provider} any more");
        return Answer::Now(refused(ReasonCode::NotAuthorized, why));
    };
    if !step.provider.can_refresh() {
        return Answer::Now(has.keep());
    }
    let asker = refresh.asker;
    let name = line.listener_name(refresh.listener);
    let question = Question::refresh(refresh, name);
    if let Some(verdict) = step.quick(&question) {
        return Answer::Now(has.renew(&step, verdict));
    }
    let Entry::In(inside) = step.enter() else {
        return Answer::Now(has.keep());
    };
    let promise = Promise::new(asker, &inner.answers, has.keep());
    let asks = Arc::clone(inner);
    inner.handle.spawn(async move {
        let outcome = match step.ask(&asks, &question, inside).await {
            Asked::Said(verdict) => has.renew(&step, verdict),
            Asked::Blocked(_) => has.keep(),
        };
        promise.keep(outcome);
    });
    Answer::Later
}

/// What a client that is in has.
struct Has {
    identity: Identity,
    grant: Option<Arc<Grant>>,
}

impl Has {
    fn keep(&self) -> Outcome {
        Outcome::Admitted(Admitted {
            grant: self.grant.clone(),
            ..Admitted::plain(self.identity.clone())
        })
    }

    fn renew(&self, step: &Step, verdict: Verdict) -> Outcome {
        let gone = |why: &str| {
            let why = format!("{}: {why}", step.name);
            refused(ReasonCode::NotAuthorized, why)
        };
        match verdict {
            Verdict::Known(known) => {
                let admitted = step.admit(known);
                if admitted.identity == self.identity {
                    Outcome::Admitted(admitted)
                } else {
                    gone("the client is another user now")
                }
            }
            Verdict::Wrong(why) => gone(&why),
            Verdict::Unknown => gone("the user is not known any more"),
            Verdict::Failed(_) | Verdict::Unclear(_) | Verdict::Continue { .. } => self.keep(),
        }
    }
}

/// What is said if the chain ends before it has an answer.
pub(super) fn interrupted() -> Outcome {
    unavailable("authentication was interrupted")
}

fn unknown() -> Outcome {
    refused(
        ReasonCode::BadUserNameOrPassword,
        "no provider knows the client",
    )
}

fn no_name() -> Outcome {
    let why = "clients without a user may not come in by this listener";
    refused(ReasonCode::NotAuthorized, why)
}

fn busy() -> Outcome {
    refused(ReasonCode::ServerBusy, "too many logins wait")
}

fn unavailable(why: impl Into<Arc<str>>) -> Outcome {
    refused(ReasonCode::ServerUnavailable, why)
}

/// How long a refusal is held back at most: a client may have more deadlines than ours.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Refusals that are held back at once.
const MOST_WAITING: u32 = 4096;
