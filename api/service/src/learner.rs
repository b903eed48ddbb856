//! Finding a learner, for who helps them.

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, user};
use sea_orm::{DatabaseTransaction, DbErr};

use super::account::Support;
use super::{Services, account, audit};
use crate::database::WriteOptions;

struct Look {
    by: UserId,
    email: String,
    now: DateTime<Utc>,
}

/// Finds the account with this address, whoever owns it, and records that `by` has looked at it.
///
/// # Errors
/// The database's.
pub async fn find(services: &Services, by: Support, email: &str) -> Result<Option<user::Model>, DbErr> {
    let by = by.id();
    let look = Look { by, email: email.to_owned(), now: services.clock.now() };
    // Should it run twice, two looks are recorded, which is no less true.
    let options =
        WriteOptions { name: "find a learner", looks_before_it_writes: true, another_may_be_first: false };
    let found =
        services.database.write(options, look, |transaction, look| Box::pin(run(transaction, look))).await?;
    if let Some(found) = &found {
        tracing::info!(user = %by, learner = %found.id, "looked up");
    }
    Ok(found)
}

async fn run(transaction: &DatabaseTransaction, look: &Look) -> Result<Option<user::Model>, DbErr> {
    let found = account::by_email(transaction, &look.email).await?;
    if let Some(user) = &found {
        let target = ("users", user.id.0);
        audit::append(transaction, look.now, Some(look.by), "user.looked_up", target).await?;
    }
    Ok(found)
}
