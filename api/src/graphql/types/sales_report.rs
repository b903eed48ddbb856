//! The GraphQL types of the sales report.

use async_graphql::{Context, Enum, Object, SimpleObject};

use super::{Course, Money, Subject, money};
use crate::graphql::error::Nullable;
use crate::graphql::scalar::DateTime;
use jishu_service::sales_report::{SalesGroup, SalesGrouping, SalesRequest, SalesSums};

/// The maximum number of rows of a sales report in the API. The cost of an operation that selects all amounts of this
/// number of rows stays below the default limit.
pub(in crate::graphql) const MAX_SALES_ROWS: u32 = 1_000;

/// A dimension by which the sales report is grouped. A report has one row for each combination of values of its
/// dimensions, in each currency. A combination without sales and refunds has no row.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum SalesDimension {
    /// One row for each course with sales or refunds.
    Course,
    /// One row for each subject with sales or refunds.
    Subject,
    /// One row for each day with sales or refunds, in the platform's time zone.
    Day,
    /// One row for each month with sales or refunds, in the platform's time zone.
    Month,
}

/// Converts the dimensions to the grouping that the service takes. A dimension that is given twice counts once.
pub(in crate::graphql) fn sales_grouping(by: &[SalesDimension]) -> SalesGrouping {
    SalesGrouping {
        course: by.contains(&SalesDimension::Course),
        subject: by.contains(&SalesDimension::Subject),
        day: by.contains(&SalesDimension::Day),
        month: by.contains(&SalesDimension::Month),
    }
}

/// The sales and refunds in an interval of time. A purchase counts at the time when it was made. A refund counts at the
/// time when it was requested, even if paying the money back failed, because the platform still owes the buyer the
/// money.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SalesReport {
    /// The start of the interval. Sales and refunds at this time count.
    from: DateTime,
    /// The end of the interval. Sales and refunds at this time do not count.
    to: DateTime,
    /// The time zone of the days and the months in the rows, as a name of the IANA database, such as "Asia/Kolkata".
    time_zone: String,
    /// The rows, ordered by month, day, course, subject and currency. A group without sales and refunds has no row. The
    /// cost of the operation counts 1000 rows, however few the report has. All amounts together stay below the default
    /// limit of the cost. Select only a few fields of `course` and `subject`, because more can exceed the limit.
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
    /// The month of the row, such as "2026-11". Null if the report is not grouped by month.
    async fn month(&self) -> Option<String> {
        self.group.month.map(|month| month.format("%Y-%m").to_string())
    }

    /// The day of the row, such as "2026-11-23". Null if the report is not grouped by day.
    async fn day(&self) -> Option<String> {
        self.group.day.map(|day| day.to_string())
    }

    /// The course of the row. Null if the report is not grouped by course.
    async fn course(&self, ctx: &Context<'_>) -> Nullable<Course> {
        Some(Course::load(ctx, self.group.course?).await)
    }

    /// The subject of the row. Null if the report is not grouped by subject.
    async fn subject(&self, ctx: &Context<'_>) -> Nullable<Subject> {
        Some(Subject::load(ctx, self.group.subject?).await)
    }

    /// The currency of all amounts of the row, as an ISO 4217 code.
    async fn currency(&self) -> &str {
        &self.group.currency
    }

    /// The number of purchases. A purchase of several subjects counts once in each row that has one of these subjects.
    async fn purchases(&self) -> i64 {
        self.sums.purchases
    }

    /// The number of subjects that were sold. A subject counts once for each purchase that has it.
    async fn subjects_sold(&self) -> i64 {
        self.sums.subjects_sold
    }

    /// The sum of the list prices of the sold subjects at the time of the purchases. If a purchase recorded no list
    /// prices, the prices that were paid count instead.
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

    /// The refunds that were requested, as a number and as amounts.
    async fn refunds(&self) -> SalesRefunds {
        SalesRefunds {
            count: self.sums.refunds,
            amount: self.money(self.sums.refunded),
            tax: self.money(self.sums.refunded_tax),
        }
    }

    /// The revenue that remains: `charged` without the tax, minus the refunds without their tax. It is negative if more
    /// was refunded than sold.
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
    /// The number of refunds. A refund of several subjects counts once in each row that has one of these subjects.
    count: i64,
    /// The amount that the platform must give back for these refunds, with tax.
    amount: Money,
    /// The part of `amount` that is tax.
    tax: Money,
}
