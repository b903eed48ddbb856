//! The transaction of a purchase.
//!
//! Every error is returned to the caller, which rolls the transaction back. Nothing here begins or commits a
//! transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use jishu_entity::purchase::PurchaseStatus;
use jishu_entity::purchase_request::RequestOutcome;
use jishu_entity::user::UserStatus;
use jishu_entity::{
    PurchaseId, SubjectId, cart_item, entitlement, purchase, purchase_request, purchase_request_owned,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, ConnectionTrait,
    DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
};

use super::grant;
use super::selection::{self, ResolvedSelection};
use super::{OwnedSubject, PurchaseCommand, PurchaseRefusal, Receipt, ReceiptOutcome};
use crate::allowance;
use crate::database::{hold_subjects, lock_user, sql};
use crate::error::{Error, Fault};
use crate::events::{self, Event};
use crate::money::Money;
use crate::{expiry, failpoint, guardian};

/// Inserts all cards of a purchase. Recursion makes the test numbers, because all three databases have it. MariaDB
/// limits the recursion to 1000 rows, which is the most cards that a subject may have.
///
/// There is no ON CONFLICT: a conflict within a new purchase is a bug, and must abort the purchase.
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

/// Carries out a purchase: locks the buyer, replays a repeated request, prices the selection, and inserts the rows.
pub(super) async fn run(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    if lock_user(transaction, command.buyer).await? != Some(UserStatus::Active) {
        return Err(PurchaseRefusal::BuyerNotActive.into());
    }
    failpoint::boundary("purchase.locked");
    if let Some(first) = find_repeated(transaction, command).await? {
        if !command.request_hash.is(&first.request_hash) {
            return Err(PurchaseRefusal::IdempotencyKeyReused.into());
        }
        return replay(transaction, command, &first).await;
    }
    failpoint::boundary("purchase.key-checked");

    if let Some(rule) = command.consent
        && let Some(refusal) = guardian::missing(transaction, command.buyer, rule, command.now).await?
    {
        return Err(PurchaseRefusal::from(refusal).into());
    }
    let (selection, now) = (&command.request.selection, command.now);
    let resolved = selection::resolve(transaction, Some(command.buyer), selection, &command.tax, now)
        .await
        .map_err(|error| error.map(PurchaseRefusal::from))?;
    failpoint::boundary("purchase.resolved");
    if resolved.quote.lines.is_empty() {
        return existing(transaction, command, &resolved).await;
    }
    let resolved = grant::priced(command, resolved);
    if command.requires_payment && resolved.quote.total > 0 {
        return Err(PurchaseRefusal::PaymentRequired.into());
    }
    let price = Money::new(resolved.quote.total, resolved.quote.currency.as_str());
    if command.request.cost.is_some_and(|shown| !price.is(shown)) {
        return Err(PurchaseRefusal::PriceChanged(Box::new(resolved.quote)).into());
    }
    create(transaction, command, &resolved).await
}

/// Inserts the purchase of a selection, with its entitlements and cards, at the prices of its quote. The caller holds the
/// lock on the buyer's row.
pub(super) async fn create(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    hold_subjects(transaction, resolved.quote.lines.iter().map(|line| line.subject_id)).await?;
    let ended = end_lapsed(transaction, command, resolved).await?;
    let purchase = insert_purchase(transaction, command, resolved).await?;
    failpoint::boundary("purchase.inserted");
    insert_entitlements(transaction, &purchase, resolved).await?;
    store_receipt(transaction, command, RequestOutcome::Created, purchase.id, resolved).await?;
    failpoint::boundary("purchase.entitled");
    let test_cards = resolved.quote.test_cards();
    insert_cards(transaction, &purchase, resolved).await?;
    failpoint::boundary("purchase.cards-made");
    take_out_of_cart(transaction, &purchase, resolved).await?;
    failpoint::boundary("purchase.cart-cleared");
    for ended in ended {
        expiry::append_event(transaction, ended, command.now).await?;
    }
    match &command.grant {
        None => append_audit_event(transaction, &purchase).await?,
        Some(grant) => grant::record(transaction, grant, &purchase).await?,
    }
    failpoint::boundary("purchase.audited");
    Ok(receipt(ReceiptOutcome::Created { test_cards }, purchase, resolved))
}

/// Finds the stored request with the same idempotency key.
async fn find_repeated(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
) -> Result<Option<purchase_request::Model>, DbErr> {
    purchase_request::Entity::of(command.buyer)
        .filter(purchase_request::Column::IdempotencyKey.eq(command.key.as_str()))
        .one(transaction)
        .await
}

/// Rebuilds the receipt of a repeated request from stored rows. The catalogue and the buyer's entitlements may have
/// changed since.
async fn replay(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    first: &purchase_request::Model,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    let purchase = purchase_of(transaction, command, first.purchase_id).await?;
    let owned: BTreeMap<SubjectId, PurchaseId> = purchase_request_owned::Entity::find()
        .filter(purchase_request_owned::Column::RequestId.eq(first.id))
        .all(transaction)
        .await?
        .into_iter()
        .map(|owned| (owned.subject_id, owned.granted_by))
        .collect();
    let grantors: BTreeSet<PurchaseId> = owned.values().copied().chain([purchase.id]).collect();
    let entitlements = entitlement::Entity::of(command.buyer)
        .filter(entitlement::Column::PurchaseId.is_in(grantors))
        .all(transaction)
        .await?;
    let created = first.outcome == RequestOutcome::Created;
    let bought = |entitlement: &&entitlement::Model| created && entitlement.purchase_id == purchase.id;
    let asked_for = |entitlement: &&entitlement::Model| {
        bought(entitlement) || owned.get(&entitlement.subject_id) == Some(&entitlement.purchase_id)
    };
    let test_cards = entitlements.iter().filter(bought).map(|bought| i64::from(bought.test_cards)).sum();
    let cards = entitlements.iter().filter(asked_for).map(|owned| (owned.subject_id, owned.test_cards));
    Ok(Receipt {
        outcome: if created { ReceiptOutcome::Created { test_cards } } else { ReceiptOutcome::Existing },
        subjects: owned_subjects(cards.collect()),
        already_owned: owned.into_keys().collect(),
        purchase,
        replayed: true,
    })
}

