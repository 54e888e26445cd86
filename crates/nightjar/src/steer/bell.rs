//! Alarms as they are told: kept for the API, written to the log, and published below `$SYS`.

use std::sync::{Arc, OnceLock};

use admin::Alarms;
use admin::alarms::Raised;
pub(crate) use admin::alarms::Severity;
use broker::{Control, Mail};
use net::Mailboxes;
use serde_json::{Value, json};
use tracing::{error, info, warn};
use types::WorkerId;

/// Raises and clears alarms.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    alarms: Arc<Alarms>,
    /// Where they are published, once there are workers.
    published: OnceLock<Published>,
}

struct Published {
    mailboxes: Mailboxes<Mail>,
    node: String,
}

impl std::fmt::Debug for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Published")
    }
}

impl Bell {
    /// What is wrong, and what was.
    pub(crate) fn alarms(&self) -> &Arc<Alarms> {
        &self.alarms
    }

    /// From now on alarms are published too.
    pub(crate) fn publish(&self, mailboxes: Mailboxes<Mail>, node: &str) {
        let node = node.to_owned();
        // It is said once.
        let _first = self.published.set(Published { mailboxes, node });
        self.tell_count();
    }

    /// Something is wrong, or still is.
    pub(crate) fn raise(&self, severity: Severity, name: &str, about: &str, words: &str) -> Raised {
        let raised = self.alarms.raise(severity, name, about, words);
        if raised != Raised::New {
            return raised;
        }
        let grave = severity.as_str();
        match severity {
            Severity::Critical => {
                error!(alarm = name, about, words, severity = grave, "alarm raised")
            }
            Severity::Warning => {
                warn!(alarm = name, about, words, severity = grave, "alarm raised")
            }
            Severity::Info => info!(alarm = name, about, words, severity = grave, "alarm raised"),
        }
        let alarm = json!({ "name": name, "about": about, "severity": grave, "message": words });
        self.tell("activate", &alarm);
        raised
    }

    /// It is over.
    pub(crate) fn clear(&self, name: &str, about: &str) {
        if self.alarms.clear(name, about) {
            info!(alarm = name, about, "alarm over");
            self.tell("deactivate", &json!({ "name": name, "about": about }));
        }
    }

    fn tell(&self, what: &str, alarm: &Value) {
        if let Some(to) = self.published.get() {
            to.say(
                format!("$SYS/brokers/{}/alarms/{what}", to.node),
                &alarm.to_string(),
                false,
            );
        }
        self.tell_count();
    }

    fn tell_count(&self) {
        if let Some(to) = self.published.get() {
            let active: u64 = self.alarms.active().iter().map(|(_, count)| count).sum();
            to.say(
                "$SYS/broker/alarms/active".into(),
                &active.to_string(),
                true,
            );
        }
    }
}

impl Published {
    fn say(&self, topic: String, payload: &str, retain: bool) {
        let publish = Control::Publish {
            topic: topic.into(),
            payload: payload.as_bytes().into(),
            retain,
        };
        // A worker that has ended has nobody to tell.
        let _ended = self.mailboxes.send(WorkerId(0), Mail::Control(publish));
    }
}
