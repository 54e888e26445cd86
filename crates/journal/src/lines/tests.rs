use proptest::prelude::*;

use super::*;
use crate::log::FrameAt;
use crate::model::script::{CLOCK, History, steps};
use crate::model::{Losses, Model};
use crate::record::BodyPlace;

/// The lines of a model, and what could not be exported.
fn lines_of(history: &History, model: &Model, damage: &[BodyPlace]) -> (Vec<String>, Exported) {
    let mut lines = Vec::new();
    let exported = export(
        model,
        CLOCK.millis(history.now()),
        &mut |place| {
            let (bytes, _) = history.find(place.segment, place.offset);
            assert_eq!(u32::try_from(bytes.len()), Ok(place.length));
            let mut bytes = bytes.to_vec();
            if damage.contains(&place) {
                bytes[5] ^= 1;
            }
            Ok(bytes)
        },
        &mut |line| {
            assert!(!line.contains('\n'));
            lines.push(line.to_owned());
            Ok(())
        },
    );
    (lines, exported.unwrap())
}

/// A new store from lines.
fn import(lines: &[String]) -> Result<(Model, LineCounts), LineError> {
    let mut import = Import::new();
    let mut model = Model::new(5);
    let mut at = FrameAt {
        segment: 1,
        offset: 4096,
        sequence: 1,
        time: 0,
    };
    for line in lines {
        let mut out = Vec::new();
        import.line(line, &mut out)?;
        at.time = import.header().unwrap().time;
        model.apply(at, &out).unwrap();
        at.offset += 1_000_000;
    }
    Ok((model, import.end()?))
}

proptest! {
    #[test]
    fn an_import_gives_what_was_exported(steps in steps(), replayed in any::<bool>()) {
        let history = History::new(&steps);
        // A store that is exported may have been opened, or be as its server left it.
        let (opened, _) = history.replay_from_checkpoint();
        let model = if replayed { &opened } else { &history.live };
        let (lines, exported) = lines_of(&history, model, &[]);
        let (mut imported, counts) = import(&lines).unwrap();
        prop_assert_eq!(counts, exported.counts);
        prop_assert_eq!(imported.end_replay(CLOCK.millis(history.now())), Losses::default());
        prop_assert_eq!(
            format!("{:#?}", history.recovered(&imported)),
            format!("{:#?}", history.recovered(&opened))
        );
        prop_assert_eq!(imported.last_session(), opened.last_session());
        prop_assert_eq!(imported.checkpoint(), Some(1));
        if replayed {
            prop_assert_eq!(imported.counts(), opened.counts());
            prop_assert_eq!(&exported.left_out, &0);
        }
    }

    #[test]
    fn damaged_messages_are_left_out_and_named(
        steps in steps(), which in any::<prop::sample::Index>(),
    ) {
        let history = History::new(&steps);
        let (mut model, _) = history.replay_all();
        let referred = model.referred();
        prop_assume!(!referred.is_empty());
        let message = *which.get(&referred);
        let place = model.locate(message).unwrap();
        let owed = model.sessions_owed(message);
        let (lines, exported) = lines_of(&history, &model, &[place]);
        prop_assert_eq!(exported.damaged.into_iter().collect::<Vec<_>>(), [message]);
        prop_assert_eq!(exported.clients.into_iter().collect::<Vec<_>>(), owed);
        prop_assert!(exported.left_out > 0);
        let (mut imported, _) = import(&lines).unwrap();
        imported.end_replay(CLOCK.millis(history.now()));
        // The same as if it had been missing at the start.
        model.forget_for_test(message);
        model.end_replay(CLOCK.millis(history.now()));
        prop_assert_eq!(
            format!("{:#?}", history.recovered(&imported)),
            format!("{:#?}", history.recovered(&model))
        );
    }

    #[test]
    fn a_cut_export_is_refused(steps in steps(), cut in any::<prop::sample::Index>()) {
        let history = History::new(&steps);
        let (lines, _) = lines_of(&history, &history.live, &[]);
        let kept = &lines[..cut.index(lines.len())];
        prop_assert!(import(kept).is_err());
        // A line that is missing in the midst is found as well, by what refers to it or by count.
        let cut = cut.index(lines.len());
        let mut holed = lines.clone();
        holed.remove(cut);
        prop_assert!(import(&holed).is_err());
    }
}

const HEADER: &str = r#"{"nightjar_export":1,"time":7,"last_session":9,"sequence":3}"#;
const SESSION: &str = r#"{"kind":"session","session":1,"client":"c","expiry":null,"next":1}"#;
const MESSAGE: &str =
    r#"{"kind":"message","message":"a1","topic":"t","qos":1,"durability":"disk","payload":"aGk="}"#;
const DELIVERY: &str =
    r#"{"kind":"delivery","session":1,"number":3,"message":"a1","qos":1,"retain":false}"#;

/// What is wrong with the last of some lines.
fn fault(lines: &[&str]) -> String {
    let mut import = Import::new();
    let mut out = Vec::new();
    let (last, before) = lines.split_last().unwrap();
    for line in before {
        import.line(line, &mut out).unwrap();
    }
    let error = import.line(last, &mut out).unwrap_err();
    assert_eq!(error.line, u64::try_from(lines.len()).unwrap());
    error.what
}

