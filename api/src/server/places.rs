//! How many connections there are at once: of all clients, and of one.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::EdgeConfig;
use jishu_service::limit::{ClientAddress, PlaceOfKey, PlacesPerKey};

/// The places for connections.
pub(super) struct Places {
    all: Arc<Semaphore>,
    most: u32,
    of_one: PlacesPerKey<IpAddr>,
    /// Networks of proxies, whose connections are those of many clients.
    proxies: Vec<IpNet>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    /// Of its client, where that is counted.
    _of_one: Option<PlaceOfKey<IpAddr>>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self {
            all: Arc::new(Semaphore::new(edge.max_connections as usize)),
            most: edge.max_connections,
            of_one: PlacesPerKey::new(edge.max_connections_per_address),
            proxies: edge.trusted_proxies.clone(),
        }
    }

    /// A place for whoever comes next; waits until there is one. None once the server has stopped.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Gives the place to this client, unless it has as many as one may have.
    pub(super) fn give(&self, permit: OwnedSemaphorePermit, peer: IpAddr) -> Option<Place> {
        let client = ClientAddress::new(peer);
        let is_proxy = self.proxies.iter().any(|network| network.contains(&client.ip()));
        let of_one = if is_proxy { None } else { Some(self.of_one.take(client.network())?) };
        Some(Place { _of_one: of_one, _permit: permit })
    }

    /// Completes when nobody has a place any more.
    pub(super) async fn empty(&self) {
        // Never closed, so this is no error.
        let _ = self.all.acquire_many(self.most).await;
    }
}
