//! The GraphQL type `Purchase`, and connections of purchases.

use async_graphql::{Context, Enum, ID, Object};
use graphql_engine::{PlainEnum, guarded_fields, page_arguments, plain_fields};
use jishu_entity::purchase::{self, PurchaseStatus as StoredStatus};
use jishu_entity::{PurchaseId, UserId, entitlement};

use super::purchase_grant::PurchaseGrant;
use super::purchase_line::{PurchaseLine, PurchaseLineStatus};
use super::{
    CardArgs, Course, MockTestAttemptConnection, MockTestAttemptFilter, MockTestAttemptOrder, Money, Refund,
    Subject, User, card_page, money,
};
use crate::graphql::access::{open_account, record_look};
use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, Nullable};
use crate::graphql::node::GlobalKey;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, wants_rows};
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::{DateTime, Decimal};
use jishu_service::account::Support;
use jishu_service::card::CardFilter;
use jishu_service::page::Page;
use jishu_service::people::{self, Look, PurchaseFilter};
use jishu_service::pricing;

/// The way in which a buyer chooses the subjects of a purchase or an order.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
#[graphql(remote = "purchase::PurchaseType")]
pub(in crate::graphql) enum PurchaseType {
    /// The buyer chooses one subject.
    SingleSubject,
    /// The buyer chooses two or more subjects of one course.
    MultipleSubjects,
    /// The buyer takes all subjects of the course that are sold, at the bundle price.
    FullBundle,
}

/// The status of a purchase.
#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
pub(in crate::graphql) enum PurchaseStatus {
    /// The purchase gives access to its subjects, except those that were refunded.
    Active,
    /// The purchase no longer gives access to its subjects, because its term has ended.
    Expired,
    /// All subjects of the purchase were refunded. If only some subjects were refunded, the status does not change:
    /// `lines` shows which subjects were refunded.
    Refunded,
}

pub(in crate::graphql) struct Purchase {
    owner: UserId,
    id: PurchaseId,
    row: tokio::sync::OnceCell<purchase::Model>,
}

