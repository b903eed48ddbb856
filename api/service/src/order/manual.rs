//! `markOrderPaid`: support confirms a payment in cash or by transfer.

use jishu_entity::order::{self, OrderProvider};
use jishu_entity::payment_event::{self, PaymentEventKind};
use jishu_entity::{OrderId, UserId};
use jishu_service_macros::service_call;
use payment_providers::{Amount, PaymentReport, PaymentState};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::record::announce_and_fulfil;
use super::report::Report;
use super::state::waits_for_payment;
use super::work::{OrderTools, OrderWork, Origin, fact_name};
use crate::Services;
use crate::account::Support;
use crate::database::WritePolicy;
use crate::error::{Error, Refusal};

/// Maximum number of characters in the reference of a payment that support confirms.
pub const MAX_PAYMENT_REFERENCE_CHARS: usize = 60;

/// A payment that support confirms.
#[derive(Clone, Debug)]
pub struct ManualPayment {
    /// The id of the order. It can belong to any user.
    pub order: OrderId,
    /// The reference of the payment, such as the number of a transfer. Each payment has a reference of its own.
    pub reference: String,
}

/// The result of a confirmation.
#[derive(Clone, Debug)]
pub struct MarkedPaid {
    /// Whether this request recorded the payment. False if an earlier request had recorded it.
    pub is_new: bool,
    /// The order after the request.
    pub order: order::Model,
}

/// A reason not to record a payment. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum MarkPaidRefusal {
    /// The order does not exist.
    #[error("There is no such order.")]
    OrderNotFound,
    /// The reference is blank or too long, or has characters other than printable ASCII.
    #[error(
        "Give the reference of the payment: 1 to {MAX_PAYMENT_REFERENCE_CHARS} printable ASCII characters, such as \
         letters, digits and spaces."
    )]
    Reference,
    /// Support has recorded this reference for another order.
    #[error("This reference names the payment of another order. Check the number.")]
    ReferenceUsed,
    /// The order was paid before, with another reference.
    #[error(
        "This order was paid before, with another reference. If the buyer paid twice, give the second payment back \
         by hand: the server does not record a second payment."
    )]
    AlreadyPaid,
    /// The order is paid at a payment provider, or it is free.
    #[error("Support cannot confirm this payment: a payment provider reports it, or the order is free.")]
    NotManual,
}

impl Refusal for MarkPaidRefusal {}

/// Records a payment that support received for an order, and grants the order. The same reference again is a success:
/// the payment is not recorded again, and the order is granted if it is paid and not yet granted. If the order was paid
/// before, another reference is refused. The server cannot know whether the other reference is a mistake or names a
/// second payment, nor whether support has given a second payment back.
///
/// # Errors
/// See [`MarkPaidRefusal`].
#[service_call("order.mark_paid")]
pub async fn mark_paid(
    services: &Services,
    by: Support,
    payment: ManualPayment,
) -> Result<MarkedPaid, Error<MarkPaidRefusal>> {
    let reference = payment.reference.trim();
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if reference.is_empty()
        || reference.len() > MAX_PAYMENT_REFERENCE_CHARS
        || !reference.bytes().all(is_plain)
    {
        return Err(MarkPaidRefusal::Reference.into());
    }
    let order = order::Entity::find_by_id(payment.order).one(services.database.reader()).await?;
    let order = order.ok_or(MarkPaidRefusal::OrderNotFound)?;
    if order.provider != OrderProvider::Manual {
        return Err(MarkPaidRefusal::NotManual.into());
    }
    let (id, buyer) = (order.id, order.user_id);
    let command = MarkPaidCommand {
        tools: OrderTools::of(services),
        order: (id, buyer),
        reference: reference.to_owned(),
        by: by.id(),
    };
    // Two requests at the same time may give the same reference for orders of two buyers. The unique key of facts
    // accepts the reference for only one order. The transaction of the other order is retried, and refuses then.
    let policy = WritePolicy::idempotent("order.mark-paid").retry_taken_keys();
    let mut marked = services
        .database
        .write_for(buyer, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    if marked.is_new {
        tracing::info!(by = %by.id(), order = %id, "support marked an order as paid");
    }
    marked.order = announce_and_fulfil(services, marked.order).await?;
    Ok(marked)
}

struct MarkPaidCommand {
    tools: OrderTools,
    order: (OrderId, UserId),
    reference: String,
    /// The member of support who confirms the payment.
    by: UserId,
}

impl MarkPaidCommand {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<MarkedPaid, Error<MarkPaidRefusal>> {
        let origin = Origin::staff(self.by);
        let mut work = OrderWork::open(transaction, &self.tools, self.order, origin).await?;
        let fact = fact_name(PaymentEventKind::Captured, &self.reference);
        let known = payment_event::Entity::find()
            .filter(payment_event::Column::Provider.eq(OrderProvider::Manual))
            .filter(payment_event::Column::Fact.eq(fact))
            .one(transaction)
            .await?;
        match known.map(|known| known.order_id) {
            Some(order) if order == Some(work.order.id) => {
                return Ok(MarkedPaid { is_new: false, order: work.finish().await? });
            }
            Some(_) => return Err(MarkPaidRefusal::ReferenceUsed.into()),
            None if !waits_for_payment(work.order.state) => return Err(MarkPaidRefusal::AlreadyPaid.into()),
            None => {}
        }
        let report = self.report(&work.order);
        work.apply(&Report::Payment(report)).await?;
        Ok(MarkedPaid { is_new: true, order: work.finish().await? })
    }

    /// Makes the report of a payment of the whole amount of the order.
    fn report(&self, order: &order::Model) -> PaymentReport {
        PaymentReport {
            provider_order: order.receipt_number.clone(),
            payment: Some(self.reference.clone()),
            order_reference: Some(order.receipt_number.clone()),
            state: PaymentState::Captured,
            money: Amount::new(order.amount, &order.currency),
            refunded_minor: None,
            method: None,
            failure: None,
            account: None,
            created_at: None,
        }
    }
}
