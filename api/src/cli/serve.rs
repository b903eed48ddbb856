//! The command `jishu serve`: runs the server until a signal stops it.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jishu_entity::user::{self, Role};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::CommandResult;
use super::signals::stop_signal;
use crate::config::{ListenAddress, ServeConfig};
use crate::{http, server};
use jishu_service::Services;
use jishu_service::adopt::refuse_unfinished;
use jishu_service::auth::Viewer;
use jishu_service::clock::SystemClock;
use jishu_service::database::Database;
use jishu_service::demo::{self, DemoAccount};

/// The time for which the token that `--demo` prints is valid.
const DEMO_TOKEN_TTL: Duration = Duration::from_secs(12 * 60 * 60);

/// The maximum number of connections of clients that wait to be accepted. The operating system may allow fewer.
const LISTEN_BACKLOG: u32 = 1_024;

/// The maximum number of connections of Prometheus that wait to be accepted.
const METRICS_BACKLOG: u32 = 16;

/// Maximum time that the connections to the database may take to close when the server ends.
const DATABASE_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: ServeConfig) -> CommandResult {
    // From now on, a signal stops the server in an orderly way, even while the server starts.
    let stop = logged_stop_signal()?.boxed().shared();
    // Bind the ports, and check the options and the files that they name, before opening the database. If one of these
    // steps fails, the database is unchanged. Only a file of signing keys that no option names is read later.
    let listener = bind(&config.listen, "--listen", LISTEN_BACKLOG).await?;
    let metrics_listener = metrics_listener(&config).await?;
    let engine = config.graphql.engine()?;
    let channels = server::channels(&config)?;
    let parts = server::ServiceParts::read(&config)?;
    let options = config.database_options();
    // From now on, Prometheus can read metrics of the start, too. The task that serves metrics ends with this function.
    let mut metrics = JoinSet::new();
    if let Some(listener) = metrics_listener {
        metrics.spawn(server::serve_metrics(listener, options.metrics.clone()));
    }
    // Migrations may take long. Meanwhile this server responds to health checks of load balancers that the node is
    // starting.
    let starting = server::StartingServer::start(&listener, &config.edge)?;
    let database = tokio::select! {
        database = Database::connect(&options) => database?,
        () = stop.clone() => return Ok(()),
    };
    let started = tokio::select! {
        started = start(&config, parts, database.clone(), listener, starting) => started.map(Some),
        () = stop.clone() => Ok(None),
    };
    let served = match started {
        Ok(Some((services, listener))) => {
            server::run(listener, services, (engine, channels), &config, Box::pin(stop))
                .await
                .map_err(Into::into)
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if tokio::time::timeout(DATABASE_CLOSE_TIMEOUT, database.close()).await.is_err() {
        tracing::warn!(
            seconds = DATABASE_CLOSE_TIMEOUT.as_secs(),
            "the database connections did not close in time; the database rolls back the running statements"
        );
    }
    served?;
    tracing::info!("the server has stopped");
    Ok(())
}

/// Binds a port and listens. `flag` is the flag of the address, which the error names.
async fn bind(listen: &ListenAddress, flag: &str, backlog: u32) -> Result<TcpListener, String> {
    let bound = async {
        let address = listen.resolve().await?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    };
    bound.await.map_err(|error| format!("cannot listen on {listen}: {error}. Choose another {flag}"))
}

/// Starts to listen for Prometheus. Returns None if `--metrics-listen` is not given.
async fn metrics_listener(config: &ServeConfig) -> Result<Option<TcpListener>, String> {
    let Some(listen) = &config.observe.metrics_listen else { return Ok(None) };
    let listener = bind(listen, "--metrics-listen", METRICS_BACKLOG).await?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("the address of --metrics-listen cannot be read: {error}"))?;
    tracing::info!(metrics = %address, "metrics are served under /metrics");
    Ok(Some(listener))
}

/// Checks the database. Migrates an embedded database, and with `--migrate` also a database on a server. Without
/// `--migrate`, refuses a database on a server that has pending migrations. Then builds the services, and ends the
/// server that responded during the start. With `--demo`, also adds the demo, and prints its links and accounts.
async fn start(
    config: &ServeConfig,
    parts: server::ServiceParts,
    database: Database,
    listener: TcpListener,
    starting: server::StartingServer,
) -> Result<(Services, TcpListener), Box<dyn Error + Send + Sync>> {
    // The demo refuses a database with other courses or users. The second migration makes the tables of the catalogue.
    // If they exist, the check runs before anything is written. Otherwise, it runs after the migrations.
    database.refuse_newer().await?;
    let has_catalogue = database.migrations().await?.iter().filter(|state| state.applied).count() >= 2;
    if config.demo && has_catalogue {
        demo::refuse_other_content(&database).await?;
    }
    if config.database.is_embedded() || config.migrate {
        database.migrate_up().await?;
    } else {
        refuse_pending(&database).await?;
    }
    refuse_unfinished(&database).await?;
    if config.demo && !has_catalogue {
        demo::refuse_other_content(&database).await?;
    }
    let services = server::services(config, parts, database, Arc::new(SystemClock)).await?;
    let address = listener.local_addr()?;
    starting.end().await;
    if !http::is_self_hosted() {
        tracing::warn!(
            "this build does not embed GraphiQL, so the page of GraphiQL loads its code from cdn.jsdelivr.net; install npm \
             and build again to embed it"
        );
    }
    if config.mail.smtp_url.is_none() && config.mail.mail_folder.is_none() {
        tracing::info!(
            "mails are not sent; give --smtp-url to send them, or --mail-folder to write them into files"
        );
    }
    tracing::info!(%address, "the server is listening");
    if config.demo {
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "the accounts of the demo have public passwords, and other machines can reach this address; use --demo \
                 only on a loopback address"
            );
        }
        print_demo(&services, &format!("http://{address}")).await?;
    }
    Ok((services, listener))
}

