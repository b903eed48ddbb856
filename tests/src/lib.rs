//! Helpers of the tests and the benchmarks: real servers with databases of their own, clients that send requests over
//! HTTP, and fakes of mail servers and payment providers.

// The async blocks of tests that start an app are nested deeply, so the compiler needs a higher limit.
#![recursion_limit = "256"]
#![expect(clippy::expect_used, reason = "a test may panic at the first failure")]

mod app;
mod bank;
pub mod bench_data;
pub mod bench_page;
pub mod bench_server;
pub mod bench_token;
pub mod burst;
mod catalogue;
mod client;
mod clock;
pub mod database_cpu;
mod databases;
mod live;
pub mod load;
mod mail_server;
pub mod payments;
pub mod pgbench;
mod pictures;
pub mod process;
pub mod purchases;
mod requests;
mod round_trips;
mod rule_violations;
mod sittings;
mod structure;
mod template;
mod wait;

pub use app::{Node, TestApp, UNLIMITED};
pub use bank::{EXPLANATION, NUMBER, TEXT, TOLERANCE, TOPICS, fill_bank, judged, kind};
pub use catalogue::{CourseBuilder, TestCourse, global_id};
pub use client::{Client, GraphqlResponse, loopback_client};
pub use clock::ManualClock;
pub use databases::Backend;
pub use live::{EventStream, Socket};
pub use mail_server::{CaughtMail, MailServer, MailServerMode, ReceiverCheck};
pub use pictures::{base64, media_keys, moodle_file, package, png};
pub use requests::*;
pub use round_trips::RoundTripCounter;
pub use rule_violations::RULE_VIOLATIONS;
pub use sittings::{KEY_FIELDS, TIME_LIMIT, TestSitting};
pub use structure::{rows, structure};
pub use wait::{wait_for, wait_until};

/// Makes three tests of each function, one for each database: `sqlite::name`, `postgres::name` and `mariadb::name`.
///
/// Each function takes an `Arc<TestApp>` of its own, as [`TestApp::run`] gives it.
#[macro_export]
macro_rules! on_each_database {
    ($($name:ident),+ $(,)?) => {
        $crate::on_each_database!(@ sqlite, Sqlite, $($name),+);
        $crate::on_each_database!(@ postgres, Postgres, $($name),+);
        $crate::on_each_database!(@ mariadb, MariaDb, $($name),+);
    };
    (@ $module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    $crate::TestApp::run($crate::Backend::$backend, super::$name).await;
                }
            )+
        }
    };
}
