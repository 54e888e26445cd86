//! The contract between an event loop and the core that it drives.
//!
//! A core never touches a socket, a clock or a thread. The loop hands it what happened and
//! the time; the core says what it wants done through [`Core::poll_action`] and keeps what is
//! to be written in buffers that the loop drains. One turn of the loop is:
//!
//! 1. sleep until an event, mail, or [`Core::poll_timeout`];
//! 2. hand over bytes ([`Core::handle_bytes`]: one read an event), ends of links
//!    ([`Core::handle_closed`]) and new links, then mail ([`Core::handle_mail`]), so that no
//!    bytes follow the decision, in the same turn, to move or close their link;
//! 3. [`Core::handle_timeout`] if it is due, then [`Core::end_turn`];
//! 4. carry out every [`Action`]: each touched connection is flushed with one write, mail is
//!    appended to its worker's mailbox with one wake for the whole batch. If the core was told
//!    of something meanwhile ([`Core::handle_written`], [`Core::handle_closed`]), its turn is
//!    ended again, so that what it does about that is not left until the next event.
//!
//! Between an action and its being carried out, the loop may name a connection that the core
//! has forgotten; the core ignores a [`ConnId`] that it does not know. The slot may be given
//! to a new connection, with another generation, from the moment the core forgot the old one.

use std::io::IoSlice;
use std::sync::Arc;

use crate::{Certificate, ConnId, Peer, Time, WorkerId};

/// What the loop knows of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The other side.
    pub peer: Peer,
    /// What the other side's certificate says, if it showed one.
    pub certificate: Option<Arc<Certificate>>,
    /// The listener's place in the configuration, or [`LinkInfo::WITHIN`].
    pub listener: u16,
    /// When the link was accepted; the connect deadline counts from here.
    pub accepted: Time,
    /// How the link came to this worker.
    pub arrival: Arrival,
}

impl LinkInfo {
    /// In place of a listener: the server itself has made the link, for one of its bridges. No
    /// listener has this place.
    pub const WITHIN: u16 = u16::MAX;
}

/// How a link came to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// From a listener. What a proxy or a handshake says about it may be still to come
    /// ([`Core::handle_info`]).
    Accepted,
    /// From another worker, which has counted it and the bytes that come along.
    Moved,
}

/// Why a link ended without the core asking for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The other side closed it.
    Eof,
    /// Reading or writing failed.
    Error,
}

/// What a core wants done.
#[derive(Debug)]
pub enum Action<M> {
    /// The connection has something to write: gather it with [`Core::output`], write once,
    /// report with [`Core::handle_written`].
    Flush(ConnId),
    /// Stop reading from the link until [`Action::Resume`].
    Pause(ConnId),
    /// Read from the link again.
    Resume(ConnId),
    /// Write what is there if that is possible at once, then close the link. The core has
    /// forgotten the connection; `output` is all that is left to send.
    Close {
        /// The connection.
        conn: ConnId,
        /// The last bytes to send, at most once and without waiting for long.
        output: Vec<u8>,
    },
    /// Hand the link to another worker, with all that was received from it. The core has
    /// forgotten the connection; the other worker sees a new link with the same [`LinkInfo`],
    /// except that it is [`Arrival::Moved`], and then these bytes.
    Move {
        /// The connection.
        conn: ConnId,
        /// Its new home.
        to: WorkerId,
        /// What was received from it so far.
        received: Vec<u8>,
    },
    /// Put mail into another worker's mailbox.
    Mail {
        /// The other worker.
        to: WorkerId,
        /// The mail.
        mail: M,
    },
}

/// What an event loop drives.
pub trait Core {
    /// What workers send each other.
    type Mail: Send + 'static;

    /// A link opened. `None` refuses it at once (a limit of the server).
    fn handle_open(&mut self, info: LinkInfo, now: Time) -> Option<ConnId>;

    /// More is known of a link that came from a listener: whom a trusted proxy speaks for, whose
    /// certificate the handshake has proved. Said before the first bytes, once, and only for
    /// links of listeners with a proxy or a handshake.
    fn handle_info(&mut self, conn: ConnId, info: LinkInfo, now: Time);

    /// Bytes arrived. The core takes them all; it keeps what it cannot use yet.
    ///
    /// A panic in here ends this connection only: the loop drops the link and calls
    /// [`Core::handle_closed`]. A panic anywhere else ends the worker.
    fn handle_bytes(&mut self, conn: ConnId, bytes: &[u8], now: Time);

    /// The loop wrote so many bytes of what [`Core::output`] gave. Zero says that the link
    /// takes no more for now; the next call with more than zero says that it does again. Until
    /// then [`Action::Flush`] is not needed for more output, and does nothing.
    fn handle_written(&mut self, conn: ConnId, written: usize, now: Time);

    /// The link is gone; the core forgets the connection.
    fn handle_closed(&mut self, conn: ConnId, end: LinkEnd, now: Time);

    /// Mail from another worker or from the control plane.
    fn handle_mail(&mut self, mail: Self::Mail, now: Time);

    /// The time of [`Core::poll_timeout`] has come.
    fn handle_timeout(&mut self, now: Time);

    /// All events of this turn have been handed over.
    fn end_turn(&mut self, now: Time);

    /// When the core wants [`Core::handle_timeout`] at the latest.
    fn poll_timeout(&self) -> Option<Time>;

    /// The next thing to do; `None` when all is done.
    fn poll_action(&mut self) -> Option<Action<Self::Mail>>;

    /// Fills `slices` with what the connection has to write, first bytes first, and returns
    /// how many slices were filled.
    fn output<'a>(&'a self, conn: ConnId, slices: &mut [IoSlice<'a>]) -> usize;

    /// Whether the core is whole. Asked after [`Core::handle_bytes`] panicked: a core that was
    /// changing more than that one connection is not, and the loop ends with the panic.
    fn is_sound(&self) -> bool {
        true
    }

    /// Whether every connection is gone and nothing is left to do, after a drain was asked
    /// for by mail. The loop then ends.
    fn is_drained(&self) -> bool;
}
