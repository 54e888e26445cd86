//! Who a client is: asked at CONNECT and by AUTH, answered now or later (MQTT 5.0, 4.12).
//!
//! While an answer is awaited, what the client sends stays unread (S43): nothing of it is acted on
//! before the client is in.

use std::sync::Arc;

use auth::{
    Admitted, Answer, AskedFor, Asker, Enhanced, Exchange, Outcome, Refresh, Refused, Request,
    Secret,
};
use codec::{Auth, Connect, Packet};
use protocol::Violation;
use types::{ConnId, ProtocolVersion, ReasonCode, SessionKey, Time};

use super::Worker;
use super::grants::Occasion;
use super::receive::Flow;
use crate::conn::{Authenticating, Conn, Phase, kept_connect};
use crate::event::CloseReason;

const V5: ProtocolVersion = ProtocolVersion::V5;

impl Worker {
    /// Asks who the client of a CONNECT is.
    pub(super) fn authenticate(
        &mut self,
        id: ConnId,
        connect: &Connect<'_>,
        packet: &[u8],
        now: Time,
    ) -> Flow {
        let data = connect.properties.authentication_data.unwrap_or_default();
        let method: Option<Arc<str>> = connect.properties.authentication_method.map(Arc::from);
        let enhanced = method.clone().map(|method| Enhanced {
            method,
            data: Secret::new(data),
            exchange: None,
        });
        let Some(request) = self.request(id, connect, enhanced) else {
            return Flow::Gone;
        };
        match self.shared.authenticator().authenticate(request) {
            Answer::Now(outcome) => self.conclude(id, connect, packet, method, outcome, now),
            Answer::Later => {
                self.await_answer(id, packet.to_vec(), method, now);
                Flow::Continue
            }
        }
    }

    fn request(
        &self,
        id: ConnId,
        connect: &Connect<'_>,
        enhanced: Option<Enhanced>,
    ) -> Option<Request> {
        let info = &self.conns.at(id)?.info;
        Some(Request {
            asker: self.asker(AskedFor::Connection(id)),
            client_id: connect.client_id.into(),
            username: connect.username.map(Into::into),
            password: connect.password.map(Secret::new),
            enhanced,
            peer: info.peer,
            certificate: info.certificate.clone(),
            listener: info.listener,
            version: connect.version,
        })
    }

    fn asker(&self, of: AskedFor) -> Asker {
        Asker {
            worker: self.id,
            of,
        }
    }

    /// CONNECT is kept until the answer is there.
    fn await_answer(&mut self, id: ConnId, connect: Vec<u8>, method: Option<Arc<str>>, now: Time) {
        let state = Authenticating {
            connect,
            method,
            exchange: None,
            asked: true,
        };
        self.enter(id, Phase::Authenticating(Box::new(state)), now);
    }

