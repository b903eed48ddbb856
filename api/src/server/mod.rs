//! Builds the server and runs it until it must stop.

mod accept;
mod activity;
mod background_tasks;
mod connection;
mod exposition;
mod permits;
mod response_body;
mod socket;
mod starting;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use crate::config::{DrainTimes, EdgeConfig, OidcConfigError, PaymentConfigError, ServeConfig};
use crate::graphql;
use crate::http::{self, ShutdownSignal};
use background_tasks::BackgroundTasks;
use graphql_engine::EngineOptions;
use jishu_entity::outbox_message::OutboxChannel;
use jishu_service::account::{AccountRequests, DeactivatedAccounts, EndedSessions};
use jishu_service::auth::{AccessTokens, KeyError, KeyRing, PasswordError, Passwords};
use jishu_service::catalog::Catalog;
use jishu_service::clock::Clock;
use jishu_service::database::Database;
use jishu_service::events::Events;
use jishu_service::limit::ClientLimits;
use jishu_service::mail::{Mailer, SmtpError, TemplateError};
use jishu_service::metrics::Metrics;
use jishu_service::oidc::OidcProvider;
use jishu_service::order::{self, Payments, RefundChannel};
use jishu_service::outbox::{self, Channel, Outbox};
use jishu_service::paper::Papers;
use jishu_service::picture::PictureAddresses;
use jishu_service::session::{self, SittingState};
use jishu_service::{Fault, Services, account, expiry};
use permits::ConnectionPermits;

pub(crate) use exposition::serve as serve_metrics;

pub(crate) use starting::StartingServer;

/// The file with the signing keys if the database is a server and `--signing-keys` is not given.
const DEFAULT_KEY_FILE: &str = "jishu.keys.pem";

