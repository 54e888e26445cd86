//! Packets of one side into packets of the other, without I/O.
//!
//! Packet identifiers are the same on both sides, for each direction: what this server sends as
//! PUBLISH 7 goes out as PUBLISH 7, and the other server's PUBACK 7 comes back as the bridge's. The
//! other direction goes by the other server's identifiers. So nothing is acknowledged to one side
//! before the other has it; what is on its way stands in the two sessions and nowhere else; and QoS 2
//! stays exactly once whichever of the three is killed, as long as both sessions live.
//!
//! If one of the sessions is gone while the other is there, identifiers that the other one holds as
//! received (QoS 2) mean nothing any more, and would swallow new messages that come by them. They
//! are released before anything else is sent: those that are known, or all after a restart, when
//! nothing is known ([`Memory`]). What was on its way may then arrive twice, but is not lost.
//!
//! | module | owns |
//! |---|---|
//! | `end` | why a relay is over |
//! | `held` | packets that wait |
//! | `hello` | CONNECT, SUBSCRIBE, and what the servers answer |
//! | `outward` | packets of this server |
//! | `inward` | packets of the other server |
//! | `receipts` | sets of packet identifiers |
//! | `suspicion` | whether a message is what makes the other server end the connection |
//! | `rate` | how much may go out in which time |

mod end;
mod held;
mod hello;
mod inward;
mod outward;
mod rate;
mod receipts;
mod suspicion;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codec::{Ack, Frame, Packet, encode, frame};
use types::{PacketId, ProtocolVersion, QoS, ReasonCode, Time};

pub use self::end::End;
use self::end::MOST_WORDS;
use self::held::Held;
use self::rate::Bucket;
use self::receipts::Receipts;
pub use self::suspicion::GivenUp;
use self::suspicion::{Gate, Suspicion};
use crate::figures::{Dropped, Figures};
use crate::settings::Settings;

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Local,
    /// The other one.
    Remote,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "this server",
            Self::Remote => "the other server",
        })
    }
}

/// What is known, from one connection to the next, of identifiers that the sessions may hold as
/// received.
#[derive(Clone, Debug)]
pub struct Memory {
    /// This server may hold them.
    local: Receipts,
    /// The other server may.
    remote: Receipts,
    suspicion: Suspicion,
}

impl Memory {
    /// Nothing is known: the process has just started.
    pub fn unknown() -> Self {
        Self {
            local: Receipts::unknown(),
            remote: Receipts::unknown(),
            suspicion: Suspicion::none(),
        }
    }

    /// Somebody has changed something: no message is suspected of anything any more.
    pub fn forget_suspicion(&mut self) {
        self.suspicion = Suspicion::none();
    }
}

/// How far the connections have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The other server has not answered CONNECT.
    Connect,
    /// It has not answered all SUBSCRIBE.
    Subscribe,
    /// A link to this server is needed.
    NeedsLocal,
    /// This server has not answered CONNECT.
    ConnectLocal,
    /// It has not answered all SUBSCRIBE.
    SubscribeLocal,
    /// All goes both ways.
    Open,
}

/// Bytes from and to one side.
#[derive(Debug, Default)]
struct Pipe {
    /// The beginning of a packet.
    input: Vec<u8>,
    output: Vec<u8>,
    /// Bytes of `output` that were written.
    written: usize,
    /// SUBACK and UNSUBACK that are due.
    answers: usize,
}

impl Pipe {
    fn pending(&self) -> usize {
        self.output.len().saturating_sub(self.written)
    }
}

/// What the other server has said that it takes.
#[derive(Clone, Copy, Debug)]
struct Takes {
    qos: QoS,
    retain: bool,
    packet_size: u32,
    receive_maximum: u16,
}

