//! Who a client is: the question, the answer, and the promise of one.
//!
//! Hashing and back ends take time, so an answer may come later, as mail to the worker that asked
//! (S64, S68). Nothing waits for it but the connection that it is for.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use types::{Certificate, ConnId, Peer, ProtocolVersion, ReasonCode, SessionKey, WorkerId};

use crate::{Grant, Identity, Secret};

/// Says who clients are. One serves all workers.
pub trait Authenticator: Send + Sync {
    /// Answers, or promises to. Called on a worker: it must not block. An answer that was promised
    /// comes exactly once, whatever becomes of the back ends (S68), or the connection waits until
    /// its deadline.
    fn authenticate(&self, request: Request) -> Answer;

    /// What a client that lives would be granted now: asked when [`Grant::refresh_after`] is over,
    /// and when an operator asks for it. No password comes along; identity and client id do.
    fn refresh(&self, request: Refresh) -> Answer;

    /// Whether what clients of this listener give as their user name may be a secret, such as a
    /// token: then it is shown to nobody (S71).
    fn takes_secret_names(&self, listener: u16) -> bool {
        let _ = listener;
        false
    }
}

/// What a client shows at the door.
#[derive(Debug)]
pub struct Request {
    /// Whom to answer.
    pub asker: Asker,
    /// The client identifier; empty if the server is to assign one.
    pub client_id: Box<str>,
    /// The user name.
    pub username: Option<Box<str>>,
    /// The password.
    pub password: Option<Secret>,
    /// Enhanced authentication (MQTT 5.0, 4.12): method, data, and what [`Outcome::Continue`] gave
    /// along the last time.
    pub enhanced: Option<Enhanced>,
    /// Where the client connects from.
    pub peer: Peer,
    /// What its certificate says.
    pub certificate: Option<Arc<Certificate>>,
    /// The listener that it came by.
    pub listener: u16,
    /// What it speaks.
    pub version: ProtocolVersion,
}

/// One step of an enhanced authentication.
#[derive(Debug)]
pub struct Enhanced {
    /// Authentication Method.
    pub method: Arc<str>,
    /// Authentication Data; empty if there was none.
    pub data: Secret,
    /// `None` in CONNECT, and in the first AUTH of a re-authentication.
    pub exchange: Option<Exchange>,
}

/// A conversation that goes on. Only who made it knows what is in it.
pub struct Exchange(pub Box<dyn Any + Send>);

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// A client that lives, whose grant is asked for again.
#[derive(Debug)]
pub struct Refresh {
    /// Whom to answer.
    pub asker: Asker,
    /// Who the client is.
    pub identity: Identity,
    /// The client identifier.
    pub client_id: Box<str>,
    /// Where it is connected from.
    pub peer: Peer,
    /// What its certificate says.
    pub certificate: Option<Arc<Certificate>>,
    /// The listener that it came by.
    pub listener: u16,
    /// What it has: who gave it is asked again, and it stays while who gave it cannot be asked
    /// (F18).
    pub grant: Option<Arc<Grant>>,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The worker.
    pub worker: WorkerId,
    /// What of it.
    pub of: AskedFor,
}

/// What an answer is for. It is thrown away if that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedFor {
    /// A connection that wants in, or that authenticates again.
    Connection(ConnId),
    /// The grant of a session.
    Session {
        /// Which session.
        key: SessionKey,
        /// The number of the question: only the answer to its newest one counts.
        question: u32,
    },
}

/// An answer, or the promise of one.
#[derive(Debug)]
pub enum Answer {
    /// Here it is.
    Now(Outcome),
    /// It comes as mail.
    Later,
}

/// What came of asking.
#[derive(Debug)]
pub enum Outcome {
    /// The client is who it says.
    Admitted(Admitted),
    /// It is not let in.
    Refused(Refused),
    /// AUTH is to be sent, and the client's answer brought back (MQTT-4.12.0-2).
    Continue {
        /// Authentication Data for the client.
        data: Vec<u8>,
        /// For the next [`Enhanced::exchange`].
        exchange: Exchange,
    },
}

/// A client that may come in.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// Who it is.
    pub identity: Identity,
    /// What came with that.
    pub grant: Option<Arc<Grant>>,
    /// Authentication Data of CONNACK, or of the AUTH that ends a re-authentication.
    pub data: Option<Vec<u8>>,
}

impl Admitted {
    /// Somebody, and nothing else.
    pub fn plain(identity: Identity) -> Self {
        Self {
            identity,
            grant: None,
            data: None,
        }
    }
}

/// A client that may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For CONNACK.
    pub reason: ReasonCode,
    /// For the log and the list of denials, not for the client: who guesses learns nothing.
    pub why: Arc<str>,
}

/// Lets everybody in as nobody in particular: the no-configuration start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anyone;

impl Authenticator for Anyone {
    fn authenticate(&self, request: Request) -> Answer {
        let outcome = match request.enhanced {
            None => Outcome::Admitted(Admitted::plain(Identity::Anonymous)),
            // MQTT-4.12.0-1.
            Some(_) => Outcome::Refused(Refused {
                reason: ReasonCode::BadAuthenticationMethod,
                why: "no method of enhanced authentication is configured".into(),
            }),
        };
        Answer::Now(outcome)
    }

    fn refresh(&self, request: Refresh) -> Answer {
        Answer::Now(Outcome::Admitted(Admitted::plain(request.identity)))
    }
}
