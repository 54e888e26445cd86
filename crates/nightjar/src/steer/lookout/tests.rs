use config::Config;

use super::*;

const GIB: u64 = 1 << 30;

fn raised(changes: &[Change]) -> Vec<(&'static str, &str, Severity)> {
    let raised = changes.iter().filter_map(|change| match change {
        Change::Raise {
            severity,
            name,
            about,
            ..
        } => Some((*name, &**about, *severity)),
        Change::Clear { .. } => None,
    });
    raised.collect()
}

fn is_clear(changes: &[Change], wanted: &'static str) -> bool {
    matches!(changes, [Change::Clear { name, .. }] if *name == wanted)
}

/// Looks at the same scene until something changes; after how many looks.
fn until_change(lookout: &mut Lookout, scene: &Scene, wanted: &Alarms) -> (u32, Vec<Change>) {
    for look in 1..=WELL * 2 {
        let changes = lookout.look(scene, wanted);
        if !changes.is_empty() {
            return (look, changes);
        }
    }
    panic!("nothing changes");
}

#[test]
fn a_collector_may_be_away_for_a_minute() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let away = |seconds| Scene {
        collector: Some(Duration::from_secs(seconds)),
        ..Scene::default()
    };
    assert_eq!(lookout.look(&away(59), &wanted), []);
    let changes = lookout.look(&away(60), &wanted);
    let told = [(COLLECTOR, "collector", Severity::Warning)];
    assert_eq!(raised(&changes), told);
    let (looks, changes) = until_change(&mut lookout, &Scene::default(), &wanted);
    assert_eq!((looks, is_clear(&changes, COLLECTOR)), (WELL, true));
}

#[test]
fn a_bridge_that_is_away_is_told_with_the_reason_and_is_over() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let away = Scene {
        bridges: vec![Away {
            name: "cloud".into(),
            most: Duration::from_secs(300),
            why: Some("refused".into()),
        }],
        ..Scene::default()
    };
    let changes = lookout.look(&away, &wanted);
    assert_eq!(raised(&changes), [(BRIDGE, "cloud", Severity::Warning)]);
    let [Change::Raise { words, .. }] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(
        words,
        "the bridge cloud has not been connected for 300 s: refused"
    );
    assert_eq!(lookout.look(&away, &wanted), []);
    let (looks, changes) = until_change(&mut lookout, &Scene::default(), &wanted);
    assert_eq!((looks, is_clear(&changes, BRIDGE)), (WELL, true));
}

fn with_disk(percent: u64) -> Scene {
    Scene {
        disk: Some((100 * GIB - percent * GIB, 100 * GIB)),
        ..Scene::default()
    }
}

#[test]
fn a_full_disk_is_told_once_gets_worse_and_is_over_by_a_margin() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    assert_eq!(lookout.look(&with_disk(89), &wanted), []);
    let changes = lookout.look(&with_disk(90), &wanted);
    assert_eq!(raised(&changes), [(DISK, "data folder", Severity::Warning)]);
    assert_eq!(lookout.look(&with_disk(95), &wanted), []);
    let changes = lookout.look(&with_disk(99), &wanted);
    assert_eq!(
        raised(&changes),
        [(DISK, "data folder", Severity::Critical)]
    );
    // Around the threshold it neither ends nor begins anew.
    for turn in 0..100 {
        assert_eq!(lookout.look(&with_disk(88 + turn % 4), &wanted), []);
    }
    let (looks, changes) = until_change(&mut lookout, &with_disk(80), &wanted);
    assert_eq!((looks, is_clear(&changes, DISK)), (WELL, true));
    // A short relief is none.
    lookout.look(&with_disk(91), &wanted);
    for _ in 1..WELL {
        assert_eq!(lookout.look(&with_disk(50), &wanted), []);
    }
    assert_eq!(lookout.look(&with_disk(91), &wanted), []);
    let (looks, _) = until_change(&mut lookout, &with_disk(50), &wanted);
    assert_eq!(looks, WELL);
}

#[test]
fn what_is_turned_off_is_over() {
    let (mut lookout, mut wanted) = (Lookout::default(), Config::default().alarms);
    lookout.look(&with_disk(95), &wanted);
    wanted.disk_percent = 0;
    let (_, changes) = until_change(&mut lookout, &with_disk(95), &wanted);
    assert!(is_clear(&changes, DISK));
}

