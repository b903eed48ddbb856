//! The one transaction of a purchase.
//!
//! Every error propagates, so that it ends the transaction; nothing here begins or commits one.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use jishu_entity::purchase::PurchaseStatus;
use jishu_entity::user::UserStatus;
use jishu_entity::{PurchaseId, SubjectId, audit_event, cart_item, entitlement, purchase};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
};

use super::selection::{self, Resolved};
use super::{Command, Outcome, OwnedSubject, PurchaseError, Receipt};
use crate::database::{lock_user, sql};
use crate::service::money::Money;

/// All cards of a purchase, in one statement. Recursion makes the numbers, so that the same text serves all
/// three databases; MariaDB ends it at 1000 rows, which is the most that a subject may have.
///
/// There is no ON CONFLICT: within a new purchase a conflict is a bug, and must abort it.
const INSERT_CARDS: &str = "\
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

/// Steps 1 to 7 of the purchase: lock, replay, resolve, set the owned aside, price, insert, count.
pub(super) async fn run(
    transaction: &DatabaseTransaction,
    command: &Command,
) -> Result<Receipt, PurchaseError> {
    if lock_user(transaction, command.buyer).await? != Some(UserStatus::Active) {
        return Err(PurchaseError::BuyerNotActive);
    }
    if let Some(first) = purchase_with_key(transaction, command).await? {
        if first.request_hash != command.request_hash {
            return Err(PurchaseError::IdempotencyKeyReused);
        }
        return replay(transaction, command, first).await;
    }

    let (selection, now) = (&command.request.selection, command.now);
    let resolved = selection::resolve(transaction, Some(command.buyer), selection, command.tax, now).await?;
    if resolved.quote.lines.is_empty() {
        return existing(transaction, command, resolved).await;
    }
    let price = Money::new(resolved.quote.total, resolved.quote.currency.as_str());
    if command.request.cost.is_some_and(|shown| !price.is(shown)) {
        return Err(PurchaseError::PriceChanged(Box::new(resolved.quote)));
    }

    end_lapsed(transaction, command, &resolved).await?;
    let purchase = insert_purchase(transaction, command, &resolved).await?;
    insert_entitlements(transaction, &purchase, &resolved).await?;
    let test_cards = insert_cards(transaction, &purchase, &resolved).await?;
    take_out_of_cart(transaction, &purchase, &resolved).await?;
    append_audit_event(transaction, &purchase).await?;
    Ok(receipt(Outcome::Created { test_cards }, purchase, &resolved))
}

async fn purchase_with_key(
    transaction: &DatabaseTransaction,
    command: &Command,
) -> Result<Option<purchase::Model>, DbErr> {
    purchase::Entity::of(command.buyer)
        .filter(purchase::Column::IdempotencyKey.eq(command.key.as_str()))
        .one(transaction)
        .await
}

/// The first answer again, from what the purchase stored: the catalogue may have changed since.
async fn replay(
    transaction: &DatabaseTransaction,
    command: &Command,
    purchase: purchase::Model,
) -> Result<Receipt, PurchaseError> {
    let asked = &command.request.selection.subject_ids;
    let (granted, owned_before): (Vec<_>, Vec<_>) = entitlement::Entity::of(command.buyer)
        .filter(entitlement::Column::GrantedAt.lte(purchase.created_at))
        .order_by_asc(entitlement::Column::SubjectId)
        .all(transaction)
        .await?
        .into_iter()
        .filter(|entitlement| entitlement.ended_at.is_none_or(|end| end > purchase.created_at))
        .partition(|entitlement| entitlement.purchase_id == purchase.id);
    let owned_before: Vec<_> = if asked.is_empty() {
        let in_course = subjects_of(transaction, &purchase).await?;
        owned_before.into_iter().filter(|owned| in_course.contains(&owned.subject_id)).collect()
    } else {
        owned_before.into_iter().filter(|owned| asked.contains(&owned.subject_id)).collect()
    };

    let test_cards = granted.iter().map(|entitlement| i64::from(entitlement.test_cards)).sum();
    let cards: BTreeMap<SubjectId, i32> =
        granted.iter().chain(&owned_before).map(|owned| (owned.subject_id, owned.test_cards)).collect();
    Ok(Receipt {
        outcome: Outcome::Created { test_cards },
        purchase,
        subjects: owned_subjects(cards),
        already_owned: owned_before.iter().map(|owned| owned.subject_id).collect(),
    })
}

async fn subjects_of(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
) -> Result<Vec<SubjectId>, DbErr> {
    use jishu_entity::subject;
    use sea_orm::QuerySelect;

    subject::Entity::find()
        .select_only()
        .column(subject::Column::Id)
        .filter(subject::Column::CourseId.eq(purchase.course_id))
        .into_tuple()
        .all(transaction)
        .await
}

