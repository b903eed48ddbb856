//! Waits for a state that a test can observe, instead of sleeping.

use std::time::Duration;

use sea_orm::DbBackend;
use tokio::time::{Instant, sleep};

use crate::TestApp;

/// Maximum time to wait for a state before the test fails. It is long, because the machine may be busy.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Maximum number of times that a test sends a request to find the smallest number of statements that the request
/// needs.
const MAX_REQUESTS: usize = 20;
/// The pause between two checks of a state.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `look` until it returns a value, and returns this value.
///
/// # Panics
/// Panics with `what` in the message if there is no value after a minute.
pub async fn wait_for<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = look().await {
            return value;
        }
        assert!(started.elapsed() < MAX_WAIT, "waited {MAX_WAIT:?} in vain for {what}");
        sleep(POLL_INTERVAL).await;
    }
}

/// Calls `holds` until it returns true.
///
/// # Panics
/// Panics with `what` in the message if `holds` does not return true within a minute.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, async || holds().await.then_some(())).await;
}

impl TestApp {
    /// Waits until the server has run `count` more statements whose text contains `part`.
    pub async fn wait_for_statements(&self, count: usize, part: &str) {
        let what = format!("{count} more statements with {part:?}");
        self.wait_for_statements_that(count, &what, |sql| sql.contains(part)).await;
    }

    /// Waits until the server has run `count` more statements for which `is_one` returns true. `is_one` gets the text
    /// of a statement without quotation marks and backticks.
    pub async fn wait_for_statements_that(&self, count: usize, what: &str, is_one: impl Fn(&str) -> bool) {
        let already = self.count_statements(&is_one);
        wait_until(what, async || self.count_statements(&is_one) >= already + count).await;
    }

    /// Sends a request again until it runs at most `enough` of the statements for which `is_one` returns true, but at
    /// most 20 times. Returns the statements of the request that ran the fewest. `is_one` gets the text of a statement
    /// without quotation marks and backticks.
    ///
    /// Several requests may be necessary: a loader collects keys only for a short time. On a busy machine, it may read
    /// the rows of one page in two statements.
    pub async fn fewest_statements(
        &self,
        enough: usize,
        is_one: impl Fn(&str) -> bool,
        mut request: impl AsyncFnMut(),
    ) -> Vec<String> {
        let mut fewest: Option<Vec<String>> = None;
        for _ in 0..MAX_REQUESTS {
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

    /// Waits until at least `count` statements on this database wait for a lock. Works on PostgreSQL and MariaDB only.
    /// On MariaDB, a statement counts if it has run for 200 ms.
    pub async fn wait_for_lock_waits(&self, count: i64) {
        let query = match self.services.database.backend() {
            DbBackend::MySql => {
                // InnoDB refreshes its list of transactions only if nobody has read the list for 100 ms, but parallel
                // tests read it. So the query counts statements that have run for 200 ms.
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
