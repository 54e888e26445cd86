//! TCP and TLS to the other server.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::settings::{Address, Password, Settings, Tls};

/// A link to the other server.
pub(crate) trait Link: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// Why there is no link.
#[derive(Debug)]
pub(crate) enum DialError {
    /// A file of ours cannot be used.
    File(PathBuf, String),
    /// The system says no.
    Io(&'static str, io::Error),
    /// No answer in time.
    Timeout,
    /// The host's name can be no server's.
    Name(String),
    /// What is configured does not fit together.
    Tls(Error),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::Timeout => f.write_str("no connection in time"),
            Self::Name(name) => write!(f, "{name:?} is no name that a certificate can be for"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
        }
    }
}

/// Connects to one address: the first of its IP addresses that answers.
pub(crate) async fn dial(
    settings: &Settings,
    address: &Address,
) -> Result<Box<dyn Link>, DialError> {
    let dialing = async {
        let stream = connect(address).await?;
        let Some(tls) = &settings.tls else {
            return Ok(Box::new(stream) as Box<dyn Link>);
        };
        let config = client_config(tls)?;
        let name = tls.server_name.as_deref().unwrap_or(&address.host);
        let name =
            ServerName::try_from(name.to_owned()).map_err(|_| DialError::Name(name.to_owned()))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = stream.await.map_err(|error| DialError::Io("TLS", error))?;
        Ok(Box::new(stream) as Box<dyn Link>)
    };
    timeout(PATIENCE, dialing)
        .await
        .unwrap_or(Err(DialError::Timeout))
}

/// Whether somebody listens there.
pub(crate) async fn answers(address: &Address) -> bool {
    matches!(timeout(PATIENCE, connect(address)).await, Ok(Ok(_)))
}

async fn connect(address: &Address) -> Result<TcpStream, DialError> {
    let found = lookup_host((address.host.as_str(), address.port)).await;
    let found = found.map_err(|error| DialError::Io("the name is not found", error))?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for one in found {
        match TcpStream::connect(one).await {
            Ok(stream) => {
                let set = stream.set_nodelay(true);
                set.map_err(|error| DialError::Io("cannot connect", error))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(DialError::Io("cannot connect", last))
}

/// The password as it is now.
pub(crate) fn password(
    settings: &Settings,
) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, DialError> {
    match &settings.password {
        None => Ok(None),
        Some(Password::Plain(text)) => Ok(Some(zeroize::Zeroizing::new(text.as_bytes().to_vec()))),
        Some(Password::File(path)) => {
            let mut bytes = zeroize::Zeroizing::new(read(path)?);
            while bytes
                .last()
                .is_some_and(|last| matches!(last, b'\n' | b'\r'))
            {
                bytes.pop();
            }
            Ok(Some(bytes))
        }
    }
}

/// Whether certificates, keys and the password can be read and used.
///
/// # Errors
/// Which file it is, and what is wrong with it.
pub(crate) fn check(settings: &Settings) -> Result<(), DialError> {
    password(settings)?;
    match &settings.tls {
        Some(tls) => client_config(tls).map(drop),
        None => Ok(()),
    }
}

fn client_config(tls: &Tls) -> Result<ClientConfig, DialError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = match tls.only_1_3 {
        true => &[&rustls::version::TLS13],
        false => rustls::DEFAULT_VERSIONS,
    };
    let roots = Arc::new(roots(tls)?);
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
    let verifier = verifier.map_err(|error| {
        let path = tls.authorities.first().cloned().unwrap_or_default();
        DialError::File(path, error.to_string())
    })?;
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder
        .with_protocol_versions(versions)
        .map_err(DialError::Tls)?;
    let builder = match tls.any_name {
        false => builder.with_webpki_verifier(verifier),
        true => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName(verifier))),
    };
    let mut config = match &tls.certificate {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let certificates = certificates(chain)?;
            let wrong = |error: &dyn fmt::Display| DialError::File(key.clone(), error.to_string());
            let text = zeroize::Zeroizing::new(read(key)?);
            let parsed = PrivateKeyDer::from_pem_slice(&text).map_err(|error| wrong(&error))?;
            builder
                .with_client_auth_cert(certificates, parsed)
                .map_err(|error| wrong(&error))?
        }
    };
    let alpn = tls.alpn.iter().map(|name| name.as_bytes().to_vec());
    config.alpn_protocols = alpn.collect();
    Ok(config)
}

/// Those that are trusted; never nobody, and never everybody (S79).
fn roots(tls: &Tls) -> Result<RootCertStore, DialError> {
    let mut roots = RootCertStore::empty();
    if tls.authorities.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    }
    for path in &tls.authorities {
        let wrong = |error: &dyn fmt::Display| DialError::File(path.clone(), error.to_string());
        let mut files = vec![path.clone()];
        if path.is_dir() {
            let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let entries = entries.map_err(|error| wrong(&error))?;
            files = entries.iter().map(fs::DirEntry::path).collect();
            files.retain(|file| file.is_file());
        }
        for file in files {
            for certificate in certificates(&file)? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        }
    }
    match roots.is_empty() {
        false => Ok(roots),
        true => {
            let path = tls.authorities.first().cloned().unwrap_or_default();
            Err(DialError::File(path, "no certificate in it".into()))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DialError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| DialError::File(path.into(), error.to_string()))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(DialError::File(path.into(), "no certificate in it".into())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DialError> {
    fs::read(path).map_err(|error| DialError::File(path.into(), error.to_string()))
}

/// A good certificate, whatever name it is for.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp, now);
        match verified {
            // The name is looked at last: all else is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Longest time for name, connection and handshake together.
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s79_authorities_that_cannot_be_read_trust_nobody() {
        let folder = std::env::temp_dir();
        let missing = folder.join("nightjar-bridge-no-such-file.pem");
        let tls = Tls {
            authorities: vec![missing],
            ..Tls::default()
        };
        assert!(matches!(client_config(&tls), Err(DialError::File(..))));
        let empty = Tls {
            authorities: vec!["/dev/null".into()],
            ..Tls::default()
        };
        let error = client_config(&empty).unwrap_err().to_string();
        assert_eq!(error, "/dev/null: no certificate in it");
        assert!(client_config(&Tls::default()).is_ok(), "those of browsers");
    }
}
