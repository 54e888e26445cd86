//! Networks whose word is taken.

use std::net::IpAddr;

/// A network: an address and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// `None` for more bits than such an address has. IPv4 in the form of IPv6 is IPv4.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let canonical = address.to_canonical();
        let bits = match (address, canonical) {
            (IpAddr::V6(_), IpAddr::V4(_)) => bits.checked_sub(96)?,
            _ => bits,
        };
        let most = if canonical.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self {
            address: canonical,
            bits,
        })
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, bits: u8) -> Network {
        Network::new(address.parse().unwrap(), bits).unwrap()
    }

    #[test]
    fn the_first_bits_decide() {
        let contains = |network: Network, address: &str| network.contains(address.parse().unwrap());
        let ten = network("10.1.2.3", 8);
        assert!(contains(ten, "10.255.0.1") && contains(ten, "::ffff:10.0.0.9"));
        assert!(!contains(ten, "11.0.0.0") && !contains(ten, "::"));
        assert!(contains(network("0.0.0.0", 0), "255.255.255.255"));
        let one = network("192.0.2.1", 32);
        assert!(contains(one, "192.0.2.1") && !contains(one, "192.0.2.0"));
        let six = network("2001:db8::", 33);
        assert!(contains(six, "2001:db8:7fff::1") && !contains(six, "2001:db8:8000::"));
        assert!(contains(network("::ffff:10.0.0.0", 104), "10.9.9.9"));
        assert!(contains(network("::", 0), "fe80::1"));
    }

    #[test]
    fn more_bits_than_there_are_is_no_network() {
        for (address, bits) in [("10.0.0.0", 33), ("::1", 129), ("::ffff:10.0.0.0", 95)] {
            assert_eq!(Network::new(address.parse().unwrap(), bits), None);
        }
    }
}
