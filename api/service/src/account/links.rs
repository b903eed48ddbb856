//! Links in mails. Each link is sent to one address, works once, and expires.

use std::convert::Infallible;

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::account_link::{self, Column, LinkPurpose};
use jishu_entity::user::UserStatus;
use jishu_entity::{AccountLinkId, UserId, user};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QuerySelect,
};

use crate::Services;
use crate::auth::LinkToken;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::mail::{self, MailFacts, MailKind, MailLink};
use crate::outbox::NewMessage;

/// The time for which a link works that proves that a user receives mail at the address of their account.
const VERIFY_LIFETIME: TimeDelta = TimeDelta::hours(48);
/// The time for which a link works that sets a new password. The time is short, because whoever has the link can
/// enter the account.
const RESET_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// The time for which a link works that gives an account a new e-mail address.
const CHANGE_LIFETIME: TimeDelta = TimeDelta::hours(24);
/// The time for which a link works that deletes an account.
const DELETE_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// The time for which a link works with which a guardian consents.
const CONSENT_LIFETIME: TimeDelta = TimeDelta::days(7);
/// The time for which the row of a link is kept after the link has expired.
const LINK_RETENTION: TimeDelta = TimeDelta::days(1);

/// The refusal of a link that does not work. The link is unknown, used or expired, its account is not active, or the
/// account has another e-mail address now. The client does not learn which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("This link no longer works. Ask for a new one.")]
pub struct LinkInvalid;

impl Refusal for LinkInvalid {}

/// A link that is about to be stored, with the mail that contains it.
#[derive(Clone)]
pub(crate) struct NewLink {
    purpose: LinkPurpose,
    token_hash: String,
    email: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    mail: NewMessage,
}

impl NewLink {
    /// Makes a link, and the mail that takes it to `email`, which is the address of the account or its new address.
    /// `email` must have the stored form. [`NewLink::insert`] stores the link and the mail.
    pub(super) fn new(services: &Services, purpose: LinkPurpose, email: &str) -> Result<Self, Fault> {
        Self::about(services, purpose, email, None)
    }

    /// Makes a link as [`NewLink::new`] does. If `account` is given, the mail names it: a guardian receives the mail,
    /// and must read whose account the mail is about.
    pub(crate) fn about(
        services: &Services,
        purpose: LinkPurpose,
        email: &str,
        account: Option<&str>,
    ) -> Result<Self, Fault> {
        let (kind, lifetime) = match purpose {
            LinkPurpose::VerifyEmail => (MailKind::VerifyEmail, VERIFY_LIFETIME),
            LinkPurpose::ResetPassword => (MailKind::ResetPassword, RESET_LIFETIME),
            LinkPurpose::ChangeEmail => (MailKind::ChangeEmail, CHANGE_LIFETIME),
            LinkPurpose::DeleteAccount => (MailKind::DeleteAccount, DELETE_LIFETIME),
            LinkPurpose::GuardianConsent => (MailKind::GuardianConsent, CONSENT_LIFETIME),
        };
        let token = LinkToken::generate()
            .map_err(|error| Fault::Inconsistent(format!("the system's random source failed: {error}")))?;
        let created_at = services.clock.now();
        let expires_at = created_at + lifetime;
        let link = MailLink { token: token.as_str(), expires_at: Some(expires_at) };
        let content = MailFacts { link: Some(link), account };
        let mail = mail::compose(&services.secrets, kind, email, content, created_at)?;
        let (token_hash, email) = (token.hash(), email.to_owned());
        Ok(Self { purpose, token_hash, email, created_at, expires_at, mail })
    }

    /// Stores the link of this user, and its mail in the outbox. Call [`crate::outbox::Outbox::wake`] after the
    /// commit, so that the mail is sent at once.
    pub(crate) async fn insert(&self, transaction: &DatabaseTransaction, user: UserId) -> Result<(), DbErr> {
        let row = account_link::ActiveModel {
            id: NotSet,
            user_id: Set(user),
            purpose: Set(self.purpose),
            token_hash: Set(self.token_hash.clone()),
            email: Set(self.email.clone()),
            created_at: Set(self.created_at),
            expires_at: Set(self.expires_at),
            used_at: Set(None),
        };
        row.insert(transaction).await?;
        self.mail.append(transaction, Some(user)).await
    }
}

/// Stores a link of an account and its mail in a transaction of its own, and wakes the outbox. Stores nothing if the
/// account is not active.
pub(super) async fn send(services: &Services, owner: UserId, link: NewLink) -> Result<(), Fault> {
    let policy = WritePolicy::not_idempotent("account.link");
    let stored = services.database.write_for(owner, policy, (owner, link), |transaction, (owner, link)| {
        Box::pin(async move {
            if lock_user(transaction, *owner).await? == Some(UserStatus::Active) {
                link.insert(transaction, *owner).await?;
            }
            Ok::<_, Error<Infallible>>(())
        })
    });
    stored.await?;
    services.outbox.wake();
    Ok(())
}

/// Makes a mail without a link. The caller must append it to the outbox.
pub(super) fn notice(services: &Services, kind: MailKind, email: &str) -> Result<NewMessage, Fault> {
    mail::compose(&services.secrets, kind, email, MailFacts::default(), services.clock.now())
}

/// Finds the unused link with this token and one of these purposes, and the account of the link. Returns None if
/// there is no such link. The link may have expired: only [`take`] decides whether it still works.
pub(crate) async fn find(
    services: &Services,
    token: &str,
    purposes: &[LinkPurpose],
) -> Result<Option<(account_link::Model, user::Model)>, DbErr> {
    let Some(token) = LinkToken::parse(token) else { return Ok(None) };
    let reader = services.database.reader();
    let link = account_link::Entity::find().filter(Column::TokenHash.eq(token.hash())).one(reader).await?;
    let Some(link) = link.filter(|link| purposes.contains(&link.purpose) && link.used_at.is_none()) else {
        return Ok(None);
    };
    let user = user::Entity::find_by_id(link.user_id).one(reader).await?;
    Ok(user.map(|user| (link, user)))
}

/// Marks a link as used. Returns false if the link was used before or has expired. One statement checks the link and
/// marks it, so only one of several requests at once gets true.
pub(crate) async fn take(
    transaction: &DatabaseTransaction,
    link: AccountLinkId,
    now: DateTime<Utc>,
) -> Result<bool, DbErr> {
    let taken = account_link::Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::Id.eq(link))
        .filter(Column::UsedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .exec(transaction)
        .await?;
    Ok(taken.rows_affected == 1)
}

/// Marks the unused links of a user that have one of these purposes as used, so that they stop working.
pub(crate) async fn end(
    transaction: &DatabaseTransaction,
    user: UserId,
    purposes: &[LinkPurpose],
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    account_link::Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::UserId.eq(user))
        .filter(Column::Purpose.is_in(purposes.iter().copied()))
        .filter(Column::UsedAt.is_null())
        .exec(transaction)
        .await?;
    Ok(())
}

/// Finds at most `limit` links whose rows can be deleted, because they expired at least [`LINK_RETENTION`] ago.
pub(super) async fn old(services: &Services, limit: u64) -> Result<Vec<AccountLinkId>, DbErr> {
    account_link::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ExpiresAt.lte(services.clock.now() - LINK_RETENTION))
        .limit(limit)
        .into_tuple()
        .all(services.database.reader())
        .await
}
