//! Numbers with units.

use std::time::Duration;

use types::limits::Rate;

use super::{Per, Raw};

/// A whole number without a unit.
pub(super) fn whole(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Text(text) => text.trim().replace('_', "").parse().ok(),
        Raw::Flag(_) | Raw::List(_) | Raw::Other(_) => None,
    }
}

/// A whole number with a unit, perhaps with a space between.
pub(super) fn scaled(raw: &Raw, units: &[(&str, u64)]) -> Option<u64> {
    let Raw::Text(text) = raw else { return None };
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '_')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim())?;
    number
        .replace('_', "")
        .parse::<u64>()
        .ok()?
        .checked_mul(*scale)
}

pub(super) fn show_size(bytes: u64) -> String {
    for (unit, scale) in [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ] {
        if bytes != 0 && bytes.is_multiple_of(scale) {
            return format!("\"{}{unit}\"", bytes.checked_div(scale).unwrap_or_default());
        }
    }
    bytes.to_string()
}

pub(super) fn show_span(span: Duration) -> String {
    if span.subsec_nanos() != 0 {
        return format!("\"{}ms\"", span.as_millis());
    }
    let seconds = span.as_secs();
    for (unit, scale) in [("d", 86_400), ("h", 3600), ("m", 60)] {
        if seconds != 0 && seconds.is_multiple_of(scale) {
            return format!(
                "\"{}{unit}\"",
                seconds.checked_div(scale).unwrap_or_default()
            );
        }
    }
    if seconds == 0 {
        "0".to_owned()
    } else {
        format!("\"{seconds}s\"")
    }
}

/// So many in a span: `100/s`, `1MiB/s`.
pub(super) fn rate(raw: &Raw, per: Per) -> Option<Rate> {
    let Raw::Text(text) = raw else { return None };
    let (count, unit) = text.split_once('/')?;
    let (_, seconds) = PERIODS.iter().find(|(name, _)| *name == unit.trim())?;
    let count = Raw::Text(count.trim().to_owned());
    let count = match per {
        Per::Piece => whole(&count)?,
        Per::Byte => whole(&count).or_else(|| scaled(&count, SIZES))?,
    };
    Rate::new(count, Duration::from_secs(*seconds))
}

pub(super) fn show_rate(rate: Rate, per: Per) -> String {
    let count = match per {
        Per::Piece => rate.count().to_string(),
        Per::Byte => show_size(rate.count()).replace('"', ""),
    };
    let seconds = rate.period().as_secs();
    let unit = PERIODS.iter().find(|(_, known)| *known == seconds);
    format!("\"{count}/{}\"", unit.map_or("s", |(name, _)| name))
}

pub(super) const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// In milliseconds.
pub(super) const SPANS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// In seconds.
const PERIODS: &[(&str, u64)] = &[("s", 1), ("m", 60), ("h", 3600)];
