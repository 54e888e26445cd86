//! Spans that a worker has begun and ended.

use std::collections::HashMap;
use std::sync::Arc;

use telemetry::span::{Event, Kind};
use telemetry::{Context, Span, SpanId, Value};
use types::{PacketId, SessionKey};

/// Most messages that are received at once: one, and what its arrival brings about.
const RECEIVING: usize = 16;
/// Most deliveries of a worker that wait for an acknowledgement.
const OPEN: usize = 4096;
/// Most messages whose deliveries are counted.
const COUNTED: usize = 4096;
/// Most deliveries of a message that are told, at each worker.
pub(super) const DELIVERIES: u32 = 64;
/// Most events of a span. More are counted.
const EVENTS: usize = 16;
/// Most letters of a text. The rest is cut off.
const LETTERS: usize = 256;
/// Most clients whose messages are counted in one second.
const ASKING: usize = 1024;
/// After so long a delivery is told as it is.
const LONGEST: u64 = 300 * SECOND;
/// How often it is looked for such.
pub(super) const SWEEP: u64 = 5 * SECOND;
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Who is to have which message: a session, and the span by which it was received. Nobody else's
/// message has that span, since a message that is followed has one that was made here.
type Which = (SessionKey, SpanId);

/// What one worker is about.
#[derive(Default)]
pub(super) struct Place {
    receiving: Vec<Span>,
    open: HashMap<Which, Delivery>,
    /// Deliveries by session and packet identifier.
    by_packet: HashMap<(SessionKey, PacketId), SpanId>,
    counted: HashMap<SpanId, u32>,
    /// The second that counts, and how many messages of which session were followed in it because the
    /// client asked for it.
    second: u64,
    asked: HashMap<SessionKey, u32>,
    swept: u64,
    /// Nothing begins any more.
    pub(super) is_over: bool,
    /// Spans that have ended.
    pub(super) ended: Vec<Span>,
    /// Deliveries that nobody hears of, because there is no room for them.
    pub(super) lost: u64,
}

struct Delivery {
    span: Span,
    packet: Option<PacketId>,
}

/// A delivery that begins.
pub(super) struct New<'a> {
    /// Who is to have it.
    pub(super) session: SessionKey,
    /// What the message carries.
    pub(super) context: Context,
    /// `tracestate`, if it is needed.
    pub(super) state: &'a dyn Fn() -> Box<str>,
    pub(super) id: SpanId,
    pub(super) at: u64,
    /// Whether another span may begin now.
    pub(super) has_room: &'a dyn Fn() -> bool,
}

impl Place {
    /// Whether another message of a client may be followed in this second because it asks for it.
    pub(super) fn may_ask(&mut self, session: SessionKey, at: u64, most: u32) -> bool {
        let second = at / SECOND;
        if self.second != second {
            self.second = second;
            self.asked.clear();
        }
        if self.asked.len() >= ASKING && !self.asked.contains_key(&session) {
            return false;
        }
        let count = self.asked.entry(session).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }

    /// A message is received; its span begins.
    pub(super) fn receive(&mut self, span: Span) {
        if self.receiving.len() >= RECEIVING {
            // What broke off halfway; a connection's panic does that.
            self.end_receiving(span.start, |_| true);
        }
        self.receiving.push(span);
    }

    /// What is received and does not come to its end is told as it is.
    fn end_receiving(&mut self, at: u64, is_over: impl Fn(&Span) -> bool) {
        for mut span in self.receiving.extract_if(.., |span| is_over(span)) {
            span.end = at;
            span.attributes.push(unfinished());
            self.ended.push(span);
        }
    }

    /// Something happens to a message while it is received.
    pub(super) fn received(&mut self, id: SpanId, event: Event) -> Option<&mut Span> {
        let span = self.receiving.iter_mut().find(|span| span.id == id)?;
        note(span, event);
        Some(span)
    }

    /// A message was received, with this result.
    pub(super) fn end_receive(
        &mut self,
        id: SpanId,
        at: u64,
        reason: &'static str,
        is_error: bool,
    ) {
        let Some(found) = self.receiving.iter().position(|span| span.id == id) else {
            return;
        };
        let mut span = self.receiving.remove(found);
        span.end = at;
        span.attributes.push(("nightjar.reason", reason.into()));
        if is_error {
            span.attributes.push(("error.type", reason.into()));
            span.error = Some(reason);
        }
        self.ended.push(span);
    }

    /// The delivery of a message to a client: the one that goes on, or a new one if it is to be told.
    fn delivery(&mut self, new: &New<'_>, about: impl FnOnce(&mut Span)) -> Option<&mut Delivery> {
        let which = (new.session, new.context.span);
        if !self.open.contains_key(&which) {
            if self.counted.len() >= COUNTED {
                self.counted.clear();
            }
            let count = self.counted.entry(new.context.span).or_default();
            *count = count.saturating_add(1);
            if *count > DELIVERIES {
                return None;
            }
            if self.open.len() >= OPEN || !(new.has_room)() {
                self.lost = self.lost.saturating_add(1);
                return None;
            }
            let mut span = Span {
                trace: new.context.trace,
                id: new.id,
                parent: Some(new.context.span),
                is_remote: false,
                state: (new.state)(),
                name: "send",
                kind: Kind::Producer,
                start: new.at,
                end: new.at,
                attributes: Vec::new(),
                events: Vec::new(),
                dropped_events: 0,
                error: None,
            };
            about(&mut span);
            let delivery = Delivery { span, packet: None };
            self.open.insert(which, delivery);
        }
        self.open.get_mut(&which)
    }

