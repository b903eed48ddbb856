//! The accounts that were deactivated or deleted while access tokens of theirs may still be valid.
//!
//! An access token is not looked up in the database. So each node keeps the accounts that were deactivated within the
//! longest lifetime of a token in memory, and refuses their tokens. It reads them anew every few seconds. The node that
//! deactivates an account reads them at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, audit_event, user};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationDef};
use tokio::sync::watch;

use super::administration::STATUS_CHANGED;
use super::deletion::DELETED;
use crate::clock::Clock;
use crate::database::Database;

/// Time between two reads.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The age up to which a deactivation is read. It is the longest lifetime of an access token, which is an hour, and some
/// time for clocks of nodes that differ.
pub(super) const MAX_AGE: TimeDelta = TimeDelta::minutes(70);

/// The accounts whose access tokens this node refuses.
pub struct DeactivatedAccounts {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: watch::Sender<HashSet<UserId>>,
    /// Orders the reads, so that an older one never replaces a newer one.
    reading: tokio::sync::Mutex<()>,
}

impl DeactivatedAccounts {
    /// Reads the accounts that were deactivated lately.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn load(database: Database, clock: Arc<dyn Clock>) -> Result<Self, DbErr> {
        let accounts =
            Self { database, clock, ids: watch::Sender::default(), reading: tokio::sync::Mutex::default() };
        accounts.refresh().await?;
        Ok(accounts)
    }

    /// Tells whether the access tokens of an account must be refused.
    #[must_use]
    pub fn contains(&self, id: UserId) -> bool {
        self.ids.borrow().contains(&id)
    }

    /// Waits until an account is deactivated.
    pub fn wait_for(&self, id: UserId) -> impl Future<Output = ()> + Send + use<> {
        let mut ids = self.ids.subscribe();
        async move {
            if ids.wait_for(|ids| ids.contains(&id)).await.is_err() {
                // The server stops, which ends the connection as well.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Reads the accounts again every few seconds, until the task is dropped.
    pub async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the deactivated accounts could not be read; the read is retried");
            }
        }
    }

    /// Reads the accounts again.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn refresh(&self) -> Result<(), DbErr> {
        let _guard = self.reading.lock().await;
        let event: RelationDef = user::Entity::belongs_to(audit_event::Entity)
            .from(user::Column::Id)
            .to(audit_event::Column::TargetId)
            .into();
        let read: Vec<UserId> = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .distinct()
            .join(JoinType::InnerJoin, event)
            .filter(audit_event::Column::Action.is_in([STATUS_CHANGED, DELETED]))
            .filter(audit_event::Column::At.gt(self.clock.now() - MAX_AGE))
            .filter(user::Column::Status.eq(UserStatus::Deactivated))
            .into_tuple()
            .all(self.database.reader())
            .await?;
        let read: HashSet<UserId> = read.into_iter().collect();
        self.ids.send_if_modified(|ids| {
            let is_changed = *ids != read;
            *ids = read;
            is_changed
        });
        Ok(())
    }
}
