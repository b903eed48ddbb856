//! Traces: which spans are part of them, which requests are traced, and how they end.
//!
//! Spans carry names that our code or our schema gives, and numbers. No value, no token and no text of a client is in a
//! span. So the span that encloses the log lines of a request is not exported, because it has the path of the request.

use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider,
    ShouldSample,
};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::context;
use super::exporter::exporter;
use super::statements::StatementLayer;
use crate::config::ObserveConfig;
use jishu_service::trace::{self, STATEMENT_TARGET, TRACE_TARGET};

/// The target of the spans of functions of the service crate.
const SERVICE_TARGET: &str = "jishu_service";

/// Interval between two requests to the collector.
const EXPORT_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of spans that wait for the collector. Further ones are dropped, so that nothing waits for it.
const MAX_WAITING_SPANS: usize = 8_192;
/// Maximum number of spans in one request to the collector.
const MAX_SPANS_PER_EXPORT: usize = 1_024;

/// The traces of a server. They are sent in the background.
pub struct Traces {
    provider: SdkTracerProvider,
    /// The time for which a server that stops waits for the collector.
    timeout: Duration,
}

impl Traces {
    /// Prepares traces. Returns None if the operator has named no collector.
    ///
    /// # Errors
    /// Fails if the client for the collector cannot be built.
    pub(super) fn start(config: &ObserveConfig) -> Result<Option<Self>, String> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_WAITING_SPANS)
            .with_max_export_batch_size(MAX_SPANS_PER_EXPORT)
            .with_scheduled_delay(EXPORT_INTERVAL)
            .build();
        let processor =
            BatchSpanProcessor::builder(exporter(config, endpoint)?).with_batch_config(batches).build();
        let resource = Resource::builder_empty()
            .with_service_name(config.trace_service.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(RequestSampler { ratio: Sampler::TraceIdRatioBased(config.trace_ratio) })
            .with_resource(resource)
            .build();
        trace::set_source(context::current_traceparent);
        Ok(Some(Self { provider, timeout: config.otlp_timeout() }))
    }

    /// Returns the layers that turn spans and reports of statements into parts of traces.
    pub(super) fn layers<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.provider.tracer("jishu");
        let spans = tracing_opentelemetry::layer()
            .with_tracer(tracer.clone())
            // Parents are found by the spans of tracing. The rest would cost time and say little.
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            // Log lines can contain addresses of clients, so they are not part of traces.
            .with_filter(filter_fn(is_traced_span).and(LevelFilter::DEBUG));
        let is_reported =
            |metadata: &Metadata<'_>| is_traced_span(metadata) || metadata.target() == STATEMENT_TARGET;
        let statements =
            StatementLayer::new(tracer).with_filter(filter_fn(is_reported).and(LevelFilter::DEBUG));
        spans.and_then(statements)
    }

    /// Sends the last spans. Gives up when the time for a request to the collector is over.
    pub async fn stop(self) {
        let Self { provider, timeout } = self;
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!("the collector did not take the last traces in time, so they are lost");
        }
    }
}

fn is_traced_span(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span() && (target == TRACE_TARGET || target.starts_with(SERVICE_TARGET))
}

/// Decides which traces are sent. A trace begins with a request or with a delivery of the outbox. Other work in the
/// background, such as a search that runs each second, begins none.
#[derive(Clone, Debug)]
struct RequestSampler {
    ratio: Sampler,
}

impl ShouldSample for RequestSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let decide = |decision| SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        };
        if let Some(parent) = parent.filter(|parent| parent.has_active_span()) {
            return decide(match parent.span().span_context().is_sampled() {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::Drop,
            });
        }
        match kind {
            SpanKind::Server | SpanKind::Consumer => {
                self.ratio.should_sample(None, trace_id, name, kind, attributes, links)
            }
            _ => decide(SamplingDecision::Drop),
        }
    }
}
