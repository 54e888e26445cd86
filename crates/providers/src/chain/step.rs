//! One provider in its place.

use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use auth::{Admitted, Enhanced, Grant, Identity};

use super::breaker::Change;
use super::cache::{Cache, Seen};
use super::gate::{Entry, Gate, Place};
use super::{Inner, Notice, Purge};
use crate::figures::{Counters, ProviderFigures, count};
use crate::provider::Provider;
use crate::question::{Known, Purpose, Question, Verdict};
use crate::settings::OnFailure;
use crate::{Access, Problem, ProviderSettings};

/// A provider with all that stands around it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: Arc<str>,
    pub(super) on_failure: OnFailure,
    pub(super) provider: Provider,
    settings: ProviderSettings,
    gate: Arc<Gate>,
    counters: Arc<Counters>,
    cache: Option<Mutex<Cache>>,
    /// The grant of all its clients that were given nothing in particular.
    nothing: Arc<Grant>,
}

/// What became of a question.
pub(super) enum Asked {
    /// The provider said something.
    Said(Verdict),
    /// Logins from this address failed while the question waited.
    Blocked(Instant),
}

/// Whether a question counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tally {
    Asked,
    /// It only takes time.
    Wasted,
}

impl Step {
    pub(super) fn build(
        settings: ProviderSettings,
        access: Option<&Arc<Access>>,
        before: Option<&Arc<Self>>,
    ) -> Result<Self, Problem> {
        let provider = Provider::build(&settings, access)?;
        let caches = provider.can_be_guessed() && !settings.cache.is_zero();
        let cache = caches.then(|| Cache::new(settings.cache)).transpose()?;
        let refresh_after = Some(settings.refresh);
        let refresh_after = refresh_after.filter(|it| !it.is_zero() && provider.can_refresh());
        Ok(Self {
            name: Arc::clone(&settings.name),
            on_failure: settings.on_failure,
            gate: Gate::new(settings.concurrency, settings.queue, provider.is_remote()),
            counters: before.map_or_else(Arc::default, |it| Arc::clone(&it.counters)),
            cache: cache.map(Mutex::new),
            nothing: Arc::new(Grant {
                refresh_after,
                provider: Some(Arc::clone(&settings.name)),
                ..Grant::default()
            }),
            provider,
            settings,
        })
    }

    pub(super) fn is_for(&self, question: &Question) -> bool {
        self.serves(question.listener)
    }

    /// Whether it is asked about clients of this listener.
    pub(super) fn serves(&self, listener: u16) -> bool {
        self.settings.is_for(listener)
    }

    /// Wants a place for a question; `Busy` and `Down` are counted here.
    pub(super) fn enter(&self) -> Entry {
        let entry = self.gate.enter(Instant::now());
        match &entry {
            Entry::In(_) => {}
            Entry::Busy => count(&self.counters.busy),
            Entry::Down => count(&self.counters.refused_by_breaker),
        }
        entry
    }

    /// A yes that is remembered.
    pub(super) fn remembered(&self, question: &Question) -> Option<Known> {
        let known = self.cache()?.find(question, Instant::now())?;
        count(&self.counters.cached);
        Some(known)
    }

    /// What the provider says at once.
    pub(super) fn quick(&self, question: &Question) -> Option<Verdict> {
        let started = Instant::now();
        let verdict = self.provider.quick(question)?;
        count(&self.counters.asked);
        self.counters.took(started.elapsed());
        self.count(&verdict);
        Some(verdict)
    }

    /// Asks the provider when it is its turn, and remembers a yes to a client that wants in.
    pub(super) async fn ask(&self, inner: &Inner, question: &Question, place: Place) -> Asked {
        let seen = self.cache().map(|cache| cache.seen());
        let work = self.provider.ask(question, &inner.hashing);
        let asked = self
            .within(inner, place, question, Tally::Asked, work)
            .await;
        if let (Asked::Said(Verdict::Known(known)), Some(seen)) = (&asked, seen) {
            self.remember(question, known, seen);
        }
        asked
    }

    /// The next step of an enhanced authentication.
    pub(super) async fn converse(
        &self,
        inner: &Inner,
        question: &Question,
        enhanced: Enhanced,
        place: Place,
    ) -> Asked {
        let work = self.provider.converse(question, enhanced, &inner.hashing);
        self.within(inner, place, question, Tally::Asked, work)
            .await
    }

