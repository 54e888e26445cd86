//! From files to what handshakes go by. Whatever is wrong with a file is said here, before anything
//! is replaced (S73, S76, S79, S99).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, ring as ring_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ServerSessionMemoryCache, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion};
use x509_parser::error::X509Error;
use x509_parser::prelude::{CertificateRevocationList, FromDer, GeneralName, X509Certificate};

use super::door::ServerTls;
use super::facts::{distinguished_name, hex};
use super::resolver::Resolver;

/// The files of a listener's TLS, all PEM (revocation lists also DER).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// At least one. The first is shown to those who ask for no name.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients show certificates.
    pub client: ClientAuth,
    /// What becomes of those who ask for a name that no certificate has, or for none.
    pub unknown_name: UnknownName,
    /// The oldest version taken.
    pub oldest: TlsVersion,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// The key: PKCS #8, PKCS #1 or SEC 1, not encrypted. Only its owner may have access to it.
    pub key: PathBuf,
}

/// Whether clients show certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and may have none. One that is shown must be good.
    Optional(ClientCa),
    /// Those without a good one are refused (S78).
    Required(ClientCa),
}

/// Whose client certificates are good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCa {
    /// Files of the authorities' certificates.
    pub roots: Vec<PathBuf>,
    /// Files of their revocation lists. With none, revocation is not asked about.
    pub crls: Vec<PathBuf>,
    /// What holds when the lists have no answer.
    pub revocation: Revocation,
}

/// What holds when revocation lists have no answer (S75).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// A certificate whose authority has no list, or an outdated one, is refused; so is one with
    /// such an authority between it and the root.
    #[default]
    Strict,
    /// Only what a list names is refused.
    Lenient,
}

/// What becomes of those who ask for no name or an unknown one (S80).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownName {
    /// They see the first certificate, and judge for themselves.
    #[default]
    FirstCertificate,
    /// Their handshake fails.
    Refuse,
}

/// The oldest version of TLS taken. There is nothing below 1.2, no renegotiation and no early data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// 1.3 only.
    Tls13,
}

/// What one of the server's certificates says, for display and for alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its file.
    pub path: PathBuf,
    /// The subject as text (RFC 4514).
    pub subject: String,
    /// The issuer as text (RFC 4514).
    pub issuer: String,
    /// DNS names and addresses of the Subject Alternative Name.
    pub names: Vec<String>,
    /// When it begins to be valid, in seconds since 1970.
    pub not_before: i64,
    /// When it ends to be valid, in seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of its DER form, as hexadecimal digits.
    pub fingerprint: String,
}

impl ServerTls {
    /// Reads the files, and checks what can be checked before a client comes.
    ///
    /// # Errors
    /// The first file that is not as it must be, by name.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring_provider::default_provider());
        let Some(_first) = files.certificates.first() else {
            return Err(TlsError::library("a listener with TLS needs a certificate"));
        };
        let (mut keys, mut names, mut facts) = (Vec::new(), Vec::new(), Vec::new());
        for (place, entry) in files.certificates.iter().enumerate() {
            let (key, fact) = certified_key(entry, &provider)?;
            let lower = fact.names.iter().map(|name| name.to_ascii_lowercase());
            names.extend(lower.map(|name| (name, place)));
            keys.push(Arc::new(key));
            facts.push(fact);
        }
        let (verifier, crl_next_update) = match &files.client {
            ClientAuth::Off => (None, None),
            ClientAuth::Optional(ca) => verifier(ca, Shown::Perhaps, &provider)?,
            ClientAuth::Required(ca) => verifier(ca, Shown::Always, &provider)?,
        };
        let versions: &[&SupportedProtocolVersion] = match files.oldest {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::library)?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let resolver = Resolver::new(keys, names, files.unknown_name);
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.ticketer = ring_provider::Ticketer::new().map_err(TlsError::library)?;
        config.session_storage = ServerSessionMemoryCache::new(CACHED_SESSIONS);
        config.send_tls13_tickets = TICKETS;
        Ok(Self::new(config, verifier, facts, crl_next_update))
    }
}

fn certified_key(
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, CertificateFacts), TlsError> {
    let path = &files.chain;
    let chain = certificates(path)?;
    let facts = facts(path, chain.first())?;
    let bytes = read_key(&files.key)?;
    let key = match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => key,
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            return Err(TlsError::nothing(
                &files.key,
                "private key (an encrypted one does not count)",
            ));
        }
        Err(error) => return Err(TlsError::malformed(&files.key, error)),
    };
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(key) => Ok((key, facts)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(TlsError::KeyMismatch {
            chain: path.clone(),
            key: files.key.clone(),
        }),
        Err(error) => Err(TlsError::malformed(&files.key, error)),
    }
}

fn facts(path: &Path, first: Option<&CertificateDer<'_>>) -> Result<CertificateFacts, TlsError> {
    let der = first.ok_or_else(|| TlsError::nothing(path, "certificate"))?;
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|error| TlsError::malformed(path, error))?;
    let (begin, end) = (
        parsed.validity().not_before.timestamp(),
        parsed.validity().not_after.timestamp(),
    );
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap_or(Duration::ZERO).as_secs()).unwrap_or(i64::MAX);
    if !(begin..=end).contains(&now) {
        return Err(TlsError::NotValidNow {
            path: path.to_owned(),
            validity: format!(
                "{} to {}",
                parsed.validity().not_before,
                parsed.validity().not_after
            ),
        });
    }
    let names = names(&parsed).map_err(|error| TlsError::malformed(path, error))?;
    Ok(CertificateFacts {
        path: path.to_owned(),
        subject: distinguished_name(parsed.subject()),
        issuer: distinguished_name(parsed.issuer()),
        names,
        not_before: begin,
        not_after: end,
        fingerprint: hex(ring::digest::digest(&ring::digest::SHA256, der).as_ref()),
    })
}

