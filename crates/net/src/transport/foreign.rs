//! What a peer speaks that came to the wrong port (S82).

use std::fmt;

/// A protocol, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// A request of HTTP, 1 or 2.
    Http,
    /// A hello of TLS.
    Tls,
    /// A hello of SSL 2.
    Ssl2,
    /// A header of the PROXY protocol.
    Proxy,
    /// MQTT without what this listener wants around it.
    Mqtt,
    /// SSH.
    Ssh,
}

impl Protocol {
    /// What these first bytes of a connection look like, if that is plain from them.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => Some(Self::Proxy),
            [b'\r', b'\n', b'\r', b'\n', 0, b'\r', b'\n', ..] => Some(Self::Proxy),
            [0x16, 3, 0..=4, ..] => Some(Self::Tls),
            [0x80..=0xff, _, 1, 0, 2, ..] | [0x80..=0xff, _, 1, 3, 0..=3, ..] => Some(Self::Ssl2),
            [b'S', b'S', b'H', b'-', ..] => Some(Self::Ssh),
            [0x10, _, 0, 4, b'M', ..] | [0x10, _, 0, 6, b'M', ..] => Some(Self::Mqtt),
            [0x10, 0x80..=0xff, _, 0, 4 | 6, b'M', ..] => Some(Self::Mqtt),
            [b'A'..=b'Z', ..] => METHODS
                .iter()
                .any(|method| bytes.starts_with(method.as_bytes()))
                .then_some(Self::Http),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Ssl2 => "SSL 2",
            Self::Proxy => "the PROXY protocol",
            Self::Mqtt => "plain MQTT",
            Self::Ssh => "SSH",
        })
    }
}

const METHODS: [&str; 10] = [
    "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI ",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s82_first_bytes_tell_protocols_apart() {
        let mqtt5 = b"\x10\x10\x00\x04MQTT\x05";
        let long = b"\x10\x90\x01\x00\x04MQTT\x05";
        let table: [(&[u8], Option<Protocol>); 16] = [
            (b"GET / HTTP/1.1\r\n", Some(Protocol::Http)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Protocol::Http)),
            (b"PROXY TCP4 ", Some(Protocol::Proxy)),
            (b"\r\n\r\n\x00\r\nQUIT\n", Some(Protocol::Proxy)),
            (b"\x16\x03\x01\x02\x00\x01", Some(Protocol::Tls)),
            (b"\x80\x2e\x01\x00\x02\x00\x15", Some(Protocol::Ssl2)),
            (b"\x80\x2e\x01\x03\x01\x00\x15", Some(Protocol::Ssl2)),
            (b"SSH-2.0-x", Some(Protocol::Ssh)),
            (mqtt5, Some(Protocol::Mqtt)),
            (long, Some(Protocol::Mqtt)),
            (b"\x10\x0c\x00\x06MQIsdp\x03", Some(Protocol::Mqtt)),
            (b"GE", None),
            (b"GETTY", None),
            (b"", None),
            (b"\x82\x05\x00\x01", None),
            (b"\x00\x00", None),
        ];
        for (bytes, protocol) in table {
            assert_eq!(Protocol::of(bytes), protocol, "{bytes:?}");
        }
    }
}
