//! Counts and times operations, and makes them spans of a trace.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use async_graphql::parser::types::OperationType;
use async_graphql::{ServerError, Value};
use tracing::{Span, field};

use crate::http::AppState;
use crate::http::admission::TimeLimit;
use crate::telemetry::context;
use graphql_engine::PreparedOperation;
use jishu_service::metrics::{
    ActiveGauge, Metrics, OperationKind, OperationOutcome, OperationTransport, PanicPlace, RequestMetrics,
};
use jishu_service::trace::{self, TRACE_TARGET};

/// The codes of errors that only the server can avoid.
const SERVER_ERROR_CODES: [&str; 3] = ["INTERNAL", "OVERLOADED", "TIMEOUT"];

/// A running operation with its metrics and its span. Dropping this value counts the operation.
pub(super) struct ObservedOperation {
    /// The metrics of the operation. None if metrics are off.
    counted: Option<CountedOperation>,
    span: Span,
    /// The time limit of the request. None if metrics and traces are off. None also on a WebSocket, because there the
    /// operation itself gets a response when its time is over.
    limit: Option<TimeLimit>,
}

struct CountedOperation {
    metrics: Metrics,
    transport: OperationTransport,
    kind: OperationKind,
    /// The name of the operation in a trusted document. None for an operation of any other document.
    name: Option<Arc<str>>,
    /// The names of the root fields. Validation has made sure that the schema has them.
    fields: Vec<Arc<str>>,
    started: Instant,
    outcome: OperationOutcome,
    /// Counts the operation as running, and a subscription as open.
    _gauges: (ActiveGauge, Option<ActiveGauge>),
}

impl ObservedOperation {
    /// Begins to observe an operation that will be executed.
    pub(super) fn begin(
        state: &AppState,
        operation: &PreparedOperation,
        transport: OperationTransport,
        limit: Option<TimeLimit>,
    ) -> Self {
        let kind = kind(operation);
        let counted = state.services.metrics.requests().map(|requests| {
            let fields: Vec<Arc<str>> = operation.root_fields().map(Arc::from).collect();
            let subscribed = fields.first().filter(|_| kind == OperationKind::Subscription);
            CountedOperation {
                metrics: state.services.metrics.clone(),
                transport,
                kind,
                name: operation.trusted_name().map(Arc::from),
                started: Instant::now(),
                outcome: OperationOutcome::Abandoned,
                _gauges: (requests.running(transport), subscribed.map(|field| requests.subscription(field))),
                fields,
            }
        });
        let make = || span(operation, kind, transport);
        let span = match transport {
            // A WebSocket may be open for hours, so each operation on it is a trace of its own.
            OperationTransport::WebSocket => trace::first_span(make),
            _ => trace::span(make),
        };
        Self { counted, span, limit }
    }

    /// Returns the span in which the operation must run. The span is disabled if the operation is not part of a trace.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records one response of the operation, with these errors. A subscription can have any number of responses.
    pub(super) fn responded(&mut self, errors: &[ServerError]) {
        let outcome = outcome(errors);
        if outcome == OperationOutcome::ServerError && trace::is_on() {
            self.span.record("otel.status_code", "ERROR");
        }
        let Some(counted) = &mut self.counted else { return };
        counted.outcome = outcome;
        let Some(requests) = counted.metrics.requests() else { return };
        count_errors(requests, errors);
        if let (OperationKind::Subscription, Some(field)) = (counted.kind, counted.fields.first()) {
            requests.subscription_event(field);
        }
    }
}

impl Drop for ObservedOperation {
    fn drop(&mut self) {
        // If the operation panics or exceeds its time limit, `responded` records no response. Another part of the
        // server sends the response, with the code that is counted here.
        let code = if thread::panicking() {
            "INTERNAL"
        } else if self.limit.as_ref().is_some_and(TimeLimit::is_over) {
            "TIMEOUT"
        } else {
            return;
        };
        if trace::is_on() {
            self.span.record("otel.status_code", "ERROR");
        }
        if let Some(counted) = &mut self.counted {
            counted.outcome = OperationOutcome::ServerError;
            if thread::panicking() && counted.runs_in_task() {
                counted.metrics.panicked(PanicPlace::Stream);
            }
            if let Some(requests) = counted.metrics.requests() {
                requests.error(code);
            }
        }
    }
}

impl CountedOperation {
    /// Returns whether the operation runs in a task of its own. Otherwise the handler of the request runs the
    /// operation, and a panic is counted for the request.
    fn runs_in_task(&self) -> bool {
        self.transport == OperationTransport::WebSocket || self.kind == OperationKind::Subscription
    }
}

