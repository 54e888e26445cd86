//! Between a stream and a worker, until one of them ends.

use std::io::ErrorKind;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::time::timeout;

/// How a direction ended.
enum End {
    /// In good order.
    Finished,
    /// The connection is lost, or the worker has let go.
    Lost,
}

/// Carries bytes until both have said all, and closes the connection.
///
/// The client hears the worker's last bytes, or has as long for them as for those of a TCP connection.
/// What a client sent before it closed still reaches the worker.
pub(super) async fn carry(
    connection: &Connection,
    (send, recv): (SendStream, RecvStream),
    mut pipe: UnixStream,
) {
    let (from_worker, to_worker) = pipe.split();
    let inward = inward(recv, to_worker);
    let outward = outward(send, &from_worker);
    tokio::pin!(inward, outward);
    tokio::select! {
        end = &mut inward => {
            if let End::Finished = end {
                tokio::select! {
                    () = &mut outward => {}
                    _ = connection.closed() => {}
                }
            }
        }
        () = &mut outward => {
            // It closes when it has read the last packet.
            let closes = async {
                tokio::select! {
                    _ = &mut inward => {}
                    _ = connection.closed() => {}
                }
            };
            let _in_time = timeout(LINGER, closes).await;
        }
        _ = connection.closed() => {
            // What had come before that is not lost.
            let _in_time = timeout(LINGER, &mut inward).await;
        }
    }
    connection.close(CLOSED, b"");
}

/// From the client to the worker. A worker that does not read lets the windows fill.
async fn inward(mut recv: RecvStream, mut to_worker: WriteHalf<'_>) -> End {
    loop {
        match recv.read_chunk(MOST_AT_ONCE, true).await {
            Ok(Some(chunk)) => {
                if to_worker.write_all(&chunk.bytes).await.is_err() {
                    return End::Lost;
                }
            }
            Ok(None) => {
                // It fails if the worker has let go already.
                let _ended = to_worker.shutdown().await;
                return End::Finished;
            }
            Err(_) => return End::Lost,
        }
    }
}

/// From the worker to the client, until the worker has closed its way out and the client has what
/// came by it.
async fn outward(mut send: SendStream, from_worker: &ReadHalf<'_>) {
    // No buffer while nothing is to be read.
    while from_worker.readable().await.is_ok() {
        let mut buffer = Vec::with_capacity(MOST_AT_ONCE);
        match from_worker.try_read_buf(&mut buffer) {
            Ok(0) => {
                if send.finish().is_ok() {
                    let _acknowledged = timeout(LINGER, send.stopped()).await;
                }
                return;
            }
            Ok(_) => {
                if let End::Lost = write(&mut send, &buffer, from_worker).await {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Writes all. A client that takes nothing may take its time, but not after the worker has let go of
/// it: nobody else would then end it.
async fn write(send: &mut SendStream, bytes: &[u8], from_worker: &ReadHalf<'_>) -> End {
    let writes = send.write_all(bytes);
    tokio::pin!(writes);
    loop {
        match timeout(LINGER, &mut writes).await {
            Ok(Ok(())) => return End::Finished,
            Ok(Err(_)) => return End::Lost,
            Err(_slow) => {
                // Without bytes it says only whether the other end is there.
                let pipe: &UnixStream = from_worker.as_ref();
                match pipe.try_write(&[]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => return End::Lost,
                }
            }
        }
    }
}

/// How long the other side has to take the last packet, as for other links.
const LINGER: Duration = Duration::from_secs(2);
/// Most bytes moved at once.
const MOST_AT_ONCE: usize = 32 * 1024;
/// QUIC's application error code of a connection that is over; MQTT has said why.
const CLOSED: VarInt = VarInt::from_u32(0);
