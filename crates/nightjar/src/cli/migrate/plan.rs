//! What a database holds, and what becomes of it.
//!
//! The file is walked several times, so that memory holds names and numbers of messages, never
//! their payloads.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Seek};

use mosquitto::db::{
    Chunk, Client, ClientMessage, Database, Detail, Direction, Found, State, Stored,
};
use types::{ClientId, MessageRef, PacketId, TopicName};

/// Whose the sessions become.
pub(super) trait Owners {
    /// The user that a session belongs to; `None`: nobody in particular.
    fn owner(&self, client: &str, user: &str) -> Option<String>;
}

/// All that is to be written, but for what stands in the messages themselves.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Session n is the one at n - 1.
    pub(super) sessions: Vec<Session>,
    by_client: HashMap<Box<str>, usize>,
    /// Sessions that end with their connections are not in `sessions`.
    ended: HashSet<Box<str>>,
    pub(super) messages: HashMap<u64, Named>,
    /// Messages of the server itself, which this one says anew.
    system: HashSet<u64>,
    /// The names of retained messages.
    pub(super) retained: HashSet<u64>,
    pub(super) inbound: Vec<Inbound>,
    pub(super) losses: Losses,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: ClientId,
    pub(super) user: Option<String>,
    /// Milliseconds; `None`: for ever.
    pub(super) expiry: Option<u64>,
    /// Milliseconds since 1970; `None`: never.
    pub(super) ends: Option<u64>,
    /// How many deliveries there are at most.
    pub(super) deliveries: u64,
    /// Identifiers of messages that it has not released.
    pub(super) received: Vec<PacketId>,
}

/// A message, by the name that the store gives it.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) reference: MessageRef,
    pub(super) is_needed: bool,
}

/// A message of QoS 2 that came, and that its client has not released.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The place of the session.
    pub(super) session: usize,
    pub(super) message: u64,
}

/// What cannot be brought along.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Chunks that make no sense.
    pub(super) odd: u64,
    /// The first of them: where, and why.
    pub(super) first_odd: Option<(u64, &'static str)>,
    /// Where the file ends too early.
    pub(super) end: Option<Stop>,
    /// Deliveries and retained messages whose messages are not in the file.
    pub(super) missing: u64,
    /// Deliveries and subscriptions of clients that are not in the file.
    pub(super) orphans: u64,
    /// Sessions that end with their connections.
    pub(super) ended: u64,
    /// Messages of QoS 0 that waited.
    pub(super) qos0: u64,
}

/// Where the rest of a file is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It is cut off.
    Cut(u64),
    /// It is damaged.
    Damaged(u64),
}

impl Losses {
    /// Whether something is gone that Mosquitto would have kept.
    pub(super) fn are_grave(&self) -> bool {
        self.odd > 0 || self.end.is_some() || self.missing > 0 || self.orphans > 0
    }

    pub(super) fn odd(&mut self, at: u64, why: &'static str) {
        self.odd = self.odd.saturating_add(1);
        self.first_odd.get_or_insert((at, why));
    }
}

/// What becomes of a message that a client has to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is owed; it was sent with this identifier, if there is one.
    Owed(Option<PacketId>),
    /// Only the end of its exchange is owed.
    Released(PacketId),
    /// It came from the client, and this identifier is taken.
    Received(PacketId),
    /// It waited at QoS 0, which nobody promised.
    QosZero,
    /// There is no such thing.
    Odd,
}

/// What becomes of it.
pub(super) fn fate(message: &ClientMessage) -> Fate {
    let id = PacketId::new(message.packet_id);
    match (message.direction, message.qos, message.state) {
        (Direction::In, 2, State::Received) => id.map_or(Fate::Odd, Fate::Received),
        (Direction::In, ..) => Fate::Odd,
        (Direction::Out, 0, _) => Fate::QosZero,
        (Direction::Out, 2, State::Released) => id.map_or(Fate::Odd, Fate::Released),
        (Direction::Out, _, State::Published) => Fate::Owed(id),
        (Direction::Out, _, State::Publishes) if message.dup => Fate::Owed(id),
        // Mosquitto gives identifiers to messages that wait; nobody has heard of them.
        (Direction::Out, _, State::Publishes | State::Waits) => Fate::Owed(None),
        (Direction::Out, ..) => Fate::Odd,
    }
}

/// Walks a database from its beginning; what makes no sense is passed over.
///
/// # Errors
/// Those of the system, and of `visit`.
pub(super) fn walk<R: Read + Seek>(
    database: &mut Database<R>,
    detail: Detail,
    visit: &mut dyn FnMut(u64, Found) -> io::Result<()>,
) -> io::Result<Option<Stop>> {
    database.rewind()?;
    loop {
        match database.next_chunk(detail)? {
            Found::End => return Ok(None),
            Found::Cut(at) => return Ok(Some(Stop::Cut(at))),
            Found::Damaged(at) => return Ok(Some(Stop::Damaged(at))),
            Found::Odd(at, why) => visit(at, Found::Odd(at, why))?,
            Found::Chunk(at, chunk) => visit(at, Found::Chunk(at, chunk))?,
        }
    }
}

