//! Sets up logging and traces.

pub(crate) mod context;
mod exporter;
mod statements;
mod traces;

use std::io::{self, IsTerminal, Write};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{LogFormat, ObserveConfig};

pub use traces::Traces;

/// The targets that are logged at the level `info` unless `RUST_LOG` names them, because operators and their programs
/// rely on their lines.
const DEFAULT_DIRECTIVES: [&str; 2] = ["jishu::security=info", "jishu::access=info"];

/// Starts writing log lines to standard error, and traces if the operator has named a collector. `RUST_LOG` selects the
/// lines. `sqlx::query=debug` in `RUST_LOG` adds every database statement. Stop the returned traces at the end of the
/// process, so that the last traces are sent.
///
/// # Errors
/// Fails if `RUST_LOG` cannot be read, if the collector cannot be used, or if logging is already set up.
pub fn init(format: LogFormat, observe: Option<&ObserveConfig>) -> Result<Option<Traces>, String> {
    let filter = filter(&std::env::var("RUST_LOG").unwrap_or_default())?;
    let Some(traces) = observe.map(Traces::start).transpose()?.flatten() else {
        // One filter around all layers costs less than one filter for each layer.
        let lines = tracing_subscriber::registry().with(lines(format)).with(filter);
        lines.try_init().map_err(|error| error.to_string())?;
        return Ok(None);
    };
    let lines = tracing_subscriber::registry().with(lines::<Registry>(format).with_filter(filter));
    lines.with(traces.layer()).try_init().map_err(|error| error.to_string())?;
    Ok(Some(traces))
}

/// Makes the layer that writes log lines.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let is_terminal = io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(LogWriter { is_terminal }).with_ansi(is_terminal);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

fn filter(chosen: &str) -> Result<EnvFilter, String> {
    let chosen = if chosen.is_empty() { "info,sqlx=warn,sea_orm_migration=warn" } else { chosen };
    let unreadable = |error: &dyn std::fmt::Display| {
        format!("RUST_LOG cannot be read: {error}. Give levels and targets, such as info,sqlx=warn")
    };
    let mut filter = EnvFilter::try_new(chosen).map_err(|error| unreadable(&error))?;
    for line in DEFAULT_DIRECTIVES.into_iter().filter(|line| !chosen.contains(line.trim_end_matches("=info")))
    {
        filter = filter.add_directive(line.parse().map_err(|error| unreadable(&error))?);
    }
    Ok(filter)
}

/// Writes log events to standard error. Unless standard error is a terminal, escapes control characters, so that each
/// event is one line and text from a client cannot forge a line. Programs that act on lines, such as fail2ban, never
/// read them from a terminal.
struct LogWriter {
    /// Whether standard error is a terminal. A terminal gets colours, which are control characters.
    is_terminal: bool,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = EventWriter<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        EventWriter { out: io::stderr(), is_terminal: self.is_terminal }
    }
}

/// Writes one event. tracing passes the whole event in one call of `write`.
struct EventWriter<W> {
    out: W,
    is_terminal: bool,
}

impl<W: Write> Write for EventWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (text, end) = match event.strip_suffix(b"\n") {
            Some(text) => (text, "\n"),
            None => (event, ""),
        };
        let text = String::from_utf8_lossy(text);
        let is_forbidden = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}');
        if self.is_terminal || !text.contains(is_forbidden) {
            self.out.write_all(event)?;
        } else {
            let mut line = String::with_capacity(event.len() + 16);
            for char in text.chars() {
                if is_forbidden(char) {
                    line.extend(char.escape_default());
                } else {
                    line.push(char);
                }
            }
            line.push_str(end);
            self.out.write_all(line.as_bytes())?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_on_one_line() {
        let mut line = EventWriter { out: Vec::new(), is_terminal: false };
        line.write_all("a \u{e9} b\n".as_bytes()).unwrap();
        line.write_all("cause: x\r\n2026 WARN forged\u{2028}\u{85}\u{1b}[31m\n".as_bytes()).unwrap();
        let written = String::from_utf8(line.out).unwrap();
        assert_eq!(written, "a \u{e9} b\ncause: x\\r\\n2026 WARN forged\\u{2028}\\u{85}\\u{1b}[31m\n");
    }

    #[test]
    fn the_default_targets_are_logged_unless_they_are_named() {
        assert!(filter("error").unwrap().to_string().contains("jishu::security=info"));
        assert!(filter("").unwrap().to_string().contains("jishu::access=info"));
        let named = filter("info,jishu::security=off").unwrap().to_string();
        assert!(named.contains("jishu::security=off") && !named.contains("jishu::security=info"), "{named}");
        assert!(filter("a=b=c").is_err());
    }
}
