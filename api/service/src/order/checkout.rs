//! `checkout`: makes an order, and returns the parameters with which the buyer pays it.

use std::sync::Arc;

use jishu_entity::order::{self, OrderProvider, OrderState};
use jishu_entity::user::UserStatus;
use jishu_entity::{UserId, order_line, purchase};
use jishu_service_macros::service_call;
use payment_providers::ClientParameters;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait,
    QueryFilter,
};
use uuid::Uuid;

use super::open::{self, Opened};
use super::work::{OrderTools, OrderWork, Origin};
use crate::Services;
use crate::audit::StateChange;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::events::OrderEvent;
use crate::failpoint;
use crate::guardian::{self, ConsentRule};
use crate::money::Money;
use crate::purchase::{self as purchases, PurchaseRefusal, PurchaseRequest, RequestHash, ResolvedSelection};

/// Maximum number of orders of a buyer that wait for their payment.
pub const MAX_PENDING_ORDERS: u64 = 20;
/// The time for which only the checkout that stored an order may make the order at the provider. After that time, the
/// reconciler makes the order there. The time is longer than a call to the provider may take.
const OPENING_LEASE: chrono::TimeDelta = chrono::TimeDelta::seconds(45);

/// The outcome of a checkout. Each of these outcomes is a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckoutOutcome {
    /// The request made the order.
    Created,
    /// An earlier request with the same idempotency key made the order.
    Existing,
    /// The buyer owns all requested subjects, so there is nothing to pay.
    Owned,
}

/// The result of a checkout.
#[derive(Debug)]
pub struct Checkout {
    /// The outcome.
    pub outcome: CheckoutOutcome,
    /// The order. None if the buyer owns all requested subjects.
    pub order: Option<order::Model>,
    /// The purchase that gave the subject with the smallest id, if the buyer owns all requested subjects. Otherwise
    /// None.
    pub owned: Option<purchase::Model>,
    /// The parameters with which the frontend lets the buyer pay. None if the buyer owns all subjects, or if the order
    /// is free or no longer waits for its payment. Also None if support confirms payments by hand.
    pub payment: Option<ClientParameters>,
}

/// A reason not to make an order.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutRefusal {
    /// The server takes no payments.
    #[error("This platform takes no payments.")]
    NotConfigured,
    /// The purchase rules refuse the request.
    #[error(transparent)]
    Purchase(#[from] PurchaseRefusal),
    /// The buyer has too many orders that wait for their payment.
    #[error("{MAX_PENDING_ORDERS} orders wait for their payment. Pay or cancel some of them first.")]
    TooManyOrders,
    /// The buyer cannot pay the order at the payment provider now. The order is stored.
    #[error(
        "The order is stored, but it cannot be paid at the payment provider now. Send the same request again in a few \
         seconds."
    )]
    ProviderUnavailable,
    /// The payment provider refused the order or cannot process its amount, so the order was cancelled.
    #[error("The payment provider does not accept this order, so it was cancelled. Contact support.")]
    ProviderRefused,
}

impl Refusal for CheckoutRefusal {}

