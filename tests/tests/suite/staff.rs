//! The permissions of staff depend on the current row of the user, not on the role in the token.

use std::collections::BTreeSet;
use std::sync::Arc;

use graphql_parser::schema::{Definition, ObjectType, TypeDefinition, parse_schema};
use jishu_entity::user::Role;
use jishu_tests::{Client, TestApp, on_each_database};
use serde_json::Value;

on_each_database!(
    a_demotion_or_deactivation_takes_effect_at_the_next_request,
    a_promotion_takes_effect_at_the_next_request
);

/// Each field for staff, with a document that selects it, and the role that may use it besides admins.
const FIELDS: &[(&str, &str, Role)] = &[
    ("learner", r#"{ learner(email: "nobody@example.com") { name } }"#, Role::Support),
    (
        "grantExtraTime",
        r#"mutation { grantExtraTime(input: { mockTestAttemptId: "x", extraSeconds: 1 }) { userErrors { code } } }"#,
        Role::Support,
    ),
    ("users", "{ users { totalCount } }", Role::Support),
    ("purchases", "{ purchases { totalCount } }", Role::Support),
    ("allowances", "{ allowances { totalCount } }", Role::Support),
    (
        "grantAllowance",
        r#"mutation { grantAllowance(input: { userId: "x", extraSeconds: 1 }) { userErrors { code } } }"#,
        Role::Support,
    ),
    (
        "grantPurchase",
        r#"mutation { grantPurchase(input: { userId: "x", reason: "a slip",
            selection: { courseId: "x", purchaseType: FULL_BUNDLE } }) { userErrors { code } } }"#,
        Role::Support,
    ),
    (
        "setUserStatus",
        r#"mutation { setUserStatus(userId: "x", status: ACTIVE) { userErrors { code } } }"#,
        Role::Support,
    ),
    (
        "setUserRole",
        r#"mutation { setUserRole(userId: "x", role: LEARNER) { userErrors { code } } }"#,
        Role::Admin,
    ),
    (
        "exportQuestions",
        r#"{ exportQuestions(subjectId: "U3ViamVjdDox", format: GIFT) { text } }"#,
        Role::Author,
    ),
    (
        "importQuestions",
        r#"mutation { importQuestions(input: { subjectId: "x", text: "Q {=a ~b}" }) { userErrors { code } } }"#,
        Role::Author,
    ),
    ("questions", r#"{ questions(subjectId: "U3ViamVjdDox") { totalCount } }"#, Role::Author),
    (
        "correctQuestionKey",
        r#"mutation { correctQuestionKey(input: { questionId: "x", correctValue: "1", reason: "a slip" }) { userErrors { code } } }"#,
        Role::Author,
    ),
    (
        "setQuestionArchived",
        r#"mutation { setQuestionArchived(input: { questionId: "x", archived: true }) { userErrors { code } } }"#,
        Role::Author,
    ),
    (
        "updateTestSettings",
        r#"mutation { updateTestSettings(input: { subjectId: "x", maxAttempts: 1 }) { userErrors { code } } }"#,
        Role::Author,
    ),
];

/// Sends a document, and returns whether the server answers `FORBIDDEN`.
async fn is_forbidden(client: &Client, document: &str) -> bool {
    let answer = client.send(document, Value::Null).await;
    answer.body["errors"][0]["extensions"]["code"] == "FORBIDDEN"
}

async fn a_demotion_or_deactivation_takes_effect_at_the_next_request(app: Arc<TestApp>) {
    app.course(&["Physics"]).create(&app).await;
    for (role, name) in [(Role::Author, "author"), (Role::Support, "support"), (Role::Admin, "admin")] {
        let staff = app.staff(name, role).await;
        let may = async |document: &str| !is_forbidden(&staff, document).await;
        for (field, document, for_role) in FIELDS {
            let has_it = role == Role::Admin || role == *for_role;
            assert_eq!(may(document).await, has_it, "{name}: {field}");
            app.execute(&format!("UPDATE users SET status = 'deactivated' WHERE name = '{name}'")).await;
            assert!(!may(document).await, "deactivated {name}: {field}");
            app.execute(&format!(
                "UPDATE users SET status = 'active', role = 'learner' WHERE name = '{name}'"
            ))
            .await;
            let before = app.rows().await;
            assert!(!may(document).await, "demoted {name}: {field}");
            assert_eq!(app.rows().await, before);
            app.execute(&format!("UPDATE users SET role = '{name}' WHERE name = '{name}'")).await;
        }
    }
}

async fn a_promotion_takes_effect_at_the_next_request(app: Arc<TestApp>) {
    app.course(&["Physics"]).create(&app).await;
    let asha = app.learner("Asha").await;
    for (field, document, _) in FIELDS {
        assert!(is_forbidden(&asha, document).await, "{field}");
    }
    app.execute("UPDATE users SET role = 'admin'").await;
    for (field, document, _) in FIELDS {
        assert!(!is_forbidden(&asha, document).await, "{field}");
    }
    // For a learner's request the server does not read the role.
    let _ = app.take_statements();
    asha.run("{ __typename courses(first: 1) { totalCount } }").await;
    assert_eq!(app.take_statements(), [""; 0]);
}

/// Fails if a field for staff is missing from the list above.
#[test]
fn every_field_for_staff_is_tested() {
    let sdl = jishu_api::graphql::sdl();
    let schema = parse_schema::<String>(&sdl).unwrap();
    let types: Vec<&ObjectType<'_, String>> = schema
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::TypeDefinition(TypeDefinition::Object(object)) => Some(object),
            _ => None,
        })
        .collect();
    let for_staff = |root: &str| -> BTreeSet<&str> {
        let root = types.iter().find(|object| object.name == root).unwrap();
        let names_staff = |text: &str| {
            let text = text.to_lowercase();
            let mut words = text.split(|char: char| !char.is_alphabetic());
            words.any(|word| ["author", "authors", "support", "admin", "admins", "staff"].contains(&word))
        };
        let fields = root.fields.iter();
        fields
            .filter(|field| field.description.as_deref().is_some_and(names_staff))
            .map(|field| field.name.as_str())
            .collect()
    };
    let tested: BTreeSet<&str> = FIELDS.iter().map(|(field, ..)| *field).collect();
    let all: BTreeSet<&str> = for_staff("Query").union(&for_staff("Mutation")).copied().collect();
    assert_eq!(all, tested);
}
