//! Logs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Writes log lines to standard error. `RUST_LOG` chooses which; `sqlx::query=debug` adds every statement.
///
/// # Errors
/// When `RUST_LOG` cannot be read, or logging has been set up before.
pub fn init(format: LogFormat) -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => {
            EnvFilter::try_new(filter).map_err(|error| format!("RUST_LOG cannot be read: {error}"))?
        }
        _ => EnvFilter::new("info,sqlx=warn,sea_orm_migration=warn"),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| error.to_string())
}
