//! Orders: a buyer agrees to a price, pays, and gets the subjects exactly once.
//!
//! For each order, the captured money equals the sum of three amounts: the value of the purchase that was not refunded,
//! the refunds that are settled or under way, and the money that was charged back. It may be less by missing money that
//! support wrote off. Payment events are only appended, their amounts never change, and the sums are computed from
//! them. If the two sums differ in another way, support decides about the order.
//!
//! Reports about money come from the provider's webhook, from the provider's responses to the server's questions, and
//! from support. All of them go to [`record`], which records facts once and moves the order. [`fulfil`] makes the
//! purchase in the transaction that moves the order to `Granted`. Every transaction that moves an order locks the
//! buyer's row first. Calls to a provider happen outside of transactions.

mod cancel;
mod channel;
mod checkout;
mod confirm;
mod dispute;
mod end;
mod fetch;
mod fulfil;
mod given_up;
mod manual;
mod open;
mod payments;
mod plan;
mod read;
mod reconcile;
mod record;
mod refund_report;
mod refunds;
mod report;
mod resolve;
mod state;
mod sums;
mod unmatched;
mod watch;
mod webhook;
mod work;

pub use cancel::{CancelRefusal, cancel};
pub use channel::RefundChannel;
pub use checkout::{Checkout, CheckoutOutcome, CheckoutRefusal, MAX_PENDING_ORDERS, checkout};
pub use confirm::{ConfirmRefusal, PaymentReturn, confirm};
pub use manual::{MAX_PAYMENT_REFERENCE_CHARS, ManualPayment, MarkPaidRefusal, MarkedPaid, mark_paid};
pub use payment_providers::ClientParameters;
pub use payments::Payments;
pub use read::{
    OrderEntry, OrderEventEntry, OrderFilter, OrderPosition, by_ids, by_ids_for_support, count, count_all,
    events, lines, operator_list, operator_show, page, page_of_all, refunds,
};
pub use reconcile::{keep_reconciling, reconcile};
pub use resolve::{Resolution, ResolveRefusal, ResolveRequest, resolve};
pub use state::may_move;
pub use watch::changes;
pub use webhook::{WebhookResponse, receive};

pub(crate) use resolve::{DECISION_TEXT, RESOLVED};
pub(crate) use work::{OrderTools, OrderWork, Origin, fact_name};
