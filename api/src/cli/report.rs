//! The command `jishu report`: prints what was sold and refunded.

use std::collections::BTreeSet;
use std::error::Error;

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use super::serve::refuse_pending;
use super::{CommandResult, with_database};
use crate::config::{DatabaseConfig, TimeZoneConfig};
use jishu_service::catalog::Catalog;
use jishu_service::money::Money;
use jishu_service::sales_report::{
    self, ReportProgress, SalesGroup, SalesGrouping, SalesRefusal, SalesRequest, SalesSums, start_of_day,
};

#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    /// Print what was sold and refunded, with a row for each group and currency.
    Sales(SalesArgs),
}

#[derive(Args, Debug)]
struct SalesArgs {
    /// The first day of the report, such as 2026-11-01, or its first moment, such as 2026-11-01T09:30:00Z.
    #[arg(long, value_name = "DAY|TIME", value_parser = bound)]
    from: Bound,

    /// The first day that the report leaves out, or the moment at which it ends.
    #[arg(long, value_name = "DAY|TIME", value_parser = bound)]
    to: Bound,

    /// The dimensions to group by, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "DIMENSION")]
    by: Vec<DimensionArg>,

    /// The format of the report. Amounts are in major units.
    #[arg(long, value_enum, default_value_t)]
    format: TableFormat,

    #[command(flatten)]
    time_zone: TimeZoneConfig,

    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum DimensionArg {
    Month,
    Day,
    Course,
    Subject,
}

/// The format of a table on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// Columns for people.
    #[default]
    Table,
    /// Comma-separated values for programs.
    Csv,
}

/// The beginning or the end of a report.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Day(NaiveDate),
    Moment(DateTime<Utc>),
}

fn bound(text: &str) -> Result<Bound, String> {
    let day = text.parse().map(Bound::Day);
    day.or_else(|_| text.parse().map(Bound::Moment))
        .map_err(|_| "give a day such as 2026-11-01, or a time such as 2026-11-01T09:30:00Z".to_owned())
}

impl Bound {
    fn moment(self, zone: Tz) -> DateTime<Utc> {
        match self {
            Self::Day(day) => start_of_day(zone, day),
            Self::Moment(moment) => moment,
        }
    }
}

pub(super) async fn run(args: ReportArgs) -> CommandResult {
    let ReportCommand::Sales(args) = args.command;
    let zone = args.time_zone.time_zone;
    let by: BTreeSet<DimensionArg> = args.by.into_iter().collect();
    let request = SalesRequest {
        from: args.from.moment(zone),
        to: args.to.moment(zone),
        by: SalesGrouping {
            course: by.contains(&DimensionArg::Course),
            subject: by.contains(&DimensionArg::Subject),
            day: by.contains(&DimensionArg::Day),
            month: by.contains(&DimensionArg::Month),
        },
        time_zone: zone,
        max_rows: usize::MAX,
    };
    // The progress bar is drawn on standard error. It is hidden if standard error is not a terminal.
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos} of {len}")?);
    let progress = |ReportProgress { done, total }: ReportProgress| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let report = with_database(&args.database.options_to_read(), async |database| {
        refuse_pending(database).await?;
        let rows = sales_report::report_in(database, request, &progress).await;
        let rows = rows.map_err(|error| error.map(|refusal| WithAdvice { refusal }))?;
        let catalog = Catalog::load(database.clone()).await?;
        Ok(table(&by, &rows, &catalog))
    })
    .await;
    bar.finish_and_clear();
    let report = report?;
    match args.format {
        TableFormat::Csv => print!("{}", csv_text(&report)?),
        TableFormat::Table => print!("{}", aligned(&report)),
    }
    eprintln!("rows: {}; time zone: {zone}", report.len() - 1);
    Ok(())
}

/// A refusal of a report, with advice that names flags of the command line.
#[derive(Debug, thiserror::Error)]
#[error("{refusal} {}", advice(.refusal))]
struct WithAdvice {
    refusal: SalesRefusal,
}

impl jishu_service::Refusal for WithAdvice {}

fn advice(refusal: &SalesRefusal) -> &'static str {
    match refusal {
        SalesRefusal::EmptyInterval => "Give a --to that is later than --from",
        SalesRefusal::TooManyIntervals => "Give a shorter interval, or group by month instead of day",
        SalesRefusal::TooManyRows(_) => "Give a shorter interval, or fewer dimensions",
    }
}

/// Returns the report as a table. The first line has the names of the columns.
fn table(
    by: &BTreeSet<DimensionArg>,
    rows: &[(SalesGroup, SalesSums)],
    catalog: &Catalog,
) -> Vec<Vec<String>> {
    let mut header: Vec<&str> = Vec::new();
    for dimension in by {
        header.extend_from_slice(match dimension {
            DimensionArg::Month => &["month"],
            DimensionArg::Day => &["day"],
            DimensionArg::Course => &["course_id", "course_code", "course"],
            DimensionArg::Subject => &["subject_id", "subject_code", "subject"],
        });
    }
    header.extend(["currency", "purchases", "subjects_sold", "gross", "discount", "charged", "tax"]);
    header.extend(["refunds", "refunded", "refunded_tax", "net"]);
    let header = header.into_iter().map(str::to_owned).collect();
    std::iter::once(header).chain(rows.iter().map(|row| cells(row, catalog))).collect()
}

fn cells((group, sums): &(SalesGroup, SalesSums), catalog: &Catalog) -> Vec<String> {
    let snapshot = catalog.snapshot();
    let mut cells = Vec::new();
    cells.extend(group.month.map(|month| month.format("%Y-%m").to_string()));
    cells.extend(group.day.map(|day| day.to_string()));
    let mut name = |id: String, code: Option<Option<String>>, name: Option<String>| {
        cells.extend([id, code.flatten().unwrap_or_default(), name.unwrap_or_default()]);
    };
    if let Some(id) = group.course {
        let row = snapshot.course(id).map(|course| &course.row);
        name(id.to_string(), row.map(|row| row.code.clone()), row.map(|row| row.name.clone()));
    }
    if let Some(id) = group.subject {
        let row = snapshot.subject(id);
        name(id.to_string(), row.map(|row| row.code.clone()), row.map(|row| row.name.clone()));
    }
    let money = |minor: i64| Money::new(minor, &group.currency).amount().to_string();
    cells.extend([group.currency.clone(), sums.purchases.to_string(), sums.subjects_sold.to_string()]);
    cells.extend([sums.gross, sums.discount, sums.charged, sums.tax].map(money));
    cells.push(sums.refunds.to_string());
    cells.extend([sums.refunded, sums.refunded_tax, sums.net()].map(money));
    cells
}

fn csv_text(table: &[Vec<String>]) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in table {
        writer.write_record(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Returns the table as text. The cells of each column are aligned at the right, names too.
fn aligned(table: &[Vec<String>]) -> String {
    let width = |column: usize| {
        table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for row in table {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}", width = *width)).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
