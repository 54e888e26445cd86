//! What is written.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{Failure, Stamp};

/// Most bytes of `before` and `after` in an answer, each.
pub const SHOWN: usize = 16 * 1024;

/// Most bytes of `before` and `after` in the file, each. A role as large as a request can be
/// fits.
const WRITTEN: usize = 2 * 1024 * 1024;

/// Most bytes of a name, a target or a reason.
const WORDS: usize = 2048;

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Line {
    /// When. Absent only of a damaged line.
    pub at: Option<Stamp>,
    /// What lines about the same change have in common.
    pub id: String,
    /// Who changed something, or tried to.
    pub who: String,
    /// From where.
    pub from: String,
    /// What he did: `user.create`.
    pub operation: String,
    /// To what: the name of a user, of a role, ...
    pub target: String,
    /// What was before. Secrets are replaced by a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What was after. Secrets are replaced by a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was made, right after this line was written, unless a later line with the same `id` says
    /// that it failed.
    Done,
    /// It was not made: the caller may not, or what he asked for makes no sense.
    Refused,
    /// It was not made, or not as a whole: the server could not.
    Failed,
    /// The line cannot be read.
    Damaged,
}

impl Line {
    pub(super) fn new(id: String, who: &str, from: &str, operation: &str, target: &str) -> Self {
        Self {
            at: None,
            id,
            who: shortened(who),
            from: shortened(from),
            operation: shortened(operation),
            target: shortened(target),
            before: None,
            after: None,
            outcome: Outcome::Done,
            why: None,
        }
    }

    pub(super) fn target(&mut self, target: &str) {
        self.target = shortened(target);
    }

    /// The same change, with another outcome.
    pub(super) fn became(&self, outcome: Outcome, why: &str) -> Self {
        Self {
            before: None,
            after: None,
            outcome,
            why: Some(shortened(why)),
            ..self.clone()
        }
    }

    /// As it is written: one line, with its end.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let unfit = |error| Failure::Audit(format!("a line for the audit log: {error}"));
        let mut line = self.clone();
        line.at = Some(Stamp::now());
        bound(&mut line.before, WRITTEN).map_err(unfit)?;
        bound(&mut line.after, WRITTEN).map_err(unfit)?;
        let mut bytes = serde_json::to_vec(&line).map_err(unfit)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// A line as it is answered.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let read: Result<Self, _> = serde_json::from_slice(bytes);
        let shown = read.and_then(|mut line| {
            bound(&mut line.before, SHOWN)?;
            bound(&mut line.after, SHOWN)?;
            Ok(line)
        });
        shown.unwrap_or_else(|error| {
            let mut line = Self::new(String::new(), "", "", "", "");
            line.outcome = Outcome::Damaged;
            line.why = Some(format!("a line of {} bytes: {error}", bytes.len()));
            line
        })
    }
}

/// Puts a note in the place of what is larger.
fn bound(value: &mut Option<Value>, most: usize) -> serde_json::Result<()> {
    let Some(inside) = value else { return Ok(()) };
    let bytes = serde_json::to_vec(inside)?.len();
    if bytes > most {
        *inside = json!({ "omitted_bytes": bytes });
    }
    Ok(())
}

/// At most so much of a text, with a sign that there was more.
fn shortened(text: &str) -> String {
    if text.len() <= WORDS {
        return text.into();
    }
    let end = text.floor_char_boundary(WORDS);
    format!("{}…", text.get(..end).unwrap_or_default())
}
