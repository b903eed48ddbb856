//! A server with a schema that uses many features of GraphQL. `tests/clients/comparison` compares its responses with
//! those of graphql-js. The comparison has the same resolvers in JavaScript, and fetches the schema from this server.
//!
//! `POST /` takes `query`, `variables` and `operationName` as JSON, and returns the response. `GET /` returns the
//! schema. The server prints its address at the start, and exits when standard input closes.

#![expect(clippy::expect_used, reason = "a tool of the tests may panic at the first failure")]

mod arguments;
mod faults;
mod mutation;
mod pets;

use std::sync::Arc;

use async_graphql::futures_util::{Stream, stream};
use async_graphql::{Data, MergedObject, Schema, Subscription, ValidationMode};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use graphql_engine::{
    CustomScalars, Engine, EngineOptions, GraphqlRequest, ListLength, ListLengths, ParsedSchema,
};
use serde::Deserialize;
use tokio::net::TcpListener;

use self::arguments::{Arguments, Day};
use self::faults::Faulty;
use self::mutation::{Mutation, Written};
use self::pets::Pets;

#[derive(MergedObject, Default)]
struct Query(Arguments, Pets, Faulty);

struct Events;

#[Subscription]
impl Events {
    async fn count(&self, to: i32) -> impl Stream<Item = i32> {
        stream::iter(1..=to)
    }

    async fn names(&self) -> impl Stream<Item = String> {
        stream::iter(["Fido".to_owned(), "Tom".to_owned()])
    }
}

const LIST_LENGTH: ListLength = ListLength::Items(10);

const LISTS: ListLengths = &[
    ("Dog.friends", LIST_LENGTH),
    ("Faults.children", LIST_LENGTH),
    ("Faults.childrenOfRequired", LIST_LENGTH),
    ("Faults.childrenRequired", LIST_LENGTH),
    ("Human.animals", LIST_LENGTH),
    ("Human.pets", LIST_LENGTH),
    ("Query.catOrDog", LIST_LENGTH),
];

type Reference = Engine<Schema<Query, Mutation, Events>>;

#[tokio::main]
async fn main() {
    // The schema is built as the schema of jishu is, in `graphql::schema` of the crate `jishu-api`.
    let schema =
        Schema::build(Query::default(), Mutation, Events).validation_mode(ValidationMode::Fast).finish();
    let sdl = schema.sdl();
    let scalars = CustomScalars::default().with::<Day>("Day");
    let options = EngineOptions { scalars, lists: LISTS, ..EngineOptions::default() };
    let parsed = ParsedSchema::parse(&sdl).expect("the schema is valid");
    let engine =
        Arc::new(Engine::new(schema, parsed, options).expect("`LISTS` names all lists of the schema"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/", get(async || sdl).post(execute)).with_state(engine);
    let serving = async { axum::serve(listener, app).await };
    tokio::select! {
        served = serving => served.expect("it serves"),
        () = end_of_input() => {}
    }
}

async fn end_of_input() {
    let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(read).await.expect("the task ends").expect("the input can be read");
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    query: String,
    #[serde(default)]
    variables: serde_json::Map<String, serde_json::Value>,
    operation_name: Option<String>,
}

async fn execute(State(engine): State<Arc<Reference>>, Json(request): Json<Request>) -> impl IntoResponse {
    let variables = serde_json::to_value(request.variables).and_then(serde_json::from_value);
    let call = GraphqlRequest {
        query: Some(request.query),
        operation_name: request.operation_name,
        variables: variables.expect("JSON is JSON"),
        ..GraphqlRequest::default()
    };
    let mut data = Data::default();
    data.insert(Written::default());
    // The response is serialised here, because a value of serde_json would sort the fields of the data.
    let body = match engine.prepare(&call) {
        Ok(operation) => engine.execute(operation, data).await.to_json(),
        Err(refusal) => {
            serde_json::to_vec(&serde_json::json!({ "errors": refusal.errors })).expect("an error is JSON")
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], body)
}
