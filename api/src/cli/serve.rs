//! `jishu serve`.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal;
use uuid::Uuid;

use super::CommandResult;
use crate::auth::Viewer;
use crate::clock::SystemClock;
use crate::config::ServeConfig;
use crate::database::Database;
use crate::service::{Services, demo};
use crate::{http, server};

/// How long the token works that `--demo` prints.
const DEMO_TOKEN: Duration = Duration::from_secs(12 * 60 * 60);

/// How long the database's connections may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(config: ServeConfig) -> CommandResult {
    let database = Database::connect(&config.database_options()).await?;
    if config.database.is_embedded() || config.migrate {
        database.migrate_up().await?;
    } else {
        refuse_pending(&database).await?;
    }
    let engine = config.graphql.engine()?;
    let services = server::services(&config, database.clone(), Arc::new(SystemClock)).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}. Choose another --listen", config.listen))?;
    let address = listener.local_addr()?;
    if !http::is_self_hosted() {
        tracing::warn!(
            "GraphiQL is not in this build; its page loads it from cdn.jsdelivr.net. Build with npm at hand to \
             embed it"
        );
    }
    tracing::info!(%address, "serving");
    if config.demo {
        if !address.ip().is_loopback() {
            tracing::warn!(
                "the demo learner's password is known to everybody, and this address is not loopback"
            );
        }
        print_demo(&services, &format!("http://{address}")).await?;
    }
    server::run(listener, services, engine, &config, stop_signal()).await?;
    if tokio::time::timeout(CLOSE_TIMEOUT, database.close()).await.is_err() {
        tracing::warn!(
            "statements were still under way when the server stopped; the database rolls them back"
        );
    }
    tracing::info!("stopped");
    Ok(())
}

async fn refuse_pending(database: &Database) -> CommandResult {
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
        "the database lacks {} migration(s): {}. Run `jishu migrate up`, or start with --migrate",
        names.len(),
        names.join(", ")
    )
    .into())
}

async fn print_demo(services: &Services, url: &str) -> CommandResult {
    let learner = demo::seed(services).await?;
    let viewer = Viewer { user_id: learner.id, role: learner.role, session_id: Uuid::new_v4() };
    let token = services.tokens.issue_for(viewer, services.clock.now(), DEMO_TOKEN)?.token;
    println!(
        "\njishu is ready, with a demo catalogue.\n\n\
         GraphiQL   {url}/#token={token}\n\
         \x20          its tabs lead from the catalogue to the result of a test\n\
         Endpoint   {url}/graphql\n\
         Learner    {email}  password {password}\n\
         Token      {token}\n\n\
         A first query:\n\n\
         curl -s {url}/graphql -H 'content-type: application/json' -H 'authorization: Bearer {token}' \\\n  \
         -d '{{\"query\":\"{{ viewer {{ name }} courses {{ edges {{ node {{ id name bundlePrice {{ amount currency \
         }} subjects {{ edges {{ node {{ id name price {{ amount }} }} }} }} }} }} }} }}\"}}'\n",
        email = demo::EMAIL,
        password = demo::PASSWORD,
    );
    Ok(())
}

/// SIGTERM or Ctrl-C.
async fn stop_signal() {
    let interrupt = async {
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
    tracing::info!("stopping: finishing what is under way");
}
