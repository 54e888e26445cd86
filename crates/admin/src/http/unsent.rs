//! Answers that nobody has read yet: bounded in bytes, however many somebody asks for (S95).
//!
//! An answer is made whole and then waits for who reads it. A long one takes its bytes from a common
//! budget and gives them back with its last piece; who would be beyond the budget is refused at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::Refusal;

/// An answer up to here is not counted: there are no more of them than connections.
const SHORT: u64 = 64 * 1024;
/// Bytes of a piece.
const PIECE: usize = 64 * 1024;
/// What is counted, in bytes.
const UNIT: u64 = 1024;

/// Bytes of answers that may wait.
#[derive(Clone)]
pub(crate) struct Unsent {
    places: Arc<Semaphore>,
    /// Most bytes of one answer.
    longest: u64,
}

impl Unsent {
    /// Room for so many bytes; half of them for one answer.
    pub(crate) fn new(bytes: u32) -> Self {
        let places = usize::try_from(u64::from(bytes) / UNIT).unwrap_or(0);
        Self {
            places: Arc::new(Semaphore::new(places)),
            longest: u64::from(bytes) / 2,
        }
    }

    /// The answer, with a part of the room for as long as any of it waits. What is written while it is
    /// read has bounds of its own.
    ///
    /// # Errors
    /// It is longer than an answer may be, or there is no room for it.
    pub(crate) async fn held(&self, response: Response) -> Result<Response, Refusal> {
        let size = response.body().size_hint().exact();
        let Some(size) = size.filter(|size| *size > SHORT) else {
            return Ok(response);
        };
        if size > self.longest {
            let words = "the answer is too long: ask for fewer rows at once, with limit";
            return Err(Refusal::bad(words));
        }
        let units = u32::try_from(size.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.places).try_acquire_many_owned(units);
        let place = place.map_err(|_| {
            let words = "too many answers wait to be read; try again";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
        })?;
        let (head, body) = response.into_parts();
        // It is in memory, so that nothing waits here.
        let bytes = to_bytes(body, usize::MAX).await;
        let bytes = bytes.map_err(|_| Refusal::internal())?;
        let rest = Bytes::from_owner(Held {
            bytes,
            _place: place,
        });
        Ok(Response::from_parts(head, Body::new(Pieces(rest))))
    }
}

/// An answer's bytes with their part of the room: gone with the last piece.
struct Held {
    bytes: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is left of an answer. It is given away piece by piece, since all that is given away counts as
/// sent here, and may still wait.
struct Pieces(Bytes);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let most = PIECE.min(self.0.len());
        // The last piece takes the rest, and with it what it holds.
        let piece = match most == self.0.len() {
            true => std::mem::take(&mut self.0),
            false => self.0.split_to(most),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn s95_answers_that_nobody_reads_are_bounded_together() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let unsent = Unsent::new(4 << 20);
            let answer = |bytes: usize| vec![b'x'; bytes].into_response();
            let refused =
                |answer: Result<Response, Refusal>| answer.err().map(|it| it.message().to_owned());
            let first = unsent.held(answer(2 << 20)).await.unwrap();
            let second = unsent.held(answer(1 << 20)).await.unwrap();
            assert_eq!(second.body().size_hint().exact(), Some(1 << 20));
            let third = refused(unsent.held(answer((1 << 20) + 1)).await);
            assert!(third.unwrap().contains("wait to be read"));
            // Short ones always fit.
            let short = unsent.held(answer(1000)).await.unwrap();
            // It is read, and there is room.
            let read = to_bytes(first.into_body(), usize::MAX).await.unwrap();
            assert_eq!(read.len(), 2 << 20);
            drop(read);
            let third = unsent.held(answer(2 << 20)).await.unwrap();
            // Somebody hangs up.
            drop((second, third, short));
            assert_eq!(unsent.places.available_permits(), 4 << 10);
            let long = refused(unsent.held(answer((2 << 20) + 1)).await);
            assert!(long.unwrap().contains("fewer rows"));
        });
    }

    #[test]
    fn the_last_piece_holds_the_room() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let unsent = Unsent::new(1 << 20);
            let response = vec![b'x'; 3 * PIECE - 1].into_response();
            let mut body = unsent.held(response).await.unwrap().into_body();
            let mut last = None;
            while let Some(frame) =
                std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
            {
                last = frame.unwrap().into_data().ok();
            }
            drop(body);
            assert_eq!(unsent.places.available_permits(), 1024 - 192);
            assert_eq!(last.take().map(|it| it.len()), Some(PIECE - 1));
            assert_eq!(unsent.places.available_permits(), 1024);
        });
    }
}
