//! A `mosquitto.db` for tests, byte by byte, as Mosquitto on a machine with little-endian numbers
//! writes it.

/// A file that is being written.
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    version: u32,
}

/// A message.
#[derive(Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) id: u64,
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) expires: u64,
    /// With their length before them; empty: none.
    pub(crate) properties: &'a [u8],
    pub(crate) source: [&'a str; 2],
}

impl Default for Message<'_> {
    fn default() -> Self {
        Self {
            id: 1,
            topic: "a/b",
            payload: b"x",
            qos: 1,
            retain: false,
            expires: 0,
            properties: &[],
            source: ["source", "user"],
        }
    }
}

impl Writer {
    /// One of this version, with its first chunk.
    pub(crate) fn new(version: u32) -> Self {
        let mut bytes = b"\x00\xb5\x00mosquitto db\0\0\0\0".to_vec();
        bytes.extend(version.to_be_bytes());
        let mut writer = Self { bytes, version };
        let mut body = 77_u64.to_le_bytes().to_vec();
        body.extend([1, 8, 0, 0, 0, 0, 0, 0]);
        writer.chunk(1, &body);
        writer
    }

    pub(crate) fn chunk(&mut self, kind: u32, body: &[u8]) {
        self.bytes.extend(kind.to_be_bytes());
        let length = u32::try_from(body.len()).unwrap();
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(body);
    }

    pub(crate) fn message(&mut self, message: &Message<'_>) {
        let mut body = message.id.to_le_bytes().to_vec();
        body.extend(message.expires.to_le_bytes());
        body.extend(u32::try_from(message.payload.len()).unwrap().to_be_bytes());
        body.extend(5_u16.to_be_bytes());
        for text in [message.source[0], message.source[1], message.topic] {
            body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        }
        body.extend(1883_u16.to_be_bytes());
        body.extend([message.qos, u8::from(message.retain)]);
        body.extend(message.source.concat().bytes());
        body.extend(message.topic.bytes());
        body.extend(message.payload);
        body.extend(message.properties);
        self.chunk(2, &body);
    }

    /// `state` as the file has it, by number; `flags` are the retain bit and, below, dup.
    pub(crate) fn delivery(
        &mut self,
        client: &str,
        message: u64,
        packet_id: u16,
        [qos, state, flags, direction]: [u8; 4],
        properties: &[u8],
    ) {
        let mut body = message.to_le_bytes().to_vec();
        body.extend(packet_id.to_be_bytes());
        body.extend(u16::try_from(client.len()).unwrap().to_be_bytes());
        body.extend([qos, state, flags, direction]);
        body.extend(client.bytes());
        body.extend(properties);
        self.chunk(3, &body);
    }

    pub(crate) fn retained(&mut self, message: u64) {
        self.chunk(4, &message.to_le_bytes());
    }

    pub(crate) fn subscription(
        &mut self,
        client: &str,
        filter: &str,
        [qos, options]: [u8; 2],
        id: u32,
    ) {
        let mut body = id.to_be_bytes().to_vec();
        for text in [client, filter] {
            body.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        }
        body.extend([qos, options, 0, 0]);
        body.extend(client.bytes());
        body.extend(filter.bytes());
        self.chunk(5, &body);
    }

    /// `ends` in seconds, 0 if it is not settled.
    pub(crate) fn client(&mut self, id: &str, user: &str, expiry: u32, ends: u64) {
        let mut body = ends.to_le_bytes().to_vec();
        body.extend(expiry.to_be_bytes());
        body.extend(9_u16.to_be_bytes());
        body.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        if self.version > 5 {
            body.extend(1883_u16.to_be_bytes());
            body.extend(u16::try_from(user.len()).unwrap().to_be_bytes());
            body.extend([0; 4]);
        }
        body.extend(id.bytes());
        if self.version > 5 {
            body.extend(user.bytes());
        }
        self.chunk(6, &body);
    }
}
