use std::num::NonZeroU16;

use client::{Message, MessageProperties, UserPropertiesBuf};
use jiff::civil::date;
use jiff::tz::{Offset, TimeZone};
use types::{PacketId, QoS};

use super::*;

fn time() -> Zoned {
    let zone = TimeZone::fixed(Offset::from_seconds(3_600).unwrap());
    date(2026, 2, 3)
        .at(4, 5, 6, 7_008_009)
        .to_zoned(zone)
        .unwrap()
}

fn received(payload: &[u8]) -> Received {
    let mut user = UserPropertiesBuf::new();
    user.push("k", "v").unwrap();
    user.push("k", "w\"").unwrap();
    Received {
        message: Message {
            qos: QoS::ExactlyOnce,
            retain: true,
            properties: MessageProperties {
                payload_is_utf8: Some(true),
                message_expiry: Some(42),
                topic_alias: Some(5),
                content_type: Some("text/plain".to_owned()),
                response_topic: Some("re/ply".to_owned()),
                correlation_data: Some(b"c\0d".to_vec()),
                user,
            },
            ..Message::new("a/bé", payload)
        },
        dup: false,
        packet_id: PacketId::new(NonZeroU16::MIN.get()),
        subscription_ids: vec![7, 8],
    }
}

fn bare(payload: &[u8]) -> Received {
    Received {
        message: Message::new("t", payload),
        dup: false,
        packet_id: None,
        subscription_ids: Vec::new(),
    }
}

