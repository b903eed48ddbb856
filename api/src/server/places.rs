//! How many connections there are at once: of all clients, and of one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::EdgeConfig;
use crate::limit::ClientAddress;

/// The places for connections.
pub(super) struct Places {
    all: Arc<Semaphore>,
    most: u32,
    most_of_one: u32,
    /// Networks of proxies, whose connections are those of many clients.
    proxies: Vec<IpNet>,
    taken: Arc<Taken>,
}

type Taken = Mutex<HashMap<IpAddr, u32>>;

/// A place, until it is dropped.
pub(super) struct Place {
    /// From whom, where that is counted.
    network: Option<IpAddr>,
    taken: Arc<Taken>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self {
            all: Arc::new(Semaphore::new(edge.max_connections as usize)),
            most: edge.max_connections,
            most_of_one: edge.max_connections_per_address,
            proxies: edge.trusted_proxies.clone(),
            taken: Arc::default(),
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
        let network = (self.most_of_one > 0 && !is_proxy).then(|| client.network());
        if let Some(network) = network {
            let mut taken = lock(&self.taken);
            let count = taken.entry(network).or_default();
            if *count >= self.most_of_one {
                return None;
            }
            *count += 1;
        }
        Some(Place { network, taken: Arc::clone(&self.taken), _permit: permit })
    }

    /// Completes when nobody has a place any more.
    pub(super) async fn empty(&self) {
        // Never closed, so this is no error.
        let _ = self.all.acquire_many(self.most).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&network);
            }
        }
    }
}

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
