//! The GraphQL type `User`, and connections of accounts.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use graphql_engine::{page_arguments, plain_fields};
use jishu_entity::{SubjectId, UserId, user};

use super::purchase::{PurchaseConnection, purchase_page};
use super::{
    CardArgs, Cart, GuardianConsent, Identity, MockTestAttemptConnection, MockTestAttemptFilter,
    MockTestAttemptOrder, OrderConnection, Progress, SignInSession, TestSessionConnection, card_page,
    order_page, session_page,
};
use crate::graphql::access::{is_own, open_account};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::scalar::DateTime;
use jishu_service::account::{self, SecondFactorStatus, Support};
use jishu_service::card::CardFilter;
use jishu_service::guardian;
use jishu_service::page::Page;
use jishu_service::people::{self, AccountFilter, Look};
use jishu_service::progress::ProgressScope;

/// The role of a user, which says what the user may do.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "user::Role")]
pub(in crate::graphql) enum Role {
    /// A user who buys subjects and sits tests.
    Learner,
    /// A user who manages courses, subjects, question banks and test settings.
    Author,
    /// A user who reads the accounts, purchases and orders of others, grants extra time and subjects, and refunds
    /// purchases.
    Support,
    /// A user who may do everything that the other roles may do. An admin also sets roles, deletes accounts of others,
    /// resets second factors, and reads the audit trail and the sales report.
    Admin,
}

/// The status of an account.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "user::UserStatus")]
pub(in crate::graphql) enum UserStatus {
    /// The account is neither deactivated nor deleted.
    Active,
    /// The user cannot sign in. The data of the account stays, unless the account was deleted.
    Deactivated,
}

/// The second factor of an account: each sign-in also needs a code of an authenticator app, or a recovery code.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SecondFactor {
    /// The time at which the second factor was switched on.
    since: DateTime,
    /// The number of recovery codes that are not used yet. Make new codes with `regenerateRecoveryCodes` before all of
    /// them are used.
    recovery_codes_left: u64,
}

impl From<SecondFactorStatus> for SecondFactor {
    fn from(status: SecondFactorStatus) -> Self {
        Self { since: DateTime(status.since), recovery_codes_left: status.recovery_codes_left }
    }
}

pub(in crate::graphql) struct User {
    id: UserId,
    row: tokio::sync::OnceCell<user::Model>,
}

