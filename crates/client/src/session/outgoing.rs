//! Messages on their way to the server: those that wait, and those that wait for an answer.

use std::collections::{BTreeSet, VecDeque};

use codec::{Ack, Packet};
use types::{PacketId, QoS, ReasonCode, Ticket, Time};

use super::wire::Wire;
use super::{Events, Granted};
use crate::event::{Event, NotSent, PublishResult};
use crate::message::Message;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Not sent yet, in order.
    waiting: VecDeque<Waiting>,
    /// Sent and not yet answered, in the order in which they were sent first
    /// (MQTT-4.6.0-1).
    flights: VecDeque<Flight>,
    /// Places of `flights` from here on are not yet sent again on this link.
    resent: usize,
    /// Messages that count against the server's Receive Maximum on this link.
    counted: u16,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    message: Message,
}

#[derive(Debug)]
struct Flight {
    id: PacketId,
    ticket: Ticket,
    stage: Stage,
    /// The PUBLISH was sent on this link and holds a place of the Receive Maximum (4.9).
    counted: bool,
}

#[derive(Debug)]
enum Stage {
    /// PUBLISH is sent; PUBACK or PUBREC is to come.
    Publish(Box<Message>),
    /// PUBREL is sent; PUBCOMP is to come.
    Release,
}

/// The packet identifiers of one session that are in use (MQTT-2.2.1-3): those of messages
/// and of SUBSCRIBE and UNSUBSCRIBE, which share one space.
#[derive(Debug)]
pub(super) struct PacketIds {
    used: BTreeSet<PacketId>,
    next: PacketId,
}

impl PacketIds {
    pub(super) fn new() -> Self {
        Self {
            used: BTreeSet::new(),
            next: PacketId::FIRST,
        }
    }

    /// `None` if all 65,535 are in use.
    pub(super) fn take(&mut self) -> Option<PacketId> {
        if self.used.len() >= usize::from(u16::MAX) {
            return None;
        }
        while !self.used.insert(self.next) {
            self.next = self.next.next();
        }
        let id = self.next;
        self.next = id.next();
        Some(id)
    }

    pub(super) fn release(&mut self, id: PacketId) {
        self.used.remove(&id);
    }
}

impl Outgoing {
    pub(super) fn push(&mut self, ticket: Ticket, message: Message) {
        self.waiting.push_back(Waiting { ticket, message });
    }

