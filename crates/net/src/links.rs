//! The links of a worker.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6};

use socket2::Socket;
use types::{Arrival, ConnId, LinkInfo, Peer, Time};

use crate::poller::{Interest, Poller, Token};
use crate::transport::Transport;

/// One open link. This is all that an idle connection costs here.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Socket,
    generation: u32,
    /// Bytes written in the turn `turn`.
    spent: u32,
    turn: u16,
    listener: u16,
    /// Whether bytes have come: the first show if the peer is at the wrong port.
    stage: Stage,
    /// What stands between the socket and the core; none for plain links.
    pub(crate) transport: Option<Box<Transport>>,
    /// What the poller watches: without reading, the core has paused the link; with writing,
    /// output waits and will be flushed when the socket takes more.
    interest: Interest,
    peer: PackedPeer,
    accepted: Time,
}

const _: () = assert!(
    size_of::<Option<Link>>() <= 64,
    "a link has outgrown its slot"
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Used,
}

impl Link {
    pub(crate) fn new(
        socket: Socket,
        transport: Option<Box<Transport>>,
        info: &LinkInfo,
        generation: u32,
    ) -> Self {
        Self {
            socket,
            generation,
            spent: 0,
            turn: 0,
            listener: info.listener,
            stage: match info.arrival {
                Arrival::Accepted => Stage::Fresh,
                Arrival::Moved => Stage::Used,
            },
            transport,
            interest: Interest::READ,
            peer: PackedPeer::new(info.peer),
            accepted: info.accepted,
        }
    }

    pub(crate) fn into_parts(self) -> (Socket, Option<Box<Transport>>, LinkInfo) {
        let info = self.info(Arrival::Moved);
        (self.socket, self.transport, info)
    }

    pub(crate) fn info(&self, arrival: Arrival) -> LinkInfo {
        let transport = self.transport.as_ref();
        LinkInfo {
            peer: self.peer.peer(),
            certificate: transport.and_then(|transport| transport.certificate()),
            listener: self.listener,
            accepted: self.accepted,
            arrival,
        }
    }

    pub(crate) fn listener(&self) -> u16 {
        self.listener
    }

    /// Whether these are the first bytes. Asked once for each read.
    pub(crate) fn is_first_read(&mut self) -> bool {
        let first = self.stage == Stage::Fresh;
        if first {
            self.stage = Stage::Used;
        }
        first
    }

    /// A proxy has said for whom it speaks.
    pub(crate) fn set_peer(&mut self, peer: Peer) {
        self.peer = PackedPeer::new(peer);
    }

    pub(crate) fn peer(&self) -> Peer {
        self.peer.peer()
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.interest.contains(Interest::READ)
    }

    /// Whether output waits until the poller says that the socket takes more.
    pub(crate) fn awaits_room(&self) -> bool {
        self.interest.contains(Interest::WRITE)
    }

    /// Watches the socket for what `interest` says from now on; no system call if it does.
    pub(crate) fn set_interest(
        &mut self,
        poller: &Poller,
        slot: u32,
        interest: Interest,
    ) -> io::Result<()> {
        if interest == self.interest {
            return Ok(());
        }
        poller.modify(&self.socket, Token::Link(slot), interest)?;
        self.interest = interest;
        Ok(())
    }

    pub(crate) fn interest(&self) -> Interest {
        self.interest
    }

    /// Bytes written in this turn so far.
    pub(crate) fn spent(&mut self, turn: u16) -> u32 {
        if self.turn != turn {
            self.turn = turn;
            self.spent = 0;
        }
        self.spent
    }

    /// Adds to the bytes written in this turn.
    pub(crate) fn spend(&mut self, turn: u16, written: usize) {
        let so_far = self.spent(turn);
        self.spent = so_far.saturating_add(u32::try_from(written).unwrap_or(u32::MAX));
    }
}

/// A [`Peer`] without what makes it larger: its 23 bytes keep a link within its slot.
#[derive(Clone, Copy, Debug)]
struct PackedPeer {
    /// IPv4 in its first four bytes.
    address: [u8; 16],
    /// The scope of an IPv6 address, or the local user.
    extra: u32,
    port: u16,
    kind: PeerKind,
}

#[derive(Clone, Copy, Debug)]
enum PeerKind {
    V4,
    V6,
    User,
    Unknown,
}

impl PackedPeer {
    fn new(peer: Peer) -> Self {
        let packed = |kind, extra| Self {
            address: [0; 16],
            extra,
            port: 0,
            kind,
        };
        match peer {
            Peer::Net(SocketAddr::V4(address)) => {
                let mut packed = packed(PeerKind::V4, 0);
                packed.address[..4].copy_from_slice(&address.ip().octets());
                packed.port = address.port();
                packed
            }
            Peer::Net(SocketAddr::V6(address)) => Self {
                address: address.ip().octets(),
                port: address.port(),
                ..packed(PeerKind::V6, address.scope_id())
            },
            Peer::Local(Some(user)) => packed(PeerKind::User, user),
            Peer::Local(None) => packed(PeerKind::Unknown, 0),
        }
    }

    fn peer(self) -> Peer {
        match self.kind {
            PeerKind::V4 => {
                let [a, b, c, d, ..] = self.address;
                let ip = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
                Peer::Net(SocketAddr::new(ip, self.port))
            }
            PeerKind::V6 => {
                let ip = Ipv6Addr::from(self.address);
                Peer::Net(SocketAddrV6::new(ip, self.port, 0, self.extra).into())
            }
            PeerKind::User => Peer::Local(Some(self.extra)),
            PeerKind::Unknown => Peer::Local(None),
        }
    }
}

