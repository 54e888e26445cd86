//! Whether a message is what makes the other server end the connection.
//!
//! MQTT 3 has no word for a refusal: a server that does not want a message ends the connection. The
//! message is then sent again at the next one, for ever, and all behind it waits. So it is given up in
//! the end. But a server ends connections for many reasons, and nothing may be lost because one was
//! slow, was restarted or was killed. Hence an experiment, with a control:
//!
//! 1. Two connections in a row were ended by the other server with messages on their way, and none
//!    was answered on the second. From now on those go one at a time. Until then nothing is slower
//!    than usual: a server that was restarted once is not put to it.
//! 2. The control: the connection is up for a while, and no message goes out. Then the other server
//!    answers a PINGREQ. If it ends the connection in this time, it is not because of a message, and
//!    all begins anew. The while doubles with each round, so that a server which lasts equally long
//!    each time (one that crashes and is started again) does not pass.
//! 3. The message goes alone. If the other server ends the connection within [`PROMPT`], and has
//!    answered nothing since, that is a strike. Later: it was something else. An answer, or an end
//!    for which a message cannot be the reason, and all begins anew.
//! 4. After [`STRIKES`] in a row for the same message it is given up. If the next one is to be given
//!    up with none answered in between, it is perhaps no message that this server does not want, but
//!    all: so that one takes twice as many, and so on.
//!
//! So who is killed must be killed five times in a row, three of them in the moment between a message
//! and its answer, each after a longer time of peace. Who is slow is not noticed here at all: it does
//! not end connections, or not that fast.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use codec::Publish;
use types::{QoS, ReasonCode, Time};

use super::receipts::Receipts;
use super::{End, Side};

/// What is suspected, from one connection to the next.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    /// Connections in a row that ended as in 1.
    fruitless: u32,
    /// How many messages are yet to go one at a time.
    careful: usize,
    /// The message that was alone on its way at the last strikes, and how many there were.
    accused: Option<Message>,
    strikes: u32,
    /// It is to be given up when it comes again.
    condemned: Option<Message>,
    /// How many were given up since one was answered.
    given_up: u32,
    now: Connection,
}

/// What is known of the connection that is.
#[derive(Clone, Debug)]
struct Connection {
    opened: Option<Time>,
    control: Control,
    /// Messages of QoS 1 and 2 without any answer.
    unanswered: Receipts,
    answered: bool,
    /// A message of QoS 0 went since something was answered. It may be the one.
    unclear: bool,
    trial: Option<Trial>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Runs,
    Asked,
    Passed,
}

/// A message that is alone on its way.
#[derive(Clone, Debug)]
struct Trial {
    message: Message,
    /// When the first of it was written, and the last.
    began: Option<Time>,
    went: Option<Time>,
}

/// Enough of a message to know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    id: u16,
    topic: String,
    bytes: usize,
    hash: u64,
}

/// Whether a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// At this time it is worth to ask again.
    Until(Time),
    /// When the other server has answered.
    Shut,
}

/// A message that was given up, for who should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Its topic at this server; of a long one the beginning.
    pub topic: String,
    /// Bytes of its payload.
    pub bytes: usize,
}

impl Suspicion {
    pub(super) fn none() -> Self {
        Self {
            fruitless: 0,
            careful: 0,
            accused: None,
            strikes: 0,
            condemned: None,
            given_up: 0,
            now: Connection::new(),
        }
    }

    /// A connection begins.
    pub(super) fn begin(&mut self) {
        self.now = Connection::new();
    }

    /// Both servers have let the bridge in.
    pub(super) fn open(&mut self, now: Time) {
        self.now.opened.get_or_insert(now);
    }

    /// Whether a message may go, while so many are on their way.
    pub(super) fn gate(&self, underway: usize) -> Gate {
        match (self.careful, self.now.opened, self.now.control) {
            (0, ..) => Gate::Open,
            (_, Some(opened), Control::Runs) => Gate::Until(opened + self.quiet()),
            (_, Some(_), Control::Passed) if underway == 0 => Gate::Open,
            _ => Gate::Shut,
        }
    }

    /// Whether the other server is to be asked for a sign of life now.
    pub(super) fn asks(&mut self, now: Time) -> bool {
        let over = |opened| now >= opened + self.quiet();
        let asks = self.careful > 0
            && self.now.control == Control::Runs
            && self.now.opened.is_some_and(over);
        if asks {
            self.now.control = Control::Asked;
        }
        asks
    }

    /// The other server gives that sign.
    pub(super) fn alive(&mut self) {
        if self.now.control == Control::Asked {
            self.now.control = Control::Passed;
        }
    }

    /// A message is on its way, at the QoS of the other server.
    pub(super) fn sent(&mut self, publish: &Publish<'_>, qos: QoS) {
        let Some(id) = publish.packet_id.filter(|_| qos > QoS::AtMostOnce) else {
            self.now.unclear = true;
            return;
        };
        self.now.unanswered.insert(id.get());
        if self.careful > 0 {
            self.now.trial = Some(Trial {
                message: Message::of(id.get(), publish),
                began: None,
                went: None,
            });
        }
    }

