//! Questions to workers, and their answers.

use std::time::Duration;

use admin::Failure;
use broker::question::{ClientFacts, Clients, Subscribers};
use broker::{Ask, Done, Errand, Findings, Mail, NotDone, Question, Task};
use tokio::sync::oneshot;
use tokio::time::timeout;
use types::{ReasonCode, SubscriptionFilter, WorkerId};

use super::Steer;

/// How long a worker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Steer {
    /// Asks a worker. Called within the API's runtime.
    pub(super) async fn ask(
        &self,
        worker: WorkerId,
        question: Question,
    ) -> Result<Findings, Failure> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            question,
            reply: Box::new(move |findings| {
                // Nobody waits any more.
                let _late = reply.send(findings);
            }),
        };
        let sent = self.mailboxes.send(worker, Mail::Ask(Box::new(ask)));
        sent.map_err(|_| ending())?;
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| ending()),
            Err(_) => {
                let words = format!("worker {} does not answer in time", worker.0);
                Err(Failure::Busy(words))
            }
        }
    }

    /// Hands an errand to a worker, which begins with it whether anybody waits or not.
    pub(super) fn send(&self, worker: WorkerId, task: Task) -> Result<Awaited, Failure> {
        let (reply, answer) = oneshot::channel();
        let errand = Errand {
            task,
            reply: Box::new(move |done| {
                // Nobody waits any more.
                let _late = reply.send(done);
            }),
        };
        let sent = self.mailboxes.send(worker, Mail::Errand(Box::new(errand)));
        sent.map_err(|_| ending())?;
        Ok(Awaited { worker, answer })
    }

    /// What is known of a client, with so many of its subscriptions behind one of them.
    pub(super) async fn facts(
        &self,
        client: &str,
        after: Option<SubscriptionFilter>,
        most: usize,
    ) -> Result<Option<Box<ClientFacts>>, Failure> {
        let question = Question::Client {
            client: client.into(),
            after,
            most,
        };
        match self.ask(self.shared.home_of(client), question).await? {
            Findings::Client(facts) => Ok(facts),
            _ => Err(mistaken()),
        }
    }

    /// Some of the clients at home with a worker.
    pub(super) async fn some_clients(
        &self,
        worker: WorkerId,
        question: Question,
    ) -> Result<Clients, Failure> {
        match self.ask(worker, question).await? {
            Findings::Clients(clients) => Ok(clients),
            _ => Err(mistaken()),
        }
    }

    /// Some of those who would get a message, at home with a worker.
    pub(super) async fn some_subscribers(
        &self,
        worker: WorkerId,
        question: Question,
    ) -> Result<Subscribers, Failure> {
        match self.ask(worker, question).await? {
            Findings::Subscribers(found) => Ok(found.unwrap_or_default()),
            _ => Err(mistaken()),
        }
    }
}

pub(super) fn mistaken() -> Failure {
    Failure::Internal("a worker answered another question".into())
}

pub(super) fn unexpected() -> Failure {
    Failure::Internal("a worker did something else".into())
}

fn ending() -> Failure {
    Failure::Unavailable("the server is ending".into())
}

/// An errand that a worker has.
pub(super) struct Awaited {
    worker: WorkerId,
    answer: oneshot::Receiver<Result<Done, NotDone>>,
}

impl Awaited {
    /// What was done, when it is safe.
    ///
    /// # Errors
    /// It was not done, or nobody knows in time: it may be done then.
    pub(super) async fn done(self) -> Result<Done, Failure> {
        let answer = timeout(PATIENCE, self.answer).await;
        let answer = answer.map_err(|_| {
            let words = "does not say in time that it is done and safe; it may be";
            Failure::Busy(format!("worker {} {words}", self.worker.0))
        })?;
        answer.map_err(|_| ending())?.map_err(not_done)
    }
}

fn not_done(why: NotDone) -> Failure {
    match why {
        NotDone::Busy(words) => Failure::Busy(format!("{words}; try again")),
        NotDone::NoClient => Failure::NotFound("there is no such client".into()),
        NotDone::Away => Failure::NotFound("the client is not connected".into()),
        NotDone::NoSubscription => Failure::NotFound("the client has no such subscription".into()),
        NotDone::Invalid(words) => Failure::Invalid(words.into()),
        NotDone::Refused(ReasonCode::NotAuthorized, words) => Failure::Denied(words.into()),
        NotDone::Refused(ReasonCode::QuotaExceeded, words) => Failure::Unavailable(words.into()),
        NotDone::Refused(_, words) => Failure::Invalid(words.into()),
        NotDone::Failed => Failure::Unavailable("the server's store has failed".into()),
    }
}