    /// How many messages wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no message waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flights.is_empty()
    }

    /// A new link begins; the server has the session: everything is sent again in order and
    /// with the same identifiers (MQTT-4.4.0-1).
    pub(super) fn resume(&mut self) {
        self.resent = 0;
        self.counted = 0;
        for flight in &mut self.flights {
            flight.counted = false;
        }
    }

    /// A new link begins; the server has no session. What it never acknowledged starts anew;
    /// what it took with PUBREC is its own, and is not sent twice.
    pub(super) fn restart(&mut self, ids: &mut PacketIds, events: &mut Events) {
        self.resume();
        while let Some(flight) = self.flights.pop_back() {
            ids.release(flight.id);
            match flight.stage {
                Stage::Publish(message) => self.waiting.push_front(Waiting {
                    ticket: flight.ticket,
                    message: *message,
                }),
                Stage::Release => events.push_back(Event::Published {
                    ticket: flight.ticket,
                    result: PublishResult::Done(ReasonCode::Success),
                }),
            }
        }
    }

    /// Sends what may be sent: first what is to be repeated, then what waits.
    pub(super) fn fill(
        &mut self,
        granted: &Granted,
        ids: &mut PacketIds,
        wire: &mut Wire,
        events: &mut Events,
        now: Time,
    ) {
        while !wire.is_full() {
            if self.resent < self.flights.len() {
                if !self.resend_one(granted, wire, events, now) {
                    return;
                }
            } else if !self.send_one(granted, ids, wire, events, now) {
                return;
            }
        }
    }

    fn resend_one(
        &mut self,
        granted: &Granted,
        wire: &mut Wire,
        events: &mut Events,
        now: Time,
    ) -> bool {
        let Some(flight) = self.flights.get_mut(self.resent) else {
            return false;
        };
        let packet = match &flight.stage {
            Stage::Publish(_) if self.counted >= granted.inflight => return false,
            Stage::Publish(message) => {
                flight.counted = true;
                self.counted = self.counted.saturating_add(1);
                Packet::Publish(message.packet(true, Some(flight.id)))
            }
            Stage::Release => Packet::PubRel(Ack::new(flight.id, ReasonCode::Success)),
        };
        // It was encoded before: there is no error that is not there already.
        let sent = wire.send(&packet, events, now).is_ok();
        self.resent = self.resent.saturating_add(1);
        sent
    }

    fn send_one(
        &mut self,
        granted: &Granted,
        ids: &mut PacketIds,
        wire: &mut Wire,
        events: &mut Events,
        now: Time,
    ) -> bool {
        let Some(first) = self.waiting.front() else {
            return false;
        };
        let mut id = None;
        if first.message.qos != QoS::AtMostOnce {
            if self.counted >= granted.inflight {
                return false;
            }
            id = ids.take();
            if id.is_none() {
                return false;
            }
        }
        let Some(Waiting { ticket, message }) = self.waiting.pop_front() else {
            return false;
        };
        let packet = Packet::Publish(message.packet(false, id));
        let sent = granted
            .check(&message, &packet)
            .and_then(|()| wire.send(&packet, events, now).map_err(NotSent::Encode));
        match (sent, id) {
            (Err(why), _) => {
                if let Some(id) = id {
                    ids.release(id);
                }
                events.push_back(Event::Published {
                    ticket,
                    result: PublishResult::NotSent(why),
                });
            }
            (Ok(()), None) => events.push_back(Event::Published {
                ticket,
                result: PublishResult::Done(ReasonCode::Success),
            }),
            (Ok(()), Some(id)) => {
                self.counted = self.counted.saturating_add(1);
                self.flights.push_back(Flight {
                    id,
                    ticket,
                    stage: Stage::Publish(Box::new(message)),
                    counted: true,
                });
                self.resent = self.flights.len();
            }
        }
        true
    }

    /// PUBACK, or PUBCOMP, or PUBREC with an error: the flight of this kind is over.
    /// Without such a flight nothing happens.
    pub(super) fn handle_end(
        &mut self,
        kind: FlightEnd,
        ack: &Ack<'_>,
        ids: &mut PacketIds,
        events: &mut Events,
    ) {
        let Some(at) = self.find(ack.packet_id) else {
            return;
        };
        let fits = self
            .flights
            .get(at)
            .is_some_and(|flight| match &flight.stage {
                Stage::Publish(message) => match kind {
                    FlightEnd::Acknowledged => message.qos == QoS::AtLeastOnce,
                    FlightEnd::Refused => message.qos == QoS::ExactlyOnce,
                    FlightEnd::Completed => false,
                },
                Stage::Release => kind == FlightEnd::Completed,
            });
        if !fits {
            return;
        }
        let Some(flight) = self.flights.remove(at) else {
            return;
        };
        if at < self.resent {
            self.resent = self.resent.saturating_sub(1);
        }
        if flight.counted {
            self.counted = self.counted.saturating_sub(1);
        }
        ids.release(flight.id);
        let result = if ack.reason.is_error() && kind != FlightEnd::Completed {
            PublishResult::Refused {
                reason: ack.reason,
                text: ack.reason_string.map(str::to_owned),
            }
        } else {
            PublishResult::Done(ack.reason)
        };
        events.push_back(Event::Published {
            ticket: flight.ticket,
            result,
        });
    }

    /// PUBREC without an error. Says what PUBREL is to say (MQTT-4.3.3-4).
    pub(super) fn handle_taken(&mut self, id: PacketId) -> ReasonCode {
        let flight = self.find(id).and_then(|at| self.flights.get_mut(at));
        match flight {
            Some(flight) => match &flight.stage {
                Stage::Publish(message) if message.qos != QoS::ExactlyOnce => {
                    ReasonCode::PacketIdentifierNotFound
                }
                Stage::Publish(_) | Stage::Release => {
                    flight.stage = Stage::Release;
                    ReasonCode::Success
                }
            },
            None => ReasonCode::PacketIdentifierNotFound,
        }
    }

    fn find(&self, id: PacketId) -> Option<usize> {
        self.flights.iter().position(|flight| flight.id == id)
    }
}

/// Which packet ends a flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FlightEnd {
    /// PUBACK.
    Acknowledged,
    /// PUBREC with an error (MQTT-4.3.3-4).
    Refused,
    /// PUBCOMP.
    Completed,
}
