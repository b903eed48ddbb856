//! Delivers changes to subscribers. A subscriber to the changes of a user is called a watcher.
//!
//! A transaction that changes something appends an audit event. Each node reads the new events and delivers them to its
//! watchers. The node that made the change reads them at once, and other nodes within about half a second. So a change
//! that was rolled back is never delivered. A committed change is delivered on all other nodes even if the node that
//! made the change dies. No transaction waits for a watcher. A node without watchers reads no events.
//!
//! Saved answers are too frequent for audit events. Only the node that saved them delivers them to its watchers.

mod event;
mod position;
mod retry;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jishu_entity::{MockTestAttemptId, OrderId, PurchaseId, TestSessionId, UserId};
use sea_orm::DbErr;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::database::Database;

pub use event::{Event, OrderEvent, append};
pub(crate) use event::{append_change, row};
use position::{NewEvents, Position};
pub(super) use retry::read_with_retries;

/// Interval between two reads of new audit events, and between two rescans of the latest events.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A change that is delivered to a watcher. It names the changed object, and the watcher reads the new state itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchedChange {
    /// A purchase was made, granted or refunded, its term is over, or its cards got more attempts. Each case concerns
    /// all its cards.
    Purchase(PurchaseId),
    /// A card or its sitting changed.
    Card(MockTestAttemptId),
    /// This node saved answers of a sitting. The change is delivered only to watchers of this sitting's answers.
    Answers(TestSessionId),
    /// An order changed.
    Order(OrderId),
}

/// The watchers of this node, and the position in the audit events up to which changes were delivered to them.
pub struct Events {
    database: Database,
    clock: Arc<dyn Clock>,
    /// The mailboxes of the watchers, by user and then by the number of the watch.
    watchers: Mutex<HashMap<UserId, HashMap<u64, Arc<Mailbox>>>>,
    /// The number of the next watch.
    next_watch: AtomicU64,
    /// The position in the audit events. None while this node has no watchers.
    position: tokio::sync::Mutex<Option<Position>>,
    /// Wakes the task that runs [`Events::deliver_changes`].
    wake: Notify,
}

/// The changes that a watcher has not read yet. A mailbox has each changed object once. So a mailbox has at most as
/// many entries as its user has objects.
#[derive(Debug, Default)]
struct Mailbox {
    answers_of: Option<TestSessionId>,
    changes: Mutex<BTreeSet<WatchedChange>>,
    filled: Notify,
}

impl Mailbox {
    fn put(&self, change: WatchedChange) {
        lock(&self.changes).insert(change);
        self.filled.notify_one();
    }
}

/// A subscription to the changes of one user. It ends when this value is dropped.
pub struct Watch {
    events: Arc<Events>,
    user: UserId,
    number: u64,
    mailbox: Arc<Mailbox>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    /// Makes the state for delivering changes. It has no watchers yet.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        Self {
            database,
            clock,
            watchers: Mutex::default(),
            next_watch: AtomicU64::new(0),
            position: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Returns the number of watchers on this node.
    #[must_use]
    pub fn watchers(&self) -> usize {
        lock(&self.watchers).values().map(HashMap::len).sum()
    }

    /// Begins to watch a user. The watch gets all changes that are committed after this function returns. With
    /// `answers_of`, it also gets the answers of that sitting that this node saves.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn watch(
        self: &Arc<Self>,
        user: UserId,
        answers_of: Option<TestSessionId>,
    ) -> Result<Watch, DbErr> {
        let mut position = self.position.lock().await;
        if position.is_none() {
            *position = Some(Position::now(&self.database, self.clock.now()).await?);
        }
        let number = self.next_watch.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox { answers_of, ..Mailbox::default() });
        lock(&self.watchers).entry(user).or_default().insert(number, Arc::clone(&mailbox));
        drop(position);
        self.wake.notify_one();
        Ok(Watch { events: Arc::clone(self), user, number, mailbox })
    }

    /// Wakes the task that delivers changes, because this node has committed audit events about objects of this user.
    /// Does nothing if this node has no watcher of the user.
    pub(super) fn appended(&self, owner: UserId) {
        if lock(&self.watchers).contains_key(&owner) {
            self.wake.notify_one();
        }
    }

    /// Delivers a change to the watchers of a sitting's answers, because this node has committed answers of the
    /// sitting.
    pub fn answers_saved(&self, owner: UserId, session: TestSessionId) {
        let watchers = lock(&self.watchers);
        let mailboxes = watchers.get(&owner).into_iter().flat_map(HashMap::values);
        for mailbox in mailboxes.filter(|mailbox| mailbox.answers_of == Some(session)) {
            mailbox.put(WatchedChange::Answers(session));
        }
    }

    /// Delivers the changes of new audit events to the watchers of this node, until the task is dropped.
    pub async fn deliver_changes(&self) {
        loop {
            if !self.wait_for_watchers().await {
                let _ = tokio::time::timeout(POLL_INTERVAL, self.wake.notified()).await;
            }
            if let Err(error) = self.deliver().await {
                tracing::warn!(%error, "the audit events could not be read; changes are delivered later");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// Returns false at once if this node has watchers. If the node has no watchers, forgets the position, waits for
    /// the next wake-up, and returns true.
    async fn wait_for_watchers(&self) -> bool {
        let mut position = self.position.lock().await;
        if !lock(&self.watchers).is_empty() {
            return false;
        }
        *position = None;
        drop(position);
        self.wake.notified().await;
        true
    }

    /// Reads the new audit events, and puts their changes into the mailboxes of the watchers of the owners.
    async fn deliver(&self) -> Result<(), DbErr> {
        let mut position = self.position.lock().await;
        let Some(position) = position.as_mut() else { return Ok(()) };
        position.begin_read(Instant::now());
        loop {
            let NewEvents { changes, is_complete, oldest } =
                position.read(&self.database, self.clock.now()).await?;
            let watchers = lock(&self.watchers);
            if let (Some(metrics), Some(oldest)) = (self.database.metrics().requests(), oldest) {
                metrics.event_delivered((self.clock.now() - oldest).to_std().unwrap_or_default());
            }
            for (owner, change) in changes {
                for mailbox in watchers.get(&owner).into_iter().flat_map(HashMap::values) {
                    mailbox.put(change);
                }
            }
            if is_complete {
                position.end_read();
                return Ok(());
            }
        }
    }
}

impl Watch {
    /// Waits until there is a change, and returns all changes since the last call. If the future is dropped before it
    /// is ready, no change is lost.
    pub async fn changes(&self) -> BTreeSet<WatchedChange> {
        loop {
            let changes = std::mem::take(&mut *lock(&self.mailbox.changes));
            if !changes.is_empty() {
                return changes;
            }
            self.mailbox.filled.notified().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = lock(&self.events.watchers);
        if let Some(mailboxes) = watchers.get_mut(&self.user) {
            mailboxes.remove(&self.number);
            if mailboxes.is_empty() {
                watchers.remove(&self.user);
            }
        }
    }
}
