//! Counts the round trips between the server and its database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A listener in front of a database server. It passes on all bytes in both directions, and counts round trips.
///
/// A round trip begins when a connection sends its first bytes to the database, or sends bytes after it has received
/// some. When a connection returns to the pool, the pool tests it with a ping. Such pings do not count, because no
/// request waits for them.
pub struct RoundTripCounter {
    url: String,
    round_trips: Arc<AtomicUsize>,
}

impl RoundTripCounter {
    /// Starts to listen in front of the database at this URL. The listener ends with the runtime.
    ///
    /// # Panics
    /// Panics if the URL has no host or no port.
    pub async fn in_front_of(database_url: &str) -> Self {
        let mut url = url::Url::parse(database_url).expect("a URL");
        let database = (url.host_str().expect("a host").to_owned(), url.port().expect("a port"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        url.set_port(Some(port)).expect("a URL with a port");
        let round_trips = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&round_trips);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server =
                    TcpStream::connect((database.0.as_str(), database.1)).await.expect("the database");
                tokio::spawn(pass_on(client, server, Arc::clone(&counter)));
            }
        });
        Self { url: url.into(), round_trips }
    }

    /// Returns the database URL with the port of this listener.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the number of round trips so far.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::SeqCst)
    }
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, round_trips: Arc<AtomicUsize>) {
    client.set_nodelay(true).expect("the socket takes the option");
    server.set_nodelay(true).expect("the socket takes the option");
    let (mut sent, mut received) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut is_answered = true;
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(bytes @ 1..) = read else { return };
                if std::mem::take(&mut is_answered) && !is_ping(&sent[..bytes]) {
                    round_trips.fetch_add(1, Ordering::SeqCst);
                }
                if server.write_all(&sent[..bytes]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut received) => {
                let Ok(bytes @ 1..) = read else { return };
                is_answered = true;
                if client.write_all(&received[..bytes]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Returns whether these bytes are a ping of sqlx. On PostgreSQL, a ping is a message Sync alone. On MariaDB, a ping is
/// the command `COM_PING`.
fn is_ping(bytes: &[u8]) -> bool {
    const POSTGRES: &[u8] = b"S\0\0\0\x04";
    const MARIADB: &[u8] = b"\x01\0\0\0\x0e";
    bytes == POSTGRES || bytes == MARIADB
}
