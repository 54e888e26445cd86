//! In which order clients are listed.

/// In which order clients are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOrder {
    /// By what.
    pub by: ClientKey,
    /// The greatest first.
    pub is_descending: bool,
}

/// By what clients are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKey {
    /// Their identifiers.
    ClientId,
    /// When they connected; those that are away come first.
    ConnectedAt,
    /// Messages from them.
    Received,
    /// Messages to them.
    Sent,
    /// Messages that wait for them.
    Queued,
    /// Messages that their queues had no room for.
    Dropped,
}

impl ClientOrder {
    /// The order of this name; `-` before it turns it round.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, is_descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let by = match name {
            "clientid" => ClientKey::ClientId,
            "connected_at" => ClientKey::ConnectedAt,
            "recv_msg" => ClientKey::Received,
            "send_msg" => ClientKey::Sent,
            "mqueue_len" => ClientKey::Queued,
            "mqueue_dropped" => ClientKey::Dropped,
            _ => return None,
        };
        Some(Self { by, is_descending })
    }
}
