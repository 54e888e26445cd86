//! What stands in a chunk.

use super::Detail;
use super::body::{Body, Layout, Short};
use super::properties;

/// A chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The first one: numbers of the server that nobody else needs.
    Config,
    /// A message, which others name.
    Stored(Stored),
    /// That a client has to do with a message.
    ClientMessage(ClientMessage),
    /// That the message of this name is the retained one of its topic.
    Retained(u64),
    /// A subscription.
    Subscription(Subscription),
    /// A client that has a session.
    Client(Client),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name within the file.
    pub id: u64,
    /// When it expires, in seconds since 1970; `None`: never.
    pub expires: Option<u64>,
    /// Bytes of the payload.
    pub payload_length: u32,
    /// The client that published it; empty: the server.
    pub source: String,
    /// The name that this client gave; empty: none.
    pub source_user: String,
    /// The topic, with the mount point of the listener.
    pub topic: String,
    /// 0, 1 or 2, as published.
    pub qos: u8,
    /// As published.
    pub retain: bool,
    /// What stands behind the topic, if it was wanted.
    pub content: Option<Content>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The properties that a server passes on, as MQTT 5.0 encodes them, without their length.
    pub properties: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// A client that has a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: String,
    /// The name that it gave, checked or not; empty: none, or the version has none.
    pub user: String,
    /// Seconds that the session outlives its connection; all ones: for ever.
    pub expiry: u32,
    /// When the session ends, in seconds since 1970, if that was settled.
    pub ends: Option<u64>,
}

/// That a client has to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMessage {
    /// The client.
    pub client: String,
    /// The message; it may be missing where only its identifier still counts.
    pub message: u64,
    /// The packet identifier; 0: none.
    pub packet_id: u16,
    /// 0, 1 or 2, towards this client.
    pub qos: u8,
    /// How far it is.
    pub state: State,
    /// The retain bit of the packet.
    pub retain: bool,
    /// It was sent once at least.
    pub dup: bool,
    /// Which way it goes.
    pub direction: Direction,
    /// Identifiers of the subscriptions that matched.
    pub ids: Vec<u32>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    In,
    /// To the client.
    Out,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be sent as soon as there is room.
    Waits,
    /// To be sent, or to be sent again, next.
    Publishes,
    /// Sent; neither PUBACK nor PUBREC has come.
    Published,
    /// PUBREC has come, PUBCOMP has not.
    Released,
    /// It came, and PUBREL has not.
    Received,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Whose it is.
    pub client: String,
    /// The filter, with the mount point of the listener; `$share/name/filter` if it is shared.
    pub filter: String,
    /// The most that messages come with.
    pub qos: u8,
    /// What the client publishes itself does not come.
    pub no_local: bool,
    /// Messages keep their retain bit.
    pub retain_as_published: bool,
    /// 0, 1 or 2.
    pub retain_handling: u8,
    /// Its identifier; 0: none.
    pub id: u32,
}

/// Reads a body. `length` is that of the whole one, of which `body` may be the beginning.
pub(super) fn read(
    kind: u32,
    body: &[u8],
    length: usize,
    detail: Detail,
    layout: &mut Layout,
) -> Result<Chunk, &'static str> {
    let body = &mut Body(body);
    match kind {
        CONFIG => {
            layout.learn(length);
            Ok(Chunk::Config)
        }
        MESSAGE => stored(body, length, detail).map(Chunk::Stored),
        CLIENT_MESSAGE => client_message(body).map(Chunk::ClientMessage),
        RETAINED => match body.name() {
            Ok(message) => Ok(Chunk::Retained(message)),
            Err(Short) => Err("a retained message without a number"),
        },
        SUBSCRIPTION => subscription(body).map(Chunk::Subscription),
        CLIENT => client(body, layout).map(Chunk::Client),
        _ => Err("a chunk of an unknown kind"),
    }
}

