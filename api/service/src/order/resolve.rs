//! `resolveOrder`: carries out a decision of support about an order that needs attention.

use jishu_entity::OrderId;
use jishu_entity::UserId;
use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::payment_event::PaymentEventKind;
use jishu_entity::payment_refund;
use jishu_service_macros::service_call;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveEnum, DatabaseTransaction, DbErr, EntityTrait};
use serde_json::json;
use uuid::Uuid;

use super::given_up::is_given_up;
use super::refunds::GiveBack;
use super::work::{Fact, OrderTools, OrderWork, Origin};
use crate::Services;
use crate::account::Support;
use crate::audit::StateChange;
use crate::database::WritePolicy;
use crate::error::{Error, Fault, Refusal};
use crate::events::OrderEvent;
use crate::reason;
use crate::refund;

/// A decision of support about an order that needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The buyer gets the subjects, or keeps them. Refunds that were given up for an order with a purchase are sent
    /// again.
    Grant,
    /// The buyer loses the access, and the remaining money goes back through the payment provider.
    Refund,
    /// The buyer loses the access, and support has given the remaining money back in another way.
    RefundByHand,
}

/// A request to carry out a decision about an order.
#[derive(Clone, Debug)]
pub struct ResolveRequest {
    /// The order. It can belong to any user.
    pub order: OrderId,
    /// The decision.
    pub resolution: Resolution,
    /// The reason, which is stored in the audit trail.
    pub reason: String,
}

/// A reason not to carry out a decision. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ResolveRefusal {
    /// The order does not exist.
    #[error("There is no such order.")]
    OrderNotFound,
    /// The reason is blank, too long, or has characters that a reason cannot have.
    #[error("Give a reason: {}.", reason::rule())]
    Reason,
    /// The order is not in the state `NeedsAttention`.
    #[error("This order does not need attention, so there is nothing to decide. Read its status.")]
    NotNeeded,
    /// A bank disputes a payment of the order.
    #[error("A bank disputes a payment of this order. Wait until the dispute is over.")]
    Disputed,
    /// The order cannot be granted, for this reason. None if no payment in the currency of the order has enough money
    /// left, or if a refund is under way.
    #[error("This order cannot be granted: {}.", cause(.0))]
    NotGrantable(Option<OrderReason>),
}

impl Refusal for ResolveRefusal {}

fn cause(reason: &Option<OrderReason>) -> &'static str {
    match reason {
        Some(OrderReason::BuyerInactive) => "the account of the buyer is deactivated",
        Some(OrderReason::AlreadyOwned) => "the buyer owns the subjects of the order",
        Some(OrderReason::Archived) => "the subjects of the order are no longer sold",
        _ => "no payment in its currency has enough money left, or a refund is under way",
    }
}

/// Carries out a decision of support about an order that needs attention, and records it in the audit trail.
///
/// # Errors
/// See [`ResolveRefusal`].
#[service_call("order.resolve")]
pub async fn resolve(
    services: &Services,
    by: Support,
    request: ResolveRequest,
) -> Result<order::Model, Error<ResolveRefusal>> {
    let reason = reason::checked(&request.reason).ok_or(ResolveRefusal::Reason)?;
    let order = order::Entity::find_by_id(request.order).one(services.database.reader()).await?;
    let buyer = order.ok_or(ResolveRefusal::OrderNotFound)?.user_id;
    let request = ResolveRequest { reason, ..request };
    let command = ResolveCommand { tools: OrderTools::of(services), by: by.id(), buyer, request };
    let policy = WritePolicy::idempotent("order.resolve");
    let order = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.events.appended(buyer);
    services.outbox.wake();
    tracing::info!(by = %by.id(), order = %order.id, state = ?order.state, "support decided about an order");
    Ok(order)
}

/// The field of a decision's audit event that contains the reason of support. The deletion of an account erases the
/// reason.
pub(crate) const DECISION_TEXT: &str = "because";
/// The action of the audit event that records a decision about an order.
pub(crate) const RESOLVED: &str = OrderEvent::Resolved.action();

struct ResolveCommand {
    tools: OrderTools,
    by: UserId,
    buyer: UserId,
    request: ResolveRequest,
}

impl ResolveCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<order::Model, Error<ResolveRefusal>> {
        let (order, resolution) = ((self.request.order, self.buyer), self.request.resolution);
        let mut work = OrderWork::open(transaction, &self.tools, order, Origin::staff(self.by)).await?;
        if work.order.state != OrderState::NeedsAttention {
            return Err(ResolveRefusal::NotNeeded.into());
        }
        // The bank may take the money that the other decisions would send back.
        if work.is_disputed() && resolution != Resolution::RefundByHand {
            return Err(ResolveRefusal::Disputed.into());
        }
        let told = json!({
            "resolution": format!("{resolution:?}"),
            (DECISION_TEXT): self.request.reason,
            "of": work.order.reason.map(|reason| reason.to_value()),
        });
        work.note(OrderEvent::Resolved, StateChange::created(told));
        match resolution {
            Resolution::Grant => work.resolve_by_grant().await?,
            Resolution::Refund => work.resolve_by_refund(false, &self.request.reason).await?,
            Resolution::RefundByHand => work.resolve_by_refund(true, &self.request.reason).await?,
        }
        Ok(work.finish().await?)
    }
}

