//! Tests of the whole engine on a small schema. `tests/clients` compares the responses to many more documents with
//! those of graphql-js.

mod guarded;
mod plain;
mod schema;

use async_graphql::Data;
use serde_json::{Value as Json, json};

use self::schema::{TestSchema, schema};
use crate::document::size;
use crate::{
    DocumentLimits, Engine, EngineOptions, ExecutedResponse, GraphqlRequest, ListLength, PageSizes,
    ParsedSchema,
};

fn engine() -> Engine<TestSchema> {
    let schema = schema();
    let sdl = schema.sdl();
    let lists = &[("Query.dogs", ListLength::Items(10)), ("Query.nodes", ListLength::Argument("ids"))];
    Engine::new(
        schema,
        ParsedSchema::parse(&sdl).unwrap(),
        EngineOptions { lists, ..EngineOptions::default() },
    )
    .unwrap()
}

fn request(query: &str, variables: Json) -> GraphqlRequest {
    GraphqlRequest {
        query: Some(query.to_owned()),
        variables: serde_json::from_value(variables).unwrap(),
        ..GraphqlRequest::default()
    }
}

/// Runs a document and returns the text of its response, in which the fields keep their order.
async fn response_text(query: &str, variables: Json) -> String {
    let engine = engine();
    let operation = engine.prepare(&request(query, variables)).map_err(|rejection| rejection.errors).unwrap();
    String::from_utf8(engine.execute(operation, Data::default()).await.to_json()).unwrap()
}

/// Runs a document and returns its response, or the first message of its rejection.
async fn run(query: &str, variables: Json) -> Json {
    let engine = engine();
    match engine.prepare(&request(query, variables)) {
        Ok(operation) => json(&engine.execute(operation, Data::default()).await),
        Err(rejection) => json!({ "refused": rejection.errors[0].message }),
    }
}

fn json(response: &ExecutedResponse) -> Json {
    serde_json::from_slice(&response.to_json()).unwrap()
}

fn cost(query: &str, variables: Json) -> u64 {
    engine().prepare(&request(query, variables)).map(|operation| operation.cost()).unwrap_or_default()
}

#[tokio::test]
async fn repeated_fields_are_merged_at_the_position_of_the_first() {
    let response = response_text(
        "query ($no: Boolean!) { node { id } argument ...F ... { node { again: id } } calls node @include(if: $no) { id } }
         fragment F on Query { node { next { id } } }",
        json!({ "no": false }),
    );
    assert_eq!(
        response.await,
        r#"{"data":{"node":{"id":1,"next":{"id":2},"again":1},"argument":5,"calls":1}}"#
    );
    let mutation =
        run("mutation { count { id } count { next { id } } other: count { id } }", json!({})).await;
    assert_eq!(mutation["data"], json!({ "count": { "id": 0, "next": { "id": 1 } }, "other": { "id": 1 } }));
}

#[tokio::test]
async fn an_argument_whose_variable_has_no_value_takes_its_default() {
    let query =
        "query ($v: Int, $o: Int) { argument(value: $v) input(input: { withDefault: $v, optional: $o }) }";
    assert_eq!(run(query, json!({})).await["data"], json!({ "argument": 5, "input": "7 None" }));
    assert_eq!(
        run(query, json!({ "v": 1, "o": null })).await["data"],
        json!({ "argument": 1, "input": "1 None" })
    );
    // One document has several plans: one for each set of variables that have a value.
    let engine = engine();
    for (variables, expected) in [(json!({}), 5), (json!({ "v": 2 }), 2), (json!({}), 5)] {
        let operation =
            engine.prepare(&request("query ($v: Int) { argument(value: $v) }", variables)).unwrap();
        let response = engine.execute(operation, Data::default()).await;
        assert_eq!(json(&response), json!({ "data": { "argument": expected } }));
    }
}

#[tokio::test]
async fn a_field_that_fails_is_null_and_its_siblings_are_kept() {
    let response = run("{ failing calls }", json!({})).await;
    assert_eq!(response["data"], json!({ "failing": null, "calls": 0 }));
    assert_eq!(response["errors"][0]["path"], json!(["failing"]));
    let many = run("{ manyFailing }", json!({})).await;
    assert_eq!(many["errors"].as_array().unwrap().len(), size(DocumentLimits::default().errors) + 1);
    assert_eq!(many["errors"][50]["message"], "50 more errors were left out.");
}

