//! SUBSCRIBE and UNSUBSCRIBE, and why a request of the caller is not taken.

use std::fmt;

use codec::{
    EncodeError, Packet, ReasonList, Subscribe, SubscribeFiltersBuf, Unsubscribe,
    UnsubscribeFiltersBuf, UserPropertiesBuf,
};
use types::{
    FilterError, PacketId, ProtocolVersion, ReasonCode, SubscriptionFilter, SubscriptionOptions,
    Ticket, Time, TopicError,
};

use super::{Phase, Session};
use crate::event::{CloseReason, Event, Violation};

/// One filter of a SUBSCRIBE.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// `filter` or `$share/name/filter`.
    pub filter: String,
    /// Its options; MQTT 3 takes the QoS only.
    pub options: SubscriptionOptions,
}

/// What `subscribe` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscribeRequest {
    /// At least one filter (MQTT-3.8.3-2).
    pub filters: Vec<Filter>,
    /// Subscription Identifier (5.0), 1 to 268,435,455.
    pub subscription_id: Option<u32>,
    /// User Properties (5.0).
    pub user: UserPropertiesBuf,
}

/// What `unsubscribe` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnsubscribeRequest {
    /// At least one filter (MQTT-3.10.3-2).
    pub filters: Vec<String>,
    /// User Properties (5.0).
    pub user: UserPropertiesBuf,
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There is no connection; messages wait for one, subscriptions do not.
    NotConnected,
    /// `ClientLimits::waiting` messages wait already.
    QueueFull,
    /// All 65,535 packet identifiers are in use.
    NoPacketId,
    /// What was given as a topic is none.
    Topic(TopicError),
    /// What was given as a topic filter is none.
    Filter(FilterError),
    /// It cannot be put into a packet.
    Encode(EncodeError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("not connected"),
            Self::QueueFull => f.write_str("too many messages wait to be sent"),
            Self::NoPacketId => f.write_str("all packet identifiers are in use"),
            Self::Topic(error) => write!(f, "not a topic: {error:?}"),
            Self::Filter(error) => write!(f, "not a topic filter: {error:?}"),
            Self::Encode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RequestError {}

/// A SUBSCRIBE or UNSUBSCRIBE that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    ticket: Ticket,
    kind: RequestKind,
    /// How many filters.
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Subscribe,
    Unsubscribe,
}

impl Session {
    /// Sends a SUBSCRIBE; [`Event::Subscribed`] brings the answer. If the connection ends
    /// before it, none comes.
    ///
    /// # Errors
    /// `NotConnected`, `NoPacketId`, `Filter` and `Encode`.
    pub fn subscribe(
        &mut self,
        request: &SubscribeRequest,
        now: Time,
    ) -> Result<Ticket, RequestError> {
        let mut filters = SubscribeFiltersBuf::new();
        for place in &request.filters {
            check_filter(&place.filter)?;
            let options = match self.options.version {
                ProtocolVersion::V5 => place.options,
                // The other bits are reserved (3.1.1: MQTT-3.8.3-4).
                ProtocolVersion::V31 | ProtocolVersion::V311 => {
                    SubscriptionOptions::plain(place.options.qos)
                }
            };
            filters
                .push(&place.filter, options)
                .map_err(RequestError::Encode)?;
        }
        self.request(
            RequestKind::Subscribe,
            request.filters.len(),
            now,
            |packet_id| {
                Packet::Subscribe(Subscribe {
                    packet_id,
                    subscription_id: request.subscription_id,
                    user: request.user.as_borrowed(),
                    filters: filters.as_borrowed(),
                })
            },
        )
    }

    /// Sends an UNSUBSCRIBE; [`Event::Unsubscribed`] brings the answer. If the connection
    /// ends before it, none comes.
    ///
    /// # Errors
    /// `NotConnected`, `NoPacketId`, `Filter` and `Encode`.
    pub fn unsubscribe(
        &mut self,
        request: &UnsubscribeRequest,
        now: Time,
    ) -> Result<Ticket, RequestError> {
        let mut filters = UnsubscribeFiltersBuf::new();
        for filter in &request.filters {
            check_filter(filter)?;
            filters.push(filter).map_err(RequestError::Encode)?;
        }
        self.request(
            RequestKind::Unsubscribe,
            request.filters.len(),
            now,
            |packet_id| {
                Packet::Unsubscribe(Unsubscribe {
                    packet_id,
                    user: request.user.as_borrowed(),
                    filters: filters.as_borrowed(),
                })
            },
        )
    }

    fn request<'a>(
        &mut self,
        kind: RequestKind,
        count: usize,
        now: Time,
        packet: impl FnOnce(PacketId) -> Packet<'a>,
    ) -> Result<Ticket, RequestError> {
        if self.phase != Phase::Connected {
            return Err(RequestError::NotConnected);
        }
        let id = self.ids.take().ok_or(RequestError::NoPacketId)?;
        if let Err(error) = self.wire.send(&packet(id), &mut self.events, now) {
            self.ids.release(id);
            return Err(RequestError::Encode(error));
        }
        let ticket = self.ticket();
        self.requests.insert(
            id,
            Request {
                ticket,
                kind,
                count,
            },
        );
        Ok(ticket)
    }

    pub(super) fn handle_answer(
        &mut self,
        kind: RequestKind,
        list: &ReasonList<'_>,
    ) -> Result<(), CloseReason> {
        let wrong = CloseReason::Violation(Violation::Acknowledgement);
        let request = self
            .requests
            .get(&list.packet_id)
            .copied()
            .filter(|request| request.kind == kind)
            .ok_or_else(|| wrong.clone())?;
        self.requests.remove(&list.packet_id);
        self.ids.release(list.packet_id);
        let silent = kind == RequestKind::Unsubscribe && !self.options.version.has_properties();
        let reasons = if silent {
            vec![ReasonCode::Success; request.count]
        } else {
            list.reasons
                .iter()
                .filter_map(|byte| ReasonCode::from_byte(*byte))
                .collect()
        };
        if reasons.len() != request.count {
            return Err(wrong);
        }
        let ticket = request.ticket;
        self.events.push_back(match kind {
            RequestKind::Subscribe => Event::Subscribed { ticket, reasons },
            RequestKind::Unsubscribe => Event::Unsubscribed { ticket, reasons },
        });
        Ok(())
    }
}

fn check_filter(filter: &str) -> Result<(), RequestError> {
    SubscriptionFilter::parse(filter, u16::MAX)
        .map(|_| ())
        .map_err(RequestError::Filter)
}
