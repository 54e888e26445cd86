//! Who wants something.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use types::Certificate;

use crate::Identity;
use crate::rules::Rules;

/// Who wants something: all that a rule can ask about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Whom authentication established.
    pub identity: &'a Identity,
    /// The client identifier.
    pub client_id: &'a str,
    /// What came with the identity.
    pub grant: Option<&'a Grant>,
    /// Where the client is connected from; `None` for a local socket, and for a client that is away.
    pub address: Option<IpAddr>,
    /// What its certificate says, if it showed one.
    pub certificate: Option<&'a Certificate>,
    /// The listener that it came by; `None` for a client that is away.
    pub listener: Option<u16>,
}

/// What an authentication gives besides the identity. Most give nothing, and then there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grant {
    /// Groups that the back end says the user is in, beside those that this server knows.
    pub groups: Vec<Arc<str>>,
    /// May do everything that is not the server's own.
    pub superuser: bool,
    /// Rules that hold for this client alone, before all others.
    pub rules: Option<Arc<Rules>>,
    /// How long all this holds, from the answer on: then the client is disconnected with 0x87,
    /// unless it authenticates again (S67). `None`: as long as the connection.
    pub valid_for: Option<Duration>,
    /// After how long groups and rules are asked for again, because the back end may have changed
    /// them. `None`: they are not.
    pub refresh_after: Option<Duration>,
    /// The name of the provider that gave it, which is the one to ask again.
    pub provider: Option<Arc<str>>,
    /// A mark of the credential that the client came in with: where that has another mark later, the
    /// client has to go. `None`: nothing is known of it.
    pub credential: Option<u64>,
    /// The policy says the same of the user ([`crate::rulebook::Members`]), also later, when the
    /// client is gone (S47).
    pub is_known: bool,
}

impl Grant {
    /// Whether it lets its client do something that the policy knows nothing of.
    pub fn adds_rights(&self) -> bool {
        !self.is_known && (self.superuser || self.rules.is_some() || !self.groups.is_empty())
    }
}