impl Plan {
    /// Looks at a database. `now` is the time, `written` that of the file, both in milliseconds
    /// since 1970: messages are taken to have come when the file was written, because it does not
    /// say when they did.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn make<R: Read + Seek>(
        database: &mut Database<R>,
        owners: &dyn Owners,
        now: u64,
        written: u64,
    ) -> io::Result<Self> {
        let mut plan = Self::default();
        let mut order = Vec::new();
        plan.losses.end = walk(database, Detail::Heads, &mut |at, found| {
            match found {
                Found::Odd(at, why) => plan.losses.odd(at, why),
                Found::Chunk(_, Chunk::Client(client)) => plan.client(at, &client, owners, now),
                Found::Chunk(_, Chunk::Stored(stored)) if plan.names(at, &stored) => {
                    order.push(stored.id);
                }
                _ => {}
            }
            Ok(())
        })?;
        // The file has the newest first; their numbers grow as they came.
        order.sort_unstable();
        plan.give_names(&order, written.min(now));
        walk(database, Detail::Heads, &mut |at, found| {
            match found {
                Found::Chunk(_, Chunk::ClientMessage(message)) => plan.message(at, &message),
                Found::Chunk(_, Chunk::Retained(message)) if plan.needs(message) => {
                    plan.retained.insert(message);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(plan)
    }

    /// The place of a client's session. Of a client that is not in the file it is a loss.
    pub(super) fn place(&mut self, client: &str) -> Option<usize> {
        let found = self.by_client.get(client).copied();
        if found.is_none() && !self.ended.contains(client) {
            self.losses.orphans = self.losses.orphans.saturating_add(1);
        }
        found
    }

    /// As [`Plan::place`], when all losses are known.
    pub(super) fn known(&self, client: &str) -> Option<usize> {
        self.by_client.get(client).copied()
    }

    fn client(&mut self, at: u64, client: &Client, owners: &dyn Owners, now: u64) {
        let Some(id) = ClientId::new(&client.id) else {
            return self.losses.odd(at, "a client without an identifier");
        };
        // MQTT 5.0, 3.1.2.11.2: zero ends with the connection, all ones never.
        if client.expiry == 0 {
            self.losses.ended = self.losses.ended.saturating_add(1);
            self.ended.insert(client.id.as_str().into());
            return;
        }
        if self.by_client.contains_key(client.id.as_str()) {
            return self.losses.odd(at, "a second session of a client");
        }
        let expiry = (client.expiry != u32::MAX).then(|| u64::from(client.expiry) * 1000);
        let ends = expiry.map(|expiry| {
            let settled = client.ends.map(|seconds| seconds.saturating_mul(1000));
            settled.unwrap_or_else(|| now.saturating_add(expiry))
        });
        self.by_client
            .insert(client.id.as_str().into(), self.sessions.len());
        self.sessions.push(Session {
            client: id,
            user: owners.owner(&client.id, &client.user),
            expiry,
            ends,
            deliveries: 0,
            received: Vec::new(),
        });
    }

    /// Whether a message can be brought along, as far as its head tells.
    fn names(&mut self, at: u64, stored: &Stored) -> bool {
        if stored.topic.starts_with("$SYS/") {
            self.system.insert(stored.id);
            return false;
        }
        if TopicName::parse(&stored.topic, u16::MAX).is_err() {
            self.losses.odd(at, "a message with a topic that is none");
            return false;
        }
        let named = Named {
            reference: MessageRef(0),
            is_needed: false,
        };
        let is_new = self.messages.insert(stored.id, named).is_none();
        if !is_new {
            self.losses.odd(at, "a second message of one name");
        }
        is_new
    }

    fn give_names(&mut self, order: &[u64], written: u64) {
        let count = u64::try_from(order.len()).unwrap_or(u64::MAX);
        let before = (count >> MessageRef::COUNT_BITS).saturating_add(1);
        let first = written.saturating_sub(before).max(1) << MessageRef::COUNT_BITS;
        for (message, reference) in order.iter().zip(first.saturating_add(1)..) {
            if let Some(named) = self.messages.get_mut(message) {
                named.reference = MessageRef(reference);
            }
        }
    }

    fn message(&mut self, at: u64, message: &ClientMessage) {
        let fate = fate(message);
        if fate == Fate::Odd {
            return self
                .losses
                .odd(at, "a delivery in a state that it cannot be in");
        }
        let Some(place) = self.place(&message.client) else {
            return;
        };
        match fate {
            Fate::Owed(_) if !self.needs(message.message) => return,
            Fate::Owed(_) | Fate::Released(_) => {}
            Fate::Received(id) => return self.received(place, id, message.message),
            Fate::QosZero => {
                self.losses.qos0 = self.losses.qos0.saturating_add(1);
                return;
            }
            Fate::Odd => return,
        }
        self.owes(place);
    }

    fn received(&mut self, place: usize, id: PacketId, message: u64) {
        let Some(session) = self.sessions.get_mut(place) else {
            return;
        };
        if session.received.contains(&id) {
            return;
        }
        session.received.push(id);
        match self.messages.contains_key(&message) {
            true => self.inbound.push(Inbound {
                session: place,
                message,
            }),
            false => self.losses.missing = self.losses.missing.saturating_add(1),
        }
    }

    /// One delivery more.
    pub(super) fn owes(&mut self, place: usize) {
        if let Some(session) = self.sessions.get_mut(place) {
            session.deliveries = session.deliveries.saturating_add(1);
        }
    }

    /// Somebody needs a message; false, and a loss, if it is not there.
    pub(super) fn needs(&mut self, message: u64) -> bool {
        match self.messages.get_mut(&message) {
            Some(named) => named.is_needed = true,
            None if self.system.contains(&message) => {}
            None => self.losses.missing = self.losses.missing.saturating_add(1),
        }
        self.messages.contains_key(&message)
    }
}
