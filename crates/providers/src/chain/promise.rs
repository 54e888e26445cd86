//! That each question has one answer.

use std::sync::Arc;

use auth::{Asker, Outcome, Refused};
use types::ReasonCode;

use super::Answers;

/// An answer that is owed. If it is dropped, the client is refused: no connection waits for what
/// does not come.
pub(super) struct Promise {
    asker: Asker,
    answers: Answers,
    /// What is said if nobody says anything.
    otherwise: Option<Outcome>,
}

impl Promise {
    pub(super) fn new(asker: Asker, answers: &Answers, otherwise: Outcome) -> Self {
        Self {
            asker,
            answers: Arc::clone(answers),
            otherwise: Some(otherwise),
        }
    }

    pub(super) fn keep(mut self, outcome: Outcome) {
        self.otherwise = None;
        (self.answers)(self.asker, outcome);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(outcome) = self.otherwise.take() {
            (self.answers)(self.asker, outcome);
        }
    }
}

/// A client is refused.
pub(super) fn refused(reason: ReasonCode, why: impl Into<Arc<str>>) -> Outcome {
    Outcome::Refused(Refused {
        reason,
        why: why.into(),
    })
}
