//! An address and how much of it counts.

use std::fmt;
use std::net::IpAddr;

/// A network: an address and how many of its first bits count. IPv4 addresses are IPv4 however
/// they are written (`::ffff:10.0.0.1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a network was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkError {
    /// Not an address, or not one and `/` and a number.
    Malformed,
    /// More bits than the address has: 32 or 128.
    Prefix,
    /// Bits are set behind those that count: `10.0.0.1/8` names a host, or the prefix is wrong.
    HostBits,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not an address or a network such as 10.0.0.0/8 or ::1",
            Self::Prefix => "more bits after / than the address has",
            Self::HostBits => "the address has bits beyond those that / says count",
        })
    }
}

impl std::error::Error for NetworkError {}

impl Network {
    /// Reads `10.0.0.0/8`, `192.168.1.7`, `2001:db8::/32`, `::1`.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, digits)) => {
                // `u8::from_str` takes a sign, too.
                if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                    return Err(NetworkError::Malformed);
                }
                let prefix = digits.parse::<u8>().map_err(|_| NetworkError::Prefix)?;
                (address, Some(prefix))
            }
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        Self::new(address, prefix.unwrap_or(width(address)))
    }

    /// The network of the first `prefix` bits of an address, the others of which are zero.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        if prefix > width(address) {
            return Err(NetworkError::Prefix);
        }
        let canonical = address.to_canonical();
        let prefix = if address.is_ipv6() && canonical.is_ipv4() {
            // Fewer bits than that are more than all of IPv4.
            prefix.checked_sub(96).ok_or(NetworkError::Prefix)?
        } else {
            prefix
        };
        let network = Self {
            address: canonical,
            prefix,
        };
        if kept(canonical, prefix) != bits(canonical) {
            return Err(NetworkError::HostBits);
        }
        Ok(network)
    }

    /// The network of one address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self {
            address,
            prefix: width(address),
        }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Bits that count: at most 32, or 128.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether an address is in it. No IPv6 network has an IPv4 address in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.to_canonical().is_ipv4()
            && Self::around(address, self.prefix) == self
    }

    /// The network of this size that an address is in. More bits than it has are all of them.
    pub(crate) fn around(address: IpAddr, prefix: u8) -> Self {
        let address = address.to_canonical();
        let prefix = prefix.min(width(address));
        let kept = kept(address, prefix);
        let address = match address {
            // Of 32 bits, 32 remain.
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept).unwrap_or(u32::MAX).into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        };
        Self { address, prefix }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.address) {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn kept(address: IpAddr, prefix: u8) -> u128 {
    let rest = u32::from(width(address).saturating_sub(prefix));
    // Shifting by all 128 is no shift at all.
    let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
    bits(address) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

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
            assert_eq!(network(text).to_string(), text);
        }
        assert_eq!(network("127.0.0.1/32").to_string(), "127.0.0.1");
        assert_eq!(network("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        for (text, error) in [
            ("", NetworkError::Malformed),
            ("10.0.0/8", NetworkError::Malformed),
            ("10.0.0.0/", NetworkError::Malformed),
            ("10.0.0.0/+8", NetworkError::Malformed),
            ("10.0.0.0/8/8", NetworkError::Malformed),
            ("10.0.0.0/33", NetworkError::Prefix),
            ("10.0.0.0/256", NetworkError::Prefix),
            ("::/129", NetworkError::Prefix),
            ("::ffff:0.0.0.0/95", NetworkError::Prefix),
            ("10.0.0.1/8", NetworkError::HostBits),
            ("::1/0", NetworkError::HostBits),
        ] {
            assert_eq!(Network::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_network_has_its_addresses() {
        let has = |text: &str, address: &str| network(text).contains(address.parse().unwrap());
        assert!(has("10.0.0.0/8", "10.255.0.1"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(!has("10.0.0.0/8", "11.0.0.0"));
        assert!(has("0.0.0.0/0", "1.2.3.4"));
        assert!(!has("0.0.0.0/0", "::1"));
        assert!(!has("::/0", "1.2.3.4"));
        assert!(has("::/0", "fe80::1"));
        assert!(has("::1", "::1") && !has("::1", "::2"));
        assert!(has("10.0.0.4/30", "10.0.0.7") && !has("10.0.0.4/30", "10.0.0.8"));
    }
}
