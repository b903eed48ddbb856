//! The queries with which staff read data of all users, with one file for each topic.

mod audit;
mod orders;
mod people;
mod reports;

pub(super) use audit::AuditQuery;
pub(super) use orders::OrderQuery;
pub(super) use people::PeopleQuery;
pub(super) use reports::ReportQuery;
