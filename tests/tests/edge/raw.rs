//! TCP connections to which a test writes bytes as it likes.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub(crate) async fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).await.expect("the server listens")
}

/// Sends `fast` at once. Then sends `slow` again and again, one byte each 50 ms, until the server closes the
/// connection. The task returns the text that the server sent, and the time until the server closed the connection.
pub(crate) async fn trickle(address: &str, fast: &str, slow: &'static str) -> JoinHandle<(String, Duration)> {
    let started = Instant::now();
    let (mut reader, mut writer) = connect(address).await.into_split();
    writer.write_all(fast.as_bytes()).await.expect("the server listens");
    tokio::spawn(async move {
        let sending = tokio::spawn(async move {
            for byte in slow.bytes().cycle() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                writer.write_all(&[byte]).await?;
            }
            // If `slow` is empty, the connection stays open until the server closes it.
            std::future::pending::<io::Result<()>>().await
        });
        let said = read_to_close(&mut reader).await;
        sending.abort();
        (said, started.elapsed())
    })
}

/// Reads until the server closes the connection, and returns the text. A reset counts as a close.
pub(crate) async fn read_to_close(reader: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&said).into_owned(),
            Ok(read) => said.extend_from_slice(&buffer[..read]),
        }
    }
}

/// Sends a health check, and returns the head and the body of the response. The connection stays open.
pub(crate) async fn ask(stream: &mut TcpStream) -> io::Result<String> {
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n").await?;
    let mut said = Vec::new();
    while !said.ends_with(b"live\n") {
        if stream.read_buf(&mut said).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
