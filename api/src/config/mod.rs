//! The configuration of `jishu serve`, and of the database for all commands. Each option has a flag and an environment
//! variable. `--help` lists both.

mod edge;
mod graphql;
mod listen;
mod live;
mod mail;
mod observe;
mod oidc;
mod payments;
mod people;
mod sign_in;
mod sittings;
mod tax;
mod time_zone;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PossibleValue, TypedValueParser};
use clap::{Args, ValueEnum};

use jishu_service::database::DatabaseOptions;

pub use edge::{EdgeConfig, ForwardedHeader};
pub use graphql::GraphqlConfig;
pub use listen::ListenAddress;
pub use live::LiveConfig;
pub use mail::MailConfig;
pub use observe::{CollectorHeader, ObserveConfig};
pub use oidc::{OidcConfig, OidcConfigError};
pub use payments::{PaymentConfig, PaymentConfigError, PaymentMode};
pub use people::PeopleConfig;
pub use sign_in::SignInConfig;
pub use sittings::SittingsConfig;
pub use tax::TaxConfig;
pub use time_zone::TimeZoneConfig;

/// The database to use.
#[derive(Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// The URL of the database: sqlite://, postgres:// or mysql://.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://jishu.db?mode=rwc", hide_env_values = true)]
    pub database_url: String,

    /// Number of connections to a database server, half of them for writing: 16 by default. For SQLite, number of
    /// connections for reading, in addition to the one for writing: by default two for each processor core, but at
    /// least eight.
    #[arg(long, env = "JISHU_DATABASE_CONNECTIONS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub database_connections: Option<u32>,
}

impl DatabaseConfig {
    /// Returns the options with which to connect to the database.
    #[must_use]
    pub fn options(&self) -> DatabaseOptions {
        let max_connections = self.database_connections;
        DatabaseOptions { max_connections, ..DatabaseOptions::new(&self.database_url) }
    }

    /// Returns the options for a command that needs an existing database. A missing SQLite file is not created.
    #[must_use]
    pub fn options_of_existing(&self) -> DatabaseOptions {
        let options = self.options();
        DatabaseOptions { url: options.url.replace("mode=rwc", "mode=rw"), ..options }
    }

    /// Returns the options for a command that only reads. An SQLite file keeps its journal mode, and a missing file is
    /// not created.
    #[must_use]
    pub fn options_to_read(&self) -> DatabaseOptions {
        DatabaseOptions { keeps_journal_mode: true, ..self.options_of_existing() }
    }

    /// Returns whether the database is embedded (SQLite). The server always migrates an embedded database at its start.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database_url.starts_with("sqlite:")
    }
}

/// Makes the parser of a switch. An empty value counts as not given, because compose files set variables to empty
/// values.
pub(super) fn switch(default: bool) -> impl TypedValueParser<Value = bool> {
    Switch { default }
}

#[derive(Clone)]
struct Switch {
    default: bool,
}

impl TypedValueParser for Switch {
    type Value = bool;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<bool, clap::Error> {
        if value.is_empty() {
            return Ok(self.default);
        }
        BoolishValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        BoolishValueParser::new().possible_values().map(|values| {
            let values: Vec<_> = values.collect();
            Box::new(values.into_iter()) as Box<dyn Iterator<Item = PossibleValue>>
        })
    }
}

