//! A body that is read as it comes, by a thread that waits for it.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// Pieces between who receives and who reads.
const PIECES: usize = 4;

/// The end that is read.
pub(crate) struct Upload {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

/// What a body is allowed to take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most bytes.
    pub(crate) most: u64,
    /// How long each piece may take.
    pub(crate) piece: Duration,
    /// How long all of it may take.
    pub(crate) whole: Duration,
}

/// The two ends for a body: the second is to be awaited while a thread reads the first. Who sends
/// no more, or too slowly, ends it for both.
pub(crate) fn upload(body: Body, bounds: Bounds) -> (Upload, impl Future<Output = ()>) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let upload = Upload {
        pieces,
        piece: Bytes::new(),
    };
    (upload, receive(body, bounds, sender))
}

async fn receive(mut body: Body, bounds: Bounds, to: mpsc::Sender<io::Result<Bytes>>) {
    let mut left = bounds.most;
    let end = Instant::now().checked_add(bounds.whole);
    loop {
        let patience = Instant::now().checked_add(bounds.piece);
        // A time that there is not is one that never comes.
        let until = patience.into_iter().chain(end).min();
        let frame = match until {
            Some(until) => timeout_at(until, body.frame()).await,
            None => Ok(body.frame().await),
        };
        let piece = match frame {
            Ok(None) => return,
            Ok(Some(frame)) => match frame.map(Frame::into_data) {
                Ok(Ok(piece)) => {
                    let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    let rest = left.checked_sub(length);
                    left = rest.unwrap_or(0);
                    let most = bounds.most;
                    let too_long = || io::Error::other(format!("there are more than {most} bytes"));
                    rest.map(|_| piece).ok_or_else(too_long)
                }
                // Trailers say nothing to us.
                Ok(Err(_)) => continue,
                Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
            },
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "what is sent comes too slowly",
            )),
        };
        let ended = piece.is_err();
        if to.send(piece).await.is_err() || ended {
            return;
        }
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        let taken = self.piece.split_to(length);
        if let Some(room) = buffer.get_mut(..length) {
            room.copy_from_slice(&taken);
        }
        Ok(length)
    }
}
