//! docs/metrics.md and the Grafana dashboard against the table. `NIGHTJAR_WRITE_DOCS=1` writes the
//! page's tables.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{METRICS, Metric, Of};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn row(metric: &Metric) -> String {
    let labels = metric.labels.iter().map(|label| format!("`{label}`"));
    let aliases = metric.aliases.iter().map(|alias| {
        let flat = alias.flat();
        match alias.of {
            Of::All | Of::Each => format!("`{flat}`"),
            Of::Labelled(label) => format!("`{flat}` ({label})"),
        }
    });
    format!(
        "| `nightjar_{}` | {} | {} | {} | {} |\n",
        metric.name,
        metric.kind.as_str(),
        labels.collect::<Vec<_>>().join(", "),
        metric.help,
        aliases.collect::<Vec<_>>().join(", ")
    )
}

#[test]
fn metrics_are_documented() {
    let (begin, end) = ("<!-- begin metrics -->\n", "<!-- end metrics -->\n");
    let mut table = String::from(
        "| name | kind | labels | meaning | with `names = \"emqx\"` |\n|---|---|---|---|---|\n",
    );
    METRICS
        .iter()
        .for_each(|metric| table.push_str(&row(metric)));
    let path = file("docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(begin).unwrap();
    let (found, tail) = rest.split_once(end).unwrap();
    if std::env::var_os("NIGHTJAR_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{head}{begin}{table}{end}{tail}")).unwrap();
        return;
    }
    assert!(
        found == table,
        "docs/metrics.md is old; `make docs` writes it anew"
    );
}

/// What looks like one of our metrics in an expression.
fn named(expression: &str) -> Vec<String> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = expression.split(|it| !letter(it));
    let ours = words.filter(|word| word.starts_with("nightjar_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn the_grafana_dashboard_asks_for_metrics_that_there_are() {
    let text = fs::read_to_string(file("deploy/grafana/nightjar.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut asked = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            asked.extend(named(target["expr"].as_str().unwrap()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        asked.extend(named(&variable["query"].to_string()));
    }
    assert!(asked.len() > 30, "{}", asked.len());
    for name in asked {
        let plain = name.strip_prefix("nightjar_").unwrap();
        let base = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| plain.strip_suffix(end))
            .unwrap_or(plain);
        let known = METRICS.iter().any(|it| it.name == plain || it.name == base);
        assert!(known, "{name}");
    }
}
