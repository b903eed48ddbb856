//! Configures metrics and traces.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use clap::{Args, value_parser};
use url::Url;

use super::ListenAddress;
use jishu_service::metrics::Metrics;

/// Metrics for Prometheus, and traces over OTLP.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Metrics and traces")]
pub struct ObserveConfig {
    /// The address and port of a second listener, which serves metrics for Prometheus under /metrics. It has no access
    /// control, so protect it with a firewall if other machines can reach it. Without this address, there are no
    /// metrics.
    #[arg(long, env = "JISHU_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<ListenAddress>,

    /// The URL of a collector of OpenTelemetry, such as http://127.0.0.1:4318. Traces are sent to the path /v1/traces
    /// below it, with OTLP over HTTP. Without this URL, nothing is traced.
    #[arg(long, env = "JISHU_OTLP_ENDPOINT", value_name = "URL", value_parser = collector)]
    pub otlp_endpoint: Option<Url>,

    /// Headers of the requests to the collector, such as authorization=Bearer abc. Other programs can read the command
    /// line, so set headers with secrets in the environment variable.
    #[arg(long, env = "JISHU_OTLP_HEADERS", value_name = "NAME=VALUE", hide_env_values = true, value_delimiter = ',',
          value_parser = header)]
    pub otlp_headers: Vec<CollectorHeader>,

    /// Seconds that a request to the collector may take, and that a stopping server waits until the last traces are
    /// sent: 1 to 60.
    #[arg(long, env = "JISHU_OTLP_SECONDS", default_value_t = 5, value_name = "SECONDS",
          value_parser = value_parser!(u64).range(1..=60))]
    pub otlp_seconds: u64,

    /// The share of requests that are traced: 0 to 1. If a trusted proxy sends the header `traceparent`, that header
    /// decides whether the request is traced.
    #[arg(long, env = "JISHU_TRACE_RATIO", default_value_t = 0.1, value_name = "RATIO", value_parser = ratio)]
    pub trace_ratio: f64,

    /// The name of the server in traces (`service.name`).
    #[arg(long, env = "JISHU_TRACE_SERVICE", default_value = "jishu", value_name = "NAME")]
    pub trace_service: String,
}

impl ObserveConfig {
    /// Returns new metrics for a node. They are off without `--metrics-listen`.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        if self.metrics_listen.is_some() { Metrics::on() } else { Metrics::off() }
    }

    /// Returns how long a request to the collector may take.
    #[must_use]
    pub fn otlp_timeout(&self) -> Duration {
        Duration::from_secs(self.otlp_seconds)
    }
}

/// A header of the requests to the collector. Its value may be a token, so the debug output leaves the value out.
#[derive(Clone)]
pub struct CollectorHeader {
    /// The name of the header.
    pub name: String,
    /// The value of the header.
    pub value: String,
}

impl fmt::Debug for CollectorHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorHeader").field("name", &self.name).finish_non_exhaustive()
    }
}

fn collector(text: &str) -> Result<Url, String> {
    let advice = "give the URL of a collector without user, password or query, such as http://127.0.0.1:4318";
    let url = Url::parse(text.trim()).map_err(|_| advice.to_owned())?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if matches!(url.scheme(), "http" | "https") && url.has_host() && is_plain {
        Ok(url)
    } else {
        Err(advice.to_owned())
    }
}

fn header(text: &str) -> Result<CollectorHeader, String> {
    let (name, value) = text.split_once('=').ok_or(
        "give a name and a value with = between them, such as authorization=Bearer abc. Write a comma between two headers",
    )?;
    let (name, value) = (name.trim(), value.trim());
    if HeaderName::try_from(name).is_err() || HeaderValue::try_from(value).is_err() {
        return Err(
            "this is not a header: the name is empty, or the name or the value has a character that headers \
             cannot have. Give a name and a value, such as authorization=Bearer abc"
                .into(),
        );
    }
    Ok(CollectorHeader { name: name.to_owned(), value: value.to_owned() })
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "give a number from 0 to 1, such as 0.1 for one request in ten".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused() {
        assert_eq!(collector("http://127.0.0.1:4318").unwrap().as_str(), "http://127.0.0.1:4318/");
        for wrong in ["127.0.0.1:4318", "ftp://a", "http://user:secret@a", "http://a?b", ""] {
            assert!(collector(wrong).is_err(), "{wrong}");
        }
        let given = header("authorization=Bearer a=b").unwrap();
        assert_eq!((given.name.as_str(), given.value.as_str()), ("authorization", "Bearer a=b"));
        assert!(!format!("{given:?}").contains("Bearer"));
        assert!(header("a b=c").is_err() && header("a").is_err());
        assert!(
            ratio("0.25").is_ok() && ratio("1.5").is_err() && ratio("-1").is_err() && ratio("NaN").is_err()
        );
    }
}
