//! Inserts the rows of a purchase.
//!
//! PostgreSQL inserts the purchase, its entitlements, the stored request, the cards and the audit event in [one
//! statement](super::combined). The other databases cannot do this in one statement, and use one for each table.

use chrono::TimeDelta;
use jishu_entity::purchase::PurchaseStatus;
use jishu_entity::purchase_request::RequestOutcome;
use jishu_entity::{PurchaseId, entitlement, purchase, purchase_request, purchase_request_owned};
use sea_orm::{
    ActiveValue::NotSet, ActiveValue::Set, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, TryIntoModel, Value,
};

use super::selection::ResolvedSelection;
use super::{PurchaseCommand, PurchaseRefusal, combined};
use crate::allowance;
use crate::audit::EventRow;
use crate::database::sql;
use crate::error::{Error, Fault};
use crate::failpoint;

/// The statement that inserts all cards of a purchase on databases other than PostgreSQL. Recursion makes the test
/// numbers. MariaDB limits the recursion to 1000 rows, which is the maximum number of cards of a subject. There is no
/// ON CONFLICT: if a card of a new purchase exists already, the purchase must be aborted.
const INSERT_CARDS_SQL: &str = "\
INSERT INTO mock_test_attempts \
(purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used) \
WITH RECURSIVE numbers (test_number) AS (\
SELECT 1 UNION ALL SELECT test_number + 1 FROM numbers WHERE test_number < ?) \
SELECT e.purchase_id, e.user_id, e.subject_id, numbers.test_number, 'available', s.max_attempts, 0 \
FROM entitlements e \
JOIN subjects s ON s.id = e.subject_id \
JOIN numbers ON numbers.test_number <= e.test_cards \
WHERE e.purchase_id = ? \
ORDER BY e.subject_id, numbers.test_number";

/// A purchase that was inserted.
pub(super) struct Inserted {
    pub(super) purchase: purchase::Model,
    /// The number of cards that the statement of the purchase inserted. None if it inserted no cards.
    cards: Option<i64>,
    /// Whether the statement of the purchase also appended the audit event.
    pub(super) is_audited: bool,
}

/// Inserts a purchase with its entitlements, and stores the request under its idempotency key. On PostgreSQL, also
/// inserts the cards, and the audit event if `event` is given.
pub(super) async fn purchase(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
    event: Option<EventRow>,
) -> Result<Inserted, DbErr> {
    let mut row = purchase_row(command, resolved);
    if transaction.get_database_backend() == DbBackend::Postgres {
        let is_audited = event.is_some();
        let request = request_row(command, RequestOutcome::Created, PurchaseId(0));
        let statement = combined::statement(row.clone(), request, event, resolved);
        let inserted = transaction.query_one_raw(statement).await?.ok_or(DbErr::RecordNotInserted)?;
        failpoint::boundary("purchase.inserted");
        row.id = Set(inserted.try_get_by_index(0)?);
        let cards = Some(inserted.try_get_by_index(1)?);
        return Ok(Inserted { purchase: row.try_into_model()?, cards, is_audited });
    }
    row.id = Set(purchase::Entity::insert(row.clone()).exec(transaction).await?.last_insert_id);
    let purchase = row.try_into_model()?;
    failpoint::boundary("purchase.inserted");
    entitlements(transaction, &purchase, resolved).await?;
    request(transaction, command, (RequestOutcome::Created, purchase.id), resolved).await?;
    Ok(Inserted { purchase, cards: None, is_audited: false })
}

