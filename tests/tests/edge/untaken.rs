//! Clients that send a request, and then do not read the response or read it a little at a time.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use jishu_tests::{Backend, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::raw::{connect, read_to_close};
use crate::routes::serve;

/// Sends a request over HTTP/2 and waits for the head of the response. The client accepts `window` bytes of the
/// response's body.
async fn ask_over_http2(address: &str, window: u8) -> TcpStream {
    let path = b"/graphql?query=%7B__schema%7Btypes%7Bname%7D%7D%7D";
    let mut asked = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // A frame SETTINGS with SETTINGS_INITIAL_WINDOW_SIZE.
    asked.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, window]);
    // A frame HEADERS of stream 1, with END_STREAM and END_HEADERS: GET, http, a path and an authority.
    let length = u8::try_from(path.len()).unwrap();
    asked.extend([0, 0, length + 8, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 4, length]);
    asked.extend(path);
    asked.extend([1, 2, b'a', b'b']);
    let mut stream = connect(address).await;
    stream.write_all(&asked).await.unwrap();
    let mut said = Vec::new();
    while !said.windows(9).any(|frame| frame[3..] == [1, 4, 0, 0, 0, 1]) {
        assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0, "no head of a response in {said:?}");
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_clients_that_take_nothing_are_given_up() {
    TestApp::run_with(Backend::Sqlite, &["--idle-seconds=2"], async |app| {
        for window in [0, 1] {
            let started = Instant::now();
            let mut stream = ask_over_http2(app.address(), window).await;
            read_to_close(&mut stream).await;
            let kept = started.elapsed();
            assert!((1_900..4_500).contains(&kept.as_millis()), "{window} was kept for {kept:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_them() {
    let app = TestApp::start_with(Backend::Sqlite, &["--idle-seconds=600", "--drain-seconds=60"]).await;
    let _stream = ask_over_http2(app.address(), 0).await;
    let started = Instant::now();
    app.stop().await;
    let stopped = started.elapsed();
    assert!(stopped < Duration::from_secs(6), "the drain deadline is 60 s, and the stop took {stopped:?}");
}

/// The client reads about 3 kB a second. Each read is progress, but the rate is below the minimum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_a_little_at_a_time_is_too_slow() {
    // The body is larger than the system's buffers for a socket.
    let large = Router::new().route("/large", get(async || vec![b'x'; 16 * 1024 * 1024]));
    let server = serve(large, &["--idle-seconds=2"]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.address.parse().unwrap()).await.unwrap();
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut taken = [0; 1_000];
    stream.read_exact(&mut taken).await.unwrap();
    assert!(taken.starts_with(b"HTTP/1.1 200 OK"));
    let started = Instant::now();
    while stream.read_exact(&mut taken).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(15), "the server did not cut the connection");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(
        started.elapsed() > Duration::from_millis(1_900),
        "the server cut the connection before its idle limit"
    );
    server.stop().await;
}

/// The client reads 6 MB in 64 steps over three seconds. That is longer than the idle limit, but far above the minimum
/// rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_steadily_is_fast_enough() {
    const BYTES: usize = 6 * 1024 * 1024;
    let large = Router::new().route("/large", get(async || vec![b'x'; BYTES]));
    let server = serve(large, &["--idle-seconds=1"]).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(server.address.parse().unwrap()).await.unwrap();
    let request = b"GET /large HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut taken = vec![0; BYTES / 64];
    for _ in 0..64 {
        stream.read_exact(&mut taken).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let head = stream.read_to_end(&mut taken).await.unwrap();
    assert!(
        (100..2_000).contains(&head),
        "the response must have 100 to 2,000 bytes besides its body, not {head}"
    );
    server.stop().await;
}
