//! The configuration, the log's level, certificates and copies.

use std::io::Write;

use serde_json::json;

use super::fake::Fake;
use super::house::House;
use crate::client::Failure as Said;
use crate::server::configuration::{
    Applied, Checked, ConfigChange, ConfigProblem, ConfigValue, Configs, Text, Version,
};
use crate::server::tools::{Backup, Level, Logging};
use crate::server::*;
use crate::{Failure, Record, Stamp};

impl Configuration for Fake {
    fn shown(&self, text: Text) -> Result<Configs, Failure> {
        Ok(Configs {
            toml: match text {
                Text::File => self.toml.lock().unwrap().clone(),
                Text::Rendered => "rendered".into(),
            },
            file: Some("nightjar.toml".into()),
            etag: Some(self.toml.lock().unwrap().clone()),
            values: vec![ConfigValue {
                key: "workers".into(),
                value: "1".into(),
                source: "default".into(),
            }],
        })
    }

    fn check(&self, toml: &str) -> Result<Checked, Failure> {
        let wrong = ConfigProblem {
            line: Some(1),
            column: Some(2),
            key: None,
            message: "wrong".into(),
            hint: None,
        };
        Ok(Checked {
            ok: toml != "wrong",
            problems: if toml == "wrong" {
                vec![wrong]
            } else {
                Vec::new()
            },
            changes: Vec::new(),
        })
    }

    fn apply(
        &self,
        toml: &str,
        basis: Option<&str>,
        by: &str,
        record: &Record,
    ) -> Result<Applied, Failure> {
        let now = format!("\"{}\"", self.toml.lock().unwrap());
        if basis.is_some_and(|basis| basis != now) {
            return Err(Failure::Changed("it is another".into()));
        }
        if toml == "wrong" {
            return Err(Failure::Invalid("line 1: wrong".into()));
        }
        let mut kept = self.toml.lock().unwrap();
        let change = ConfigChange {
            key: by.into(),
            from: kept.clone(),
            to: toml.into(),
            needs_restart: false,
        };
        record.done(None, Some(&change))?;
        *kept = toml.into();
        Ok(Applied {
            changes: vec![change],
            etag: toml.into(),
            version: Some(1),
        })
    }

    fn versions(&self) -> Result<Vec<Version>, Failure> {
        Ok(vec![Version {
            version: 1,
            at: Stamp::from_millis(0),
            by: "ann".into(),
            note: "n".into(),
        }])
    }

    fn rollback(&self, version: u64, by: &str, record: &Record) -> Result<Applied, Failure> {
        match version {
            1 => self.apply("version 1", None, by, record),
            _ => Err(Failure::NotFound("there is no such version".into())),
        }
    }
}

impl Logging for Fake {
    fn level(&self) -> Level {
        *self.level.lock().unwrap()
    }

    fn set_level(&self, level: Level, record: &Record) -> Result<(), Failure> {
        record.done(Some(&Logging::level(self)), Some(&level))?;
        *self.level.lock().unwrap() = level;
        Ok(())
    }
}

impl Backup for Fake {
    fn export(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let gone = |error: std::io::Error| Failure::Unavailable(error.to_string());
        for number in 0..50_000 {
            writeln!(out, "{{\"n\":{number}}}").map_err(gone)?;
        }
        match self.breaks.load(std::sync::atomic::Ordering::Relaxed) {
            true => Err(Failure::Unavailable("the disk is broken".into())),
            false => writeln!(out, "{{\"end\":true}}").map_err(gone),
        }
    }
}

#[test]
fn a_configuration_is_shown_checked_applied_and_rolled_back() {
    let house = House::new();
    let toml = |text: &str| Some(json!({ "toml": text }));
    let wrong = house.ask("POST", "/configs/check", toml("wrong"));
    assert_eq!(wrong["ok"], false);
    assert_eq!(wrong["problems"][0]["column"], 2);
    assert_eq!(house.lines(), 0);
    assert_eq!(house.refused("PUT", "/configs", toml("wrong")).0, 400);
    let applied = house.ask("PUT", "/configs", toml("new"));
    assert_eq!(applied["version"], 1);
    let line = house.line();
    assert_eq!(&*line.operation, "configuration.apply");
    assert_eq!(line.after.unwrap()["to"], "new");
    assert_eq!(house.ask("GET", "/configs", None)["toml"], "new");
    // Who began with another text changes nothing.
    let change = |etag: &str| {
        let (path, body) = ("/api/v5/configs", json!({ "toml": "newer" }));
        house.client.request_if(("PUT", path), &body, etag)
    };
    let late = change("older");
    assert!(matches!(
        late,
        Err(crate::client::Failure::Refused { status: 412, .. })
    ));
    assert_eq!(house.ask("GET", "/configs", None)["etag"], "new");
    assert_eq!(change("new").unwrap()["etag"], "newer");
    let shown = house.raw(b"GET /api/v5/configs HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(shown.to_lowercase().contains("etag: \"newer\""), "{shown}");
    let versions = house.ask("GET", "/configs/versions", None);
    assert_eq!(versions["data"][0]["version"], 1);
    house.ask("POST", "/configs/rollback", Some(json!({ "version": 1 })));
    assert_eq!(house.ask("GET", "/configs", None)["toml"], "version 1");
    let back = Some(json!({ "version": 9 }));
    assert_eq!(house.refused("POST", "/configs/rollback", back).0, 404);
}

#[test]
fn the_log_s_level_is_shown_and_changed() {
    let house = House::new();
    assert_eq!(
        house.ask("GET", "/log/level", None),
        json!({"level": "info"})
    );
    house.ask("PUT", "/log/level", Some(json!({"level": "debug"})));
    assert_eq!(house.ask("GET", "/log/level", None)["level"], "debug");
    let line = house.line();
    assert_eq!(
        (&*line.operation, line.before),
        ("log.level", Some(json!("info")))
    );
    assert_eq!(
        house
            .refused("PUT", "/log/level", Some(json!({"level": "loud"})))
            .0,
        400
    );
}

#[test]
fn a_copy_comes_as_it_is_made_and_is_in_the_audit_log_first() {
    let house = House::new();
    let mut copy = Vec::new();
    house
        .client
        .download("/api/v5/data/export", &mut copy)
        .unwrap();
    let text = String::from_utf8(copy).unwrap();
    assert_eq!(text.lines().count(), 50_001);
    assert!(text.ends_with("{\"end\":true}\n"));
    assert_eq!(&*house.line().operation, "data.export");
}

#[test]
fn a_copy_that_breaks_has_no_end() {
    let house = House::new();
    house
        .fake
        .breaks
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let mut copy = Vec::new();
    let said = house.client.download("/api/v5/data/export", &mut copy);
    assert!(matches!(said, Ok(()) | Err(Said::Broken(_))), "{said:?}");
    assert!(!copy.ends_with(b"{\"end\":true}\n"));
}

#[test]
fn certificates_are_listed_by_listener() {
    let house = House::new();
    let rows = house.ask("GET", "/certificates", None);
    assert_eq!(rows["data"][0]["listener"], "mqtts-8883");
    assert_eq!(rows["data"][0]["days_left"], -1);
}
