//! The traces of a server: which spans are part of them, and how they are sent to the collector.
//!
//! A span has names that the code or the schema of jishu gives, and numbers. It has no value, no token and no text of a
//! client. So the span that encloses the log lines of a request is not part of a trace, because it has the path of the
//! request.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::layer::{Context as LayerContext, Filter};
use tracing_subscriber::registry::LookupSpan;

use super::context;
use super::exporter::exporter;
use super::statements;
use crate::config::ObserveConfig;
use jishu_service::trace::{self, TRACE_TARGET, TraceHooks};

/// The interval between two requests to the collector.
const EXPORT_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of spans that wait for the collector. Further spans are dropped, so that no request waits for the
/// collector.
const MAX_WAITING_SPANS: usize = 8_192;
/// Maximum number of spans in one request to the collector.
const MAX_SPANS_PER_EXPORT: usize = 1_024;

/// The traces of a server. They are sent to the collector in the background.
pub struct Traces {
    provider: SdkTracerProvider,
    /// Maximum time that a stopping server waits until the collector has taken the last spans.
    timeout: Duration,
}

impl Traces {
    /// Prepares the traces, and switches tracing on. Returns None if the operator has named no collector.
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
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_resource(resource)
            .build();
        statements::set_tracer(provider.tracer("jishu"));
        trace::switch_on(TraceHooks {
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
            // The parent of a span is the enclosing span of the crate tracing, so a span need not become the current
            // context of OpenTelemetry. The code location, the thread and the idle time of a span would cost time and
            // say little.
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            // Log lines can contain addresses of clients, so they are not part of traces.
            .with_filter(only_traces())
    }

    /// Sends the last spans to the collector. Stops waiting after the timeout of a request to the collector, and logs
    /// that the spans are lost.
    pub async fn stop(self) {
        let Self { provider, timeout } = self;
        let stopped = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(timeout)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!("the collector did not confirm the last traces, so they may be lost");
        }
    }
}

/// Makes the filter that lets through only the spans of traces. The code makes spans of a trace only if the trace is
/// sampled.
///
/// The filter is asked at each span, and its response is not cached. Otherwise sqlx, which asks whether one of its log
/// lines would be written, could make the filter hide the next span
/// (<https://github.com/tokio-rs/tracing/issues/2519>).
fn only_traces<S>() -> impl Filter<S> {
    dynamic_filter_fn(|metadata: &Metadata<'_>, _: &LayerContext<'_, S>| is_of_trace(metadata))
        .with_callsite_filter(|metadata| match is_of_trace(metadata) {
            true => Interest::sometimes(),
            false => Interest::never(),
        })
        .with_max_level_hint(LevelFilter::DEBUG)
}

fn is_of_trace(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == TRACE_TARGET && *metadata.level() <= Level::DEBUG
}
