//! `markOrderPaid`: support confirms a payment in cash or by a transfer.

use jishu_entity::OrderId;
use jishu_entity::order::{self, OrderProvider};
use jishu_entity::payment_event::{self, PaymentEventKind, PaymentEventSource};
use jishu_service_macros::service_call;
use payment_providers::{Amount, PaymentReport, PaymentState};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::record::record;
use super::report::Report;
use super::work::Origin;
use crate::Services;
use crate::account::Support;
use crate::error::{Error, Fault, Refusal};

/// Maximum number of characters of the reference of a payment by hand.
pub const MAX_PAYMENT_REFERENCE_CHARS: usize = 60;

/// A payment that support confirms.
#[derive(Clone, Debug)]
pub struct ManualPayment {
    /// The order. It can belong to any user.
    pub order: OrderId,
    /// The reference of the payment, such as the number of a transfer. It names one payment.
    pub reference: String,
}

/// The result of a confirmation.
#[derive(Clone, Debug)]
pub struct MarkedPaid {
    /// Whether this request recorded the payment. Otherwise an earlier one had.
    pub is_new: bool,
    /// The order.
    pub order: order::Model,
}

/// A reason not to record a payment. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum MarkPaidRefusal {
    /// There is no such order.
    #[error("There is no such order.")]
    OrderNotFound,
    /// The reference is blank, too long, or has characters that references do not have.
    #[error(
        "Give the reference of the payment in 1 to {MAX_PAYMENT_REFERENCE_CHARS} letters, digits, spaces or signs of \
         ASCII."
    )]
    Reference,
    /// The reference names the payment of another order.
    #[error("This reference names the payment of another order. Check the number.")]
    ReferenceUsed,
    /// The order is paid at a provider.
    #[error("This order is paid at a payment provider, which reports its payment.")]
    NotManual,
}

impl Refusal for MarkPaidRefusal {}

/// Records that an order was paid by hand, and grants it. The same reference again is a success and changes nothing.
/// Another reference is another payment: if the order was paid before, the money must go back.
///
/// # Errors
/// See [`MarkPaidRefusal`].
#[service_call("order.mark_paid")]
pub async fn mark_paid(
    services: &Services,
    by: Support,
    payment: ManualPayment,
) -> Result<MarkedPaid, Error<MarkPaidRefusal>> {
    let reader = services.database.reader();
    let reference = payment.reference.trim();
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if reference.is_empty()
        || reference.len() > MAX_PAYMENT_REFERENCE_CHARS
        || !reference.bytes().all(is_plain)
    {
        return Err(MarkPaidRefusal::Reference.into());
    }
    let order = order::Entity::find_by_id(payment.order).one(reader).await?;
    let order = order.ok_or(MarkPaidRefusal::OrderNotFound)?;
    if order.provider != OrderProvider::Manual {
        return Err(MarkPaidRefusal::NotManual.into());
    }
    let known = payment_event::Entity::find()
        .filter(payment_event::Column::Provider.eq(OrderProvider::Manual))
        .filter(payment_event::Column::Fact.eq(format!("captured:{reference}")))
        .one(reader)
        .await?;
    match known.map(|known| known.order_id) {
        Some(known) if known != Some(order.id) => return Err(MarkPaidRefusal::ReferenceUsed.into()),
        Some(_) => return Ok(MarkedPaid { is_new: false, order }),
        None => {}
    }
    let report = PaymentReport {
        provider_order: order.receipt_number.clone(),
        payment: Some(reference.to_owned()),
        order_reference: Some(order.receipt_number.clone()),
        state: PaymentState::Captured,
        money: Amount::new(order.amount, &order.currency),
        refunded_minor: None,
        method: None,
        failure: None,
        account: None,
        created_at: None,
    };
    let origin = Origin { source: PaymentEventSource::Staff, event_id: None, by: Some(by.id()) };
    let id = order.id;
    let recorded = record(services, OrderProvider::Manual, Report::Payment(report), origin).await?;
    let order = recorded.ok_or_else(|| Fault::missing(format_args!("order {id}")))?;
    // Two requests at once may name the same reference for two orders: the unique key of facts let one of them win.
    let won = payment_event::Entity::find()
        .filter(payment_event::Column::OrderId.eq(id))
        .filter(payment_event::Column::Kind.eq(PaymentEventKind::Captured))
        .filter(payment_event::Column::Payment.eq(reference))
        .one(reader)
        .await?;
    if won.is_none() {
        return Err(MarkPaidRefusal::ReferenceUsed.into());
    }
    tracing::info!(by = %by.id(), order = %order.id, "support marked an order as paid");
    Ok(MarkedPaid { is_new: true, order })
}
