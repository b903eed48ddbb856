//! The transactions that wait, and that a group may take.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::member::Member;
use crate::database::QueueKey;

/// The transactions of this server that wait for their turn or for a connection, in the order of their arrival.
#[derive(Debug, Default)]
pub(in crate::database) struct Board {
    offers: Mutex<Offers>,
}

#[derive(Debug, Default)]
struct Offers {
    waiting: VecDeque<Waiting>,
    /// The number of the next offer.
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    key: QueueKey,
    /// Whether the transaction has its turn. Without its turn, only a group that holds its key may take it.
    has_turn: bool,
    member: Box<dyn Member>,
}

/// A transaction on the board. Dropping the offer takes the transaction off the board, unless a group has taken it.
pub(super) struct Offer {
    board: Arc<Board>,
    number: u64,
}

impl Board {
    /// Puts a transaction with this key on the board.
    pub(super) fn offer(self: &Arc<Self>, key: QueueKey, member: Box<dyn Member>) -> Offer {
        let mut offers = self.offers();
        let number = offers.next;
        offers.next += 1;
        offers.waiting.push_back(Waiting { number, key, has_turn: false, member });
        Offer { board: Arc::clone(self), number }
    }

    /// Takes the transaction that has waited longest among those with their turn and those with one of these keys.
    pub(super) fn take(&self, held: &[QueueKey]) -> Option<(QueueKey, Box<dyn Member>)> {
        let mut offers = self.offers();
        let at = offers.waiting.iter().position(|offer| offer.has_turn || held.contains(&offer.key))?;
        offers.waiting.remove(at).map(|offer| (offer.key, offer.member))
    }

    /// Returns whether no transaction waits.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.offers().waiting.is_empty()
    }

    fn offers(&self) -> MutexGuard<'_, Offers> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Offer {
    /// Lets any group take the transaction, because it has its turn.
    pub(super) fn allow_all_groups(&self) {
        let mut offers = self.board.offers();
        if let Ok(at) = offers.find(self.number) {
            offers.waiting[at].has_turn = true;
        }
    }

    /// Takes the transaction off the board. Returns None if a group has taken it.
    pub(super) fn withdraw(&self) -> Option<Box<dyn Member>> {
        let mut offers = self.board.offers();
        let at = offers.find(self.number).ok()?;
        offers.waiting.remove(at).map(|offer| offer.member)
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        // The transaction is dropped after the lock is released.
        drop(self.withdraw());
    }
}

impl Offers {
    /// Finds an offer. The numbers grow from the front to the back.
    fn find(&self, number: u64) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&number, |offer| offer.number)
    }
}