/// An account. Users can read only their own account. SUPPORT and ADMIN can read every account. The audit trail records
/// when they read accounts by `users`, `learner`, `node` or `nodes`, and when they read purchases, tests or other data
/// of an account. SUPPORT and ADMIN see the answers of a sitting only after its end.
#[page_arguments]
#[plain_fields]
#[Object]
impl User {
    /// The global id of the user. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.id.global()
    }

    /// The name of the user.
    async fn name(&self, ctx: &Context<'_>) -> ApiResult<&str> {
        Ok(&self.row(ctx).await?.name)
    }

    /// The e-mail address of the user, in lower case.
    async fn email(&self, ctx: &Context<'_>) -> ApiResult<&str> {
        Ok(&self.row(ctx).await?.email)
    }

    /// Whether `email` is verified: by a link in a mail, by an external sign-in, or because an operator gave the
    /// address.
    async fn email_verified(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        Ok(self.row(ctx).await?.email_verified_at.is_some())
    }

    /// The role of the user, which says what the user may do.
    async fn role(&self, ctx: &Context<'_>) -> ApiResult<Role> {
        Ok(self.row(ctx).await?.role.into())
    }

    /// The status of the account. The user of a deactivated account cannot sign in.
    async fn status(&self, ctx: &Context<'_>) -> ApiResult<UserStatus> {
        Ok(self.row(ctx).await?.status.into())
    }

    /// The year of birth of the user. Null if nobody has given it, or if the account was deleted.
    async fn birth_year(&self, ctx: &Context<'_>) -> ApiResult<Option<i32>> {
        Ok(self.row(ctx).await?.birth_year)
    }

    /// The consent of a parent or guardian to the account, and whether the account needs it.
    async fn guardian_consent(&self, ctx: &Context<'_>) -> ApiResult<GuardianConsent> {
        open_account(ctx, self.id).await?;
        let (state, row) = guardian::state(ctx.services()?, self.row(ctx).await?).await?;
        Ok(GuardianConsent { state, row })
    }

    /// The time at which the account was deleted. At this time the personal data was erased, and purchases and refunds
    /// stayed in the books. Null if the account was not deleted.
    async fn deleted_at(&self, ctx: &Context<'_>) -> ApiResult<Option<DateTime>> {
        Ok(self.row(ctx).await?.deleted_at.map(DateTime))
    }

    /// The time at which the account was created.
    async fn created_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }

    /// The sessions in which the user is signed in, the latest used first, at most 100. Only the user can read them:
    /// null for the account of another user, and if the request sent no access token.
    async fn sessions(&self, ctx: &Context<'_>) -> Nullable<Vec<SignInSession>> {
        let viewer = ctx.viewer().filter(|viewer| viewer.user_id == self.id)?;
        Some(SignInSession::of_viewer(ctx, viewer).await)
    }

    /// The second factor of the account. Null if it is off. Only the user can read it: null for the account of another
    /// user.
    async fn second_factor(&self, ctx: &Context<'_>) -> Nullable<SecondFactor> {
        if !is_own(ctx, self.id) {
            return None;
        }
        let read =
            async || account::second_factor_status(ctx.services()?, self.id).await.map_err(ApiError::from);
        read().await.map(|status| status.map(SecondFactor::from)).transpose()
    }

    /// The accounts at an issuer of OpenID Connect with which the user can sign in. Only the user can read them: null
    /// for the account of another user.
    async fn linked_identities(&self, ctx: &Context<'_>) -> Nullable<Vec<Identity>> {
        if is_own(ctx, self.id) { Some(Identity::of_user(ctx, self.id).await) } else { None }
    }

    /// The cart of the user.
    async fn cart(&self, ctx: &Context<'_>) -> ApiResult<Cart> {
        open_account(ctx, self.id).await?;
        Ok(Cart::of(self.id))
    }

    /// The purchases of the user, newest first.
    async fn purchases(&self, ctx: &Context<'_>, #[page] page: PageArgs) -> ApiResult<PurchaseConnection> {
        open_account(ctx, self.id).await?;
        purchase_page(ctx, self.id, page).await
    }

    /// The orders of the user, newest first.
    async fn orders(&self, ctx: &Context<'_>, #[page] page: PageArgs) -> ApiResult<OrderConnection> {
        open_account(ctx, self.id).await?;
        order_page(ctx, self.id, page).await
    }

    /// The test cards of the user, from all purchases.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a filter and an order")]
    async fn mock_test_attempts(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
        #[graphql(desc = "Only cards that match this filter.")] filter: Option<MockTestAttemptFilter>,
        #[graphql(desc = "The order of the cards. If not given, by subject and then by test number.")]
        order_by: Option<MockTestAttemptOrder>,
    ) -> ApiResult<MockTestAttemptConnection> {
        open_account(ctx, self.id).await?;
        let args = CardArgs { page, filter, order: order_by };
        card_page(ctx, self.id, CardFilter::default(), args).await
    }

    /// The progress of the user in their tests.
    async fn progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Only the progress in this subject. It is empty if the user never owned the subject."
        )]
        subject_id: Option<ID>,
    ) -> ApiResult<Progress> {
        open_account(ctx, self.id).await?;
        let parsed = |id: ID| {
            SubjectId::parse(&id).ok_or_else(|| {
                ApiError::bad_input("`subjectId` is not the id of a Subject. Take ids from responses.")
            })
        };
        let subject = subject_id.map(parsed).transpose()?;
        Ok(Progress::lazy(ProgressScope { owner: self.id, subject }))
    }

    /// The sittings of all test cards of the user, newest first.
    async fn test_sessions(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
    ) -> ApiResult<TestSessionConnection> {
        open_account(ctx, self.id).await?;
        session_page(ctx, self.id, None, page).await
    }
}

/// The owner in every key of the loader of users. The loader ignores this owner.
const NO_OWNER: UserId = UserId(0);

impl User {
    /// Makes a user from an id. The row of the user is read when a field first needs it.
    pub(in crate::graphql) fn lazy(id: UserId) -> Self {
        Self { id, row: tokio::sync::OnceCell::new() }
    }

    async fn row(&self, ctx: &Context<'_>) -> ApiResult<&user::Model> {
        self.row
            .get_or_try_init(|| async {
                // The account of a signed-in user can be missing. Then the error asks the user to sign in again. A
                // loader runs one statement for each owner, so with `NO_OWNER` in every key it reads all users of a
                // page in one statement.
                ctx.loaders()?.user.load_one((NO_OWNER, self.id)).await?.ok_or(ApiError::Unauthenticated)
            })
            .await
    }
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self { id: row.id, row: tokio::sync::OnceCell::new_with(Some(row)) }
    }
}

impl ListNode for User {
    const NAME: &'static str = "User";
}

pub(in crate::graphql) type UserConnection = Connection<User, UserTotal>;

pub(in crate::graphql) struct UserTotal {
    support: Support,
    filter: AccountFilter,
}

#[Object]
impl UserTotal {
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        Ok(people::count_accounts(ctx.services()?, self.support, &self.filter).await?)
    }
}

/// Reads a page of the accounts that match `filter`, oldest first. Reads no rows if the client selects neither `edges`
/// nor `pageInfo`. Otherwise records in the audit trail that the viewer read a list of accounts.
pub(in crate::graphql) async fn user_page(
    ctx: &Context<'_>,
    support: Support,
    filter: AccountFilter,
    args: PageArgs,
) -> ApiResult<UserConnection> {
    let services = ctx.services()?;
    let request = args.request(ctx, "User")?;
    let page = if wants_rows(ctx) {
        people::record(services, support, Look::List).await?;
        people::accounts(services, support, &filter, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("User", page, |row| row.id.0, User::from, UserTotal { support, filter }))
}
