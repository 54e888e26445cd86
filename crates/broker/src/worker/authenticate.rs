//! Enhanced authentication and re-authentication (MQTT 5.0, 4.12).

use std::sync::Arc;

use auth::{Exchange, Mechanism, Step};
use codec::{Auth, Connect, Packet};
use protocol::Violation;
use types::{ConnId, ProtocolVersion, ReasonCode, Time};

use super::Worker;
use super::receive::Flow;
use crate::conn::{Authenticating, Conn, Phase};
use crate::event::CloseReason;

const V5: ProtocolVersion = ProtocolVersion::V5;

impl Worker {
    fn mechanism(&self, method: &str) -> Option<Arc<dyn Mechanism>> {
        self.shared
            .config
            .mechanisms
            .iter()
            .find(|known| known.name() == method)
            .cloned()
    }

    /// CONNECT names a method: the exchange begins with its data.
    pub(super) fn begin_authentication(
        &mut self,
        id: ConnId,
        connect: &Connect<'_>,
        method: &str,
        packet: &[u8],
        now: Time,
    ) -> Flow {
        let Some(mechanism) = self.mechanism(method) else {
            // MQTT-4.12.0-1.
            let why = "authentication method not supported";
            return self.refuse(id, V5, ReasonCode::BadAuthenticationMethod, why, now);
        };
        let mut exchange = mechanism.begin(connect.client_id);
        let method: Arc<str> = Arc::from(method);
        match exchange.step(connect.properties.authentication_data.unwrap_or_default()) {
            Step::Continue(data) => {
                let connect = packet.to_vec();
                let state = Authenticating {
                    connect,
                    method: Arc::clone(&method),
                    exchange,
                };
                self.enter(id, Phase::Authenticating(Box::new(state)), now);
                self.write_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data));
                Flow::Continue
            }
            Step::Done { data, identity } => {
                self.let_in(id, connect, identity, Some((method, data)), now)
            }
            Step::Failed(reason) => self.refuse(id, V5, reason, "authentication failed", now),
        }
    }

    /// Only AUTH and DISCONNECT may come while the exchange goes on (MQTT-3.1.2-30).
    pub(super) fn on_packet_before_connack(
        &mut self,
        id: ConnId,
        first_byte: u8,
        body: &[u8],
        now: Time,
    ) -> Flow {
        match codec::decode(V5, first_byte, body) {
            Ok(Packet::Auth(auth)) => self.continue_authentication(id, &auth, now),
            Ok(Packet::Disconnect(disconnect)) => {
                self.close(id, CloseReason::Client(disconnect.reason), now);
                Flow::Gone
            }
            Ok(_) => {
                let why = "only AUTH may follow until CONNACK";
                self.refuse(id, V5, ReasonCode::ProtocolError, why, now)
            }
            Err(error) => self.refuse(id, V5, error.reason(), "AUTH could not be decoded", now),
        }
    }

    fn continue_authentication(&mut self, id: ConnId, auth: &Auth<'_>, now: Time) -> Flow {
        let Some(conn) = self.conns.at_mut(id) else {
            return Flow::Gone;
        };
        let Phase::Authenticating(state) = &mut conn.phase else {
            return Flow::Gone;
        };
        // MQTT-4.12.0-3, -5: the same method, and "continue".
        if auth.method != Some(&*state.method) || auth.reason != ReasonCode::ContinueAuthentication
        {
            let why = "AUTH does not continue the exchange";
            return self.refuse(id, V5, ReasonCode::ProtocolError, why, now);
        }
        let method = Arc::clone(&state.method);
        match state.exchange.step(auth.data.unwrap_or_default()) {
            Step::Continue(data) => {
                self.write_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data));
                Flow::Continue
            }
            Step::Failed(reason) => self.refuse(id, V5, reason, "authentication failed", now),
            Step::Done { data, identity } => {
                let packet = std::mem::take(&mut state.connect);
                let Ok(codec::Frame::Complete {
                    first_byte,
                    header_len,
                    ..
                }) = codec::frame(&packet, u32::MAX)
                else {
                    return self.refuse(id, V5, ReasonCode::UnspecifiedError, "", now);
                };
                let body = packet.get(header_len..).unwrap_or_default();
                match codec::decode(V5, first_byte, body) {
                    Ok(Packet::Connect(connect)) => {
                        self.let_in(id, &connect, identity, Some((method, data)), now)
                    }
                    _ => self.refuse(id, V5, ReasonCode::UnspecifiedError, "", now),
                }
            }
        }
    }

    /// AUTH of a client that is in: it authenticates again, other packets keep flowing.
    pub(super) fn on_auth(&mut self, id: ConnId, auth: &Auth<'_>, now: Time) -> Flow {
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return Flow::Gone;
        };
        let Some(state) = &mut open.auth else {
            return self.violate(id, Violation::UnexpectedAuth, now);
        };
        if auth.method != Some(&*state.method) {
            return self.violate(id, Violation::AuthMethodChanged, now);
        }
        let (session, method) = (open.session, Arc::clone(&state.method));
        let running: Option<Box<dyn Exchange>> = state.exchange.take();
        let mut exchange = match (auth.reason, running) {
            (ReasonCode::ContinueAuthentication, Some(exchange)) => exchange,
            (ReasonCode::ReAuthenticate, None) => {
                let client_id = self
                    .clients
                    .at(session)
                    .map_or("", |client| client.id.as_str());
                match self.mechanism(&method) {
                    Some(mechanism) => mechanism.begin(client_id),
                    None => return self.violate(id, Violation::AuthMethodChanged, now),
                }
            }
            _ => return self.violate(id, Violation::UnexpectedAuth, now),
        };
        match exchange.step(auth.data.unwrap_or_default()) {
            Step::Continue(data) => {
                if let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut)
                    && let Some(state) = &mut open.auth
                {
                    state.exchange = Some(exchange);
                }
                self.write_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data));
                Flow::Continue
            }
            Step::Done { data, identity } => {
                let same = self
                    .conns
                    .at(id)
                    .and_then(Conn::open)
                    .and_then(|open| open.auth.as_ref())
                    .is_some_and(|state| state.identity == identity);
                if !same {
                    // The session belongs to the identity that made it (S25).
                    return self.violate(id, Violation::NotAuthorized, now);
                }
                self.write_auth(id, ReasonCode::Success, &method, data.as_deref());
                Flow::Continue
            }
            // MQTT-4.12.1-2.
            Step::Failed(_) => self.violate(id, Violation::NotAuthorized, now),
        }
    }

    fn write_auth(&mut self, id: ConnId, reason: ReasonCode, method: &str, data: Option<&[u8]>) {
        let auth = Auth {
            reason,
            method: Some(method),
            data,
            reason_string: None,
            user: Default::default(),
        };
        self.write(id, V5, &Packet::Auth(auth));
    }
}
