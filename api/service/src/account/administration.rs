//! Changes of the roles, statuses, years of birth and passwords of accounts, by staff and by the operator.

use chrono::{DateTime, Utc};
use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};
use jishu_service_macros::service_call;
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction,
    DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;

use super::refresh::revoke_all;
use super::second_factor::forget_unconfirmed;
use super::{Admin, InvalidField, NotStaff, Support, links, validation};
use crate::Services;
use crate::audit::{self, StateChange};
use crate::auth::Passwords;
use crate::database::{Database, WritePolicy, lock_user};
use crate::error::{Error, Refusal};
use crate::guardian::ConsentRule;

/// The action of the audit event that records a change of the status of an account. [`super::DeactivatedAccounts`]
/// finds deactivations by these events.
pub(super) const STATUS_CHANGED: &str = "user.status_changed";
const ROLE_CHANGED: &str = "user.role_changed";
const PASSWORD_SET: &str = "user.password_set";

/// Maximum number of active admins whose rows a change of an account locks, to make sure that one active admin
/// remains.
const MAX_LOCKED_ADMINS: u64 = 16;

/// A reason not to change an account. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationRefusal {
    /// There is no account with this id, or it was deleted.
    #[error("There is no such account. It may have been deleted.")]
    UserNotFound,
    /// The actor asked to change their own account.
    #[error("You cannot change your own account in this way. Ask another person who is an admin.")]
    OwnAccount,
    /// The actor has the role support, and the account is not the account of a learner.
    #[error("Support can change the status of learners only. Ask an admin.")]
    AccountOfStaff,
    /// After the change there would be no active admin.
    #[error("This is the last active admin. Make another account an admin first.")]
    LastAdmin,
    /// The actor no longer has the required role, or the actor's account was deactivated.
    #[error(transparent)]
    NotStaff(#[from] NotStaff),
    /// The new password is too short or too long, or it is the e-mail address of the account.
    #[error("{0}")]
    Password(InvalidField),
    /// The year of birth is not valid.
    #[error("{0}")]
    Field(InvalidField),
}

impl Refusal for AdministrationRefusal {}

/// The person who changes or deletes an account, or resets its second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An admin.
    Admin(Admin),
    /// A member of support, or an admin.
    Support(Support),
    /// The operator, from the command line.
    Operator,
}

impl Actor {
    pub(super) fn id(self) -> Option<UserId> {
        match self {
            Self::Admin(admin) => Some(admin.id()),
            Self::Support(support) => Some(support.id()),
            Self::Operator => None,
        }
    }
}

/// A change of the role or of the status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccountChange {
    Role(Role),
    Status(UserStatus),
}

struct ChangeCommand {
    actor: Actor,
    user: UserId,
    change: AccountChange,
    now: DateTime<Utc>,
}

/// Sets the role of an account, and returns the account. Does nothing if the account has this role already. The
/// sessions of the account continue.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call]
pub async fn set_role(
    database: &Database,
    now: DateTime<Utc>,
    actor: Actor,
    user: UserId,
    role: Role,
) -> Result<user::Model, Error<AdministrationRefusal>> {
    change(database, ChangeCommand { actor, user, change: AccountChange::Role(role), now }).await
}

/// Deactivates an account, or activates it again, and returns the account. Does nothing if the account has this status
/// already.
///
/// A deactivation also ends the sessions of the account, its sign-ins that wait for a second factor, and its links that
/// reset the password or change the e-mail address. Each running node refuses the access tokens of the account within
/// seconds. The node that runs [`set_status`] refuses these tokens at once.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call]
pub async fn set_status_in(
    database: &Database,
    now: DateTime<Utc>,
    actor: Actor,
    user: UserId,
    status: UserStatus,
) -> Result<user::Model, Error<AdministrationRefusal>> {
    change(database, ChangeCommand { actor, user, change: AccountChange::Status(status), now }).await
}

/// Sets the status as [`set_status_in`] does. Then reads the deactivated accounts again, so that this node refuses
/// the access tokens of a deactivated account at once. If that read fails, logs a warning: the node repeats the read
/// within seconds.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call("account.set_status")]
pub async fn set_status(
    services: &Services,
    actor: Actor,
    user: UserId,
    status: UserStatus,
) -> Result<user::Model, Error<AdministrationRefusal>> {
    let row = set_status_in(&services.database, services.clock.now(), actor, user, status).await?;
    if let Err(error) = services.deactivated.refresh().await {
        tracing::warn!(%error, "the deactivated accounts could not be read; the next read is in a few seconds");
    }
    Ok(row)
}