/// Reads a purchase of the buyer, which must exist.
async fn purchase_of(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    id: PurchaseId,
) -> Result<purchase::Model, Fault> {
    purchase::Entity::of(command.buyer)
        .filter(purchase::Column::Id.eq(id))
        .one(transaction)
        .await?
        .ok_or_else(|| Fault::missing(format_args!("purchase {id}")))
}

/// Returns the receipt if the buyer already owns all subjects. It names the purchase that gave the first of them. The
/// client's key is stored with it, so a later request cannot use the key to buy something else.
async fn existing(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    let first = resolved.owned.first().map(|entitlement| entitlement.purchase_id);
    let first = first.ok_or_else(|| Fault::missing("the entitlement to an owned subject"))?;
    let purchase = purchase_of(transaction, command, first).await?;
    if command.request.idempotency_key.is_some() {
        store_receipt(transaction, command, RequestOutcome::Existing, first, resolved).await?;
    }
    Ok(receipt(ReceiptOutcome::Existing, purchase, resolved))
}

/// Stores the receipt under its idempotency key.
async fn store_receipt(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    outcome: RequestOutcome,
    purchase_id: PurchaseId,
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
    let request = request.insert(transaction).await?;
    if resolved.owned.is_empty() {
        return Ok(());
    }
    let rows = resolved.owned.iter().map(|owned| purchase_request_owned::ActiveModel {
        request_id: Set(request.id),
        subject_id: Set(owned.subject_id),
        granted_by: Set(owned.purchase_id),
    });
    purchase_request_owned::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    Ok(())
}

/// Returns the receipt of a request that was not repeated.
fn receipt(outcome: ReceiptOutcome, purchase: purchase::Model, resolved: &ResolvedSelection) -> Receipt {
    let owned = resolved.owned.iter().map(|owned| (owned.subject_id, owned.test_cards));
    let bought = resolved.quote.lines.iter().map(|line| (line.subject_id, line.test_cards));
    Receipt {
        outcome,
        purchase,
        subjects: owned_subjects(owned.chain(bought).collect()),
        already_owned: resolved.quote.already_owned.clone(),
        replayed: false,
    }
}

/// Converts the numbers of cards by subject to a list.
fn owned_subjects(cards: BTreeMap<SubjectId, i32>) -> Vec<OwnedSubject> {
    cards.into_iter().map(|(subject_id, test_cards)| OwnedSubject { subject_id, test_cards }).collect()
}

/// Ends the purchases that gave the buyer's lapsed entitlements, because new entitlements replace them. Returns those
/// that it ended.
async fn end_lapsed(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<Vec<PurchaseId>, Fault> {
    let lapsed: BTreeSet<_> = resolved.lapsed.iter().map(|lapsed| lapsed.purchase_id).collect();
    let mut ended = Vec::new();
    for purchase in lapsed {
        let of = (command.buyer, purchase);
        if expiry::end_lapsed_of(transaction, &command.papers, of, command.now).await? {
            ended.push(purchase);
        }
    }
    Ok(ended)
}

async fn insert_purchase(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<purchase::Model, DbErr> {
    let term = resolved.course.validity_days.map(|days| TimeDelta::days(i64::from(days)));
    let tax = &resolved.quote.tax_policy;
    let purchase = purchase::ActiveModel {
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
    };
    purchase.insert(transaction).await
}

async fn insert_entitlements(
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

/// Inserts the cards and checks their number. A difference aborts the purchase.
async fn insert_cards(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
    resolved: &ResolvedSelection,
) -> Result<(), Error<PurchaseRefusal>> {
    let most = resolved.quote.lines.iter().map(|line| line.test_cards).max().unwrap_or_default();
    let values = [most.into(), sea_orm::Value::from(purchase.id)];
    let statement = sql(transaction.get_database_backend(), INSERT_CARDS_SQL, values);
    let made = transaction.execute_raw(statement).await?.rows_affected();
    let expected = resolved.quote.test_cards();
    if i64::try_from(made) != Ok(expected) {
        let id = purchase.id;
        let cause = format!("purchase {id} made {made} test cards instead of {expected}");
        return Err(Fault::Inconsistent(cause).into());
    }
    let subjects = resolved.quote.lines.iter().map(|line| line.subject_id);
    allowance::raise_new_cards(transaction, purchase.user_id, purchase.id, purchase.course_id, subjects)
        .await?;
    Ok(())
}

async fn take_out_of_cart(
    transaction: &DatabaseTransaction,
    purchase: &purchase::Model,
    resolved: &ResolvedSelection,
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
    events::append(
        transaction,
        purchase.created_at,
        Some(purchase.user_id),
        Event::PurchaseCreated(purchase.id),
    )
    .await
}
