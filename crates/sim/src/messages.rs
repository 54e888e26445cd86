//! Every message of a run by its number, which its payload begins with.

use types::QoS;

/// A message that some client sends, or leaves as its will.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The client.
    pub client: usize,
    /// The topic.
    pub topic: &'static str,
    /// The QoS.
    pub qos: QoS,
    /// The retain flag.
    pub retain: bool,
    /// Message Expiry Interval in seconds.
    pub expiry: Option<u32>,
    /// The payload.
    pub payload: Vec<u8>,
}

/// All messages of a run.
#[derive(Debug, Default)]
pub struct Messages {
    all: Vec<Sent>,
}

/// A message's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub usize);

impl Messages {
    /// Adds a message and gives it a payload of at least `size` bytes.
    pub fn add(&mut self, mut sent: Sent, size: usize) -> MessageId {
        let id = self.all.len();
        let mut payload = format!("m{id}-").into_bytes();
        payload.resize(size.max(payload.len()), b'x');
        sent.payload = payload;
        self.all.push(sent);
        MessageId(id)
    }

    /// The message with this number.
    pub fn at(&self, id: MessageId) -> &Sent {
        &self.all[id.0]
    }

    /// The message with this payload, to the byte.
    pub fn find(&self, payload: &[u8]) -> Option<MessageId> {
        let digits: Vec<u8> = payload
            .iter()
            .skip(1)
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        let id: usize = String::from_utf8(digits).ok()?.parse().ok()?;
        let known = self.all.get(id)?;
        (known.payload == payload).then_some(MessageId(id))
    }
}
