//! Registers families of metrics, and collects their names.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry};

/// The prefix of the names of all metrics of the server, apart from the metrics of its process.
const PREFIX: &str = "jishu";

/// The registry of the server's families of metrics, and the names of these families.
pub(super) struct Registrar {
    registry: Registry,
    names: Vec<String>,
}

impl Registrar {
    pub(super) fn new() -> Self {
        Self { registry: Registry::default(), names: Vec::new() }
    }

    /// Registers a metric or family, and adds its name as Prometheus shows it. `help` has no full stop at its end.
    pub(super) fn register<M: Metric + EncodeMetric>(&mut self, name: &'static str, help: &str, metric: M) {
        let suffix = match metric.metric_type() {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        self.names.push(format!("{PREFIX}_{name}{suffix}"));
        self.registry.register(format!("{PREFIX}_{name}"), help, metric);
    }

    /// Makes an empty metric or family, and registers it. `help` has no full stop at its end.
    pub(super) fn add<M: Metric + EncodeMetric + Clone + Default>(
        &mut self,
        name: &'static str,
        help: &str,
    ) -> M {
        let metric = M::default();
        self.register(name, help, metric.clone());
        metric
    }

    /// Registers a collector, which provides its values at each scrape, and adds the names of its families.
    pub(super) fn register_collector(&mut self, names: &[&str], collector: impl Collector) {
        self.names.extend(names.iter().map(|name| (*name).to_owned()));
        self.registry.register_collector(Box::new(collector));
    }

    /// Returns the registry, and the names of all families as Prometheus shows them.
    pub(super) fn finish(self) -> (Registry, Vec<String>) {
        (self.registry, self.names)
    }
}
