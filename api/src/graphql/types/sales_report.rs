//! The sales report.

use async_graphql::{Context, Enum, Object, SimpleObject};

use super::{Course, Money, Subject, money};
use crate::graphql::error::Nullable;
use crate::graphql::scalar::DateTime;
use jishu_service::sales_report::{SalesGroup, SalesGrouping, SalesRequest, SalesSums};

/// The maximum number of rows of a report over the API. Its cost stays below the default limit of an operation.
pub(in crate::graphql) const MAX_SALES_ROWS: u32 = 1_000;

/// A dimension of the sales report: a report has a row for each combination of the values of its dimensions.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum SalesDimension {
    /// The course.
    Course,
    /// The subject.
    Subject,
    /// The day in the platform's time zone.
    Day,
    /// The month in the platform's time zone.
    Month,
}

/// Returns the dimensions as the service takes them. It does not matter if one is given twice.
pub(in crate::graphql) fn sales_grouping(by: &[SalesDimension]) -> SalesGrouping {
    SalesGrouping {
        course: by.contains(&SalesDimension::Course),
        subject: by.contains(&SalesDimension::Subject),
        day: by.contains(&SalesDimension::Day),
        month: by.contains(&SalesDimension::Month),
    }
}

/// The sales and refunds in an interval of time. A purchase counts at the time when it was made. A refund counts
/// at the time when it was requested, even if the payment failed, because the buyer is still owed the money.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SalesReport {
    /// The first moment of the report.
    from: DateTime,
    /// The first moment after the report.
    to: DateTime,
    /// The time zone of the days and the months, as a name of the IANA database.
    time_zone: String,
    /// The rows, ordered by month, day, course, subject and currency. A group without sales and refunds has no row.
    rows: Vec<SalesRow>,
}

impl SalesReport {
    pub(in crate::graphql) fn new(request: SalesRequest, rows: Vec<(SalesGroup, SalesSums)>) -> Self {
        Self {
            from: DateTime(request.from),
            to: DateTime(request.to),
            time_zone: request.time_zone.name().to_owned(),
            rows: rows.into_iter().map(|(group, sums)| SalesRow { group, sums }).collect(),
        }
    }
}

struct SalesRow {
    group: SalesGroup,
    sums: SalesSums,
}

/// A row of the sales report: the sums of one group, in one currency.
#[Object]
impl SalesRow {
    /// The month: "2026-11". Null if the report is not grouped by month.
    async fn month(&self) -> Option<String> {
        self.group.month.map(|month| month.format("%Y-%m").to_string())
    }

    /// The day: "2026-11-23". Null if the report is not grouped by day.
    async fn day(&self) -> Option<String> {
        self.group.day.map(|day| day.to_string())
    }

    /// The course. Null if the report is not grouped by course.
    async fn course(&self, ctx: &Context<'_>) -> Nullable<Course> {
        Some(Course::load(ctx, self.group.course?).await)
    }

    /// The subject. Null if the report is not grouped by subject.
    async fn subject(&self, ctx: &Context<'_>) -> Nullable<Subject> {
        Some(Subject::load(ctx, self.group.subject?).await)
    }

    /// The currency of all amounts of the row, as an ISO 4217 code.
    async fn currency(&self) -> &str {
        &self.group.currency
    }

    /// The number of purchases. A purchase of several subjects counts once in each row that has one of them.
    async fn purchases(&self) -> i64 {
        self.sums.purchases
    }

    /// The number of subjects that were sold.
    async fn subjects_sold(&self) -> i64 {
        self.sums.subjects_sold
    }

    /// The sum of the list prices at the time of the purchases.
    async fn gross(&self) -> Money {
        self.money(self.sums.gross)
    }

    /// The part of `gross` that the buyers did not pay, because of offers, bundles and complimentary purchases.
    async fn discount(&self) -> Money {
        self.money(self.sums.discount)
    }

    /// The amount that the buyers paid, with tax.
    async fn charged(&self) -> Money {
        self.money(self.sums.charged)
    }

    /// The part of `charged` that is tax.
    async fn tax(&self) -> Money {
        self.money(self.sums.tax)
    }

    /// The refunds that were requested.
    async fn refunds(&self) -> SalesRefunds {
        SalesRefunds {
            count: self.sums.refunds,
            amount: self.money(self.sums.refunded),
            tax: self.money(self.sums.refunded_tax),
        }
    }

    /// The revenue that remains: `charged` without its tax, less the refunds without theirs. It is negative if more was
    /// refunded than sold.
    async fn net(&self) -> Money {
        self.money(self.sums.net())
    }
}

impl SalesRow {
    fn money(&self, minor: i64) -> Money {
        money(minor, &self.group.currency)
    }
}

/// The refunds in a row of the sales report.
#[derive(SimpleObject)]
struct SalesRefunds {
    /// The number of refunds. A refund of several subjects counts once in each row that has one of them.
    count: i64,
    /// The amount to give back, with tax.
    amount: Money,
    /// The part of `amount` that is tax.
    tax: Money,
}
