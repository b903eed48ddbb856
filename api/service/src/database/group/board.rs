//! The transactions that wait, and that a group may take.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::member::Member;
use crate::database::QueueKey;

/// A group takes no further transaction after this time.
const MAX_OPEN_TIME: Duration = Duration::from_millis(50);
/// For this time after a group of several failed, no group takes another transaction. While a subject stays locked,
/// every group with a purchase of it would fail.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The transactions that may join a group, and that wait for their turn or for a connection, in the order of their
/// arrival.
#[derive(Debug)]
pub(in crate::database) struct Board {
    offers: Mutex<Offers>,
    /// [`MAX_OPEN_TIME`], except in tests.
    pub(super) max_open_time: Duration,
}

#[derive(Debug, Default)]
struct Offers {
    waiting: VecDeque<Waiting>,
    /// The number of the next offer.
    next: u64,
    /// Until this time, no transaction is taken. None if no group has failed.
    paused_until: Option<Instant>,
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

impl Default for Board {
    fn default() -> Self {
        Self { offers: Mutex::default(), max_open_time: MAX_OPEN_TIME }
    }
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
    /// Returns None for a short time after a group failed.
    pub(super) fn take(&self, held: &[QueueKey]) -> Option<(QueueKey, Box<dyn Member>)> {
        let mut offers = self.offers();
        if offers.paused_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let at = offers.waiting.iter().position(|offer| offer.has_turn || held.contains(&offer.key))?;
        offers.waiting.remove(at).map(|offer| (offer.key, offer.member))
    }

    /// Notes that a group of several transactions failed.
    pub(super) fn pause(&self) {
        self.offers().paused_until = Some(Instant::now() + PAUSE_AFTER_FAILURE);
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
