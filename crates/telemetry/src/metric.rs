//! Numbers as they are now.

/// A number with its name, or several that labels tell apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What it is called.
    pub name: String,
    /// What it is, in words.
    pub description: &'static str,
    /// `s`, `By`, or empty for what has no unit.
    pub unit: &'static str,
    /// What it is to those who draw it.
    pub kind: Kind,
    /// Its values.
    pub points: Vec<Point>,
}

/// What a metric is to those who draw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from the start of the server: a monotonic cumulative sum.
    Sum,
    /// It goes up and down.
    Gauge,
    /// How many were how large, from the start of the server.
    Histogram,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What tells it apart.
    pub labels: Vec<(&'static str, String)>,
    /// The value; one of a histogram fits nothing else, and nothing else fits it.
    pub number: Number,
}

/// A number.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// A whole one; what is more than the protocol has is the most that it has.
    Whole(u64),
    /// Any.
    Real(f64),
    /// Counts below bounds.
    Buckets {
        /// Upper bounds, from the lowest to the highest.
        bounds: Vec<f64>,
        /// The counts between them: one more than there are bounds.
        counts: Vec<u64>,
        /// The sum of all, where it is known.
        sum: Option<f64>,
    },
}
