//! What is in a file of certificates, whether or not it can be used.

use std::path::Path;

use x509_parser::prelude::{FromDer, X509Certificate};

use super::facts::{distinguished_name, hex};
use super::load::{TlsError, certificates, names};

/// One certificate of a chain, the server's own first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLink {
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

/// All certificates of a file, for who looks after a server. Unlike [`ServerTls::load`] it takes what
/// has expired: that is what one looks for. No signature is checked.
///
/// [`ServerTls::load`]: super::ServerTls::load
///
/// # Errors
/// The file cannot be read, has no certificate, or one that cannot be understood.
pub fn certificate_chain(path: &Path) -> Result<Vec<ChainLink>, TlsError> {
    let links = certificates(path)?.into_iter().map(|der| {
        let parsed = X509Certificate::from_der(&der);
        let (_, parsed) = parsed.map_err(|error| TlsError::malformed(path, error))?;
        Ok(ChainLink {
            subject: distinguished_name(parsed.subject()),
            issuer: distinguished_name(parsed.issuer()),
            names: names(&parsed).map_err(|error| TlsError::malformed(path, error))?,
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            fingerprint: hex(ring::digest::digest(&ring::digest::SHA256, &der).as_ref()),
        })
    });
    links.collect()
}
