//! The query `salesReport`.

use async_graphql::{Context, Object};
use graphql_engine::guarded_fields;

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiError, ApiResult, refused_or};
use crate::graphql::permission::{Permission, requires_role};
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{MAX_SALES_ROWS, SalesDimension, SalesReport, sales_grouping};
use jishu_service::account::Admin;
use jishu_service::sales_report::{self, SalesRefusal, SalesRequest};

#[derive(Default)]
pub(in crate::graphql) struct ReportQuery;

#[guarded_fields(requires_role)]
#[Object]
impl ReportQuery {
    /// A report of the sales and refunds in an interval of time. Only for ADMIN. Days and months are those of the
    /// platform's time zone. A report with more than 1000 rows is refused. `jishu report sales` on the command line has
    /// no limit of rows.
    async fn sales_report(
        &self,
        ctx: &Context<'_>,
        #[guard] admin: Admin,
        #[graphql(desc = "The start of the interval. Sales and refunds at this time count.")] from: DateTime,
        #[graphql(desc = "The end of the interval. Sales and refunds at this time do not count.")]
        to: DateTime,
        #[graphql(
            desc = "The dimensions by which the report is grouped. Without a dimension, the report has one row for each currency.",
            default
        )]
        by: Vec<SalesDimension>,
    ) -> ApiResult<SalesReport> {
        let services = ctx.services()?;
        let request = SalesRequest {
            from: from.0,
            to: to.0,
            by: sales_grouping(&by),
            time_zone: services.time_zone,
            max_rows: MAX_SALES_ROWS as usize,
        };
        let rows = refused_or(sales_report::report(services, admin, request).await)?;
        Ok(SalesReport::new(request, rows.map_err(|refusal| bad_input(&refusal))?))
    }
}

fn bad_input(refusal: &SalesRefusal) -> ApiError {
    let advice = match refusal {
        SalesRefusal::EmptyInterval => "Give a `to` that is later than `from`.",
        SalesRefusal::TooManyIntervals => "Give a shorter interval, or group by MONTH instead of DAY.",
        SalesRefusal::TooManyRows(_) => {
            "Give a shorter interval or fewer dimensions, or use `jishu report sales` on the command line."
        }
    };
    ApiError::bad_input(format!("{refusal} {advice}"))
}