/// A purchase of a user, with its subjects and the test cards that they gave.
#[page_arguments]
#[guarded_fields(requires_role)]
#[plain_fields]
#[Object]
impl Purchase {
    /// The global id of the purchase. It is opaque: do not parse it.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.id.global()
    }

    /// The user who bought or got the subjects.
    async fn user(&self) -> User {
        User::lazy(self.owner)
    }

    /// The way in which the buyer chose the subjects.
    async fn purchase_type(&self, ctx: &Context<'_>) -> ApiResult<PurchaseType> {
        Ok(self.row(ctx).await?.purchase_type.into())
    }

    /// The status of the purchase.
    async fn status(&self, ctx: &Context<'_>) -> ApiResult<PurchaseStatus> {
        let row = self.row(ctx).await?;
        let now = ctx.services()?.clock.now();
        Ok(match row.status {
            StoredStatus::Refunded => PurchaseStatus::Refunded,
            StoredStatus::Active if row.expires_at.is_some_and(|end| end <= now) => PurchaseStatus::Expired,
            StoredStatus::Active => PurchaseStatus::Active,
        })
    }

    /// The course to which the subjects of the purchase belong.
    async fn course(&self, ctx: &Context<'_>) -> ApiResult<Course> {
        Course::load(ctx, self.row(ctx).await?.course_id).await
    }

    /// The subjects that were bought. Subjects that the user already owned are not included.
    async fn subjects(&self, ctx: &Context<'_>) -> ApiResult<Vec<Subject>> {
        let bought = ctx.loaders()?.entitlements.load_one((self.owner, self.id)).await?.unwrap_or_default();
        Subject::load_all(ctx, bought.into_iter().map(|entitlement| entitlement.subject_id)).await
    }

    /// The subjects that were bought, each with the amount that was paid for it. The prices of the lines add up to
    /// `cost`.
    async fn lines(&self, ctx: &Context<'_>) -> ApiResult<Vec<PurchaseLine>> {
        let key = (self.owner, self.id);
        let (row, loaders) = (self.row(ctx).await?, ctx.loaders()?);
        let bought = loaders.entitlements.load_one(key).await?.unwrap_or_default();
        let refunds = loaders.refunds.load_one(key).await?.unwrap_or_default();
        let refunded = match refunds.is_empty() {
            true => Vec::new(),
            false => loaders.refund_lines.load_one(key).await?.unwrap_or_default(),
        };
        let now = ctx.services()?.clock.now();
        let line = |bought: entitlement::Model| {
            let refund = refunded.iter().find(|line| line.subject_id == bought.subject_id);
            let refund = refund.and_then(|line| refunds.iter().find(|refund| refund.id == line.refund_id));
            let is_refunded = refund.is_some() || row.status == StoredStatus::Refunded;
            PurchaseLine {
                status: PurchaseLineStatus::of(&bought, is_refunded, now),
                refunded_at: match refund {
                    Some(refund) => Some(refund.requested_at),
                    // The older system stored no refunds, so the end of the entitlement is the best known time.
                    None => bought.ended_at.filter(|_| is_refunded),
                },
                row: bought,
                currency: row.currency.clone(),
            }
        };
        Ok(bought.into_iter().map(line).collect())
    }

    /// The refunds of the purchase, oldest first.
    async fn refunds(&self, ctx: &Context<'_>) -> ApiResult<Vec<Refund>> {
        let refunds = ctx.loaders()?.refunds.load_one((self.owner, self.id)).await?.unwrap_or_default();
        Ok(refunds.into_iter().map(Refund::from).collect())
    }

    /// The sum of the list prices of the subjects. It is without tax if `pricesIncludeTax` is false. Null if the
    /// purchase did not record this sum.
    async fn subtotal(&self, ctx: &Context<'_>) -> Nullable<Money> {
        self.recorded(ctx, |row| Some(money(row.subtotal?, &row.currency))).await
    }

    /// The amount by which offers, the bundle price or a grant reduce `subtotal`. Null if the purchase did not record
    /// `subtotal` or `tax`.
    async fn discount(&self, ctx: &Context<'_>) -> Nullable<Money> {
        self.recorded(ctx, |row| {
            let discount =
                pricing::discount(row.subtotal?, row.cost, row.tax?, row.is_tax_included.unwrap_or(true));
            Some(money(discount, &row.currency))
        })
        .await
    }

    /// The part of `cost` that is tax. Null if the purchase did not record the tax.
    async fn tax(&self, ctx: &Context<'_>) -> Nullable<Money> {
        self.recorded(ctx, |row| Some(money(row.tax?, &row.currency))).await
    }

    /// The name of the tax, such as "GST". Null if the purchase did not record the name.
    async fn tax_label(&self, ctx: &Context<'_>) -> Nullable<String> {
        self.recorded(ctx, |row| row.tax_label.clone()).await
    }

    /// The rate of the tax in percent, such as "18.00". Null if the purchase did not record the rate.
    async fn tax_percent(&self, ctx: &Context<'_>) -> Nullable<Decimal> {
        self.recorded(ctx, |row| row.tax_basis_points.map(Decimal::of_hundredths)).await
    }

    /// Whether the prices of the catalogue included the tax at the time of the purchase. Null if the purchase did not
    /// record this.
    async fn prices_include_tax(&self, ctx: &Context<'_>) -> Nullable<bool> {
        self.recorded(ctx, |row| row.is_tax_included).await
    }

    /// Whether the purchase was given for free, by support or by the operator of the platform.
    async fn complimentary(&self, ctx: &Context<'_>) -> ApiResult<bool> {
        Ok(ctx.loaders()?.grant.load_one((self.owner, self.id)).await?.is_some())
    }

    /// The grant of a complimentary purchase. Null if the purchase is not complimentary. Only for SUPPORT and ADMIN.
    async fn grant(&self, ctx: &Context<'_>, #[guard] _support: Support) -> Nullable<PurchaseGrant> {
        let grant = async { Ok(ctx.loaders()?.grant.load_one((self.owner, self.id)).await?) };
        grant.await.map(|grant| grant.map(PurchaseGrant::from)).transpose()
    }

    /// The amount that was charged for the purchase, with the tax.
    async fn cost(&self, ctx: &Context<'_>) -> ApiResult<Money> {
        let row = self.row(ctx).await?;
        Ok(money(row.cost, &row.currency))
    }

    /// The time at which the purchase was made.
    async fn created_at(&self, ctx: &Context<'_>) -> ApiResult<DateTime> {
        Ok(DateTime(self.row(ctx).await?.created_at))
    }

    /// The time at which the access of the purchase expires. Null if it never expires. A refund can end the access
    /// earlier.
    async fn expires_at(&self, ctx: &Context<'_>) -> Nullable<DateTime> {
        self.row(ctx).await.map(|row| row.expires_at.map(DateTime)).transpose()
    }

    /// The test cards that the purchase gave.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection, a filter and an order")]
    async fn mock_test_attempts(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
        #[graphql(desc = "Only cards that match this filter.")] filter: Option<MockTestAttemptFilter>,
        #[graphql(desc = "The order of the cards. If not given, by subject and then by test number.")]
        order_by: Option<MockTestAttemptOrder>,
    ) -> ApiResult<MockTestAttemptConnection> {
        open_account(ctx, self.owner).await?;
        let args = CardArgs { page, filter, order: order_by };
        let scope = CardFilter { purchase: Some(self.id), ..CardFilter::default() };
        card_page(ctx, self.owner, scope, args).await
    }
}

