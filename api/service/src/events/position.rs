//! How far the audit events were read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jishu_entity::{AuditEventId, UserId, audit_event};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::event::{self, TOLD};
use super::{Change, EVERY};
use crate::database::{Database, readable};

/// Ids are given before their transactions commit, so that a lower one may appear after a higher. An event appears
/// at most so long after a later one: it is the last that its transaction writes.
const OUT_OF_ORDER: Duration = Duration::from_secs(10);

/// How many rows a statement reads, how many before the first watcher are known as told, and how many are told again
/// after rows were lost.
const BATCH: u64 = 1_000;

/// When an event was read here, and the time it carries: after a failover that lost it, another may have its id.
type Read = (Instant, DateTime<Utc>);

#[derive(Debug)]
pub(super) struct Position {
    /// Nothing appears at or before this id any more.
    settled: AuditEventId,
    /// What was read after it.
    read: BTreeMap<AuditEventId, Read>,
    /// Where the next statement begins.
    after: AuditEventId,
    /// When a look last began at `settled`. Others begin at the newest, so that they cost what they find.
    looked_back: Instant,
    /// Whether the look under way is such a one.
    is_looking_back: bool,
}

impl Position {
    /// After all that is committed.
    pub(super) async fn now(database: &Database) -> Result<Self, DbErr> {
        let (settled, newest) = newest(database).await?;
        let now = Instant::now();
        let read = newest.into_iter().map(|(id, at)| (id, (now, at))).collect();
        Ok(Self { settled, read, after: settled, looked_back: now, is_looking_back: false })
    }

    fn newest(&self) -> AuditEventId {
        self.read.last_key_value().map_or(self.settled, |(newest, _)| *newest)
    }

    /// Begins a look.
    pub(super) fn begin(&mut self, now: Instant) {
        // One that failed is made again.
        self.is_looking_back |= now.duration_since(self.looked_back) >= EVERY;
        self.after = self.newest();
        if self.is_looking_back {
            self.looked_back = now;
            self.after = self.settled;
        }
    }

    /// A look has read all that there was.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.is_looking_back) {
            self.settle(self.looked_back);
        }
    }

    /// What is told by the next events that were not read before, and whether there are no more.
    pub(super) async fn read(&mut self, database: &Database) -> Result<(Vec<(UserId, Change)>, bool), DbErr> {
        if self.is_looking_back && self.after == self.settled {
            self.notice_loss(database).await?;
        }
        let next = audit_event::Entity::find()
            .filter(audit_event::Column::Id.gt(self.after))
            .filter(audit_event::Column::Action.is_in(TOLD))
            .order_by_asc(audit_event::Column::Id)
            .limit(BATCH);
        // One that cannot be read is passed over: the others are told.
        let (mut rows, unreadable) = readable(&database.reader().as_stored(), next).await?;
        let is_all = u64::try_from(rows.len() + unreadable.len()).is_ok_and(|read| read < BATCH);
        let passed_over =
            unreadable.iter().filter_map(|row| row.key.first().copied().map(AuditEventId)).max();
        let last = rows.last().map(|last| last.id).max(passed_over);
        rows.retain(|row| self.read.get(&row.id).is_none_or(|(_, at)| *at != row.at));
        let changes = event::changes(database.reader(), &rows).await?;
        // Only now: what failed until here is read again.
        let now = Instant::now();
        self.read.extend(rows.into_iter().map(|row| (row.id, (now, row.at))));
        self.after = last.unwrap_or(self.after);
        Ok((changes, is_all))
    }

    /// Where the greatest id went back, a failover has lost rows, and what has been appended since has ids that were
    /// read before. The newest are told again: that a thing is as it is may be told twice, never not at all.
    async fn notice_loss(&mut self, database: &Database) -> Result<(), DbErr> {
        let greatest: Option<AuditEventId> = audit_event::Entity::find()
            .select_only()
            .column(audit_event::Column::Id)
            .order_by_desc(audit_event::Column::Id)
            .limit(1)
            .into_tuple()
            .one(database.reader())
            .await?;
        if greatest.unwrap_or(AuditEventId(0)) < self.newest() {
            tracing::warn!("audit events that were read are gone; the newest are told again");
            let (settled, _) = newest(database).await?;
            self.settled = settled;
            self.after = settled;
            self.read.clear();
        }
        Ok(())
    }

    /// Forgets what was read so long before a look back began that nothing can appear before it which that look has
    /// not found.
    fn settle(&mut self, began: Instant) {
        let old = self.read.iter().rev().find(|(_, (read, _))| began.duration_since(*read) >= OUT_OF_ORDER);
        if let Some((id, _)) = old {
            self.settled = *id;
            self.read = self.read.split_off(&AuditEventId(self.settled.0 + 1));
        }
    }
}

/// The newest events with their times, and the id before all of them.
async fn newest(database: &Database) -> Result<(AuditEventId, Vec<(AuditEventId, DateTime<Utc>)>), DbErr> {
    let latest = audit_event::Entity::find()
        .filter(audit_event::Column::Action.is_in(TOLD))
        .order_by_desc(audit_event::Column::Id)
        .limit(BATCH);
    let (rows, unreadable) = readable(&database.reader().as_stored(), latest).await?;
    let read = rows.len() + unreadable.len();
    let newest: Vec<_> = rows.into_iter().map(|row| (row.id, row.at)).collect();
    let is_all = u64::try_from(read).is_ok_and(|read| read < BATCH);
    let before = newest.last().filter(|_| !is_all).map_or(0, |(AuditEventId(first), _)| first - 1);
    Ok((AuditEventId(before), newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_still_appear_is_looked_for_and_what_may_not_is_forgotten() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let read = [(3, 0), (5, 1), (4, 9), (6, 9)]
            .map(|(id, seconds)| (AuditEventId(id), (at(seconds), DateTime::UNIX_EPOCH)));
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
