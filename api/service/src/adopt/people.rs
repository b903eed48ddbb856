//! Carries the accounts.

use std::collections::HashMap;

use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::batch::{Batch, Fate};
use super::old::{OldRow, USERS};
use super::state::AdoptState;
use crate::account::{check_email, check_name, fold_email};
use crate::auth::is_usable_hash;
use crate::database::Database;

/// Makes the batch of these accounts. If two accounts have the same address, one is carried: the active one, or else
/// the one with the lower id.
pub(super) async fn batch(
    database: &Database,
    state: &mut AdoptState,
    rows: &[OldRow],
) -> Result<Batch, DbErr> {
    let mut batch = Batch::default();
    let mut owners = owners(database, rows).await?;
    for row in rows {
        let id = row.id();
        state.counts(&USERS).read += 1;
        let Some(email) = row.text("email_id").and_then(|email| check_email(email).ok()) else {
            let reason = "This account was not carried: its e-mail address is missing or not valid. An account \
                          needs a valid address to sign in.";
            batch.refuse(state, (&USERS, id), reason);
            continue;
        };
        if id < 1 {
            batch.refuse(state, (&USERS, id), "This row was not carried: its id is not a positive number.");
            continue;
        }
        let status = status(row, state, &mut batch);
        if let Some((owner, owner_status)) = owners.get(&email).copied() {
            let is_better = status == UserStatus::Active && owner_status != UserStatus::Active;
            let (kept, left) = if is_better { (id, owner.0) } else { (owner.0, id) };
            if is_better {
                state.counts(&USERS).carried -= 1;
                take_out(&mut batch, owner);
            }
            let reason = format!(
                "Account {kept} has the same e-mail address and was carried instead. The purchases of this account are \
                 not carried either. If both accounts belong to one person, grant these purchases to account {kept}."
            );
            batch.refuse(state, (&USERS, left), reason);
            if !is_better {
                continue;
            }
        }
        owners.insert(email.clone(), (UserId(id), status));
        state.counts(&USERS).carried += 1;
        let user = user(row, (id, email, status), state, &mut batch);
        batch.users.push(user);
    }
    Ok(batch)
}

fn user(
    row: &OldRow,
    (id, email, status): (i64, String, UserStatus),
    state: &mut AdoptState,
    batch: &mut Batch,
) -> user::ActiveModel {
    let name = row.text("name").and_then(|name| check_name(name).ok()).unwrap_or_else(|| {
        batch.note(
            state,
            (&USERS, id),
            "The old name was missing, too long or had characters that cannot be shown, so another one replaces it.",
        );
        format!("Learner {id}")
    });
    let role = match (row.flag("is_admin"), state.options.admins) {
        (false, _) => Role::Learner,
        (true, true) => Role::Admin,
        (true, false) => {
            let reason =
                "This account was an admin, and is a learner now. `jishu user set-role` makes it an admin.";
            batch.note(state, (&USERS, id), reason);
            Role::Learner
        }
    };
    let password_hash = match row.trimmed("password") {
        Some(hash) if is_usable_hash(hash) => hash.to_owned(),
        Some(_) => {
            let reason = "The hash of the password cannot be used, so this account has no password now.";
            batch.note(state, (&USERS, id), reason);
            state.unusable_hash.clone()
        }
        None => state.unusable_hash.clone(),
    };
    let created_at = row.time("created_at").unwrap_or_else(|| state.started());
    // The addresses of accounts that signed in with Google count as verified, because Google verifies them. It is
    // unknown which other addresses the old system verified.
    let is_verified = row.word("auth_provider").as_deref() == Some("google");
    user::ActiveModel {
        id: Set(UserId(id)),
        name: Set(name),
        email: Set(email),
        password_hash: Set(password_hash),
        role: Set(role),
        status: Set(status),
        created_at: Set(created_at),
        email_verified_at: Set(is_verified.then_some(created_at)),
        birth_year: Set(None),
        deleted_at: Set(None),
    }
}

fn status(row: &OldRow, state: &mut AdoptState, batch: &mut Batch) -> UserStatus {
    match row.word("status").as_deref() {
        None | Some("active") => UserStatus::Active,
        Some("inactive" | "blocked") => UserStatus::Deactivated,
        Some(other) => {
            let reason = format!("The status `{other}` is unknown, so this account is deactivated.");
            batch.record(state, (&USERS, row.id()), Fate::Noted, None, reason);
            UserStatus::Deactivated
        }
    }
}

/// Finds the accounts in jishu that have the e-mail addresses of these rows. Returns the id and the status of each
/// account, by its address.
async fn owners(
    database: &Database,
    rows: &[OldRow],
) -> Result<HashMap<String, (UserId, UserStatus)>, DbErr> {
    let emails: Vec<String> = rows.iter().filter_map(|row| row.text("email_id")).map(fold_email).collect();
    let found: Vec<(String, UserId, UserStatus)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Email, user::Column::Id, user::Column::Status])
        .filter(user::Column::Email.is_in(emails))
        .into_tuple()
        .all(database.reader())
        .await?;
    Ok(found.into_iter().map(|(email, id, status)| (email, (id, status))).collect())
}

/// Removes an account that another account with the same address replaces. If an earlier batch has stored the account,
/// this batch deletes it.
fn take_out(batch: &mut Batch, id: UserId) {
    let before = batch.users.len();
    batch.users.retain(|user| user.id != Set(id));
    if batch.users.len() == before {
        batch.replaced_users.push(id);
    }
}
