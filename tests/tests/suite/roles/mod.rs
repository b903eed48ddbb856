//! The roles that may use each root field: the directives of the schema, its descriptions, the committed table, and the
//! server over HTTP agree.

mod fields;
mod table;

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{Backend, Client, EventStream, TestApp, on_each_database};
use serde_json::Value;

pub(crate) use fields::{RootField, guarded_fields, root_fields};
use table::{ANONYMOUS, COLUMNS, committed, print};

on_each_database!(every_field_treats_each_role_as_the_table_says);

/// Sends the document of a field. Returns the code of the first error in the response, or an empty text.
async fn code(app: &TestApp, client: &Client, field: &RootField, is_signed_in: bool) -> String {
    let code = if field.operation == "subscription" {
        let mut request = app.http().post(app.url("/graphql")).header("accept", "text/event-stream");
        if is_signed_in {
            request = request.bearer_auth(client.token());
        }
        let request = request.json(&serde_json::json!({ "query": field.document }));
        let mut events = EventStream::of(request.send().await.unwrap());
        let (_, event) = events.next().await.unwrap();
        event["errors"][0]["extensions"]["code"].clone()
    } else {
        client.send(&field.document, Value::Null).await.body["errors"][0]["extensions"]["code"].clone()
    };
    let code = code.as_str().unwrap_or_default();
    // A document that is refused before it runs would not show who may use the field.
    assert!(!["GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"].contains(&code), "{code}: {}", field.document);
    code.to_owned()
}

/// Returns whether the test can wait for the response. A subscription that is not refused may send its first event much
/// later.
fn ends(field: &RootField, is_signed_in: bool) -> bool {
    field.operation != "subscription" || field.is_guarded() || !is_signed_in
}

async fn every_field_treats_each_role_as_the_table_says(app: Arc<TestApp>) {
    let table = committed();
    let mut clients = vec![app.anonymous()];
    for (name, role) in
        [("Lea", Role::Learner), ("Ann", Role::Author), ("Sam", Role::Support), ("Ada", Role::Admin)]
    {
        clients.push(app.staff(name, role).await);
    }
    for field in root_fields() {
        let row = table.iter().find(|row| row.field == field.name);
        let row = row.unwrap_or_else(|| panic!("{} is not in the table. {}", field.name, table::ADVICE));
        for (column, client) in COLUMNS.iter().zip(&clients) {
            let is_signed_in = *column != ANONYMOUS;
            if !ends(&field, is_signed_in) {
                continue;
            }
            let may = row.allowed.iter().any(|allowed| allowed == column);
            let code = code(&app, client, &field, is_signed_in).await;
            let refusal = if is_signed_in { "FORBIDDEN" } else { "UNAUTHENTICATED" };
            if may {
                let refused = ["FORBIDDEN", "UNAUTHENTICATED"].contains(&code.as_str());
                assert!(!refused, "{} refuses {column} with {code}", field.name);
            } else {
                assert_eq!(code, refusal, "{} for {column}", field.name);
            }
        }
    }
}

/// Compares the table in `roles.md` with the schema, and with the server's responses to a client that is not signed in.
/// With `UPDATE_DOCS=1`, writes the table again instead.
#[tokio::test]
async fn roles_md_is_the_table_of_all_fields() {
    TestApp::run(Backend::Sqlite, async |app| {
        let mut rows = Vec::new();
        for field in root_fields() {
            let needs_sign_in =
                ends(&field, false) && code(&app, &app.anonymous(), &field, false).await == "UNAUTHENTICATED";
            rows.push(table::Row::of(&field, needs_sign_in));
        }
        print(&rows);
    })
    .await;
}

/// Checks that the description of each guarded field names its roles, always in the same words, so that readers need
/// not know the directive. Other descriptions must not use these words.
#[test]
fn descriptions_name_the_roles_of_the_directive() {
    let words = ["Only for AUTHOR", "Only for SUPPORT", "Only for ADMIN", "Only for LEARNER"];
    for field in root_fields() {
        let description = field.description.split_whitespace().collect::<Vec<_>>().join(" ");
        if field.is_guarded() {
            let sentence = format!("Only for {}.", field.roles.join(" and "));
            assert!(description.contains(&sentence), "{} does not say {sentence:?}", field.name);
        } else {
            let named = words.iter().find(|words| description.contains(**words));
            assert_eq!(named, None, "{} has no `#[guard]`", field.name);
        }
    }
}

/// Checks which fields have a guard in types other than the root types. The comparison with the table covers only root
/// fields.
#[test]
fn only_root_fields_have_a_guard() {
    // The tests of orders and of complimentary purchases read these two fields as support and as a learner.
    let nested = ["Order.paymentEvents", "Purchase.grant"];
    assert_eq!(
        fields::nested_guarded_fields(),
        nested,
        "a guard inside another type is not tested. Guard the root field that leads to it, or add a test with a \
         document for each role, and name the field here"
    );
}
