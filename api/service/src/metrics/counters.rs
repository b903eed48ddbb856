//! Counters with one label, whose values are known.

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
    /// Registers the counters. All of them start at zero, so that the first increase of each is seen as one.
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

    /// Counts one.
    pub(super) fn count(&self, value: V) {
        self.add(value, 1);
    }

    /// Counts several at once.
    pub(super) fn add(&self, value: V, number: u64) {
        self.counters.get_or_create(&[(self.label, value.text())]).inc_by(number);
    }
}