impl Drop for CountedOperation {
    fn drop(&mut self) {
        let Some(requests) = self.metrics.requests() else { return };
        // A subscription usually ends because its client leaves. Then the subscription is not counted as abandoned.
        let is_subscription = self.kind == OperationKind::Subscription;
        if is_subscription && self.outcome == OperationOutcome::Abandoned {
            self.outcome = OperationOutcome::Ok;
        }
        requests.transported(self.transport, self.outcome);
        if !is_subscription {
            let fields = std::mem::take(&mut self.fields);
            requests.operation((self.name.take(), self.kind), fields, self.outcome, self.started.elapsed());
        }
    }
}

/// Counts an operation that is not executed.
pub(super) fn count_refusal(state: &AppState, transport: OperationTransport, errors: &[ServerError]) {
    if let Some(requests) = state.services.metrics.requests() {
        requests.transported(transport, OperationOutcome::Refused);
        count_errors(requests, errors);
    }
}

fn count_errors(requests: &RequestMetrics, errors: &[ServerError]) {
    for error in errors {
        requests.error(code(error).unwrap_or_default());
    }
}

fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

fn outcome(errors: &[ServerError]) -> OperationOutcome {
    let is_of_server = |error| code(error).is_some_and(|code| SERVER_ERROR_CODES.contains(&code));
    if errors.iter().any(is_of_server) {
        OperationOutcome::ServerError
    } else if errors.is_empty() {
        OperationOutcome::Ok
    } else {
        OperationOutcome::ClientError
    }
}

fn kind(operation: &PreparedOperation) -> OperationKind {
    match operation.kind() {
        OperationType::Query => OperationKind::Query,
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Subscription => OperationKind::Subscription,
    }
}

/// Makes the span of an operation.
fn span(operation: &PreparedOperation, kind: OperationKind, transport: OperationTransport) -> Span {
    let name = operation.trusted_name();
    let is_of_websocket = transport == OperationTransport::WebSocket;
    let span = tracing::debug_span!(
        target: TRACE_TARGET,
        "operation",
        otel.name = format_args!("{} {}", kind.as_str(), name.unwrap_or("other")),
        otel.kind = if is_of_websocket { "server" } else { "internal" },
        otel.status_code = field::Empty,
        graphql.operation.r#type = kind.as_str(),
        graphql.operation.name = name,
        graphql.root_fields = operation.root_fields().collect::<Vec<_>>().join(","),
        graphql.cost = operation.cost(),
        transport = transport.as_str(),
    );
    if is_of_websocket && !span.is_disabled() {
        context::begin_trace(&span);
    }
    span
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::graphql::{RequestId, panic_error};
    use jishu_service::metrics::ExpositionFormat;

    fn running(metrics: &Metrics, kind: OperationKind) -> ObservedOperation {
        let transport = OperationTransport::Post;
        let counted = metrics.requests().map(|requests| CountedOperation {
            metrics: metrics.clone(),
            transport,
            kind,
            name: None,
            fields: vec![Arc::from("viewer")],
            started: Instant::now(),
            outcome: OperationOutcome::Abandoned,
            _gauges: (requests.running(transport), None),
        });
        ObservedOperation { counted, span: Span::none(), limit: None }
    }

    fn has(metrics: &Metrics, sample: &str) -> bool {
        let text = metrics.encode(ExpositionFormat::PrometheusText).unwrap();
        text.lines().any(|line| line == sample)
    }

    #[test]
    fn a_panic_is_a_failure_of_the_server() {
        let metrics = Metrics::on();
        for kind in [OperationKind::Query, OperationKind::Subscription] {
            let mut operation = running(&metrics, kind);
            operation.responded(&[]);
            let panicked = catch_unwind(AssertUnwindSafe(move || {
                let _operation = operation;
                panic!("the test wants this panic");
            }));
            assert!(panicked.is_err());
        }
        assert!(has(&metrics, "jishu_operations_total{transport=\"post\",outcome=\"server_error\"} 2"));
        assert!(has(&metrics, "jishu_operation_errors_total{code=\"INTERNAL\"} 2"));
        assert!(has(&metrics, "jishu_panics_total{place=\"stream\"} 1"));
        drop(running(&metrics, OperationKind::Query));
        assert!(has(&metrics, "jishu_operations_total{transport=\"post\",outcome=\"abandoned\"} 1"));
    }

    #[test]
    fn an_outcome_tells_who_can_avoid_it() {
        assert_eq!(outcome(&[]), OperationOutcome::Ok);
        assert_eq!(outcome(&[ServerError::new("x", None)]), OperationOutcome::ClientError);
        let ours = panic_error(&RequestId::from("1"));
        assert_eq!(outcome(&[ServerError::new("x", None), ours]), OperationOutcome::ServerError);
    }
}