/// The reason why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerStartError {
    /// The signing keys could not be loaded or created.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Password hashing could not be set up.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The mail server cannot be used.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// The issuer of OpenID Connect cannot be used.
    #[error(transparent)]
    Oidc(#[from] OidcConfigError),
    /// A template of a mail cannot be used.
    #[error(transparent)]
    Templates(#[from] TemplateError),
    /// The payment provider cannot be used.
    #[error(transparent)]
    Payments(#[from] PaymentConfigError),
    /// The secret for the addresses of pictures could not be read.
    #[error(
        "the secret for the addresses of pictures cannot be read: {0}. Run `jishu check`, or restore the table \
         server_secrets"
    )]
    Pictures(#[from] Fault),
    /// A database operation failed while the server started.
    #[error("a database operation failed at start: {0}")]
    Database(#[from] sea_orm::DbErr),
}

/// The channels over which messages of the outbox leave the server, by the kind of the channel.
pub type Channels = Arc<HashMap<OutboxChannel, Arc<dyn Channel>>>;

/// The parts of the services that need no database. A server reads them before it opens the database, so that an error
/// in them changes nothing.
pub struct ServiceParts {
    /// The keys of `--signing-keys`. None without this flag.
    keys: Option<KeyRing>,
    oidc: Option<Arc<OidcProvider>>,
    payments: Option<Payments>,
}

impl ServiceParts {
    /// Reads the signing keys of `--signing-keys`, and sets up the issuer of OpenID Connect and the payments.
    ///
    /// # Errors
    /// Fails if a file cannot be read, or an option is wrong: see [`ServerStartError`].
    pub fn read(config: &ServeConfig) -> Result<Self, ServerStartError> {
        Ok(Self {
            keys: config.signing_keys.as_deref().map(KeyRing::from_pem_file).transpose()?,
            oidc: config.oidc.provider()?,
            payments: config.payments.payments()?,
        })
    }
}

/// Builds the services of a server from its options, its parts and its database. The future is boxed, so that its code
/// is compiled once, in this crate.
///
/// # Errors
/// Fails if a service cannot be built: see [`ServerStartError`].
pub fn services(
    config: &ServeConfig,
    parts: ServiceParts,
    database: Database,
    clock: Arc<dyn Clock>,
) -> BoxFuture<'_, Result<Services, ServerStartError>> {
    Box::pin(build_services(config, parts, database, clock))
}

async fn build_services(
    config: &ServeConfig,
    parts: ServiceParts,
    database: Database,
    clock: Arc<dyn Clock>,
) -> Result<Services, ServerStartError> {
    let ServiceParts { keys, oidc, payments } = parts;
    let keys = match (keys, key_file_beside(&config.database.database_url)) {
        (Some(keys), _) => keys,
        (None, Some(file)) => KeyRing::load_or_create(&file)?,
        (None, None) if config.database.is_embedded() => KeyRing::generate()?,
        (None, None) => {
            tracing::warn!(
                file = DEFAULT_KEY_FILE,
                "without --signing-keys, the keys in the working folder are used or made; every node needs the same keys"
            );
            KeyRing::load_or_create(Path::new(DEFAULT_KEY_FILE))?
        }
    };
    let secrets = Arc::new(keys.secrets());
    let parallelism = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let passwords = Passwords::new(parallelism)?;
    let pictures = PictureAddresses::load(database.reader(), config.public_url.as_deref()).await?;
    let deactivated = Arc::new(DeactivatedAccounts::load(database.clone(), Arc::clone(&clock)).await?);
    let ended_sessions =
        EndedSessions::load(database.clone(), Arc::clone(&clock), Arc::clone(&deactivated)).await?;
    Ok(Services {
        catalog: Arc::new(Catalog::load(database.clone()).await?),
        events: Arc::new(Events::new(database.clone(), Arc::clone(&clock))),
        metrics: database.metrics().clone(),
        papers: Arc::new(Papers::new(database.clone())),
        sittings: Arc::new(SittingState::new(config.sittings.rules())),
        deactivated,
        ended_sessions: Arc::new(ended_sessions),
        database,
        clock,
        passwords: Arc::new(passwords),
        tokens: Arc::new(AccessTokens::new(
            keys,
            config.token_issuer.as_str(),
            config.token_audience.as_str(),
            Duration::from_secs(config.access_token_seconds),
        )),
        limits: Arc::new(ClientLimits::new(config.edge.limits())),
        secrets,
        refresh_reuse: chrono::TimeDelta::seconds(config.refresh_reuse_seconds),
        refresh_token_ttl: chrono::TimeDelta::days(config.refresh_token_days),
        time_zone: config.time_zone.time_zone,
        outbox: Arc::new(Outbox::new(config.mail.timeout())),
        account_requests: Arc::new(AccountRequests::default()),
        requires_verified_email: config.mail.require_verified_email,
        consent: config.people.consent(config.time_zone.time_zone),
        requires_staff_second_factor: config.sign_in.require_staff_second_factor,
        second_factor_name: config.sign_in.second_factor_name.as_str().into(),
        oidc,
        tax: Arc::new(config.tax.policy()),
        payments: payments.map(Arc::new),
        pictures: Arc::new(pictures),
    })
}

/// Builds the channels over which messages of the outbox leave the server. The channel for refunds is not among them,
/// because it needs the services.
///
/// # Errors
/// Fails if the mail server or a template cannot be used.
pub fn channels(config: &ServeConfig) -> Result<Channels, ServerStartError> {
    let mailer: Arc<dyn Channel> = Arc::new(Mailer::new(config.mail.options()?)?);
    Ok(Arc::new(HashMap::from([(OutboxChannel::Mail, mailer)])))
}

/// Returns the file of signing keys that belongs to an SQLite file: `jishu.db.keys.pem` for `jishu.db`. Returns None
/// for a database in memory and for a database server.
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

/// Serves the API until `stop` completes. Then lets running requests finish, for at most the configured drain time.
/// Also runs the background tasks.
///
/// The future is boxed. Otherwise each binary, test and benchmark that awaits the future would compile the whole server
/// again.
///
/// # Errors
/// Fails if the engine rejects the schema.
pub fn run<'a>(
    listener: TcpListener,
    services: Services,
    engine_and_channels: (EngineOptions, Channels),
    config: &'a ServeConfig,
    stop: BoxFuture<'a, ()>,
) -> BoxFuture<'a, std::io::Result<()>> {
    Box::pin(run_until(listener, services, engine_and_channels, config, stop))
}