async fn change(
    database: &Database,
    command: ChangeCommand,
) -> Result<user::Model, Error<AdministrationRefusal>> {
    let policy = WritePolicy::idempotent("change an account");
    let (actor, user, change) = (command.actor.id(), command.user, command.change);
    let (row, is_changed) = database
        .write_for(user, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await?;
    if is_changed {
        tracing::info!(actor = actor.map(|id| id.0), user = %user, ?change, "the role or the status of an account was changed");
    }
    Ok(row)
}

/// Returns the account, and whether the command changed it.
async fn run(
    transaction: &DatabaseTransaction,
    command: &ChangeCommand,
) -> Result<(user::Model, bool), Error<AdministrationRefusal>> {
    let rows = lock_accounts(transaction, command.user, command.actor.id()).await?;
    let find = |id: UserId| rows.iter().find(|row| row.id == id);
    let row = find(command.user).filter(|row| row.deleted_at.is_none());
    let row = row.ok_or(AdministrationRefusal::UserNotFound)?.clone();
    check_actor(command.actor, command.actor.id().map(find), &row)?;
    let was_admin = is_active_admin(&row);
    let mut changed = row.clone();
    match command.change {
        AccountChange::Role(role) => changed.role = role,
        AccountChange::Status(status) => changed.status = status,
    }
    if changed == row {
        return Ok((row, false));
    }
    if was_admin && !is_active_admin(&changed) {
        keep_an_admin(transaction, &rows, &row).await?;
    }
    let (action, before, after) = match command.change {
        AccountChange::Role(role) => {
            (ROLE_CHANGED, json!({ "role": row.role.to_value() }), json!({ "role": role.to_value() }))
        }
        AccountChange::Status(status) => (
            STATUS_CHANGED,
            json!({ "status": row.status.to_value() }),
            json!({ "status": status.to_value() }),
        ),
    };
    let mut active = row.into_active_model();
    active.role = Set(changed.role);
    active.status = Set(changed.status);
    let changed = active.update(transaction).await?;
    if changed.status == UserStatus::Deactivated {
        revoke_all(transaction, changed.id, command.now).await?;
        links::end(transaction, changed.id, &LINKS_OF_TAKEOVERS, command.now).await?;
    }
    let (target, change) = (("users", changed.id.0), StateChange::between(before, after));
    audit::append_change(transaction, command.now, command.actor.id(), action, target, &change).await?;
    Ok((changed, true))
}

/// Checks that the actor may change the account `user`. `row` is the locked row of the actor. `row` is None for the
/// operator, who may change every account, and `Some(None)` if the actor's account does not exist.
pub(super) fn check_actor(
    actor: Actor,
    row: Option<Option<&user::Model>>,
    user: &user::Model,
) -> Result<(), AdministrationRefusal> {
    let Some(row) = row else { return Ok(()) };
    let row = row.filter(|row| row.status == UserStatus::Active).ok_or(NotStaff)?;
    match (actor, row.role) {
        (_, Role::Admin) => {}
        (Actor::Support(_), Role::Support) if user.role == Role::Learner => {}
        (Actor::Support(_), Role::Support) if user.id != row.id => {
            return Err(AdministrationRefusal::AccountOfStaff);
        }
        (Actor::Support(_), Role::Support) => {}
        _ => return Err(NotStaff.into()),
    }
    if user.id == row.id { Err(AdministrationRefusal::OwnAccount) } else { Ok(()) }
}

/// Refuses with [`AdministrationRefusal::LastAdmin`] if no active admin except `leaving` is among `rows`, which are
/// the rows that [`lock_accounts`] returned. Otherwise writes to the row of a remaining admin, as [`keep_on_cluster`]
/// says.
pub(super) async fn keep_an_admin(
    transaction: &DatabaseTransaction,
    rows: &[user::Model],
    leaving: &user::Model,
) -> Result<(), Error<AdministrationRefusal>> {
    let remaining = rows.iter().find(|other| other.id != leaving.id && is_active_admin(other));
    Ok(keep_on_cluster(transaction, remaining.ok_or(AdministrationRefusal::LastAdmin)?).await?)
}

pub(super) fn is_active_admin(row: &user::Model) -> bool {
    row.role == Role::Admin && row.status == UserStatus::Active
}

/// Locks the rows of the account, of the actor, and of the active admins, and returns them in the order of their ids.
/// Locks the rows of at most [`MAX_LOCKED_ADMINS`] admins, those with the lowest ids. Fails at once if another
/// transaction has locked one of the rows. SQLite needs no locks, because it has one writer at a time.
///
/// If two admins demote each other at once on a database server, both transactions lock the same rows. So the second
/// transaction fails with a conflict, and its retry reads the rows after the first transaction has ended.
pub(super) async fn lock_accounts(
    transaction: &DatabaseTransaction,
    user: UserId,
    actor: Option<UserId>,
) -> Result<Vec<user::Model>, DbErr> {
    let admins: Vec<UserId> = user::Entity::find()
        .select_only()
        .column(user::Column::Id)
        .filter(user::Column::Role.eq(Role::Admin))
        .filter(user::Column::Status.eq(UserStatus::Active))
        .order_by_asc(user::Column::Id)
        .limit(MAX_LOCKED_ADMINS)
        .into_tuple()
        .all(transaction)
        .await?;
    let ids = admins.into_iter().chain([user]).chain(actor);
    let rows = user::Entity::find().filter(user::Column::Id.is_in(ids)).order_by_asc(user::Column::Id);
    let rows = match transaction.get_database_backend() {
        DbBackend::Postgres => rows.lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::Nowait),
        DbBackend::MySql => rows.lock_with_behavior(LockType::Update, LockBehavior::Nowait),
        _ => rows,
    };
    rows.all(transaction).await
}