/// Refuses a database of the old system, a database with pending migrations, and a database that a newer version has
/// migrated. Accepts migrations of a newer version that only add to the schema.
pub(super) async fn refuse_pending(database: &Database) -> CommandResult {
    database.refuse_newer().await?;
    database.refuse_old_system().await?;
    let migrations = database.migrations().await?;
    let names: Vec<_> = migrations
        .into_iter()
        .filter(|migration| !migration.applied)
        .map(|migration| migration.name)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the schema of the database is not up to date. Pending migrations: {}. Run `jishu migrate up`, or start the \
         server with --migrate",
        names.join(", ")
    )
    .into())
}

async fn print_demo(services: &Services, url: &str) -> CommandResult {
    let token_of = |user: &user::Model| {
        let viewer = Viewer { user_id: user.id, role: user.role, session_id: Uuid::new_v4() };
        services.tokens.issue_for(viewer, services.clock.now(), DEMO_TOKEN_TTL)
    };
    let token = token_of(&demo::seed(services).await?)?.token;
    println!(
        "\njishu is ready, with a demo catalogue.\n\n\
         GraphiQL   {url}/#token={token}\n\
         \x20          its tabs go from the catalogue to the result of a test\n\
         Endpoint   {url}/graphql\n\
         Learner    {email}  password {password}\n\
         Token      {token}\n\n\
         A first query:\n\n\
         curl -s {url}/graphql -H 'content-type: application/json' -H 'authorization: Bearer {token}' \\\n  \
         -d '{{\"query\":\"{{ viewer {{ name }} courses {{ edges {{ node {{ id name bundlePrice {{ amount currency \
         }} subjects {{ edges {{ node {{ id name price {{ amount }} }} }} }} }} }} }} }}\"}}'\n",
        email = demo::LEARNER_EMAIL,
        password = demo::LEARNER_PASSWORD,
    );
    println!(
        "Accounts of staff, each with tabs of its own in GraphiQL. Open each link in a new browser tab.\n"
    );
    for account in demo::ACCOUNTS.iter().filter(|account| account.role != Role::Learner) {
        let token = token_of(&account.find_or_add(services).await?)?.token;
        let DemoAccount { email, password, .. } = account;
        println!("{email}  password {password}\n           {url}/#token={token}\n");
    }
    Ok(())
}

/// Returns a future that completes at SIGTERM or Ctrl-C, and logs that the server is stopping. The signals are caught
/// from this call on, even before the future is polled.
fn logged_stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let received = stop_signal()?;
    Ok(async {
        received.await;
        tracing::info!("the server is stopping and finishes the running requests");
    })
}
