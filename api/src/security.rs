//! What attacks look like in the log: one line for each event, with the client's address and no e-mail address.
//!
//! The messages and the field `client` are stable: the filter of fail2ban in the README matches them, and a test holds
//! them together. Nothing that a client chose stands in these lines but numbers and addresses.

use crate::limit::{ClientAddress, RetryAfter};
use jishu_entity::UserId;

/// Where these lines say they come from.
macro_rules! event {
    ($level:ident, $message:literal, $client:expr, $($fields:tt)*) => {
        tracing::$level!(target: "jishu::security", client = %$client.ip(), $($fields)*, $message)
    };
}

/// A password, or an attempt to register an address that is taken, was refused.
pub(crate) fn sign_in_failed(client: ClientAddress, reason: &'static str, user: Option<UserId>) {
    event!(warn, "sign-in failed", client, reason, user = user.map(|user| user.0));
}

/// A sign-in was refused because the account had too many failures.
pub(crate) fn account_locked(client: ClientAddress, wait: RetryAfter) {
    event!(warn, "account locked", client, retry_after_seconds = wait.seconds());
}

/// A refresh token was refused.
pub(crate) fn refresh_token_refused(client: ClientAddress, reason: &'static str, user: Option<UserId>) {
    event!(warn, "refresh token refused", client, reason, user = user.map(|user| user.0));
}

/// An access token was refused that is not one of ours, or was changed.
pub(crate) fn access_token_refused(client: ClientAddress, reason: &'static str) {
    event!(warn, "access token refused", client, reason);
}

/// An access token of ours was refused because of its time: what honest clients send, too.
pub(crate) fn access_token_expired(client: ClientAddress) {
    event!(info, "access token expired", client, reason = "expired");
}

/// A request, or a field of one, was refused for lack of a budget.
pub(crate) fn too_many_requests(client: ClientAddress, budget: &'static str, wait: RetryAfter) {
    event!(warn, "too many requests", client, budget, retry_after_seconds = wait.seconds());
}