#[test]
fn every_fault_of_a_line_is_said() {
    let cases: &[(&[&str], &str)] = &[
        (&["{"], "not JSON"),
        (&["[]"], "the line is not an object"),
        (&["{}"], "this is no export of Nightjar"),
        (&[r#"{"nightjar_export":2}"#], "the export has version 2"),
        (&[HEADER, r#"{"kind":"sesion"}"#], "unknown kind"),
        (&[HEADER, r#"{"session":1}"#], "no kind"),
        (&[HEADER, SESSION, SESSION], "session 1 a second time"),
        (
            &[
                HEADER,
                SESSION,
                r#"{"kind":"session","session":2,"client":"c","next":1}"#,
            ],
            "a second session of the same client",
        ),
        (
            &[HEADER, SESSION, MESSAGE, DELIVERY, DELIVERY],
            "delivery 3 to session 1 came after delivery 3",
        ),
        (
            &[HEADER, MESSAGE, MESSAGE],
            "message 00000000000000a1 a second time",
        ),
        (
            &[
                HEADER,
                r#"{"kind":"session","session":1,"client":"","next":1}"#,
            ],
            "client \"\" is not valid",
        ),
        (
            &[
                HEADER,
                r#"{"kind":"session","session":1,"client":"c","next":1,"expirey":5}"#,
            ],
            "unknown field \"expirey\"",
        ),
        (
            &[
                HEADER,
                r#"{"kind":"subscription","session":1,"filter":"a"}"#,
            ],
            "session 1 did not come before",
        ),
        (
            &[
                HEADER,
                SESSION,
                r#"{"kind":"subscription","session":1,"filter":"a#"}"#,
            ],
            "filter \"a#\" is not valid",
        ),
        (
            &[
                HEADER,
                SESSION,
                r#"{"kind":"delivery","session":1,"number":1,"message":"a1"}"#,
            ],
            "message 00000000000000a1 did not come before",
        ),
        (
            &[
                HEADER,
                SESSION,
                r#"{"kind":"delivery","session":1,"number":1,"qos":1}"#,
            ],
            "neither a message nor a packet_id",
        ),
        (
            &[
                HEADER,
                MESSAGE,
                r#"{"kind":"retained","topic":"+","message":"a1","sequence":1}"#,
            ],
            "topic \"+\" is not valid",
        ),
        (
            &[
                HEADER,
                r#"{"kind":"message","message":"a1","topic":"t","payload":"%"}"#,
            ],
            "payload is not base64",
        ),
        (
            &[
                HEADER,
                r#"{"kind":"session","session":1,"client":"c","next":1,"begun":[{"packet_id":0,"sessions":[]}]}"#,
            ],
            "a packet identifier is zero",
        ),
        (
            &[
                HEADER,
                r#"{"kind":"session","session":1,"client":"c","next":1,"begun":[{"packet_id":3}]}"#,
            ],
            "no sessions",
        ),
        (
            &[HEADER, SESSION, r#"{"kind":"end","sessions":2}"#],
            "2 sessions were exported, 1 came",
        ),
    ];
    for (lines, expected) in cases {
        let what = fault(lines);
        assert!(what.contains(expected), "{lines:?}: {what}");
    }
}

#[test]
fn nothing_may_follow_the_last_line() {
    let end = r#"{"kind":"end","sessions":0,"subscriptions":0,"messages":0,"deliveries":0,"retained":0,"passed":0}"#;
    let what = fault(&[HEADER, end, SESSION]);
    assert!(what.contains("behind the last line"), "{what}");
    let mut import = Import::new();
    let mut out = Vec::new();
    import.line(HEADER, &mut out).unwrap();
    assert!(
        import
            .end()
            .unwrap_err()
            .what
            .contains("the export was cut")
    );
}

#[test]
fn a_line_is_read_by_people_and_programs() {
    let mut import = Import::new();
    let mut out = Vec::new();
    for line in [HEADER, SESSION, MESSAGE] {
        // With their line ends too.
        import.line(&format!("{line}\r\n"), &mut out).unwrap();
    }
    let owed = r#"{"kind":"delivery","session":1,"number":4,"message":"a1","qos":1,"ids":[7]}"#;
    import.line(owed, &mut out).unwrap();
    let mut model = Model::new(5);
    let at = FrameAt {
        segment: 1,
        offset: 4096,
        sequence: 1,
        time: 7,
    };
    model.apply(at, &out).unwrap();
    let mut lines = Vec::new();
    let mut read = |place: BodyPlace| {
        let from = usize::try_from(place.offset - 4096).unwrap();
        let to = from + usize::try_from(place.length).unwrap();
        Ok(out[from..to].to_vec())
    };
    let mut line = |line: &str| {
        lines.push(line.to_owned());
        Ok(())
    };
    export(&model, 8, &mut read, &mut line).unwrap();
    let expected = [
        r#"{"nightjar_export":1,"time":8,"last_session":9,"sequence":3}"#,
        r#"{"kind":"session","session":1,"client":"c","next":5,"received":[]}"#,
        r#"{"kind":"message","message":"00000000000000a1","topic":"t","qos":1,"retain":false,"durability":"disk","payload":"aGk="}"#,
        r#"{"kind":"delivery","session":1,"number":4,"message":"00000000000000a1","qos":1,"retain":false,"ids":[7]}"#,
        r#"{"kind":"end","sessions":1,"subscriptions":0,"messages":1,"deliveries":1,"retained":0,"passed":0}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_lines_of_the_documentation_can_be_imported() {
    let text = include_str!("../../../../docs/storage.md");
    let from = text.find("{\"nightjar_export\"").unwrap();
    let block = text[from..].split("```").next().unwrap();
    let lines: Vec<String> = block.lines().map(String::from).collect();
    let (model, counts) = import(&lines).unwrap();
    assert_eq!(counts.deliveries, 1);
    assert_eq!(model.messages(), 1);
}