    /// A message waits for a client.
    pub(super) fn queued(&mut self, new: &New<'_>, about: impl FnOnce(&mut Span)) {
        if let Some(delivery) = self.delivery(new, about) {
            note(&mut delivery.span, event("queued", new.at));
        }
    }

    /// A message was written to a client; without a packet identifier that is all.
    pub(super) fn sent(
        &mut self,
        new: &New<'_>,
        packet: Option<PacketId>,
        dup: bool,
        about: impl Fn(&mut Span),
    ) {
        let Some(delivery) = self.delivery(new, &about) else {
            return;
        };
        // What was queued first had neither a packet identifier nor, maybe, a connection.
        if delivery.packet.is_none() {
            delivery.span.attributes.clear();
            about(&mut delivery.span);
        }
        let mut sent = event("sent", new.at);
        sent.attributes.push(("nightjar.dup", dup.into()));
        note(&mut delivery.span, sent);
        let before = std::mem::replace(&mut delivery.packet, packet);
        let which = (new.session, new.context.span);
        if let Some(before) = before.filter(|_| before != packet) {
            self.forget_packet(which, before);
        }
        let Some(packet) = packet else {
            return self.end(which, new.at, None);
        };
        let before = self.by_packet.insert((which.0, packet), which.1);
        if let Some(before) = before.filter(|before| *before != which.1) {
            // Its identifier is free again, and nobody told how it ended.
            self.end_unfinished((which.0, before), new.at);
        }
    }

    /// A delivery has this packet identifier no more, unless another one has it by now.
    fn forget_packet(&mut self, (session, span): Which, packet: PacketId) {
        let key = (session, packet);
        if self.by_packet.get(&key) == Some(&span) {
            self.by_packet.remove(&key);
        }
    }

    /// A client says that it has a message; whether that is all.
    pub(super) fn acknowledged(
        &mut self,
        session: SessionKey,
        packet: PacketId,
        at: u64,
        (by, is_all): (&'static str, bool),
    ) {
        let Some(span) = self.by_packet.get(&(session, packet)).copied() else {
            return;
        };
        if let Some(delivery) = self.open.get_mut(&(session, span)) {
            note(&mut delivery.span, event(by, at));
        }
        if is_all {
            self.end((session, span), at, None);
        }
    }

    /// A client does not get a message.
    pub(super) fn dropped(
        &mut self,
        new: &New<'_>,
        why: &'static str,
        about: impl FnOnce(&mut Span),
    ) {
        if self.delivery(new, about).is_some() {
            self.end((new.session, new.context.span), new.at, Some(why));
        }
    }

    /// Whether any delivery waits for an acknowledgement.
    pub(super) fn awaits_any(&self) -> bool {
        !self.by_packet.is_empty()
    }

    fn end(&mut self, which: Which, at: u64, error: Option<&'static str>) {
        let Some(mut delivery) = self.open.remove(&which) else {
            return;
        };
        if let Some(packet) = delivery.packet {
            self.forget_packet(which, packet);
        }
        delivery.span.end = at;
        if let Some(why) = error {
            delivery.span.attributes.push(("error.type", why.into()));
            delivery.span.error = Some(why);
        }
        self.ended.push(delivery.span);
    }

    /// Tells what has not come to an end for long.
    pub(super) fn sweep(&mut self, at: u64) {
        if at.saturating_sub(self.swept) < SWEEP {
            return;
        }
        self.swept = at;
        let is_old = |one: &Delivery| at.saturating_sub(one.span.start) >= LONGEST;
        let old = self.open.iter().filter(|(_, one)| is_old(one));
        let old: Vec<Which> = old.map(|(which, _)| *which).collect();
        for which in old {
            self.end_unfinished(which, at);
        }
        self.end_receiving(at, |span| at.saturating_sub(span.start) >= LONGEST);
    }

    /// The server ends, or follows nothing any more: everything is told as it is, and nothing begins.
    pub(super) fn finish(&mut self, at: u64) {
        self.is_over = true;
        let all: Vec<Which> = self.open.keys().copied().collect();
        for which in all {
            self.end_unfinished(which, at);
        }
        self.end_receiving(at, |_| true);
    }

    fn end_unfinished(&mut self, which: Which, at: u64) {
        if let Some(delivery) = self.open.get_mut(&which) {
            delivery.span.attributes.push(unfinished());
        }
        self.end(which, at, None);
    }
}

fn unfinished() -> (&'static str, Value) {
    ("nightjar.unfinished", true.into())
}

/// Something happened in a span.
fn note(span: &mut Span, event: Event) {
    if span.events.len() < EVENTS {
        span.events.push(event);
    } else {
        span.dropped_events = span.dropped_events.saturating_add(1);
    }
}

/// Something that happened, and no more is known of it.
pub(super) fn event(name: &'static str, at: u64) -> Event {
    Event {
        at,
        name,
        attributes: Vec::new(),
    }
}

/// A topic or a name of a client: as others have it, or cut off if it is long. A span is not to hold
/// more of them in memory than it tells.
pub(super) fn text(text: &Arc<str>) -> Value {
    if text.len() <= LETTERS {
        return Arc::clone(text).into();
    }
    let end = text.floor_char_boundary(LETTERS);
    let begin = text.get(..end).unwrap_or_default();
    format!("{begin}...").into()
}
