//! One connection's TLS.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{CertificateError, Error, HandshakeKind};
use types::Certificate;

use super::door::ServerTls;
use super::facts;

/// The state of a connection's TLS.
pub(crate) struct Session {
    tls: UnbufferedServerConnection,
    /// The [`ServerTls`] under which the client's certificate was last found good.
    checked: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Handshake,
    Established,
    Failed,
}

/// What some records came to.
pub(crate) struct Received {
    /// Bytes taken; the others are to be handed in again, with more behind them.
    pub(crate) used: usize,
    pub(crate) outcome: Result<Progress, Failure>,
}

/// How far it is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// As before.
    Same,
    /// The handshake is over, and the client's certificate, if it showed one, is good.
    Established {
        kind: HandshakeKind,
        certificate: Option<Arc<Certificate>>,
    },
    /// The other side has closed its direction.
    Closed,
}

/// Why TLS ended.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) class: HandshakeFailure,
    pub(crate) text: String,
}

/// Why a handshake failed, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// The client broke the protocol, or does not speak it.
    Protocol,
    /// Nothing in common: versions, ciphers, or a name that is refused.
    Incompatible,
    /// The client must show a certificate and has none.
    NoCertificate,
    /// The client's certificate is not good.
    BadCertificate,
    /// The client's certificate is revoked, or nobody can say that it is not.
    Revoked,
    /// The client gave up; mostly it does not trust our certificate.
    Alert,
    /// The connection ended before the handshake did.
    CutOff,
    /// Anything else.
    Other,
}

impl HandshakeFailure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Protocol,
        Self::Incompatible,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::Revoked,
        Self::Alert,
        Self::CutOff,
        Self::Other,
    ];

    /// A short name, for counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::Revoked => "revoked",
            Self::Alert => "alert",
            Self::CutOff => "cut_off",
            Self::Other => "other",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use CertificateError as E;
        let class = match &error {
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::DecryptError
            | Error::PeerSentOversizedRecord => HandshakeFailure::Protocol,
            // General: no certificate for the name that was asked for.
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol | Error::General(_) => {
                HandshakeFailure::Incompatible
            }
            Error::NoCertificatesPresented => HandshakeFailure::NoCertificate,
            Error::InvalidCertificate(
                E::Revoked
                | E::UnknownRevocationStatus
                | E::ExpiredRevocationList
                | E::ExpiredRevocationListContext { .. },
            )
            | Error::InvalidCertRevocationList(_) => HandshakeFailure::Revoked,
            Error::InvalidCertificate(_) => HandshakeFailure::BadCertificate,
            Error::AlertReceived(_) => HandshakeFailure::Alert,
            _ => HandshakeFailure::Other,
        };
        let text = error.to_string();
        Self { class, text }
    }
}

