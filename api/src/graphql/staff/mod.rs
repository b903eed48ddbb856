//! Queries of staff, with one file for each topic.

mod audit;
mod reports;

pub(super) use audit::AuditQuery;
pub(super) use reports::ReportQuery;
