//! The report of an adoption.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jishu_entity::{SubjectId, question, subject, user};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Value,
};
use serde_json::json;

use super::finish::NEW_TABLES;
use super::old::{ANSWERS, CARRIED_TABLES, OldDatabase, OldTable};
use super::state::{AdoptState, MoneyCounts, ROWS_TABLE, TableCounts};
use crate::database::{Database, sql};
use crate::error::Fault;

/// Maximum number of rows that one statement reads.
const ROWS_PER_PAGE: usize = 1_000;

/// The outcome of an adoption.
#[derive(Clone, Debug, Default)]
pub struct AdoptReport {
    /// The name of each old table, with the outcome for its rows.
    pub tables: Vec<(&'static str, TableCounts)>,
    /// The sums of the costs of the purchases of the old system.
    pub money: MoneyCounts,
    /// The currency of all amounts.
    pub currency: String,
    /// The tables of the old database that are not carried, with their numbers of rows.
    pub tables_left_behind: BTreeMap<String, i64>,
    /// The columns of carried tables that are not carried, such as `users.mobile_no`, with their numbers of values.
    pub values_left_behind: BTreeMap<String, i64>,
    /// The number of accounts that have no usable password, so their owners must set one.
    pub without_password: u64,
    /// The subjects on sale whose banks have too few questions for a new test.
    pub short_banks: Vec<ShortBank>,
    /// The differences between the old database, the counts of the adoption, and the new database, as texts. Empty if
    /// all counts of rows and all sums of amounts agree.
    pub problems: Vec<String>,
}

/// A subject whose bank has too few questions for a new test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortBank {
    /// The id of the subject.
    pub subject_id: SubjectId,
    /// The title of the subject.
    pub name: String,
    /// The number of questions in the bank that are not archived.
    pub questions: u64,
    /// The number of questions that a test of the subject has.
    pub needed: i32,
}

/// Makes the report of a finished adoption.
pub(super) async fn report(
    old: &OldDatabase,
    database: &Database,
    state: &AdoptState,
) -> Result<AdoptReport, Fault> {
    let counts =
        |table: &&'static OldTable| (table.name, state.counts.get(table.name).copied().unwrap_or_default());
    let without_password = user::Entity::find()
        .filter(user::Column::PasswordHash.eq(state.unusable_hash.as_str()))
        .count(database.reader())
        .await?;
    Ok(AdoptReport {
        tables: CARRIED_TABLES.iter().map(counts).collect(),
        money: state.money(),
        currency: state.options.currency.clone(),
        tables_left_behind: old.tables_left_behind().await?,
        values_left_behind: old.values_left_behind().await?,
        without_password,
        short_banks: short_banks(database).await?,
        problems: state.problems.clone(),
    })
}

async fn short_banks(database: &Database) -> Result<Vec<ShortBank>, DbErr> {
    let reader = database.reader();
    let on_sale = subject::Entity::find().filter(subject::Column::ArchivedAt.is_null());
    let counted: Vec<(SubjectId, i64)> = question::Entity::find()
        .select_only()
        .column(question::Column::SubjectId)
        .column_as(question::Column::Id.count(), "questions")
        .filter(question::Column::ArchivedAt.is_null())
        .group_by(question::Column::SubjectId)
        .into_tuple()
        .all(reader)
        .await?;
    let counted: BTreeMap<SubjectId, i64> = counted.into_iter().collect();
    let mut short = Vec::new();
    for subject in on_sale.order_by_asc(subject::Column::Id).all(reader).await? {
        let questions = counted.get(&subject.id).copied().unwrap_or_default();
        if questions < i64::from(subject.questions_per_test) {
            short.push(ShortBank {
                subject_id: subject.id,
                name: subject.name,
                questions: u64::try_from(questions).unwrap_or_default(),
                needed: subject.questions_per_test,
            });
        }
    }
    Ok(short)
}

/// An error while [`write_rows`] or [`write_id_map`] writes its file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database returned an error, or has no readable state of an adoption.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// The file cannot be written.
    #[error("the file cannot be written: {0}")]
    File(#[from] io::Error),
}

