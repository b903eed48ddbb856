//! Changes of an account by its owner. A new name or year of birth takes effect at once. A new e-mail address takes
//! effect when the owner uses a link that is sent to it.

use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user;
use jishu_entity::user::UserStatus;
use jishu_service_macros::service_call;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use super::credentials::{SignInRefusal, confirm};
use super::links::{self, NewLink};
use super::validation::{InvalidField, check_email, check_name};
use super::{by_email, by_id};
use crate::auth::Viewer;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Refusal};
use crate::limit::{ClientAddress, MailCause, RetryAfter};
use crate::mail::MailKind;
use crate::outbox::NewMessage;
use crate::{Services, audit, security};

/// The fields of an account that its owner wants to change. A field that is None stays as it is.
#[derive(Clone, Default)]
pub struct ProfileChange {
    /// The new name.
    pub name: Option<String>,
    /// The new e-mail address.
    pub email: Option<String>,
    /// The current password, which a new e-mail address requires.
    pub current_password: Option<String>,
    /// The year of birth, which a user can give only once.
    pub birth_year: Option<i32>,
}

/// A reason not to change an account. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ProfileRefusal {
    /// The account was deleted or deactivated.
    #[error("This account is not active.")]
    Inactive,
    /// A field is not valid.
    #[error(transparent)]
    Invalid(InvalidField),
    /// Another account has the new e-mail address.
    #[error("Another account has this e-mail address. Choose another address.")]
    EmailTaken,
    /// A new e-mail address requires the current password, and it is missing or wrong. Or the password or the address
    /// of the account changed during the request.
    #[error("The current password is missing or not right.")]
    WrongPassword,
    /// The account already has another year of birth.
    #[error("This account has another year of birth. Ask the people who run this platform to correct it.")]
    BirthYearFixed,
    /// Too many attempts came from this network address, or too many on this account failed. Or too many mails were
    /// sent.
    #[error("Too many attempts. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for ProfileRefusal {}

/// Changes the account of the viewer, and returns the account as it is now. A new name or year of birth takes effect
/// at once. A new e-mail address takes effect when the link that is sent to it is used. A mail to the old address
/// reports the request at once.
///
/// # Errors
/// See [`ProfileRefusal`].
#[service_call("account.update_profile")]
pub async fn update_profile(
    services: &Services,
    client: ClientAddress,
    viewer: Viewer,
    change: ProfileChange,
) -> Result<user::Model, Error<ProfileRefusal>> {
    let user = by_id(services, viewer.user_id).await?;
    let mut user = user.filter(|user| user.status == UserStatus::Active).ok_or(ProfileRefusal::Inactive)?;
    let name = change.name.as_deref().map(check_name).transpose().map_err(ProfileRefusal::Invalid)?;
    let name = name.filter(|name| *name != user.name);
    let email = change.email.as_deref().map(check_email).transpose().map_err(ProfileRefusal::Invalid)?;
    let email = email.filter(|email| *email != user.email);
    let birth_year = change.birth_year.filter(|year| user.birth_year != Some(*year));
    if let Some(year) = birth_year {
        services.consent.check_year(year, services.clock.now()).map_err(ProfileRefusal::Invalid)?;
    }
    let mut mails = None;
    if let Some(email) = &email {
        let password = change.current_password.as_deref().unwrap_or_default();
        user = confirm(services, client, user.id, password)
            .await
            .map_err(|error| error.map(|refusal| of_password(&refusal)))?;
        // The budget for mails is charged before the address is looked up. Otherwise somebody could find out for many
        // addresses whether they have accounts.
        services.limits.mail.take(client, email, MailCause::Anybody).map_err(ProfileRefusal::TooMany)?;
        // If accounts must verify their addresses, nothing may show whether another account has the new address. So the
        // link is sent in any case. If another account has the address then, the link is refused when it is used.
        if !services.requires_verified_email && by_email(services.database.reader(), email).await?.is_some() {
            security::sign_in_failed(client, "address taken", Some(user.id));
            return Err(ProfileRefusal::EmailTaken.into());
        }
        let link = NewLink::new(services, LinkPurpose::ChangeEmail, email)?;
        mails = Some((link, links::notice(services, MailKind::EmailChangeRequested, &user.email)?));
    }
    if name.is_none() && mails.is_none() && birth_year.is_none() {
        return Ok(user);
    }
    let command = Update { user, name, birth_year, mails, now: services.clock.now() };
    let owner = viewer.user_id;
    let policy = WritePolicy::not_idempotent("account.update");
    let updated = services
        .database
        .write_for(owner, policy, command, |transaction, command| Box::pin(command.run(transaction)))
        .await?;
    services.outbox.wake();
    Ok(updated)
}

