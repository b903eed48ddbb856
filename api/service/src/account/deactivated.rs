//! The accounts that were deactivated or deleted while their access tokens may still be valid.
//!
//! The server does not look up access tokens in the database. So each node has the accounts in memory that were
//! deactivated or deleted within the last 70 minutes, and refuses their tokens. Each node reads these accounts again
//! every few seconds. The node that deactivates or deletes an account reads them at once.

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

/// Time between two reads of the deactivated accounts.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Maximum age of a deactivation, a deletion or an end of a session that nodes still read. It is the
/// longest lifetime of an access token (one hour), and ten minutes more for differences between the clocks of nodes.
pub(super) const MAX_AGE: TimeDelta = TimeDelta::minutes(70);

/// The deactivated and deleted accounts whose access tokens this node refuses.
pub struct DeactivatedAccounts {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: watch::Sender<HashSet<UserId>>,
    /// Lets one read run at a time, so that the result of an older read never replaces that of a newer one.
    reading: tokio::sync::Mutex<()>,
}

impl DeactivatedAccounts {
    /// Reads the accounts that were deactivated or deleted within the last 70 minutes.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn load(database: Database, clock: Arc<dyn Clock>) -> Result<Self, DbErr> {
        let accounts =
            Self { database, clock, ids: watch::Sender::default(), reading: tokio::sync::Mutex::default() };
        accounts.refresh().await?;
        Ok(accounts)
    }

    /// Returns whether the access tokens of an account must be refused, because the account was deactivated or
    /// deleted.
    #[must_use]
    pub fn contains(&self, id: UserId) -> bool {
        self.ids.borrow().contains(&id)
    }

    /// Waits until this node has read that the account was deactivated or deleted.
    pub fn wait_for(&self, id: UserId) -> impl Future<Output = ()> + Send + use<> {
        let mut ids = self.ids.subscribe();
        async move {
            if ids.wait_for(|ids| ids.contains(&id)).await.is_err() {
                // The sender is gone, because the server stops. That ends the connection as well, so this future need
                // never complete.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Reads the deactivated accounts again every few seconds, until the task is dropped.
    pub async fn keep_fresh(&self) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "the deactivated accounts could not be read; the next read is in a few seconds");
            }
        }
    }

    /// Reads the deactivated accounts again. Wakes the callers of [`DeactivatedAccounts::wait_for`] if the accounts
    /// changed.
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
