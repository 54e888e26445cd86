//! A body that is read as it comes, by a thread that waits for it.

use std::io::{self, Read};

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::body::Frame;
use tokio::sync::mpsc;

/// Pieces between who receives and who reads.
const PIECES: usize = 4;

/// The end that is read.
pub(crate) struct Upload {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

/// The two ends for a body of at most so many bytes: the second is to be awaited while a thread
/// reads the first.
pub(crate) fn upload(body: Body, most: u64) -> (Upload, impl Future<Output = ()>) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let upload = Upload {
        pieces,
        piece: Bytes::new(),
    };
    (upload, receive(body, most, sender))
}

async fn receive(mut body: Body, most: u64, to: mpsc::Sender<io::Result<Bytes>>) {
    let mut left = most;
    while let Some(frame) = body.frame().await {
        let piece = match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                match left.checked_sub(length) {
                    Some(rest) => {
                        left = rest;
                        Ok(piece)
                    }
                    None => Err(io::Error::other(format!(
                        "there are more than {most} bytes"
                    ))),
                }
            }
            // Trailers say nothing to us.
            Ok(Err(_)) => continue,
            Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
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
