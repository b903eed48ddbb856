//! Counters with one label that has a fixed set of values.

use std::marker::PhantomData;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::labels::LabelValue;
use super::registrar::Registrar;

/// One counter for each value of a label.
pub(super) struct CounterFamily<V> {
    label: &'static str,
    counters: Family<[(&'static str, &'static str); 1], Counter>,
    values: PhantomData<fn(V)>,
}

impl<V: LabelValue> CounterFamily<V> {
    /// Registers a counter for each value of the label. Each counter exists from the start with the value zero, so that
    /// Prometheus sees its first increase.
    pub(super) fn register(
        registry: &mut Registrar,
        name: &'static str,
        label: &'static str,
        help: &str,
    ) -> Self {
        let family = Self { label, counters: registry.add(name, help), values: PhantomData };
        for &value in V::ALL {
            family.add(value, 0);
        }
        family
    }

    /// Adds 1 to the counter for this value of the label.
    pub(super) fn count(&self, value: V) {
        self.add(value, 1);
    }

    /// Adds `number` to the counter for this value of the label.
    pub(super) fn add(&self, value: V, number: u64) {
        self.counters.get_or_create(&[(self.label, value.text())]).inc_by(number);
    }
}
