//! What the engine makes of documents, over a schema that shows it. The comparison with graphql-js, in
//! `tests/clients`, goes further.

use std::sync::atomic::{AtomicI32, Ordering};

use async_graphql::{EmptySubscription, InputObject, Object, Schema, SimpleObject, ValidationMode};
use serde_json::{Value as Json, json};

use super::*;

#[derive(Default)]
struct Query(AtomicI32);

#[derive(SimpleObject)]
struct Node {
    id: i32,
    next: Option<Box<Node>>,
}

#[derive(InputObject)]
struct Input {
    #[graphql(default = 7)]
    with_default: i32,
    optional: Option<i32>,
}

#[derive(SimpleObject)]
struct ItemConnection {
    edges: Vec<ItemEdge>,
}

#[derive(SimpleObject)]
struct ItemEdge {
    node: Node,
}

fn node(id: i32) -> Node {
    Node { id, next: Some(Box::new(Node { id: id + 1, next: None })) }
}

#[Object]
impl Query {
    async fn node(&self) -> Node {
        self.0.fetch_add(1, Ordering::SeqCst);
        node(1)
    }

    async fn calls(&self) -> i32 {
        self.0.load(Ordering::SeqCst)
    }

    async fn argument(&self, #[graphql(default = 5)] value: i32) -> i32 {
        value
    }

    async fn input(&self, input: Input) -> String {
        format!("{} {:?}", input.with_default, input.optional)
    }

    async fn items(&self, first: Option<i32>, last: Option<i32>) -> ItemConnection {
        let count = first.or(last).unwrap_or_default();
        ItemConnection { edges: (0..count).map(|id| ItemEdge { node: node(id) }).collect() }
    }

    async fn nodes(&self, ids: Vec<i32>) -> Vec<Node> {
        ids.into_iter().map(node).collect()
    }

    async fn failing(&self) -> Option<Result<i32, String>> {
        Some(Err("it fails".to_owned()))
    }

    async fn many_failing(&self) -> Vec<Option<Result<i32, String>>> {
        (0..100).map(|number| Some(Err(format!("{number} fails")))).collect()
    }
}

struct Mutation(AtomicI32);

#[Object]
impl Mutation {
    async fn count(&self) -> Node {
        node(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn engine() -> Engine<Schema<Query, Mutation, EmptySubscription>> {
    let schema = Schema::build(Query::default(), Mutation(AtomicI32::new(0)), EmptySubscription)
        .validation_mode(ValidationMode::Fast)
        .finish();
    let sdl = schema.sdl();
    Engine::new(schema, &sdl, EngineOptions::default()).unwrap()
}

fn call(query: &str, variables: Json) -> Call {
    Call {
        query: Some(query.to_owned()),
        variables: serde_json::from_value(variables).unwrap(),
        ..Call::default()
    }
}

async fn run(query: &str, variables: Json) -> Json {
    let engine = engine();
    match engine.prepare(&call(query, variables)) {
        Ok(operation) => serde_json::to_value(engine.execute(operation, Data::default()).await).unwrap(),
        Err(refusal) => json!({ "refused": refusal.errors[0].message }),
    }
}

fn cost(query: &str, variables: Json) -> u64 {
    engine().prepare(&call(query, variables)).map(|operation| operation.cost()).unwrap_or_default()
}

#[tokio::test]
async fn repeated_fields_are_one_and_keep_the_place_of_the_first() {
    let answer = run(
        "query ($no: Boolean!) { node { id } argument ...F ... { node { again: id } } calls node @include(if: $no) { id } }
         fragment F on Query { node { next { id } } }",
        json!({ "no": false }),
    )
    .await;
    assert_eq!(
        answer.to_string(),
        json!({ "data": { "argument": 5, "calls": 1, "node": { "again": 1, "id": 1, "next": { "id": 2 } } } })
            .to_string()
    );
    let mutation =
        run("mutation { count { id } count { next { id } } other: count { id } }", json!({})).await;
    assert_eq!(mutation["data"], json!({ "count": { "id": 0, "next": { "id": 1 } }, "other": { "id": 1 } }));
}

#[tokio::test]
async fn a_variable_without_a_value_is_no_argument() {
    let query =
        "query ($v: Int, $o: Int) { argument(value: $v) input(input: { withDefault: $v, optional: $o }) }";
    assert_eq!(run(query, json!({})).await["data"], json!({ "argument": 5, "input": "7 None" }));
    assert_eq!(
        run(query, json!({ "v": 1, "o": null })).await["data"],
        json!({ "argument": 1, "input": "1 None" })
    );
    // One document, and another plan for each combination.
    let engine = engine();
    for (variables, expected) in [(json!({}), 5), (json!({ "v": 2 }), 2), (json!({}), 5)] {
        let operation = engine.prepare(&call("query ($v: Int) { argument(value: $v) }", variables)).unwrap();
        let answer = engine.execute(operation, Data::default()).await;
        assert_eq!(answer.data.into_json().unwrap(), json!({ "argument": expected }));
    }
}

#[tokio::test]
async fn a_field_that_fails_is_null_and_its_siblings_stay() {
    let answer = run("{ failing calls }", json!({})).await;
    assert_eq!(answer["data"], json!({ "failing": null, "calls": 0 }));
    assert_eq!(answer["errors"][0]["path"], json!(["failing"]));
    let many = run("{ manyFailing }", json!({})).await;
    assert_eq!(many["errors"].as_array().unwrap().len(), Limits::default().errors + 1);
    assert_eq!(many["errors"][50]["message"], "50 more errors are left out.");
}

#[test]
fn a_page_costs_its_length_times_what_is_below() {
    assert_eq!(cost("{ calls }", json!({})), 1);
    assert_eq!(cost("{ node { id next { id } } }", json!({})), 3);
    // The connection, and 3 edges with a node and its next.
    assert_eq!(cost("{ items(first: 3) { edges { node { next { id } } } } }", json!({})), 11);
    assert_eq!(cost("{ items(last: 3) { edges { node { next { id } } } } }", json!({})), 11);
    assert_eq!(cost("{ items { edges { node { id } } } }", json!({})), 2 + 2 * 50);
    let page = "query ($n: Int, $ids: [Int!]! = [1, 2]) { items(first: $n) { edges { node { id } } } nodes(ids: $ids) { id } }";
    assert_eq!(cost(page, json!({ "n": 4 })), 2 + 2 * 4 + 2);
    assert_eq!(cost(page, json!({ "n": 100, "ids": [1, 2, 3] })), 2 + 2 * 100 + 3);
    assert_eq!(cost(page, json!({})), 2 + 2 * 50 + 2);
    assert_eq!(cost("mutation { count { id } other: count { id } }", json!({})), 1 + 2 * 10 + 2);
    let fragments = "{ ...F ...F } fragment F on Query { items(first: 3) { edges { node { id } } } }";
    assert_eq!(cost(fragments, json!({})), 2 + 2 * 3);
}

#[tokio::test]
async fn which_operation_runs() {
    let two = "query A { calls } query B { argument }";
    let engine = engine();
    let named = |name: &str| Call { operation_name: Some(name.to_owned()), ..call(two, json!({})) };
    let operation = engine.prepare(&named("B")).unwrap();
    assert_eq!(
        engine.execute(operation, Data::default()).await.data.into_json().unwrap(),
        json!({ "argument": 5 })
    );
    assert!(engine.prepare(&named("C")).is_err());
    assert!(engine.prepare(&call(two, json!({}))).is_err());
}
