//! Orders: a buyer agrees to a price, pays, and gets the subjects exactly once.
//!
//! The promise, for each order: captured money = value of its purchase that was not refunded + refunds settled or under
//! way + money charged back. Payment events are appended, and the amounts are sums over them.
//!
//! Three sources report money: the provider's webhook, the buyer who returns, and the reconciler. All of them call
//! [`record`], which records facts once and moves the order. [`fulfil`] makes the purchase in the transaction that
//! moves the order. Every transaction locks the buyer's row first. Calls to a provider happen outside of transactions.

mod ask;
mod cancel;
mod channel;
mod checkout;
mod confirm;
mod dispute;
mod end;
mod fulfil;
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
pub(crate) use work::{OrderTools, OrderWork, Origin};