    /// Does the work when it is its turn, within the time that the provider has; not at all if
    /// logins from the client's address have failed in the meantime.
    async fn within(
        &self,
        inner: &Inner,
        place: Place,
        question: &Question,
        tally: Tally,
        work: impl Future<Output = Verdict>,
    ) -> Asked {
        let started = Instant::now();
        let mut began = false;
        let turn = async {
            // It is never closed; if it were, nobody would be asked.
            let Ok(_turn) = self.gate.running.acquire().await else {
                return Asked::Said(Verdict::Failed("the provider is closed".into()));
            };
            if let Some(until) = self.blocked_until(inner, question) {
                return Asked::Blocked(until);
            }
            began = true;
            Asked::Said(work.await)
        };
        let asked = tokio::time::timeout(self.settings.timeout, turn).await;
        let (verdict, late) = match asked {
            Ok(Asked::Said(verdict)) => (verdict, false),
            Ok(Asked::Blocked(until)) => return Asked::Blocked(until),
            Err(_) => (Verdict::Failed("no answer in time".into()), true),
        };
        if tally == Tally::Asked {
            count(&self.counters.asked);
            self.counters.took(started.elapsed());
            if late {
                count(&self.counters.timed_out);
            } else {
                self.count(&verdict);
            }
        }
        // It says nothing about the provider that it was not its turn in time.
        if began {
            self.tell(inner, place, &verdict);
        }
        Asked::Said(verdict)
    }

    /// Until when guesses from the client's address are not listened to.
    pub(super) fn blocked_until(&self, inner: &Inner, question: &Question) -> Option<Instant> {
        let guesses = question.purpose == Purpose::Admit && self.provider.can_be_guessed();
        if guesses {
            inner.blocked_until(question)
        } else {
            None
        }
    }

    /// Spends the time that a password of a user would have taken (S65).
    pub(super) async fn waste(&self, inner: &Inner, question: &Question, place: Place) -> Asked {
        let work = async {
            let (Some(sample), Some(password)) = (self.provider.sample(), &question.password)
            else {
                return Verdict::Unknown;
            };
            match inner.hashing.verify(sample, password.clone()).await {
                Ok(_) => Verdict::Unknown,
                Err(why) => Verdict::Failed(why),
            }
        };
        self.within(inner, place, question, Tally::Wasted, work)
            .await
    }

    /// Lets a client in.
    pub(super) fn admit(&self, known: Known) -> Admitted {
        let has_something = known.superuser
            || known.rules.is_some()
            || known.valid_for.is_some()
            || known.credential.is_some()
            || !known.groups.is_empty();
        let grant = if has_something {
            let refresh = self.nothing.refresh_after;
            Arc::new(Grant {
                groups: known.groups,
                superuser: known.superuser,
                rules: known.rules,
                // Who is asked again about a client would say it again; the end would never come.
                refresh_after: refresh.filter(|_| known.valid_for.is_none()),
                valid_for: known.valid_for,
                provider: Some(Arc::clone(&self.name)),
                credential: known.credential,
                is_known: known.is_known,
            })
        } else {
            Arc::clone(&self.nothing)
        };
        Admitted {
            identity: Identity::of(known.user),
            grant: Some(grant),
            data: known.data,
        }
    }

    pub(super) fn figures(&self) -> ProviderFigures {
        ProviderFigures {
            down: self.gate.is_down(),
            inside: self.gate.inside(),
            ..self
                .counters
                .figures(&self.name, self.settings.kind.as_str())
        }
    }

    pub(super) fn purge(&self, purge: &Purge<'_>) -> usize {
        self.cache().map_or(0, |mut cache| cache.purge(purge))
    }

    fn cache(&self) -> Option<MutexGuard<'_, Cache>> {
        let cache = self.cache.as_ref()?;
        let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.keep_to(self.provider.version());
        Some(cache)
    }

    fn remember(&self, question: &Question, known: &Known, seen: Seen) {
        if let Some(mut cache) = self.cache() {
            cache.insert(question, known.clone(), seen, Instant::now());
        }
    }

    fn count(&self, verdict: &Verdict) {
        let counters = &self.counters;
        let counter: &AtomicU64 = match verdict {
            Verdict::Known(_) => &counters.admitted,
            Verdict::Wrong(_) => &counters.wrong,
            Verdict::Unknown => &counters.unknown,
            Verdict::Failed(_) | Verdict::Unclear(_) => &counters.failed,
            Verdict::Continue { .. } => return,
        };
        count(counter);
    }

    /// Tells the breaker, and whoever listens if something changed.
    fn tell(&self, inner: &Inner, place: Place, verdict: &Verdict) {
        let (change, why) = match verdict {
            Verdict::Failed(why) => (place.fail(Instant::now()), Arc::clone(why)),
            // A question that cannot be answered says nothing about the others (S68).
            _ => (place.succeed(), Arc::default()),
        };
        let provider = Arc::clone(&self.name);
        match change {
            Some(Change::Down) => (inner.notices)(Notice::Down { provider, why }),
            Some(Change::Up) => (inner.notices)(Notice::Up { provider }),
            None => {}
        }
    }
}