/// On MariaDB and MySQL, writes to the row of an admin who remains an active admin. The nodes of a Galera cluster
/// detect conflicts between their writes, but not between their locks. Without this write, two admins could demote
/// each other on two nodes.
async fn keep_on_cluster(transaction: &DatabaseTransaction, admin: &user::Model) -> Result<(), DbErr> {
    if transaction.get_database_backend() != DbBackend::MySql {
        return Ok(());
    }
    // The database does not write a row whose values stay the same. So the first update appends a space to the name,
    // and the second one removes it.
    for name in [format!("{} ", admin.name), admin.name.clone()] {
        let mut row = admin.clone().into_active_model();
        row.name = Set(name);
        row.update(transaction).await?;
    }
    Ok(())
}

/// Sets the year of birth of an account for the operator. Replaces the year that the user gave, if there is one.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call]
pub async fn set_birth_year(
    database: &Database,
    rule: ConsentRule,
    now: DateTime<Utc>,
    user: UserId,
    year: i32,
) -> Result<(), Error<AdministrationRefusal>> {
    rule.check_year(year, now).map_err(AdministrationRefusal::Field)?;
    let policy = WritePolicy::idempotent("set a year of birth");
    database
        .write_for(user, policy, (user, year, now), |transaction, (user, year, now)| {
            Box::pin(async move {
                lock_user(transaction, *user).await?.ok_or(AdministrationRefusal::UserNotFound)?;
                let row =
                    user::ActiveModel { id: Set(*user), birth_year: Set(Some(*year)), ..Default::default() };
                row.update(transaction).await?;
                audit::append(transaction, *now, None, "user.birth_year_set", ("users", user.0)).await?;
                Ok(())
            })
        })
        .await
}

/// The purposes of the links that an intruder could have requested, to enter the account again later. A deactivation
/// and a password that the operator sets end these links.
const LINKS_OF_TAKEOVERS: [LinkPurpose; 2] = [LinkPurpose::ResetPassword, LinkPurpose::ChangeEmail];

/// Sets the password of an account for the operator. Ends the sessions of the account, its sign-ins that wait for a
/// second factor, and its links that reset the password or change the e-mail address.
///
/// # Errors
/// See [`AdministrationRefusal`].
#[service_call]
pub async fn set_password(
    database: &Database,
    passwords: &Passwords,
    now: DateTime<Utc>,
    user: &user::Model,
    password: String,
) -> Result<(), Error<AdministrationRefusal>> {
    validation::check_password(&password, &user.email).map_err(AdministrationRefusal::Password)?;
    let hash = passwords.hash(password).await?;
    let policy = WritePolicy::idempotent("set a password");
    let input = (user.id, hash, now);
    database
        .write_for(user.id, policy, input, |transaction, (id, hash, now)| {
            Box::pin(async move {
                lock_user(transaction, *id).await?.ok_or(AdministrationRefusal::UserNotFound)?;
                let row = user::ActiveModel {
                    id: Set(*id),
                    password_hash: Set(hash.clone()),
                    ..Default::default()
                };
                row.update(transaction).await?;
                revoke_all(transaction, *id, *now).await?;
                forget_unconfirmed(transaction, *id).await?;
                links::end(transaction, *id, &LINKS_OF_TAKEOVERS, *now).await?;
                audit::append(transaction, *now, None, PASSWORD_SET, ("users", id.0)).await?;
                Ok(())
            })
        })
        .await
}