    /// What came of asking who the client of a CONNECT is. `packet` is that CONNECT.
    fn conclude(
        &mut self,
        id: ConnId,
        connect: &Connect<'_>,
        packet: &[u8],
        method: Option<Arc<str>>,
        outcome: Outcome,
        now: Time,
    ) -> Flow {
        match outcome {
            Outcome::Admitted(admitted) => self.let_in(id, connect, admitted, method, now),
            Outcome::Refused(refused) => self.turn_away(id, connect, &refused, now),
            Outcome::Continue { data, exchange } => {
                let Some(method) = method else {
                    // Nobody asked for a conversation.
                    return self.refuse(id, connect.version, ReasonCode::UnspecifiedError, "", now);
                };
                let state = Authenticating {
                    connect: packet.to_vec(),
                    method: Some(Arc::clone(&method)),
                    exchange: Some(exchange),
                    asked: false,
                };
                self.enter(id, Phase::Authenticating(Box::new(state)), now);
                self.write_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data));
                Flow::Continue
            }
        }
    }

    /// Who guesses learns the reason code and no more; the log learns why.
    fn turn_away(
        &mut self,
        id: ConnId,
        connect: &Connect<'_>,
        refused: &Refused,
        now: Time,
    ) -> Flow {
        self.denied_connect(id, connect, &refused.why);
        let why = match refused.reason {
            ReasonCode::BadAuthenticationMethod => "authentication method not supported",
            _ => "authentication failed",
        };
        self.refuse_client(id, connect, refused.reason, why, now)
    }

    /// An answer that was promised.
    pub(super) fn on_answer(&mut self, of: AskedFor, outcome: Outcome, now: Time) {
        match of {
            AskedFor::Connection(id) => self.on_connection_answer(id, outcome, now),
            AskedFor::Session { key, question } => {
                let client = self.clients.at(key);
                if client.is_some_and(|client| client.question == question) {
                    self.on_refreshed(key, outcome, now);
                }
            }
        }
    }

    fn on_connection_answer(&mut self, id: ConnId, outcome: Outcome, now: Time) {
        let Some(conn) = self.conns.at_mut(id) else {
            return;
        };
        match &mut conn.phase {
            Phase::Authenticating(state) if state.asked => {
                state.asked = false;
                let (packet, method) = (std::mem::take(&mut state.connect), state.method.clone());
                self.answer_connect(id, &packet, method, outcome, now);
            }
            Phase::Open(open) if open.auth.as_ref().is_some_and(|state| state.asked) => {
                self.conclude_again(id, outcome, now);
            }
            Phase::Greeting | Phase::Authenticating(_) | Phase::Open(_) | Phase::Refused(_) => {
                return;
            }
        }
        // What the client sent meanwhile.
        if let Some(conn) = self.conns.at_mut(id) {
            conn.await_room(id, &mut self.waiting_for_room);
        }
    }

    fn answer_connect(
        &mut self,
        id: ConnId,
        packet: &[u8],
        method: Option<Arc<str>>,
        outcome: Outcome,
        now: Time,
    ) {
        match kept_connect(packet) {
            Some(connect) => {
                self.conclude(id, &connect, packet, method, outcome, now);
            }
            // It was decoded before it was kept.
            None => self.close(id, CloseReason::Panic, now),
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
        let same = state.method.is_some() && auth.method == state.method.as_deref();
        let (Some(method), Some(exchange), true) = (
            state.method.clone().filter(|_| same),
            state.exchange.take(),
            auth.reason == ReasonCode::ContinueAuthentication,
        ) else {
            let why = "AUTH does not continue the exchange";
            return self.refuse(id, V5, ReasonCode::ProtocolError, why, now);
        };
        state.asked = true;
        let packet = state.connect.clone();
        let Some(answer) = self.ask_again(id, &packet, &method, auth, Some(exchange)) else {
            return self.refuse(id, V5, ReasonCode::UnspecifiedError, "", now);
        };
        if let Answer::Now(outcome) = answer {
            self.on_connection_answer(id, outcome, now);
        }
        match self.conns.at(id) {
            Some(_) => Flow::Continue,
            None => Flow::Gone,
        }
    }

    /// The next step of an exchange, for the client of this CONNECT.
    fn ask_again(
        &mut self,
        id: ConnId,
        packet: &[u8],
        method: &Arc<str>,
        auth: &Auth<'_>,
        exchange: Option<Exchange>,
    ) -> Option<Answer> {
        let connect = kept_connect(packet)?;
        let enhanced = Enhanced {
            method: Arc::clone(method),
            data: Secret::new(auth.data.unwrap_or_default()),
            exchange,
        };
        let request = self.request(id, &connect, Some(enhanced))?;
        Some(self.shared.authenticator().authenticate(request))
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
        let method = Arc::clone(&state.method);
        let exchange = match (auth.reason, state.exchange.take()) {
            _ if state.asked => return self.violate(id, Violation::UnexpectedAuth, now),
            (ReasonCode::ContinueAuthentication, Some(exchange)) => Some(exchange),
            (ReasonCode::ReAuthenticate, None) => None,
            _ => return self.violate(id, Violation::UnexpectedAuth, now),
        };
        state.asked = true;
        let (session, user) = (open.session, state.identity.user().map(Box::from));
        let Some(request) = self.request_again(id, session, user, &method, auth, exchange) else {
            return Flow::Gone;
        };
        match self.shared.authenticator().authenticate(request) {
            Answer::Now(outcome) => self.conclude_again(id, outcome, now),
            Answer::Later => Flow::Continue,
        }
    }

    fn request_again(
        &self,
        id: ConnId,
        session: SessionKey,
        username: Option<Box<str>>,
        method: &Arc<str>,
        auth: &Auth<'_>,
        exchange: Option<Exchange>,
    ) -> Option<Request> {
        let info = &self.conns.at(id)?.info;
        Some(Request {
            asker: self.asker(AskedFor::Connection(id)),
            client_id: self.clients.at(session)?.id.as_str().into(),
            username,
            password: None,
            enhanced: Some(Enhanced {
                method: Arc::clone(method),
                data: Secret::new(auth.data.unwrap_or_default()),
                exchange,
            }),
            peer: info.peer,
            certificate: info.certificate.clone(),
            listener: info.listener,
            version: V5,
        })
    }

    /// What came of a re-authentication (MQTT-4.12.1-2).
    fn conclude_again(&mut self, id: ConnId, outcome: Outcome, now: Time) -> Flow {
        let Some(open) = self.conns.at_mut(id).and_then(Conn::open_mut) else {
            return Flow::Gone;
        };
        let Some(state) = &mut open.auth else {
            return Flow::Continue;
        };
        state.asked = false;
        let (key, method) = (open.session, Arc::clone(&state.method));
        match outcome {
            Outcome::Continue { data, exchange } => {
                state.exchange = Some(exchange);
                self.write_auth(id, ReasonCode::ContinueAuthentication, &method, Some(&data));
                Flow::Continue
            }
            // The session belongs to the identity that made it (S25).
            Outcome::Admitted(admitted) if admitted.identity == state.identity => {
                self.take_grant(key, admitted.grant, Occasion::Authenticated, now);
                self.write_auth(id, ReasonCode::Success, &method, admitted.data.as_deref());
                Flow::Continue
            }
            Outcome::Admitted(_) | Outcome::Refused(_) => {
                self.violate(id, Violation::NotAuthorized, now)
            }
        }
    }

    /// Asks again what a client is granted. Of one that is away nobody can be asked: it has no
    /// address, and no password to come back with.
    pub(super) fn refresh(&mut self, key: SessionKey, now: Time) {
        let Some(client) = self.clients.at_mut(key) else {
            return;
        };
        let Some(conn) = client.conn.and_then(|conn| self.conns.at(conn)) else {
            return self.withdraw_grant(key);
        };
        client.question = client.question.wrapping_add(1);
        let question = client.question;
        let refresh = Refresh {
            asker: Asker {
                worker: self.id,
                of: AskedFor::Session { key, question },
            },
            identity: client.identity.clone(),
            client_id: client.id.as_str().into(),
            peer: conn.info.peer,
            certificate: conn.info.certificate.clone(),
            listener: conn.info.listener,
            grant: client.grant.clone(),
        };
        if let Answer::Now(outcome) = self.shared.authenticator().refresh(refresh) {
            self.on_refreshed(key, outcome, now);
        }
    }

    fn on_refreshed(&mut self, key: SessionKey, outcome: Outcome, now: Time) {
        let Some(client) = self.clients.at(key) else {
            return;
        };
        match outcome {
            Outcome::Admitted(Admitted {
                identity, grant, ..
            }) if identity == client.identity => {
                self.take_grant(key, grant, Occasion::Refreshed, now);
            }
            Outcome::Admitted(_) | Outcome::Refused(_) => {
                self.end_unwelcome(key, now);
            }
            // Nobody is asked for a conversation that it did not begin.
            Outcome::Continue { .. } => {
                let grant = client.grant.clone();
                self.take_grant(key, grant, Occasion::Refreshed, now);
            }
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
