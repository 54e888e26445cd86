//! The links of a worker.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};

use types::{Arrival, ConnId, LinkInfo, Time};

use crate::poller::{Interest, Poller, Token};

/// One open link. This is all that an idle connection costs here.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: TcpStream,
    generation: u32,
    /// Bytes written in the turn `turn`.
    spent: u32,
    turn: u16,
    listener: u16,
    /// What the poller watches: without reading, the core has paused the link; with writing,
    /// output waits and will be flushed when the socket takes more.
    interest: Interest,
    peer: SocketAddr,
    accepted: Time,
}

const _: () = assert!(
    size_of::<Option<Link>>() <= 64,
    "a link has outgrown its slot"
);

impl Link {
    pub(crate) fn new(socket: TcpStream, info: &LinkInfo, generation: u32) -> Self {
        Self {
            socket,
            generation,
            spent: 0,
            turn: 0,
            listener: info.listener,
            interest: Interest::READ,
            peer: info.peer,
            accepted: info.accepted,
        }
    }

    pub(crate) fn into_parts(self) -> (TcpStream, LinkInfo) {
        let Self {
            socket,
            listener,
            peer,
            accepted,
            ..
        } = self;
        (
            socket,
            LinkInfo {
                peer,
                listener,
                accepted,
                arrival: Arrival::Moved,
            },
        )
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
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

/// The links of one worker, each in the slot that the core named.
#[derive(Debug, Default)]
pub(crate) struct Links {
    slots: Vec<Option<Link>>,
    /// Links whose slot the core has given to another before the loop came to carry out the
    /// action (to close, to move) by which the core let go of them. Empty between turns.
    displaced: Vec<(u32, Link)>,
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

    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Link> {
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

    /// Whether some link lost its slot and was not let go of since.
    pub(crate) fn has_displaced(&self) -> bool {
        !self.displaced.is_empty()
    }
}

/// Sockets without a link are closed at once; nothing was promised to the other side.
pub(crate) fn refuse(socket: TcpStream) {
    // It fails if the other side is gone already.
    let _ = socket.shutdown(Shutdown::Both);
}

fn index(slot: u32) -> usize {
    slot as usize
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn link(generation: u32) -> Link {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = listener.local_addr().unwrap();
        let socket = TcpStream::connect(peer).unwrap();
        let info = LinkInfo {
            peer,
            listener: 0,
            accepted: Time::ZERO,
            arrival: Arrival::Accepted,
        };
        Link::new(socket, &info, generation)
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
