//! Who is not let in.

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::rules::Network;
use crate::{Ban, BanOn};

/// Whom a ban names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Banned {
    /// A client identifier; `*` at its end stands for the rest.
    Client(Arc<str>),
    /// A user.
    User(Arc<str>),
    /// An address or a network.
    Network(Network),
}

/// Bans. When one ends is known to who makes them: it is then not among them any more. Asking
/// costs the same however many there are.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    clients: HashSet<Arc<str>, FixedState>,
    beginnings: HashSet<Arc<str>, FixedState>,
    /// How long beginnings are, in bytes.
    lengths: BTreeSet<usize>,
    users: HashSet<Arc<str>, FixedState>,
    networks: HashSet<Network, FixedState>,
    /// How many bits count in networks.
    prefixes: BTreeSet<u8>,
}

impl Bans {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
            && self.beginnings.is_empty()
            && self.users.is_empty()
            && self.networks.is_empty()
    }

    /// Adds one.
    pub fn insert(&mut self, banned: Banned) {
        match banned {
            Banned::Client(name) => match name.strip_suffix('*') {
                Some(beginning) => {
                    self.lengths.insert(beginning.len());
                    self.beginnings.insert(beginning.into());
                }
                None => {
                    self.clients.insert(name);
                }
            },
            Banned::User(name) => {
                self.users.insert(name);
            }
            Banned::Network(network) => {
                self.prefixes.insert(network.prefix());
                self.networks.insert(network);
            }
        }
    }

    /// What keeps this client out: the client identifier is looked at first, then the user, then
    /// the address.
    pub fn find(
        &self,
        client_id: &str,
        user: Option<&str>,
        address: Option<IpAddr>,
    ) -> Option<Ban> {
        let begins = |&length: &usize| {
            let beginning = client_id.get(..length);
            beginning.is_some_and(|beginning| self.beginnings.contains(beginning))
        };
        let is_in = |address: IpAddr| {
            let mut sizes = self.prefixes.iter();
            sizes.any(|&bits| self.networks.contains(&Network::around(address, bits)))
        };
        let on = if self.clients.contains(client_id) || self.lengths.iter().any(begins) {
            BanOn::Client
        } else if user.is_some_and(|user| self.users.contains(user)) {
            BanOn::User
        } else if address.is_some_and(is_in) {
            BanOn::Address
        } else {
            return None;
        };
        Some(Ban { on })
    }
}

impl FromIterator<Banned> for Bans {
    fn from_iter<I: IntoIterator<Item = Banned>>(all: I) -> Self {
        let mut bans = Self::default();
        for banned in all {
            bans.insert(banned);
        }
        bans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s55_bans_name_clients_users_and_addresses() {
        let network = |text| Banned::Network(Network::parse(text).unwrap());
        let bans: Bans = [
            Banned::Client("evil".into()),
            Banned::Client("é-*".into()),
            Banned::Client("bot-*".into()),
            Banned::User("mallory".into()),
            network("10.0.0.0/8"),
            network("192.168.1.7"),
            network("2001:db8::/32"),
        ]
        .into_iter()
        .collect();
        let find = |client: &str, user: Option<&str>, address: &str| {
            let address = address.parse().unwrap();
            bans.find(client, user, Some(address)).map(|ban| ban.on)
        };
        assert_eq!(find("good", Some("alice"), "11.0.0.1"), None);
        assert_eq!(find("good", None, "::1"), None);
        for client in ["evil", "bot-", "bot-7", "é-x"] {
            assert_eq!(
                find(client, None, "11.0.0.1"),
                Some(BanOn::Client),
                "{client}"
            );
        }
        for client in ["evil2", "EVIL", "bot", "*", "éé", ""] {
            assert_eq!(find(client, None, "11.0.0.1"), None, "{client}");
        }
        assert_eq!(find("c", Some("mallory"), "10.0.0.1"), Some(BanOn::User));
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "192.168.1.7", "2001:db8::9"] {
            assert_eq!(find("c", None, address), Some(BanOn::Address), "{address}");
        }
        assert_eq!(find("c", None, "192.168.1.8"), None);
        assert_eq!(bans.find("c", None, None), None);
    }
}