#[test]
fn the_cost_of_a_page_is_its_length_times_the_cost_of_an_item() {
    assert_eq!(cost("{ calls }", json!({})), 1);
    assert_eq!(cost("{ node { id next { id } } }", json!({})), 3);
    // The cost counts the operation, the connection, and 3 edges with a node and its `next` each.
    assert_eq!(cost("{ items(first: 3) { edges { node { next { id } } } } }", json!({})), 11);
    assert_eq!(cost("{ items(last: 3) { edges { node { next { id } } } } }", json!({})), 11);
    // Ten scalars count as one object.
    assert_eq!(cost("{ items { edges { node { id } } } }", json!({})), 2 + 2 * 50 + 50 / 10);
    let page = "query ($n: Int, $ids: [Int!]! = [1, 2]) { items(first: $n) { edges { node { id } } } nodes(ids: $ids) { id } }";
    assert_eq!(cost(page, json!({ "n": 4 })), 2 + 2 * 4 + 2);
    assert_eq!(cost(page, json!({ "n": 100, "ids": [1, 2, 3] })), 2 + 2 * 100 + 3 + 103 / 10);
    assert_eq!(cost(page, json!({})), 2 + 2 * 50 + 2 + 52 / 10);
    assert_eq!(cost("mutation { count { id } other: count { id } }", json!({})), 1 + 2 * 10 + 2);
    let fragments = "{ ...F ...F } fragment F on Query { items(first: 3) { edges { node { id } } } }";
    assert_eq!(cost(fragments, json!({})), 2 + 2 * 3);
}

#[test]
fn the_larger_of_first_and_last_counts_and_null_does_not() {
    let page = "query ($n: Int, $m: Int) { items(first: $n, last: $m) { edges { cursor } } }";
    for (variables, length) in [
        (json!({}), 50),
        (json!({ "n": null, "m": 100 }), 100),
        (json!({ "m": 100 }), 100),
        (json!({ "n": 3, "m": null }), 3),
        (json!({ "n": 3, "m": 7 }), 7),
        (json!({ "n": -3 }), 0),
        (json!({ "n": 2_000_000_000 }), 100),
    ] {
        assert_eq!(cost(page, variables.clone()), 2 + length + length / 10, "{variables}");
    }
    let literal = "query ($n: Int) { items(first: $n, last: 100) { edges { cursor } } }";
    assert_eq!(cost(literal, json!({})), 2 + 100 + 10);
}

#[test]
fn the_cost_of_a_list_with_a_length_is_its_length_times_the_cost_of_an_item() {
    assert_eq!(cost("{ latest { id } }", json!({})), 1 + 20 + 20 / 10);
    assert_eq!(cost("{ latest(last: 3) { next { id } } }", json!({})), 1 + 3 * 2);
    // The fields of an item count once for each of the 100 items. `next` is not a second page of 100 items.
    assert_eq!(cost("{ latest(last: 100) { id next { id } } }", json!({})), 1 + 100 * 2 + 2 * 100 / 10);
    let asked = "query ($n: Int!) { latest(last: $n) { id } }";
    assert_eq!(cost(asked, json!({ "n": 100 })), 1 + 100 + 100 / 10);
    assert_eq!(cost(asked, json!({ "n": 2_000_000_000 })), 1 + 100 + 100 / 10);
}

