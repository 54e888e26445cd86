//! Who may come in and do what, by a function each, for stories.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth::rulebook::{Banned, Contents};
use auth::rules::{Action, Effect, Network, Pattern, Rule, Who};
use auth::{
    Access, Admitted, Answer, Asker, Authenticator, Ban, Decision, Outcome, Policy, Refresh,
    Refused, Request, RuleId, Rulebook, Rules, Source, Subject,
};
use types::ReasonCode;

/// Says who clients are, at once.
pub struct Clerk<F>(pub F);

impl<F: Fn(&Request) -> Outcome + Send + Sync> Authenticator for Clerk<F> {
    fn authenticate(&self, request: Request) -> Answer {
        Answer::Now((self.0)(&request))
    }

    fn refresh(&self, request: Refresh) -> Answer {
        Answer::Now(Outcome::Admitted(Admitted::plain(request.identity)))
    }
}

/// Says who may do what; bans nobody.
pub struct Judge<F>(pub F);

impl<F: Fn(&Subject<'_>, &Access<'_>) -> bool + Send + Sync> Policy for Judge<F> {
    fn decide(&self, who: &Subject<'_>, access: &Access<'_>) -> Decision {
        match (self.0)(who, access) {
            true => Decision::ALLOW,
            false => Decision::DENY,
        }
    }

    fn ban(&self, _: &Subject<'_>) -> Option<Ban> {
        None
    }

    fn stands(&self, _: &Source<'_>) -> bool {
        true
    }

    fn describe(&self, _: &Subject<'_>, _: RuleId) -> String {
        "a rule of the story".into()
    }
}

/// The text of what somebody wants: a topic, or a filter.
pub fn wanted<'a>(access: &Access<'a>) -> &'a str {
    match access {
        Access::Publish { topic, .. } | Access::Receive { topic, .. } => topic.as_str(),
        Access::Subscribe { filter, .. } => filter.as_str(),
    }
}

/// Not let in, with this reason.
pub fn refused(reason: ReasonCode) -> Outcome {
    Outcome::Refused(Refused {
        reason,
        why: "the story says so".into(),
    })
}

/// Says who clients are when the story wants it: until then what is asked waits.
pub struct LateClerk<F> {
    decide: F,
    waiting: Mutex<Vec<(Asker, Outcome)>>,
    /// What refreshing answers; nobody is refreshed without.
    refreshed: Mutex<Option<Outcome>>,
}

impl<F: Fn(&Request) -> Outcome + Send + Sync> LateClerk<F> {
    /// What it will answer is known when it is asked.
    pub fn new(decide: F) -> Arc<Self> {
        Arc::new(Self {
            decide,
            waiting: Mutex::default(),
            refreshed: Mutex::default(),
        })
    }

    /// What was asked and is not answered, oldest first.
    pub fn take(&self) -> Vec<(Asker, Outcome)> {
        std::mem::take(&mut *lock(&self.waiting))
    }

    /// What the next refresh is answered.
    pub fn refresh_with(&self, outcome: Outcome) {
        *lock(&self.refreshed) = Some(outcome);
    }
}

impl<F: Fn(&Request) -> Outcome + Send + Sync> Authenticator for LateClerk<F> {
    fn authenticate(&self, request: Request) -> Answer {
        let outcome = (self.decide)(&request);
        lock(&self.waiting).push((request.asker, outcome));
        Answer::Later
    }

    fn refresh(&self, request: Refresh) -> Answer {
        if let Some(outcome) = lock(&self.refreshed).take() {
            lock(&self.waiting).push((request.asker, outcome));
        }
        Answer::Later
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rulebook from lines such as `deny user=bob subscribe a/#`: effect, whom it is about if not
/// everybody (`user=`, `client=`, `group=`, `address=`, `listener=`), action (`publish`,
/// `subscribe`, `both`), topics. A line `ban client=x` keeps somebody out, `user=` and `address=`
/// likewise. Nothing else is allowed.
///
/// # Panics
///
/// If a line is none.
pub fn book(lines: &[&str]) -> Arc<Rulebook> {
    let mut rules = Rules::default();
    let mut bans = Vec::new();
    for line in lines {
        let mut words = line.split(' ').peekable();
        let effect = match words.next() {
            Some("allow") => Effect::Allow,
            Some("deny") => Effect::Deny,
            Some("ban") => {
                bans.extend(words.map(banned));
                continue;
            }
            other => panic!("{other:?} in {line}"),
        };
        let who = std::iter::from_fn(|| words.next_if(|word| word.contains('=')));
        let who = who.map(condition).collect();
        let action = match words.next() {
            Some("publish") => Action::Publish,
            Some("subscribe") => Action::Subscribe,
            Some("both") => Action::Both,
            other => panic!("{other:?} in {line}"),
        };
        let topics = words.map(|topic| match Pattern::parse(topic) {
            Ok(pattern) => pattern,
            Err(error) => panic!("{topic}: {error}"),
        });
        rules.list.push(Rule {
            effect,
            who,
            action,
            topics: topics.collect(),
            qos: Vec::new(),
            retain: None,
            source: Arc::from(*line),
        });
    }
    Arc::new(Rulebook::new(Contents {
        rules,
        bans: Arc::new(bans.into_iter().collect()),
        ..Contents::default()
    }))
}

fn condition(word: &str) -> Who {
    let (what, name) = word.split_once('=').unwrap_or_default();
    match what {
        "user" => Who::User(vec![name.into()]),
        "client" => Who::Client(vec![name.into()]),
        "group" => Who::Group(vec![name.into()]),
        "address" => Who::Address(vec![network(name)]),
        "listener" => Who::Listener(name.parse().into_iter().collect()),
        _ => panic!("{word} is no condition"),
    }
}

fn banned(word: &str) -> Banned {
    match word.split_once('=') {
        Some(("client", name)) => Banned::Client(name.into()),
        Some(("user", name)) => Banned::User(name.into()),
        Some(("address", name)) => Banned::Network(network(name)),
        _ => panic!("{word} is no ban"),
    }
}

fn network(text: &str) -> Network {
    match Network::parse(text) {
        Ok(network) => network,
        Err(error) => panic!("{text}: {error}"),
    }
}