/// Writes a line of JSON for each old row that was merged or not carried, and for each remark about a carried row. A
/// line about answers is about all answers of one sitting.
///
/// # Errors
/// Fails if the database or the file fails.
pub async fn write_rows(database: &Database, file: &mut impl Write) -> Result<(), ExportError> {
    for table in CARRIED_TABLES {
        let (mut id, mut number) = (i64::MIN, i64::MIN);
        loop {
            let text = format!(
                "SELECT old_id, number, fate, new_id, reason FROM {ROWS_TABLE} WHERE old_table = ? \
                 AND (old_id > ? OR (old_id = ? AND number > ?)) ORDER BY old_id, number LIMIT {ROWS_PER_PAGE}"
            );
            let values: [Value; 4] = [table.name.into(), id.into(), id.into(), number.into()];
            let rows = database.reader().query_all_raw(sql(database.backend(), &text, values)).await?;
            for row in &rows {
                (id, number) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let (fate, new_id): (String, Option<i64>) =
                    (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
                let reason: String = row.try_get_by_index(4)?;
                // A line about answers has the id of their sitting.
                let key = if table.name == ANSWERS.name { "sessionId" } else { "id" };
                let line =
                    json!({ "table": table.name, key: id, "fate": fate, "newId": new_id, "reason": reason });
                writeln!(file, "{line}")?;
            }
            if rows.len() < ROWS_PER_PAGE {
                break;
            }
        }
    }
    file.flush()?;
    Ok(())
}

/// Writes a CSV table of the old ids of carried and merged rows, with the ids of these rows in jishu. Leaves out
/// answers, which have no id in jishu.
///
/// # Errors
/// Fails if no adoption has begun, or if the database or the file fails.
pub async fn write_id_map(database: &Database, file: &mut impl Write) -> Result<(), ExportError> {
    let state = super::state::read(database.reader()).await;
    let state = state.map_err(|fault| DbErr::Custom(fault.to_string()))?;
    let state = state.ok_or_else(|| DbErr::Custom("no adoption has begun".to_owned()))?;
    writeln!(file, "old_table,old_id,new_table,new_id")?;
    for (table, new_table) in NEW_TABLES.into_iter().filter(|(table, _)| table.name != ANSWERS.name) {
        let (mut after, last) = (0_i64, state.size(table).max_id);
        loop {
            let text = format!(
                "SELECT id FROM {new_table} WHERE id > ? AND id <= ? ORDER BY id LIMIT {ROWS_PER_PAGE}"
            );
            let values: [Value; 2] = [after.into(), last.into()];
            let rows = database.reader().query_all_raw(sql(database.backend(), &text, values)).await?;
            for row in &rows {
                after = row.try_get_by_index(0)?;
                writeln!(file, "{},{after},{new_table},{after}", table.name)?;
            }
            if rows.len() < ROWS_PER_PAGE {
                break;
            }
        }
        write_merged(database, file, (table, new_table)).await?;
    }
    file.flush()?;
    Ok(())
}

async fn write_merged(
    database: &Database,
    file: &mut impl Write,
    (table, new_table): (&OldTable, &str),
) -> Result<(), ExportError> {
    let mut after = i64::MIN;
    loop {
        let text = format!(
            "SELECT old_id, new_id FROM {ROWS_TABLE} WHERE old_table = ? AND fate = 'merged' AND old_id > ? \
             ORDER BY old_id LIMIT {ROWS_PER_PAGE}"
        );
        let values: [Value; 2] = [table.name.into(), after.into()];
        let rows = database.reader().query_all_raw(sql(database.backend(), &text, values)).await?;
        for row in &rows {
            let new_id: i64 = row.try_get_by_index(1)?;
            after = row.try_get_by_index(0)?;
            // A merged subject stood for its whole course, so its new id is that of the course.
            let now = if table.name == super::old::SUBJECTS.name { "courses" } else { new_table };
            writeln!(file, "{},{after},{now},{new_id}", table.name)?;
        }
        if rows.len() < ROWS_PER_PAGE {
            return Ok(());
        }
    }
}
