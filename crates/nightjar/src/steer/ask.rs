//! Questions to workers, and their answers.

use std::time::Duration;

use admin::Failure;
use broker::question::{ClientFacts, Clients, Subscribers};
use broker::{Ask, Findings, Mail, Question};
use tokio::sync::oneshot;
use tokio::time::timeout;
use types::{SubscriptionFilter, WorkerId};

use super::Steer;

/// How long a worker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Steer {
    /// Asks a worker. Called within the API's runtime.
    async fn ask(&self, worker: WorkerId, question: Question) -> Result<Findings, Failure> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            question,
            reply: Box::new(move |findings| {
                // Nobody waits any more.
                let _late = reply.send(findings);
            }),
        };
        let sent = self.mailboxes.send(worker, Mail::Ask(Box::new(ask)));
        let ending = || Failure::Unavailable("the server is ending".into());
        sent.map_err(|_| ending())?;
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| ending()),
            Err(_) => {
                let words = format!("worker {} does not answer in time", worker.0);
                Err(Failure::Busy(words))
            }
        }
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
            Findings::Clients(_) | Findings::Subscribers(_) => Err(mistaken()),
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
            Findings::Client(_) | Findings::Subscribers(_) => Err(mistaken()),
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
            Findings::Client(_) | Findings::Clients(_) => Err(mistaken()),
        }
    }
}

fn mistaken() -> Failure {
    Failure::Internal("a worker answered another question".into())
}
