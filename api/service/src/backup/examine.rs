//! Examines an open database: the pages of an SQLite file, the values in its rows, and the rules between rows.

use jishu_migration::{Migrator, MigratorTrait};
use jishu_service_macros::service_call;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel,
    Statement, TransactionOptions, TransactionTrait,
};

use super::orphans;
use super::texts::texts;
use crate::database::{applied_migrations, columns_of, unknown_among};
use crate::integrity;

/// Maximum number of cases that are reported for each kind of fault.
const MAX_CASES_PER_FAULT: usize = 20;

/// Tables whose rows are never deleted.
const TABLES_WITHOUT_DELETIONS: [&str; 20] = [
    "users",
    "courses",
    "subjects",
    "purchases",
    "entitlements",
    "mock_test_attempts",
    "questions",
    "question_versions",
    "accepted_texts",
    "pictures",
    "question_version_pictures",
    "papers",
    "test_sessions",
    "refunds",
    "refund_lines",
    "refund_repeats",
    "orders",
    "order_lines",
    "payment_events",
    "payment_refunds",
];

/// Rules between rows. Each rule has a description of the rows that break it, and a query that finds such rows.
const ROW_RULES: [(&str, &str); 7] = [
    (
        "entitlements whose number of cards differs from what was bought",
        "SELECT 'purchase ' || purchase_id || ', subject ' || subject_id FROM entitlements e WHERE test_cards <> \
         (SELECT COUNT(*) FROM mock_test_attempts c WHERE c.purchase_id = e.purchase_id AND c.subject_id = e.subject_id)",
    ),
    (
        "cards that belong to another user than their entitlements",
        "SELECT 'card ' || c.id FROM mock_test_attempts c JOIN entitlements e ON e.purchase_id = c.purchase_id AND \
         e.subject_id = c.subject_id WHERE e.user_id <> c.user_id",
    ),
    (
        "purchases that grant nothing",
        "SELECT 'purchase ' || id FROM purchases p WHERE NOT EXISTS (SELECT 1 FROM entitlements e WHERE \
         e.purchase_id = p.id)",
    ),
    (
        "purchases whose cost differs from the sum of the prices that were paid for their subjects",
        "SELECT 'purchase ' || p.id FROM purchases p JOIN entitlements e ON e.purchase_id = p.id GROUP BY p.id, p.cost \
         HAVING SUM(e.price_paid) <> p.cost",
    ),
    (
        "users who have two live entitlements to one subject",
        "SELECT 'user ' || user_id || ', subject ' || subject_id FROM entitlements WHERE ended_at IS NULL GROUP BY \
         user_id, subject_id HAVING COUNT(*) > 1",
    ),
    (
        // An adopted card counts sittings that were deleted in the old database, so it may have more attempts than
        // sittings. The query takes a purchase for adopted if it is not later than the paper with the number
        // `FIRST_OLD_TEST_NUMBER`. `adopt` makes that paper for each subject, with the time of the adoption.
        "cards whose number of attempts differs from their number of sittings",
        "SELECT 'card ' || id FROM mock_test_attempts c WHERE attempts_used <> (SELECT COUNT(*) FROM test_sessions s \
         WHERE s.mock_test_attempt_id = c.id) AND (attempts_used < (SELECT COUNT(*) FROM test_sessions s WHERE \
         s.mock_test_attempt_id = c.id) OR NOT EXISTS (SELECT 1 FROM papers p JOIN purchases b ON b.id = \
         c.purchase_id WHERE p.subject_id = c.subject_id AND p.test_number = 1000000 AND b.created_at <= \
         p.created_at))",
    ),
    (
        "cards whose status `in_progress` does not agree with their open sittings",
        "SELECT 'card ' || id FROM mock_test_attempts c WHERE (status = 'in_progress') <> EXISTS (SELECT 1 FROM \
         test_sessions s WHERE s.mock_test_attempt_id = c.id AND s.open_marker = 1)",
    ),
];

/// The findings about a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// Damage to the file of an SQLite database, as texts. A damaged file cannot be restored. Empty if there is no
    /// damage.
    pub damage: Vec<String>,
    /// Faults of rows or of the signing keys, as texts. The database that was copied has the same faults.
    pub problems: Vec<String>,
    /// Facts that the operator should know and that are no faults, as texts.
    pub notes: Vec<String>,
    /// Each table whose rows are never deleted, with its number of rows. Empty if the file is damaged.
    pub rows: Vec<(&'static str, i64)>,
}

impl BackupReport {
    /// Returns the damage and the problems together. Empty for a good copy.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.damage.iter().chain(&self.problems).cloned().collect()
    }
}

/// Examines the pages and the rows of an open database. A damaged SQLite file is examined no further. All rows are read
/// in one transaction, which sees one state of the database. On a server the transaction is read-only. No setting stays
/// in the session, because a pooler may give the session to another program next.
#[service_call]
pub(super) async fn examine(connection: &DatabaseConnection) -> Result<BackupReport, DbErr> {
    let options = match connection.get_database_backend() {
        DbBackend::Sqlite => {
            let damage = find_damage(connection).await;
            if !damage.is_empty() {
                return Ok(BackupReport { damage, ..BackupReport::default() });
            }
            // A transaction of SQLite keeps the state of its first read.
            TransactionOptions::default()
        }
        _ => TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            access_mode: Some(AccessMode::ReadOnly),
            ..TransactionOptions::default()
        },
    };
    let transaction = connection.begin_with_options(options).await?;
    let report = examine_rows(&transaction).await;
    let ended = transaction.rollback().await;
    let report = report?;
    ended?;
    Ok(report)
}

