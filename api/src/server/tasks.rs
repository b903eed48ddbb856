//! Tasks that go on for as long as the server runs.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

/// How long a task that panicked waits before it begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// The long tasks of a server. They end when this is dropped.
#[derive(Default)]
pub(super) struct Tasks(JoinSet<()>);

impl Tasks {
    /// Starts a task. Where it panics, the panic is logged and the task begins again: one bad value must not end the work
    /// for all others.
    pub(super) fn start<F>(&mut self, name: &'static str, task: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(async move {
            // A task keeps what it shares in locks that a panic leaves usable.
            while let Err(panic) = AssertUnwindSafe(task()).catch_unwind().await {
                let cause = panic.downcast_ref::<String>().map(String::as_str);
                let cause = cause.or_else(|| panic.downcast_ref().copied());
                tracing::error!(task = name, cause, "a background task panicked; it begins again");
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_begins_again() {
        let (begun, done) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let mut tasks = Tasks::default();
        let (of_task, tells) = (Arc::clone(&begun), Arc::clone(&done));
        tasks.start("test", move || {
            let (begun, done) = (Arc::clone(&of_task), Arc::clone(&tells));
            async move {
                assert!(begun.fetch_add(1, Ordering::Relaxed) > 0, "the first time");
                done.notify_one();
            }
        });
        tokio::time::timeout(PAUSE * 10, done.notified()).await.expect("it begins again");
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }
}
