//! Enhanced authentication (MQTT 5.0, 4.12): a conversation of AUTH packets.

use types::ReasonCode;

use crate::Identity;

/// What an exchange says to one message of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this and wait for the answer (MQTT-4.12.0-2).
    Continue(Vec<u8>),
    /// The client is who it says; send this along.
    Done {
        /// Authentication data of CONNACK, or of the AUTH that ends a re-authentication.
        data: Option<Vec<u8>>,
        /// Who the client is.
        identity: Identity,
    },
    /// The client is not let in (MQTT-4.12.0-4).
    Failed(ReasonCode),
}

/// A method of enhanced authentication, named by the Authentication Method property.
pub trait Mechanism: Send + Sync {
    /// The method's name.
    fn name(&self) -> &str;

    /// Begins a conversation with a client.
    fn begin(&self, client_id: &str) -> Box<dyn Exchange>;
}

/// One conversation.
pub trait Exchange: Send {
    /// Takes the client's authentication data; empty if it sent none.
    fn step(&mut self, data: &[u8]) -> Step;
}
