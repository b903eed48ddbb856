//! Tests with clients that send slowly or not at all, keep many connections open, or do not finish their bodies.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jishu_tests::{Backend, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use crate::raw::{ask, connect, read_to_close, trickle};

const HEAD: &str = "POST /graphql HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";

/// Opens 60 connections: 20 send the head of a request byte by byte, 20 send its body byte by byte, and 20 send
/// nothing. Each task returns the response, and the time until the server closed the connection.
async fn sixty_slow_ones(app: &TestApp) -> Vec<JoinHandle<(String, Duration)>> {
    let body = format!("{HEAD}content-length: 100000\r\n\r\n");
    let mut all = Vec::new();
    for (fast, slow) in [(HEAD, "x-slow: 1\r\n"), (body.as_str(), " "), ("", "")] {
        for _ in 0..20 {
            all.push(trickle(app.address(), fast, slow).await);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_slow_connections_are_closed_while_others_are_served() {
    let flags = &["--head-seconds=2", "--body-seconds=2", "--max-requests=4"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let slow = sixty_slow_ones(&app).await;
        let mut served = 0;
        while !slow.iter().all(JoinHandle::is_finished) {
            let started = Instant::now();
            // Each request uses a new connection.
            let client = reqwest::Client::new();
            let query = serde_json::json!({ "query": "{ courses { edges { node { id } } } }" });
            let answer = client.post(app.url("/graphql")).json(&query).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(started.elapsed() < Duration::from_secs(1), "took {:?}", started.elapsed());
            served += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(served > 10, "served {served}");
        for (index, ended) in join_all(slow).await.into_iter().enumerate() {
            let (said, after) = ended.unwrap();
            assert!((1_900..5_000).contains(&after.as_millis()), "{index} after {after:?}");
            if (20..40).contains(&index) {
                assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
                assert!(said.contains(r#""code":"TIMEOUT""#) && said.contains("connection: close"), "{said}");
            } else {
                assert_eq!(said, "");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_nobody_who_has_not_asked() {
    let flags = &["--head-seconds=600", "--body-seconds=600"];
    let app = TestApp::start_with(Backend::Sqlite, flags).await;
    let slow = sixty_slow_ones(&app).await;
    let mut idle = connect(app.address()).await;
    // After these requests, the server has also accepted and read the slow connections.
    for _ in 0..50 {
        ask(&mut idle).await.unwrap();
    }
    let started = Instant::now();
    app.stop().await;
    let stopped = started.elapsed();
    assert!(stopped < Duration::from_secs(3), "the drain deadline is 5 s, and the stop took {stopped:?}");
    for (index, ended) in join_all(slow).await.into_iter().enumerate() {
        let (said, _) = ended.unwrap();
        let answered = said.starts_with("HTTP/1.1 503 ");
        assert_eq!(answered, (20..40).contains(&index), "{index}: {said}");
    }
    assert_eq!(read_to_close(&mut idle).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_rests_longer_than_a_head_may_take() {
    let flags = &["--head-seconds=1", "--idle-seconds=3"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let mut stream = connect(app.address()).await;
        ask(&mut stream).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        ask(&mut stream).await.unwrap();
        let started = Instant::now();
        assert_eq!(read_to_close(&mut stream).await, "");
        let rested = started.elapsed();
        assert!((2_900..4_500).contains(&rested.as_millis()), "closed after {rested:?}");
    })
    .await;
}

/// Clients that send the bodies of webhooks slowly, more than the server handles at once, do not delay other webhooks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_webhooks_hold_no_permits() {
    TestApp::run_with(Backend::Sqlite, &[], async |app| {
        let head = "POST /webhooks/payments/razorpay HTTP/1.1\r\nhost: test\r\ncontent-length: 9\r\n\
                    expect: 100-continue\r\n\r\n";
        let mut slow = Vec::new();
        for _ in 0..40 {
            let mut stream = connect(app.address()).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            // The server asks for the body when its handler waits for it.
            let mut said = Vec::new();
            while !said.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0, "the server closed the connection");
            }
            slow.push(stream);
        }
        let webhook = app.http().post(app.url("/webhooks/payments/razorpay")).body("{}");
        // This server takes no payments. Without a permit it would respond with 503.
        assert_eq!(webhook.send().await.unwrap().status(), 404);
        drop(slow);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excess_connections_wait_for_a_permit() {
    let flags = &["--head-seconds=1", "--max-connections=2"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let silent = [connect(app.address()).await, connect(app.address()).await];
        let started = Instant::now();
        let mut third = connect(app.address()).await;
        ask(&mut third).await.unwrap();
        let waited = started.elapsed();
        assert!((500..2_500).contains(&waited.as_millis()), "waited {waited:?}");
        drop(silent);
    })
    .await;
}

/// The second client of the test uses 127.0.0.2, which is another address of this machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_cannot_take_all_permits() {
    let flags = &["--max-connections=10", "--max-connections-per-address=4"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let mut mine = Vec::new();
        for _ in 0..4 {
            let mut stream = connect(app.address()).await;
            ask(&mut stream).await.unwrap();
            mine.push(stream);
        }
        for _ in 0..20 {
            assert_eq!(read_to_close(&mut connect(app.address()).await).await, "");
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(app.address().parse().unwrap()).await.unwrap();
        ask(&mut other).await.unwrap();
        // When a connection closes, its permit is free again.
        drop(mine.pop());
        let started = Instant::now();
        while ask(&mut connect(app.address()).await).await.is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "the closed connection did not free its permit"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_served_and_closed_when_idle() {
    let flags = &["--head-seconds=1", "--idle-seconds=2"];
    TestApp::run_with(Backend::Sqlite, flags, async |app| {
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        for _ in 0..2 {
            let answer = client.get(app.url("/health/live")).send().await.unwrap();
            assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 200));
            tokio::time::sleep(Duration::from_millis(1_200)).await;
        }
        // This client sends a preface, settings and pings, but never a request.
        let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0";
        let ping = "\0\0\u{8}\u{6}\0\0\0\0\0abcdefgh";
        let (_, after) = trickle(app.address(), preface, ping).await.await.unwrap();
        assert!((900..2_500).contains(&after.as_millis()), "closed after {after:?}");
    })
    .await;
}

/// A client sends 64 bodies of 1 MiB, each without its last byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_cannot_take_all_memory_for_bodies() {
    const BYTES: usize = 1_048_576;
    TestApp::run_with(Backend::Sqlite, &["--body-seconds=60"], async |app| {
        let unfinished_body = async || {
            let mut stream = connect(app.address()).await;
            let head = format!("{HEAD}content-length: {BYTES}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            // The server may close a refused connection before the client has sent everything.
            let _ = stream.write_all(&vec![b' '; BYTES - 1]).await;
            stream
        };
        let mut unfinished = Vec::new();
        for _ in 0..64 {
            unfinished.push(unfinished_body().await);
        }
        // A body of half a megabyte fits into the client's share of the memory only if an unfinished body is gone.
        let query = format!("{{\"query\":\"{{__typename}}\"}}{}", " ".repeat(BYTES / 2));
        let asked = format!("{HEAD}connection: close\r\ncontent-length: {}\r\n\r\n{query}", query.len());
        let ask_from = async |from: &str| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
            let mut stream = socket.connect(app.address().parse().unwrap()).await.unwrap();
            let _ = stream.write_all(asked.as_bytes()).await;
            read_to_close(&mut stream).await
        };
        // The server may not have read all bodies yet, so there may be memory for the request. Then the test sends
        // another unfinished body and waits longer.
        let mut pause = Duration::from_millis(50);
        loop {
            tokio::time::sleep(pause).await;
            if ask_from("127.0.0.1").await.starts_with("HTTP/1.1 503 ") {
                break;
            }
            assert!(pause < Duration::from_secs(10), "the client never reached its share of the memory");
            unfinished.push(unfinished_body().await);
            pause *= 2;
        }
        let other = ask_from("127.0.0.2").await;
        assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
        drop(unfinished);
        let started = Instant::now();
        while !ask_from("127.0.0.1").await.starts_with("HTTP/1.1 200 ") {
            assert!(
                started.elapsed() < Duration::from_secs(40),
                "the closed connections did not free their memory"
            );
        }
    })
    .await;
}
