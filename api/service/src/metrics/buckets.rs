//! The buckets of histograms, and the functions that make and register histograms.

use std::hash::Hash;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;

use super::registrar::Registrar;

/// The upper bounds of the buckets for requests and operations, in seconds. By default a request may take 30 seconds.
const REQUEST_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

/// The upper bounds of the buckets for the database, in seconds. They are for the times of statements and transactions,
/// and for their waits for a connection or for another transaction. A statement may take 15 seconds.
const DATABASE_SECONDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 15.0];

/// The upper bounds of the buckets for the delay of events, in seconds. Nodes read events twice a second.
const DELAY_SECONDS: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0, 60.0];

/// The upper bounds of the buckets for the number of transactions in a group.
const GROUP_SIZES: [f64; 5] = [1.0, 2.0, 4.0, 6.0, 8.0];

/// Makes a histogram with the buckets for requests and operations.
pub(super) fn request_seconds() -> Histogram {
    Histogram::new(REQUEST_SECONDS)
}

/// Makes a histogram with the buckets for the database: for the times of statements and transactions, and for their
/// waits for a connection or for another transaction.
pub(super) fn database_seconds() -> Histogram {
    Histogram::new(DATABASE_SECONDS)
}

/// Makes a histogram with the buckets for the number of transactions in a group.
pub(super) fn group_sizes() -> Histogram {
    Histogram::new(GROUP_SIZES)
}

/// Makes a histogram with the buckets for the delay of events.
pub(super) fn delay_seconds() -> Histogram {
    Histogram::new(DELAY_SECONDS)
}

/// A family of histograms: one histogram for each set of labels.
pub(super) type HistogramFamily<L> = Family<L, Histogram, fn() -> Histogram>;

/// Makes a histogram without labels, and registers it.
pub(super) fn histogram(
    registry: &mut Registrar,
    name: &'static str,
    help: &str,
    histogram: fn() -> Histogram,
) -> Histogram {
    let histogram = histogram();
    registry.register(name, help, histogram.clone());
    histogram
}

/// Makes a family of histograms, and registers it.
pub(super) fn histograms<L>(
    registry: &mut Registrar,
    name: &'static str,
    help: &str,
    histogram: fn() -> Histogram,
) -> HistogramFamily<L>
where
    L: Clone + Eq + Hash + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
    fn() -> Histogram: MetricConstructor<Histogram>,
{
    let family = Family::new_with_constructor(histogram);
    registry.register(name, help, family.clone());
    family
}
