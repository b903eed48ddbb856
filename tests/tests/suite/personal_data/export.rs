//! The export of all data that the tables contain about a person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jishu_tests::{EXPLANATION, MailServer, TestApp, wait_until};
use serde_json::{Value, json};

use super::columns::{At, Exported, IMPERSONAL, Not, PERSONAL, PersonalTable};
use super::newer_columns::{ORDERS, SIGN_IN_WAYS};
use super::{MARK, World, add_sign_in_ways, consent_of, export_of, register, tables};
use crate::command_line::{fail, jishu, succeed};
use crate::mail::{count, with_mail_server};

with_mail_server!(&["--minimum-age-without-consent=18"]; every_column_is_exported_or_excepted);

/// Returns whether a JSON value has a path of names that dots separate. In a list, one item with the path is enough.
fn has(value: &Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match value {
        Value::Array(items) => items.iter().any(|item| has(item, path)),
        Value::Object(fields) => {
            fields.get(name).is_some_and(|value| rest.is_none_or(|rest| has(value, rest)))
        }
        _ => false,
    }
}

/// Returns the paths at which an export should have a column of these tables, but does not have it.
pub(super) fn missing(export: &Value, tables: &[PersonalTable]) -> Vec<&'static str> {
    let of_column = |exported: &Exported| match *exported {
        At(path) => (!has(export, path)).then_some(path),
        Not(reason) => {
            assert!(!reason.is_empty());
            None
        }
    };
    let columns = tables.iter().flat_map(|(_, columns)| columns.iter());
    columns.filter_map(|(_, exported, _)| of_column(exported)).collect()
}

async fn every_column_is_exported_or_excepted(app: Arc<TestApp>, mail: Arc<MailServer>) {
    // The lists name every column of every table with rows of a person, and no other column.
    let listed: BTreeMap<&str, BTreeSet<&str>> = PERSONAL
        .iter()
        .chain(SIGN_IN_WAYS)
        .chain(ORDERS)
        .map(|(table, columns)| (*table, columns.iter().map(|(name, ..)| *name).collect()))
        .collect();
    let impersonal: BTreeMap<&str, &str> = IMPERSONAL.into_iter().collect();
    for (table, columns) in tables(&app).await {
        if impersonal.contains_key(table.as_str()) {
            continue;
        }
        let listed = listed.get(table.as_str());
        let listed = listed.unwrap_or_else(|| panic!("{table} is not listed in personal_data/columns.rs"));
        let columns: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
        assert_eq!(columns, *listed, "the listed columns are not the columns of {table}");
    }

    let world = World::new(&app).await;
    let email = format!("{MARK}@example.com");
    let learner = register(&app, &email, 2015).await;
    consent_of(&learner, &app.anonymous(), &mail, "guardian@example.com").await;
    world.fill(&learner).await;
    add_sign_in_ways(&app, super::row_of(&app, &email).await).await;
    app.execute("UPDATE users SET email_verified_at = created_at WHERE email LIKE 'qx.zv%'").await;
    wait_until("all mails are sent", async || count(&app, "sent").await == 3).await;
    let (status, text) = export_of(&app, learner.token()).await;
    assert_eq!(status, 200, "{text}");
    let export: Value = serde_json::from_str(&text).expect("JSON");
    let missing = [missing(&export, PERSONAL), missing(&export, SIGN_IN_WAYS)].concat();
    assert_eq!(missing, Vec::<&str>::new(), "{export:#}");
    assert_eq!(export["profile"]["email"], json!(email));
    assert_eq!(export["sittings"].as_array().map(Vec::len), Some(2));
    assert!(export["sittings"][0]["answers"].as_array().is_some_and(|answers| answers.len() > 4));
    // The export has no explanations of questions, no secrets, and no addresses of staff.
    for secret in [EXPLANATION, "argon2", "jlt_", "jrt_", "sam@example.com", "ada@example.com"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }

    // `jishu user export` prints the same export. Only `exportedAt` differs.
    let folder = tempfile::tempdir().expect("a folder");
    let command = |arguments: &[&str]| {
        let all = [&["user", "export"], arguments, &["--database-url", &app.database_url]].concat();
        jishu(folder.path(), &all)
    };
    let mut printed: Value = serde_json::from_str(&succeed(command(&[&email]))).expect("JSON");
    let mut export = export;
    printed["exportedAt"] = Value::Null;
    export["exportedAt"] = Value::Null;
    assert_eq!(printed, export);
    let unknown = fail(command(&["nobody@example.com"]));
    assert!(unknown.contains("jishu user list"), "{unknown}");

    // A request without a token gets no export.
    let stranger = app.http().get(app.url("/me/export")).send().await.expect("a response");
    assert_eq!(stranger.status(), 401);
}
