//! The PROXY protocol: for whom a proxy speaks. Versions 1 and 2, as HAProxy's
//! `proxy-protocol.txt` says.
//!
//! A pure parser: bytes in, header out. Whether the sender is to be trusted is not asked here.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use types::Certificate;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// The begin of a header.
    Incomplete,
    /// A header of so many bytes.
    Header {
        length: usize,
        /// For whom the proxy speaks; `None`: for itself (a health check).
        client: Option<Client>,
    },
}

/// For whom a proxy speaks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    /// What the proxy says of the client's certificate, which it has verified.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// Reads a header from the front of `bytes`.
///
/// # Errors
/// Says what is wrong with them. No header is also wrong: a proxy that may leave it out could be
/// made to by its clients.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, &'static str> {
    if is_begin_of(bytes, SIGNATURE_2) {
        return match bytes.strip_prefix(SIGNATURE_2) {
            Some(rest) => version_2(rest),
            None => Ok(Parsed::Incomplete),
        };
    }
    if is_begin_of(bytes, SIGNATURE_1) {
        return version_1(bytes);
    }
    Err("no PROXY header")
}

/// Whether `bytes` begin with `signature`, as far as they go.
fn is_begin_of(bytes: &[u8], signature: &[u8]) -> bool {
    bytes
        .iter()
        .zip(signature)
        .all(|(byte, wanted)| byte == wanted)
}

fn version_1(bytes: &[u8]) -> Result<Parsed, &'static str> {
    let line = bytes.get(..LONGEST_1).unwrap_or(bytes);
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return match bytes.len() < LONGEST_1 {
            true => Ok(Parsed::Incomplete),
            false => Err("a PROXY line of more than 107 bytes"),
        };
    };
    let text = line
        .get(..end)
        .and_then(|line| std::str::from_utf8(line).ok());
    let text = text.ok_or("a PROXY line that is not ASCII")?;
    let mut words = text.split(' ').skip(1);
    let mut word = || words.next().ok_or("a PROXY line that is too short");
    let client = match word()? {
        // Health checks, and what is neither TCP over IPv4 nor over IPv6. The rest of the line
        // means nothing.
        "UNKNOWN" => None,
        "TCP4" => Some(addresses_1::<Ipv4Addr>([
            word()?,
            word()?,
            word()?,
            word()?,
        ])?),
        "TCP6" => Some(addresses_1::<Ipv6Addr>([
            word()?,
            word()?,
            word()?,
            word()?,
        ])?),
        _ => return Err("a PROXY line of an unknown protocol"),
    };
    if client.is_some() && words.next().is_some() {
        return Err("a PROXY line with more than it should have");
    }
    Ok(Parsed::Header {
        length: end.saturating_add(2),
        client: client.map(|address| Client {
            address,
            certificate: None,
        }),
    })
}

fn addresses_1<A: FromStr + Into<IpAddr>>(words: [&str; 4]) -> Result<SocketAddr, &'static str> {
    let [source, destination, port, destination_port] = words;
    let address = |word: &str| A::from_str(word).map_err(|_| "a PROXY line with a bad address");
    let number = |word: &str| {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let number = word.parse::<u16>().ok().filter(|_| digits);
        number.ok_or("a PROXY line with a bad port")
    };
    address(destination)?;
    number(destination_port)?;
    Ok(SocketAddr::new(address(source)?.into(), number(port)?))
}

/// What follows the signature.
fn version_2(bytes: &[u8]) -> Result<Parsed, &'static str> {
    let [kind, family, high, low, rest @ ..] = bytes else {
        return Ok(Parsed::Incomplete);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > LONGEST_2.saturating_sub(FIXED_2) {
        return Err("a PROXY header of more than 536 bytes");
    }
    let client = match kind {
        0x20 => false,
        0x21 => true,
        _ => return Err("a PROXY header of an unknown version or command"),
    };
    let Some(body) = rest.get(..length) else {
        return Ok(Parsed::Incomplete);
    };
    let client = match client {
        // LOCAL: what else it says is to be ignored.
        false => None,
        true => Some(client_2(*family, body)?),
    };
    Ok(Parsed::Header {
        length: length.saturating_add(FIXED_2),
        client,
    })
}

