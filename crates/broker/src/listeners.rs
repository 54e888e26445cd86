//! What holds for the links of one listener.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auth::rules::Network;
use types::limits::Rate;
use types::{Peer, TopicName};

use crate::event::CloseReason;
use crate::rates::{Bucket, Pair};

/// What holds for the links of one listener, beside the limits of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerRules {
    /// Its name, for people.
    pub name: Arc<str>,
    /// When it is known who is at the other end.
    pub knows: Knows,
    /// Who may connect; nobody in it is everybody.
    pub allow: Vec<Network>,
    /// Who may not, even if allowed.
    pub deny: Vec<Network>,
    /// Most connections at once. More: closed at accept. Zero: no bound of its own.
    pub connections: usize,
    /// New connections. Above: they wait to be read from, in the order in which they came; who
    /// would wait for longer than `limits.connect_deadline` is closed at accept.
    pub connection_rate: Option<Rate>,
    /// PUBLISH packets of all its clients. Above: nothing is read from who sent more until the
    /// rate is kept.
    pub message_rate: Option<Rate>,
    /// Bytes of all its clients. Above: the same.
    pub byte_rate: Option<Rate>,
    /// What stands before each topic and filter of its clients.
    pub mount: Option<Mount>,
}

/// When it is known who is at the other end of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Knows {
    /// When the link is accepted.
    #[default]
    AtAccept,
    /// When a proxy has said it.
    FromProxy,
}

/// What stands before all topics of a listener's clients, which do not see it.
///
/// It is put before the topics of PUBLISH and wills and before filters, behind `$share/name/`, and
/// taken off topics on their way to the client. Rules, retained messages, counts and logs know
/// topics with it. Topics and filters that begin with `$` are refused: the server's own are not
/// within a mount. A message outside of it, by a subscription that was made by another listener, is
/// not delivered. Response Topics stay as they are: a client of the same mount understands them
/// (Mosquitto's `mount_point` does the same).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount(Arc<str>);

impl Mount {
    /// `None` if it is empty, begins with `$`, or is no topic.
    pub fn new(prefix: &str) -> Option<Self> {
        let topic = TopicName::parse(prefix, u16::MAX).ok()?;
        (!topic.is_reserved()).then(|| Self(prefix.into()))
    }

    /// A topic or filter of a client, as the server knows it; `None` if it begins with `$`.
    pub fn mounted(&self, text: &str) -> Option<String> {
        (!text.starts_with('$')).then(|| [&self.0, text].concat())
    }

    /// Whether a topic that the server knows is this one of the client.
    pub(crate) fn is(&self, known: &str, text: &str) -> bool {
        self.taken_off(known) == Some(text)
    }

    /// A topic or filter as the client knows it; `None` if it is outside.
    #[inline]
    pub(crate) fn taken_off<'t>(&self, known: &'t str) -> Option<&'t str> {
        known.strip_prefix(&*self.0).filter(|rest| !rest.is_empty())
    }
}

/// A listener at work.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) rules: ListenerRules,
    /// The same number for what the listener was before a reload, and is after it.
    connections: Arc<AtomicUsize>,
    pub(crate) connection_rate: Option<Bucket>,
    pub(crate) rates: Option<Pair>,
}

impl Listener {
    pub(crate) fn new(rules: ListenerRules) -> Self {
        Self {
            connections: Arc::default(),
            connection_rate: rules.connection_rate.map(Bucket::new),
            rates: Pair::new(rules.message_rate, rules.byte_rate),
            rules,
        }
    }

    /// The same listener by other rules. Rates that stay go on where they were.
    pub(crate) fn with_rules(before: &Arc<Self>, rules: ListenerRules) -> Arc<Self> {
        if before.rules == rules {
            return Arc::clone(before);
        }
        let mut listener = Self::new(rules);
        listener.connections = Arc::clone(&before.connections);
        Arc::new(listener)
    }

    /// One more connection, if there is room for it.
    pub(crate) fn enter(&self) -> Result<(), CloseReason> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        if self.rules.connections > 0 && before >= self.rules.connections {
            self.leave();
            return Err(CloseReason::ConnectionLimit);
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// One less.
    pub(crate) fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether somebody may connect from there. A process of this machine has no address.
    pub(crate) fn lets_in(&self, peer: Peer) -> bool {
        peer.ip()
            .is_none_or(|address| self.lets_address_in(address))
    }

    fn lets_address_in(&self, address: IpAddr) -> bool {
        let rules = &self.rules;
        let is_in = |networks: &[Network]| networks.iter().any(|one| one.contains(address));
        !is_in(&rules.deny) && (rules.allow.is_empty() || is_in(&rules.allow))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_a_topic_and_comes_off_again() {
        for text in ["", "$SYS/", "a/+/", "#", "\0"] {
            assert_eq!(Mount::new(text), None, "{text}");
        }
        let mount = Mount::new("tenant/").unwrap();
        assert_eq!(mount.mounted("a/+").as_deref(), Some("tenant/a/+"));
        assert_eq!(mount.mounted("$SYS/a"), None);
        assert_eq!(mount.taken_off("tenant/a"), Some("a"));
        assert!(mount.is("tenant/a", "a") && !mount.is("tenant/a", "b"));
        for text in ["tenant", "tenant/", "tenant2/a", "a"] {
            assert_eq!(mount.taken_off(text), None, "{text}");
        }
    }

    #[test]
    fn denied_networks_come_before_allowed_ones() {
        let network = |text| Network::parse(text).unwrap();
        let listener = Listener::new(ListenerRules {
            allow: vec![network("10.0.0.0/8"), network("::1")],
            deny: vec![network("10.1.0.0/16")],
            ..ListenerRules::default()
        });
        let lets_in = |text: &str| listener.lets_in(Peer::Net(text.parse().unwrap()));
        assert!(lets_in("10.2.0.1:1") && lets_in("[::1]:1"));
        assert!(!lets_in("10.1.0.1:1") && !lets_in("11.0.0.1:1"));
        assert!(listener.lets_in(Peer::Local(None)));
    }
}
