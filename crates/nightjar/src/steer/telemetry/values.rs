//! The one table of metrics, as values for the collector.

use admin::metrics::{Family, Kind, Number, Value};
use telemetry::metric;
use telemetry::{Metric, Point};

/// By the names that Prometheus has for them.
pub(super) fn metrics(families: Vec<Family>) -> Vec<Metric> {
    families.into_iter().map(metric).collect()
}

fn metric(family: Family) -> Metric {
    Metric {
        unit: unit(&family.name),
        name: family.name,
        description: family.help,
        kind: match family.kind {
            Kind::Counter => metric::Kind::Sum,
            Kind::Gauge => metric::Kind::Gauge,
            Kind::Histogram => metric::Kind::Histogram,
        },
        points: family.values.into_iter().map(point).collect(),
    }
}

/// What a name says of its unit (UCUM).
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name {
        name if name.ends_with("_seconds") => "s",
        name if name.ends_with("_bytes") => "By",
        name if name.ends_with("_percent") => "%",
        _ => "",
    }
}

fn point(value: Value) -> Point {
    let labels = value.labels.into_iter();
    Point {
        labels: labels
            .map(|(label, text)| (label, text.into_owned()))
            .collect(),
        number: match value.number {
            Number::Whole(number) => telemetry::Number::Whole(number),
            Number::Real(number) => telemetry::Number::Real(number),
            Number::Times { within, all, sum } => buckets(&within, all, sum),
        },
    }
}

/// Counts between bounds, of counts up to each.
fn buckets(within: &[(f64, u64)], all: u64, sum: Option<f64>) -> telemetry::Number {
    let upto = within.iter().map(|(_, count)| *count).chain([all]);
    let mut below = 0;
    let counts = upto.map(|count| count.saturating_sub(std::mem::replace(&mut below, count)));
    telemetry::Number::Buckets {
        counts: counts.collect(),
        bounds: within.iter().map(|(bound, _)| *bound).collect(),
        sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_counted_between_its_bounds() {
        let number = buckets(&[(0.1, 1), (1.0, 1), (5.0, 4)], 6, Some(9.0));
        let telemetry::Number::Buckets {
            bounds,
            counts,
            sum,
        } = number
        else {
            panic!("{number:?}");
        };
        assert_eq!((bounds, counts), (vec![0.1, 1.0, 5.0], vec![1, 0, 3, 2]));
        assert_eq!(sum, Some(9.0));
    }

    #[test]
    fn a_name_says_its_unit() {
        for (name, told) in [
            ("nightjar_process_cpu_seconds_total", "s"),
            ("nightjar_uptime_seconds", "s"),
            ("nightjar_queued_bytes", "By"),
            ("nightjar_process_cpu_percent", "%"),
            ("nightjar_connections", ""),
        ] {
            assert_eq!(unit(name), told, "{name}");
        }
    }
}
