//! A real Prometheus scrapes a real server, reads the alerts, and evaluates the queries of the dashboard.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jishu_tests::process::free_port;
use jishu_tests::{Backend, wait_for, wait_until};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::Value;
use tempfile::TempDir;

use super::names::{dashboard_queries, file};
use super::{DemoServer, buy_first_course};

/// A process of Prometheus that scrapes one server twice a second. Dropping this value kills the process.
struct Prometheus {
    child: Child,
    origin: String,
    _folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    async fn start(server: &DemoServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configuration = format!(
            "global: {{ scrape_interval: 500ms, evaluation_interval: 500ms }}\n\
             rule_files: [{rules}]\n\
             scrape_configs:\n  - job_name: jishu\n    static_configs: [{{ targets: ['{target}'] }}]\n",
            rules = file("api/deploy/alerts.yml").canonicalize().unwrap().display(),
            target = server.metrics,
        );
        std::fs::write(folder.path().join("prometheus.yml"), configuration).unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let child = Command::new("prometheus")
            .current_dir(folder.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={listen}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("prometheus is installed: tests/run installs it");
        let prometheus = Self { child, origin: format!("http://{listen}"), _folder: folder };
        wait_until("Prometheus has scraped the server", async || {
            prometheus.value("up{job=\"jishu\"}").await == Some(1.0)
        })
        .await;
        prometheus
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let request = reqwest::Client::new().get(format!("{}/api/v1/{path}", self.origin)).query(parameters);
        request.send().await.ok()?.json().await.ok()
    }

    /// Evaluates a query, and returns its series, or `None` if Prometheus does not respond. Panics if the query is
    /// invalid.
    async fn query(&self, query: &str) -> Option<Vec<Value>> {
        let answer = self.get("query", &[("query", query)]).await?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }

    /// Returns the value of the first series of a query, or `None` if there is no value.
    async fn value(&self, query: &str) -> Option<f64> {
        value_of(self.query(query).await?.first()?)
    }
}

/// Returns the value of a series, or `None` if it is NaN because nothing was counted in the time range of the query.
fn value_of(series: &Value) -> Option<f64> {
    let value: f64 = series["value"][1].as_str()?.parse().ok()?;
    Some(value).filter(|value| !value.is_nan())
}

/// Replaces the variables of the dashboard in a query: the range with 20 seconds, the job and the instance with any.
fn filled_in(query: &str) -> String {
    query.replace("$__rate_interval", "20s").replace("$job", ".*").replace("$instance", ".*")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_the_server_and_answers_the_dashboard() {
    let server = DemoServer::start(&[]).await;
    let prometheus = Prometheus::start(&server).await;
    buy_first_course(&server.learner().await).await;
    wait_until("the purchase is scraped", async || {
        prometheus.value("sum(jishu_purchases_total{result=\"created\"})").await == Some(1.0)
    })
    .await;
    // Prometheus has read the types of the metrics, such as histogram and counter.
    let types = prometheus.get("metadata", &[]).await.unwrap();
    assert_eq!(types["data"]["jishu_statement_seconds"][0]["type"], "histogram", "{types}");
    let counter = ["jishu_purchases_total", "jishu_purchases"];
    assert!(counter.iter().any(|name| types["data"][name][0]["type"] == "counter"), "{types}");
    let targets = prometheus.get("targets", &[]).await.unwrap();
    assert_eq!(targets["data"]["activeTargets"][0]["lastError"], "", "{targets}");
    // Every query of the dashboard is valid, and more than two thirds of them have values.
    let mut with_values = 0;
    let queries = dashboard_queries();
    for query in &queries {
        with_values += usize::from(!prometheus.query(&filled_in(query)).await.unwrap().is_empty());
    }
    assert!(
        with_values * 3 > queries.len() * 2,
        "only {with_values} of {} queries have values",
        queries.len()
    );
    let rules = prometheus.get("rules", &[]).await.unwrap();
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 12, "{rules:?}");
    assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
}

/// Finds a slow statement with the queries of the dashboard, step by step as `api/docs/observing.md` describes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_statement_is_found_from_the_dashboard() {
    if !Backend::Postgres.is_selected() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let url = Backend::Postgres.create(folder.path()).await;
    let server = DemoServer::start(&["--database-url", &url]).await;
    let prometheus = Prometheus::start(&server).await;
    let learner = server.learner().await;
    let database = sea_orm::Database::connect(url.as_str()).await.unwrap();
    let purchases = "{ viewer { purchases { edges { node { id } } } } }";
    let field = "{ courses(first: 1) { totalCount } }";
    for _ in 0..4 {
        // Locks the table for 1.2 seconds, so a statement on this table takes longer than any other statement, even on
        // a busy machine.
        let lock = database.begin().await.unwrap();
        lock.execute_unprepared("LOCK TABLE purchases IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let slow = tokio::spawn({
            let learner = learner.clone();
            async move { learner.run(purchases).await }
        });
        // Meanwhile, requests that do not read this table are as fast as before.
        let hold = tokio::time::Instant::now() + Duration::from_millis(1_200);
        while tokio::time::Instant::now() < hold {
            learner.run(field).await;
        }
        lock.commit().await.unwrap();
        slow.await.unwrap();
    }
    let queries = dashboard_queries();
    let top = async |part: &str| {
        let query = queries.iter().find(|query| query.starts_with("topk") && query.contains(part)).unwrap();
        let series = prometheus.query(&filled_in(query)).await?;
        let counted = series.into_iter().filter(|series| value_of(series).is_some());
        counted.max_by(|a, b| value_of(a).partial_cmp(&value_of(b)).unwrap())
    };
    // 1. One of the root fields is slow.
    let of_field = wait_for("the slow field", async || {
        top("jishu_root_field_seconds_bucket").await.filter(|top| value_of(top) > Some(0.4))
    })
    .await;
    assert_eq!(
        (&of_field["metric"]["kind"], &of_field["metric"]["field"]),
        (&"query".into(), &"viewer".into())
    );
    // 2. Most time is spent in one kind of statement, which is also the slowest.
    for part in ["jishu_statement_seconds_sum", "jishu_statement_seconds_bucket"] {
        let of_statement = top(part).await.unwrap();
        let metric = &of_statement["metric"];
        let found = [&metric["verb"], &metric["table"], &metric["transaction"]];
        assert_eq!(found, ["select", "purchases", "none"], "{part}: {of_statement}");
    }
    // 3. The slow statement did not wait for a connection.
    let waits = queries.iter().find(|query| query.contains("jishu_connection_wait_seconds")).unwrap();
    for series in prometheus.query(&filled_in(waits)).await.unwrap() {
        assert!(value_of(&series).unwrap_or_default() < 0.25, "{series}");
    }
    // The alert `JishuSlowStatement` fires only after minutes, so the test evaluates its query at once, over 20
    // seconds.
    let rules = prometheus.get("rules", &[]).await.unwrap();
    let alert = rules["data"]["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["name"] == "JishuSlowStatement")
        .unwrap()
        .clone();
    let query = alert["query"].as_str().unwrap().replace("[5m]", "[20s]");
    let firing = prometheus.query(&query).await.unwrap();
    // On an overloaded machine, other statements can be slow as well. The statement on the locked table is the slowest.
    let slowest = firing.iter().max_by(|a, b| value_of(a).partial_cmp(&value_of(b)).unwrap());
    assert_eq!(slowest.map(|series| &series["metric"]["table"]), Some(&"purchases".into()), "{firing:?}");
    drop(server);
    database.close().await.unwrap();
    Backend::Postgres.remove(&url).await;
}
