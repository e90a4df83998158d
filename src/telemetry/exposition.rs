//! The text of `/metrics`, in the format that the scraper asks for.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFormat {
    /// Prometheus' text format 0.0.4, which every scraper reads.
    #[default]
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// Returns what an `Accept` header prefers (RFC 9110, section 12.5.1): `OpenMetrics` only where
    /// it is named, since a browser or curl accepts anything.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let weight = |media_type: &str| {
            let asked = header.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                parts.next().filter(|name| name.eq_ignore_ascii_case(media_type))?;
                let q = parts.find_map(|parameter| parameter.strip_prefix("q="));
                Some(q.map_or(1.0, |q| q.parse().unwrap_or(0.0)))
            });
            asked.fold(0.0, f32::max)
        };
        let open_metrics = weight("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= weight("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// Returns the media type, for the header `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Returns all metrics as text.
pub(super) fn text(registry: &Registry, format: MetricsFormat) -> String {
    let mut text = String::new();
    // Writing to a String doesn't fail.
    let _ = encode(&mut text, registry);
    match format {
        MetricsFormat::OpenMetrics => text,
        MetricsFormat::Prometheus => downgrade(&text),
    }
}

/// Turns `OpenMetrics` into Prometheus' format, which has no units, no end and no type `info`, and
/// calls a family by the name of its samples: `roster_store_commands_total` rather than
/// `roster_store_commands`.
fn downgrade(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(about) = line.strip_prefix("# HELP ") {
            help = about.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap_or((family, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            text += &format!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with("# ") {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[track_caller]
    fn check(accept: &str, format: MetricsFormat) {
        assert_eq!(MetricsFormat::accepted(accept), format, "{accept}");
    }

    #[test]
    fn the_scraper_chooses_the_format() {
        check("", MetricsFormat::Prometheus);
        check("*/*", MetricsFormat::Prometheus);
        check("text/plain", MetricsFormat::Prometheus);
        check("application/openmetrics-text;q=0,*/*", MetricsFormat::Prometheus);
        check("application/openmetrics-text; q=0.2, text/plain; q=0.3", MetricsFormat::Prometheus);
        check("application/openmetrics-text", MetricsFormat::OpenMetrics);
        // What Prometheus 2.42 and 3.5 send.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            MetricsFormat::OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
            MetricsFormat::OpenMetrics,
        );
    }

    #[test]
    fn prometheus_finds_every_sample_under_the_name_of_its_family() {
        let metrics = Metrics::default();
        metrics.store_errors.inc();
        metrics.status_written(std::time::Duration::from_millis(3));
        let text = metrics.text(MetricsFormat::Prometheus);
        assert!(
            text.contains(
                "# TYPE roster_store_errors_total counter\nroster_store_errors_total 1\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("# TYPE roster_build_info gauge\nroster_build_info{version=\""),
            "{text}"
        );
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
        let mut family = String::new();
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                family = declared.split(' ').next().unwrap().to_owned();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(&family), "{line} isn't of {family}");
            }
        }
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let metrics = Metrics::default();
        let samples = |format| {
            let text = metrics.text(format);
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            // Those of the process change from one to the other.
            lines.filter(|line| line.starts_with("roster_")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(samples(MetricsFormat::Prometheus), samples(MetricsFormat::OpenMetrics));
        assert!(metrics.text(MetricsFormat::OpenMetrics).ends_with("# EOF\n"));
    }
}