/// One connection to each of the two servers, and all that goes from one to the other.
///
/// The link to the other server is there from the beginning; the one to this server is to be opened
/// when [`Relay::needs_local`] says so. The relay is over when [`Relay::end`] says why: then both
/// links are to be closed, after what [`Relay::output`] still has.
#[derive(Debug)]
pub struct Relay {
    settings: Arc<Settings>,
    figures: Arc<Figures>,
    stage: Stage,
    local: Pipe,
    remote: Pipe,
    takes: Takes,
    remote_present: bool,
    /// Largest packet that this server takes.
    local_packet_size: u32,
    memory: Memory,
    /// Packets of QoS 1 and 2 that are on their way.
    outbound: Receipts,
    inbound: Receipts,
    /// Of QoS 2 here, sent as QoS 1.
    lowered: Receipts,
    /// PUBCOMP is to be said to the side that sends PUBREL, and not to ask the other.
    finishing_local: Receipts,
    finishing_remote: Receipts,
    /// PUBCOMP of a side that is an answer to a PUBREL of our own.
    swept_local: Receipts,
    swept_remote: Receipts,
    /// Packets of the other server that wait: for this server, or for room there.
    held_in: Held,
    /// Those are being taken up.
    releases: bool,
    /// Bytes of answers to the other server, at least so many of which it has not read.
    answers: usize,
    /// Messages that wait until the rates are kept.
    held_out: Held,
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    /// Filters that no rule has any more, at this server and at the other.
    stale: (Vec<String>, Vec<String>),
    keep_alive: Duration,
    /// When something was last written to the other server, and heard from it.
    sent: Time,
    heard: Time,
    pinged: Option<Time>,
    /// Since when the other server is not read.
    paused: Option<Time>,
    since: Time,
    last_message: Time,
    given_up: Option<GivenUp>,
    /// The last time that was told.
    clock: Time,
    end: Option<End>,
}

/// What a relay begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The password for the other server.
    pub password: Option<zeroize::Zeroizing<Vec<u8>>>,
    /// Whether to set the bit that says that a bridge asks; only for MQTT 3.
    pub says_bridge: bool,
    /// What the relay before this one knew.
    pub memory: Memory,
    /// Filters that no rule has any more: at this server, and at the other.
    pub stale: (Vec<String>, Vec<String>),
}

impl Relay {
    /// A relay with a link to the other server. CONNECT is to be written.
    pub fn new(
        settings: Arc<Settings>,
        figures: Arc<Figures>,
        beginning: Beginning,
        now: Time,
    ) -> Self {
        let takes = Takes {
            qos: QoS::ExactlyOnce,
            retain: true,
            packet_size: settings.packet_size,
            receive_maximum: settings.inflight.max(1),
        };
        let bucket = |rate: Option<types::limits::Rate>| rate.map(|rate| Bucket::new(rate, now));
        let mut relay = Self {
            stage: Stage::Connect,
            local: Pipe::default(),
            remote: Pipe::default(),
            takes,
            remote_present: false,
            local_packet_size: settings.bounds.packet_size,
            memory: beginning.memory,
            outbound: Receipts::none(),
            inbound: Receipts::none(),
            lowered: Receipts::none(),
            finishing_local: Receipts::none(),
            finishing_remote: Receipts::none(),
            swept_local: Receipts::none(),
            swept_remote: Receipts::none(),
            held_in: Held::default(),
            releases: false,
            answers: 0,
            held_out: Held::default(),
            messages: bucket(settings.outflow.messages),
            bytes: bucket(settings.outflow.bytes),
            stale: beginning.stale,
            keep_alive: Duration::from_secs(settings.keep_alive.into()),
            sent: now,
            heard: now,
            pinged: None,
            paused: None,
            since: now,
            last_message: now,
            given_up: None,
            clock: now,
            end: None,
            settings,
            figures,
        };
        relay.memory.suspicion.begin();
        let password = beginning.password.as_ref().map(|it| it.as_slice());
        relay.connect_remote(password, beginning.says_bridge);
        relay
    }

    /// Whether a link to this server is needed now.
    pub fn needs_local(&self) -> bool {
        self.stage == Stage::NeedsLocal && self.end.is_none()
    }

