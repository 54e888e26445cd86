//! The way out of a link with a transport.

use std::io::{ErrorKind, IoSlice, Write};

use socket2::Socket;
use types::{ConnId, Core, LinkEnd};

use crate::transport::{Full, Transport, Way, write};
use crate::worker::Worker;
use crate::write::{SLICES_PER_WRITE, Wrote};

impl<C: Core> Worker<C> {
    /// What was begun goes first, then the core's bytes, framed and encrypted as the link asks.
    #[inline(never)]
    pub(crate) fn write_through(&mut self, conn: ConnId) -> Wrote {
        if let Some(wrote) = self.write_pending(conn) {
            return wrote;
        }
        let shell = &mut self.shell;
        let Some(link) = shell.links.of(conn) else {
            return Wrote::Nothing;
        };
        let Some(transport) = &mut link.transport else {
            return Wrote::Nothing;
        };
        let Some(way) = transport.way() else {
            return Wrote::Nothing;
        };
        let mut output = [IoSlice::new(&[]); SLICES_PER_WRITE];
        let filled = self.core.output(conn, &mut output);
        let most = match way {
            Way::Encrypted => ENCRYPTED_AT_ONCE,
            Way::Framed => FRAMED_AT_ONCE,
            Way::Clear => usize::MAX,
        };
        // The header's slice, then the core's, cut where the frame ends.
        let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE + 1];
        let mut offered = 0;
        for (slice, bytes) in slices[1..].iter_mut().zip(&output[..filled]) {
            let length = bytes.len().min(most - offered);
            *slice = IoSlice::new(&bytes[..length]);
            offered += length;
        }
        if offered == 0 {
            return Wrote::Nothing;
        }
        let (header, length) = transport.frame_header(offered);
        slices[0] = IoSlice::new(&header[..length]);
        let slices = &slices[..=filled];
        let sent = match way {
            Way::Encrypted => {
                let buffers = (&mut shell.plain, &mut shell.cipher);
                send_encrypted(transport, &link.socket, slices, offered, buffers)
            }
            Way::Framed | Way::Clear => {
                send_framed(transport, &link.socket, slices, (length, offered))
            }
        };
        let taken = match sent {
            Ok(taken) => taken,
            Err(wrote) => return wrote,
        };
        if taken > 0 {
            link.spend(shell.turn, taken);
            shell.core_was_told = true;
            self.core.handle_written(conn, taken, shell.now);
        }
        match taken == offered {
            true => Wrote::All,
            false => Wrote::Part,
        }
    }

    /// Sends what a transport has of its own after a read. The core's bytes come in their time, at
    /// the end of the turn.
    pub(crate) fn send_own(&mut self, conn: ConnId) {
        match self.write_pending(conn) {
            None | Some(Wrote::All | Wrote::Nothing) => {}
            Some(Wrote::Part) => {
                self.core.handle_written(conn, 0, self.shell.now);
                self.await_room(conn);
            }
            Some(Wrote::Busy) => self.await_room(conn),
            Some(Wrote::Failed) => self.end(conn, LinkEnd::Error),
        }
    }

    /// Writes what was begun; `None` if all of it is gone.
    fn write_pending(&mut self, conn: ConnId) -> Option<Wrote> {
        let shell = &mut self.shell;
        let link = shell.links.of(conn)?;
        let transport = link.transport.as_mut()?;
        if !transport.has_pending() {
            return None;
        }
        let (taken, full) = match transport.send_pending(&link.socket) {
            Ok(taken) => (taken, false),
            Err(Full::For(taken)) => (taken, true),
            Err(Full::Broken) => return Some(Wrote::Failed),
        };
        let owes = transport.owes();
        if taken > 0 {
            link.spend(shell.turn, taken);
            shell.core_was_told = true;
            self.core.handle_written(conn, taken, shell.now);
        }
        let waits = || self.core.output(conn, &mut [IoSlice::new(&[])]) > 0;
        match full {
            false => None,
            true if owes || waits() => Some(Wrote::Part),
            true => Some(Wrote::Busy),
        }
    }
}

/// Writes a header and `offered` bytes of the core in records. Returns how many of the core's are
/// gone: what the socket does not take of a record must go before anything else.
fn send_encrypted(
    transport: &mut Transport,
    socket: &Socket,
    slices: &[IoSlice<'_>],
    offered: usize,
    (plain, cipher): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<usize, Wrote> {
    plain.clear();
    slices
        .iter()
        .for_each(|slice| plain.extend_from_slice(slice));
    cipher.clear();
    if transport.encrypt(plain, cipher).is_err() {
        return Err(Wrote::Failed);
    }
    let written = match write(socket, cipher) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(_) => return Err(Wrote::Failed),
    };
    if written == cipher.len() {
        return Ok(offered);
    }
    transport.keep(&[&cipher[written..]], offered);
    Ok(0)
}

/// Writes a header of `length` bytes, perhaps none, and `offered` bytes of the core. Returns how
/// many of the core's are gone: the rest of a frame must go before anything else.
fn send_framed(
    transport: &mut Transport,
    socket: &Socket,
    slices: &[IoSlice<'_>],
    (length, offered): (usize, usize),
) -> Result<usize, Wrote> {
    let written = match write_slices(socket, slices) {
        Ok(written) => written,
        // Nothing is begun yet.
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Wrote::Part),
        Err(_) => return Err(Wrote::Failed),
    };
    let taken = written.saturating_sub(length);
    if length > 0 && taken < offered {
        transport.keep(&rest_of(slices, written), offered - taken);
    }
    Ok(taken)
}

/// One write of several slices that no signal interrupts; never zero.
fn write_slices(mut socket: &Socket, slices: &[IoSlice<'_>]) -> std::io::Result<usize> {
    loop {
        match socket.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            wrote => return wrote,
        }
    }
}

/// What comes after the first `written` bytes.
fn rest_of<'a>(slices: &'a [IoSlice<'_>], mut written: usize) -> Vec<&'a [u8]> {
    let rest = slices.iter().filter_map(|slice| {
        let gone = written.min(slice.len());
        written -= gone;
        (gone < slice.len()).then(|| &slice[gone..])
    });
    rest.collect()
}

/// Most bytes encrypted in one write: two records. It is what a slow reader may cost in memory.
const ENCRYPTED_AT_ONCE: usize = 32 * 1024;
/// Most bytes of one frame.
const FRAMED_AT_ONCE: usize = 64 * 1024;
