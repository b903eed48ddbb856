//! Log lines about attacks: one line for each event, with the client's address and without e-mail addresses.
//!
//! The messages and the field `client` are stable: the filter of fail2ban in the README matches them, and a test
//! checks both. These lines have no text from clients, only numbers and addresses.

use crate::limit::{ClientAddress, RetryAfter};
use jishu_entity::UserId;

/// Logs an event under the target of these lines.
macro_rules! event {
    ($level:ident, $message:literal, $client:expr, $($fields:tt)*) => {
        tracing::$level!(target: "jishu::security", client = %$client.ip(), $($fields)*, $message)
    };
}

/// Logs a refused password, or a registration with a taken address.
pub fn sign_in_failed(client: ClientAddress, reason: &'static str, user: Option<UserId>) {
    event!(warn, "sign-in failed", client, reason, user = user.map(|user| user.0));
}

/// Logs that a sign-in was refused because the account had too many failures.
pub fn account_locked(client: ClientAddress, wait: RetryAfter) {
    event!(warn, "account locked", client, retry_after_seconds = wait.seconds());
}

/// Logs that a refresh token was refused.
pub fn refresh_token_refused(client: ClientAddress, reason: &'static str, user: Option<UserId>) {
    event!(warn, "refresh token refused", client, reason, user = user.map(|user| user.0));
}

/// Logs that an access token was refused because it is not ours or was changed.
pub fn access_token_refused(client: ClientAddress, reason: &'static str) {
    event!(warn, "access token refused", client, reason);
}

/// Logs that an access token of ours was refused because of its time. Honest clients send such tokens, too.
pub fn access_token_expired(client: ClientAddress) {
    event!(info, "access token expired", client, reason = "expired");
}

/// Logs that a request, or a field of one, was refused for lack of a budget.
pub fn too_many_requests(client: ClientAddress, budget: &'static str, wait: RetryAfter) {
    event!(warn, "too many requests", client, budget, retry_after_seconds = wait.seconds());
}
