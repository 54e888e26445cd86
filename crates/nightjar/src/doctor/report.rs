//! What was found, as text for people and as JSON for scripts.

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// How much something that was found matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// It is as it should be.
    Good,
    /// It is worth knowing.
    Note,
    /// It should be looked at.
    Warning,
    /// The server cannot start, or would not keep what it promises.
    Problem,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Finding {
    area: &'static str,
    pub(super) level: Level,
    pub(super) what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    figures: Map<String, Value>,
}

impl Finding {
    fn new(area: &'static str, level: Level, what: impl Into<String>) -> Self {
        Self {
            area,
            level,
            what: what.into(),
            advice: None,
            figures: Map::new(),
        }
    }

    /// It is as it should be.
    pub(super) fn good(area: &'static str, what: impl Into<String>) -> Self {
        Self::new(area, Level::Good, what)
    }

    /// It is worth knowing.
    pub(super) fn note(area: &'static str, what: impl Into<String>) -> Self {
        Self::new(area, Level::Note, what)
    }

    /// It should be looked at; `advice` says what to do.
    pub(super) fn warning(
        area: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self {
            advice,
            ..Self::new(area, Level::Warning, what)
        }
    }

    /// It stands in the way; `advice` says what to do.
    pub(super) fn problem(
        area: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into());
        Self {
            advice,
            ..Self::new(area, Level::Problem, what)
        }
    }

    /// With a number for scripts.
    pub(super) fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    fn text(&self) -> String {
        let mark = match self.level {
            Level::Good => "good   ",
            Level::Note => "note   ",
            Level::Warning => "WARNING",
            Level::Problem => "PROBLEM",
        };
        let advice = self.advice.as_ref();
        let advice = advice.map(|advice| format!("\n{:24}-> {advice}", ""));
        format!(
            "{mark}  {:13}  {}{}\n",
            self.area,
            self.what,
            advice.unwrap_or_default()
        )
    }
}

/// All that was found, in the order of looking.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// One more.
    pub(super) fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What matters most.
    fn verdict(&self) -> Level {
        let levels = self.findings.iter().map(|finding| finding.level);
        levels.max().unwrap_or(Level::Good)
    }

    /// Prints it; the exit code says what matters most.
    pub(super) fn print(&self, as_json: bool) -> ExitCode {
        let code = match self.verdict() {
            Level::Good | Level::Note => 0,
            Level::Warning => 1,
            Level::Problem => 2,
        };
        let text = match as_json {
            true => format!(
                "{:#}\n",
                json!({ "verdict": self.verdict(), "exit_code": code, "findings": self.findings })
            ),
            false => self.text(),
        };
        match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(code),
            Err(error) => {
                eprintln!("nightjar: what was found cannot be printed: {error}");
                ExitCode::from(2)
            }
        }
    }

    fn text(&self) -> String {
        let lines: String = self.findings.iter().map(Finding::text).collect();
        let count = |level| {
            let found = self.findings.iter();
            found.filter(|finding| finding.level == level).count()
        };
        let last = match (count(Level::Problem), count(Level::Warning)) {
            (0, 0) => "Nothing stands in the way.".to_owned(),
            (0, warnings) => format!("It works; {warnings} of these should be looked at."),
            (problems, _) => format!("{problems} of these stand in the way."),
        };
        format!("{lines}\n{last}\n")
    }
}

/// Bytes as people write them.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        if bytes >> shift >= 10 {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_verdict() {
        let mut report = Report::default();
        assert_eq!(report.verdict(), Level::Good);
        report.add(Finding::note("a", "b"));
        assert!(report.text().ends_with("Nothing stands in the way.\n"));
        report.add(Finding::problem("a", "broken", "mend it").figure("n", 3));
        report.add(Finding::warning("a", "odd", "look"));
        assert_eq!(report.verdict(), Level::Problem);
        let text = report.text();
        assert!(text.contains("PROBLEM  a              broken\n"), "{text}");
        assert!(text.contains("-> mend it\n") && text.ends_with("1 of these stand in the way.\n"));
        let found = serde_json::to_value(&report.findings).unwrap();
        assert_eq!(found[1]["figures"]["n"], 3);
        assert_eq!(found[1]["level"], "problem");
        assert_eq!(found[0].get("advice"), None);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(9), "9 B");
        assert_eq!(bytes(20 << 20), "20 MiB");
        assert_eq!(bytes(9 << 30), "9216 MiB");
    }
}