/// Makes an order, or finds the order of the same idempotency key, and makes it at the payment provider. A free order
/// is granted at once.
///
/// # Errors
/// See [`CheckoutRefusal`]. If the buyer cannot pay the order at the provider now, the order is stored. A request with
/// the same idempotency key then finds the order and asks the provider again.
#[service_call("order.checkout")]
pub async fn checkout(
    services: &Services,
    buyer: UserId,
    request: PurchaseRequest,
) -> Result<Checkout, Error<CheckoutRefusal>> {
    let payments = services.payments.as_deref().ok_or(CheckoutRefusal::NotConfigured)?;
    request.selection.check_shape().map_err(PurchaseRefusal::from).map_err(CheckoutRefusal::from)?;
    let command = CheckoutCommand {
        tools: OrderTools::of(services),
        buyer,
        key: request.idempotency_key.unwrap_or_else(Uuid::new_v4).to_string(),
        reference: Uuid::new_v4(),
        request_hash: RequestHash::of(&request),
        request,
        consent: services.consent,
        provider: payments.provider,
        lifetime: payments.order_lifetime,
    };
    let policy = WritePolicy::idempotent("checkout").retry_taken_keys();
    let stored = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    failpoint::boundary("order.stored");
    services.events.appended(buyer);
    let (outcome, order) = match stored {
        StoredCheckout::Owned(purchase) => {
            let outcome = CheckoutOutcome::Owned;
            return Ok(Checkout { outcome, order: None, owned: Some(*purchase), payment: None });
        }
        StoredCheckout::Order(outcome, order) => (outcome, *order),
    };
    let done = |order, payment| Ok(Checkout { outcome, order: Some(order), owned: None, payment });
    if !open::is_payable(&order, services.clock.now()) {
        return done(order, None);
    }
    if let Some(metrics) = services.metrics.business().filter(|_| outcome == CheckoutOutcome::Created) {
        metrics.open_order();
    }
    if order.provider == OrderProvider::Manual {
        return done(order, None);
    }
    let opened = match outcome {
        CheckoutOutcome::Created => open::open(services, payments, order, true).await?,
        CheckoutOutcome::Existing | CheckoutOutcome::Owned => {
            open::open_again(services, payments, order).await?
        }
    };
    match opened {
        Opened::Payable(order, parameters) => done(*order, Some(parameters)),
        Opened::Later => Err(CheckoutRefusal::ProviderUnavailable.into()),
        Opened::Refused => Err(CheckoutRefusal::ProviderRefused.into()),
    }
}

struct CheckoutCommand {
    tools: OrderTools,
    buyer: UserId,
    request: PurchaseRequest,
    key: String,
    reference: Uuid,
    request_hash: RequestHash,
    consent: ConsentRule,
    provider: OrderProvider,
    lifetime: chrono::TimeDelta,
}

/// The order or the purchase that the transaction found or stored.
enum StoredCheckout {
    Order(CheckoutOutcome, Box<order::Model>),
    Owned(Box<purchase::Model>),
}