fn render(format: &str, received: &Received) -> String {
    let mut out = Vec::new();
    let format = Format::parse(format, Layout::Compact).unwrap();
    format.render(received, &time(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_field_and_shape() {
    let full = received(b"hi\x01");
    let table = [
        ("plain", "plain"),
        ("%% @@ \\\\", "% @ \\"),
        ("\\0\\a\\e\\n\\r\\t\\v", "\0\u{7}\u{1b}\n\r\t\u{b}"),
        ("%A|%5A|%05A|%-5A|", "5|    5|00005|5    |"),
        (
            "%C|%12C|%.4C|%6.4C|%-6.4C|",
            "text/plain|  text/plain|text|  text|text  |",
        ),
        ("%D", "c\0d"),
        ("%E|%4E|%04E", "42|  42|0042"),
        ("%F", "1"),
        (
            "%I|%.10I|%12.10I",
            "2026-02-03T04:05:06+0100|2026-02-03|  2026-02-03",
        ),
        ("%l|%3l|%03l|%-3l|%-03l|%0-3l|", "3|  3|003|3  |3  |3  |"),
        ("%m|%03m", "1|001"),
        ("%P", "k:v k:w\""),
        ("%p|%5p|%-5p|", "hi\u{1}|  hi\u{1}|hi\u{1}  |"),
        ("%q%r|%05q", "21|2"),
        ("%R|%.2R", "re/ply|re"),
        ("%S|%5S", "7 8|  7 8"),
        ("%t|%6t|%.3t|%06t|%-6t|", "a/bé|  a/bé|a/b|  a/bé|a/bé  |"),
        ("%U", "1770087906.007008009"),
        (
            "%x|%X|%8x|%08x|%-8x|",
            "686901|686901|  686901|00686901|686901  |",
        ),
        (
            "%.2x|%.2:x|%.4x|%.3-X|%.0x|%10.2x",
            "68 69 01|68:69:01|6869 01|686-901|686901|  68 69 01",
        ),
        (
            "@Y-@m-@dT@H:@M:@S@z @N @s",
            "2026-02-03T04:05:06+0100 007008009 1770087906",
        ),
        ("@F @T @j @a @b", "2026-02-03 04:05:06 034 Tue Feb"),
    ];
    for (format, expected) in table {
        assert_eq!(render(format, &full), expected, "{format}");
    }
}

#[test]
fn what_is_not_there_is_blank() {
    let bare = bare(b"");
    let table = [
        ("[%A][%C][%D][%E][%F][%P][%R][%S][%x]", "[][][][][][][][][]"),
        ("[%3A][%-3C][%3S]", "[   ][   ][   ]"),
        ("%l %m %q %r", "0 0 0 0"),
    ];
    for (format, expected) in table {
        assert_eq!(render(format, &bare), expected, "{format}");
    }
}

#[test]
fn numbers_in_ieee_754() {
    let double = bare(&(-1.5f64).to_le_bytes());
    for (format, expected) in [
        ("%d", "-1.500000"),
        ("%.1d", "-1.5"),
        ("%8.2d|", "   -1.50|"),
        ("%-8.2d|", "-1.50   |"),
        ("%08.2d", "-0001.50"),
    ] {
        assert_eq!(render(format, &double), expected, "{format}");
    }
    let float = bare(&10.0f32.to_le_bytes());
    assert_eq!(render("%.2f", &float), "10.00");
    for (format, error) in [("%d", RenderError::Double), ("%f", RenderError::Float)] {
        let mut out = Vec::new();
        let format = Format::parse(&format!("a{format}b"), Layout::Compact).unwrap();
        let result = format.render(&bare(b"abc"), &time(), &mut out);
        assert_eq!((result, out.as_slice()), (Err(error), &b"ab"[..]));
    }
}

#[test]
fn mistakes_are_found_at_once() {
    for (format, error) in [
        ("%", FormatError::Incomplete),
        ("%0", FormatError::Incomplete),
        ("%-12", FormatError::Incomplete),
        ("%1.", FormatError::Incomplete),
        ("%.2:", FormatError::Incomplete),
        ("a\\", FormatError::Incomplete),
        ("@", FormatError::Incomplete),
        ("%z", FormatError::Field('z')),
        ("%é", FormatError::Field('é')),
        ("%.2:t", FormatError::Field('t')),
        ("\\q", FormatError::Escape('q')),
        ("@~", FormatError::Time('~')),
        ("@é", FormatError::Time('é')),
        ("%10001l", FormatError::Number),
        ("%99999999999999999999999l", FormatError::Number),
    ] {
        assert_eq!(
            Format::parse(format, Layout::Compact),
            Err(error),
            "{format}"
        );
    }
}

#[test]
fn json_with_a_quoted_payload() {
    assert_eq!(
        render("%j", &bare(b"a\"\\\n\x01\xff")),
        "{\"tst\":\"2026-02-03T04:05:06.007008+0100\",\"topic\":\"t\",\"qos\":0,\"retain\":false,\
         \"payloadlen\":6,\"payload\":\"a\\\"\\\\\\n\\u0001\u{fffd}\"}"
    );
    assert_eq!(
        render("%j", &received(b"{ }")),
        "{\"tst\":\"2026-02-03T04:05:06.007008+0100\",\"topic\":\"a/bé\",\"qos\":2,\
         \"retain\":true,\"payloadlen\":3,\"mid\":1,\"properties\":{\"user-properties\":\
         [{\"k\":\"v\"},{\"k\":\"w\\\"\"}],\"content-type\":\"text/plain\",\"response-topic\":\
         \"re/ply\",\"correlation-data\":\"c\\u0000d\",\"payload-format-indicator\":1,\
         \"message-expiry-interval\":42,\"topic-alias\":5,\"subscription-identifier\":[7,8]},\
         \"payload\":\"{ }\"}"
    );
}

#[test]
fn json_with_a_nested_payload() {
    let head = "{\"tst\":\"2026-02-03T04:05:06.007008+0100\",\"topic\":\"t\",\"qos\":0,\
                \"retain\":false,\"payloadlen\":";
    for (payload, nested) in [
        ("1.50", "1.50"),
        (" [ 1 , { } ] ", "[1,{}]"),
        ("{\"a b\" : \" \\\" \" }", "{\"a b\":\" \\\" \"}"),
        ("12345678901234567890123", "12345678901234567890123"),
    ] {
        let expected = format!("{head}{},\"payload\":{nested}}}", payload.len());
        assert_eq!(render("%J", &bare(payload.as_bytes())), expected);
    }
    let deep = "[".repeat(100_000);
    for payload in ["", "x", "{", "1 2", "\u{1}", deep.as_str()] {
        let format = Format::parse("%J", Layout::Compact).unwrap();
        let mut out = Vec::new();
        let result = format.render(&bare(payload.as_bytes()), &time(), &mut out);
        assert_eq!((result, out.len()), (Err(RenderError::Json), 0));
    }
}

#[test]
fn json_in_lines() {
    let format = Format::parse("%J", Layout::Pretty).unwrap();
    let mut out = Vec::new();
    format
        .render(&bare(b"{\"a\":[1,2],\"b\":{},\"c\":[]}"), &time(), &mut out)
        .unwrap();
    let expected = r#"{
  "tst": "2026-02-03T04:05:06.007008+0100",
  "topic": "t",
  "qos": 0,
  "retain": false,
  "payloadlen": 25,
  "payload": {
    "a": [
      1,
      2
    ],
    "b": {},
    "c": []
  }
}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
