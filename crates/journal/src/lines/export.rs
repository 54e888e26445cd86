//! A model as lines.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use types::{ClientId, MessageRef};

use super::json::Line;
use super::{LineCounts, VERSION};
use crate::model::{Model, SessionView};
use crate::record::{BodyPlace, Link, QueueEntry, StoreClock, WillFields, decode_body};

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How much.
    pub counts: LineCounts,
    /// Messages that are damaged or missing. Whatever refers to them was left out.
    pub damaged: BTreeSet<MessageRef>,
    /// How many deliveries, retained messages and messages on their way were left out.
    pub left_out: u64,
    /// The clients that lose deliveries by that.
    pub clients: BTreeSet<ClientId>,
}

/// Writes all that lives as lines, without their line ends. `time` is the store's clock. `read`
/// gives the bytes at a place; `line` takes a line.
///
/// # Errors
///
/// Those of `read` and `line`. A message that is damaged is none: it is counted.
pub fn export(
    model: &Model,
    time: u64,
    read: &mut dyn FnMut(BodyPlace) -> io::Result<Vec<u8>>,
    line: &mut dyn FnMut(&str) -> io::Result<()>,
) -> io::Result<Exported> {
    let mut export = Export {
        model,
        line,
        done: Exported::default(),
    };
    let header = Line::header(VERSION)
        .number("time", time)
        .number("last_session", model.last_session().0)
        .number("sequence", model.sequence());
    (export.line)(&header.end())?;
    let mut sessions = model.session_numbers();
    sessions.sort_unstable();
    for session in sessions.iter().filter_map(|&it| model.session(it)) {
        export.session(session)?;
    }
    export.messages(read)?;
    for session in sessions.iter().filter_map(|&it| model.session(it)) {
        export.deliveries(session)?;
    }
    export.retained()?;
    export.passed()?;
    let counts = export.done.counts.named();
    let end = counts
        .into_iter()
        .fold(Line::new("end"), |end, (name, count)| {
            end.number(name, count)
        });
    (export.line)(&end.end())?;
    Ok(export.done)
}

struct Export<'a> {
    model: &'a Model,
    line: &'a mut dyn FnMut(&str) -> io::Result<()>,
    done: Exported,
}

