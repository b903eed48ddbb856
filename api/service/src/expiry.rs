//! Marks the entitlements of purchases whose term is over as ended. Every node does this for all purchases.
//!
//! Access ends without this module: an entitlement is live only until its term is over, and no deadline of a sitting is
//! later. This module records the end, closes open sittings, and notifies the devices of the learner.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use jishu_entity::entitlement::{self, EntitlementEnd};
use jishu_entity::{PurchaseId, UserId, mock_test_attempt, test_session};
use jishu_service_macros::service_call;
use rand::seq::SliceRandom;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, IntoSimpleExpr, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::json;

use super::Services;
use super::audit::StateChange;
use super::events::{self, Event};
use super::paper::Papers;
use super::session::{EndedEntitlements, close_open_of};
use crate::clock::Clock;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault};
use crate::failpoint;

/// Maximum number of purchases that one search finds.
const PURCHASES_PER_SEARCH: usize = 200;
/// Maximum number of purchases that cannot be ended before a call stops. Each search lists all of them to leave them
/// out, so the list must stay short.
const MAX_FAILURES: usize = 1_000;
/// Maximum number of purchases that are ended at the same time.
const MAX_CONCURRENT_ENDS: usize = 4;
/// The time for which ending a purchase is retried if other writes of its learner conflict. After this time the
/// purchase is skipped, and the next call tries again.
const RETRY_DURATION: Duration = Duration::from_secs(1);

/// Ends purchases whose term is over, once in each interval, until the task is dropped.
#[service_call]
pub async fn keep_ending(services: Services, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = end_lapsed(&services).await {
            tracing::warn!(%error, "the search for purchases whose term is over failed; the server will retry");
        }
    }
}

/// Ends every purchase whose term is over. Returns the number of purchases that this call ended. A purchase with an
/// open sitting is left for a later call, while the sitting still accepts answers in its grace time.
///
/// # Errors
/// Fails if the search fails. A purchase that cannot be ended is logged, and remains for the next call.
#[service_call("expiry.end_lapsed")]
pub async fn end_lapsed(services: &Services) -> Result<usize, Fault> {
    // The purchases that this call could not end. Its next searches leave them out.
    let mut failed: Vec<PurchaseId> = Vec::new();
    let mut ended = 0;
    loop {
        let before = (ended, failed.len());
        let mut lapsed = find(services, &failed).await?;
        let is_last_page = lapsed.len() < PURCHASES_PER_SEARCH;
        // Shuffle, so that nodes that search at the same time begin with different purchases.
        lapsed.shuffle(&mut rand::rng());
        let results: Vec<_> = stream::iter(lapsed)
            .map(async |(purchase, owner)| (purchase, end_one(services, owner, purchase).await))
            .buffer_unordered(MAX_CONCURRENT_ENDS)
            .collect()
            .await;
        for (purchase, result) in results {
            match result {
                Ok(true) => ended += 1,
                // Another node, or a new purchase of the same learner, has ended this purchase meanwhile.
                Ok(false) => {}
                Err(error) => {
                    failed.push(purchase);
                    tracing::warn!(%purchase, %error, "a purchase could not be ended; the server will retry");
                }
            }
        }
        if is_last_page || failed.len() >= MAX_FAILURES || (ended, failed.len()) == before {
            if ended > 0 {
                tracing::info!(ended, "purchases whose term is over were ended");
            }
            return Ok(ended);
        }
    }
}

/// Finds purchases with entitlements whose term is over and that are not marked as ended, oldest end first. Leaves out
/// the purchases in `failed`.
async fn find(services: &Services, failed: &[PurchaseId]) -> Result<Vec<(PurchaseId, UserId)>, DbErr> {
    let now = services.clock.now();
    let ends = || Expr::col((entitlement::Entity, entitlement::Column::ExpiresAt));
    // A sitting still accepts answers in the grace time after its deadline.
    let no_answer_can_arrive = Condition::any()
        .add(ends().lt(services.sittings.rules.overdue_before(now)))
        .add(Expr::exists(open_sitting()).not());
    let mut lapsed = entitlement::Entity::find()
        .select_only()
        .columns([entitlement::Column::PurchaseId, entitlement::Column::UserId])
        // The index for this search begins with the column `live`.
        .filter(Expr::col((entitlement::Entity, "live")).eq(1))
        .filter(entitlement::Column::ExpiresAt.lte(now))
        .filter(no_answer_can_arrive)
        .group_by(entitlement::Column::PurchaseId)
        .group_by(entitlement::Column::UserId)
        .order_by(ends().min(), Order::Asc)
        .order_by_asc(entitlement::Column::PurchaseId)
        .limit(PURCHASES_PER_SEARCH as u64);
    if !failed.is_empty() {
        lapsed = lapsed.filter(entitlement::Column::PurchaseId.is_not_in(failed.iter().copied()));
    }
    lapsed.into_tuple().all(services.database.reader()).await
}

