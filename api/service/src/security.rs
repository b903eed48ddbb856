//! Writes log lines about possible attacks. Each line has the client's address, and never an e-mail address.
//!
//! The messages and the field `client` must not change, because the documented fail2ban filter matches them. A test
//! compares the filter with the lines. The lines contain no text from clients, only numbers, addresses and fixed words.

use crate::limit::address::ClientAddress;
use crate::limit::bucket::RetryAfter;
use jishu_entity::UserId;

/// Logs a security event under the target `jishu::security`.
macro_rules! event {
    ($level:ident, $message:literal, $client:expr, $($fields:tt)*) => {
        tracing::$level!(target: "jishu::security", client = %$client.ip(), $($fields)*, $message)
    };
}

/// Logs a failed sign-in, or a registration with an e-mail address that already has an account.
pub fn sign_in_failed(client: ClientAddress, reason: &'static str, user: Option<UserId>) {
    event!(warn, "sign-in failed", client, reason, user = user.map(|user| user.0));
}

/// Logs that a sign-in was refused because the account had too many failed sign-ins.
pub fn account_locked(client: ClientAddress, wait: RetryAfter) {
    event!(warn, "account locked", client, retry_after_seconds = wait.seconds());
}

/// Logs that a refresh token was refused.
pub fn refresh_token_refused(client: ClientAddress, reason: &'static str, user: Option<UserId>) {
    event!(warn, "refresh token refused", client, reason, user = user.map(|user| user.0));
}

/// Logs that an access token was refused because this deployment did not issue it, or because it was altered.
pub fn access_token_refused(client: ClientAddress, reason: &'static str) {
    event!(warn, "access token refused", client, reason);
}

/// Logs that a genuine access token was refused because it has expired. Honest clients send such tokens too.
pub fn access_token_expired(client: ClientAddress) {
    event!(info, "access token expired", client, reason = "expired");
}

/// Logs that a genuine access token was refused because its account was deactivated or deleted.
pub fn account_deactivated(client: ClientAddress) {
    event!(info, "access token of a deactivated account refused", client, reason = "deactivated");
}

/// Logs that a genuine access token was refused because its session was ended.
pub fn session_ended(client: ClientAddress) {
    event!(info, "access token of an ended session refused", client, reason = "session ended");
}

/// Logs that a request, or one field of a request, was refused because the named budget was spent.
pub fn too_many_requests(client: ClientAddress, budget: &'static str, wait: RetryAfter) {
    event!(warn, "too many requests", client, budget, retry_after_seconds = wait.seconds());
}
