//! Metrics of requests, operations, connections and subscriptions.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::buckets::{HistogramFamily, delay_seconds, histogram, histograms, request_seconds};
use super::counters::CounterFamily;
use super::labels::{
    CostResult, HttpRoute, OperationKind, OperationLabels, OperationOutcome, OperationTransport,
};
use super::registrar::Registrar;

/// The name in the label of an operation whose document is not trusted, or that has no name.
const OTHER: &str = "other";

/// The codes of errors that can be the value of a label. Every other code counts as `OTHER`.
const ERROR_CODES: [&str; 18] = [
    "BAD_REQUEST",
    "BAD_USER_INPUT",
    "FORBIDDEN",
    "GRAPHQL_VALIDATION_FAILED",
    "INTERNAL",
    "INTROSPECTION_DISABLED",
    "LIMIT_EXCEEDED",
    "METHOD_NOT_ALLOWED",
    "OVERLOADED",
    "PERSISTED_DOCUMENT_NOT_FOUND",
    "PERSISTED_DOCUMENT_REQUIRED",
    "PERSISTED_QUERY_NOT_FOUND",
    "PERSISTED_QUERY_NOT_SUPPORTED",
    "RATE_LIMITED",
    "SECOND_FACTOR_REQUIRED",
    "TIMEOUT",
    "UNAUTHENTICATED",
    "OTHER",
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: HttpRoute,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FieldLabels {
    kind: OperationKind,
    field: Arc<str>,
    outcome: OperationOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabels {
    transport: OperationTransport,
    outcome: OperationOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunningLabels {
    transport: OperationTransport,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriptionLabels {
    field: Arc<str>,
}

/// The metrics of requests.
pub struct RequestMetrics {
    http: HistogramFamily<RouteLabels>,
    operations: HistogramFamily<OperationLabels>,
    fields: HistogramFamily<FieldLabels>,
    transports: Family<TransportLabels, Counter>,
    errors: Family<CodeLabels, Counter>,
    cost: CounterFamily<CostResult>,
    running: Family<RunningLabels, Gauge>,
    connections: Gauge,
    refused_connections: Counter,
    websockets: Gauge,
    subscriptions: Family<SubscriptionLabels, Gauge>,
    subscription_events: Family<SubscriptionLabels, Counter>,
    event_delay: Histogram,
    other: OnceLock<Arc<str>>,
}

impl RequestMetrics {
    pub(super) fn register(registry: &mut Registrar) -> Self {
        Self {
            http: histograms(
                registry,
                "http_request_seconds",
                "Time until the head of a response was ready, by route and by class of status",
                request_seconds,
            ),
            operations: histograms(
                registry,
                "operation_seconds",
                "Time of queries and mutations, by operation name in a trusted document, or as `other`",
                request_seconds,
            ),
            fields: histograms(
                registry,
                "root_field_seconds",
                "Time of queries and mutations, by each field of the root type that they select",
                request_seconds,
            ),
            transports: registry.add("operations", "Operations, by transport"),
            errors: registry.add("operation_errors", "Errors of responses, by code"),
            cost: CounterFamily::register(
                registry,
                "operation_cost",
                "result",
                "Cost of operations, charged or refused",
            ),
            running: registry.add("operations_running", "Operations that run now"),
            connections: registry.add("connections_open", "Open connections of clients"),
            refused_connections: registry.add(
                "connections_refused",
                "Connections that were closed at once, because their client address had its maximum number of \
                 connections",
            ),
            websockets: registry.add("websockets_open", "Open WebSockets"),
            subscriptions: registry.add("subscriptions_open", "Open subscriptions, by field"),
            subscription_events: registry.add("subscription_events", "Responses to subscriptions, by field"),
            event_delay: histogram(
                registry,
                "event_delay_seconds",
                "Time from a change until this node told its subscribers",
                delay_seconds,
            ),
            other: OnceLock::new(),
        }
    }

    /// Records the duration of an HTTP request, by its route and the class of its status such as `2xx`.
    pub fn http_request(&self, route: HttpRoute, status: u16, elapsed: Duration) {
        let status = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.http.get_or_create(&RouteLabels { route, status }).observe(elapsed.as_secs_f64());
    }

    /// Records the duration of a query or a mutation that has ended, once for the operation and once for each root
    /// field. `name` is the name of the operation if its document is trusted. `fields` are its root fields, which must
    /// be names in the schema.
    pub fn operation(
        &self,
        (name, kind): (Option<Arc<str>>, OperationKind),
        fields: impl IntoIterator<Item = Arc<str>>,
        outcome: OperationOutcome,
        elapsed: Duration,
    ) {
        let seconds = elapsed.as_secs_f64();
        let operation = name.unwrap_or_else(|| Arc::clone(self.other.get_or_init(|| Arc::from(OTHER))));
        self.operations.get_or_create(&OperationLabels { operation, kind, outcome }).observe(seconds);
        for field in fields {
            let labels = FieldLabels { kind, field, outcome };
            self.fields.get_or_create(&labels).observe(seconds);
        }
    }

    /// Counts an operation of any kind by its transport and outcome.
    pub fn transported(&self, transport: OperationTransport, outcome: OperationOutcome) {
        self.transports.get_or_create(&TransportLabels { transport, outcome }).inc();
    }

    /// Counts an error of a response by its code.
    pub fn error(&self, code: &str) {
        let code = ERROR_CODES.iter().find(|known| **known == code).copied().unwrap_or("OTHER");
        self.errors.get_or_create(&CodeLabels { code }).inc();
    }

    /// Adds the cost of an operation to the charged or the refused cost.
    pub fn cost(&self, result: CostResult, cost: u64) {
        self.cost.add(result, cost);
    }

    /// Counts an operation as running until the returned gauge is dropped.
    #[must_use]
    pub fn running(&self, transport: OperationTransport) -> ActiveGauge {
        ActiveGauge::new(self.running.get_or_create_owned(&RunningLabels { transport }))
    }

    /// Counts a connection of a client as open until the returned gauge is dropped.
    #[must_use]
    pub fn connection(&self) -> ActiveGauge {
        ActiveGauge::new(self.connections.clone())
    }

    /// Counts a connection that was closed at once, because its client had the maximum number of connections.
    pub fn refused_connection(&self) {
        self.refused_connections.inc();
    }

    /// Counts a WebSocket as open until the returned gauge is dropped.
    #[must_use]
    pub fn websocket(&self) -> ActiveGauge {
        ActiveGauge::new(self.websockets.clone())
    }

    /// Counts a subscription as open until the returned gauge is dropped. `field` is its root field, which must be a
    /// name in the schema.
    #[must_use]
    pub fn subscription(&self, field: &str) -> ActiveGauge {
        let labels = SubscriptionLabels { field: Arc::from(field) };
        ActiveGauge::new(self.subscriptions.get_or_create_owned(&labels))
    }

    /// Counts a response to a subscription, by its root field.
    pub fn subscription_event(&self, field: &str) {
        self.subscription_events.get_or_create(&SubscriptionLabels { field: Arc::from(field) }).inc();
    }

    /// Records the time from a change until this node passed its event to the subscribers.
    pub(crate) fn event_delivered(&self, delay: Duration) {
        self.event_delay.observe(delay.as_secs_f64());
    }
}

/// A guard that adds 1 to a gauge as long as the guard exists, for example for an open connection or a running
/// operation. Dropping the guard subtracts 1.
#[derive(Debug)]
pub struct ActiveGauge {
    gauge: Gauge,
}

impl ActiveGauge {
    pub(super) fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self { gauge }
    }
}

impl Drop for ActiveGauge {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_counts_as_other() {
        let metrics = RequestMetrics::register(&mut Registrar::new());
        metrics.error("TIMEOUT");
        metrics.error("something else");
        let count = |code| metrics.errors.get_or_create(&CodeLabels { code }).get();
        assert_eq!((count("TIMEOUT"), count("OTHER")), (1, 1));
    }

    #[test]
    fn a_gauge_falls_when_its_owner_ends() {
        let metrics = RequestMetrics::register(&mut Registrar::new());
        let first = metrics.websocket();
        let second = metrics.websocket();
        assert_eq!(metrics.websockets.get(), 2);
        drop((first, second));
        assert_eq!(metrics.websockets.get(), 0);
    }
}