fn of_password(refusal: &SignInRefusal) -> ProfileRefusal {
    match refusal {
        SignInRefusal::TooMany(wait) => ProfileRefusal::TooMany(*wait),
        SignInRefusal::InvalidCredentials => ProfileRefusal::WrongPassword,
    }
}

struct Update {
    user: user::Model,
    name: Option<String>,
    birth_year: Option<i32>,
    /// The link to the new address, and the mail to the old one. None if the address does not change.
    mails: Option<(NewLink, NewMessage)>,
    now: chrono::DateTime<chrono::Utc>,
}

impl Update {
    async fn run(&self, transaction: &DatabaseTransaction) -> Result<user::Model, Error<ProfileRefusal>> {
        let Self { user, name, birth_year, mails, now } = self;
        if lock_user(transaction, user.id).await? != Some(UserStatus::Active) {
            return Err(ProfileRefusal::Inactive.into());
        }
        if mails.is_some() {
            // A new password ends all links to new addresses. So a request with the old password must not make another
            // link after that.
            let stored = user::Entity::find_by_id(user.id).one(transaction).await?;
            let is_confirmed = |stored: &user::Model| {
                stored.password_hash == user.password_hash && stored.email == user.email
            };
            if !stored.as_ref().is_some_and(is_confirmed) {
                return Err(ProfileRefusal::WrongPassword.into());
            }
        }
        let mut updated = user.clone();
        if let Some(year) = birth_year {
            self.set_birth_year(transaction, *year).await?;
            updated.birth_year = Some(*year);
        }
        if let Some(name) = name {
            user::Entity::update_many()
                .col_expr(user::Column::Name, Expr::value(name.as_str()))
                .filter(user::Column::Id.eq(user.id))
                .exec(transaction)
                .await?;
            updated.name.clone_from(name);
            audit::append(transaction, *now, Some(user.id), "user.renamed", ("users", user.id.0)).await?;
        }
        if let Some((link, notice)) = mails {
            // Earlier links to new addresses end, so that only the latest new address can take effect.
            links::end(transaction, user.id, &[LinkPurpose::ChangeEmail], *now).await?;
            link.insert(transaction, user.id).await?;
            notice.append(transaction, Some(user.id)).await?;
        }
        Ok(updated)
    }

    /// Sets the year of birth if the account has none. A user who could change the year could make themselves older.
    async fn set_birth_year(
        &self,
        transaction: &DatabaseTransaction,
        year: i32,
    ) -> Result<(), Error<ProfileRefusal>> {
        let Self { user, now, .. } = self;
        let updated = user::Entity::update_many()
            .col_expr(user::Column::BirthYear, Expr::value(year))
            .filter(user::Column::Id.eq(user.id))
            .filter(user::Column::BirthYear.is_null())
            .exec(transaction)
            .await?;
        if updated.rows_affected != 1 {
            return Err(ProfileRefusal::BirthYearFixed.into());
        }
        audit::append(transaction, *now, Some(user.id), "user.birth_year_given", ("users", user.id.0))
            .await?;
        Ok(())
    }
}