async fn run_until(
    listener: TcpListener,
    services: Services,
    (engine, channels): (EngineOptions, Channels),
    config: &ServeConfig,
    stop: BoxFuture<'_, ()>,
) -> std::io::Result<()> {
    let catalog = Arc::clone(&services.catalog);
    let refresh = config.catalog_refresh();
    let engine = graphql::build(services.clone(), engine).map_err(std::io::Error::other)?;
    let mut tasks = BackgroundTasks::new(services.metrics.clone());
    tasks.start("catalogue refresh", move || {
        let catalog = Arc::clone(&catalog);
        async move { catalog.keep_fresh(refresh).await }
    });
    let events = Arc::clone(&services.events);
    tasks.start("events", move || {
        let events = Arc::clone(&events);
        async move { events.deliver_changes().await }
    });
    let deactivated = Arc::clone(&services.deactivated);
    tasks.start("deactivated accounts", move || {
        let deactivated = Arc::clone(&deactivated);
        async move { deactivated.keep_fresh().await }
    });
    let ended_sessions = Arc::clone(&services.ended_sessions);
    tasks.start("ended sessions", move || {
        let ended_sessions = Arc::clone(&ended_sessions);
        async move { ended_sessions.keep_fresh().await }
    });
    let (closing_services, interval) = (services.clone(), config.sittings.closing_interval());
    tasks.start("closing", move || session::keep_closing(closing_services.clone(), interval));
    let expiry_services = services.clone();
    tasks.start("expiry", move || expiry::keep_ending(expiry_services.clone(), interval));
    let cleaning_services = services.clone();
    tasks.start("cleaning", move || account::keep_clean(cleaning_services.clone()));
    let requests_services = services.clone();
    tasks.start("requests about accounts", move || account::keep_answering(requests_services.clone()));
    let mut channels = (*channels).clone();
    if services.payments.is_some() {
        let refunds: Arc<dyn Channel> = Arc::new(RefundChannel::new(services.clone()));
        channels.insert(OutboxChannel::Payment, refunds);
        let order_services = services.clone();
        tasks.start("orders", move || order::keep_reconciling(order_services.clone()));
    }
    let database = services.database.clone();
    tasks.start("statistics", move || database.clone().keep_statistics());
    let channels = Arc::new(channels);
    let outbox_services = services.clone();
    tasks.start("outbox", move || outbox::keep_delivering(outbox_services.clone(), Arc::clone(&channels)));
    if services.metrics.is_on() {
        let measured = services.clone();
        tasks.start("metrics", move || outbox::keep_measuring(measured.clone()));
    }
    let counted = services.metrics.clone();
    let routes = |shutdown| http::router(engine, services, &config.edge, config.live, shutdown);
    serve_counted(listener, routes, &config.edge, (config.drain(), counted), stop).await;
    Ok(())
}

/// Serves any routes with the same limits and headers as the API, until `stop` completes.
pub async fn serve(
    listener: TcpListener,
    routes: impl FnOnce(ShutdownSignal) -> Router,
    edge: &EdgeConfig,
    times: DrainTimes,
    stop: impl Future<Output = ()>,
) {
    serve_counted(listener, routes, edge, (times, Metrics::off()), stop).await;
}

/// Serves routes as [`serve`] does, and counts connections in `metrics`.
async fn serve_counted(
    listener: TcpListener,
    routes: impl FnOnce(ShutdownSignal) -> Router,
    edge: &EdgeConfig,
    (times, metrics): (DrainTimes, Metrics),
    stop: impl Future<Output = ()>,
) {
    let (trigger, shutdown) = http::shutdown_channel();
    let router = http::protect(routes(shutdown.clone()), edge, shutdown.clone());
    let permits = ConnectionPermits::new(edge, metrics);
    if !accept::serve(listener, router, edge, (times, permits), (trigger, shutdown), stop).await {
        tracing::warn!(
            seconds = times.drain.as_secs(),
            "the drain time is over, and the requests that still ran were aborted"
        );
    }
}
