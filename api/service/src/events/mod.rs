//! What has changed, told to those who watch.
//!
//! What changes something appends an audit event in its own transaction, and from there it is told: by the node that
//! did it at once, by every other within half a second. So nothing is told that was rolled back, nothing that was
//! committed is forgotten when a node dies, and nothing waits for a watcher. Nothing is read while nobody watches.
//!
//! Saved answers are too many for that: their watchers are told by the node that saved them.

mod event;
mod patience;
mod position;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jishu_entity::{MockTestAttemptId, PurchaseId, TestSessionId, UserId};
use sea_orm::DbErr;
use tokio::sync::Notify;

use crate::database::Database;

pub use event::{Event, append};
pub(super) use patience::patiently;
use position::Position;

/// How often what other nodes appended is looked for, and what appeared out of order.
const EVERY: Duration = Duration::from_millis(500);

/// What has changed. It is read again where it is told: a change does not say how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// All cards of this purchase are new.
    Purchase(PurchaseId),
    /// This card, or its sitting.
    Card(MockTestAttemptId),
    /// The answers of this sitting were saved on this node. Only those are told who watch its answers.
    Answers(TestSessionId),
}

/// The watchers of this node, and how far the audit events were read for them.
#[derive(Debug)]
pub struct Events {
    database: Database,
    /// By user, then by the number of the watch.
    watchers: Mutex<HashMap<UserId, HashMap<u64, Arc<Mailbox>>>>,
    watches: AtomicU64,
    /// None while nobody watches.
    position: tokio::sync::Mutex<Option<Position>>,
    look: Notify,
}

/// What a watcher has not taken yet. Changes are of what there is, and are kept once each, so that it can never hold
/// more than the watcher owns.
#[derive(Debug, Default)]
struct Mailbox {
    answers_of: Option<TestSessionId>,
    changes: Mutex<BTreeSet<Change>>,
    filled: Notify,
}

impl Mailbox {
    fn put(&self, change: Change) {
        lock(&self.changes).insert(change);
        self.filled.notify_one();
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
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
    /// Nobody watches yet.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            watchers: Mutex::default(),
            watches: AtomicU64::new(0),
            position: tokio::sync::Mutex::default(),
            look: Notify::new(),
        }
    }

    /// How many watch on this node.
    #[must_use]
    pub fn watchers(&self) -> usize {
        lock(&self.watchers).values().map(HashMap::len).sum()
    }

    /// Watches the changes of a user that are committed after this returns; and, of one sitting, the answers that
    /// this node saves.
    ///
    /// # Errors
    /// The database's.
    pub async fn watch(
        self: &Arc<Self>,
        user: UserId,
        answers_of: Option<TestSessionId>,
    ) -> Result<Watch, DbErr> {
        let mut position = self.position.lock().await;
        if position.is_none() {
            *position = Some(Position::now(&self.database).await?);
        }
        let number = self.watches.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox { answers_of, ..Mailbox::default() });
        lock(&self.watchers).entry(user).or_default().insert(number, Arc::clone(&mailbox));
        drop(position);
        self.look.notify_one();
        Ok(Watch { events: Arc::clone(self), user, number, mailbox })
    }

    /// Audit events about what this user owns were appended and committed by this node.
    pub(super) fn appended(&self, owner: UserId) {
        if lock(&self.watchers).contains_key(&owner) {
            self.look.notify_one();
        }
    }

    /// Answers of this user's sitting were saved and committed by this node.
    pub fn answers_saved(&self, owner: UserId, session: TestSessionId) {
        let watchers = lock(&self.watchers);
        let mailboxes = watchers.get(&owner).into_iter().flat_map(HashMap::values);
        for mailbox in mailboxes.filter(|mailbox| mailbox.answers_of == Some(session)) {
            mailbox.put(Change::Answers(session));
        }
    }

    /// Tells watchers what is appended until the task is dropped.
    pub async fn keep_telling(&self) {
        loop {
            if !self.rest().await {
                let _ = tokio::time::timeout(EVERY, self.look.notified()).await;
            }
            if let Err(error) = self.tell().await {
                tracing::warn!(%error, "what has changed could not be read; watchers are told later");
                tokio::time::sleep(EVERY).await;
            }
        }
    }

    /// Waits while nobody watches, and says whether it did.
    async fn rest(&self) -> bool {
        let mut position = self.position.lock().await;
        if !lock(&self.watchers).is_empty() {
            return false;
        }
        *position = None;
        drop(position);
        self.look.notified().await;
        true
    }

    async fn tell(&self) -> Result<(), DbErr> {
        let mut position = self.position.lock().await;
        let Some(position) = position.as_mut() else { return Ok(()) };
        position.begin(Instant::now());
        loop {
            let (changes, is_all) = position.read(&self.database).await?;
            let watchers = lock(&self.watchers);
            for (owner, change) in changes {
                for mailbox in watchers.get(&owner).into_iter().flat_map(HashMap::values) {
                    mailbox.put(change);
                }
            }
            if is_all {
                position.end();
                return Ok(());
            }
        }
    }
}

impl Watch {
    /// What has changed since the last call, at least one thing: waits for it. Dropping the future loses nothing.
    pub async fn changes(&self) -> BTreeSet<Change> {
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