/// The options of `jishu serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeConfig {
    /// The database that the server uses.
    #[command(flatten)]
    pub database: DatabaseConfig,

    /// The address and port to listen on. A name such as localhost:8080 stands for its first IPv4 address, or its
    /// first IPv6 address if it has no IPv4 address.
    #[arg(long, env = "JISHU_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub listen: ListenAddress,

    /// The URL at which clients reach this server, such as https://api.example.com. The addresses of pictures in
    /// questions begin with it, so that pages of other origins can show them. Without it, they begin with /media/.
    /// Every node needs the same value.
    #[arg(long, env = "JISHU_PUBLIC_URL", value_name = "URL", value_parser = mail::frontend)]
    pub public_url: Option<String>,

    /// Add a demo catalogue with questions, and a learner and staff with known passwords. Print how to use them.
    #[arg(long, env = "JISHU_DEMO", value_parser = switch(false))]
    pub demo: bool,

    /// Migrate a database server at start. An embedded database is always migrated.
    #[arg(long, env = "JISHU_MIGRATE", value_parser = switch(false))]
    pub migrate: bool,

    /// A PEM file with the Ed25519 keys that sign access tokens, the current key first. Without this file, the server
    /// creates a key. For an SQLite file, it keeps the key beside that file. For a database server, it keeps the key in
    /// jishu.keys.pem in the working folder.
    #[arg(long, env = "JISHU_SIGNING_KEYS", value_name = "FILE")]
    pub signing_keys: Option<PathBuf>,

    /// The issuer of access tokens (`iss`).
    #[arg(long, env = "JISHU_TOKEN_ISSUER", default_value = "jishu", value_name = "NAME")]
    pub token_issuer: String,

    /// The audience of access tokens (`aud`).
    #[arg(long, env = "JISHU_TOKEN_AUDIENCE", default_value = "jishu", value_name = "NAME")]
    pub token_audience: String,

    /// Seconds that an access token is valid: 60 to 3600.
    #[arg(long, env = "JISHU_ACCESS_TOKEN_SECONDS", default_value_t = 900, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(60..=3_600))]
    pub access_token_seconds: u64,

    /// Days that a refresh token is valid: 1 to 365.
    #[arg(long, env = "JISHU_REFRESH_TOKEN_DAYS", default_value_t = 30, value_name = "DAYS",
          value_parser = clap::value_parser!(i64).range(1..=365))]
    pub refresh_token_days: i64,

    /// Seconds in which a used refresh token returns the same new token again: 0 to 30. Two browser tabs that refresh
    /// at once, and a client that lost a response, stay signed in because of this. With 0, a second use ends the
    /// session.
    #[arg(long, env = "JISHU_REFRESH_REUSE_SECONDS", default_value_t = 20, value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(0..=30))]
    pub refresh_reuse_seconds: i64,

    /// The time zone of reports.
    #[command(flatten)]
    pub time_zone: TimeZoneConfig,

    /// Milliseconds between reads of the catalogue, which show the changes of other nodes and programs.
    #[arg(long, env = "JISHU_CATALOG_REFRESH_MS", default_value_t = 2_000, value_name = "MILLISECONDS",
          value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub catalog_refresh_ms: u64,

    /// Maximum number of seconds that a stopping server waits for running requests.
    #[arg(long, env = "JISHU_DRAIN_SECONDS", default_value_t = 20, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_seconds: u64,

    /// Seconds that a stopping server still serves all requests, while /health/ready responds with 503 and `draining`.
    /// Behind a load balancer, choose a longer time than the load balancer takes to notice this response.
    #[arg(long, env = "JISHU_DRAIN_NOTICE_SECONDS", default_value_t = 0, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=300))]
    pub drain_notice_seconds: u64,

    /// The rules for GraphQL documents.
    #[command(flatten)]
    pub graphql: GraphqlConfig,
    /// Timeouts, limits on concurrency, budgets, trusted proxies and allowed origins.
    #[command(flatten)]
    pub edge: EdgeConfig,
    /// The metrics and the traces.
    #[command(flatten)]
    pub observe: ObserveConfig,
    /// The limits and timeouts of WebSockets and event streams.
    #[command(flatten)]
    pub live: LiveConfig,
    /// The mail server and the content of mails.
    #[command(flatten)]
    pub mail: MailConfig,
    /// The rule about the consent of guardians.
    #[command(flatten)]
    pub people: PeopleConfig,
    /// The rules for second factors.
    #[command(flatten)]
    pub sign_in: SignInConfig,
    /// The issuer for single sign-on.
    #[command(flatten)]
    pub oidc: OidcConfig,
    /// The times of sittings.
    #[command(flatten)]
    pub sittings: SittingsConfig,
    /// The tax of purchases.
    #[command(flatten)]
    pub tax: TaxConfig,
    /// The payment provider.
    #[command(flatten)]
    pub payments: PaymentConfig,
}

impl ServeConfig {
    /// Returns the interval between reads of the catalogue.
    #[must_use]
    pub fn catalog_refresh(&self) -> Duration {
        Duration::from_millis(self.catalog_refresh_ms)
    }

    /// Returns the maximum durations of the phases of a stop.
    #[must_use]
    pub fn drain(&self) -> DrainTimes {
        DrainTimes {
            notice: Duration::from_secs(self.drain_notice_seconds),
            drain: Duration::from_secs(self.drain_seconds),
        }
    }

    /// Returns the database options for requests. A database statement has a shorter time limit than its request. Each
    /// call makes new metrics, unless metrics are off.
    #[must_use]
    pub fn database_options(&self) -> DatabaseOptions {
        let options = self.database.options().with_request_timeout(self.edge.request_timeout());
        DatabaseOptions { metrics: self.observe.metrics(), ..options }
    }
}

/// The maximum durations of the phases in which the server stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainTimes {
    /// The time for which the server still serves all requests, and its health check responds that it will stop.
    pub notice: Duration,
    /// Maximum time that running requests may take after the notice time.
    pub drain: Duration,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// JSON for programs, one object per line.
    Json,
}
