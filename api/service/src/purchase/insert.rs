//! Inserts the rows of a purchase.
//!
//! PostgreSQL inserts the purchase, its entitlements, the stored request and the cards in one statement. The other databases
//! have no such statement, and take one for each table.

use chrono::TimeDelta;
use jishu_entity::purchase::PurchaseStatus;
use jishu_entity::purchase_request::RequestOutcome;
use jishu_entity::{PurchaseId, entitlement, purchase, purchase_request, purchase_request_owned};
use sea_orm::sea_query::ArrayType;
use sea_orm::{
    ActiveEnum, ActiveValue::NotSet, ActiveValue::Set, ConnectionTrait, DatabaseTransaction, DbBackend,
    DbErr, EntityTrait, TryIntoModel, Value,
};

use super::selection::ResolvedSelection;
use super::{PurchaseCommand, PurchaseRefusal};
use crate::allowance;
use crate::database::sql;
use crate::error::{Error, Fault};
use crate::failpoint;

/// Inserts a purchase with its entitlements, the stored request and all cards, on PostgreSQL. Returns the id of the purchase
/// and the number of the cards.
///
/// There is no ON CONFLICT: a conflict within a new purchase is a bug, and must abort the purchase.
const INSERT_PURCHASE_SQL: &str = "\
WITH bought AS (INSERT INTO purchases (user_id, course_id, purchase_type, cost, subtotal, tax, tax_label, \
tax_basis_points, is_tax_included, currency, status, created_at, expires_at) \
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id), \
granted AS (INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, list_price, tax, test_cards, \
granted_at, expires_at) \
SELECT bought.id, v.subject_id, ?, v.price_paid, v.list_price, v.tax, v.test_cards, ?, ? \
FROM bought, unnest(?, ?, ?, ?, ?) AS v (subject_id, price_paid, list_price, tax, test_cards) \
RETURNING purchase_id, user_id, subject_id, test_cards), \
stored AS (INSERT INTO purchase_requests (user_id, idempotency_key, request_hash, outcome, purchase_id, created_at) \
SELECT ?, ?, ?, ?, bought.id, ? FROM bought RETURNING id), \
owned AS (INSERT INTO purchase_request_owned (request_id, subject_id, granted_by) \
SELECT stored.id, v.subject_id, v.granted_by FROM stored, unnest(?, ?) AS v (subject_id, granted_by)), \
cards AS (INSERT INTO mock_test_attempts \
(purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used) \
SELECT g.purchase_id, g.user_id, g.subject_id, numbers.test_number, 'available', s.max_attempts, 0 \
FROM granted g JOIN subjects s ON s.id = g.subject_id \
CROSS JOIN LATERAL generate_series(1, g.test_cards) AS numbers (test_number) RETURNING 1) \
SELECT bought.id, (SELECT COUNT(*) FROM cards) FROM bought";

/// Inserts all cards of a purchase on the other databases. Recursion makes the test numbers. MariaDB limits the recursion to
/// 1000 rows, which is the most cards that a subject may have. Nor is there an ON CONFLICT here.
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
    /// The number of its cards, if its own statement inserted them.
    cards: Option<i64>,
}

/// Inserts a purchase with its entitlements, and stores the request under its idempotency key. On PostgreSQL also inserts the
/// cards.
pub(super) async fn purchase(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<Inserted, DbErr> {
    let mut row = purchase_row(command, resolved);
    if transaction.get_database_backend() == DbBackend::Postgres {
        let purchase = purchase::ActiveModel { id: Set(PurchaseId(0)), ..row }.try_into_model()?;
        let statement = sql(DbBackend::Postgres, INSERT_PURCHASE_SQL, values(&purchase, command, resolved));
        let inserted = transaction.query_one_raw(statement).await?;
        let inserted = inserted.ok_or(DbErr::RecordNotInserted)?;
        failpoint::boundary("purchase.inserted");
        let purchase = purchase::Model { id: inserted.try_get_by_index(0)?, ..purchase };
        return Ok(Inserted { purchase, cards: Some(inserted.try_get_by_index(1)?) });
    }
    row.id = Set(purchase::Entity::insert(row.clone()).exec(transaction).await?.last_insert_id);
    let purchase = row.try_into_model()?;
    failpoint::boundary("purchase.inserted");
    entitlements(transaction, &purchase, resolved).await?;
    request(transaction, command, (RequestOutcome::Created, purchase.id), resolved).await?;
    Ok(Inserted { purchase, cards: None })
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

/// Returns the parameters of [`INSERT_PURCHASE_SQL`].
fn values(purchase: &purchase::Model, command: &PurchaseCommand, resolved: &ResolvedSelection) -> Vec<Value> {
    let (lines, owned) = (&resolved.quote.lines, &resolved.owned);
    vec![
        purchase.user_id.into(),
        purchase.course_id.into(),
        purchase.purchase_type.to_value().into(),
        purchase.cost.into(),
        purchase.subtotal.into(),
        purchase.tax.into(),
        purchase.tax_label.clone().into(),
        purchase.tax_basis_points.into(),
        purchase.is_tax_included.into(),
        purchase.currency.clone().into(),
        purchase.status.to_value().into(),
        purchase.created_at.into(),
        purchase.expires_at.into(),
        purchase.user_id.into(),
        purchase.created_at.into(),
        purchase.expires_at.into(),
        array(ArrayType::BigInt, lines.iter().map(|line| line.subject_id.into())),
        array(ArrayType::BigInt, lines.iter().map(|line| line.price.into())),
        array(ArrayType::BigInt, lines.iter().map(|line| line.list_price.into())),
        array(ArrayType::BigInt, lines.iter().map(|line| line.tax.into())),
        array(ArrayType::Int, lines.iter().map(|line| line.test_cards.into())),
        command.buyer.into(),
        command.key.clone().into(),
        command.request_hash.as_str().into(),
        RequestOutcome::Created.to_value().into(),
        command.now.into(),
        array(ArrayType::BigInt, owned.iter().map(|owned| owned.subject_id.into())),
        array(ArrayType::BigInt, owned.iter().map(|owned| owned.purchase_id.into())),
    ]
}

/// Returns values as one array parameter.
fn array(kind: ArrayType, values: impl Iterator<Item = Value>) -> Value {
    Value::Array(kind, Some(Box::new(values.collect())))
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

/// Stores a request under its idempotency key, with its outcome.
pub(super) async fn request(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    (outcome, purchase_id): (RequestOutcome, PurchaseId),
    resolved: &ResolvedSelection,
) -> Result<(), DbErr> {
    let request = purchase_request::ActiveModel {
        id: NotSet,
        user_id: Set(command.buyer),
        idempotency_key: Set(command.key.clone()),
        request_hash: Set(command.request_hash.as_str().to_owned()),
        outcome: Set(outcome),
        purchase_id: Set(purchase_id),
        created_at: Set(command.now),
    };
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

/// Inserts the cards, unless the statement of the purchase did, and checks their number. A difference aborts the purchase.
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