/// What the first certificate of a chain says, if there is one.
pub(crate) fn client_certificate(
    chain: &[CertificateDer<'_>],
) -> Result<Option<Arc<Certificate>>, Failure> {
    let Some(der) = chain.first() else {
        return Ok(None);
    };
    let read = facts::certificate(der);
    let read = read.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(Some(Arc::new(read)))
}

impl Session {
    pub(crate) fn new(tls: &ServerTls) -> Result<Self, Failure> {
        Ok(Self {
            tls: UnbufferedServerConnection::new(Arc::clone(&tls.config))?,
            checked: tls.id(),
            stage: Stage::Handshake,
        })
    }

    pub(crate) fn is_established(&self) -> bool {
        self.stage == Stage::Established
    }

    /// Takes the records of `raw`: appends what they carry to `plain`, and what is to be sent
    /// because of them to `out`, an alert included. `current` is what the listener goes by now.
    pub(crate) fn receive(
        &mut self,
        raw: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
        current: &ServerTls,
    ) -> Received {
        let before = self.stage;
        let (used, outcome) = self.drive(raw, plain, out);
        let outcome = match outcome {
            Err(error) => {
                self.encode_alert(&mut raw[used..], out);
                self.stage = Stage::Failed;
                Err(error.into())
            }
            // What came before the end still counts.
            Ok(Driven::Closed) if before == Stage::Established => Ok(Progress::Closed),
            Ok(Driven::Closed | Driven::Waiting | Driven::Traffic)
                if before == Stage::Established || self.tls.is_handshaking() =>
            {
                Ok(Progress::Same)
            }
            Ok(_) => self.establish(current),
        };
        Received { used, outcome }
    }

    /// What says to the other side why TLS failed: it waits to be encoded. Asked once, as TLS would
    /// fail again over the same bytes.
    fn encode_alert(&mut self, raw: &mut [u8], out: &mut Vec<u8>) {
        if let Ok(ConnectionState::EncodeTlsData(mut data)) =
            self.tls.process_tls_records(raw).state
        {
            encode(out, |space| data.encode(space));
        }
    }

    /// The handshake is over.
    fn establish(&mut self, current: &ServerTls) -> Result<Progress, Failure> {
        let kind = self.tls.handshake_kind().unwrap_or(HandshakeKind::Full);
        let chain = self.tls.peer_certificates().unwrap_or_default();
        // A resumed session was verified when it began, and a handshake by the rules of when it
        // began: neither is now (S81).
        if kind == HandshakeKind::Resumed || self.checked != current.id() {
            current.verify(chain)?;
        }
        let certificate = client_certificate(chain)?;
        self.checked = current.id();
        self.stage = Stage::Established;
        Ok(Progress::Established { kind, certificate })
    }

    /// Whether `current` says that the client must go; asked once for each [`ServerTls`].
    pub(crate) fn is_withdrawn(&mut self, current: &ServerTls) -> bool {
        if self.stage != Stage::Established || self.checked == current.id() {
            return false;
        }
        self.checked = current.id();
        current.withdraws(self.tls.peer_certificates().unwrap_or_default())
    }

    /// Whether [`Session::is_withdrawn`] would have something to do.
    pub(crate) fn is_outdated(&self, current: &ServerTls) -> bool {
        self.stage == Stage::Established && self.checked != current.id()
    }

    /// Appends records with `plain` to `out`. `held` is what was received and not used.
    pub(crate) fn encrypt(
        &mut self,
        plain: &[u8],
        held: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let room = plain.len() + (plain.len() / RECORD + 2) * OVERHEAD;
        self.write(held, out, |traffic, out| {
            append(out, room, |space| match traffic.encrypt(plain, space) {
                Ok(written) => Ok(written),
                Err(EncryptError::InsufficientSize(needed)) => Err(Some(needed)),
                Err(EncryptError::EncryptExhausted) => Err(None),
            })
        })
    }

    /// Appends the closing of our direction to `out`.
    pub(crate) fn close(&mut self, held: &mut Vec<u8>, out: &mut Vec<u8>) {
        if self.stage != Stage::Established {
            return;
        }
        let closed = self.write(held, out, |traffic, out| {
            append(out, 64, |space| match traffic.queue_close_notify(space) {
                Ok(written) => Ok(written),
                Err(EncryptError::InsufficientSize(needed)) => Err(Some(needed)),
                Err(EncryptError::EncryptExhausted) => Err(None),
            })
        });
        // Without it the other side sees the connection end all the same.
        drop(closed);
    }

    fn write(
        &mut self,
        held: &mut Vec<u8>,
        out: &mut Vec<u8>,
        mut with: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>) -> bool,
    ) -> Result<(), Failure> {
        if self.stage != Stage::Established {
            return Err(Error::HandshakeNotComplete.into());
        }
        // A message of the other side that is not whole lies in `held`, where TLS wants to find
        // it each time.
        loop {
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(held);
            let done = match state? {
                ConnectionState::WriteTraffic(mut traffic) => Some(with(&mut traffic, out)),
                ConnectionState::EncodeTlsData(mut data) => {
                    match encode(out, |space| data.encode(space)) {
                        true => None,
                        false => Some(false),
                    }
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    None
                }
                ConnectionState::PeerClosed => None,
                _ => Some(false),
            };
            held.drain(..discard);
            match done {
                None => {}
                Some(true) => return Ok(()),
                Some(false) => return Err(Error::EncryptError.into()),
            }
        }
    }

    /// Lets TLS do what it can with `raw`. Returns how much of it is used.
    fn drive(
        &mut self,
        raw: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> (usize, Result<Driven, Error>) {
        let mut used = 0;
        let mut closed = false;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.tls.process_tls_records(&mut raw[used..]);
            let driven = match state {
                Err(error) => Some(Err(error)),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    match traffic.next_record() {
                        None => break None,
                        Some(Err(error)) => break Some(Err(error)),
                        Some(Ok(record)) => {
                            discard += record.discard;
                            plain.extend_from_slice(record.payload);
                        }
                    }
                },
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    match encode(out, |space| data.encode(space)) {
                        true => None,
                        false => Some(Err(Error::EncryptError)),
                    }
                }
                // It is in `out`, which goes before anything else.
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    closed = true;
                    None
                }
                Ok(ConnectionState::Closed) => Some(Ok(Driven::Closed)),
                Ok(ConnectionState::WriteTraffic(_)) => Some(Ok(Driven::Traffic)),
                Ok(ConnectionState::BlockedHandshake) => Some(Ok(Driven::Waiting)),
                // Early data is off, and nothing else is known.
                Ok(_) => Some(Err(Error::HandshakeNotComplete)),
            };
            used += discard;
            match driven {
                None => {}
                Some(Ok(_)) if closed => return (used, Ok(Driven::Closed)),
                Some(driven) => return (used, driven),
            }
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Where TLS stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driven {
    /// It needs more bytes to go on with the handshake.
    Waiting,
    /// It is ready for both directions.
    Traffic,
    /// The other side will send no more.
    Closed,
}

fn encode(
    out: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> bool {
    append(out, 0, |space| match encode(space) {
        Ok(written) => Ok(written),
        Err(EncodeError::InsufficientSize(needed)) => Err(Some(needed)),
        Err(EncodeError::AlreadyEncoded) => Err(None),
    })
}

/// Appends what `write` writes into the space that it is given. It is tried again with what it
/// says that it needs.
fn append(
    out: &mut Vec<u8>,
    guess: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<InsufficientSizeError>>,
) -> bool {
    let start = out.len();
    let mut room = guess;
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return true;
            }
            Err(Some(needed)) if needed.required_size > room => room = needed.required_size,
            Err(_) => {
                out.truncate(start);
                return false;
            }
        }
    }
}

/// Most plaintext bytes of a record.
const RECORD: usize = 16 * 1024;
/// Bytes that a record costs besides; no cipher that we have needs more.
const OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_own_place_and_name() {
        for (place, failure) in HandshakeFailure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, place);
            let same = |other: &HandshakeFailure| other.name() == failure.name();
            assert_eq!(
                HandshakeFailure::ALL
                    .iter()
                    .filter(|other| same(other))
                    .count(),
                1
            );
        }
    }

    #[test]
    fn a_session_can_move_between_threads() {
        fn movable<T: Send>() {}
        movable::<Session>();
    }
}
