//! Boundaries between steps of the services, at which tests end the process to simulate a crash.
//!
//! `JISHU_ABORT_AT=NAME` ends the process at the boundary of this name, as `kill -9` would. `JISHU_ABORT_FILE=PATH`
//! does the same for the name that the file contains, which a test can write while the server runs. Without the feature
//! `failpoints`, the boundaries do nothing.

/// The boundaries between the statements of a purchase, in order.
pub const PURCHASE_BOUNDARIES: [&str; 8] = [
    "purchase.locked",
    "purchase.resolved",
    "purchase.inserted",
    "purchase.entitled",
    "purchase.cards-made",
    "purchase.cart-cleared",
    "purchase.audited",
    "purchase.committed",
];

/// The boundaries between the statements that start and end a sitting, in order.
pub const SITTING_BOUNDARIES: [&str; 7] = [
    "start.locked",
    "start.inserted",
    "start.counted",
    "submit.locked",
    "submit.saved",
    "close.scored",
    "close.counted",
];

/// The boundaries between the statements of a refund, in order.
pub const REFUND_BOUNDARIES: [&str; 7] = [
    "refund.locked",
    "refund.key-checked",
    "refund.ended",
    "refund.sittings-closed",
    "refund.recorded",
    "refund.audited",
    "refund.committed",
];

/// The boundaries between the statements that end a purchase whose term is over, in order. At each boundary, a test can
/// end the process.
pub const EXPIRY_BOUNDARIES: [&str; 4] =
    ["expiry.locked", "expiry.ended", "expiry.sittings-closed", "expiry.audited"];

/// The boundaries between the statements that delete an account, in order.
pub const DELETION_BOUNDARIES: [&str; 6] = [
    "deletion.locked",
    "deletion.sittings-closed",
    "deletion.rows-erased",
    "deletion.texts-erased",
    "deletion.audited",
    "deletion.committed",
];

/// The boundaries between the statements that switch a second factor on, in order.
pub const SECOND_FACTOR_ON_BOUNDARIES: [&str; 3] =
    ["second-factor.confirmed", "second-factor.codes-made", "second-factor.told"];

/// The boundaries between the statements that complete a sign-in with a second factor, in order.
pub const SECOND_FACTOR_LOGIN_BOUNDARIES: [&str; 3] =
    ["second-factor.counted", "second-factor.proved", "second-factor.signed-in"];

/// The boundaries between the steps that make, pay and grant an order. Some are passed several times.
pub const ORDER_BOUNDARIES: [&str; 13] = [
    "checkout.locked",
    "checkout.inserted",
    "order.stored",
    "order.made-at-provider",
    "order.referenced",
    "order.locked",
    "order.fact-recorded",
    "order.moved",
    "order.audited",
    "order.recorded",
    "purchase.inserted",
    "purchase.audited",
    "order.granted",
];

/// The boundaries between the steps of a refund at the payment provider, in order.
pub const ORDER_REFUND_BOUNDARIES: [&str; 5] = [
    "order.refund-requested",
    "refund.committed",
    "order.refunds-listed",
    "order.refund-sent",
    "order.refund-settled",
];

/// Ends the process if `JISHU_ABORT_AT`, or the content of the file `JISHU_ABORT_FILE`, is the name of this boundary.
#[cfg(feature = "failpoints")]
pub(crate) fn boundary(name: &str) {
    let is_in_file = |path| std::fs::read_to_string(path).is_ok_and(|at| at == name);
    if std::env::var("JISHU_ABORT_AT").is_ok_and(|at| at == name)
        || std::env::var_os("JISHU_ABORT_FILE").is_some_and(is_in_file)
    {
        std::process::abort();
    }
}

/// Does nothing, because the feature `failpoints` is off.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn boundary(_: &str) {}
