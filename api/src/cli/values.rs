//! The part of `jishu check` that looks at the values in the tables of jishu.

use serde_json::{Value, json};

use super::{CommandResult, with_database};
use crate::config::DatabaseConfig;
use crate::service::integrity::{self, BadValue};

/// The values of a database that cannot be read or are not allowed. None in a database of the old system.
pub(super) async fn bad_values(
    database: &DatabaseConfig,
) -> Result<Vec<BadValue>, Box<dyn std::error::Error + Send + Sync>> {
    with_database(&database.options_to_look(), async |database| {
        database.refuse_newer().await?;
        Ok(integrity::examine_ours(database).await?)
    })
    .await
}

/// Adds them to a report in JSON, which is right no more where there are any.
pub(super) fn add_to(report: &mut Value, bad: &[BadValue]) {
    report["badValues"] = json!(bad);
    if !bad.is_empty() {
        report["ok"] = false.into();
    }
}

/// Prints them for people.
pub(super) fn print(bad: &[BadValue]) {
    for bad in bad {
        println!("bad value: {bad}");
    }
}

/// How many there are, where there are any.
pub(super) fn outcome(bad: &[BadValue]) -> CommandResult {
    match bad.len() {
        0 => Ok(()),
        1 => Err("1 value cannot be read or is not allowed. Put it right with SQL".into()),
        many => {
            Err(format!("{many} values cannot be read or are not allowed. Put them right with SQL").into())
        }
    }
}
