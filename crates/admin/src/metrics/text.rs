//! The text that Prometheus reads (exposition format 0.0.4).

use std::fmt::Write;

use super::{METRICS, Metric, Number, Of, Reading, Value, Values};
use crate::server::figures::Names;

/// All metrics as text.
pub(crate) fn text(reading: &Reading, names: Names) -> String {
    let mut text = String::with_capacity(32 * 1024);
    for metric in METRICS {
        let values = Values::of(metric, reading);
        if values.is_empty() {
            continue;
        }
        if names == Names::Own || metric.aliases.is_empty() {
            let name = format!("nightjar_{}", metric.name);
            family(&mut text, &name, metric, &values);
            continue;
        }
        for alias in metric.aliases {
            if alias.of == Of::Each {
                family(&mut text, &alias.flat(), metric, &values);
                continue;
            }
            let sum = Value {
                labels: Vec::new(),
                number: alias.sum(&values),
            };
            family(&mut text, &alias.flat(), metric, &[sum]);
        }
    }
    text
}

// Writing to a String cannot fail.
fn family(text: &mut String, name: &str, metric: &Metric, values: &[Value]) {
    let kind = metric.kind.as_str();
    let help = metric.help.replace('\\', "\\\\");
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for value in values {
        match &value.number {
            Number::Whole(number) => line(text, name, value, None, |text| {
                let _ = write!(text, "{number}");
            }),
            Number::Real(number) => line(text, name, value, None, |text| {
                real(text, *number);
            }),
            Number::Times { within, all, sum } => {
                let bucket = format!("{name}_bucket");
                for (bound, count) in within {
                    line(text, &bucket, value, Some(&bound.to_string()), |text| {
                        let _ = write!(text, "{count}");
                    });
                }
                line(text, &bucket, value, Some("+Inf"), |text| {
                    let _ = write!(text, "{all}");
                });
                if let Some(sum) = sum {
                    line(text, &format!("{name}_sum"), value, None, |text| {
                        real(text, *sum);
                    });
                }
                line(text, &format!("{name}_count"), value, None, |text| {
                    let _ = write!(text, "{all}");
                });
            }
        }
    }
}

fn real(text: &mut String, number: f64) {
    // As Rust writes infinity it is not understood.
    let _ = match number.is_finite() {
        true => write!(text, "{number}"),
        false => write!(text, "NaN"),
    };
}

fn line(
    text: &mut String,
    name: &str,
    value: &Value,
    bound: Option<&str>,
    number: impl FnOnce(&mut String),
) {
    text.push_str(name);
    let labels = value.labels.iter().map(|(name, it)| (*name, &**it));
    let mut between = '{';
    for (name, it) in labels.chain(bound.map(|bound| ("le", bound))) {
        text.push(between);
        between = ',';
        let _ = write!(text, "{name}=\"");
        for letter in it.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                // A carriage return would end the line for some readers.
                letter if letter.is_control() => text.push('\u{fffd}'),
                letter => text.push(letter),
            }
        }
        text.push('"');
    }
    if between == ',' {
        text.push('}');
    }
    text.push(' ');
    number(text);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    #[test]
    fn s93_a_label_is_quoted_and_a_histogram_is_cumulative() {
        let metric = Metric {
            name: "x",
            kind: Kind::Histogram,
            help: "H.",
            labels: &[],
            aliases: &[],
            read: |_, _| {},
        };
        let value = Value {
            labels: vec![("who", "a\"b\\c\nd\re".into())],
            number: Number::Times {
                within: vec![(0.1, 1), (2.0, 3)],
                all: 4,
                sum: Some(1.5),
            },
        };
        let mut text = String::new();
        family(&mut text, "x", &metric, &[value]);
        let label = "who=\"a\\\"b\\\\c\\nd\u{fffd}e\"";
        let wanted = format!(
            "# HELP x H.\n# TYPE x histogram\nx_bucket{{{label},le=\"0.1\"}} 1\n\
             x_bucket{{{label},le=\"2\"}} 3\nx_bucket{{{label},le=\"+Inf\"}} 4\n\
             x_sum{{{label}}} 1.5\nx_count{{{label}}} 4\n"
        );
        assert_eq!(text, wanted);
    }
}