impl Export<'_> {
    fn session(&mut self, session: SessionView<'_>) -> io::Result<()> {
        let state = session.state();
        let fields = state.fields;
        let number = fields.session.0;
        let mut line = Line::new("session")
            .number("session", number)
            .text("client", fields.client)
            .optional("user", fields.user)
            .optional("expiry", millis(fields.expiry));
        line = match state.link {
            Link::Connected => line.flag("connected", true),
            Link::Away { ends, will } => line.optional("ends", ends).optional("will_due", will),
        };
        if let Some(will) = &fields.will {
            line = with_will(line, will);
        }
        let received = state.received.iter();
        let unsure = Some(state.unsure.get()).filter(|&number| number > 1);
        let mut line = line
            .number("next", state.next.get())
            .optional("unsure", unsure)
            .numbers("received", received.map(|id| u64::from(id.get())));
        if !session.begun().is_empty() {
            line = line.objects("begun", session.begun(), |line, (id, begun)| {
                line.number("packet_id", u64::from(id.get()))
                    .numbers("sessions", begun.sessions.iter().map(|session| session.0))
                    .objects("groups", &begun.groups, |line, group| {
                        line.text("group", &group.to_string())
                    })
            });
        }
        (self.line)(&line.end())?;
        count(&mut self.done.counts.sessions);
        for subscription in session.subscriptions() {
            let options = subscription.options;
            let line = Line::new("subscription")
                .number("session", number)
                .text("filter", &subscription.filter.to_string())
                .number("qos", u64::from(options.qos.bits()))
                .flag("no_local", options.no_local)
                .flag("retain_as_published", options.retain_as_published)
                .number("retain_handling", u64::from(options.retain_handling.bits()))
                .optional("id", subscription.id.map(|id| id.get()));
            (self.line)(&line.end())?;
            count(&mut self.done.counts.subscriptions);
        }
        Ok(())
    }

    fn messages(
        &mut self,
        read: &mut dyn FnMut(BodyPlace) -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        // Times of messages are to be on the store's clock.
        let clock = StoreClock { base: 0 };
        let mut messages = self.model.referred();
        messages.sort_unstable();
        for reference in messages {
            let Some(place) = self.model.locate(reference) else {
                self.done.damaged.insert(reference);
                continue;
            };
            let Ok(message) = decode_body(reference, &read(place)?, clock) else {
                self.done.damaged.insert(reference);
                continue;
            };
            let line = Line::new("message")
                .message("message", reference)
                .text("topic", message.topic())
                .number("qos", u64::from(message.qos().bits()))
                .flag("retain", message.retain())
                .text("durability", message.durability().as_str())
                .optional("expires", message.expires().map(types::Time::as_millis))
                .bytes("properties", message.properties())
                .bytes("payload", message.payload());
            (self.line)(&line.end())?;
            count(&mut self.done.counts.messages);
        }
        Ok(())
    }

    /// Whether a message is in the export; if not, what refers to it is counted.
    fn has(&mut self, message: Option<MessageRef>) -> bool {
        let damaged = message.is_some_and(|message| self.done.damaged.contains(&message));
        if damaged {
            count(&mut self.done.left_out);
        }
        !damaged
    }

    fn deliveries(&mut self, session: SessionView<'_>) -> io::Result<()> {
        let fields = session.state().fields;
        for entry in session.queue() {
            if self.has(entry.message) {
                (self.line)(&delivery_line(fields.session.0, &entry))?;
                count(&mut self.done.counts.deliveries);
            } else {
                self.done.clients.extend(ClientId::new(fields.client));
            }
        }
        Ok(())
    }

    fn retained(&mut self) -> io::Result<()> {
        let mut topics = self.model.topics();
        topics.sort_unstable();
        for topic in topics {
            let Some((message, sequence, publisher)) = self.model.retained(&topic) else {
                continue;
            };
            if !self.has(message) {
                continue;
            }
            let mut line = Line::new("retained").text("topic", &topic);
            if let Some(message) = message {
                line = line.message("message", message);
            }
            if let Some(publisher) = publisher {
                line = line.text("client", publisher.client);
                if let Some(user) = publisher.user {
                    line = line.text("user", user);
                }
                line = line.flag("granted", publisher.granted);
            }
            (self.line)(&line.number("sequence", sequence).end())?;
            count(&mut self.done.counts.retained);
        }
        Ok(())
    }

    fn passed(&mut self) -> io::Result<()> {
        let mut messages = self.model.passing();
        messages.sort_unstable();
        for message in messages.into_iter().map(MessageRef) {
            for group in self.model.groups(message.0) {
                if !self.has(Some(message)) {
                    continue;
                }
                let line = Line::new("passed")
                    .message("message", message)
                    .text("group", &group.to_string());
                (self.line)(&line.end())?;
                count(&mut self.done.counts.passed);
            }
        }
        Ok(())
    }
}

fn delivery_line(session: u64, entry: &QueueEntry<'_>) -> String {
    let delivery = &entry.delivery;
    let mut line = Line::new("delivery")
        .number("session", session)
        .number("number", delivery.number.get());
    if let Some(message) = entry.message {
        line = line.message("message", message);
    }
    line = line
        .number("qos", u64::from(delivery.qos.bits()))
        .flag("retain", delivery.retain)
        .optional("packet_id", delivery.packet_id.map(|id| id.get()));
    if let Some(ids) = delivery.extra.ids() {
        line = line.numbers("ids", ids.map(|id| u64::from(id.get())));
    }
    line.optional("group", delivery.extra.group()).end()
}

fn with_will(line: Line, will: &WillFields<'_>) -> Line {
    line.object("will", |line| {
        line.text("topic", will.topic)
            .number("qos", u64::from(will.qos.bits()))
            .flag("retain", will.retain)
            .text("durability", will.durability.as_str())
            .optional("delay", millis(will.delay))
            .optional("message_expiry", will.message_expiry)
            .bytes("properties", will.properties)
            .bytes("payload", will.payload)
    })
}

/// `None` is for ever.
fn millis(span: Duration) -> Option<u64> {
    if span == Duration::MAX {
        return None;
    }
    u64::try_from(span.as_millis()).ok()
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
