//! The schema of the database: migrating up and down, and the rows that its constraints refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jishu_service::database::{Database, DatabaseOptions, MigrateError};
use jishu_tests::{TestApp, on_each_database, structure};
use rand::RngExt;
use sea_orm::{ConnectionTrait, SqlErr};

on_each_database!(
    migrations_go_down_and_up_again,
    a_migration_that_is_cut_off_is_finished_by_the_next_run,
    a_table_that_is_not_ours_stops_a_migration,
    the_status_of_an_empty_database_writes_nothing,
    the_database_refuses_what_must_not_be,
);

async fn migrations_go_down_and_up_again(app: Arc<TestApp>) {
    let migrations = app.services.database.migrations().await.unwrap();
    let all = u32::try_from(migrations.len()).unwrap();
    app.services.database.migrate_down(all).await.unwrap();
    app.connection().execute_unprepared("SELECT 1 FROM users").await.expect_err("the tables are gone");
    eight_nodes_migrate_at_once(&app).await;
    assert_eq!(app.number("SELECT COUNT(*) FROM mock_test_attempts").await, 0);
    app.services.database.migrate_up().await.expect("a repeated migration is no error");
}

async fn eight_nodes_migrate_at_once(app: &TestApp) {
    let nodes = (0..8).map(async |_| {
        let database = Database::connect(&DatabaseOptions::new(&app.database_url)).await.unwrap();
        database.migrate_up().await.expect("one migrates, the others wait");
        assert!(database.migrations().await.unwrap().iter().all(|migration| migration.applied));
        database.close().await.unwrap();
    });
    futures_util::future::join_all(nodes).await;
}

/// Returns the number of statements between two cuts: 24, or the variable `MIGRATION_CUTS`. `MIGRATION_CUTS=1` cuts
/// after each statement.
fn stride() -> usize {
    std::env::var("MIGRATION_CUTS").map_or(24, |stride| stride.parse().expect("a number"))
}

/// Cuts migrations off after some statement, and lets the next run finish them. The first cut is random, so that
/// repeated runs of this test cut after every statement.
async fn a_migration_that_is_cut_off_is_finished_by_the_next_run(app: Arc<TestApp>) {
    let whole = structure(app.connection()).await;
    let all = u32::try_from(app.services.database.migrations().await.unwrap().len()).unwrap();
    let stride = stride();
    for cut_after in (rand::rng().random_range(1..=stride)..).step_by(stride) {
        let folder = tempfile::tempdir().unwrap();
        let url = app.backend.create(folder.path()).await;

        let up_ended = cut_off(&url, cut_after, |database| async move { database.migrate_up().await }).await;
        let database = Database::connect(&DatabaseOptions::new(&url)).await.unwrap();
        database
            .migrate_up()
            .await
            .unwrap_or_else(|error| panic!("migrating up, cut off at statement {cut_after}: {error}"));
        assert_eq!(
            structure(database.writer()).await,
            whole,
            "migrating up, cut off at statement {cut_after}"
        );

        let down_ended =
            cut_off(&url, cut_after, |database| async move { database.migrate_down(all).await }).await;
        database
            .migrate_down(all)
            .await
            .unwrap_or_else(|error| panic!("migrating down, cut off at statement {cut_after}: {error}"));
        database.migrate_up().await.unwrap_or_else(|error| {
            panic!("migrating down, cut off at statement {cut_after}, then up: {error}")
        });
        assert_eq!(
            structure(database.writer()).await,
            whole,
            "migrating down, cut off at statement {cut_after}, then up"
        );

        database.close().await.unwrap();
        app.backend.remove(&url).await;
        if up_ended && down_ended {
            assert!(cut_after > 20, "too few statements were counted");
            return;
        }
    }
}

/// Runs migrations, and cuts them off by a panic after `cut_after` statements that change the database. Returns true if
/// the migrations ended before that.
async fn cut_off<M>(url: &str, cut_after: usize, migrate: impl FnOnce(Database) -> M) -> bool
where
    M: Future<Output = Result<(), MigrateError>> + Send + 'static,
{
    let changes = AtomicUsize::new(0);
    let observer = move |statement: &str| {
        let changed =
            ["CREATE", "ALTER", "INSERT", "DROP", "DELETE"].iter().any(|verb| statement.starts_with(verb));
        if changed && changes.fetch_add(1, Ordering::SeqCst) + 1 == cut_after {
            std::panic::resume_unwind(Box::new("cut off"));
        }
    };
    let options = DatabaseOptions { observer: Some(Arc::new(observer)), ..DatabaseOptions::new(url) };
    let database = Database::connect(&options).await.unwrap();
    match tokio::spawn(migrate(database.clone())).await {
        Ok(result) => {
            result.unwrap();
            database.close().await.unwrap();
            true
        }
        Err(error) => {
            assert!(error.is_panic());
            database.close().await.unwrap();
            false
        }
    }
}

