//! Finds the address of the client, also if the client is behind proxies.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

use crate::config::{EdgeConfig, ForwardedHeader};
use jishu_service::limit::ClientAddress;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are trusted to name the client, and the header in which they name it.
#[derive(Clone)]
pub(super) struct TrustedProxies {
    trusted: Arc<[IpNet]>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self { trusted: edge.trusted_proxies.as_slice().into(), header: edge.forwarded_header }
    }

    /// Returns the address of the client of a request.
    pub(super) fn client_of(&self, request: &Request) -> ClientAddress {
        self.client(peer_of(request), request.headers())
    }

    /// Returns whether a trusted proxy has sent the request.
    pub(super) fn trusts_sender_of(&self, request: &Request) -> bool {
        self.trusts(peer_of(request).to_canonical())
    }

    /// Returns the address of the client. The search begins with the address of the connection, and then reads the
    /// addresses in the header from the right to the left. It stops at the first address that is not a trusted proxy:
    /// the client. Anyone may have written the addresses to the left of the client's address.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return ClientAddress::new(client);
        }
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardedHeader::XForwardedFor => (X_FORWARDED_FOR, address),
            ForwardedHeader::Forwarded => (header::FORWARDED, forwarded_for),
        };
        let lines: Vec<_> = headers.get_all(name).iter().collect();
        let hops = lines.into_iter().rev().flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for hop in hops {
            // If an address cannot be read, the addresses to its left cannot be trusted.
            let Some(address) = read(hop.trim()) else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        ClientAddress::new(client)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

/// Returns the address at the other end of the connection of a request, or 0.0.0.0 if it is unknown.
fn peer_of(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip())
}

/// Marks a request that a trusted proxy has sent. The request has this mark among its extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrustedPeer;

/// Reads an address with or without a port. An IPv6 address may be in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Reads the `for` parameter of an element of the `Forwarded` header.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(header: ForwardedHeader, peer: &str, lines: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let proxies = TrustedProxies { trusted: trusted.into(), header };
        let name = match header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_static(line));
        }
        proxies.client(peer.parse().unwrap(), &headers).ip().to_string()
    }

    fn x_forwarded_for(peer: &str, lines: &[&'static str]) -> String {
        client(ForwardedHeader::XForwardedFor, peer, lines)
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(x_forwarded_for("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(x_forwarded_for("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(x_forwarded_for("fd00::1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(x_forwarded_for("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn the_rightmost_address_that_is_not_a_proxy_is_the_client() {
        assert_eq!(x_forwarded_for("10.0.0.1", &["198.51.100.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(x_forwarded_for("10.0.0.1", &["198.51.100.1, 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(x_forwarded_for("10.0.0.1", &["198.51.100.1", "203.0.113.9,10.0.0.2"]), "203.0.113.9");
        assert_eq!(x_forwarded_for("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(x_forwarded_for("10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(x_forwarded_for("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
        assert_eq!(x_forwarded_for("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
    }

    #[test]
    fn the_forwarded_header_is_read_if_configured() {
        let forwarded = |lines| client(ForwardedHeader::Forwarded, "10.0.0.1", lines);
        assert_eq!(forwarded(&["for=203.0.113.9;proto=https"]), "203.0.113.9");
        assert_eq!(forwarded(&[r#"for=198.51.100.1, By=10.0.0.1; For="[2001:db8::1]:47""#]), "2001:db8::1");
        assert_eq!(forwarded(&["for=203.0.113.9, for=_hidden"]), "10.0.0.1");
        assert_eq!(x_forwarded_for("10.0.0.1", &[]), "10.0.0.1");
    }
}
