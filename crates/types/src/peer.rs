//! Who is at the other end of a link.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a link, after a trusted proxy has said for whom it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// An address of the network. IPv4 also if it came by an IPv6 listener.
    Net(SocketAddr),
    /// A process of this machine, by a Unix socket: the user that runs it, where the system
    /// tells.
    Local(Option<u32>),
}

impl Peer {
    /// The address, for rules on addresses; none for a process of this machine.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Net(address) => Some(address.ip()),
            Self::Local(_) => None,
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Net(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(address) => address.fmt(f),
            Self::Local(Some(user)) => write!(f, "local user {user}"),
            Self::Local(None) => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_is_one_however_it_came() {
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:1883".parse().unwrap();
        let peer = Peer::from(mapped);
        assert_eq!(peer.to_string(), "10.0.0.1:1883");
        assert_eq!(peer.ip(), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(Peer::Local(Some(1000)).to_string(), "local user 1000");
        assert_eq!(Peer::Local(None).ip(), None);
    }
}
