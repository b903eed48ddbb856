//! What has changed, told to those who watch.
//!
//! A purchase appends its audit event in its own transaction, and from there it is told: by the node that made the
//! purchase at once, by every other within half a second. So nothing is told that was rolled back, nothing that was
//! committed is forgotten when a node dies, and no purchase waits for a watcher. Nothing is read while nobody
//! watches.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jishu_entity::{AuditEventId, PurchaseId, UserId, audit_event};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use tokio::sync::Notify;

use crate::database::Database;

/// The action of an audit event whose target is a purchase, and whose actor is the buyer.
pub(super) const PURCHASE_CREATED: &str = "purchase.created";

/// How often what other nodes appended is looked for, and what appeared out of order.
const EVERY: Duration = Duration::from_millis(500);

/// Ids are given before their transactions commit, so that a lower one may appear after a higher. An event appears
/// at most so long after a later one: it is the last that its transaction writes.
const OUT_OF_ORDER: Duration = Duration::from_secs(10);

/// How many rows a statement reads, and how many before the first watcher are known as told.
const BATCH: u64 = 1_000;

/// The watchers of this node, and how far the audit events were read for them.
#[derive(Debug)]
pub struct Events {
    database: Database,
    watchers: Mutex<HashMap<UserId, Vec<Arc<Mailbox>>>>,
    /// None while nobody watches.
    position: tokio::sync::Mutex<Option<Position>>,
    look: Notify,
}