impl OrderWork<'_> {
    /// Grants the order. If it has no purchase, makes one, and refuses if no payment has enough money left for it. If
    /// it has a purchase, sends the refunds again that were given up, and refuses if the purchase was refunded whole.
    /// Afterwards the balance is 0.
    async fn resolve_by_grant(&mut self) -> Result<(), Error<ResolveRefusal>> {
        if self.order.purchase_id.is_some() {
            if self.value().await? == 0 {
                return Err(ResolveRefusal::NotGrantable(None).into());
            }
            self.move_to(OrderState::Granted, None).await?;
            self.retry_failed(false, |_| true).await?;
        } else {
            let plan = self.plan(false).await?;
            let reason = plan.reason;
            let price = self.order.amount - plan.rest;
            let Some(paid) = plan.paid else {
                return Err(ResolveRefusal::NotGrantable(reason).into());
            };
            let payment = self.payment_for_grant(price).await?;
            let (Some(payment), false) = (payment, self.has_open_refunds().await?) else {
                return Err(ResolveRefusal::NotGrantable(None).into());
            };
            let papers = &self.tools.papers;
            let made = crate::purchase::create_paid(self.transaction, paid, papers, self.now).await?;
            let (purchase_id, payment_reference) = (Set(Some(made.id)), Set(Some(payment)));
            self.update(order::ActiveModel { purchase_id, payment_reference, ..Default::default() }).await?;
            self.move_to(OrderState::Granted, reason).await?;
            let currency = self.order.currency.clone();
            self.retry_failed(false, |refund| refund.currency != currency).await?;
            self.use_given_up_refunds().await?;
        }
        self.settle_balance(false).await?;
        Ok(())
    }

    /// Returns the payment that pays for the order if the order is granted now: the payment that the order has already,
    /// or else its first one, but only a payment with enough money left for `price`. Later refunds of the purchase go
    /// to this payment. Returns None if no payment in the currency of the order has enough.
    async fn payment_for_grant(&self, price: i64) -> Result<Option<String>, DbErr> {
        let mut payments = self.money_of_payments().await?;
        payments.retain(|(_, money)| *money >= price);
        let has_paid = |payment: &str| self.order.payment_reference.as_deref() == Some(payment);
        let index = payments.iter().position(|(payment, _)| has_paid(payment)).unwrap_or_default();
        Ok((index < payments.len()).then(|| payments.swap_remove(index).0))
    }

    /// Ends the access of the buyer, and gives back all money that is left. `by_hand` means that support has given the
    /// money back in another way.
    async fn resolve_by_refund(&mut self, by_hand: bool, reason: &str) -> Result<(), Fault> {
        self.move_to(OrderState::Refunding, self.order.reason).await?;
        self.retry_failed(by_hand, |_| true).await?;
        if let Some(purchase) = self.order.purchase_id {
            let papers = &self.tools.papers;
            let rest = refund::Rest {
                by: self.origin.by,
                buyer: self.order.user_id,
                purchase,
                reason,
                papers,
                tools: self.tools,
                now: self.now,
            };
            if let Some(ended) = refund::refund_rest(self.transaction, rest).await? {
                self.give_back_purchase(ended, by_hand).await?;
            }
        }
        self.settle_balance(by_hand).await?;
        self.finish_refunds().await
    }

    /// Sends the chosen payment refunds of the order again that were given up. With `by_hand`, marks them as settled
    /// instead. Does not send or settle a refund whose money left the payment in another way.
    async fn retry_failed(
        &mut self,
        by_hand: bool,
        is_chosen: impl Fn(&payment_refund::Model) -> bool,
    ) -> Result<(), Fault> {
        for row in self.refunds().await? {
            if is_given_up(&row) && is_chosen(&row) {
                self.retry_refund(row, by_hand).await?;
            }
        }
        Ok(())
    }

    /// Makes the balance of the order 0. Gives money that the order has in excess back to the payments from which it
    /// came. Writes off money that is missing because too much went back before.
    async fn settle_balance(&mut self, by_hand: bool) -> Result<(), Fault> {
        let balance = self.sums().await?.balance();
        let currency = self.order.currency.clone();
        if balance > 0 {
            let value = self.value().await?;
            let mut rest = balance;
            for (payment, money) in self.money_of_payments().await? {
                let is_used = self.order.payment_reference.as_ref() == Some(&payment);
                let amount = rest.min(if is_used { money - value } else { money });
                if amount <= 0 {
                    continue;
                }
                rest -= amount;
                let give = GiveBack {
                    payment: &payment,
                    amount,
                    currency: &currency,
                    reason: OrderReason::RefundRequested,
                    refund: None,
                };
                let row = self.give_back(give).await?;
                if by_hand {
                    self.settle_refund(row).await?;
                }
            }
        } else if balance < 0 {
            let fact = Fact {
                kind: PaymentEventKind::WrittenOff,
                name: format!("{}:{}", self.order.id, Uuid::new_v4()),
                payment: None,
                object: None,
                reference: None,
                money: Some((-balance, &currency)),
            };
            self.append_fact(fact).await?;
        }
        Ok(())
    }
}
