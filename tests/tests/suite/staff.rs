//! The permissions of staff depend on the current row of the user, not on the role in the token.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, on_each_database};
use serde_json::Value;

use crate::roles::guarded_fields;

on_each_database!(
    a_demotion_or_deactivation_takes_effect_at_the_next_request,
    a_promotion_takes_effect_at_the_next_request
);

/// Sends a document, and returns whether the first error of the response has the code `FORBIDDEN`.
async fn is_forbidden(client: &Client, document: &str) -> bool {
    let answer = client.send(document, Value::Null).await;
    answer.body["errors"][0]["extensions"]["code"] == "FORBIDDEN"
}

async fn a_demotion_or_deactivation_takes_effect_at_the_next_request(app: Arc<TestApp>) {
    app.course(&["Physics"]).create(&app).await;
    let fields = guarded_fields();
    assert!(fields.len() >= 10, "{} fields", fields.len());
    for (role, name) in [(Role::Author, "author"), (Role::Support, "support"), (Role::Admin, "admin")] {
        let staff = app.staff(name, role).await;
        let may = async |document: &str| !is_forbidden(&staff, document).await;
        for field in &fields {
            let (field, document, roles) = (&field.name, field.document.as_str(), &field.roles);
            let has_it = roles.contains(&name.to_uppercase());
            assert_eq!(may(document).await, has_it, "{name}: {field}");
            app.execute(&format!("UPDATE users SET status = 'deactivated' WHERE name = '{name}'")).await;
            assert!(!may(document).await, "deactivated {name}: {field}");
            app.execute(&format!(
                "UPDATE users SET status = 'active', role = 'learner' WHERE name = '{name}'"
            ))
            .await;
            let before = app.row_counts().await;
            assert!(!may(document).await, "demoted {name}: {field}");
            assert_eq!(app.row_counts().await, before);
            app.execute(&format!("UPDATE users SET role = '{name}' WHERE name = '{name}'")).await;
        }
    }
}

async fn a_promotion_takes_effect_at_the_next_request(app: Arc<TestApp>) {
    app.course(&["Physics"]).create(&app).await;
    let asha = app.learner("Asha").await;
    let fields = guarded_fields();
    for field in &fields {
        assert!(is_forbidden(&asha, &field.document).await, "{}", field.name);
    }
    app.execute("UPDATE users SET role = 'admin'").await;
    for field in &fields {
        assert!(!is_forbidden(&asha, &field.document).await, "{}", field.name);
    }
    // For a request without fields for staff, the server does not read the role of the user.
    let _ = app.take_statements();
    asha.run("{ __typename courses(first: 1) { totalCount } }").await;
    let statements = app.take_statements();
    // Checks only for statements on `users`, because the server also reads the catalogue from time to time.
    assert!(!statements.iter().any(|sql| sql.contains("users")), "{statements:#?}");
}