#[tokio::test]
async fn a_field_of_an_abstract_type_runs_once() {
    let fan =
        "{ any { ...F0 __typename } } fragment F0 on Any { ...F1 ...F1 } fragment F1 on Any { ...F2 ...F2 }
               fragment F2 on Any { ... on Dog { count name } ... on Cat { name } ...F3 }
               fragment F3 on Any { ... on Dog { count } }";
    // The fields have the order of the document. `count` is 0, so it ran only once.
    let response = response_text(fan, json!({})).await;
    assert_eq!(response, r#"{"data":{"any":{"count":0,"name":"Rex","__typename":"Dog"}}}"#);
    assert_eq!(run("{ any { ... on Cat { name } } }", json!({})).await["data"], json!({ "any": {} }));
}

#[tokio::test]
async fn an_error_below_a_list_has_the_path_of_the_field() {
    let response = run("{ dogs { ... on Dog { owner { bites } } } }", json!({})).await;
    assert_eq!(response["data"], json!({ "dogs": [null, null] }));
    let paths: Vec<_> = response["errors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
    assert_eq!(paths, [&json!(["dogs", 0, "owner", "bites"]), &json!(["dogs", 1, "owner", "bites"])]);
}

/// Counts the objects and scalars in a response.
fn parts(response: &Json) -> u64 {
    match response {
        Json::Array(items) => items.iter().map(parts).sum(),
        Json::Object(fields) => 1 + fields.values().map(parts).sum::<u64>(),
        _ => 1,
    }
}

#[tokio::test]
async fn introspection_costs_at_least_a_tenth_of_its_response() {
    let standard = include_str!("tests/introspection.graphql").to_owned();
    // apollo-compiler does not notice how deep the last fragment goes, because the document spreads the smaller
    // fragments first.
    let mut fragments = "fragment A0 on __Type { name }".to_owned();
    for step in 1..=16 {
        let list = if step % 2 == 0 { "interfaces" } else { "possibleTypes" };
        fragments += &format!(" fragment A{step} on __Type {{ {list} {{ ...A{} }} }}", step - 1);
    }
    let spreads: String = (0..=16).map(|step| format!("...A{step} ")).collect();
    let hidden = format!(
        "{{ w: __type(name: \"X\") {{ {spreads} }} __type(name: \"Dog\") {{ ...A16 }} }} {fragments}"
    );
    // Selects the same field four times, each time with another alias.
    let aliases = |field: &str, below: &str| -> String {
        (0..4).map(|number| format!("a{number}: {field} {{ {below} }} ")).collect()
    };
    let wide = aliases("fields", &format!("type {{ {} }}", aliases("fields", "name args { name }")));
    let wide = format!("{{ __schema {{ types {{ {wide} }} }} }}");
    for document in [standard, hidden, wide] {
        let (cost, response) = (cost(&document, json!({})), run(&document, json!({})).await);
        let parts = parts(&response["data"]);
        assert!(parts > 1 && cost * 10 >= parts, "{cost} for {parts}: {document:.200}");
        // If the cost were far above the size of the response, the limit could refuse the standard introspection query
        // one day.
        assert!(cost < parts * 10, "{cost} for {parts}: {document:.200}");
    }
}

#[tokio::test]
async fn null_conditions_are_refused_and_whole_floats_are_integers() {
    let condition = "query ($a: Boolean = true) { calls @include(if: $a) }";
    assert_eq!(run(condition, json!({})).await["data"], json!({ "calls": 0 }));
    let refused = run(condition, json!({ "a": null })).await;
    assert_eq!(refused["refused"], "The variable `$a` of `@include` is null. Give it true or false.");
    let number = "query ($v: Int) { argument(value: $v) }";
    assert_eq!(run(number, json!({ "v": 7.0 })).await["data"], json!({ "argument": 7 }));
    assert!(run(number, json!({ "v": 7.5 })).await["refused"].is_string());
}

#[test]
fn the_plan_cache_is_bounded() {
    let engine = engine();
    let spread: String = (0..33).map(|number| format!("n{number}: nodes(ids: [1, 2]) {{ ...F }} ")).collect();
    let fragment = "fragment F on Node { id @skip(if: $a) a: id @skip(if: $b) next { id @skip(if: $c) } }";
    for number in 0..400 {
        let document =
            format!("# {number}\nquery ($a: Boolean!, $b: Boolean!, $c: Boolean!) {{ {spread} }} {fragment}");
        for bits in 0..8 {
            let variables = json!({ "a": bits & 1 == 0, "b": bits & 2 == 0, "c": bits & 4 == 0 });
            engine.prepare(&request(&document, variables)).map_err(|rejection| rejection.errors).unwrap();
        }
    }
    assert!(
        engine.plan_cache().weight() <= engine.plan_cache().capacity(),
        "{}",
        engine.plan_cache().weight()
    );
    assert!(engine.plan_cache().len() < 400, "{} plans are kept", engine.plan_cache().len());
}

#[tokio::test]
async fn the_operation_name_chooses_the_operation() {
    let two = "query A { calls } query B { argument }";
    let engine = engine();
    let named =
        |name: &str| GraphqlRequest { operation_name: Some(name.to_owned()), ..request(two, json!({})) };
    let operation = engine.prepare(&named("B")).unwrap();
    assert_eq!(json(&engine.execute(operation, Data::default()).await), json!({ "data": { "argument": 5 } }));
    assert!(engine.prepare(&named("C")).is_err());
    assert!(engine.prepare(&request(two, json!({}))).is_err());
}

#[test]
fn the_page_arguments_are_described_with_the_default_page_sizes() {
    let sdl = schema().sdl();
    let sdl = sdl.split_whitespace().collect::<Vec<_>>().join(" ");
    let PageSizes { default, max } = PageSizes::DEFAULT;
    let arguments = format!(
        r#"items( """ The maximum number of items, counted from the start or from `after`: 1 to {max}, default {default}. """ first: Int, """ Only items after this cursor. """ after: String, """ The maximum number of items, counted from the end or from `before`: 1 to {max}. """ last: Int, """ Only items before this cursor. """ before: String )"#
    );
    assert!(sdl.contains(&arguments), "{sdl}");
}