/// Returns a subquery for the open sittings of all cards of the purchase that gave an entitlement. The whole purchase
/// counts, because it ends as a whole.
fn open_sitting() -> SelectStatement {
    let of_sitting = test_session::Column::MockTestAttemptId.into_simple_expr();
    Query::select()
        .expr(Expr::val(1))
        .from(mock_test_attempt::Entity)
        .inner_join(test_session::Entity, of_sitting.eq(mock_test_attempt::Column::Id.into_simple_expr()))
        .and_where(test_session::Column::OpenMarker.into_simple_expr().eq(1))
        .and_where(
            mock_test_attempt::Column::PurchaseId
                .into_simple_expr()
                .eq(entitlement::Column::PurchaseId.into_simple_expr()),
        )
        .take()
}

/// A purchase that [`run`] ends.
struct EndCommand {
    owner: UserId,
    purchase: PurchaseId,
    papers: Arc<Papers>,
    clock: Arc<dyn Clock>,
}

/// Ends one purchase in a transaction. Returns false if the purchase has no entitlement to end.
async fn end_one(services: &Services, owner: UserId, purchase: PurchaseId) -> Result<bool, Fault> {
    let (papers, clock) = (Arc::clone(&services.papers), Arc::clone(&services.clock));
    let command = EndCommand { owner, purchase, papers, clock };
    let policy = WritePolicy::idempotent("end lapsed").retry_taken_keys();
    let has_ended = services
        .database
        .retrying_for(RETRY_DURATION)
        .write_for(owner, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    if has_ended {
        services.events.appended(owner);
    }
    Ok(has_ended)
}

async fn run(transaction: &DatabaseTransaction, command: &EndCommand) -> Result<bool, Error<Infallible>> {
    lock_user(transaction, command.owner).await?;
    failpoint::boundary("expiry.locked");
    let now = command.clock.now();
    let has_ended =
        end_lapsed_of(transaction, &command.papers, (command.owner, command.purchase), now).await?;
    if has_ended {
        append_event(transaction, command.purchase, now).await?;
        failpoint::boundary("expiry.audited");
    }
    Ok(has_ended)
}

/// Marks the entitlements of a purchase whose term is over as ended, at the end of their term, and closes their open
/// sittings. Returns false if the purchase has no entitlements to end. If this function returns true, the caller must
/// append the event with [`append_event`], as late in the transaction as possible. The caller must have locked the
/// owner's row.
pub(crate) async fn end_lapsed_of(
    transaction: &DatabaseTransaction,
    papers: &Papers,
    (owner, purchase): (UserId, PurchaseId),
    now: DateTime<Utc>,
) -> Result<bool, Fault> {
    let lapsed = Condition::all()
        .add(entitlement::Column::UserId.eq(owner))
        .add(entitlement::Column::PurchaseId.eq(purchase))
        .add(entitlement::Column::EndedAt.is_null())
        .add(entitlement::Column::ExpiresAt.lte(now));
    let rows = entitlement::Entity::find().filter(lapsed.clone()).all(transaction).await?;
    let Some(at) = rows.iter().filter_map(|row| row.expires_at).max() else { return Ok(false) };
    entitlement::Entity::update_many()
        .col_expr(entitlement::Column::EndedAt, Expr::col(entitlement::Column::ExpiresAt))
        .col_expr(entitlement::Column::EndReason, Expr::value(EntitlementEnd::Expired))
        .filter(lapsed)
        .exec(transaction)
        .await?;
    failpoint::boundary("expiry.ended");
    let subjects = rows.into_iter().map(|row| row.subject_id).collect();
    let ended = EndedEntitlements { owner, purchase, subjects, reason: EntitlementEnd::Expired, at };
    close_open_of(transaction, papers, &ended, now).await?;
    failpoint::boundary("expiry.sittings-closed");
    Ok(true)
}

/// Appends the audit event which says that the term of a purchase is over.
pub(crate) async fn append_event(
    transaction: &DatabaseTransaction,
    purchase: PurchaseId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let change = StateChange::between(json!({ "status": "active" }), json!({ "status": "expired" }));
    events::append_change(transaction, now, None, Event::PurchaseExpired(purchase), &change).await
}
