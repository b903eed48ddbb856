//! Putting the server together, and running it until it is told to stop.

mod accept;
mod answering;
mod connection;
mod places;
mod socket;
mod tasks;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;

use crate::auth::{AccessTokens, KeyError, KeyRing, PasswordError, Passwords};
use crate::clock::Clock;
use crate::config::{EdgeConfig, ServeConfig};
use crate::database::Database;
use crate::graphql;
use crate::http::{self, Stopping};
use crate::limit::Limits;
use crate::service::catalog::Catalog;
use crate::service::events::Events;
use crate::service::paper::Papers;
use crate::service::session::{self, Sittings};
use crate::service::{Services, account};
use graphql_engine::EngineOptions;
use tasks::Tasks;

/// Where the keys are when the database is a server and no file is named.
const KEYS_OF_A_SERVER: &str = "jishu.keys.pem";

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The signing keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Passwords cannot be hashed.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The database failed.
    #[error("the database failed at start: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// Makes the services of a server.
///
/// # Errors
/// See [`StartError`].
pub async fn services(
    config: &ServeConfig,
    database: Database,
    clock: Arc<dyn Clock>,
) -> Result<Services, StartError> {
    let keys = match (&config.signing_keys, key_file_beside(&config.database.database_url)) {
        (Some(file), _) => KeyRing::from_pem_file(file)?,
        (None, Some(file)) => KeyRing::load_or_create(&file)?,
        (None, None) if config.database.is_embedded() => KeyRing::generate()?,
        (None, None) => {
            tracing::warn!(
                file = KEYS_OF_A_SERVER,
                "no --signing-keys: using the keys in the working folder; every node needs the same ones"
            );
            KeyRing::load_or_create(Path::new(KEYS_OF_A_SERVER))?
        }
    };
    let secrets = Arc::new(keys.secrets());
    let parallelism = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let passwords = Passwords::new(parallelism)?;
    Ok(Services {
        catalog: Arc::new(Catalog::load(database.clone()).await?),
        events: Arc::new(Events::new(database.clone())),
        papers: Arc::new(Papers::new(database.clone())),
        sittings: Arc::new(Sittings::new(config.sittings.rules())),
        database,
        clock,
        passwords: Arc::new(passwords),
        tokens: Arc::new(AccessTokens::new(
            keys,
            config.token_issuer.as_str(),
            config.token_audience.as_str(),
            Duration::from_secs(config.access_token_seconds),
        )),
        limits: Arc::new(Limits::new(config.edge.limits())),
        secrets,
        refresh_reuse: chrono::TimeDelta::seconds(config.refresh_reuse_seconds),
        refresh_token_ttl: chrono::TimeDelta::days(config.refresh_token_days),
        tax: config.tax_percent,
    })
}

/// `jishu.db` has its key in `jishu.db.keys.pem`. A database in memory has none, nor has a server.
pub(crate) fn key_file_beside(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or_default();
    if path.is_empty() || path.starts_with(":memory:") || url.contains("mode=memory") {
        return None;
    }
    let mut name = Path::new(path).as_os_str().to_owned();
    name.push(".keys.pem");
    Some(PathBuf::from(name))
}

/// Serves until `stop` completes, then finishes what is under way, for as long as is configured.
///
/// # Errors
/// When the engine does not take the schema.
pub async fn run(
    listener: TcpListener,
    services: Services,
    engine: EngineOptions,
    config: &ServeConfig,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let catalog = Arc::clone(&services.catalog);
    let refresh = config.catalog_refresh();
    let engine = graphql::build(services.clone(), engine).map_err(std::io::Error::other)?;
    let mut tasks = Tasks::default();
    tasks.start("catalogue refresh", move || {
        let catalog = Arc::clone(&catalog);
        async move { catalog.keep_fresh(refresh).await }
    });
    let events = Arc::clone(&services.events);
    tasks.start("events", move || {
        let events = Arc::clone(&events);
        async move { events.keep_telling().await }
    });
    let (of_closing, every) = (services.clone(), config.sittings.closing_interval());
    tasks.start("closing", move || session::keep_closing(of_closing.clone(), every));
    let of_cleaning = services.clone();
    tasks.start("cleaning", move || account::keep_clean(of_cleaning.clone()));
    let routes = |stopping| http::router(engine, services, &config.edge, config.live, stopping);
    serve(listener, routes, &config.edge, config.drain(), stop).await;
    Ok(())
}

/// Serves any routes, protected as the API's are.
pub async fn serve(
    listener: TcpListener,
    routes: impl FnOnce(Stopping) -> Router,
    edge: &EdgeConfig,
    drain: Duration,
    stop: impl Future<Output = ()>,
) {
    let (told, stopping) = http::Stop::new();
    let router = http::protect(routes(stopping.clone()), edge, stopping.clone());
    if !accept::serve(listener, router, edge, drain, (told, stopping), stop).await {
        tracing::warn!("requests were still under way when the time to drain was over");
    }
}
