//! Metrics: one table of what can be told, and the forms in which it is.
//!
//! | module | owns |
//! |---|---|
//! | `reading` | [`Reading`]: all that the table reads, taken at one moment |
//! | `table` | [`METRICS`]: each metric with its name, its kind, its words, and how it is read |
//! | `text` | the text that Prometheus reads |
//! | [`families`] | all of them as values, for who sends them elsewhere |
//!
//! docs/metrics.md and what the API tells are made from the table; a test compares the page.

#[cfg(test)]
mod docs;
mod reading;
mod table;
mod text;

use std::borrow::Cow;

pub(crate) use reading::Reading;
pub use reading::Traffic;
pub(crate) use table::METRICS;
pub(crate) use text::text;

use crate::Server;

/// A metric.
pub(crate) struct Metric {
    /// Its name, without `nightjar_`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it is, in words; one line.
    pub(crate) help: &'static str,
    /// The labels of its values, for the documentation.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) labels: &'static [&'static str],
    /// EMQX's names for it, or for some of its values.
    pub(crate) aliases: &'static [Alias],
    /// Its values. None, where there is nothing to be told of.
    pub(crate) read: fn(&Reading, &mut Values),
}

/// What a metric is to those who draw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the server.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many took how long, from the start of the server.
    Histogram,
}

/// A metric with its values, for who sends them elsewhere.
#[derive(Debug)]
pub struct Family {
    /// Its name, as Prometheus has it.
    pub name: String,
    /// What it is to those who draw it.
    pub kind: Kind,
    /// What it is, in words; one line.
    pub help: &'static str,
    /// Its values; at least one.
    pub values: Vec<Value>,
}

/// All metrics that have a value, by our own names, as they are now. Answers at once.
pub fn families(server: &dyn Server, traffic: &Traffic) -> Vec<Family> {
    let reading = Reading::take(server, traffic);
    let all = METRICS.iter().map(|metric| Family {
        name: format!("nightjar_{}", metric.name),
        kind: metric.kind,
        help: metric.help,
        values: Values::of(metric, &reading),
    });
    all.filter(|family| !family.values.is_empty()).collect()
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// EMQX's name for a metric.
pub(crate) struct Alias {
    /// As `GET /api/v5/metrics` and `/stats` have it, with dots; in Prometheus with `emqx_` in front
    /// and `_` for each dot. One without a dot is in Prometheus only.
    pub(crate) name: &'static str,
    /// Of which values it is the sum.
    pub(crate) of: Of,
}

/// Of which values something is the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Of all.
    All,
    /// Of those with this as their last label.
    Labelled(&'static str),
    /// Of none: each is told with its labels.
    Each,
}

/// The values of a metric.
#[derive(Debug, Default)]
pub(crate) struct Values(Vec<Value>);

/// A value with its labels.
#[derive(Debug)]
pub struct Value {
    /// What tells it apart.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// The value.
    pub number: Number,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Whole(u64),
    /// Any.
    Real(f64),
    /// Upper bounds in seconds with the counts up to each, the count of all, and the sum in seconds,
    /// where it is known.
    Times {
        /// Bounds, with the counts up to each.
        within: Vec<(f64, u64)>,
        /// The count of all.
        all: u64,
        /// The sum of all.
        sum: Option<f64>,
    },
}

impl Values {
    /// A value without labels.
    fn one(&mut self, number: impl Into<Number>) {
        self.labelled([], number);
    }

    /// A value without labels, if it is known.
    fn maybe(&mut self, number: Option<impl Into<Number>>) {
        if let Some(number) = number {
            self.one(number);
        }
    }

    fn labelled<const N: usize>(
        &mut self,
        labels: [(&'static str, Cow<'static, str>); N],
        number: impl Into<Number>,
    ) {
        self.0.push(Value {
            labels: labels.into(),
            number: number.into(),
        });
    }

    /// The values of a metric, as they are now.
    pub(crate) fn of(metric: &Metric, reading: &Reading) -> Vec<Value> {
        let mut values = Self::default();
        (metric.read)(reading, &mut values);
        values.0
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl Alias {
    /// The name in Prometheus.
    pub(crate) fn flat(&self) -> String {
        format!("emqx_{}", self.name.replace('.', "_"))
    }

    /// What is told by this name, of all values of its metric.
    pub(crate) fn sum(&self, values: &[Value]) -> Number {
        let counted = values.iter().filter(|value| match self.of {
            Of::All | Of::Each => true,
            Of::Labelled(wanted) => value.labels.last().is_some_and(|(_, it)| it == wanted),
        });
        counted.fold(Number::Whole(0), |sum, value| match (sum, &value.number) {
            (Number::Whole(a), Number::Whole(b)) => Number::Whole(a.saturating_add(*b)),
            (Number::Real(a), Number::Real(b)) => Number::Real(a + b),
            (Number::Whole(0), other) => other.clone(),
            (sum, _) => sum,
        })
    }
}

/// All of EMQX's names with a dot that metrics of this kind have, with their numbers.
pub(crate) fn dotted(reading: &Reading, kind: Kind) -> Vec<(&'static str, Number)> {
    let mut all = Vec::new();
    for metric in METRICS.iter().filter(|metric| metric.kind == kind) {
        let named = metric.aliases.iter().filter(|it| it.name.contains('.'));
        let mut named = named.peekable();
        if named.peek().is_some() {
            let values = Values::of(metric, reading);
            all.extend(named.map(|alias| (alias.name, alias.sum(&values))));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_there_once_and_say_what_they_count() {
        let mut seen = BTreeSet::new();
        for metric in METRICS {
            assert!(seen.insert(metric.name.to_owned()), "{} twice", metric.name);
            for alias in metric.aliases {
                assert!(seen.insert(alias.flat()), "{} twice", alias.name);
            }
            let total = metric.name.ends_with("_total");
            assert_eq!(metric.kind == Kind::Counter, total, "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'));
            let letters = metric.name.bytes();
            assert!(
                letters
                    .into_iter()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            );
        }
        assert!(METRICS.len() > 60);
    }

    #[test]
    fn an_alias_sums_what_it_is_for() {
        let mut values = Values::default();
        values.labelled([("qos", "0".into())], 3);
        values.labelled([("qos", "1".into())], 4);
        let sum = |of| Alias { name: "a.b", of }.sum(&values.0);
        assert_eq!(sum(Of::All), Number::Whole(7));
        assert_eq!(sum(Of::Labelled("1")), Number::Whole(4));
        assert_eq!(sum(Of::Labelled("2")), Number::Whole(0));
    }
}
