//! Tests of the server's code with routes that jishu does not have: they panic, or their responses are slow, endless or
//! large.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use clap::Parser;
use futures_util::{StreamExt, stream};
use jishu_api::config::ServeConfig;
use jishu_api::server;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::raw::{connect, read_to_close};

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

pub(crate) struct Served {
    pub(crate) address: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

pub(crate) async fn serve(routes: Router, flags: &[&str]) -> Served {
    let config = Config::parse_from(["test"].iter().chain(flags)).serve;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        server::serve(listener, |_| routes, &config.edge, config.drain(), stopped).await;
    });
    Served { address, stop, serving }
}

impl Served {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Stops the server and returns how long that took.
    pub(crate) async fn stop(self) -> Duration {
        let started = Instant::now();
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
        started.elapsed()
    }
}

async fn panics() -> &'static str {
    panic!("a test panics")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_gets_a_response_and_the_connection_goes_on() {
    let routes = Router::new().route("/panic", get(panics)).route("/health/live", get(async || "live\n"));
    let server = serve(routes, &[]).await;
    let mut stream = connect(&server.address).await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: test\r\nx-request-id: abc-1\r\n\r\n").await.unwrap();
    // Sends a health check on the same connection. `said` has both responses: to the request that panicked, and to the
    // health check.
    let said = crate::raw::ask(&mut stream).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 500 ") && said.contains("x-request-id: abc-1"), "{said}");
    assert!(said.contains(r#""code":"INTERNAL""#) && said.contains("nosniff"), "{said}");
    assert!(!said.contains("a test panics"), "the response shows the cause");
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 1);
    drop(stream);
    let media = "application/graphql-response+json";
    let panic = reqwest::Client::new().get(server.url("/panic")).header("accept", media);
    let answer = panic.send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(media), "{answer:?}");
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "INTERNAL");
    assert_eq!(body["errors"][0]["extensions"]["requestId"], id);
    server.stop().await;
}

/// The server keeps a connection whose response pauses, because there are no bytes that the client fails to take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_has_nothing_to_say_is_left_alone() {
    let quiet = get(async || {
        let words = stream::unfold(0, async |said| match said {
            0 => Some(("word", 1)),
            1 => {
                tokio::time::sleep(Duration::from_millis(3_500)).await;
                Some(("last", 2))
            }
            _ => None,
        });
        Body::from_stream(words.map(Ok::<_, std::convert::Infallible>))
    });
    let server = serve(Router::new().route("/quiet", quiet), &["--idle-seconds=1"]).await;
    let ask = async |client: reqwest::ClientBuilder| {
        let answer = client.build().unwrap().get(server.url("/quiet")).send().await.unwrap();
        answer.text().await.unwrap()
    };
    let (http1, http2) = tokio::join!(
        ask(reqwest::Client::builder()),
        ask(reqwest::Client::builder().http2_prior_knowledge())
    );
    assert_eq!((http1.as_str(), http2.as_str()), ("wordlast", "wordlast"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_requests_and_cuts_those_that_never_end() {
    let slow = get(async || {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        "done"
    });
    let endless = get(async || {
        let beats = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"beat\n")), ()))
        });
        Body::from_stream(beats)
    });
    let routes = Router::new().route("/slow", slow).route("/endless", endless);
    let server = serve(routes, &["--drain-seconds=3"]).await;
    let slow = tokio::spawn(reqwest::get(server.url("/slow")));
    let mut endless = reqwest::get(server.url("/endless")).await.unwrap();
    endless.chunk().await.unwrap();
    // Both requests are under way now: `/endless` has begun its response, and the server has had time to receive
    // `/slow`.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let took = server.stop().await;
    assert!((3_000..4_500).contains(&took.as_millis()), "took {took:?}");
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "done");
    let rest = async {
        while endless.chunk().await?.is_some() {}
        reqwest::Result::Ok(())
    };
    assert!(rest.await.is_err(), "the client did not notice that the response is incomplete");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_cut() {
    const SIZE: usize = 64 * 1024 * 1024;
    let routes = Router::new().route("/large", get(async || vec![b'x'; SIZE]));
    let server = serve(routes, &["--idle-seconds=1"]).await;
    let mut stream = connect(&server.address).await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let said = read_to_close(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 200 OK"));
    assert!(said.len() < SIZE, "the server did not cut the response: the client got {} bytes", said.len());
    server.stop().await;
}
