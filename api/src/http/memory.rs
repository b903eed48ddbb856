//! The memory for the bodies of requests: of all, and of one client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::EdgeConfig;
use jishu_service::limit::ClientAddress;

/// The bodies of all requests that are being read or answered have this much together, so that many large ones at
/// once are refused and not a reason to run out of it.
const ALL: usize = 256 * 1024 * 1024;

/// Those of one client, so that nobody refuses all others by sending slowly.
const OF_ONE: usize = ALL / 4;

/// What is left.
#[derive(Clone)]
pub(super) struct Memory {
    all: Arc<Semaphore>,
    taken: Arc<Taken>,
    /// Where one of these is the client, it is many that it does not name.
    proxies: Arc<[IpNet]>,
}

type Taken = Mutex<HashMap<IpAddr, usize>>;

/// What one request has of it, until this is dropped.
pub(super) struct Share {
    memory: Memory,
    /// Whose, where that is counted.
    network: Option<IpAddr>,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

/// There is no more.
#[derive(Debug)]
pub(super) struct NoneLeft;

impl Memory {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self {
            all: Arc::new(Semaphore::new(ALL)),
            taken: Arc::default(),
            proxies: edge.trusted_proxies.as_slice().into(),
        }
    }

    /// For a request of this client; nothing yet.
    pub(super) fn share(&self, client: ClientAddress) -> Share {
        let is_proxy = self.proxies.iter().any(|network| network.contains(&client.ip()));
        let network = (!is_proxy).then(|| client.network());
        Share { memory: self.clone(), network, bytes: 0, permit: None }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes so many bytes more.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), NoneLeft> {
        if bytes == 0 {
            return Ok(());
        }
        let units = u32::try_from(bytes).map_err(|_too_many| NoneLeft)?;
        let mut taken = self.memory.taken();
        let of_client = self.network.map(|network| taken.get(&network).copied().unwrap_or_default() + bytes);
        if of_client.is_some_and(|of_client| of_client > OF_ONE) {
            return Err(NoneLeft);
        }
        let more = Arc::clone(&self.memory.all).try_acquire_many_owned(units).map_err(|_none| NoneLeft)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        if let (Some(network), Some(of_client)) = (self.network, of_client) {
            taken.insert(network, of_client);
            drop(taken);
            self.bytes += bytes;
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(network) = self.network.filter(|_| self.bytes > 0) else { return };
        let mut taken = self.memory.taken();
        if let Some(of_client) = taken.get_mut(&network) {
            *of_client = of_client.saturating_sub(self.bytes);
            if *of_client == 0 {
                taken.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1024 * 1024;

    fn memory() -> Memory {
        let proxies: [IpNet; 1] = ["10.0.0.0/8".parse().unwrap()];
        Memory { all: Arc::new(Semaphore::new(ALL)), taken: Arc::default(), proxies: proxies.into() }
    }

    fn client(address: &str) -> ClientAddress {
        ClientAddress::new(address.parse().unwrap())
    }

    fn fill(memory: &Memory, address: &str) -> Vec<Share> {
        let mut shares = Vec::new();
        loop {
            let mut share = memory.share(client(address));
            if share.take(MEGABYTE / 2).and_then(|()| share.take(MEGABYTE / 2)).is_err() {
                return shares;
            }
            shares.push(share);
        }
    }

    #[test]
    fn one_client_gets_a_quarter() {
        let memory = memory();
        let mine = fill(&memory, "192.0.2.1");
        assert_eq!(mine.len(), 64);
        assert!(memory.share(client("192.0.2.1")).take(1).is_err());
        assert!(memory.share(client("192.0.2.2")).take(1).is_ok());
        drop(mine);
        assert_eq!(memory.all.available_permits(), ALL);
        assert!(memory.taken().is_empty());
        assert_eq!(fill(&memory, "192.0.2.1").len(), 64);
    }

    #[test]
    fn a_proxy_gets_all_of_it_and_everybody_together_no_more() {
        let memory = memory();
        let all = fill(&memory, "10.1.2.3");
        assert_eq!(all.len(), 256);
        assert!(memory.share(client("192.0.2.1")).take(1).is_err());
        assert!(memory.taken().is_empty());
        drop(all);
        let many: Vec<_> = (1..=5).map(|last| fill(&memory, &format!("2001:db8:0:{last}::1"))).collect();
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 64, 64, 0]);
    }
}
