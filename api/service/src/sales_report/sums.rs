//! Sums purchases and refunds of one interval of time, in the database.
//!
//! The supported databases have no time-zone functions in common. So the report asks for each day or month separately,
//! and the database groups by course and subject. Both statements read only the rows of their interval, through an
//! index.

use chrono::{DateTime, Utc};
use jishu_entity::{CourseId, SubjectId, entitlement, purchase, refund, refund_line};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use super::SalesGrouping;
use crate::database::whole_number_type;

/// The sums of the purchases in one group.
#[derive(Debug, FromQueryResult)]
pub(super) struct PurchaseSums {
    pub(super) course: Option<CourseId>,
    pub(super) subject: Option<SubjectId>,
    pub(super) currency: String,
    pub(super) purchases: i64,
    pub(super) subjects_sold: i64,
    pub(super) gross: i64,
    pub(super) charged: i64,
    pub(super) tax: i64,
    pub(super) added_tax: i64,
}

/// The sums of the refunds in one group.
#[derive(Debug, FromQueryResult)]
pub(super) struct RefundSums {
    pub(super) course: Option<CourseId>,
    pub(super) subject: Option<SubjectId>,
    pub(super) currency: String,
    pub(super) refunds: i64,
    pub(super) amount: i64,
    pub(super) tax: i64,
}

/// Sums the purchases that were made from `from` up to, but not including, `to`.
pub(super) async fn purchases(
    connection: &impl ConnectionTrait,
    grouping: SalesGrouping,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<PurchaseSums>, DbErr> {
    use entitlement::Column::{ListPrice, PricePaid, PurchaseId, SubjectId, Tax};
    use purchase::Column::{CourseId, CreatedAt, Currency, Id, IsTaxIncluded};

    let line = |column: entitlement::Column| Expr::col((entitlement::Entity, column));
    let bought = |column: purchase::Column| Expr::col((purchase::Entity, column));
    let tax = || Expr::from(Func::coalesce([line(Tax), Expr::val(0)]));
    let is_added = bought(IsTaxIncluded).eq(false);
    let added_tax = || Expr::case(is_added.clone(), tax()).finally(0);
    // Purchases that were made before list prices were recorded have no list prices. For them, the price that the buyer
    // paid is used.
    let gross = Func::coalesce([line(ListPrice), line(PricePaid)]);
    let mut select = Query::select();
    select
        .from(purchase::Entity)
        .inner_join(entitlement::Entity, line(PurchaseId).equals((purchase::Entity, Id)))
        .expr_as(bought(Currency), Alias::new("currency"))
        .expr_as(bought(Id).count_distinct(), Alias::new("purchases"))
        .expr_as(line(SubjectId).count(), Alias::new("subjects_sold"))
        .and_where(bought(CreatedAt).gte(from))
        .and_where(bought(CreatedAt).lt(to));
    sums(
        connection,
        &mut select,
        [
            ("gross", gross.into()),
            ("charged", line(PricePaid)),
            ("tax", tax()),
            ("added_tax", added_tax().into()),
        ],
    );
    group(&mut select, bought(Currency), grouping, bought(CourseId), line(SubjectId));
    PurchaseSums::find_by_statement(connection.get_database_backend().build(&select)).all(connection).await
}

/// Sums the refunds that were requested from `from` up to, but not including, `to`, whether they were settled or not.
pub(super) async fn refunds(
    connection: &impl ConnectionTrait,
    grouping: SalesGrouping,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<RefundSums>, DbErr> {
    use refund::Column::{Currency, Id, PurchaseId, RequestedAt};

    let line = |column: refund_line::Column| Expr::col((refund_line::Entity, column));
    let requested = |column: refund::Column| Expr::col((refund::Entity, column));
    let course = Expr::col((purchase::Entity, purchase::Column::CourseId));
    // The primary key of `refund_lines` begins with the purchase. So the join also compares the purchase, and the
    // database can use this key.
    let of_refund = line(refund_line::Column::PurchaseId)
        .equals((refund::Entity, PurchaseId))
        .and(line(refund_line::Column::RefundId).equals((refund::Entity, Id)));
    let tax = Func::coalesce([line(refund_line::Column::Tax), Expr::val(0)]);
    let mut select = Query::select();
    select
        .from(refund::Entity)
        .inner_join(refund_line::Entity, of_refund)
        .expr_as(requested(Currency), Alias::new("currency"))
        .expr_as(requested(Id).count_distinct(), Alias::new("refunds"))
        .and_where(requested(RequestedAt).gte(from))
        .and_where(requested(RequestedAt).lt(to));
    if grouping.course {
        let purchase_id = Expr::col((purchase::Entity, purchase::Column::Id));
        select.inner_join(purchase::Entity, purchase_id.equals((refund::Entity, PurchaseId)));
    }
    sums(connection, &mut select, [("amount", line(refund_line::Column::Amount)), ("tax", tax.into())]);
    group(&mut select, requested(Currency), grouping, course, line(refund_line::Column::SubjectId));
    RefundSums::find_by_statement(connection.get_database_backend().build(&select)).all(connection).await
}

/// Adds the sums of these columns to a statement, cast to whole numbers. Some databases return another type for a sum.
fn sums<const N: usize>(
    connection: &impl ConnectionTrait,
    select: &mut SelectStatement,
    columns: [(&'static str, SimpleExpr); N],
) {
    let whole = whole_number_type(connection.get_database_backend());
    for (name, column) in columns {
        select.expr_as(column.sum().cast_as(whole), Alias::new(name));
    }
}

/// Groups a statement by currency, and by course and subject if the report has these dimensions. A dimension that the
/// report does not have is null.
fn group(
    select: &mut SelectStatement,
    currency: SimpleExpr,
    grouping: SalesGrouping,
    course: SimpleExpr,
    subject: SimpleExpr,
) {
    select.add_group_by([currency]);
    for (is_wanted, name, column) in
        [(grouping.course, "course", course), (grouping.subject, "subject", subject)]
    {
        if is_wanted {
            select.expr_as(column.clone(), Alias::new(name)).add_group_by([column]);
        } else {
            select.expr_as(Expr::value(None::<i64>), Alias::new(name));
        }
    }
}