#[test]
fn memory_is_held_against_the_budget() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let with = |used, budget| Scene {
        memory: Some((used, budget)),
        ..Scene::default()
    };
    assert_eq!(lookout.look(&with(79 * GIB, 100 * GIB), &wanted), []);
    assert_eq!(lookout.look(&with(79 * GIB, 0), &wanted), []);
    let changes = lookout.look(&with(80 * GIB, 100 * GIB), &wanted);
    assert_eq!(raised(&changes), [(MEMORY, "process", Severity::Warning)]);
    let changes = lookout.look(&with(96 * GIB, 100 * GIB), &wanted);
    assert_eq!(raised(&changes), [(MEMORY, "process", Severity::Critical)]);
    let (_, changes) = until_change(&mut lookout, &with(10 * GIB, 100 * GIB), &wanted);
    assert!(is_clear(&changes, MEMORY));
}

#[test]
fn a_certificate_is_told_of_a_month_before_and_a_week_before() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let with = |now, ends, is_renewed| Scene {
        now: now * DAY,
        certificates: vec![Validity {
            name: "main".into(),
            begins: 0,
            ends: ends * DAY,
            is_renewed,
        }],
        ..Scene::default()
    };
    assert_eq!(lookout.look(&with(0, 31, false), &wanted), []);
    let changes = lookout.look(&with(1, 31, false), &wanted);
    assert_eq!(raised(&changes), [(CERTIFICATE, "main", Severity::Warning)]);
    let changes = lookout.look(&with(24, 31, false), &wanted);
    assert_eq!(
        raised(&changes),
        [(CERTIFICATE, "main", Severity::Critical)]
    );
    assert_eq!(lookout.look(&with(40, 31, false), &wanted), []);
    let (_, changes) = until_change(&mut lookout, &with(40, 400, false), &wanted);
    assert!(is_clear(&changes, CERTIFICATE));
    // What the server renews itself is late only when that should have happened.
    assert_eq!(lookout.look(&with(65, 90, true), &wanted), []);
    let changes = lookout.look(&with(73, 90, true), &wanted);
    assert_eq!(raised(&changes), [(CERTIFICATE, "main", Severity::Warning)]);
}

#[test]
fn drops_count_from_a_rate_on_and_until_half_of_it() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let with = |drops| Scene {
        drops,
        ..Scene::default()
    };
    assert_eq!(lookout.look(&with(100.0), &wanted), []);
    let changes = lookout.look(&with(101.0), &wanted);
    assert_eq!(raised(&changes), [(DROPS, "server", Severity::Warning)]);
    for _ in 0..WELL * 3 {
        assert_eq!(lookout.look(&with(60.0), &wanted), []);
    }
    let (_, changes) = until_change(&mut lookout, &with(40.0), &wanted);
    assert!(is_clear(&changes, DROPS));
}

#[test]
fn back_ends_that_are_down_have_an_alarm_each() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let with = |names: &[&str]| Scene {
        down: names.iter().map(|&name| name.to_owned()).collect(),
        ..Scene::default()
    };
    let changes = lookout.look(&with(&["ldap", "redis"]), &wanted);
    let warned = |about| (BACK_END, about, Severity::Warning);
    assert_eq!(raised(&changes), [warned("ldap"), warned("redis")]);
    let (_, changes) = until_change(&mut lookout, &with(&["redis"]), &wanted);
    assert!(is_clear(&changes, BACK_END));
}

#[test]
fn a_store_that_is_slow_full_or_broken_is_told_of() {
    let (mut lookout, wanted) = (Lookout::default(), Config::default().alarms);
    let with = |store| Scene {
        store,
        ..Scene::default()
    };
    let kinds = [
        (Condition::Slow, SLOW, Severity::Warning),
        (Condition::Full(Shortage::Disk), FULL, Severity::Critical),
        (Condition::Failed, FAILED, Severity::Critical),
    ];
    for (condition, name, severity) in kinds {
        let changes = lookout.look(&with(condition), &wanted);
        assert_eq!(raised(&changes), [(name, "store", severity)]);
        let (looks, changes) = until_change(&mut lookout, &with(Condition::Ok), &wanted);
        assert_eq!((looks, is_clear(&changes, name)), (WELL, true));
    }
}
