//! The sales report: sums of purchases and refunds by course, subject, day and month.
//!
//! A purchase counts at the time when it was made, and a refund at the time when it was requested. So a report about
//! past time does not change later. Amounts of different currencies are never added.

mod days;
mod sums;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;
use jishu_entity::{CourseId, SubjectId};
use jishu_service_macros::service_call;
use sea_orm::{ConnectionTrait, DbBackend};

pub use days::start_of_day;

use crate::account::Admin;
use crate::database::{Reader, comparable_time};
use crate::error::{Error, Refusal};
use crate::{Services, database::Database};
use days::{CalendarUnit, Interval, intervals};
use sums::{PurchaseSums, RefundSums};

/// Maximum number of days in a report by day, and of months in a report by month.
pub const MAX_INTERVALS: usize = 3_700;

/// The dimensions by which a report is grouped. Without a dimension, the report has one row for each currency. A group
/// without sales and refunds has no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SalesGrouping {
    /// Whether each course with sales or refunds has rows of its own.
    pub course: bool,
    /// Whether each subject with sales or refunds has rows of its own.
    pub subject: bool,
    /// Whether each day with sales or refunds has rows of its own.
    pub day: bool,
    /// Whether each month with sales or refunds has rows of its own.
    pub month: bool,
}

/// A request for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SalesRequest {
    /// The report contains only purchases and refunds at this time or later.
    pub from: DateTime<Utc>,
    /// The report contains only purchases and refunds before this time.
    pub to: DateTime<Utc>,
    /// The dimensions by which the report is grouped.
    pub by: SalesGrouping,
    /// The time zone of the days and the months.
    pub time_zone: Tz,
    /// Maximum number of rows of the report.
    pub max_rows: usize,
}

/// A reason to refuse a report.
#[derive(Debug, thiserror::Error)]
pub enum SalesRefusal {
    /// The time of the report is empty: it ends at its beginning or earlier.
    #[error("The report begins at or after its end.")]
    EmptyInterval,
    /// The time of the report has too many days or months.
    #[error("The report has more than {MAX_INTERVALS} days or months.")]
    TooManyIntervals,
    /// The report has too many rows.
    #[error("The report has more than {0} rows.")]
    TooManyRows(usize),
}

impl Refusal for SalesRefusal {}

/// The group of a row: a value for each dimension of the report, and a currency. The rows are sorted by these fields,
/// from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SalesGroup {
    /// The month of the row, as its first day. None if the report is not grouped by month.
    pub month: Option<NaiveDate>,
    /// The day of the row. None if the report is not grouped by day.
    pub day: Option<NaiveDate>,
    /// The course of the row. None if the report is not grouped by course.
    pub course: Option<CourseId>,
    /// The subject of the row. None if the report is not grouped by subject.
    pub subject: Option<SubjectId>,
    /// The ISO 4217 code of the currency.
    pub currency: String,
}

/// The sums of a group, in minor units of its currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SalesSums {
    /// Number of purchases. A purchase of several subjects counts once in each row that has one of them.
    pub purchases: i64,
    /// Number of subjects that were sold. A subject counts once for each purchase that has it.
    pub subjects_sold: i64,
    /// The sum of the list prices. If a purchase has no recorded list prices, the prices that the buyer paid are used.
    pub gross: i64,
    /// The part of `gross` that the buyers did not have to pay, because of offers, bundles and grants. Tax that is
    /// added to prices does not count.
    pub discount: i64,
    /// The amount that the buyers paid. It includes the tax.
    pub charged: i64,
    /// The part of `charged` that is tax.
    pub tax: i64,
    /// Number of refunds. A refund of several subjects counts once in each row that has one of them.
    pub refunds: i64,
    /// The amount of the refunds. It includes the tax.
    pub refunded: i64,
    /// The part of `refunded` that is tax.
    pub refunded_tax: i64,
}

impl SalesSums {
    /// Returns the revenue without tax, less the refunds without tax.
    #[must_use]
    pub fn net(&self) -> i64 {
        (self.charged - self.tax) - (self.refunded - self.refunded_tax)
    }

