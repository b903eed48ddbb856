//! Starts a server for one test only.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;
use jishu_api::config::ServeConfig;
use jishu_api::server::{self, ServiceParts};
use jishu_service::Services;
use jishu_service::auth::KeyRing;
use jishu_service::clock::Clock;
use jishu_service::database::{Database, DatabaseOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Backend, Client, ManualClock, loopback_client};

/// Flags that switch off the budgets of users and addresses, and the limits of registrations, sign-ins and mails. Tests
/// send more requests from one address in a second than a frontend does in an hour. A test of a limit adds its own
/// flags.
pub const UNLIMITED: &[&str] = &[
    "--user-cost-per-minute=0",
    "--address-cost-per-minute=0",
    "--address-users-cost-per-minute=0",
    "--registrations-per-hour=0",
    "--sign-ins-per-minute=0",
    "--sign-in-failures-per-hour=0",
    "--mails-per-receiver-per-hour=0",
    "--mail-requests-per-hour=0",
];

/// A running server with its database, its clock and the log of its statements.
pub struct TestApp {
    /// The kind of the server's database.
    pub backend: Backend,
    /// The services that the server's resolvers call.
    pub services: Services,
    /// The clock of the server.
    pub clock: Arc<ManualClock>,
    /// The URL of the server's database.
    pub database_url: String,
    origin: String,
    http: reqwest::Client,
    statements: Arc<Mutex<Vec<String>>>,
    node: Option<Node>,
    config: ServeConfig,
    folder: TempDir,
}

/// A jishu server that runs in the process of the test, on a free port of 127.0.0.1.
pub struct Node {
    /// The services that the server's resolvers call.
    pub services: Services,
    origin: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Node {
    async fn start(services: Services, config: ServeConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel();
        let of_server = services.clone();
        let serving = tokio::spawn(async move {
            let engine = config.graphql.engine().expect("no manifest");
            let stop = async {
                let _ = stopped.await;
            };
            let channels = server::channels(&config).expect("the templates render");
            server::run(listener, of_server, (engine, channels), &config, Box::pin(stop)).await
        });
        Self { services, origin, stop, serving }
    }

    /// Returns the URL of a path on this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Stops the server and closes its connections to the database.
    pub async fn stop(self) {
        let database = self.services.database.clone();
        self.stop_serving().await;
        database.close().await.expect("the pools close");
    }

    async fn stop_serving(self) {
        let _ = self.stop.send(());
        self.serving.await.expect("the server does not panic").expect("the server stops");
    }
}

/// Builds the services of a server with this configuration.
///
/// # Panics
/// Panics if an option is wrong or a service does not start.
pub(crate) async fn start_services(
    config: &ServeConfig,
    database: Database,
    clock: Arc<dyn Clock>,
) -> Services {
    let parts = ServiceParts::read(config).expect("the options are right");
    server::services(config, parts, database, clock).await.expect("the services start")
}

/// The configuration of the server. If a flag is given twice, its later value counts.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Config {
    #[command(flatten)]
    serve: ServeConfig,
}

impl TestApp {
    /// Runs a test on a fresh server with a fresh database, then stops the server and removes the database. Skips the
    /// test if `TEST_DATABASES` leaves out this kind of database.
    pub async fn run(backend: Backend, test: impl AsyncFnOnce(Arc<Self>)) {
        Self::run_with(backend, &[], test).await;
    }

    /// Runs a test as [`TestApp::run`] does, on a server with these flags of `jishu serve`.
    pub async fn run_with(backend: Backend, flags: &[&str], test: impl AsyncFnOnce(Arc<Self>)) {
        if !backend.is_selected() {
            eprintln!("skipped: TEST_DATABASES leaves this database out");
            return;
        }
        let app = Arc::new(Self::start_with(backend, flags).await);
        test(Arc::clone(&app)).await;
        let app = Arc::into_inner(app).expect("the test keeps no reference to the app");
        app.stop().await;
    }

    /// Starts a server on a fresh SQLite database.
    pub async fn start() -> Self {
        Self::start_on(Backend::Sqlite).await
    }

    /// Starts a server on a fresh database of this kind.
    pub async fn start_on(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    /// Starts a server on a fresh database, with these flags of `jishu serve`. All limits are off, except those that
    /// the flags set.
    pub async fn start_with(backend: Backend, flags: &[&str]) -> Self {
        Self::start_limited(backend, &[UNLIMITED, flags].concat()).await
    }

    /// Starts a server as [`TestApp::start_with`] does, but with the default limits. The flags can change them.
    pub async fn start_limited(backend: Backend, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database_url = backend.create_migrated(folder.path()).await;
        Self::start_at(backend, database_url, folder, flags).await
    }

    /// Starts a server on the database at this URL, with these flags, after applying all migrations that the database
    /// does not have yet. The server keeps its files in `folder`.
    pub async fn start_at(backend: Backend, database_url: String, folder: TempDir, flags: &[&str]) -> Self {
        let keys = folder.path().join("keys.pem");
        KeyRing::load_or_create(&keys).expect("a signing key");
        let keys = keys.to_str().expect("a path in UTF-8");
        let args = ["test", "--database-url", &database_url, "--signing-keys", keys];
        let settings = ["--catalog-refresh-ms=200", "--drain-seconds=5"];
        let args = args.iter().chain(&settings).chain(flags);
        let config = Config::parse_from(args).serve;

        let statements = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&statements);
        let observer = Arc::new(move |sql: &str| log.lock().expect("never poisoned").push(sql.to_owned()));
        let options = DatabaseOptions { observer: Some(observer), ..config.database_options() };
        let database = Database::connect(&options).await.expect("the database opens");
        database.migrate_up().await.expect("the migrations apply");

        let clock = Arc::new(ManualClock::default());
        let services = start_services(&config, database, Arc::clone(&clock) as Arc<_>).await;
        let node = Node::start(services.clone(), config.clone()).await;
        Self {
            backend,
            services,
            clock,
            database_url,
            origin: node.origin.clone(),
            http: loopback_client().build().expect("a client"),
            statements,
            node: Some(node),
            config,
            folder,
        }
    }

