//! Waiting for a state that a test can observe, in place of a pause of some length.

use std::time::Duration;

use sea_orm::DbBackend;
use tokio::time::{Instant, sleep};

use crate::TestApp;

/// How long a state may take to come before the test fails: long, because the machine may be busy.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a request is sent to see its fewest statements.
const MOST_TRIES: usize = 20;
/// The pause between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Looks again and again until there is a value, and returns it.
///
/// # Panics
/// Panics with `what` if there is no value after a minute.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(started.elapsed() < LONGEST_WAIT, "waited {LONGEST_WAIT:?} in vain for {what}");
        sleep(POLL_INTERVAL).await;
    }
}

/// Checks again and again until a condition holds.
///
/// # Panics
/// Panics with `what` if the condition does not hold after a minute.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, async || holds().await.then_some(())).await;
}

impl TestApp {
    /// Waits until the server has run `count` more statements whose text contains `part`.
    pub async fn wait_for_statements(&self, count: usize, part: &str) {
        let what = format!("{count} more statements with {part:?}");
        self.wait_for_statements_that(count, &what, |sql| sql.contains(part)).await;
    }

    /// Waits until the server has run `count` more statements of some kind. Their text comes without quotes.
    pub async fn wait_for_statements_that(&self, count: usize, what: &str, is_one: impl Fn(&str) -> bool) {
        let already = self.count_statements(&is_one);
        wait_until(what, async || self.count_statements(&is_one) >= already + count).await;
    }

    /// Sends a request until its statements of some kind are at most `enough`, and returns the fewest. Their text comes
    /// without quotes.
    ///
    /// A loader gathers keys for a moment only. On a busy machine, it may read the rows of one page in two statements.
    pub async fn fewest_statements(
        &self,
        enough: usize,
        is_one: impl Fn(&str) -> bool,
        mut request: impl AsyncFnMut(),
    ) -> Vec<String> {
        let mut fewest: Option<Vec<String>> = None;
        for _ in 0..MOST_TRIES {
            let _ = self.take_statements();
            request().await;
            let statements = self.take_statements().into_iter().map(|sql| sql.replace(['"', '`'], ""));
            let statements: Vec<String> = statements.filter(|sql| is_one(sql)).collect();
            if fewest.as_ref().is_none_or(|fewest| statements.len() < fewest.len()) {
                fewest = Some(statements);
            }
            if fewest.as_ref().is_some_and(|fewest| fewest.len() <= enough) {
                break;
            }
        }
        fewest.unwrap_or_default()
    }

    /// Waits until `count` statements on this database wait for a lock. SQLite does not tell.
    pub async fn wait_for_lock_waits(&self, count: i64) {
        let query = match self.services.database.backend() {
            DbBackend::MySql => {
                // The list of InnoDB's transactions is read again only if nobody has read it for 100 ms, which tests side
                // by side prevent. A statement that runs for 200 ms waits for a lock.
                "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info IS NOT NULL \
                 AND id <> CONNECTION_ID() AND time_ms > 200"
            }
            _ => {
                "SELECT COUNT(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'"
            }
        };
        wait_until("statements that wait for a lock", async || self.number(query).await >= count).await;
    }
}