impl Purchase {
    /// Makes a purchase from its id. The row of the purchase is read when a field first needs it.
    pub(in crate::graphql) fn lazy(owner: UserId, id: PurchaseId) -> Self {
        Self { owner, id, row: tokio::sync::OnceCell::new() }
    }

    /// Returns a value from the row that older purchases did not record. Returns null for these purchases.
    async fn recorded<T>(
        &self,
        ctx: &Context<'_>,
        value: impl FnOnce(&purchase::Model) -> Option<T>,
    ) -> Nullable<T> {
        self.row(ctx).await.map(value).transpose()
    }

    async fn row(&self, ctx: &Context<'_>) -> ApiResult<&purchase::Model> {
        self.row
            .get_or_try_init(|| async {
                let found = ctx.loaders()?.purchase.load_one((self.owner, self.id)).await?;
                found.ok_or_else(|| ApiError::internal(format!("purchase {} is missing", self.id)))
            })
            .await
    }
}

impl From<purchase::Model> for Purchase {
    fn from(row: purchase::Model) -> Self {
        Self { owner: row.user_id, id: row.id, row: tokio::sync::OnceCell::new_with(Some(row)) }
    }
}

impl ListNode for Purchase {
    const NAME: &'static str = "Purchase";
}

pub(in crate::graphql) type PurchaseConnection = Connection<Purchase, PurchaseTotal>;

pub(in crate::graphql) enum PurchaseTotal {
    OfUser(UserId),
    All(Support, PurchaseFilter),
}

#[Object]
impl PurchaseTotal {
    /// The number of items on all pages of this list together. The server counts them only if this field is selected.
    async fn total_count(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        let services = ctx.services()?;
        Ok(match self {
            Self::OfUser(owner) => jishu_service::purchase::count(services, *owner).await?,
            Self::All(support, filter) => people::count_purchases(services, *support, *filter).await?,
        })
    }
}

/// Reads a page of the purchases of `owner`, newest first. Reads no rows if the client selects neither `edges` nor
/// `pageInfo`.
pub(in crate::graphql) async fn purchase_page(
    ctx: &Context<'_>,
    owner: UserId,
    args: PageArgs,
) -> ApiResult<PurchaseConnection> {
    let request = args.request(ctx, "Purchase")?;
    let page = if wants_rows(ctx) {
        jishu_service::purchase::page(ctx.services()?, owner, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("Purchase", page, |row| row.id.0, Purchase::from, PurchaseTotal::OfUser(owner)))
}

/// Reads a page of the purchases that match `filter`, of any user, newest first. Reads no rows if the client selects
/// neither `edges` nor `pageInfo`. Otherwise records in the audit trail that the viewer reads them: as a look at the
/// buyer if `filter` names a buyer, and otherwise as a look at a list.
pub(in crate::graphql) async fn all_purchases_page(
    ctx: &Context<'_>,
    support: Support,
    filter: PurchaseFilter,
    args: PageArgs,
) -> ApiResult<PurchaseConnection> {
    let services = ctx.services()?;
    let request = args.request(ctx, "Purchase")?;
    let page = if wants_rows(ctx) {
        match filter.buyer {
            Some(buyer) => record_look(ctx, support, buyer).await?,
            None => people::record(services, support, Look::List).await?,
        }
        people::purchases(services, support, filter, request).await?
    } else {
        Page { rows: Vec::new(), has_previous: false, has_next: false }
    };
    Ok(connect("Purchase", page, |row| row.id.0, Purchase::from, PurchaseTotal::All(support, filter)))
}
