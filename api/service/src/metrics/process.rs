//! Metrics of the process, with the names that Prometheus recommends. They are read from `/proc`, so only Linux has
//! them.

use std::fs;
use std::time::SystemTime;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Number of clock ticks in a second. Linux reports CPU times in these ticks on the machines for which jishu is built.
const TICKS_PER_SECOND: f64 = 100.0;

/// Size of a page of memory, in bytes, on the machines for which jishu is built.
const PAGE_BYTES: f64 = 4096.0;

/// The names of the families of the process.
pub(super) const PROCESS_NAMES: [&str; 5] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_threads",
    "process_open_fds",
    "process_start_time_seconds",
];

/// A collector that reads the values of the process at each scrape.
#[derive(Debug)]
pub(super) struct ProcessCollector {
    /// The start of the process, in seconds since 1970. None if the clock of the machine is before that year.
    started_at: Option<f64>,
}

impl ProcessCollector {
    /// Makes the collector. The server makes it when it starts, so the time of this call is the start of the process.
    pub(super) fn new() -> Self {
        // Linux gives the start of a process relative to the boot, whose time is in `/proc/stat`. A service with
        // `ProcSubset=pid` cannot read that file. The `Clock` of the services is not used here, because a test can move
        // it.
        let started_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self { started_at: started_at.ok().map(|since| since.as_secs_f64()) }
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(stat) = ProcessStat::read() else { return Ok(()) };
        let cpu = encoder.encode_descriptor(
            "process_cpu_seconds",
            "CPU time of the process.",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(stat.cpu_seconds).encode(cpu)?;
        let mut gauge = |name, help, value: f64| {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)
        };
        gauge("process_resident_memory_bytes", "Memory of the process.", stat.resident_bytes)?;
        gauge("process_threads", "Threads of the process.", stat.threads)?;
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            let open = u32::try_from(files.count()).unwrap_or(u32::MAX);
            gauge("process_open_fds", "Open files and sockets of the process.", f64::from(open))?;
        }
        if let Some(started_at) = self.started_at {
            gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", started_at)?;
        }
        Ok(())
    }
}

/// The values that are read from `/proc/self/stat`.
struct ProcessStat {
    cpu_seconds: f64,
    threads: f64,
    resident_bytes: f64,
}

impl ProcessStat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The second value is the name of the program in parentheses, which may contain spaces.
        let (_, rest) = stat.rsplit_once(") ")?;
        let values: Vec<f64> = rest.split(' ').map(|value| value.trim().parse().unwrap_or(0.0)).collect();
        // `values` begins with the third value, as the manual page proc(5) numbers them.
        let value = |number: usize| values.get(number - 3).copied();
        Some(Self {
            cpu_seconds: (value(14)? + value(15)?) / TICKS_PER_SECOND,
            threads: value(20)?,
            resident_bytes: value(24)? * PAGE_BYTES,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_are_found_after_a_name_with_spaces() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1200 1000000 512 18446744073709551615";
        let stat = ProcessStat::parse(stat).unwrap();
        assert_eq!((stat.cpu_seconds, stat.threads), (3.0, 9.0));
        assert_eq!(stat.resident_bytes, 512.0 * PAGE_BYTES);
    }

    #[test]
    fn the_start_is_the_time_of_the_collector() {
        let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let before = now();
        let started_at = ProcessCollector::new().started_at.unwrap();
        assert!((before..=now()).contains(&started_at), "{started_at}");
    }
}
