//! The address that the server listens on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

/// An IP address or a host name, with a port. A server listens on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    address: String,
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |(host, port): (&str, &str)| {
            !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok()
        };
        if text.parse::<SocketAddr>().is_ok() || text.rsplit_once(':').is_some_and(is_name) {
            return Ok(Self { address: text.to_owned() });
        }
        Err("give an address or a name with a port, such as 127.0.0.1:8080, [::1]:8080 or localhost:8080")
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl ListenAddress {
    /// Returns the address and port. Resolves a host name, and prefers an IPv4 address, because other programs usually
    /// connect to the IPv4 address of a name.
    ///
    /// # Errors
    /// Fails if the name does not resolve to an address.
    pub async fn resolve(&self) -> io::Result<SocketAddr> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host(self.address.as_str()).await?.collect();
        let first = found.iter().find(|address| address.is_ipv4()).or_else(|| found.first());
        first
            .copied()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name does not resolve to an address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_need_a_port() {
        for right in ["127.0.0.1:0", "[::1]:8080", "localhost:8080", "host.example.com:1"] {
            assert!(right.parse::<ListenAddress>().is_ok(), "{right}");
        }
        for wrong in ["nowhere", ":8080", "::1:8080", "localhost:http", "localhost:70000", "a b:1", ""] {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong}");
        }
    }
}
