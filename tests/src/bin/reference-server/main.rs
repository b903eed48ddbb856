//! A schema with a bit of everything, for the comparison with graphql-js in `tests/clients/comparison`, which
//! has the same resolvers in JavaScript and takes the schema from here.
//!
//! `POST /` takes `query`, `variables` and `operationName` as JSON and answers the response; `GET /` answers the
//! schema. The address is printed at the start; the end of standard input ends it.

#![expect(clippy::expect_used, reason = "a tool of the tests, which ends where it fails")]

mod arguments;
mod faults;
mod mutation;
mod pets;

use std::sync::Arc;

use async_graphql::futures_util::{Stream, stream};
use async_graphql::{MergedObject, Request, Response, Schema, Subscription, Value};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use self::arguments::Arguments;
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

type ReferenceSchema = Schema<Query, Mutation, Events>;

#[tokio::main]
async fn main() {
    let schema = Schema::build(Query::default(), Mutation, Events).finish();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/", get(sdl).post(execute)).with_state(Arc::new(schema));
    let serving = async { axum::serve(listener, app).await };
    tokio::select! {
        served = serving => served.expect("it serves"),
        _ = end_of_input() => {}
    }
}

async fn end_of_input() {
    let read = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(read).await.expect("it is not cancelled").expect("the input can be read");
}

async fn sdl(State(schema): State<Arc<ReferenceSchema>>) -> String {
    schema.sdl()
}

async fn execute(
    State(schema): State<Arc<ReferenceSchema>>,
    Json(request): Json<Request>,
) -> impl IntoResponse {
    let response = schema.execute(request.data(Written::default())).await;
    // As text, because a value of serde_json would sort the fields.
    let body = if is_request_error(&response) {
        serde_json::to_string(&serde_json::json!({ "errors": response.errors }))
    } else {
        serde_json::to_string(&response)
    };
    ([(header::CONTENT_TYPE, "application/json")], body.expect("a response is JSON"))
}

/// Whether nothing was executed: then there is no `data` in the answer.
fn is_request_error(response: &Response) -> bool {
    response.data == Value::Null
        && !response.errors.is_empty()
        && response.errors.iter().all(|error| error.path.is_empty())
}