impl CheckoutCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<StoredCheckout, Error<CheckoutRefusal>> {
        let status = lock_user(transaction, self.buyer).await?;
        if status != Some(UserStatus::Active) {
            return Err(CheckoutRefusal::from(PurchaseRefusal::BuyerNotActive).into());
        }
        failpoint::boundary("checkout.locked");
        let now = self.tools.clock.now();
        let same_key =
            order::Entity::of(self.buyer).filter(order::Column::IdempotencyKey.eq(self.key.as_str()));
        if let Some(first) = same_key.one(transaction).await? {
            if !self.request_hash.is(&first.request_hash) {
                return Err(CheckoutRefusal::from(PurchaseRefusal::IdempotencyKeyReused).into());
            }
            return Ok(StoredCheckout::Order(CheckoutOutcome::Existing, Box::new(first)));
        }
        if let Some(refusal) = guardian::missing(transaction, self.buyer, self.consent, now).await? {
            return Err(CheckoutRefusal::from(PurchaseRefusal::from(refusal)).into());
        }
        let (selection, buyer) = (&self.request.selection, Some(self.buyer));
        let resolved = purchases::resolve(transaction, buyer, selection, &self.tools.tax, now).await;
        let resolved = resolved
            .map_err(|error| error.map(|refusal| CheckoutRefusal::from(PurchaseRefusal::from(refusal))))?;
        if resolved.quote.lines.is_empty() {
            return self.owned(transaction, &resolved).await;
        }
        let price = Money::new(resolved.quote.total, resolved.quote.currency.as_str());
        if self.request.cost.is_some_and(|shown| !price.is(shown)) {
            let refusal = PurchaseRefusal::PriceChanged(Box::new(resolved.quote));
            return Err(CheckoutRefusal::from(refusal).into());
        }
        self.refuse_too_many(transaction).await?;
        let order = self.insert(transaction, &resolved, now).await?;
        failpoint::boundary("checkout.inserted");
        let is_free = order.amount == 0;
        let origin = Origin { by: Some(self.buyer), ..Origin::server() };
        let locked = (order, UserStatus::Active);
        let mut work = OrderWork::of_locked(transaction, &self.tools, locked, origin, now);
        work.note(OrderEvent::Created, StateChange::default());
        if is_free {
            work.move_to(OrderState::Paid, None).await?;
            work.grant_or_give_back(false).await?;
        }
        Ok(StoredCheckout::Order(CheckoutOutcome::Created, Box::new(work.finish().await?)))
    }

    /// Returns the purchase that gave the first of the owned subjects, in the order of their ids.
    async fn owned(
        &self,
        transaction: &DatabaseTransaction,
        resolved: &ResolvedSelection,
    ) -> Result<StoredCheckout, Error<CheckoutRefusal>> {
        let first = resolved.owned.first().map(|entitlement| entitlement.purchase_id);
        let first = first.ok_or_else(|| Fault::missing("the entitlement to an owned subject"))?;
        let purchase = purchase::Entity::of(self.buyer).filter(purchase::Column::Id.eq(first));
        let purchase = purchase.one(transaction).await?;
        let purchase = purchase.ok_or_else(|| Fault::missing(format_args!("purchase {first}")))?;
        Ok(StoredCheckout::Owned(Box::new(purchase)))
    }

    async fn refuse_too_many(&self, transaction: &DatabaseTransaction) -> Result<(), Error<CheckoutRefusal>> {
        use sea_orm::PaginatorTrait;
        let pending = order::Entity::of(self.buyer).filter(order::Column::State.eq(OrderState::Pending));
        match pending.count(transaction).await? {
            0..MAX_PENDING_ORDERS => Ok(()),
            _ => Err(CheckoutRefusal::TooManyOrders.into()),
        }
    }

    async fn insert(
        &self,
        transaction: &DatabaseTransaction,
        resolved: &ResolvedSelection,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<order::Model, Error<CheckoutRefusal>> {
        let quote = &resolved.quote;
        let tax = Arc::clone(&quote.tax_policy);
        let expires_at = now + self.lifetime;
        let is_free = quote.total == 0;
        let order = order::ActiveModel {
            id: NotSet,
            user_id: Set(self.buyer),
            course_id: Set(resolved.course.id),
            purchase_type: Set(self.request.selection.purchase_type),
            receipt_number: Set(receipt_number(self.reference, now)),
            reference: Set(self.reference.to_string()),
            idempotency_key: Set(self.key.clone()),
            request_hash: Set(self.request_hash.as_str().to_owned()),
            provider: Set(if is_free { OrderProvider::Free } else { self.provider }),
            provider_reference: Set(None),
            payment_reference: Set(None),
            amount: Set(quote.total),
            subtotal: Set(quote.subtotal),
            tax: Set(quote.tax),
            tax_label: Set(tax.label.clone()),
            tax_basis_points: Set(tax.rate.basis_points()),
            is_tax_included: Set(tax.is_included),
            currency: Set(quote.currency.clone()),
            state: Set(OrderState::Pending),
            reason: Set(None),
            purchase_id: Set(None),
            created_at: Set(now),
            expires_at: Set(expires_at),
            paid_at: Set(None),
            changed_at: Set(now),
            disputed_at: Set(None),
            due_at: Set(Some((now + OPENING_LEASE).min(expires_at))),
            checks: Set(0),
        };
        let order = order.insert(transaction).await?;
        let lines = quote.lines.iter().map(|line| order_line::ActiveModel {
            order_id: Set(order.id),
            subject_id: Set(line.subject_id),
            list_price: Set(line.list_price),
            price: Set(line.price),
            tax: Set(line.tax),
            test_cards: Set(line.test_cards),
        });
        order_line::Entity::insert_many(lines).exec_without_returning(transaction).await?;
        Ok(order)
    }
}

/// Makes a receipt number: the day in UTC, and 12 hexadecimal digits of the random `reference`.
fn receipt_number(reference: Uuid, now: chrono::DateTime<chrono::Utc>) -> String {
    let digits: String = reference.simple().to_string().chars().take(12).collect();
    format!("{}-{}", now.format("%y%m%d"), digits.to_uppercase())
}