    /// Starts another server on the same database, with the same flags, signing keys and clock.
    pub async fn second_node(&self) -> Node {
        let database = Database::connect(&self.config.database_options()).await.expect("the database opens");
        let clock = Arc::clone(&self.clock) as Arc<_>;
        let services = start_services(&self.config, database, clock).await;
        Node::start(services, self.config.clone()).await
    }

    /// Stops the server and keeps its database, for tests of what clients see when the server stops. Does nothing if
    /// the server has been stopped already.
    pub async fn stop_serving(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop_serving().await;
        }
    }

    /// Stops the server and removes its database.
    pub async fn stop(mut self) {
        // The assignment drops the old HTTP client, which closes the connections that the client kept open.
        self.http = loopback_client().build().expect("a client");
        self.stop_serving().await;
        self.services.database.close().await.expect("the pools close");
        self.backend.remove(&self.database_url).await;
        self.folder.close().expect("the folder can be removed");
    }

    /// Returns the address and port of this server.
    #[must_use]
    pub fn address(&self) -> &str {
        self.origin.trim_start_matches("http://")
    }

    /// Returns the URL of a path on this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Returns the path of the file with the signing keys.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("keys.pem")
    }

    /// Returns the HTTP client, for requests that are not GraphQL.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Returns a client that is not signed in.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        Client::new(self.http.clone(), self.url("/graphql"), None)
    }

    /// Returns a client with this access token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Client {
        Client::new(self.http.clone(), self.url("/graphql"), Some(token.to_owned()))
    }

    /// Returns a connection to the server's database. Statements on it bypass the server's rules.
    #[must_use]
    pub fn connection(&self) -> &DatabaseConnection {
        self.services.database.writer()
    }

    /// Runs a statement on the database directly, without the server's rules.
    pub async fn execute(&self, sql: &str) {
        self.connection().execute_unprepared(sql).await.expect("the statement runs");
    }

    /// Runs a query and returns its only value, a whole number.
    pub async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.services.database.backend(), sql);
        let row = self.connection().query_one_raw(statement).await.expect("the query runs").expect("one row");
        row.try_get_by_index(0)
            .or_else(|_| row.try_get_by_index::<i32>(0).map(i64::from))
            .expect("a whole number")
    }

    /// Returns the SQL statements that the server has run since the last call. Leaves out the statements that the
    /// server's tasks repeat all the time. These tasks look for overdue sittings, ended terms, deactivated accounts,
    /// ended sessions, due orders, messages to deliver, secrets to seal again, rows to erase and tables that have
    /// grown.
    #[must_use]
    pub fn take_statements(&self) -> Vec<String> {
        let mut statements = std::mem::take(&mut *self.statements.lock().expect("never poisoned"));
        let of_tasks = [
            "test_sessions.expires_at <",
            "entitlements.live =",
            "successor_until <=",
            "sign_in_networks.seen_at <=",
            "INNER JOIN audit_events",
            "account_links.expires_at <=",
            "refresh_tokens.revoked_at >",
            "second_factors.sealed_by <>",
            "sign_in_challenges.expires_at <=",
            "oidc_logins.expires_at <=",
            "FROM outbox",
            "UPDATE outbox",
            "orders.due_at <=",
            "FROM pg_class",
            "ANALYZE (SKIP_LOCKED)",
        ];
        statements.retain(|sql| {
            let sql = sql.replace(['"', '`'], "");
            !of_tasks.iter().any(|part| sql.contains(part))
        });
        statements
    }

    /// Counts the SQL statements since the last call of [`TestApp::take_statements`] for which `is_one` returns true.
    /// `is_one` gets the text of a statement without quotation marks and backticks.
    pub(crate) fn count_statements(&self, is_one: impl Fn(&str) -> bool) -> usize {
        let statements = self.statements.lock().expect("never poisoned");
        statements.iter().filter(|sql| is_one(&sql.replace(['"', '`'], ""))).count()
    }

    /// Counts the rows of most tables that requests about accounts, carts, purchases, orders and sittings write to. A
    /// test compares the counts before and after a request to assert that the request added and deleted no rows there.
    pub async fn row_counts(&self) -> Vec<(&'static str, i64)> {
        let mut counts = Vec::new();
        for table in [
            "users",
            "refresh_tokens",
            "sign_in_networks",
            "second_factors",
            "recovery_codes",
            "sign_in_challenges",
            "oidc_identities",
            "oidc_logins",
            "cart_items",
            "purchases",
            "purchase_requests",
            "entitlements",
            "mock_test_attempts",
            "test_sessions",
            "test_answers",
            "extra_times",
            "refunds",
            "refund_lines",
            "refund_repeats",
            "purchase_grants",
            "allowances",
            "orders",
            "order_lines",
            "payment_events",
            "payment_refunds",
            "audit_events",
        ] {
            counts.push((table, self.number(&format!("SELECT COUNT(*) FROM {table}")).await));
        }
        counts
    }
}
