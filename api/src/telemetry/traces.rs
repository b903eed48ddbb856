//! Traces: which spans are part of them, which requests are traced, and how they end.
//!
//! Spans carry names that our code or our schema gives, and numbers. No value, no token and no text of a client is in a
//! span. So the span that encloses the log lines of a request is not exported, because it has the path of the request.

use std::time::Duration;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context as LayerContext, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::context;
use super::exporter::exporter;
use super::statements;
use crate::config::ObserveConfig;
use jishu_service::trace::{self, TRACE_TARGET, Tracer};

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
            .with_sampler(FirstSpanSampler)
            .with_resource(resource)
            .build();
        statements::set_tracer(provider.tracer("jishu"));
        trace::switch_on(Tracer {
            traceparent: context::current_traceparent,
            ratio: config.trace_ratio,
            add_statement: statements::add,
        });
        Ok(Some(Self { provider, timeout: config.otlp_timeout() }))
    }

    /// Returns the layer that makes spans parts of traces.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("jishu"))
            // Parents are found by the spans of tracing. The rest would cost time and say little.
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            // Log lines can contain addresses of clients, so they are not part of traces.
            .with_filter(only_in_traces())
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

/// Lets through the first span of a trace, and the spans below one. So work that is not sampled makes no spans.
fn only_in_traces<S>() -> impl Filter<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    dynamic_filter_fn(|metadata: &Metadata<'_>, context: &LayerContext<'_, S>| {
        is_traced_span(metadata) && (trace::begins() || context.lookup_current().is_some())
    })
    .with_callsite_filter(|metadata| match is_traced_span(metadata) {
        true => Interest::sometimes(),
        false => Interest::never(),
    })
    .with_max_level_hint(LevelFilter::DEBUG)
}

/// Samples every span that is made, because only the first spans of sampled traces are made. If a span continues the trace
/// of a caller, the decision of the caller counts.
#[derive(Clone, Debug)]
struct FirstSpanSampler;

impl ShouldSample for FirstSpanSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|parent| parent.has_active_span());
        let is_sampled = parent.is_none_or(|parent| parent.span().span_context().is_sampled());
        SamplingResult {
            decision: if is_sampled { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}