    fn add_purchases(&mut self, sums: &PurchaseSums) {
        self.purchases += sums.purchases;
        self.subjects_sold += sums.subjects_sold;
        self.gross += sums.gross;
        // `charged` includes the tax that was added to prices without tax. This added tax is not part of the price, so
        // it is subtracted.
        self.discount += sums.gross - (sums.charged - sums.added_tax);
        self.charged += sums.charged;
        self.tax += sums.tax;
    }

    fn add_refunds(&mut self, sums: &RefundSums) {
        self.refunds += sums.refunds;
        self.refunded += sums.amount;
        self.refunded_tax += sums.tax;
    }
}

/// The progress of a report that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportProgress {
    /// Number of days or months that were summed up. 0 for a report without days and months.
    pub done: usize,
    /// Number of days or months of the report. 1 for a report without days and months.
    pub total: usize,
}

/// Makes a report for an admin.
///
/// # Errors
/// See [`SalesRefusal`].
#[service_call("sales_report.report")]
pub async fn report(
    services: &Services,
    _by: Admin,
    request: SalesRequest,
) -> Result<Vec<(SalesGroup, SalesSums)>, Error<SalesRefusal>> {
    sum_up(services.database.reader(), request, &|_| {}).await
}

/// Makes a report for the operator, who needs no account. Calls `progress` before each day or month.
///
/// # Errors
/// See [`SalesRefusal`].
#[service_call]
pub async fn report_in(
    database: &Database,
    request: SalesRequest,
    progress: &(dyn Fn(ReportProgress) + Sync),
) -> Result<Vec<(SalesGroup, SalesSums)>, Error<SalesRefusal>> {
    sum_up(database.reader(), request, progress).await
}

/// Sums up the purchases and refunds of each day or month. Keeps only the rows of the report in memory.
async fn sum_up(
    reader: &Reader,
    request: SalesRequest,
    progress: &(dyn Fn(ReportProgress) + Sync),
) -> Result<Vec<(SalesGroup, SalesSums)>, Error<SalesRefusal>> {
    let SalesRequest { by, max_rows, .. } = request;
    let parts = parts(reader.get_database_backend(), request)?;
    let total = parts.len();
    let mut rows: BTreeMap<SalesGroup, SalesSums> = BTreeMap::new();
    for (done, Interval { date, from, to }) in parts.into_iter().enumerate() {
        progress(ReportProgress { done, total });
        let group = |course, subject, currency: &str| SalesGroup {
            month: if by.month { date.with_day(1) } else { None },
            day: by.day.then_some(date),
            course,
            subject,
            currency: currency.to_owned(),
        };
        for sums in sums::purchases(reader, by, from, to).await? {
            let group = group(sums.course, sums.subject, &sums.currency);
            rows.entry(group).or_default().add_purchases(&sums);
        }
        for sums in sums::refunds(reader, by, from, to).await? {
            let group = group(sums.course, sums.subject, &sums.currency);
            rows.entry(group).or_default().add_refunds(&sums);
        }
        if rows.len() > max_rows {
            return Err(SalesRefusal::TooManyRows(max_rows).into());
        }
    }
    Ok(rows.into_iter().collect())
}

/// Cuts the time of a report into days or months. If the report is not grouped by day or month, the whole time is one
/// part.
fn parts(backend: DbBackend, request: SalesRequest) -> Result<Vec<Interval>, SalesRefusal> {
    // Sales before 1970 do not exist, and some databases cannot compare much older times.
    let (from, to) = (request.from.max(DateTime::UNIX_EPOCH), request.to);
    if from >= to {
        return Err(SalesRefusal::EmptyInterval);
    }
    let [from, to] = [from, to].map(|time| comparable_time(backend, time));
    let unit = match request.by {
        SalesGrouping { day: true, .. } => CalendarUnit::Day,
        SalesGrouping { month: true, .. } => CalendarUnit::Month,
        _ => return Ok(vec![Interval { date: from.date_naive(), from, to }]),
    };
    let parts: Vec<_> = intervals(unit, request.time_zone, from, to).take(MAX_INTERVALS + 1).collect();
    if parts.len() > MAX_INTERVALS {
        return Err(SalesRefusal::TooManyIntervals);
    }
    Ok(parts)
}
