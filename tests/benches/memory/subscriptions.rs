//! The memory of standing subscriptions.

use std::time::Duration;

use jishu_tests::Socket;
use jishu_tests::load::{ServerProcess, resident_kilobytes};

/// Number of subscriptions, each over a WebSocket of its own.
const SUBSCRIPTIONS: usize = 2_000;
const WATCH_CARDS: &str =
    "subscription { mockTestAttemptChanged { id status attemptsUsed remainingAttempts } }";
/// Time in which the allocator returns memory that the handshakes used.
const SETTLING: Duration = Duration::from_secs(3);

/// Opens the subscriptions, and prints the memory for each.
pub(crate) async fn measure(server: &ServerProcess, tokens: &[String]) {
    tokio::time::sleep(SETTLING).await;
    let before = resident_kilobytes(server.id());
    let mut sockets = Vec::new();
    for at in 0..SUBSCRIPTIONS {
        sockets.push(Socket::subscribed(server.port, &tokens[at % tokens.len()], WATCH_CARDS).await);
    }
    tokio::time::sleep(SETTLING).await;
    let after = resident_kilobytes(server.id());
    let count = f64::from(u32::try_from(SUBSCRIPTIONS).expect("few"));
    println!(
        "  {SUBSCRIPTIONS} standing subscriptions: {:.1} KB each ({:.1} MB before, {:.1} MB with them)",
        (after - before) / count,
        before / 1e3,
        after / 1e3
    );
}
