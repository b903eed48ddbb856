//! Metrics and traces of the server, and what operators watch them with.

mod metrics;
mod names;
mod prometheus;
mod receiver;
mod spans;
mod traces;

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use jishu_service::demo;
use jishu_tests::process::{binary, free_port};
use jishu_tests::{Client, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The real server with its demo, and its log. Dropping this value kills the server.
struct DemoServer {
    child: Child,
    origin: String,
    /// The address on which the server shows its metrics.
    metrics: String,
    log: PathBuf,
    folder: TempDir,
}

impl DemoServer {
    /// Starts a server with these flags. Its database is a fresh SQLite database, unless a flag names another.
    async fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[]).await
    }

    /// Starts a server with these flags and environment variables.
    async fn start_with(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let [listen, metrics] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let child = Command::new(binary("jishu"))
            .current_dir(folder.path())
            .args(["serve", "--demo", "--migrate", "--listen", &listen, "--metrics-listen", &metrics])
            .args(["--log-format=json", "--drain-seconds=3"])
            .args(jishu_tests::UNLIMITED)
            .args(flags)
            .env_remove("DATABASE_URL")
            .env_remove("RUST_LOG")
            .envs(variables.iter().copied())
            .stdout(File::create(folder.path().join("demo")).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let server = Self { child, origin: format!("http://{listen}"), metrics, log, folder };
        let demo = server.folder.path().join("demo");
        wait_for("the demo is ready", async || {
            std::fs::read_to_string(&demo).ok().filter(|text| text.contains("Token"))
        })
        .await;
        server
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Returns a client that is not signed in.
    fn anonymous(&self) -> Client {
        Client::new(reqwest::Client::new(), format!("{}/graphql", self.origin), None)
    }

    /// Signs in as the learner of the demo, and returns the client.
    async fn learner(&self) -> Client {
        let signed_in = self.anonymous().login(demo::LEARNER_EMAIL, demo::LEARNER_PASSWORD).await;
        let token = signed_in.access_token().to_owned();
        Client::new(reqwest::Client::new(), format!("{}/graphql", self.origin), Some(token))
    }

    /// Sends a request with headers, and returns its response.
    async fn post(&self, headers: &[(&str, &str)], body: &Value) -> Value {
        let mut request = reqwest::Client::new().post(format!("{}/graphql", self.origin)).json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Reads the metrics, with `accept` as the header of the same name. Returns the content type and the text.
    async fn scrape(&self, accept: &str) -> (String, String) {
        let request = reqwest::Client::new().get(format!("http://{}/metrics", self.metrics));
        let response = request.header("accept", accept).send().await.unwrap();
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, response.text().await.unwrap())
    }

    /// Stops the server with SIGTERM, and returns how long it took to exit. Panics if its exit status is not 0.
    fn stop(&mut self) -> Duration {
        let started = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
        started.elapsed()
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Buys the first course of the demo as a whole.
async fn buy_first_course(learner: &Client) {
    let courses = learner.run("{ courses(first: 1) { edges { node { id } } } }").await;
    let input =
        json!({ "courseId": courses.text("/courses/edges/0/node/id"), "purchaseType": "FULL_BUNDLE" });
    let document = "mutation ($input: PurchaseInput!) { purchase(input: $input) { outcome } }";
    let bought = learner.run_with(document, json!({ "input": input })).await;
    assert_eq!(bought.text("/purchase/outcome"), "CREATED");
}
