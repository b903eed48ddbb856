//! Limits the memory for request bodies: a maximum for all clients together, and a maximum for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::EdgeConfig;
use jishu_service::limit::ClientAddress;

/// The maximum memory for the bodies of all unfinished requests. If it is used up, the next bodies are refused, so that
/// the server does not run out of memory.
const MAX_TOTAL_BYTES: usize = 256 * 1024 * 1024;

/// The maximum memory for the bodies of the unfinished requests of one client, so that a client that sends slowly
/// cannot lock out all others.
const MAX_CLIENT_BYTES: usize = MAX_TOTAL_BYTES / 4;

/// Tracks the memory that request bodies use.
#[derive(Clone)]
pub(super) struct BodyMemory {
    /// One permit for each free byte.
    free: Arc<Semaphore>,
    used_by_client: Arc<BytesByNetwork>,
    /// The networks of trusted proxies. A proxy sends for many clients, so [`MAX_CLIENT_BYTES`] does not apply to a
    /// proxy.
    proxies: Arc<[IpNet]>,
}

type BytesByNetwork = Mutex<HashMap<IpAddr, usize>>;

/// The memory that is reserved for the body of one request. Dropping the reservation frees the memory.
pub(super) struct BodyReservation {
    memory: BodyMemory,
    /// The network of the client, or None if the client is a trusted proxy.
    network: Option<IpAddr>,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

/// The error if the server or the client has used all memory that is allowed for request bodies.
#[derive(Debug)]
pub(super) struct BodyMemoryExhausted;

impl BodyMemory {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        Self {
            free: Arc::new(Semaphore::new(MAX_TOTAL_BYTES)),
            used_by_client: Arc::default(),
            proxies: edge.trusted_proxies.as_slice().into(),
        }
    }

    /// Starts an empty reservation for a request of this client.
    pub(super) fn reservation(&self, client: ClientAddress) -> BodyReservation {
        let is_proxy = self.proxies.iter().any(|network| network.contains(&client.ip()));
        let network = (!is_proxy).then(|| client.network());
        BodyReservation { memory: self.clone(), network, bytes: 0, permit: None }
    }

    fn lock_used(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.used_by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyReservation {
    /// Adds bytes to the reservation. Fails if the memory of the server or of the client is used up.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), BodyMemoryExhausted> {
        if bytes == 0 {
            return Ok(());
        }
        let units = u32::try_from(bytes).map_err(|_too_many| BodyMemoryExhausted)?;
        let mut used = self.memory.lock_used();
        let of_client = self.network.map(|network| used.get(&network).copied().unwrap_or_default() + bytes);
        if of_client.is_some_and(|of_client| of_client > MAX_CLIENT_BYTES) {
            return Err(BodyMemoryExhausted);
        }
        let more = Arc::clone(&self.memory.free)
            .try_acquire_many_owned(units)
            .map_err(|_none| BodyMemoryExhausted)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        if let (Some(network), Some(of_client)) = (self.network, of_client) {
            used.insert(network, of_client);
            drop(used);
            self.bytes += bytes;
        }
        Ok(())
    }
}

impl Drop for BodyReservation {
    fn drop(&mut self) {
        let Some(network) = self.network.filter(|_| self.bytes > 0) else { return };
        let mut used = self.memory.lock_used();
        if let Some(of_client) = used.get_mut(&network) {
            *of_client = of_client.saturating_sub(self.bytes);
            if *of_client == 0 {
                used.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1024 * 1024;

    fn memory() -> BodyMemory {
        let proxies: [IpNet; 1] = ["10.0.0.0/8".parse().unwrap()];
        BodyMemory {
            free: Arc::new(Semaphore::new(MAX_TOTAL_BYTES)),
            used_by_client: Arc::default(),
            proxies: proxies.into(),
        }
    }

    fn client(address: &str) -> ClientAddress {
        ClientAddress::new(address.parse().unwrap())
    }

    /// Makes reservations of one megabyte for a client until one fails. Returns the reservations that succeeded.
    fn fill(memory: &BodyMemory, address: &str) -> Vec<BodyReservation> {
        let mut reservations = Vec::new();
        loop {
            let mut reservation = memory.reservation(client(address));
            if reservation.add(MEGABYTE / 2).and_then(|()| reservation.add(MEGABYTE / 2)).is_err() {
                return reservations;
            }
            reservations.push(reservation);
        }
    }

    #[test]
    fn one_client_may_use_a_quarter_of_the_memory() {
        let memory = memory();
        let mine = fill(&memory, "192.0.2.1");
        assert_eq!(mine.len(), 64);
        assert!(memory.reservation(client("192.0.2.1")).add(1).is_err());
        assert!(memory.reservation(client("192.0.2.2")).add(1).is_ok());
        drop(mine);
        assert_eq!(memory.free.available_permits(), MAX_TOTAL_BYTES);
        assert!(memory.lock_used().is_empty());
        assert_eq!(fill(&memory, "192.0.2.1").len(), 64);
    }

    #[test]
    fn a_proxy_may_use_all_memory_and_the_clients_share_it() {
        let memory = memory();
        let all = fill(&memory, "10.1.2.3");
        assert_eq!(all.len(), 256);
        assert!(memory.reservation(client("192.0.2.1")).add(1).is_err());
        assert!(memory.lock_used().is_empty());
        drop(all);
        let many: Vec<_> = (1..=5).map(|last| fill(&memory, &format!("2001:db8:0:{last}::1"))).collect();
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 64, 64, 0]);
    }
}