/// The links of one worker, each in the slot that the core named.
#[derive(Debug, Default)]
pub(crate) struct Links {
    slots: Vec<Option<Link>>,
    /// Links whose slot the core has given to another before the loop came to carry out the
    /// action (to close, to move) by which the core let go of them. Empty between turns.
    displaced: Vec<(u32, Link)>,
    /// Bytes kept for links that are before or in a handshake, all together.
    unproven: usize,
}

impl Links {
    pub(crate) fn insert(&mut self, conn: ConnId, link: Link) {
        let place = index(conn.slot);
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, || None);
        }
        if let Some(old) = self.slots[place].replace(link) {
            self.displaced.push((conn.slot, old));
        }
    }

    /// The link of a connection; `None` if there is none or its slot has another tenant.
    pub(crate) fn of(&mut self, conn: ConnId) -> Option<&mut Link> {
        let ConnId { slot, generation } = conn;
        match self.slots.get_mut(index(slot)) {
            Some(Some(link)) if link.generation == generation => Some(link),
            _ => self
                .displaced
                .iter_mut()
                .find(|(at, link)| *at == slot && link.generation == generation)
                .map(|(_, link)| link),
        }
    }

    /// The connection that has a slot now.
    pub(crate) fn tenant(&self, slot: u32) -> Option<ConnId> {
        let link = self.slots.get(index(slot))?.as_ref()?;
        Some(ConnId {
            slot,
            generation: link.generation,
        })
    }

    /// The number of slots, taken or not.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Link> {
        let link = self.take(conn)?;
        if let Some(transport) = &link.transport {
            self.account(transport.unproven(), 0);
        }
        Some(link)
    }

    fn take(&mut self, conn: ConnId) -> Option<Link> {
        let ConnId { slot, generation } = conn;
        if let Some(tenant) = self.slots.get_mut(index(slot))
            && tenant
                .as_ref()
                .is_some_and(|link| link.generation == generation)
        {
            return tenant.take();
        }
        let at = self
            .displaced
            .iter()
            .position(|(at, link)| *at == slot && link.generation == generation)?;
        Some(self.displaced.swap_remove(at).1)
    }

    /// What is kept for a link before its handshake is over has changed. Returns whether all of that
    /// is still within bounds.
    pub(crate) fn account(&mut self, before: usize, after: usize) -> bool {
        self.unproven = (self.unproven + after).saturating_sub(before);
        after == 0 || self.unproven <= MOST_UNPROVEN
    }

    /// Whether some link lost its slot and was not let go of since.
    pub(crate) fn has_displaced(&self) -> bool {
        !self.displaced.is_empty()
    }
}

/// Most bytes that a worker keeps for links whose handshakes are not over, all together. Who needs
/// more then is closed (S09, S74).
const MOST_UNPROVEN: usize = 16 * 1024 * 1024;

/// Sockets without a link are closed at once; nothing was promised to the other side.
pub(crate) fn refuse(socket: Socket) {
    // It fails if the other side is gone already.
    let _ = socket.shutdown(Shutdown::Both);
}

fn index(slot: u32) -> usize {
    slot as usize
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn link(generation: u32) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let socket = TcpStream::connect(peer).unwrap();
        let info = LinkInfo {
            peer: peer.into(),
            certificate: None,
            listener: 0,
            accepted: Time::ZERO,
            arrival: Arrival::Accepted,
        };
        Link::new(socket.into(), None, &info, generation)
    }

    #[test]
    fn a_displaced_link_is_still_found_by_its_generation() {
        let mut links = Links::default();
        let old = ConnId {
            slot: 3,
            generation: 1,
        };
        let new = ConnId {
            slot: 3,
            generation: 2,
        };
        links.insert(old, link(1));
        links.insert(new, link(2));
        assert!(links.has_displaced());
        assert_eq!(links.tenant(3), Some(new));
        assert_eq!(links.of(old).unwrap().generation, 1);
        assert_eq!(links.of(new).unwrap().generation, 2);
        assert_eq!(links.remove(old).unwrap().generation, 1);
        assert!(!links.has_displaced());
        assert!(links.of(old).is_none());
        assert!(links.remove(old).is_none());
        assert_eq!(links.remove(new).unwrap().generation, 2);
        assert_eq!(links.tenant(3), None);
    }

    #[test]
    fn a_peer_is_the_same_after_packing() {
        let scoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 0, 3);
        let v6: SocketAddr = "[2001:db8::7]:65535".parse().unwrap();
        let v4: SocketAddr = "192.0.2.1:1883".parse().unwrap();
        for peer in [
            Peer::Net(v4),
            Peer::Net(v6),
            Peer::Net(scoped.into()),
            Peer::Local(Some(u32::MAX)),
            Peer::Local(Some(0)),
            Peer::Local(None),
        ] {
            assert_eq!(PackedPeer::new(peer).peer(), peer);
        }
    }

    #[test]
    fn what_is_spent_counts_for_one_turn() {
        let mut link = link(1);
        link.spend(1, 5);
        link.spend(1, usize::MAX);
        assert_eq!(link.spent(1), u32::MAX);
        assert_eq!(link.spent(2), 0);
        link.spend(2, 7);
        assert_eq!(link.spent(2), 7);
    }
}
