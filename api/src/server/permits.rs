//! Permits that limit the number of open connections: of all clients together, and of each client.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::EdgeConfig;
use jishu_service::limit::{ClientAddress, KeyPermit, PermitsPerKey};
use jishu_service::metrics::{ActiveGauge, Metrics, RequestMetrics};

/// Hands out one permit per connection.
pub(super) struct ConnectionPermits {
    server: Arc<Semaphore>,
    max_connections: u32,
    clients: PermitsPerKey<IpAddr>,
    /// The networks of trusted proxies. A proxy connects for many clients, so the maximum for one client does not apply
    /// to a proxy.
    proxies: Vec<IpNet>,
    metrics: Metrics,
}

/// The permit of one open connection. Dropping it frees the permit of the server and of the client.
pub(super) struct ConnectionPermit {
    /// The permit of the client, or None if the client is a trusted proxy.
    _client: Option<KeyPermit<IpAddr>>,
    _counted: Option<ActiveGauge>,
    _server: OwnedSemaphorePermit,
}

impl ConnectionPermits {
    pub(super) fn new(edge: &EdgeConfig, metrics: Metrics) -> Self {
        Self {
            server: Arc::new(Semaphore::new(edge.max_connections as usize)),
            max_connections: edge.max_connections,
            clients: PermitsPerKey::new(edge.max_connections_per_address),
            proxies: edge.trusted_proxies.clone(),
            metrics,
        }
    }

    /// Waits until the server may open another connection, and takes a permit of the server for the connection.
    /// Returns None only if the semaphore is closed, which never happens.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.server).acquire_owned().await.ok()
    }

    /// Assigns a permit of the server to a client. Returns None if the client already has its maximum number of
    /// connections.
    pub(super) fn assign(&self, server: OwnedSemaphorePermit, peer: IpAddr) -> Option<ConnectionPermit> {
        let address = ClientAddress::new(peer);
        let is_proxy = self.proxies.iter().any(|network| network.contains(&address.ip()));
        let metrics = self.metrics.requests();
        let client = match is_proxy {
            true => None,
            false => match self.clients.take(address.network()) {
                Some(permit) => Some(permit),
                None => {
                    metrics.inspect(|metrics| metrics.refused_connection());
                    return None;
                }
            },
        };
        let counted = metrics.map(RequestMetrics::connection);
        Some(ConnectionPermit { _client: client, _counted: counted, _server: server })
    }

    /// Completes when no connection is open.
    pub(super) async fn all_released(&self) {
        // The semaphore is never closed, so this does not fail.
        let _ = self.server.acquire_many(self.max_connections).await;
    }
}
