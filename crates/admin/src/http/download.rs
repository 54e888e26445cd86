//! A body that is written as it goes, by a thread that waits for who reads it.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::Failure;

/// Pieces between who writes and who sends.
const PIECES: usize = 4;
/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// Who reads nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The end that is written to, on a thread that may wait.
pub(crate) struct Download {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

/// The two ends.
pub(crate) fn download() -> (Download, Body) {
    let (pieces, sent) = mpsc::channel(PIECES);
    let download = Download {
        pieces,
        buffer: Vec::with_capacity(PIECE),
    };
    (download, Body::new(Sent(sent)))
}

impl Download {
    /// The end. After a failure the connection breaks, so that nobody takes a part for all.
    pub(crate) fn end(mut self, written: Result<(), Failure>) {
        let last = match written {
            Ok(()) => self.flush(),
            Err(failure) => self.send(Err(io::Error::other(failure.to_string()))),
        };
        // Who reads is gone: it knows that it has not all.
        drop(last);
    }

    fn send(&self, piece: io::Result<Bytes>) -> io::Result<()> {
        let sent = Handle::current().block_on(timeout(PATIENCE, self.pieces.send(piece)));
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Download {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.buffer);
        self.send(Ok(piece.into()))
    }
}

/// The end that is sent.
struct Sent(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