/// DNS names and addresses that a certificate is for.
pub(super) fn names(parsed: &X509Certificate<'_>) -> Result<Vec<String>, X509Error> {
    let names = parsed.subject_alternative_name()?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    });
    Ok(names.collect())
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(|four| std::net::Ipv4Addr::from(four).to_string());
    let six = <[u8; 16]>::try_from(bytes).map(|six| std::net::Ipv6Addr::from(six).to_string());
    four.or(six).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Perhaps,
    Always,
}

type Verifier = (Option<Arc<dyn ClientCertVerifier>>, Option<i64>);

fn verifier(
    ca: &ClientCa,
    shown: Shown,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in &ca.roots {
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::malformed(path, error))?;
        }
    }
    if roots.is_empty() {
        // Never "verify nothing" (S79).
        return Err(TlsError::library(
            "client certificates are asked for, and no authority is named",
        ));
    }
    let mut lists = Vec::new();
    let mut next_update = None;
    for path in &ca.crls {
        for list in revocation_lists(path)? {
            let (_, parsed) = CertificateRevocationList::from_der(&list)
                .map_err(|error| TlsError::malformed(path, error))?;
            let next = parsed.next_update().map(|time| time.timestamp());
            next_update = [next_update, next].into_iter().flatten().min();
            lists.push(list);
        }
    }
    let asked = !lists.is_empty();
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = builder.with_crls(lists);
    let builder = match ca.revocation {
        Revocation::Strict if asked => builder.enforce_revocation_expiration(),
        Revocation::Strict | Revocation::Lenient => builder.allow_unknown_revocation_status(),
    };
    let builder = match shown {
        Shown::Perhaps => builder.allow_unauthenticated(),
        Shown::Always => builder,
    };
    let verifier = builder
        .build()
        .map_err(|error| match (&error, ca.crls.as_slice()) {
            (VerifierBuilderError::InvalidCrl(_), [path, ..]) => TlsError::malformed(path, error),
            _ => TlsError::library(error),
        })?;
    Ok((Some(verifier), next_update))
}

/// All certificates of a file; an error if there is none.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path, &mut open(path)?)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| TlsError::malformed(path, error))?;
    match found.is_empty() {
        true => Err(TlsError::nothing(path, "certificate")),
        false => Ok(found),
    }
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let bytes = read(path, &mut open(path)?)?;
    // A DER sequence.
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.into()]);
    }
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| TlsError::malformed(path, error))?;
    match found.is_empty() {
        true => Err(TlsError::nothing(path, "revocation list")),
        false => Ok(found),
    }
}

/// A key that others can read is no secret (S99).
fn read_key(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut file = open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = file
            .metadata()
            .map_err(|error| TlsError::unreadable(path, error))?;
        let mode = found.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TlsError::KeyTooOpen {
                path: path.to_owned(),
                mode,
            });
        }
    }
    read(path, &mut file)
}

fn open(path: &Path) -> Result<File, TlsError> {
    File::open(path).map_err(|error| TlsError::unreadable(path, error))
}

fn read(path: &Path, file: &mut File) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = file.take(LONGEST_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|error| TlsError::unreadable(path, error))?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST_FILE) {
        true => Ok(bytes),
        false => Err(TlsError::malformed(path, "more than 64 MiB")),
    }
}

/// Why files cannot be used. Says which, and never what is in a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file has not what it is there for.
    NothingInIt {
        /// Which.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// What is in a file makes no sense.
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A key belongs to another certificate.
    KeyMismatch {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A certificate has expired, or is not yet valid.
    NotValidNow {
        /// Which.
        path: PathBuf,
        /// From when to when it is valid.
        validity: String,
    },
    /// Others than its owner have access to a key.
    KeyTooOpen {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Something about all of them together.
    Together(String),
}

impl TlsError {
    fn unreadable(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        Self::Unreadable { path, error }
    }

    fn nothing(path: &Path, what: &'static str) -> Self {
        let path = path.to_owned();
        Self::NothingInIt { path, what }
    }

    pub(super) fn malformed(path: &Path, why: impl fmt::Display) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    fn library(why: impl fmt::Display) -> Self {
        Self::Together(why.to_string())
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "{}: {error}", path.display()),
            Self::NothingInIt { path, what } => write!(f, "{}: no {what} in it", path.display()),
            Self::Malformed { path, why } => write!(f, "{}: {why}", path.display()),
            Self::KeyMismatch { chain, key } => write!(
                f,
                "{}: this key belongs to another certificate than {}",
                key.display(),
                chain.display()
            ),
            Self::NotValidNow { path, validity } => {
                write!(f, "{}: valid only from {validity}", path.display())
            }
            Self::KeyTooOpen { path, mode } => write!(
                f,
                "{}: others than its owner have access to this key (mode {mode:03o}); make it 600",
                path.display()
            ),
            Self::Together(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Sessions that a listener remembers for clients that take no tickets; the oldest go first.
const CACHED_SESSIONS: usize = 4096;
/// Tickets after a handshake of TLS 1.3. A client that connects again gets another.
const TICKETS: usize = 1;
/// Most bytes of a file: a revocation list of a million certificates.
const LONGEST_FILE: u64 = 64 * 1024 * 1024;
