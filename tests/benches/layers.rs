//! Measures the cost of the layers around async-graphql. It reads a page of 50 cards from jishu with all layers, and
//! from the same schema behind the stock service of async-graphql-axum on `axum::serve`.
//!
//! `cargo bench -p jishu-tests --bench layers` prints the requests per second, and the CPU time of the server process
//! per request. The servers take turns, so that other work of the machine affects both.

// The async blocks of a whole server are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a measurement may panic if a step fails")]

use std::sync::Arc;
use std::time::Duration;

use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use jishu_api::graphql::{self, JishuSchema, Loaders};
use jishu_service::Services;
use jishu_tests::bench_page::{PageServers, page_config};
use jishu_tests::bench_server::{open_services, serve_for_ever};
use jishu_tests::load::{ServerTask, serve_or_measure};
use mimalloc::MiMalloc;
use tokio::net::TcpListener;

/// The allocator of the binary `jishu`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const TURNS: usize = 25;
const TURN_LENGTH: Duration = Duration::from_secs(1);

fn main() {
    let measure = async || {
        PageServers::start(&["stock", "layers"], &[]).await.measure(TURNS, TURN_LENGTH).await;
    };
    serve_or_measure(async |task| serve(&task).await, measure);
}

/// Runs the server that the role of `task` names, in the child process.
async fn serve(task: &ServerTask) {
    let config = page_config(&task.folder, task.port, &[]);
    if task.role != "stock" {
        return serve_for_ever(&config).await;
    }
    let services = open_services(&config).await;
    let listener = TcpListener::bind(config.listen.to_string()).await.expect("the port is free");
    let schema = graphql::builder(services.clone()).finish();
    let router = Router::new().route("/graphql", post(stock)).with_state((schema, Arc::new(services)));
    axum::serve(listener, router).await.expect("it serves");
}

/// Handles a request as the documentation of async-graphql-axum shows, and verifies the access token as jishu does.
async fn stock(
    State((schema, services)): State<(JishuSchema, Arc<Services>)>,
    headers: HeaderMap,
    request: GraphQLRequest,
) -> GraphQLResponse {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let viewer = token.and_then(|token| services.tokens.verify(token, services.clock.now()).ok());
    let mut request = request.into_inner().data(Loaders::new(&services));
    if let Some(viewer) = viewer {
        request = request.data(viewer);
    }
    schema.execute(request).await.into()
}
