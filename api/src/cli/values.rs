//! The part of `jishu check` that examines the values in the tables of jishu.

use serde_json::{Value, json};

use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use jishu_service::integrity::{self, BadValue};

/// Finds the values that cannot be read or are not allowed. Returns no values for a database without migrations of
/// jishu, such as a database of the old system.
pub(super) async fn bad_values(
    database: &DatabaseConfig,
) -> Result<Vec<BadValue>, Box<dyn std::error::Error + Send + Sync>> {
    with_database(&database.options_to_read(), async |database| {
        database.refuse_newer().await?;
        Ok(integrity::examine_ours(database).await?)
    })
    .await
}

/// Adds the bad values to a report in JSON. If there are any, sets `ok` in the report to false.
pub(super) fn add_to(report: &mut Value, bad: &[BadValue]) {
    report["badValues"] = json!(bad);
    if !bad.is_empty() {
        report["ok"] = false.into();
    }
}

/// Prints each bad value as a line of text.
pub(super) fn print(bad: &[BadValue]) {
    for bad in bad {
        println!("bad value: {bad}");
    }
}

/// Returns an error with the number of bad values, if there are any.
pub(super) fn outcome(bad: &[BadValue]) -> CommandResult {
    match bad.len() {
        0 => Ok(()),
        1 => Err("1 value cannot be read or is not allowed. Correct it with SQL".into()),
        many => Err(format!("{many} values cannot be read or are not allowed. Correct them with SQL").into()),
    }
}