/// All was owned: the purchase that gave the first of the subjects answers for it.
async fn existing(
    transaction: &DatabaseTransaction,
    command: &Command,
    resolved: Resolved,
) -> Result<Receipt, PurchaseError> {
    let first = resolved.owned.first().map(|entitlement| entitlement.purchase_id);
    let purchase = purchase::Entity::of(command.buyer)
        .filter(purchase::Column::Id.eq(first))
        .one(transaction)
        .await?
        .ok_or_else(|| DbErr::RecordNotFound("the purchase of a live entitlement".to_owned()))?;
    Ok(receipt(Outcome::Existing, purchase, &resolved))
}

fn receipt(outcome: Outcome, purchase: purchase::Model, resolved: &Resolved) -> Receipt {
    let owned = resolved.owned.iter().map(|owned| (owned.subject_id, owned.test_cards));
    let bought = resolved.quote.lines.iter().map(|line| (line.subject_id, line.test_cards));
    Receipt {
        outcome,
        purchase,
        subjects: owned_subjects(owned.chain(bought).collect()),
        already_owned: resolved.quote.already_owned.clone(),
    }
}

fn owned_subjects(cards: BTreeMap<SubjectId, i32>) -> Vec<OwnedSubject> {
    cards.into_iter().map(|(subject_id, test_cards)| OwnedSubject { subject_id, test_cards }).collect()
}

/// Ends the entitlements that the new ones take the place of, as of the end of their term.
async fn end_lapsed(
    transaction: &DatabaseTransaction,
    command: &Command,
    resolved: &Resolved,
) -> Result<(), DbErr> {
    if resolved.lapsed.is_empty() {
        return Ok(());
    }
    entitlement::Entity::update_many()
        .col_expr(entitlement::Column::EndedAt, Expr::col(entitlement::Column::ExpiresAt))
        .filter(entitlement::Column::UserId.eq(command.buyer))
        .filter(entitlement::Column::EndedAt.is_null())
        .filter(entitlement::Column::ExpiresAt.lte(command.now))
        .filter(entitlement::Column::SubjectId.is_in(resolved.lapsed.iter().map(|lapsed| lapsed.subject_id)))
        .exec(transaction)
        .await?;
    Ok(())
}

async fn insert_purchase(
    transaction: &DatabaseTransaction,
    command: &Command,
    resolved: &Resolved,
) -> Result<purchase::Model, DbErr> {
    let term = resolved.course.validity_days.map(|days| TimeDelta::days(i64::from(days)));
    let purchase = purchase::ActiveModel {
        id: NotSet,
        user_id: Set(command.buyer),
        course_id: Set(resolved.course.id),
        purchase_type: Set(command.request.selection.purchase_type),
        cost: Set(resolved.quote.total),
        currency: Set(resolved.quote.currency.clone()),
        status: Set(PurchaseStatus::Active),
        idempotency_key: Set(command.key.clone()),
        request_hash: Set(command.request_hash.clone()),
        created_at: Set(command.now),
        expires_at: Set(term.and_then(|term| command.now.checked_add_signed(term))),
    };
    purchase.insert(transaction).await
}

async fn insert_entitlements(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
    resolved: &Resolved,
) -> Result<(), DbErr> {
    let rows = resolved.quote.lines.iter().map(|line| entitlement::ActiveModel {
        purchase_id: Set(purchase.id),
        subject_id: Set(line.subject_id),
        user_id: Set(purchase.user_id),
        price_paid: Set(line.price),
        test_cards: Set(line.test_cards),
        granted_at: Set(purchase.created_at),
        expires_at: Set(purchase.expires_at),
        ended_at: NotSet,
    });
    entitlement::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Makes the cards and checks their number; a difference aborts the purchase.
async fn insert_cards(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
    resolved: &Resolved,
) -> Result<i64, PurchaseError> {
    let most = resolved.quote.lines.iter().map(|line| line.test_cards).max().unwrap_or_default();
    let statement = sql(
        transaction.get_database_backend(),
        INSERT_CARDS,
        [most.into(), sea_orm::Value::from(purchase.id)],
    );
    let made = transaction.execute_raw(statement).await?.rows_affected();
    let expected = resolved.quote.test_cards();
    if i64::try_from(made) != Ok(expected) {
        return Err(PurchaseError::CardsMiscounted { purchase: purchase.id, made, expected });
    }
    Ok(expected)
}

async fn take_out_of_cart(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
    resolved: &Resolved,
) -> Result<(), DbErr> {
    cart_item::Entity::delete_many()
        .filter(cart_item::Column::UserId.eq(purchase.user_id))
        .filter(cart_item::Column::SubjectId.is_in(resolved.wanted.iter().map(|subject| subject.id)))
        .exec(transaction)
        .await?;
    Ok(())
}

async fn append_audit_event(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
) -> Result<(), DbErr> {
    let PurchaseId(target_id) = purchase.id;
    audit_event::ActiveModel {
        id: NotSet,
        at: Set(purchase.created_at),
        actor_id: Set(Some(purchase.user_id)),
        action: Set("purchase.created".to_owned()),
        target_type: Set("purchases".to_owned()),
        target_id: Set(target_id),
    }
    .insert(transaction)
    .await?;
    Ok(())
}