/// Examines the rows in a transaction. Stops early if jishu has not migrated the database, if a newer version has
/// migrated it, or if migrations are pending.
async fn examine_rows(connection: &DatabaseTransaction) -> Result<BackupReport, DbErr> {
    let mut report = BackupReport { rows: count_rows(connection).await?, ..BackupReport::default() };
    let orphans = orphans::find(connection).await?;
    add_fault(&mut report.problems, "rows that refer to rows that do not exist", &orphans);

    let applied = applied_migrations(connection).await?;
    if applied.is_empty() {
        report.problems.push(
            "no migration of jishu was applied to this database: it is no database of jishu".to_owned(),
        );
        return Ok(report);
    }
    let pending = Migrator::migrations()
        .iter()
        .filter(|known| !applied.iter().any(|name| name == known.name()))
        .count();
    let unknown = unknown_among(applied);
    if !unknown.is_empty() {
        report.problems.push(format!(
            "a newer jishu has migrated this database: the migrations {} are unknown. Verify it with that version",
            unknown.join(", ")
        ));
        return Ok(report);
    }
    let bad: Vec<_> = integrity::examine(connection).await?.iter().map(ToString::to_string).collect();
    add_fault(&mut report.problems, "values that cannot be read or are not allowed", &bad);
    if pending > 0 {
        report.notes.push(format!(
            "{pending} migrations are pending: an older version made this backup. The rules between rows were not \
             checked"
        ));
        return Ok(report);
    }
    for (fault, query) in ROW_RULES {
        let query = spelled_for(connection.get_database_backend(), query);
        add_fault(&mut report.problems, fault, &texts(connection, &query).await?);
    }
    Ok(report)
}

/// Spells the query of a rule for a kind of database. The rules concatenate texts with `||`, as the standard says.
/// MariaDB by default reads `||` as OR, so it gets `CONCAT`.
fn spelled_for(backend: DbBackend, query: &str) -> String {
    let parts = query.strip_prefix("SELECT ").and_then(|rest| rest.split_once(" FROM "));
    match parts {
        Some((described, rest)) if backend == DbBackend::MySql => {
            format!("SELECT CONCAT({}) FROM {rest}", described.replace(" || ", ", "))
        }
        _ => query.to_owned(),
    }
}

/// Finds damage to the pages of an SQLite file. Returns a text for each of the first few damages.
pub(super) async fn find_damage(connection: &DatabaseConnection) -> Vec<String> {
    match texts(connection, "SELECT integrity_check FROM pragma_integrity_check").await {
        Ok(found) => {
            let found = found.into_iter().filter(|found| found != "ok").take(MAX_CASES_PER_FAULT);
            found.map(|found| format!("the file is damaged: {found}")).collect()
        }
        Err(error) => vec![format!("the file is damaged or is not a database: {error}")],
    }
}

/// Adds a text about a fault, with its number of cases and the first few cases. Does nothing if there are no cases.
fn add_fault(problems: &mut Vec<String>, fault: &str, found: &[String]) {
    if found.is_empty() {
        return;
    }
    let more = if found.len() > MAX_CASES_PER_FAULT { "; and more cases" } else { "" };
    let cases = found.iter().take(MAX_CASES_PER_FAULT).map(String::as_str).collect::<Vec<_>>().join("; ");
    problems.push(format!("{fault} ({}): {cases}{more}", found.len()));
}

/// Counts the rows of each table whose rows are never deleted. One statement counts them all, so the numbers are of one
/// moment. Leaves out tables that do not exist.
pub(super) async fn count_rows(connection: &impl ConnectionTrait) -> Result<Vec<(&'static str, i64)>, DbErr> {
    let mut tables = Vec::new();
    for table in TABLES_WITHOUT_DELETIONS {
        if !columns_of(connection, table).await?.is_empty() {
            tables.push(table);
        }
    }
    let each: Vec<_> =
        tables.iter().map(|table| format!("SELECT '{table}', COUNT(*) FROM {table}")).collect();
    if each.is_empty() {
        return Ok(Vec::new());
    }
    let text = each.join(" UNION ALL ");
    let rows =
        connection.query_all_raw(Statement::from_string(connection.get_database_backend(), text)).await?;
    tables.into_iter().zip(rows).map(|(table, row)| Ok((table, row.try_get_by_index(1)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_concatenate_texts_on_every_database() {
        for (fault, query) in ROW_RULES {
            assert_eq!(spelled_for(DbBackend::Postgres, query), query);
            let spelled = spelled_for(DbBackend::MySql, query);
            assert!(spelled.starts_with("SELECT CONCAT('") && !spelled.contains("||"), "{fault}: {spelled}");
        }
        let query = "SELECT 'card ' || id FROM cards WHERE a IN (SELECT b FROM c)";
        assert_eq!(
            spelled_for(DbBackend::MySql, query),
            "SELECT CONCAT('card ', id) FROM cards WHERE a IN (SELECT b FROM c)"
        );
    }
}
