//! The metrics of one node, for Prometheus.
//!
//! Labels are enums, names in the code or in the schema, or names of operations in trusted documents. Any other text of
//! a client never becomes a label, so clients cannot increase the number of time series without a bound. If metrics are
//! off, nothing is counted and nothing is measured.

mod buckets;
mod business;
mod counters;
mod database;
mod labels;
mod outbox;
mod process;
mod registrar;
mod requests;
mod statement;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use business::BusinessMetrics;
pub use database::DatabaseMetrics;
pub use labels::{
    CostResult, HttpRoute, OperationKind, OperationLabels, OperationOutcome, OperationTransport, OrderStep,
    OutboxResult, PanicPlace, PoolName, PurchaseResult, RetryCause, SignInResult, SittingEnd, StartResult,
    TransactionOutcome,
};
pub use outbox::OutboxMetrics;
pub use requests::{ActiveGauge, RequestMetrics};
pub use statement::{StatementName, StatementVerb, name_of_statement};

use counters::CounterFamily;
use process::{PROCESS_NAMES, ProcessCollector};
use registrar::Registrar;

/// The names of the families that the pools of connections add when the database is opened.
pub(crate) const POOL_NAMES: [&str; 2] = ["jishu_pool_connections", "jishu_pool_waiting"];

/// The format in which metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpositionFormat {
    /// The text format of Prometheus.
    PrometheusText,
    /// `OpenMetrics`.
    OpenMetrics,
}

/// The metrics of one node. Clones share the same counts.
#[derive(Clone, Default)]
pub struct Metrics {
    /// The families of the metrics. None if metrics are off.
    families: Option<Arc<Families>>,
}

struct Families {
    requests: RequestMetrics,
    database: DatabaseMetrics,
    business: BusinessMetrics,
    outbox: OutboxMetrics,
    panics: CounterFamily<PanicPlace>,
    registry: Mutex<Registry>,
    names: Vec<String>,
}

impl Metrics {
    /// Makes metrics that count nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Makes metrics that are on, and whose counters start at zero.
    #[must_use]
    pub fn on() -> Self {
        let mut registrar = Registrar::new();
        registrar.register(
            "build",
            "The version of the server",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        let requests = RequestMetrics::register(&mut registrar);
        let database = DatabaseMetrics::register(&mut registrar);
        let business = BusinessMetrics::register(&mut registrar);
        let outbox = OutboxMetrics::register(&mut registrar);
        let panics = CounterFamily::register(
            &mut registrar,
            "panics",
            "place",
            "Panics, by the place that caught them",
        );
        registrar.register_collector(&PROCESS_NAMES, ProcessCollector::new());
        let (registry, mut names) = registrar.finish();
        names.extend(POOL_NAMES.map(str::to_owned));
        let registry = Mutex::new(registry);
        Self {
            families: Some(Arc::new(Families {
                requests,
                database,
                business,
                outbox,
                panics,
                registry,
                names,
            })),
        }
    }

    /// Returns whether metrics are on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.families.is_some()
    }

    /// Returns the metrics of requests. None if metrics are off.
    #[must_use]
    pub fn requests(&self) -> Option<&RequestMetrics> {
        self.families.as_deref().map(|families| &families.requests)
    }

    /// Returns the metrics of the database. None if metrics are off.
    #[must_use]
    pub fn database(&self) -> Option<&DatabaseMetrics> {
        self.families.as_deref().map(|families| &families.database)
    }

    /// Returns the metrics of the actions of learners and staff. None if metrics are off.
    #[must_use]
    pub fn business(&self) -> Option<&BusinessMetrics> {
        self.families.as_deref().map(|families| &families.business)
    }

    /// Returns the metrics of the outbox. None if metrics are off.
    #[must_use]
    pub fn outbox(&self) -> Option<&OutboxMetrics> {
        self.families.as_deref().map(|families| &families.outbox)
    }

    /// Counts a panic by the place that caught it. Does nothing if metrics are off.
    pub fn panicked(&self, place: PanicPlace) {
        if let Some(families) = &self.families {
            families.panics.count(place);
        }
    }

    /// Adds a collector, which provides its values at each scrape. Does nothing if metrics are off.
    pub(crate) fn add_collector(&self, collector: impl Collector) {
        if let Some(families) = &self.families {
            families.registry().register_collector(Box::new(collector));
        }
    }

    /// Returns the names of all families as Prometheus shows them, even of families without a value yet. Empty if
    /// metrics are off.
    #[must_use]
    pub fn names(&self) -> &[String] {
        self.families.as_deref().map(|families| families.names.as_slice()).unwrap_or_default()
    }

    /// Returns all metrics as text in this format. Returns an empty text if metrics are off.
    ///
    /// # Errors
    /// Fails if a metric cannot be written.
    pub fn encode(&self, format: ExpositionFormat) -> Result<String, fmt::Error> {
        let mut written = String::new();
        if let Some(families) = &self.families {
            let registry = families.registry();
            match format {
                ExpositionFormat::PrometheusText => prometheus_text::encode(&mut written, &registry)?,
                ExpositionFormat::OpenMetrics => text::encode(&mut written, &registry)?,
            }
        }
        Ok(written)
    }
}

impl Families {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").field("is_on", &self.is_on()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_their_counters_as_they_must() {
        let metrics = Metrics::on();
        metrics.business().unwrap().purchase(PurchaseResult::Created, 50);
        let open = metrics.encode(ExpositionFormat::OpenMetrics).unwrap();
        assert!(
            open.contains("# TYPE jishu_cards_granted counter\njishu_cards_granted_total 50\n"),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n"));
        let text = metrics.encode(ExpositionFormat::PrometheusText).unwrap();
        assert!(metrics.names().contains(&"jishu_cards_granted_total".to_owned()));
        assert!(
            text.contains("# TYPE jishu_cards_granted_total counter\njishu_cards_granted_total 50\n"),
            "{text}"
        );
        assert!(!text.contains("# EOF"), "{text}");
        assert!(text.contains("jishu_build_info{version=\""), "{text}");
    }

    #[test]
    fn metrics_that_are_off_count_nothing() {
        let metrics = Metrics::off();
        assert!(metrics.requests().is_none() && metrics.database().is_none() && metrics.business().is_none());
        assert_eq!(metrics.encode(ExpositionFormat::PrometheusText).unwrap(), "");
    }
}
