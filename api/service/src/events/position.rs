//! The position of a node in the audit events.
//!
//! A node reads the events in the order of their ids. A transaction gets the id of its event before it commits. So an
//! event with a lower id may appear after an event with a higher id. For this reason a node remembers the events that
//! it has read lately, and rescans that part of the table twice a second.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jishu_entity::{AuditEventId, UserId, audit_event};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::event::{self, PUBLISHED_ACTIONS};
use super::{POLL_INTERVAL, WatchedChange};
use crate::database::{Database, read_rows};

/// Maximum time that a transaction may take between appending an event and its commit. For this time after reading an
/// event, a node expects events with lower ids. It is short, because a transaction appends its events shortly before it
/// commits.
pub(super) const MAX_COMMIT_DELAY: Duration = Duration::from_secs(10);

/// Maximum number of events that one statement reads.
const ROWS_PER_READ: u64 = 1_000;

/// Maximum number of pages with [`ROWS_PER_READ`] events that [`latest`] reads. These pages have all events of the last
/// [`MAX_COMMIT_DELAY`] if the servers append at most 10,000 events a second, which is about five times as many as was
/// measured. Without this maximum, a node whose clock is far behind would read the whole table into its memory.
const MAX_LATEST_PAGES: usize = 100;

/// An event that this node has read.
#[derive(Clone, Copy, Debug)]
struct ReadEvent {
    /// The time when this node read the event.
    read_at: Instant,
    /// The time in the row of the event. The time differs if a failover lost the event and another event got its id.
    event_time: DateTime<Utc>,
}

/// The events that one statement has found.
pub(super) struct NewEvents {
    /// The changes of the events that this node had not read before, each with the owner of its object.
    pub(super) changes: Vec<(UserId, WatchedChange)>,
    /// Whether no events come after the events that the statement has found.
    pub(super) is_complete: bool,
    /// The time of the oldest event of the statement that this node had not read before. None if the node had read all
    /// found events.
    pub(super) oldest: Option<DateTime<Utc>>,
}

/// The position of this node in the audit events.
#[derive(Debug)]
pub(super) struct Position {
    /// The id up to which all events were read: no event with this id or a lower id is expected any more.
    settled: AuditEventId,
    /// The events with ids above `settled` that this node has read.
    read: BTreeMap<AuditEventId, ReadEvent>,
    /// The next statement reads events with ids above this id.
    after: AuditEventId,
    /// The time when the last rescan began. A rescan reads from `settled` on. Other reads start after the newest event
    /// that was read, so that their cost depends only on the number of new events.
    last_rescan: Instant,
    /// Whether the current read is a rescan.
    is_rescan: bool,
}

impl Position {
    /// Returns the position after all events that are committed now, so that only later events count as new. `time` is
    /// the time of the clock of this node.
    pub(super) async fn now(database: &Database, time: DateTime<Utc>) -> Result<Self, DbErr> {
        let (settled, latest) = latest(database, time).await?;
        let now = Instant::now();
        let read =
            latest.into_iter().map(|(id, event_time)| (id, ReadEvent { read_at: now, event_time })).collect();
        Ok(Self { settled, read, after: settled, last_rescan: now, is_rescan: false })
    }

    /// Returns the greatest id of an event that was read.
    fn newest(&self) -> AuditEventId {
        self.read.last_key_value().map_or(self.settled, |(newest, _)| *newest)
    }

    /// Begins to read new events. Decides whether this read is a rescan.
    pub(super) fn begin_read(&mut self, now: Instant) {
        // If the last rescan failed, `is_rescan` is still true, so the rescan is repeated.
        self.is_rescan |= now.duration_since(self.last_rescan) >= POLL_INTERVAL;
        self.after = self.newest();
        if self.is_rescan {
            self.last_rescan = now;
            self.after = self.settled;
        }
    }