    /// Something was written to the other server; `all`: nothing is left to write.
    pub(super) fn written(&mut self, all: bool, now: Time) {
        if let Some(trial) = &mut self.now.trial {
            trial.began.get_or_insert(now);
            if all {
                trial.went.get_or_insert(now);
            }
        }
    }

    /// The other server answers a message with PUBACK or PUBREC, whichever it says.
    pub(super) fn answered(&mut self, id: u16) {
        self.now.unanswered.remove(id);
        self.now.answered = true;
        self.now.unclear = false;
        self.now.trial = None;
        self.careful = self.careful.saturating_sub(1);
        self.given_up = 0;
        self.acquit();
    }

    /// Whether this is the one to be given up. It then is.
    pub(super) fn gives_up(&mut self, publish: &Publish<'_>) -> Option<GivenUp> {
        let condemned = self.condemned.as_ref()?;
        let id = publish.packet_id?.get();
        if condemned.id != id || *condemned != Message::of(id, publish) {
            return None;
        }
        let condemned = self.condemned.take()?;
        self.careful = self.careful.saturating_sub(1);
        self.given_up = self.given_up.saturating_add(1);
        self.acquit();
        Some(GivenUp {
            topic: condemned.topic.chars().take(super::MOST_WORDS).collect(),
            bytes: condemned.bytes,
        })
    }

    /// The connection is over.
    pub(super) fn ended(&mut self, end: &End, now: Time) {
        match end {
            End::Closed(Side::Remote) => self.ended_there(now),
            End::Disconnected(Side::Remote, reason, _) if is_about_a_message(*reason) => {
                self.ended_there(now);
            }
            // It is alive and has other reasons, or is silent.
            End::Disconnected(Side::Remote, ..)
            | End::Protocol(Side::Remote, _)
            | End::Full(Side::Remote)
            | End::Silent
            | End::TooMuch => self.begin_anew(),
            // It says nothing of messages.
            End::Refused(..)
            | End::Closed(Side::Local)
            | End::Disconnected(Side::Local, ..)
            | End::Protocol(Side::Local, _)
            | End::Full(Side::Local) => {}
        }
    }

    fn ended_there(&mut self, now: Time) {
        if self.careful == 0 {
            let underway = self.now.unanswered.len();
            self.fruitless = match underway > 0 && !self.now.answered {
                true => self.fruitless.saturating_add(1),
                false => 0,
            };
            if self.fruitless >= FRUITLESS {
                self.careful = underway;
            }
            return;
        }
        if self.now.opened.is_none() {
            // It was away, or is not ready: the message is not what it was about.
            return;
        }
        let Some(trial) = self.now.trial.take() else {
            return self.begin_anew();
        };
        let prompt = trial.went.or(trial.began);
        let prompt = prompt.is_some_and(|at| now.since(at) <= PROMPT);
        if !prompt || self.now.unclear {
            return self.begin_anew();
        }
        self.strikes = match self.accused.as_ref() == Some(&trial.message) {
            true => self.strikes.saturating_add(1),
            false => 1,
        };
        let needed = STRIKES << self.given_up.min(MOST_DOUBLINGS);
        if self.strikes >= needed {
            self.condemned = Some(trial.message.clone());
        }
        self.accused = Some(trial.message);
    }

    /// How long no message goes at first.
    fn quiet(&self) -> Duration {
        let rounds = match self.condemned {
            // It need not be tried again.
            Some(_) => 0,
            None => self.strikes.min(MOST_DOUBLINGS),
        };
        FIRST_QUIET.saturating_mul(1 << rounds)
    }

    /// No message is suspected more than others.
    fn acquit(&mut self) {
        self.fruitless = 0;
        self.strikes = 0;
        self.accused = None;
    }

    fn begin_anew(&mut self) {
        self.acquit();
        self.careful = 0;
        self.condemned = None;
    }
}

impl Connection {
    fn new() -> Self {
        Self {
            opened: None,
            control: Control::Runs,
            unanswered: Receipts::none(),
            answered: false,
            unclear: false,
            trial: None,
        }
    }
}

impl Message {
    fn of(id: u16, publish: &Publish<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        publish.payload.hash(&mut hasher);
        Self {
            id,
            topic: publish.topic.to_owned(),
            bytes: publish.payload.len(),
            hash: hasher.finish(),
        }
    }
}

/// Whether a server may say this because of a message that it does not want.
fn is_about_a_message(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::UnspecifiedError
            | ReasonCode::MalformedPacket
            | ReasonCode::ProtocolError
            | ReasonCode::ImplementationSpecificError
            | ReasonCode::NotAuthorized
            | ReasonCode::TopicNameInvalid
            | ReasonCode::PacketTooLarge
            | ReasonCode::PayloadFormatInvalid
            | ReasonCode::RetainNotSupported
            | ReasonCode::QoSNotSupported
    )
}

/// So many connections without an answer make suspicious.
const FRUITLESS: u32 = 2;
/// A message is given up after so many strikes.
const STRIKES: u32 = 3;
/// Whoever does not want a message ends the connection within this time.
const PROMPT: Duration = Duration::from_secs(1);
/// How long no message goes, at first: longer than [`PROMPT`] from the second time.
const FIRST_QUIET: Duration = Duration::from_secs(1);
/// Nothing doubles more often.
const MOST_DOUBLINGS: u32 = 4;