fn purchase_row(command: &PurchaseCommand, resolved: &ResolvedSelection) -> purchase::ActiveModel {
    let term = resolved.course.validity_days.map(|days| TimeDelta::days(i64::from(days)));
    let tax = &resolved.quote.tax_policy;
    purchase::ActiveModel {
        id: NotSet,
        user_id: Set(command.buyer),
        course_id: Set(resolved.course.id),
        purchase_type: Set(command.request.selection.purchase_type),
        cost: Set(resolved.quote.total),
        subtotal: Set(Some(resolved.quote.subtotal)),
        tax: Set(Some(resolved.quote.tax)),
        tax_label: Set(Some(tax.label.clone())),
        tax_basis_points: Set(Some(tax.rate.basis_points())),
        is_tax_included: Set(Some(tax.is_included)),
        currency: Set(resolved.quote.currency.clone()),
        status: Set(PurchaseStatus::Active),
        created_at: Set(command.now),
        expires_at: Set(term.and_then(|term| command.now.checked_add_signed(term))),
    }
}

async fn entitlements(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
    resolved: &ResolvedSelection,
) -> Result<(), DbErr> {
    let rows = resolved.quote.lines.iter().map(|line| entitlement::ActiveModel {
        purchase_id: Set(purchase.id),
        subject_id: Set(line.subject_id),
        user_id: Set(purchase.user_id),
        price_paid: Set(line.price),
        list_price: Set(Some(line.list_price)),
        tax: Set(Some(line.tax)),
        test_cards: Set(line.test_cards),
        granted_at: Set(purchase.created_at),
        expires_at: Set(purchase.expires_at),
        ended_at: NotSet,
        end_reason: NotSet,
    });
    entitlement::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

fn request_row(
    command: &PurchaseCommand,
    outcome: RequestOutcome,
    purchase_id: PurchaseId,
) -> purchase_request::ActiveModel {
    purchase_request::ActiveModel {
        id: NotSet,
        user_id: Set(command.buyer),
        idempotency_key: Set(command.key.clone()),
        request_hash: Set(command.request_hash.as_str().to_owned()),
        outcome: Set(outcome),
        purchase_id: Set(purchase_id),
        created_at: Set(command.now),
    }
}

/// Stores a request under its idempotency key, with its outcome and the requested subjects that the buyer already
/// owned.
pub(super) async fn request(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    (outcome, purchase_id): (RequestOutcome, PurchaseId),
    resolved: &ResolvedSelection,
) -> Result<(), DbErr> {
    let request = request_row(command, outcome, purchase_id);
    let request = purchase_request::Entity::insert(request).exec(transaction).await?.last_insert_id;
    if resolved.owned.is_empty() {
        return Ok(());
    }
    let rows = resolved.owned.iter().map(|owned| purchase_request_owned::ActiveModel {
        request_id: Set(request),
        subject_id: Set(owned.subject_id),
        granted_by: Set(owned.purchase_id),
    });
    purchase_request_owned::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Inserts the cards, unless the statement of the purchase inserted them, and checks their number. A wrong number
/// aborts the purchase. Then raises the attempts of the cards if allowances grant more.
pub(super) async fn cards(
    transaction: &DatabaseTransaction,
    inserted: &Inserted,
    resolved: &ResolvedSelection,
) -> Result<(), Error<PurchaseRefusal>> {
    let purchase = &inserted.purchase;
    let made = match inserted.cards {
        Some(made) => made,
        None => {
            let most = resolved.quote.lines.iter().map(|line| line.test_cards).max().unwrap_or_default();
            let values = [most.into(), Value::from(purchase.id)];
            let statement = sql(transaction.get_database_backend(), INSERT_CARDS_SQL, values);
            let made = transaction.execute_raw(statement).await?.rows_affected();
            i64::try_from(made).unwrap_or(i64::MAX)
        }
    };
    let expected = resolved.quote.test_cards();
    if made != expected {
        let id = purchase.id;
        let cause = format!("purchase {id} made {made} test cards instead of {expected}");
        return Err(Fault::Inconsistent(cause).into());
    }
    if resolved.may_have_allowances {
        let subjects = resolved.quote.lines.iter().map(|line| line.subject_id);
        let (user, course) = (purchase.user_id, purchase.course_id);
        allowance::raise_new_cards(transaction, user, purchase.id, course, subjects).await?;
    }
    Ok(())
}