    /// Ends a read that has found all events. After a rescan, forgets events that are old enough.
    pub(super) fn end_read(&mut self) {
        if std::mem::take(&mut self.is_rescan) {
            self.settle(self.last_rescan);
        }
    }

    /// Reads the next events, at most [`ROWS_PER_READ`]. `time` is the time of the clock of this node.
    pub(super) async fn read(
        &mut self,
        database: &Database,
        time: DateTime<Utc>,
    ) -> Result<NewEvents, DbErr> {
        if self.is_rescan && self.after == self.settled {
            self.detect_lost_rows(database, time).await?;
        }
        let next = audit_event::Entity::find()
            .filter(audit_event::Column::Id.gt(self.after))
            .filter(audit_event::Column::Action.is_in(PUBLISHED_ACTIONS))
            .order_by_asc(audit_event::Column::Id)
            .limit(ROWS_PER_READ);
        // Unreadable events are skipped, so that the other events are delivered.
        let (mut rows, unreadable) = read_rows(&database.reader().without_time_check(), next).await?;
        let is_complete = u64::try_from(rows.len() + unreadable.len()).is_ok_and(|read| read < ROWS_PER_READ);
        let skipped = unreadable.iter().filter_map(|row| row.key.first().copied().map(AuditEventId)).max();
        let last = rows.last().map(|last| last.id).max(skipped);
        rows.retain(|row| self.read.get(&row.id).is_none_or(|read| read.event_time != row.at));
        let changes = event::changes(database.reader(), &rows).await?;
        // The position moves only after the last statement that can fail, so that a failed read is repeated.
        let oldest = rows.iter().map(|row| row.at).min();
        let read_at = Instant::now();
        self.read.extend(rows.into_iter().map(|row| (row.id, ReadEvent { read_at, event_time: row.at })));
        self.after = last.unwrap_or(self.after);
        Ok(NewEvents { changes, is_complete, oldest })
    }

    /// Moves the position back if the greatest id in the table is lower than the greatest id that was read.
    ///
    /// In this case a failover has lost events, and newer events may have ids that were read before. So the latest
    /// events are delivered again: delivering a change twice is harmless, but losing a change is not.
    async fn detect_lost_rows(&mut self, database: &Database, time: DateTime<Utc>) -> Result<(), DbErr> {
        let greatest: Option<AuditEventId> = audit_event::Entity::find()
            .select_only()
            .column(audit_event::Column::Id)
            .order_by_desc(audit_event::Column::Id)
            .limit(1)
            .into_tuple()
            .one(database.reader())
            .await?;
        if greatest.unwrap_or(AuditEventId(0)) < self.newest() {
            tracing::warn!(
                "audit events that were read have disappeared; the latest ones are delivered again"
            );
            let (settled, _) = latest(database, time).await?;
            self.settled = settled;
            self.after = settled;
            self.read.clear();
        }
        Ok(())
    }

    /// Forgets all events up to the newest event that was read at least [`MAX_COMMIT_DELAY`] before the rescan began.
    /// All events with lower ids were committed before the rescan began, so the rescan has found them.
    fn settle(&mut self, began: Instant) {
        let old =
            self.read.iter().rev().find(|(_, read)| began.duration_since(read.read_at) >= MAX_COMMIT_DELAY);
        if let Some((id, _)) = old {
            self.settled = *id;
            self.read = self.read.split_off(&AuditEventId(self.settled.0 + 1));
        }
    }
}