fn client_2(family: u8, body: &[u8]) -> Result<Client, &'static str> {
    let (address, values) = match family {
        TCP4 => {
            let (block, values) = body.split_first_chunk::<12>().ok_or(SHORT)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *block;
            let port = u16::from_be_bytes([high, low]);
            (
                SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port),
                values,
            )
        }
        TCP6 => {
            let (source, rest) = body.split_first_chunk::<16>().ok_or(SHORT)?;
            let (_destination, rest) = rest.split_first_chunk::<16>().ok_or(SHORT)?;
            let (ports, values) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
            let [high, low, _, _] = *ports;
            let port = u16::from_be_bytes([high, low]);
            (
                SocketAddr::new(Ipv6Addr::from(*source).into(), port),
                values,
            )
        }
        // A client without an address would be taken for the proxy itself; a Unix socket of
        // another machine is no user of this one (S89).
        0 => return Err("a PROXY header without an address"),
        _ => return Err("a PROXY header of another family than TCP over IPv4 or IPv6"),
    };
    let certificate = certificate_of(values)?;
    Ok(Client {
        address,
        certificate: certificate.map(Arc::new),
    })
}

/// Looks through all values, so that a header with one that is cut short is refused whole.
fn certificate_of(mut values: &[u8]) -> Result<Option<Certificate>, &'static str> {
    let mut found = None;
    while !values.is_empty() {
        let (kind, value, rest) = value(values)?;
        values = rest;
        if kind == TYPE_SSL && found.replace(ssl(value)?).is_some() {
            return Err("a PROXY header with two descriptions of TLS");
        }
    }
    Ok(found.flatten())
}

/// A certificate counts if the client showed one and the proxy found it good. Its name may be
/// missing or empty: then it is a certificate without a name, which is nobody (S77, S89).
fn ssl(value: &[u8]) -> Result<Option<Certificate>, &'static str> {
    let ([flags, verify @ ..], mut values) = value.split_first_chunk::<5>().ok_or(SHORT)?;
    let shown = flags & CLIENT_SSL != 0 && flags & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) != 0;
    let verified = verify == &[0; 4];
    let mut certificate = Certificate::default();
    while !values.is_empty() {
        let (kind, value, rest) = self::value(values)?;
        values = rest;
        if kind == SUBTYPE_SSL_CN {
            let name = std::str::from_utf8(value).map_err(|_| "a PROXY header with a bad name")?;
            certificate.common_names.push(name.to_owned());
        }
    }
    Ok((shown && verified).then_some(certificate))
}

/// The first of some type-length-values, and the rest.
fn value(values: &[u8]) -> Result<(u8, &[u8], &[u8]), &'static str> {
    let ([kind, high, low], rest) = values.split_first_chunk::<3>().ok_or(SHORT)?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (value, rest) = rest.split_at_checked(length).ok_or(SHORT)?;
    Ok((*kind, value, rest))
}

const SIGNATURE_1: &[u8] = b"PROXY ";
const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// As the protocol's text counts it.
const LONGEST_1: usize = 107;
/// What the protocol's text says that a receiver must be ready for, and we are for no more.
const LONGEST_2: usize = 536;
/// The signature and four bytes.
const FIXED_2: usize = 16;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const TYPE_SSL: u8 = 0x20;
const SUBTYPE_SSL_CN: u8 = 0x22;
const CLIENT_SSL: u8 = 1;
const CLIENT_CERT_CONN: u8 = 2;
const CLIENT_CERT_SESS: u8 = 4;
const SHORT: &str = "a PROXY header shorter than what it says is in it";

#[cfg(test)]
#[path = "proxy/tests.rs"]
mod tests;
