//! Tasks that run for as long as the server does.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use jishu_service::metrics::{Metrics, PanicPlace};
use tokio::task::JoinSet;

/// The pause before a task that panicked is started again.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// The background tasks of a server. Dropping this value stops the tasks.
pub(super) struct BackgroundTasks {
    running: JoinSet<()>,
    /// The metrics that count the panics of tasks.
    metrics: Metrics,
}

impl BackgroundTasks {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { running: JoinSet::new(), metrics }
    }

    /// Starts a task. If the task panics, logs and counts the panic, and starts the task again: one bad value must not
    /// end the work for everyone else.
    pub(super) fn start<F>(&mut self, name: &'static str, task: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let metrics = self.metrics.clone();
        self.running.spawn(async move {
            // The state that a task shares with others is behind locks, which stay usable after a panic.
            while let Err(panic) = AssertUnwindSafe(task()).catch_unwind().await {
                let cause = panic.downcast_ref::<String>().map(String::as_str);
                let cause = cause.or_else(|| panic.downcast_ref().copied());
                tracing::error!(task = name, cause, "a background task panicked and is restarted");
                metrics.panicked(PanicPlace::BackgroundTask);
                tokio::time::sleep(RESTART_DELAY).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use jishu_service::metrics::ExpositionFormat;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_restarted() {
        let (starts, done) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let metrics = Metrics::on();
        let mut tasks = BackgroundTasks::new(metrics.clone());
        let (starts_of_task, notifier) = (Arc::clone(&starts), Arc::clone(&done));
        tasks.start("test", move || {
            let (starts, done) = (Arc::clone(&starts_of_task), Arc::clone(&notifier));
            async move {
                assert!(starts.fetch_add(1, Ordering::Relaxed) > 0, "the first start panics");
                done.notify_one();
            }
        });
        tokio::time::timeout(RESTART_DELAY * 10, done.notified()).await.expect("the task is restarted");
        assert_eq!(starts.load(Ordering::Relaxed), 2);
        let counted = metrics.encode(ExpositionFormat::PrometheusText).unwrap();
        let sample = "jishu_panics_total{place=\"background_task\"} 1";
        assert!(counted.lines().any(|line| line == sample), "{counted}");
    }
}
