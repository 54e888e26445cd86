//! Networks, as allow and deny lists name them.

use std::fmt;
use std::net::IpAddr;

/// An address and how many of its first bits count; the others are zero. IPv4 in the form of IPv6
/// is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `192.168.1.7`, `2001:db8::/32`, `::1`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (address, digits) = match text.split_once('/') {
            Some((address, digits)) => (address, Some(digits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NO_NETWORK)?;
        let width: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match digits {
            None => width,
            // `u8::from_str` takes a sign, too.
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse::<u8>().map_err(|_| NO_NETWORK)?
            }
            Some(_) => return Err(NO_NETWORK),
        };
        if prefix > width {
            return Err(
                "has more bits behind / than an address; at most 32 for IPv4, 128 for IPv6",
            );
        }
        let canonical = address.to_canonical();
        let prefix = if address.is_ipv6() && canonical.is_ipv4() {
            prefix.checked_sub(96).ok_or(NO_NETWORK)?
        } else {
            prefix
        };
        if !is_clear_beyond(canonical, prefix) {
            return Err(
                "has bits beyond those that / says count; write the network's first address",
            );
        }
        Ok(Self {
            address: canonical,
            prefix,
        })
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Bits that count: at most 32, or 128.
    pub fn prefix(self) -> u8 {
        self.prefix
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.prefix) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => self.address.fmt(f),
            (address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}

/// Whether all bits behind the first `prefix` are zero.
fn is_clear_beyond(address: IpAddr, prefix: u8) -> bool {
    let prefix = u32::from(prefix);
    // Shifting by all bits is no shift at all; then nothing is beyond.
    match address {
        IpAddr::V4(address) => address.to_bits().checked_shl(prefix).unwrap_or(0) == 0,
        IpAddr::V6(address) => address.to_bits().checked_shl(prefix).unwrap_or(0) == 0,
    }
}

const NO_NETWORK: &str =
    "is no network; write an address or a network such as \"10.0.0.0/8\" or \"::1\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_and_written() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "::/0",
            "::1",
            "2001:db8::/32",
            "127.0.0.1",
        ] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        let parse = |text| Network::parse(text).unwrap();
        assert_eq!(parse("127.0.0.1/32").to_string(), "127.0.0.1");
        assert_eq!(parse("::ffff:10.0.0.0/104"), parse("10.0.0.0/8"));
        assert_eq!(parse("10.0.0.0/8").prefix(), 8);
        assert_eq!(parse("10.0.0.0/8").address().to_string(), "10.0.0.0");
        for (text, told) in [
            ("", "is no network"),
            ("10.0.0/8", "is no network"),
            ("10.0.0.0/", "is no network"),
            ("10.0.0.0/+8", "is no network"),
            ("10.0.0.0/8/8", "is no network"),
            ("10.0.0.0/256", "is no network"),
            ("::ffff:0.0.0.0/95", "is no network"),
            ("10.0.0.0/33", "has more bits"),
            ("::/129", "has more bits"),
            ("10.0.0.1/8", "has bits beyond"),
            ("::1/0", "has bits beyond"),
        ] {
            let found = Network::parse(text).unwrap_err();
            assert!(found.starts_with(told), "{text}: {found}");
        }
    }
}
