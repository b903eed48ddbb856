//! The GraphQL schema, its descriptions, and the example queries of GraphiQL.

use jishu_entity::user::Role;
use jishu_tests::{Backend, TestApp};

use graphql_parser::schema::{Definition, TypeDefinition, parse_schema};

/// Compares `schema.graphql` with the schema of the code. With `UPDATE_SCHEMA=1`, writes the file first.
#[test]
fn schema_graphql_is_the_schema() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema.graphql");
    let sdl = jishu_api::graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(file, &sdl).expect("schema.graphql can be written");
    }
    let kept = std::fs::read_to_string(file).expect("schema.graphql is in the repository");
    assert!(
        kept == sdl,
        "schema.graphql differs from the code: see what changed for clients, then run with UPDATE_SCHEMA=1"
    );
}

#[test]
fn every_type_field_and_argument_is_described() {
    let sdl = jishu_api::graphql::sdl();
    let document = parse_schema::<&str>(&sdl).expect("the schema parses");
    let mut bare = Vec::new();
    let mut check = |path: String, description: &Option<String>| {
        if description.as_ref().is_none_or(|text| text.trim().is_empty()) {
            bare.push(path);
        }
    };
    let mut fields = 0;
    for definition in &document.definitions {
        let Definition::TypeDefinition(definition) = definition else { continue };
        match definition {
            TypeDefinition::Scalar(scalar) => check(scalar.name.to_owned(), &scalar.description),
            TypeDefinition::Object(object) => {
                check(object.name.to_owned(), &object.description);
                for field in &object.fields {
                    fields += 1;
                    check(format!("{}.{}", object.name, field.name), &field.description);
                    for argument in &field.arguments {
                        check(
                            format!("{}.{}({})", object.name, field.name, argument.name),
                            &argument.description,
                        );
                    }
                }
            }
            TypeDefinition::Interface(interface) => {
                check(interface.name.to_owned(), &interface.description);
                for field in &interface.fields {
                    check(format!("{}.{}", interface.name, field.name), &field.description);
                }
            }
            TypeDefinition::Union(union) => check(union.name.to_owned(), &union.description),
            TypeDefinition::Enum(enumeration) => {
                check(enumeration.name.to_owned(), &enumeration.description);
                for value in &enumeration.values {
                    check(format!("{}.{}", enumeration.name, value.name), &value.description);
                }
            }
            TypeDefinition::InputObject(input) => {
                check(input.name.to_owned(), &input.description);
                for field in &input.fields {
                    check(format!("{}.{}", input.name, field.name), &field.description);
                }
            }
        }
    }
    assert!(fields > 80, "the schema was not read: it has {fields} fields");
    assert!(bare.is_empty(), "describe these parts of the schema, which have no description: {bare:#?}");
}

/// Reads the example queries in a file of GraphiQL.
fn queries(file: &str) -> Vec<String> {
    let file = format!("{}/../api/graphiql/src/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(file).expect("the queries");
    source.split('`').skip(1).step_by(2).map(|query| query.replace("\\\\", "\\")).collect()
}

/// Checks that the example queries of GraphiQL for staff are valid for this schema. An admin may run all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queries_of_graphiql_for_staff_are_valid() {
    TestApp::run(Backend::Sqlite, async |app| {
        let documents = queries("staff-queries.js");
        assert!(documents.len() >= 7, "{} queries", documents.len());
        let admin = app.staff("Ada", Role::Admin).await;
        for document in documents {
            let answer = admin.send(&document, serde_json::Value::Null).await;
            let code = &answer.body["errors"][0]["extensions"]["code"];
            // A query with an empty id may be refused, because this id belongs to no subject.
            assert!(code.is_null() || code == "BAD_USER_INPUT", "{document}\n{:#}", answer.body);
            let message = answer.body["errors"][0]["message"].as_str().unwrap_or_default();
            assert!(message.is_empty() || message.contains("no such subject"), "{document}\n{message}");
        }
    })
    .await;
}

/// Checks that the example queries of GraphiQL are valid for this schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queries_of_graphiql_are_valid() {
    TestApp::run(Backend::Sqlite, async |app| {
        let documents = queries("queries.js");
        assert!(documents.len() >= 11, "{} queries", documents.len());
        let (subscriptions, others): (Vec<_>, Vec<_>) =
            documents.into_iter().partition(|document| document.contains("\nsubscription "));
        assert_eq!(subscriptions.len(), 2);
        for document in subscriptions {
            let request =
                app.http().post(app.url("/graphql")).json(&serde_json::json!({ "query": document }));
            let events = request.header("accept", "text/event-stream").send().await.expect("an answer");
            let events = events.text().await.expect("the stream ends");
            assert!(events.contains("UNAUTHENTICATED"), "{document}\n{events}");
        }
        for document in others {
            let answer = app.anonymous().send(&document, serde_json::Value::Null).await;
            let code = &answer.body["errors"][0]["extensions"]["code"];
            assert!(code.is_null() || code == "UNAUTHENTICATED", "{document}\n{:#}", answer.body);
        }
    })
    .await;
}

/// Checks that the schema still has the names on which clients outside this repository rely.
#[test]
fn fixed_names_stay() {
    let sdl = jishu_api::graphql::sdl();
    for part in [
        "node(\n",
        "viewer: User\n",
        "courses(\n",
        "register(\n",
        "login(\n",
        "purchase(\n",
        "enum PurchaseType {",
        "SINGLE_SUBJECT",
        "MULTIPLE_SUBJECTS",
        "FULL_BUNDLE",
        "enum PurchaseOutcome {",
        "CREATED",
        "EXISTING",
        "type MockTestAttempt implements Node {",
        "testNumber: Int!",
        "remainingAttempts: Int!",
        "input PurchaseInput {",
        "type PurchasePayload {",
        "testCardsCreated: Int!",
        "type AuthPayload {",
        "mockTestAttempts(\n",
    ] {
        let flat = |text: &str| text.replace("(\n", "(").replace(' ', "");
        assert!(flat(&sdl).contains(&flat(part)), "{part:?} is gone from the schema");
    }
}
