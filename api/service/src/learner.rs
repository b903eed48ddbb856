//! Finds the account of a learner for support, and records the search.

use std::convert::Infallible;

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, user};
use jishu_service_macros::service_call;
use sea_orm::DatabaseTransaction;

use super::account::Support;
use super::{Services, account, audit};
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// A search for an account by its e-mail address.
struct Lookup {
    /// The member of support who searches.
    by: UserId,
    email: String,
    now: DateTime<Utc>,
}

/// Finds the account with this e-mail address. If there is one, appends an audit event which says that `by` looked it
/// up.
///
/// # Errors
/// Returns the database's error.
#[service_call("learner.find")]
pub async fn find(services: &Services, by: Support, email: &str) -> Result<Option<user::Model>, Fault> {
    let by = by.id();
    let lookup = Lookup { by, email: email.to_owned(), now: services.clock.now() };
    // If the response to COMMIT was lost, a second run would append a second audit event for the same search.
    let policy = WritePolicy::not_idempotent("find a learner");
    let found = services
        .database
        .write(policy, lookup, |transaction, lookup| Box::pin(run(transaction, lookup)))
        .await?;
    if let Some(found) = &found {
        tracing::info!(user = %by, learner = %found.id, "support looked up a learner");
    }
    Ok(found)
}

async fn run(
    transaction: &DatabaseTransaction,
    lookup: &Lookup,
) -> Result<Option<user::Model>, Error<Infallible>> {
    let found = account::by_email(transaction, &lookup.email).await?;
    if let Some(user) = &found {
        let target = ("users", user.id.0);
        audit::append(transaction, lookup.now, Some(lookup.by), "user.looked_up", target).await?;
    }
    Ok(found)
}
