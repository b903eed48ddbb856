//! The sessions that ended while their access tokens may still be valid.
//!
//! An access token names its session in the token claim `sid`, and the server does not look up access tokens in the
//! database. So each node has the sessions in memory that ended within the last 70 minutes, and refuses their tokens.
//! Each node reads the newly ended sessions every few seconds. The node that ends a session reads them at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::refresh_token::{self, Column};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use tokio::sync::watch;
use uuid::Uuid;

use super::deactivated::{DeactivatedAccounts, MAX_AGE};
use crate::clock::Clock;
use crate::database::Database;

/// Time between two reads of the ended sessions.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Each read also covers this time before the previous read. The node that ends a session takes the time before the
/// transaction commits, so a row with an older time can appear after a read. And the clocks of two nodes can differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(2);

/// The ended sessions whose access tokens this node refuses.
pub struct EndedSessions {
    database: Database,
    clock: Arc<dyn Clock>,
    /// The deactivated accounts. A deactivation also ends the sessions of the account, and clients must learn that
    /// the account was deactivated. So new deactivations are read before newly ended sessions are published.
    deactivated: Arc<DeactivatedAccounts>,
    /// The ended sessions, each with the time when it ended.
    ended: watch::Sender<HashMap<Uuid, DateTime<Utc>>>,
    /// The time of the last read. None before the first read. The lock lets one read run at a time.
    last_read: tokio::sync::Mutex<Option<DateTime<Utc>>>,
}

impl EndedSessions {
    /// Reads the sessions that ended within the last 70 minutes.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn load(
        database: Database,
        clock: Arc<dyn Clock>,
        deactivated: Arc<DeactivatedAccounts>,
    ) -> Result<Self, DbErr> {
        let (ended, last_read) = (watch::Sender::default(), tokio::sync::Mutex::default());
        let sessions = Self { database, clock, deactivated, ended, last_read };
        sessions.refresh().await?;
        Ok(sessions)
    }

    /// Returns whether the access tokens of a session must be refused, because the session has ended.
    #[must_use]
    pub fn contains(&self, session: Uuid) -> bool {
        self.ended.borrow().contains_key(&session)
    }

    /// Waits until this node has read that the session ended.
    pub fn wait_for(&self, session: Uuid) -> impl Future<Output = ()> + Send + use<> {
        let mut ended = self.ended.subscribe();
        async move {
            if ended.wait_for(|ended| ended.contains_key(&session)).await.is_err() {
                // The sender is gone, because the server stops. That ends the connection as well, so this future need
                // never complete.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Every few seconds, reads the sessions that ended since the last read. Runs until the task is dropped.
    pub async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            self.refresh_or_warn().await;
        }
    }

    /// Reads the sessions that ended since the last read. Logs an error instead of returning it, because the next
    /// read also finds these sessions.
    pub(super) async fn refresh_or_warn(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "the sessions that ended could not be read; the next read is in a few seconds");
        }
    }

    async fn refresh(&self) -> Result<(), DbErr> {
        let mut last_read = self.last_read.lock().await;
        let now = self.clock.now();
        let oldest = now - MAX_AGE;
        let since = last_read.map_or(oldest, |at| (at - OVERLAP).max(oldest));
        // Only the latest token of a session is unused. So this query finds one row for each ended session.
        let read: Vec<(String, Option<DateTime<Utc>>)> = refresh_token::Entity::find()
            .select_only()
            .columns([Column::FamilyId, Column::RevokedAt])
            .filter(Column::RevokedAt.gt(since))
            .filter(Column::UsedAt.is_null())
            .into_tuple()
            .all(self.database.reader())
            .await?;
        let is_new = |(family, _): &(String, _)| {
            Uuid::try_parse(family).is_ok_and(|family| !self.ended.borrow().contains_key(&family))
        };
        if read.iter().any(is_new) {
            self.deactivated.refresh().await?;
        }
        self.ended.send_if_modified(|ended| {
            let before = ended.len();
            ended.retain(|_, at| *at > oldest);
            let mut is_changed = ended.len() != before;
            for (family, at) in read {
                if let (Ok(family), Some(at)) = (Uuid::try_parse(&family), at) {
                    is_changed |= ended.insert(family, at).is_none();
                }
            }
            is_changed
        });
        *last_read = Some(now);
        Ok(())
    }
}
