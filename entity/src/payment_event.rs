//! Payment events: facts about the money of orders. Committed rows are never deleted, and their amounts never change.
//! Only the deletion of an account changes rows: it replaces the references of payments that staff typed.

use sea_orm::entity::prelude::*;

use crate::order::OrderProvider;
use crate::{OrderId, PaymentEventId};

/// The kind of a payment event. The sums of an order count only `Captured`, `RefundRequested`, `RefundFailed`,
/// `ChargedBack` and `WrittenOff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum PaymentEventKind {
    /// The bank reserved the money for the payment.
    #[sea_orm(string_value = "authorized")]
    Authorized,
    /// The money was taken: the provider captured it, or support confirmed that it arrived.
    #[sea_orm(string_value = "captured")]
    Captured,
    /// A try of the buyer to pay failed. A later try can succeed.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// The payment was cancelled, so the buyer can no longer make it.
    #[sea_orm(string_value = "cancelled")]
    Cancelled,
    /// A refund of the money was requested, or begun again after the server had given it up.
    #[sea_orm(string_value = "refund_requested")]
    RefundRequested,
    /// The money of a refund went back to the buyer.
    #[sea_orm(string_value = "refund_settled")]
    RefundSettled,
    /// A refund failed: the provider reported this, or cannot process the amount. The server may try again.
    #[sea_orm(string_value = "refund_refused")]
    RefundRefused,
    /// The server no longer tries to give the money of a refund back. For an order with the provider `manual`, the
    /// server never tries, because support gives the money back by hand.
    #[sea_orm(string_value = "refund_failed")]
    RefundFailed,
    /// The buyer's bank opened a dispute about a payment. The bank may have taken the money back for now.
    #[sea_orm(string_value = "dispute_opened")]
    DisputeOpened,
    /// The bank decided the dispute for the seller.
    #[sea_orm(string_value = "dispute_won")]
    DisputeWon,
    /// The dispute ended, and the provider does not report who won.
    #[sea_orm(string_value = "dispute_closed")]
    DisputeClosed,
    /// The bank decided the dispute for the buyer, and took the money back.
    #[sea_orm(string_value = "charged_back")]
    ChargedBack,
    /// Support decided about an order from which too much money had gone back, and accepted that this amount is lost.
    /// Support also decided whether the buyer keeps the access.
    #[sea_orm(string_value = "written_off")]
    WrittenOff,
}

/// The beginning of an object that the provider did not name, because it refused a refund at once. The rest is the
/// reference of the refund.
pub const REFUSED_OBJECT: &str = "refused:";

/// The way in which the server learned of a payment event, or of what caused the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum PaymentEventSource {
    /// The provider sent a webhook.
    #[sea_orm(string_value = "webhook")]
    Webhook,
    /// The buyer asked to confirm the payment or to cancel the order, and the server asked the provider then.
    #[sea_orm(string_value = "return")]
    Return,
    /// The reconciler of the server asked the provider.
    #[sea_orm(string_value = "reconciler")]
    Reconciler,
    /// A member of support reported or caused the event.
    #[sea_orm(string_value = "staff")]
    Staff,
    /// The server caused the event, or the provider reported it when the server captured or refunded a payment.
    #[sea_orm(string_value = "server")]
    Server,
}

/// A row of `payment_events`.
///
/// UNIQUE (provider, fact).
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payment_events")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: PaymentEventId,
    /// The order to which the event belongs. Null if the server did not know the order when it recorded the event.
    pub order_id: Option<OrderId>,
    /// The provider that reported the event, or the way in which the order is paid.
    pub provider: OrderProvider,
    /// The name of the fact, such as `captured:pay_1`. It is unique for each provider, so a fact that is reported again
    /// changes nothing.
    pub fact: String,
    /// The provider's id of the webhook that reported the fact first, or that caused it. Null if the fact came in
    /// another way, and if the provider sent no usable id.
    pub event_id: Option<String>,
    /// The kind of the event.
    pub kind: PaymentEventKind,
    /// The provider's id of the payment, or the reference that support gave. If the payment has no id, the provider's
    /// id of the order. Null if the event concerns no payment.
    pub payment: Option<String>,
    /// The provider's id of the refund or of the dispute. If a refund was refused at once, or the provider cannot
    /// process its amount, it is [`REFUSED_OBJECT`] and the reference. Null for other events, and if the id is unknown.
    pub object: Option<String>,
    /// The receipt number of the order for an event of a payment, and the reference of the payment refund for an event
    /// of a refund, cut to 64 characters. Null for disputes and amounts that were written off, and if the provider
    /// reported no reference.
    pub reference: Option<String>,
    /// The amount, in minor units. Null if the event has none.
    pub amount: Option<i64>,
    /// The currency of the amount. Null if the event has no amount.
    pub currency: Option<String>,
    /// The way in which the server learned of the event.
    pub source: PaymentEventSource,
    /// The time when the server recorded the event.
    pub recorded_at: DateTimeUtc,
}

impl Model {
    /// Returns the provider's id of the refund or of the dispute. Returns None if the event has no object. A refund that
    /// the provider refused at once has no id: the server gave its object a name, so this function returns None too.
    #[must_use]
    pub fn provider_object(&self) -> Option<&str> {
        self.object.as_deref().filter(|object| !object.starts_with(REFUSED_OBJECT))
    }
}

impl ActiveModelBehavior for ActiveModel {}
