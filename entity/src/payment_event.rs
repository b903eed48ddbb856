//! Payment events: what is known about the money of orders. Rows are appended, and never changed or deleted.

use sea_orm::entity::prelude::*;

use crate::order::OrderProvider;
use crate::{OrderId, PaymentEventId};

/// The kind of a payment event. The sums of an order count only kinds that move money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))")]
pub enum PaymentEventKind {
    /// The bank reserved the money.
    #[sea_orm(string_value = "authorized")]
    Authorized,
    /// The money was taken.
    #[sea_orm(string_value = "captured")]
    Captured,
    /// An attempt to pay failed. A later one can succeed.
    #[sea_orm(string_value = "failed")]
    Failed,
    /// The payment can no longer be made.
    #[sea_orm(string_value = "cancelled")]
    Cancelled,
    /// Money is on its way back.
    #[sea_orm(string_value = "refund_requested")]
    RefundRequested,
    /// The money went back.
    #[sea_orm(string_value = "refund_settled")]
    RefundSettled,
    /// The provider reported that a refund failed. The server tries again.
    #[sea_orm(string_value = "refund_refused")]
    RefundRefused,
    /// The money does not go back: no further try is made.
    #[sea_orm(string_value = "refund_failed")]
    RefundFailed,
    /// The buyer's bank opened a dispute about a payment. It may already hold the money.
    #[sea_orm(string_value = "dispute_opened")]
    DisputeOpened,
    /// The bank decided for the seller.
    #[sea_orm(string_value = "dispute_won")]
    DisputeWon,
    /// The dispute ended, and the provider does not tell how.
    #[sea_orm(string_value = "dispute_closed")]
    DisputeClosed,
    /// The bank took the money back.
    #[sea_orm(string_value = "charged_back")]
    ChargedBack,
    /// Support accepted that this money is missing, and left the access.
    #[sea_orm(string_value = "written_off")]
    WrittenOff,
}

/// The way in which the server learned of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum PaymentEventSource {
    /// The provider sent a webhook.
    #[sea_orm(string_value = "webhook")]
    Webhook,
    /// The buyer came back, and the server asked the provider.
    #[sea_orm(string_value = "return")]
    Return,
    /// The server asked the provider by itself.
    #[sea_orm(string_value = "reconciler")]
    Reconciler,
    /// A member of support reported or caused the event.
    #[sea_orm(string_value = "staff")]
    Staff,
    /// The server itself caused the event.
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
    /// The order. Null if the server knows no such order.
    pub order_id: Option<OrderId>,
    /// The provider.
    pub provider: OrderProvider,
    /// The name of the fact, such as `captured:pay_1`. Whoever reports a fact again changes nothing.
    pub fact: String,
    /// The provider's id of the event that reported the fact first. Null if no webhook did.
    pub event_id: Option<String>,
    /// The event that concerns the money.
    pub kind: PaymentEventKind,
    /// The provider's id of the payment.
    pub payment: Option<String>,
    /// The provider's id of the refund or of the dispute.
    pub object: Option<String>,
    /// The reference of the refund that the server sent.
    pub reference: Option<String>,
    /// The amount in minor units. Null if the event has none.
    pub amount: Option<i64>,
    /// The currency of the amount.
    pub currency: Option<String>,
    /// The way in which the server learned of the event.
    pub source: PaymentEventSource,
    /// The time when the server recorded the event.
    pub recorded_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
