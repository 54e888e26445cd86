//! The questions that the broker asks at its doors.

use std::net::SocketAddr;

use types::{ReasonCode, TopicFilter, TopicName};

use crate::Identity;

/// What a client shows at the door.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// The client identifier; empty if the server is to assign one.
    pub client_id: &'a str,
    /// The user name.
    pub username: Option<&'a str>,
    /// The password. Never logged.
    pub password: Option<&'a [u8]>,
    /// Where the client connects from.
    pub peer: SocketAddr,
}

/// What a client wants to do with a topic.
#[derive(Clone, Copy, Debug)]
pub enum Access<'a> {
    /// Publish to it, directly or as a will.
    Publish(TopicName<'a>),
    /// Subscribe to it, alone or in a group.
    Subscribe(&'a TopicFilter),
}

/// Answers on the spot. One policy serves all workers.
pub trait Policy: Send + Sync {
    /// Whether the client may come in, and as whom. The error goes into CONNACK.
    fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Identity, ReasonCode>;

    /// Whether the client may do it. Asked on the resolved topic at each door.
    fn allows(&self, who: &Identity, client_id: &str, access: Access<'_>) -> bool;
}

/// The policy of a server without configuration, which listens on loopback only: everybody
/// may come in and do everything, except publish under `$`, which is the server's own
/// (C35, S51).
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Policy for Open {
    fn authenticate(&self, _: &Credentials<'_>) -> Result<Identity, ReasonCode> {
        Ok(Identity::Anonymous)
    }

    fn allows(&self, _: &Identity, _: &str, access: Access<'_>) -> bool {
        match access {
            Access::Publish(topic) => !topic.is_reserved(),
            Access::Subscribe(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s51_topics_of_the_server_are_not_for_clients() {
        let may = |text| {
            let topic = TopicName::parse(text, 128).unwrap();
            Open.allows(&Identity::Anonymous, "c", Access::Publish(topic))
        };
        assert!(may("a/$SYS"));
        assert!(!may("$SYS/broker/version"));
        assert!(!may("$share/g/t"));
        assert!(!may("$unknown/t"));
    }
}