    /// That link is there.
    pub fn handle_local_open(&mut self) {
        if self.stage == Stage::NeedsLocal {
            self.stage = Stage::ConnectLocal;
            self.connect_local();
        }
    }

    /// Bytes of a side.
    pub fn handle_bytes(&mut self, side: Side, bytes: &[u8], now: Time) {
        self.clock = now;
        if side == Side::Remote {
            self.heard = now;
            self.pinged = None;
        }
        let pipe = self.pipe(side);
        pipe.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut pipe.input);
        let used = self.take(side, &input, now);
        let pipe = self.pipe(side);
        pipe.input = input;
        pipe.input.drain(..used.min(pipe.input.len()));
        if self.stage == Stage::Open {
            self.memory.suspicion.open(now);
        }
        if !self.held_out.is_empty() {
            self.release_out(now);
        }
        if self.answers > MOST_ANSWERS || self.local.pending() > self.most_to_local() {
            self.finish(End::TooMuch);
        }
        self.pause(now);
        self.settle();
    }

    /// A link has ended.
    pub fn handle_closed(&mut self, side: Side, now: Time) {
        self.clock = now;
        self.finish(End::Closed(side));
    }

    /// What is to be written to a side.
    pub fn output(&self, side: Side) -> &[u8] {
        let pipe = match side {
            Side::Local => &self.local,
            Side::Remote => &self.remote,
        };
        pipe.output.get(pipe.written..).unwrap_or_default()
    }

    /// So many bytes of it were written.
    pub fn handle_written(&mut self, side: Side, count: usize, now: Time) {
        let pipe = self.pipe(side);
        pipe.written = pipe.written.saturating_add(count);
        if side == Side::Remote {
            self.sent = now;
            self.answers = self.answers.saturating_sub(count);
            let all = self.remote.pending() == 0;
            self.memory.suspicion.written(all, now);
        }
        let pipe = self.pipe(side);
        if pipe.written >= pipe.output.len() {
            pipe.output.clear();
            pipe.output.shrink_to(KEPT_OUTPUT);
            pipe.written = 0;
        } else if pipe.written > COMPACT_ABOVE {
            pipe.output.drain(..pipe.written);
            pipe.written = 0;
        }
        if side == Side::Local {
            self.release_in(now);
            self.pause(now);
        }
    }

    /// Notes when the other server is not read any more, and when it is again.
    fn pause(&mut self, now: Time) {
        match (self.wants(Side::Remote), self.paused) {
            (false, None) => self.paused = Some(now),
            (true, Some(_)) => {
                self.paused = None;
                self.heard = now;
                self.pinged = None;
            }
            _ => {}
        }
    }

    /// Whether a side is to be read from. The other server is not while it has sent far more than
    /// this one takes, which only servers without a window do (MQTT 3); this one is not while the
    /// other does not keep up, or a rate is to be kept.
    pub fn wants(&self, side: Side) -> bool {
        match side {
            // What this server needs to let the bridge in comes from the other one.
            Side::Remote => self.stage <= Stage::Subscribe || self.held_in.bytes < ENOUGH_HELD_IN,
            Side::Local => {
                self.remote.pending() < HIGH_WATER && self.held_out.bytes < MOST_HELD_OUT
            }
        }
    }

    /// The time of [`Relay::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.clock = now;
        self.release_out(now);
        if self.stage < Stage::Open && now.since(self.since) >= CONNECT_DEADLINE {
            return self.finish(End::Silent);
        }
        if let Some(paused) = self.paused {
            // It is not heard, and so cannot be silent. But it must not take for ever.
            if now.since(paused) >= LONGEST_PAUSE {
                self.finish(End::TooMuch);
            }
            return;
        }
        if self.keep_alive.is_zero() || self.stage == Stage::Connect {
            return;
        }
        if let Some(pinged) = self.pinged {
            if now.since(pinged) >= self.patience() {
                self.finish(End::Silent);
            }
        } else if now >= self.ping_at() {
            self.pinged = Some(now);
            self.write(Side::Remote, &Packet::PingReq);
        }
        self.settle();
    }

    /// When [`Relay::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Time) -> Option<Time> {
        let deadline = (self.stage < Stage::Open).then(|| self.since + CONNECT_DEADLINE);
        let alive = match self.pinged {
            _ if self.paused.is_some() => self.paused.map(|paused| paused + LONGEST_PAUSE),
            _ if self.keep_alive.is_zero() || self.stage == Stage::Connect => None,
            Some(pinged) => Some(pinged + self.patience()),
            None => Some(self.ping_at()),
        };
        let rate = match self.held_out.is_empty() {
            true => None,
            false => match self.gate(now) {
                Gate::Open => Some(now),
                Gate::Until(at) => Some(at),
                Gate::Shut => None,
            },
        };
        [deadline, alive, rate].into_iter().flatten().min()
    }

    /// Whether all goes both ways.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether the other server has let the bridge in.
    pub fn was_admitted(&self) -> bool {
        self.stage > Stage::Connect
    }

    /// When the last message went over.
    pub fn last_message(&self) -> Time {
        self.last_message
    }

    /// Whether nothing is on its way that has not been acknowledged.
    pub fn is_idle(&self) -> bool {
        self.outbound.len() == 0 && self.inbound.len() == 0 && self.held_out.is_empty()
    }

    /// Whether messages wait here until they may go out.
    pub fn holds_back(&self) -> bool {
        !self.held_out.is_empty()
    }

    /// A message that was given up, because the other server ends the connection whenever it comes.
    /// Told once.
    pub fn take_given_up(&mut self) -> Option<GivenUp> {
        self.given_up.take()
    }

    /// Why the relay is over; `None` if it is not.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Takes leave of both sides in good order.
    pub fn leave(&mut self) {
        self.say_state(b"0");
        for side in [Side::Remote, Side::Local] {
            let has_link = side == Side::Remote || self.stage > Stage::NeedsLocal;
            if has_link && self.stage > Stage::Connect {
                let bye = codec::Disconnect::new(ReasonCode::Success);
                self.write(side, &Packet::Disconnect(bye));
            }
        }
    }

    /// What the next relay should know.
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    fn take(&mut self, side: Side, input: &[u8], now: Time) -> usize {
        let mut used = 0_usize;
        while self.end.is_none() {
            let rest = input.get(used..).unwrap_or_default();
            match frame(rest, self.largest(side)) {
                Ok(Frame::Incomplete { .. }) => break,
                Ok(Frame::Complete { total_len, .. }) => {
                    let packet = rest.get(..total_len).unwrap_or_default();
                    self.handle_packet(side, packet, now);
                    used = used.saturating_add(total_len);
                }
                Err(error) => self.finish(End::Protocol(side, error.to_string())),
            }
        }
        used
    }

    /// A whole packet, with its header.
    fn handle_packet(&mut self, side: Side, bytes: &[u8], now: Time) {
        let (first_byte, body) = match frame(bytes, u32::MAX) {
            Ok(Frame::Complete {
                first_byte,
                header_len,
                ..
            }) => (first_byte, bytes.get(header_len..).unwrap_or_default()),
            _ => return,
        };
        match codec::decode(self.version(side), first_byte, body) {
            Ok(packet) => match side {
                Side::Local => self.handle_local(packet, bytes, now),
                Side::Remote => self.handle_remote(packet, bytes, now),
            },
            Err(error) => self.finish(End::Protocol(side, error.to_string())),
        }
    }

    fn version(&self, side: Side) -> ProtocolVersion {
        match side {
            Side::Local => ProtocolVersion::V5,
            Side::Remote => self.settings.version,
        }
    }

    /// Larger packets end the connection.
    fn largest(&self, side: Side) -> u32 {
        match side {
            Side::Local => u32::MAX,
            Side::Remote => self.settings.bounds.packet_size.max(LARGEST_FOREIGN),
        }
    }

    fn pipe(&mut self, side: Side) -> &mut Pipe {
        match side {
            Side::Local => &mut self.local,
            Side::Remote => &mut self.remote,
        }
    }

    /// Writes a packet of our own making, which has bounds.
    fn write(&mut self, side: Side, packet: &Packet<'_>) {
        let version = self.version(side);
        if let Err(error) = encode(packet, version, &mut self.pipe(side).output) {
            self.finish(End::Protocol(side, error.to_string()));
        }
    }

    fn acknowledge(&mut self, side: Side, make: fn(Ack<'static>) -> Packet<'static>, id: PacketId) {
        self.answer(side, &make(Ack::new(id, ReasonCode::Success)));
    }

    /// Passes an answer on, with its reason but not with its words.
    fn pass(&mut self, side: Side, make: fn(Ack<'static>) -> Packet<'static>, ack: &Ack<'_>) {
        self.answer(side, &make(Ack::new(ack.packet_id, ack.reason)));
    }

    /// Who sends without end and reads no answers is to fill no memory with them.
    fn answer(&mut self, side: Side, packet: &Packet<'_>) {
        let before = self.pipe(side).output.len();
        self.write(side, packet);
        if side == Side::Remote {
            let more = self.remote.output.len().saturating_sub(before);
            self.answers = self.answers.saturating_add(more);
        }
    }

    /// More than that waits for this server only if the other one sends what no server sends: a
    /// message is written while no more than [`MOST_TO_LOCAL`] waits.
    fn most_to_local(&self) -> usize {
        let largest = usize::try_from(self.local_packet_size).unwrap_or(usize::MAX);
        MOST_TO_LOCAL
            .saturating_add(largest)
            .saturating_add(MOST_ANSWERS)
    }

    fn drop_message(&self, why: Dropped) {
        self.figures.count_dropped(why);
    }

    fn finish(&mut self, end: End) {
        if self.end.is_none() {
            self.memory.suspicion.ended(&end, self.clock);
            self.end = Some(end);
        }
    }

    fn settle(&self) {
        self.figures
            .set_inflight(self.outbound.len(), self.inbound.len());
    }

    fn patience(&self) -> Duration {
        let half = self.keep_alive.checked_div(2).unwrap_or_default();
        half.max(SHORTEST_PATIENCE)
    }

    /// The other server must hear from us in time, and we from it.
    fn ping_at(&self) -> Time {
        let quiet = self.sent.min(self.heard);
        let early = self.keep_alive.mul_f32(0.8);
        quiet + early
    }
}

/// Above so many bytes that the other server has not taken, nothing is read from this one.
const HIGH_WATER: usize = 1024 * 1024;
/// Above so many bytes that this server has not taken, QoS 0 is dropped and the rest waits.
const MOST_TO_LOCAL: usize = 4 * 1024 * 1024;
/// Most bytes that wait for the rates to be kept.
const MOST_HELD_OUT: usize = 256 * 1024;
/// Most bytes of the other server that wait for this one.
const MOST_HELD_IN: usize = 16 * 1024 * 1024;
/// Above so many the other server is not read.
const ENOUGH_HELD_IN: usize = 8 * 1024 * 1024;
/// And not for longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most bytes of answers that a side does not read. One is 4 bytes, and nobody sends a quarter of a
/// million messages before reading the first.
const MOST_ANSWERS: usize = 1024 * 1024;
/// A packet of the other server that is larger than this server takes is read and dropped, if it is
/// no larger than this.
const LARGEST_FOREIGN: u32 = 16 * 1024 * 1024;
/// Memory that an output without bytes may keep.
const KEPT_OUTPUT: usize = 64 * 1024;
/// Written bytes above this are moved out of the way.
const COMPACT_ABOVE: usize = 256 * 1024;
/// Longest time from the link to the other server until all goes both ways.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);
/// No server is given less time to answer.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(2);
