//! What a client's certificate says, once the handshake has proved that the client has its key.

/// A verified client certificate, in plain words. Nothing here was checked beyond the chain: a
/// name may be empty, doubled or strange, and who maps it to a user decides what it takes (S77).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Every Common Name of the subject, in order.
    pub common_names: Vec<String>,
    /// The subject as text (RFC 4514).
    pub subject: String,
    /// The issuer as text (RFC 4514).
    pub issuer: String,
    /// DNS names of the Subject Alternative Name.
    pub dns_names: Vec<String>,
    /// URIs of the Subject Alternative Name.
    pub uris: Vec<String>,
    /// Mail addresses of the Subject Alternative Name.
    pub emails: Vec<String>,
    /// The serial number, as hexadecimal digits.
    pub serial: String,
    /// SHA-256 of the certificate's DER form, as hexadecimal digits.
    pub fingerprint: String,
    /// When it ends to be valid, in seconds since 1970.
    pub not_after: i64,
}
