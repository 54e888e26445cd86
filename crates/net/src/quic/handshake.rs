//! From a first packet to a connection with its stream.

use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, ConnectionError, IdleTimeout, Incoming, RecvStream, SendStream, ServerConfig,
    TransportConfig, VarInt,
};
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Socket, Type};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use types::{Peer, WorkerId};

use super::endpoint::Entrance;
use super::{Arrived, Proof, Told, pipe};
use crate::counters::Refusal;
use crate::transport::tls::{Failure, HandshakeFailure, ServerTls, client_certificate};

/// Sees a connection through to its end.
pub(super) async fn attend(incoming: Incoming, entrance: Arc<Entrance>) {
    let Some(busy) = entrance.begin() else {
        return incoming.refuse();
    };
    if entrance.is_busy() && incoming.may_retry() {
        // It has to show that it gets what we send to its address, before it costs us anything.
        // It fails only for one that has shown it.
        let _shown = incoming.retry();
        return;
    }
    let peer = Peer::from(incoming.remote_address());
    let told = Told::default();
    let Some((ours, worker)) = take_place(&entrance, peer, &told).await else {
        return incoming.refuse();
    };
    let found = tokio::select! {
        found = shake_hands(incoming, &entrance, &told) => found,
        // It says nothing before the client does: it has closed.
        _ = ours.readable() => Err(Failure {
            class: HandshakeFailure::CutOff,
            text: "the connect deadline is over".into(),
        }),
    };
    match found {
        Ok((connection, streams)) => {
            drop(busy);
            pipe::carry(&connection, streams, ours).await;
        }
        Err(failure) => {
            entrance.count_failure(failure.class);
            let (class, text) = (failure.class, failure.text);
            entrance.refused(worker, peer, Refusal::Handshake { class, text });
        }
    }
}

/// Asks a worker for a place, which it holds the link's limits and address lists against.
async fn take_place(
    entrance: &Entrance,
    peer: Peer,
    told: &Told,
) -> Option<(UnixStream, WorkerId)> {
    let (ours, theirs) = pair().ok()?;
    let (place, answer) = oneshot::channel();
    entrance.deliver(Arrived {
        socket: theirs,
        peer,
        listener: entrance.place,
        told: Arc::clone(told),
        place,
    });
    answer.await.ok().map(|worker| (ours, worker))
}

/// A bounded pipe in both directions.
fn pair() -> std::io::Result<(UnixStream, Socket)> {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
    for socket in [&ours, &theirs] {
        socket.set_nonblocking(true)?;
        socket.set_send_buffer_size(PIPE)?;
    }
    let ours = std::os::unix::net::UnixStream::from(std::os::fd::OwnedFd::from(ours));
    Ok((UnixStream::from_std(ours)?, theirs))
}

type Streams = (SendStream, RecvStream);

async fn shake_hands(
    incoming: Incoming,
    entrance: &Entrance,
    told: &OnceLock<Proof>,
) -> Result<(Connection, Streams), Failure> {
    let (config, by) = entrance.config().map_err(|error| Failure {
        class: HandshakeFailure::Other,
        text: error,
    })?;
    let connecting = incoming
        .accept_with(config)
        .map_err(|error| failure(&error))?;
    let connection = connecting.await.map_err(|error| failure(&error))?;
    let proof = proof(&connection, by)?;
    let streams = connection
        .accept_bi()
        .await
        .map_err(|error| failure(&error))?;
    // Nobody else sets it.
    let _first = told.set(proof);
    Ok((connection, streams))
}

/// What the client has shown and TLS has found good.
fn proof(connection: &Connection, by: u64) -> Result<Proof, Failure> {
    let chain = connection
        .peer_identity()
        .and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let chain = chain.map(|chain| *chain).unwrap_or_default();
    let certificate = client_certificate(&chain)?;
    Ok(Proof {
        chain,
        certificate,
        by,
    })
}

/// QUIC's reason, in the words of TLS where it is one of TLS.
fn failure(error: &ConnectionError) -> Failure {
    use HandshakeFailure as Is;
    let class = match error {
        ConnectionError::TransportError(error) => match alert(u64::from(error.code)) {
            Some(116) => Is::NoCertificate,
            Some(44) => Is::Revoked,
            Some(42 | 43 | 45 | 46 | 48) => Is::BadCertificate,
            Some(40 | 70 | 71 | 112 | 120) => Is::Incompatible,
            _ => Is::Protocol,
        },
        ConnectionError::ConnectionClosed(close) => match alert(u64::from(close.error_code)) {
            Some(_) => Is::Alert,
            None => Is::CutOff,
        },
        ConnectionError::VersionMismatch => Is::Incompatible,
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed => Is::CutOff,
        ConnectionError::CidsExhausted => Is::Other,
    };
    Failure {
        class,
        text: error.to_string(),
    }
}

/// The alert of TLS in an error code (RFC 9001, 4.8).
fn alert(code: u64) -> Option<u64> {
    code.checked_sub(0x100).filter(|alert| *alert < 0x100)
}

/// What connections of a listener go by, with these certificates.
pub(super) fn server_config(
    tls: &ServerTls,
    unreachable_after: Option<Duration>,
) -> Result<ServerConfig, String> {
    let mut crypto = tls.rustls().clone();
    crypto.alpn_protocols = vec![ALPN.to_vec()];
    crypto.max_early_data_size = 0;
    crypto.send_tls13_tickets = 0;
    let crypto = QuicServerConfig::try_from(crypto).map_err(|error| error.to_string())?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config
        .max_incoming(MOST_WAITING)
        .incoming_buffer_size(BUFFERED_EACH)
        .incoming_buffer_size_total(BUFFERED_ALL);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .datagram_receive_buffer_size(None);
    // As for TCP: quiet for two thirds of the span, then asked whether it is there.
    let span = unreachable_after.unwrap_or(UNREACHABLE_AFTER);
    let idle = IdleTimeout::try_from(span).map_err(|error| error.to_string())?;
    transport
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(span * 2 / 3));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// What MQTT is called in handshakes.
const ALPN: &[u8] = b"mqtt";
/// Most bytes of a connection on their way in each direction, beside those in the pipe.
const WINDOW: u32 = 256 * 1024;
/// Most bytes that the system keeps between the endpoint and the worker, in each direction; it counts
/// what they take with all that belongs to them.
const PIPE: usize = 64 * 1024;
/// Most connections that wait to be looked at, and most bytes kept for them.
const MOST_WAITING: usize = 1024;
const BUFFERED_EACH: u64 = 32 * 1024;
const BUFFERED_ALL: u64 = 8 * 1024 * 1024;
/// What systems do with TCP if they are not told.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(2 * 3600);
