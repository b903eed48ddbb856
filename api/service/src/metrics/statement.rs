//! The name of a statement: its verb and its first table.
//!
//! The verb and the table come from lists in the code. So every statement is counted under one of these names, and the
//! text of a statement can never make a new label.

use super::labels::label;
use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use std::fmt;

label! {
    /// The verb of a statement.
    StatementVerb {
        /// A statement that reads rows.
        Select = "select",
        /// A statement that adds rows.
        Insert = "insert",
        /// A statement that changes rows.
        Update = "update",
        /// A statement that deletes rows.
        Delete = "delete",
        /// Any other statement, such as a change of the schema.
        Other = "other",
    }
}

/// The name of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementName {
    /// The verb of the statement.
    pub verb: StatementVerb,
    /// The first table of jishu that the statement names, or `other` if it names none.
    pub table: &'static str,
}

/// The tables of the schema, in alphabetical order. A test compares them with the database.
const TABLES: &[&str] = &[
    "accepted_texts",
    "account_links",
    "allowances",
    "audit_events",
    "blueprint_parts",
    "cart_items",
    "courses",
    "entitlements",
    "extra_times",
    "guardian_consents",
    "mock_test_attempts",
    "oidc_identities",
    "oidc_logins",
    "order_lines",
    "orders",
    "outbox",
    "paper_questions",
    "paper_revisions",
    "paper_scores",
    "papers",
    "payment_events",
    "payment_refunds",
    "pictures",
    "purchase_grants",
    "purchase_request_owned",
    "purchase_requests",
    "purchases",
    "question_corrections",
    "question_options",
    "question_version_pictures",
    "question_versions",
    "questions",
    "recovery_codes",
    "refresh_tokens",
    "refund_lines",
    "refund_repeats",
    "refunds",
    "seaql_migrations",
    "second_factors",
    "server_secrets",
    "sign_in_challenges",
    "sign_in_networks",
    "subjects",
    "test_answers",
    "test_sessions",
    "topic_totals",
    "topics",
    "users",
];

/// The words of SQL after which the name of a table follows.
const BEFORE_TABLE: [&str; 3] = [" FROM ", " INTO ", "UPDATE "];

/// Returns the verb of a statement, and the first table of jishu that it names.
#[must_use]
pub fn name_of_statement(sql: &str) -> StatementName {
    let text = sql.trim_start();
    // If a statement begins with WITH, its verb is the verb of the first common table expression.
    let common_table = text.strip_prefix("WITH ").and_then(|rest| rest.split_once(" AS ("));
    let first = common_table.map_or(text, |(_, body)| body);
    let verb = match first.get(..6).unwrap_or_default() {
        "SELECT" | "select" => StatementVerb::Select,
        "INSERT" | "insert" => StatementVerb::Insert,
        "UPDATE" | "update" => StatementVerb::Update,
        "DELETE" | "delete" => StatementVerb::Delete,
        _ => StatementVerb::Other,
    };
    StatementName { verb, table: first_table(text).unwrap_or("other") }
}

/// Finds the first table of jishu that a statement names. None if the statement names no table of jishu.
fn first_table(text: &str) -> Option<&'static str> {
    let mut rest = text;
    loop {
        // The earliest word after which a table follows. The repeated searches are cheap, because a statement has few
        // of these words.
        let found = BEFORE_TABLE.iter().filter_map(|word| Some((rest.find(word)?, word.len()))).min()?;
        rest = rest.get(found.0 + found.1..)?;
        let quoted = rest.trim_start_matches(['"', '`']);
        let end = quoted.find(|char: char| !char.is_ascii_alphanumeric() && char != '_');
        let name = quoted.get(..end.unwrap_or(quoted.len()))?;
        if let Ok(index) = TABLES.binary_search(&name) {
            return TABLES.get(index).copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_after_its_verb_and_its_first_table() {
        for (sql, verb, table) in [
            (r#"SELECT "id", "from" FROM "users" WHERE "email" = $1"#, StatementVerb::Select, "users"),
            ("INSERT INTO `test_answers` (`slot`) VALUES (?)", StatementVerb::Insert, "test_answers"),
            (r#"UPDATE "test_sessions" SET "saves" = 1"#, StatementVerb::Update, "test_sessions"),
            ("DELETE FROM outbox WHERE id = ?", StatementVerb::Delete, "outbox"),
            ("SELECT 1 FROM (SELECT id FROM courses) c", StatementVerb::Select, "courses"),
            ("WITH a AS (SELECT 1 FROM papers) SELECT 2 FROM a", StatementVerb::Select, "papers"),
            (
                "WITH a AS (INSERT INTO purchases (cost) VALUES (?) RETURNING id) SELECT id FROM a",
                StatementVerb::Insert,
                "purchases",
            ),
            ("SELECT 'FROM a stranger'", StatementVerb::Select, "other"),
            ("PRAGMA optimize", StatementVerb::Other, "other"),
            ("", StatementVerb::Other, "other"),
            ("SELECT x FROM \"users; drop\"", StatementVerb::Select, "users"),
        ] {
            assert_eq!(name_of_statement(sql), StatementName { verb, table }, "{sql}");
        }
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(TABLES.is_sorted());
    }
}
