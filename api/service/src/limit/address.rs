//! The network address of a client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address of the client that sent a request. Behind a trusted proxy it is the address that the proxy reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress {
    ip: IpAddr,
}

impl ClientAddress {
    /// Makes the address of a client. An IPv4 address in IPv6 form becomes plain IPv4.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self { ip: address.to_canonical() }
    }

    /// Returns the IP address.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.ip
    }

    /// Returns the network by which budgets are counted: the address itself for IPv4, and its /64 network for IPv6.
    /// Every household has at least one /64 network.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.ip {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        }
    }

    /// Returns a coarse network that people may see: the /24 network of IPv4, and the /48 network of IPv6. It shows
    /// the provider and the region, but not the household.
    #[must_use]
    pub fn coarse_network(self) -> String {
        match self.ip {
            IpAddr::V4(address) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8))),
            IpAddr::V6(address) => {
                format!("{}/48", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> String {
        ClientAddress::new(address.parse().unwrap()).network().to_string()
    }

    #[test]
    fn a_coarse_network_hides_the_household() {
        let coarse = |address: &str| ClientAddress::new(address.parse().unwrap()).coarse_network();
        assert_eq!(coarse("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(coarse("::ffff:192.0.2.7"), "192.0.2.0/24");
        assert_eq!(coarse("2001:db8:1:2:3:4:5:6"), "2001:db8:1::/48");
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_an_ipv6_64() {
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff::"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:3::1"), "2001:db8:1:3::");
    }
}