/// Reads the ids and times of the latest events: one page of [`ROWS_PER_READ`] events, and further pages until all
/// events of a page are at least [`MAX_COMMIT_DELAY`] older than `time`. Also returns the id before the oldest of these
/// events, or 0 if the table has no older events.
///
/// A transaction that is open now appended its events less than [`MAX_COMMIT_DELAY`] ago. So its events have higher ids
/// than all events of the last page, and the node finds them after their commit. The time of an event can be earlier
/// than the moment when its transaction appended it. So one old event on a page does not end the reading.
async fn latest(
    database: &Database,
    time: DateTime<Utc>,
) -> Result<(AuditEventId, Vec<(AuditEventId, DateTime<Utc>)>), DbErr> {
    let is_old = |at: DateTime<Utc>| (time - at).to_std().is_ok_and(|age| age >= MAX_COMMIT_DELAY);
    let mut latest: Vec<(AuditEventId, DateTime<Utc>)> = Vec::new();
    let mut lowest: Option<AuditEventId> = None;
    for _ in 0..MAX_LATEST_PAGES {
        let mut page = audit_event::Entity::find()
            .filter(audit_event::Column::Action.is_in(PUBLISHED_ACTIONS))
            .order_by_desc(audit_event::Column::Id)
            .limit(ROWS_PER_READ);
        if let Some(lowest) = lowest {
            page = page.filter(audit_event::Column::Id.lt(lowest));
        }
        let (rows, unreadable) = read_rows(&database.reader().without_time_check(), page).await?;
        let read = rows.len() + unreadable.len();
        let unreadable = unreadable.iter().filter_map(|row| row.key.first().copied().map(AuditEventId));
        let lowest_of_page = rows.iter().map(|row| row.id).chain(unreadable).min();
        let is_settled = rows.iter().all(|row| is_old(row.at));
        latest.extend(rows.into_iter().map(|row| (row.id, row.at)));
        if u64::try_from(read).is_ok_and(|read| read < ROWS_PER_READ) {
            return Ok((AuditEventId(0), latest));
        }
        lowest = lowest_of_page.or(lowest);
        if is_settled || lowest_of_page.is_none() {
            return Ok((before(lowest), latest));
        }
    }
    tracing::warn!(
        events = latest.len(),
        "too many audit events are new, so subscribers may miss a change that is committed now; check the clocks of \
         the nodes"
    );
    Ok((before(lowest), latest))
}

/// Returns the id before `lowest`, or 0 if it is None.
fn before(lowest: Option<AuditEventId>) -> AuditEventId {
    AuditEventId(lowest.map_or(0, |AuditEventId(lowest)| lowest - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rescan_covers_late_events_and_forgets_settled_ones() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let read = [(3, 0), (5, 1), (4, 9), (6, 9)].map(|(id, seconds)| {
            let read = ReadEvent { read_at: at(seconds), event_time: DateTime::UNIX_EPOCH };
            (AuditEventId(id), read)
        });
        let mut position = Position {
            settled: AuditEventId(2),
            read: BTreeMap::from(read),
            after: AuditEventId(0),
            last_rescan: at(9),
            is_rescan: false,
        };
        let begin = |position: &mut Position, now| {
            position.begin_read(now);
            (position.settled.0, position.after.0, position.read.len())
        };
        assert_eq!(begin(&mut position, at(9)), (2, 6, 4), "the read did not begin after the newest event");
        position.end_read();
        assert_eq!(begin(&mut position, at(10)), (2, 2, 4), "the rescan did not begin at the settled id");
        assert_eq!(
            begin(&mut position, at(100)),
            (2, 2, 4),
            "the read did not repeat the rescan, although the last rescan did not end"
        );
        position.last_rescan = at(10);
        position.end_read();
        assert_eq!(
            begin(&mut position, at(10)),
            (3, 6, 3),
            "the position did not forget event 3, which was read 10 seconds before the rescan"
        );
        position.end_read();
        assert_eq!(begin(&mut position, at(11)), (3, 3, 3));
        position.end_read();
        assert_eq!(
            begin(&mut position, at(11)),
            (5, 6, 1),
            "the position did not forget event 5, or event 4, which was read later but has a lower id"
        );
        position.end_read();
        assert_eq!(begin(&mut position, at(30)), (5, 5, 1));
        position.end_read();
        assert_eq!(begin(&mut position, at(31)), (6, 6, 0));
    }
}