fn stored(body: &mut Body<'_>, length: usize, detail: Detail) -> Result<Stored, &'static str> {
    const WRONG: &str = "a message with parts that are longer than it";
    let whole = body.0.len();
    let mut head = || -> Result<_, Short> {
        let (id, expires) = (body.name()?, body.time()?);
        let payload_length = body.long()?;
        body.short()?; // The publisher's packet identifier.
        let lengths = [body.short()?, body.short()?, body.short()?];
        body.short()?; // The port that it came by.
        let (qos, retain) = (body.byte()?, body.byte()? != 0);
        let [source, user, topic] = lengths.map(|length| body.take(usize::from(length)));
        let names = [source?, user?, topic?];
        Ok((id, expires, payload_length, qos, retain, names))
    };
    let (id, expires, payload_length, qos, retain, names) = head().map_err(|Short| WRONG)?;
    if qos > 2 {
        return Err("a message of a QoS that there is not");
    }
    let taken = whole.saturating_sub(body.0.len());
    let payload = usize::try_from(payload_length).unwrap_or(usize::MAX);
    if length.saturating_sub(taken) < payload {
        return Err(WRONG);
    }
    let content = match detail {
        Detail::Heads => None,
        Detail::Whole => {
            let payload = body.take(payload).map_err(|Short| WRONG)?.to_vec();
            let properties = properties::passed_on(body.0)?;
            Some(Content {
                properties,
                payload,
            })
        }
    };
    let [source, source_user, topic] = names.map(text);
    Ok(Stored {
        id,
        expires,
        payload_length,
        source: source?,
        source_user: source_user?,
        topic: topic?,
        qos,
        retain,
        content,
    })
}

fn client(body: &mut Body<'_>, layout: &Layout) -> Result<Client, &'static str> {
    let mut head = || -> Result<_, Short> {
        let (ends, expiry) = (body.time()?, body.long()?);
        body.short()?; // The packet identifier that was given last.
        let id_length = body.short()?;
        let user_length = match layout.version.has_users() {
            false => 0,
            true => {
                body.short()?; // The port that it came by.
                body.short()?
            }
        };
        body.take(layout.client_padding)?;
        let id = body.take(usize::from(id_length))?;
        Ok((ends, expiry, id, body.take(usize::from(user_length))?))
    };
    let (ends, expiry, id, user) =
        head().map_err(|Short| "a client with parts that are longer than it")?;
    Ok(Client {
        id: text(id)?,
        user: text(user)?,
        expiry,
        ends,
    })
}

fn client_message(body: &mut Body<'_>) -> Result<ClientMessage, &'static str> {
    let mut head = || -> Result<_, Short> {
        let (message, packet_id, length) = (body.name()?, body.short()?, body.short()?);
        let (qos, state, flags) = (body.byte()?, body.byte()?, body.byte()?);
        let direction = body.byte()?;
        let client = body.take(usize::from(length))?;
        Ok((message, packet_id, qos, state, flags, direction, client))
    };
    let (message, packet_id, qos, state, flags, direction, client) =
        head().map_err(|Short| "a delivery with parts that are longer than it")?;
    let direction = match direction {
        0 => Direction::In,
        1 => Direction::Out,
        _ => return Err("a delivery of an unknown direction"),
    };
    // The states by their numbers: 1 to 3 publish, 4 and 5 publish at QoS 2, 6 and 9 release, 7, 8
    // and 10 are those of a receiver, 11 waits.
    let state = match (direction, state) {
        (Direction::Out, 1 | 2 | 4) => State::Publishes,
        (Direction::Out, 3 | 5) => State::Published,
        (Direction::Out, 6 | 9) => State::Released,
        (Direction::In, 4 | 5 | 7 | 8 | 10 | 11) => State::Received,
        (Direction::Out, 11) => State::Waits,
        _ => return Err("a delivery in a state that it cannot be in"),
    };
    if qos > 2 {
        return Err("a delivery of a QoS that there is not");
    }
    Ok(ClientMessage {
        client: text(client)?,
        message,
        packet_id,
        qos,
        state,
        retain: flags >> 4 != 0,
        dup: flags & 0x0f != 0,
        direction,
        ids: properties::identifiers(body.0)?,
    })
}

fn subscription(body: &mut Body<'_>) -> Result<Subscription, &'static str> {
    let mut head = || -> Result<_, Short> {
        let (id, client, filter) = (body.long()?, body.short()?, body.short()?);
        let (qos, options) = (body.byte()?, body.byte()?);
        body.take(2)?; // To a multiple of four.
        let client = body.take(usize::from(client))?;
        Ok((id, client, body.take(usize::from(filter))?, qos, options))
    };
    let (id, client, filter, qos, options) =
        head().map_err(|Short| "a subscription with parts that are longer than it")?;
    let retain_handling = options >> 4 & 3;
    if qos > 2 || retain_handling > 2 {
        return Err("a subscription with options that there are not");
    }
    Ok(Subscription {
        client: text(client)?,
        filter: text(filter)?,
        qos,
        no_local: options & 0x04 != 0,
        retain_as_published: options & 0x08 != 0,
        retain_handling,
        id,
    })
}

fn text(bytes: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a name that is not UTF-8")?;
    Ok(text.to_owned())
}

const CONFIG: u32 = 1;
pub(super) const MESSAGE: u32 = 2;
const CLIENT_MESSAGE: u32 = 3;
const RETAINED: u32 = 4;
const SUBSCRIPTION: u32 = 5;
const CLIENT: u32 = 6;
