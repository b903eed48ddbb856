//! Checks the header `host` of a request. HTTP/1.1 requires exactly one, HTTP/1.0 allows at most one, and HTTP/2 needs
//! none. Its value must be a valid host or empty.

use jishu_tests::{Backend, TestApp};
use tokio::io::AsyncWriteExt;

use crate::raw::{connect, read_to_close};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_one_host() {
    TestApp::run(Backend::Sqlite, async |app| {
        for (head, status) in [
            ("GET /health/live HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
            ("GET /health/live HTTP/1.1\r\nhost: a\r\nhost: a\r\nconnection: close\r\n\r\n", 400),
            ("GET /health/live HTTP/1.1\r\nhost: a\r\nHOST: b\r\nconnection: close\r\n\r\n", 400),
            ("GET /health/live HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", 400),
            ("GET /health/live HTTP/1.1\r\nhost: user@a\r\nconnection: close\r\n\r\n", 400),
            ("GET /health/live HTTP/1.1\r\nhost: a/b\r\nconnection: close\r\n\r\n", 400),
            ("GET http://a/health/live HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
            ("POST /graphql HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n{\"query\": \"{ __typename }\"}    ", 400),
            ("GET /health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 200),
            ("GET /health/live HTTP/1.1\r\nHost:\r\nconnection: close\r\n\r\n", 200),
            ("GET /health/live HTTP/1.1\r\nhost: [::1]:8080\r\nconnection: close\r\n\r\n", 200),
            ("GET /health/live HTTP/1.1\r\nhost: a.example:80\r\nconnection: close\r\n\r\n", 200),
            ("GET http://a/health/live HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", 200),
            ("GET /health/live HTTP/1.0\r\n\r\n", 200),
            ("GET /health/live HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        ] {
            let mut stream = connect(app.address()).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            let answer = read_to_close(&mut stream).await;
            let line = answer.lines().next().unwrap_or_default();
            assert!(line.contains(&format!(" {status} ")), "{head}: {line}");
            assert!(status == 200 || answer.contains("BAD_REQUEST"), "{head}: {answer}");
        }
        // An HTTP/2 request names its host in a pseudo-header.
        let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        assert_eq!(http2.get(app.url("/health/live")).send().await.unwrap().status(), 200);
    })
    .await;
}
