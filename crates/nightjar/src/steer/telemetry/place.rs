//! Spans that a worker has begun and ended.

use std::collections::HashMap;
use std::sync::Arc;

use telemetry::span::{Event, Kind};
use telemetry::{Context, Span, SpanId, Value};
use types::PacketId;

/// Most messages that are received at once: one, and what its arrival brings about.
const RECEIVING: usize = 16;
/// Most deliveries of a worker that wait for an acknowledgement.
const OPEN: usize = 8192;
/// Most messages whose deliveries are counted.
const COUNTED: usize = 4096;
/// Most deliveries of a message that are told, at each worker.
pub(super) const DELIVERIES: u32 = 64;
/// After so long a delivery is told as it is.
const LONGEST: u64 = 300 * SECOND;
/// How often it is looked for such.
pub(super) const SWEEP: u64 = 5 * SECOND;
/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Who is to have which message: a keyed hash of the client, and the span by which it was received.
type Which = (u64, SpanId);

/// What one worker is about.
#[derive(Default)]
pub(super) struct Place {
    receiving: Vec<Span>,
    open: HashMap<Which, Delivery>,
    /// Deliveries by client and packet identifier.
    by_packet: HashMap<(u64, PacketId), SpanId>,
    counted: HashMap<SpanId, u32>,
    swept: u64,
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
    /// A keyed hash of who is to have it.
    pub(super) client: u64,
    /// What the message carries.
    pub(super) context: Context,
    pub(super) state: &'a str,
    pub(super) id: SpanId,
    pub(super) at: u64,
}

impl Place {
    /// A message is received; its span begins.
    pub(super) fn receive(&mut self, span: Span) {
        if self.receiving.len() >= RECEIVING {
            // What broke off halfway; a connection's panic does that.
            self.ended.append(&mut self.receiving);
        }
        self.receiving.push(span);
    }

    /// Something happens to a message while it is received.
    pub(super) fn received(&mut self, id: SpanId, event: Event) -> Option<&mut Span> {
        let span = self.receiving.iter_mut().find(|span| span.id == id)?;
        span.events.push(event);
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
        let which = (new.client, new.context.span);
        if !self.open.contains_key(&which) {
            if self.counted.len() >= COUNTED {
                self.counted.clear();
            }
            let count = self.counted.entry(new.context.span).or_default();
            *count = count.saturating_add(1);
            if *count > DELIVERIES {
                return None;
            }
            if self.open.len() >= OPEN {
                self.lost = self.lost.saturating_add(1);
                return None;
            }
            let mut span = Span {
                trace: new.context.trace,
                id: new.id,
                parent: Some(new.context.span),
                state: new.state.into(),
                name: "send",
                kind: Kind::Producer,
                start: new.at,
                end: new.at,
                attributes: Vec::new(),
                events: Vec::new(),
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
            delivery.span.events.push(event("queued", new.at));
        }
    }

    /// A message was written to a client; without a packet identifier that is all.
    pub(super) fn sent(
        &mut self,
        new: &New<'_>,
        packet: Option<PacketId>,
        dup: bool,
        about: impl FnOnce(&mut Span),
    ) {
        let Some(delivery) = self.delivery(new, about) else {
            return;
        };
        let mut sent = event("sent", new.at);
        sent.attributes.push(("nightjar.dup", dup.into()));
        delivery.span.events.push(sent);
        let before = std::mem::replace(&mut delivery.packet, packet);
        let (client, span) = (new.client, new.context.span);
        if let Some(before) = before.filter(|_| before != packet) {
            self.by_packet.remove(&(client, before));
        }
        match packet {
            Some(packet) => {
                self.by_packet.insert((client, packet), span);
            }
            None => self.end((client, span), new.at, None),
        }
    }

    /// A client says that it has a message; whether that is all.
    pub(super) fn acknowledged(
        &mut self,
        client: u64,
        packet: PacketId,
        at: u64,
        (by, is_all): (&'static str, bool),
    ) {
        let Some(span) = self.by_packet.get(&(client, packet)).copied() else {
            return;
        };
        if let Some(delivery) = self.open.get_mut(&(client, span)) {
            delivery.span.events.push(event(by, at));
        }
        if is_all {
            self.end((client, span), at, None);
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
            self.end((new.client, new.context.span), new.at, Some(why));
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
            self.by_packet.remove(&(which.0, packet));
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
            if let Some(delivery) = self.open.get_mut(&which) {
                let unfinished: Value = true.into();
                let attributes = &mut delivery.span.attributes;
                attributes.push(("nightjar.unfinished", unfinished));
            }
            self.end(which, at, None);
        }
    }

    /// The server ends, or follows nothing any more: everything is told as it is.
    pub(super) fn finish(&mut self, at: u64) {
        self.swept = 0;
        let all: Vec<Which> = self.open.keys().copied().collect();
        for which in all {
            if let Some(delivery) = self.open.get_mut(&which) {
                let attributes = &mut delivery.span.attributes;
                attributes.push(("nightjar.unfinished", true.into()));
            }
            self.end(which, at, None);
        }
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

/// A topic or a name of a client, which others have too.
pub(super) fn text(text: &Arc<str>) -> Value {
    Arc::clone(text).into()
}
