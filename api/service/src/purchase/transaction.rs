//! The transaction of a purchase.
//!
//! Every error is returned to the caller, which rolls the transaction back. No function of this file begins or commits
//! a transaction.

use std::collections::{BTreeMap, BTreeSet};

use jishu_entity::purchase::PurchaseType;
use jishu_entity::purchase_request::RequestOutcome;
use jishu_entity::user::UserStatus;
use jishu_entity::{
    PurchaseId, SubjectId, cart_item, entitlement, purchase, purchase_request, purchase_request_owned,
};
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter};

use super::selection::ResolvedSelection;
use super::stored::StoredSelection;
use super::{OwnedSubject, PurchaseCommand, PurchaseRefusal, Receipt, ReceiptOutcome};
use super::{complimentary, insert};
use crate::database::{HeldSubjects, hold_subjects, lock_user_and_subjects};
use crate::error::{Error, Fault};
use crate::events::{self, Event};
use crate::money::Money;
use crate::{expiry, failpoint, guardian};

/// Makes a purchase in a transaction: locks the buyer, and inserts the rows at the present prices. Returns the first
/// receipt if the request is repeated. If the buyer owns all subjects, inserts no purchase.
pub(super) async fn run(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    let selection = &command.request.selection;
    selection.check_shape().map_err(PurchaseRefusal::from)?;
    let held = lock(transaction, command).await?.ok_or(PurchaseRefusal::BuyerNotActive)?;
    failpoint::boundary("purchase.locked");
    let (buyer, key) = (Some(command.buyer), Some(command.key.as_str()));
    let stored = StoredSelection::read(transaction, buyer, key, selection).await?;
    if let Some(first) = &stored.request {
        if !command.request_hash.is(&first.request_hash) {
            return Err(PurchaseRefusal::IdempotencyKeyReused.into());
        }
        return replay(transaction, command, first).await;
    }
    let are_held = i64::try_from(stored.subjects.len()) == Ok(held);

    if let Some(rule) = command.consent
        && let Some(refusal) = guardian::missing(transaction, command.buyer, rule, command.now).await?
    {
        return Err(PurchaseRefusal::from(refusal).into());
    }
    let resolved = stored.resolve(selection, &command.tax, command.now).map_err(PurchaseRefusal::from)?;
    failpoint::boundary("purchase.resolved");
    if resolved.quote.lines.is_empty() {
        return existing(transaction, command, &resolved).await;
    }
    let mut resolved = complimentary::priced(command, resolved);
    if command.requires_payment && resolved.quote.total > 0 {
        return Err(PurchaseRefusal::PaymentRequired.into());
    }
    let price = Money::new(resolved.quote.total, resolved.quote.currency.as_str());
    if command.request.cost.is_some_and(|shown| !price.is(shown)) {
        return Err(PurchaseRefusal::PriceChanged(Box::new(resolved.quote)).into());
    }
    if !are_held {
        // A subject was added to the course between `lock` and the read of the selection, so its row is not locked yet.
        hold(transaction, &mut resolved).await?;
    }
    create(transaction, command, &resolved).await
}

/// Locks the row of the buyer, and takes a shared lock on the subjects of the selection. Returns the number of these
/// subjects, or None if the buyer's account does not exist or is not active.
async fn lock(transaction: &DatabaseTransaction, command: &PurchaseCommand) -> Result<Option<i64>, DbErr> {
    let selection = &command.request.selection;
    let subjects = match selection.purchase_type {
        PurchaseType::FullBundle => HeldSubjects::OfCourse(selection.course_id),
        _ => HeldSubjects::Chosen(selection.subject_ids.clone()),
    };
    let locked = lock_user_and_subjects(transaction, command.buyer, &subjects).await?;
    Ok(locked.filter(|buyer| buyer.status == UserStatus::Active).map(|buyer| buyer.held))
}

/// Takes a shared lock on the rows of the subjects that are bought. The allowances were read before this lock and may
/// have changed, so `create` reads them again.
pub(super) async fn hold(
    transaction: &DatabaseTransaction,
    resolved: &mut ResolvedSelection,
) -> Result<(), DbErr> {
    resolved.may_have_allowances = true;
    hold_subjects(transaction, resolved.quote.lines.iter().map(|line| line.subject_id)).await
}

/// Inserts the purchase of a selection with its entitlements and cards, at the prices of its quote. Ends entitlements
/// whose term is over, takes the subjects out of the cart, and appends the audit events. The caller must have locked
/// the buyer's row, and the subjects.
pub(super) async fn create(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    let ended = end_lapsed(transaction, command, resolved).await?;
    // An audit event must be appended as late as possible. So the statement of the purchase appends it only if no other
    // statement follows.
    let is_last = ended.is_empty() && !resolved.may_be_in_cart && !resolved.may_have_allowances;
    let event = (command.grant.is_none() && is_last)
        .then(|| events::row(command.now, Some(command.buyer), Event::PurchaseCreated(PurchaseId(0))));
    let inserted = insert::purchase(transaction, command, resolved, event).await?;
    failpoint::boundary("purchase.entitled");
    let test_cards = resolved.quote.test_cards();
    insert::cards(transaction, &inserted, resolved).await?;
    let (purchase, is_audited) = (inserted.purchase, inserted.is_audited);
    failpoint::boundary("purchase.cards-made");
    if resolved.may_be_in_cart {
        take_out_of_cart(transaction, &purchase, resolved).await?;
    }
    failpoint::boundary("purchase.cart-cleared");
    for ended in ended {
        expiry::append_event(transaction, ended, command.now).await?;
    }
    match &command.grant {
        None if is_audited => {}
        None => append_audit_event(transaction, &purchase).await?,
        Some(grant) => complimentary::record(transaction, grant, &purchase).await?,
    }
    failpoint::boundary("purchase.audited");
    Ok(receipt(ReceiptOutcome::Created { test_cards }, purchase, resolved))
}

/// Rebuilds the first receipt of a repeated request from stored rows. The receipt stays the same, even if the catalogue
/// or the buyer's entitlements have changed since the first request.
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

/// Reads the purchase with this id. The id comes from a stored row of the buyer, so a missing purchase is a fault.
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

/// Returns the receipt for a buyer who already owns all requested subjects. The receipt names the purchase that gave
/// the subject with the smallest id. If the client sent an idempotency key, stores the key, so that a later request
/// cannot use it to buy something else.
async fn existing(
    transaction: &DatabaseTransaction,
    command: &PurchaseCommand,
    resolved: &ResolvedSelection,
) -> Result<Receipt, Error<PurchaseRefusal>> {
    let first = resolved.owned.first().map(|entitlement| entitlement.purchase_id);
    let first = first.ok_or_else(|| Fault::missing("the entitlement to an owned subject"))?;
    let purchase = purchase_of(transaction, command, first).await?;
    if command.request.idempotency_key.is_some() {
        insert::request(transaction, command, (RequestOutcome::Existing, first), resolved).await?;
    }
    Ok(receipt(ReceiptOutcome::Existing, purchase, resolved))
}

/// Returns the receipt of a request that is not a repetition.
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

/// Converts a map of the numbers of cards by subject to a list in the order of the subject ids.
fn owned_subjects(cards: BTreeMap<SubjectId, i32>) -> Vec<OwnedSubject> {
    cards.into_iter().map(|(subject_id, test_cards)| OwnedSubject { subject_id, test_cards }).collect()
}

/// Ends the expired entitlements of older purchases of which the new purchase replaces an entitlement. Returns the
/// purchases of which an entitlement was ended. The caller must append their audit events.
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
