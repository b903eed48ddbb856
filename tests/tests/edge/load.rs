//! Sends more requests at once than the server accepts. The server refuses the excess at once, and still responds to
//! health checks.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_tests::{Backend, TestApp};
use sea_orm::TransactionTrait;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_300_requests_at_once_the_excess_is_refused_at_once() {
    let flags = &["--max-requests=32", "--database-connections=1"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let learner = app.learner("Asha").await;
        // The test takes the only connection for reading, so every admitted request waits.
        let taken = app.services.database.reader().pool().begin().await.unwrap();
        let started = Instant::now();
        let requests = (0..300).map(|_| {
            let request = app.http().post(app.url("/graphql")).bearer_auth(learner.token());
            let sent = request.json(&serde_json::json!({ "query": "{ viewer { name } }" })).send();
            tokio::spawn(async move {
                let response = sent.await.unwrap();
                let after = started.elapsed();
                let retry = response.headers().get("retry-after").is_some();
                let status = response.status().as_u16();
                let body: Value = response.json().await.unwrap();
                (status, retry, body, after)
            })
        });
        let requests: Vec<_> = requests.collect();
        while requests.iter().filter(|request| request.is_finished()).count() < 268 {
            assert!(started.elapsed() < Duration::from_secs(10), "fewer than 268 requests ended in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The limit of requests does not apply to health checks. They report a healthy database even if its pool is
        // busy.
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(app.http().get(app.url(path)).send().await.unwrap().status(), 200);
        }
        taken.rollback().await.unwrap();
        let mut refused = Vec::new();
        for request in join_all(requests).await {
            let (status, retry, body, after) = request.unwrap();
            if status == 200 {
                assert_eq!(body["data"]["viewer"]["name"], "Asha");
                continue;
            }
            assert_eq!((status, retry), (503, true), "{body}");
            assert_eq!(body["errors"][0]["extensions"]["code"], "OVERLOADED");
            assert_eq!(body["errors"][0]["extensions"]["retryAfterSeconds"], 1);
            refused.push(after);
        }
        assert_eq!(refused.len(), 268);
        let last = refused.iter().max().unwrap();
        println!("268 of 300 refused within {last:?}");
        assert!(*last < Duration::from_secs(5), "the last refusal came after {last:?}");
    })
    .await;
}