/// What a watcher has not taken yet. Purchases are state and are kept once each, so that it can never hold more than
/// the watcher has bought.
#[derive(Debug, Default)]
struct Mailbox {
    purchases: Mutex<BTreeSet<PurchaseId>>,
    filled: Notify,
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    events: Arc<Events>,
    user: UserId,
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
            position: tokio::sync::Mutex::default(),
            look: Notify::new(),
        }
    }

    /// How many watch on this node.
    #[must_use]
    pub fn watchers(&self) -> usize {
        lock(&self.watchers).values().map(Vec::len).sum()
    }

    /// Watches the changes of a user that are committed after this returns.
    ///
    /// # Errors
    /// The database's.
    pub async fn watch(self: &Arc<Self>, user: UserId) -> Result<Watch, DbErr> {
        let mut position = self.position.lock().await;
        if position.is_none() {
            *position = Some(Position::now(&self.database).await?);
        }
        let mailbox = Arc::new(Mailbox::default());
        lock(&self.watchers).entry(user).or_default().push(Arc::clone(&mailbox));
        drop(position);
        self.look.notify_one();
        Ok(Watch { events: Arc::clone(self), user, mailbox })
    }

    /// This user's audit events were appended and committed by this node.
    pub(super) fn appended(&self, user: UserId) {
        if lock(&self.watchers).contains_key(&user) {
            self.look.notify_one();
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
            let (events, is_all) = position.read(&self.database).await?;
            let watchers = lock(&self.watchers);
            for event in &events {
                for mailbox in event.actor_id.iter().filter_map(|actor| watchers.get(actor)).flatten() {
                    lock(&mailbox.purchases).insert(PurchaseId(event.target_id));
                    mailbox.filled.notify_one();
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
    /// What was bought since the last call, at least one purchase: waits for it.
    pub async fn purchases(&self) -> BTreeSet<PurchaseId> {
        loop {
            let purchases = std::mem::take(&mut *lock(&self.mailbox.purchases));
            if !purchases.is_empty() {
                return purchases;
            }
            self.mailbox.filled.notified().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watchers = lock(&self.events.watchers);
        if let Some(mailboxes) = watchers.get_mut(&self.user) {
            mailboxes.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
            if mailboxes.is_empty() {
                watchers.remove(&self.user);
            }
        }
    }
}

/// How far the audit events were read.
#[derive(Debug)]
struct Position {
    /// Nothing appears at or before this id any more.
    settled: AuditEventId,
    /// What was read after it, and when.
    read: BTreeMap<AuditEventId, Instant>,
    /// Where the next statement begins.
    after: AuditEventId,
    /// When a look last began at `settled`. Others begin at the newest, so that they cost what they find.
    looked_back: Instant,
    /// Whether the look under way is such a one.
    is_looking_back: bool,
}

impl Position {
    /// After all that is committed.
    async fn now(database: &Database) -> Result<Self, DbErr> {
        let ids: Vec<AuditEventId> = audit_event::Entity::find()
            .select_only()
            .column(audit_event::Column::Id)
            .filter(audit_event::Column::Action.eq(PURCHASE_CREATED))
            .order_by_desc(audit_event::Column::Id)
            .limit(BATCH)
            .into_tuple()
            .all(database.reader())
            .await?;
        let is_all = u64::try_from(ids.len()).is_ok_and(|read| read < BATCH);
        let first = ids.last().filter(|_| !is_all).map_or(0, |AuditEventId(first)| first - 1);
        let now = Instant::now();
        let settled = AuditEventId(first);
        let read = ids.into_iter().map(|id| (id, now)).collect();
        Ok(Self { settled, read, after: settled, looked_back: now, is_looking_back: false })
    }

    /// Begins a look.
    fn begin(&mut self, now: Instant) {
        let newest = self.read.last_key_value().map_or(self.settled, |(newest, _)| *newest);
        // One that failed is made again.
        self.is_looking_back |= now.duration_since(self.looked_back) >= EVERY;
        self.after = newest;
        if self.is_looking_back {
            self.looked_back = now;
            self.after = self.settled;
        }
    }

    /// A look has read all that there was.
    fn end(&mut self) {
        if std::mem::take(&mut self.is_looking_back) {
            self.settle(self.looked_back);
        }
    }

    /// The next events that were not read before, and whether there are no more.
    async fn read(&mut self, database: &Database) -> Result<(Vec<audit_event::Model>, bool), DbErr> {
        let mut events = audit_event::Entity::find()
            .filter(audit_event::Column::Id.gt(self.after))
            .filter(audit_event::Column::Action.eq(PURCHASE_CREATED))
            .order_by_asc(audit_event::Column::Id)
            .limit(BATCH)
            .all(database.reader())
            .await?;
        let is_all = u64::try_from(events.len()).is_ok_and(|read| read < BATCH);
        if let Some(last) = events.last() {
            self.after = last.id;
        }
        let now = Instant::now();
        events.retain(|event| match self.read.entry(event.id) {
            Entry::Vacant(unread) => {
                unread.insert(now);
                true
            }
            Entry::Occupied(_) => false,
        });
        Ok((events, is_all))
    }

    /// Forgets what was read so long before a look back began that nothing can appear before it which that look has
    /// not found.
    fn settle(&mut self, began: Instant) {
        let old = self.read.iter().rev().find(|(_, read)| began.duration_since(**read) >= OUT_OF_ORDER);
        if let Some((id, _)) = old {
            self.settled = *id;
            self.read = self.read.split_off(&AuditEventId(self.settled.0 + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_still_appear_is_looked_for_and_what_may_not_is_forgotten() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let read = [(3, 0), (5, 1), (4, 9), (6, 9)].map(|(id, seconds)| (AuditEventId(id), at(seconds)));
        let mut position = Position {
            settled: AuditEventId(2),
            read: BTreeMap::from(read),
            after: AuditEventId(0),
            looked_back: at(9),
            is_looking_back: false,
        };
        let begin = |position: &mut Position, now| {
            position.begin(now);
            (position.settled.0, position.after.0, position.read.len())
        };
        assert_eq!(begin(&mut position, at(9)), (2, 6, 4), "only what is new");
        position.end();
        assert_eq!(begin(&mut position, at(10)), (2, 2, 4), "back to what is settled");
        assert_eq!(begin(&mut position, at(100)), (2, 2, 4), "again, since that look did not end");
        position.looked_back = at(10);
        position.end();
        assert_eq!(
            begin(&mut position, at(10)),
            (3, 6, 3),
            "3 was read 10 seconds before the look that ended"
        );
        position.end();
        assert_eq!(begin(&mut position, at(11)), (3, 3, 3));
        position.end();
        assert_eq!(begin(&mut position, at(11)), (5, 6, 1), "4, which came late, with 5");
        position.end();
        assert_eq!(begin(&mut position, at(30)), (5, 5, 1));
        position.end();
        assert_eq!(begin(&mut position, at(31)), (6, 6, 0));
    }
}
