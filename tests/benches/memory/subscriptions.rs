//! Measures the memory of subscriptions that stay open.

use std::time::Duration;

use jishu_tests::Socket;
use jishu_tests::load::{ServerProcess, resident_kilobytes};

/// Number of subscriptions that are opened before the measurement, so that pools, plans and caches are filled.
const WARMING_SUBSCRIPTIONS: usize = 100;
/// Number of subscriptions that are measured, each over a WebSocket of its own.
const SUBSCRIPTIONS: usize = 2_000;
const WATCH_CARDS: &str =
    "subscription { mockTestAttemptChanged { id status attemptsUsed remainingAttempts } }";
/// Time to wait until the allocator has returned the memory that the handshakes used.
const SETTLING: Duration = Duration::from_secs(3);

/// Opens the subscriptions on a server that has served nothing else, and prints the memory per subscription.
pub(crate) async fn measure(server: &ServerProcess, tokens: &[String]) {
    let mut sockets = Vec::new();
    let before = with_subscriptions(server, tokens, &mut sockets, WARMING_SUBSCRIPTIONS).await;
    let all = WARMING_SUBSCRIPTIONS + SUBSCRIPTIONS;
    let after = with_subscriptions(server, tokens, &mut sockets, all).await;
    let count = f64::from(u32::try_from(SUBSCRIPTIONS).expect("few"));
    println!(
        "  a standing subscription: {:.1} KB ({:.1} MB resident with {WARMING_SUBSCRIPTIONS}, {:.1} MB with {all})",
        (after - before) / count,
        before / 1e3,
        after / 1e3
    );
}

/// Opens subscriptions until there are `count`, waits, and returns the resident memory of the server in KB.
async fn with_subscriptions(
    server: &ServerProcess,
    tokens: &[String],
    sockets: &mut Vec<Socket>,
    count: usize,
) -> f64 {
    for at in sockets.len()..count {
        sockets.push(Socket::subscribed(server.port, &tokens[at % tokens.len()], WATCH_CARDS).await);
    }
    tokio::time::sleep(SETTLING).await;
    resident_kilobytes(server.id())
}
