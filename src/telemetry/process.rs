//! What the kernel says of this process, under the names that every Prometheus client uses.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// How many clock ticks `/proc` counts a second as; a constant of Linux' interface.
const TICKS: f64 = 100.0;

/// Reads `/proc` at each scrape; what can't be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
        if let Some(seconds) = cpu_seconds(&stat) {
            let counter = ConstCounter::new(seconds);
            let help = "Time that its threads have run";
            counter.encode(encoder.encode_descriptor(
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                counter.metric_type(),
            )?)?;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^53")]
        let count = |count: u64| count as f64;
        let open = fs::read_dir("/proc/self/fd").ok().map(|all| count(all.count() as u64));
        let gauges = [
            (
                "process_resident_memory",
                Some(Unit::Bytes),
                "Memory that it holds",
                bytes(&status, "VmRSS:").map(count),
            ),
            (
                "process_virtual_memory",
                Some(Unit::Bytes),
                "Addresses that it holds",
                bytes(&status, "VmSize:").map(count),
            ),
            ("process_open_fds", None, "Files and connections that it has open", open),
            (
                "process_max_fds",
                None,
                "Files and connections that it may have open",
                max_fds(&limits).map(count),
            ),
            (
                "process_start_time",
                Some(Unit::Seconds),
                "When it started, since 1970",
                start_time(&stat, &machine),
            ),
        ];
        for (name, unit, help, value) in gauges {
            let Some(gauge) = value.map(ConstGauge::new) else { continue };
            gauge.encode(encoder.encode_descriptor(
                name,
                help,
                unit.as_ref(),
                gauge.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// Returns a field of `/proc/self/stat` by its number in proc(5). The second is the name of the
/// program, which may hold spaces.
fn field(stat: &str, number: usize) -> Option<f64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

fn start_time(stat: &str, machine: &str) -> Option<f64> {
    let boot = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + field(stat, 22)? / TICKS)
}

fn bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Returns the soft limit.
fn max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 5 0 2000 123 45 1";

    #[test]
    fn a_programs_name_may_look_like_the_end_of_its_name() {
        assert_eq!(cpu_seconds(STAT), Some(2.0));
        assert_eq!(start_time(STAT, "cpu 1\nbtime 1000\n"), Some(1020.0));
    }

    #[test]
    fn memory_is_in_bytes_and_the_limit_is_the_soft_one() {
        assert_eq!(bytes("VmPeak:\t 9 kB\nVmRSS:\t      8 kB\n", "VmRSS:"), Some(8192));
        assert_eq!(
            max_fds("Max open files            1024                 4096                 files \n"),
            Some(1024)
        );
        assert_eq!(
            max_fds("Max open files            unlimited            unlimited            files \n"),
            None
        );
    }
}