/// A table that jishu did not make, such as one of the old system, stops the migration and is not changed.
async fn a_table_that_is_not_ours_stops_a_migration(app: Arc<TestApp>) {
    let folder = tempfile::tempdir().unwrap();
    let url = app.backend.create(folder.path()).await;
    let database = Database::connect(&DatabaseOptions::new(&url)).await.unwrap();
    let theirs = "CREATE TABLE purchases (id INTEGER NOT NULL PRIMARY KEY, user_id INTEGER NOT NULL)";
    database.writer().execute_unprepared(theirs).await.unwrap();
    let before = structure(database.writer()).await;
    database.migrate_up().await.expect_err("the name is taken");
    let after = structure(database.writer()).await;
    let kept = |table: &Vec<String>| after.contains(table);
    assert!(before.iter().all(kept), "the table was changed: {after:?}");
    assert!(database.migrations().await.unwrap().iter().any(|migration| !migration.applied));
    database.close().await.unwrap();
    app.backend.remove(&url).await;
}

async fn the_status_of_an_empty_database_writes_nothing(app: Arc<TestApp>) {
    let folder = tempfile::tempdir().unwrap();
    let url = app.backend.create(folder.path()).await;
    let database = Database::connect(&DatabaseOptions::new(&url)).await.unwrap();
    assert!(database.migrations().await.unwrap().iter().all(|migration| !migration.applied));
    database
        .writer()
        .execute_unprepared("SELECT 1 FROM seaql_migrations")
        .await
        .expect_err("no table was made");
    database.close().await.unwrap();
    app.backend.remove(&url).await;
}

/// Writes rows by SQL, without the server's rules, and checks that constraints refuse rows that contradict each other.
async fn the_database_refuses_what_must_not_be(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).create(&app).await;
    app.learner("Asha").await;
    let (user, physics) = (app.number("SELECT MAX(id) FROM users").await, course.subject_rows[0].0);
    let chemistry = course.subject_rows[1].0;
    let purchase = |id: i64| {
        format!(
            "INSERT INTO purchases (id, user_id, course_id, purchase_type, cost, currency, status, created_at) \
             SELECT {id}, id, {}, 'single_subject', 0, 'INR', 'active', created_at FROM users WHERE id = {user}",
            course.row
        )
    };
    let request = |purchase: i64| {
        format!(
            "INSERT INTO purchase_requests (user_id, idempotency_key, request_hash, outcome, purchase_id, created_at) \
             SELECT id, 'a', '', 'created', {purchase}, created_at FROM users WHERE id = {user}"
        )
    };
    let entitlement = |purchase: i64, subject: i64| {
        format!(
            "INSERT INTO entitlements (purchase_id, subject_id, user_id, price_paid, test_cards, granted_at) \
         SELECT {purchase}, {subject}, id, 0, 50, created_at FROM users WHERE id = {user}"
        )
    };
    let card = |purchase: i64, subject: i64, number: i64| {
        format!(
            "INSERT INTO mock_test_attempts (purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used) \
         VALUES ({purchase}, {user}, {subject}, {number}, 'available', 3, 0)"
        )
    };
    for allowed in [
        purchase(101),
        purchase(102),
        request(101),
        entitlement(101, physics),
        entitlement(101, chemistry),
        card(101, physics, 1),
        card(101, chemistry, 1),
        card(101, physics, 2),
        // A user may have an ended entitlement and a live entitlement to the same subject.
        "UPDATE entitlements SET ended_at = granted_at WHERE purchase_id = 101".to_owned(),
        entitlement(102, physics),
    ] {
        app.execute(&allowed).await;
    }
    let refused = async |sql: String| {
        let error = app
            .connection()
            .execute_unprepared(&sql)
            .await
            .err()
            .unwrap_or_else(|| panic!("not refused: {sql}"));
        error.sql_err()
    };
    let is_unique = |error: Option<SqlErr>| matches!(error, Some(SqlErr::UniqueConstraintViolation(_)));
    let is_foreign = |error: Option<SqlErr>| matches!(error, Some(SqlErr::ForeignKeyConstraintViolation(_)));
    assert!(is_unique(refused(request(102)).await), "an idempotency key was accepted twice");
    assert!(is_unique(refused(card(101, physics, 1)).await), "a duplicate card was accepted");
    assert!(is_foreign(refused(card(102, chemistry, 1)).await), "a card without an entitlement was accepted");
    refused(card(102, physics, 0)).await;
    let both_live =
        format!("UPDATE entitlements SET ended_at = NULL WHERE purchase_id = 101 AND subject_id = {physics}");
    assert!(is_unique(refused(both_live).await), "a second live entitlement was accepted");
    refused(format!("DELETE FROM users WHERE id = {user}")).await;
    refused("DELETE FROM purchases WHERE id = 101".to_owned()).await;
    refused("UPDATE mock_test_attempts SET attempts_used = 4".to_owned()).await;
}
