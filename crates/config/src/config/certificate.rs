//! What the server shows to be who it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::Url;

/// A certificate of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What `listener.certificates` calls it.
    pub name: String,
    /// Where it comes from.
    pub origin: CertificateOrigin,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateOrigin {
    /// Files that somebody else writes.
    Files(CertificateFiles),
    /// A certificate authority that is asked.
    Acme(Acme),
}

/// Files that somebody else writes. They are watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// File (PEM) of the certificate, and behind it those that sign it.
    pub chain: PathBuf,
    /// File (PEM) of the private key. Refused if others than its owner may read it.
    pub key: PathBuf,
}

/// A certificate authority that is asked (ACME, RFC 8555). What it gives is kept in the data folder
/// and renewed in time. Asking means to agree to the authority's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Address of the authority's directory, such as
    /// `https://acme-v02.api.letsencrypt.org/directory`.
    pub acme: Url,
    /// Names that the certificate is for.
    pub domains: Vec<String>,
    /// Where the authority may write to.
    pub email: Option<String>,
    /// File (PEM) of a root to trust when the authority is asked. Without it those that browsers
    /// trust.
    pub acme_ca: Option<PathBuf>,
    /// How the authority looks whether the names are ours: by a request on port 80 (`http-01`), or
    /// by TLS on port 443 (`tls-alpn-01`, which this version does not speak).
    pub challenge: Challenge,
    /// Where requests of the authority are answered, for `http-01`, while it looks.
    pub http_address: SocketAddr,
}

/// How an authority looks whether a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// By a request on port 80.
    Http01,
    /// By TLS on port 443.
    TlsAlpn01,
}

impl Default for Acme {
    fn default() -> Self {
        Self {
            acme: Url::default(),
            domains: Vec::new(),
            email: None,
            acme_ca: None,
            challenge: Challenge::Http01,
            http_address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 80),
        }
    }
}
