//! One change on its way into the log.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::{Audit, Line, Outcome};
use crate::Failure;

/// One change on its way into the log. Who makes the change says what was and what will be, right
/// before it becomes so. Clones are the same record.
#[derive(Clone)]
pub struct Record(Arc<Inner>);

struct Inner {
    audit: Arc<Audit>,
    state: Mutex<State>,
}

struct State {
    line: Line,
    secrets: Vec<&'static str>,
    written: Option<Outcome>,
}

impl Record {
    pub(super) fn new(audit: Arc<Audit>, line: Line) -> Self {
        let state = State {
            line,
            secrets: Vec::new(),
            written: None,
        };
        Self(Arc::new(Inner {
            audit,
            state: Mutex::new(state),
        }))
    }

    /// Writes down what was (`None`: nothing) and what will be. To be called when nothing but the
    /// disk can refuse the change any more, and before it is made.
    ///
    /// # Errors
    /// The line cannot be written: the change must not be made.
    pub fn done<T: Serialize>(&self, before: Option<&T>, after: Option<&T>) -> Result<(), Failure> {
        let unfit = |error| Failure::Audit(format!("a line for the audit log: {error}"));
        let value = |given: Option<&T>| given.map(serde_json::to_value).transpose();
        let (before, after) = (value(before).map_err(unfit)?, value(after).map_err(unfit)?);
        let mut state = self.lock();
        state.line.before = before;
        state.line.after = hidden(after, &state.secrets);
        self.0.audit.write(&state.line)?;
        state.written = Some(Outcome::Done);
        Ok(())
    }

    /// Writes down a change that has neither a before nor an after: a client is disconnected, a
    /// cache is emptied.
    ///
    /// # Errors
    /// As [`Record::done`].
    pub fn acted(&self) -> Result<(), Failure> {
        self.done::<Value>(None, None)
    }

    /// Writes down that the change was not made because the caller may not have it so.
    ///
    /// # Errors
    /// The line cannot be written.
    pub fn refused(&self, why: &str) -> Result<(), Failure> {
        self.ended(Outcome::Refused, why)
    }

    /// Writes down that the change was not made because the server could not.
    ///
    /// # Errors
    /// The line cannot be written.
    pub fn failed(&self, why: &str) -> Result<(), Failure> {
        self.ended(Outcome::Failed, why)
    }

    /// Says what it is about, if that was not known at first.
    pub fn target(&self, target: &str) {
        self.lock().line.target(target);
    }

    /// What the last line says became of it; `None`: there is no line yet.
    pub fn outcome(&self) -> Option<Outcome> {
        self.lock().written
    }

    /// Says that a secret of this name is changed too: the line tells that, and no more.
    pub fn secret(&self, name: &'static str) {
        self.lock().secrets.push(name);
    }

    fn ended(&self, outcome: Outcome, why: &str) -> Result<(), Failure> {
        let mut state = self.lock();
        // Nothing was changed but what a line before this one says.
        let outcome = match state.written {
            Some(Outcome::Done) => Outcome::Failed,
            Some(_) | None => outcome,
        };
        self.0.audit.write(&state.line.became(outcome, why))?;
        state.written = Some(outcome);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is a single assignment.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Record").field(&self.lock().line.id).finish()
    }
}

/// The value with a word for each secret that is another now.
fn hidden(value: Option<Value>, secrets: &[&'static str]) -> Option<Value> {
    let mut value = value?;
    if let Value::Object(fields) = &mut value {
        for name in secrets {
            fields.insert((*name).into(), Value::from("(changed)"));
        }
    }
    Some(value)
}
