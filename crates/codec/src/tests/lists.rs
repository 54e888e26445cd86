//! Lists that stay encoded: walked, compared and built.

use types::{QoS, SubscriptionOptions};

use super::{V5, ids, read_body, user, wire};
use crate::*;

/// Properties with their length before them.
fn section(words: &str) -> Vec<u8> {
    let mut bytes = wire(words);
    bytes.insert(0, bytes.len().try_into().unwrap());
    assert!(bytes[0] < 0x80);
    bytes
}

/// Pairs and identifiers are found among other properties, and compared by what they say.
#[test]
fn c29_lists_are_walked_past_other_properties() {
    let properties = "26 0001 'k' 0001 'v' 01 01 0b 8001 02 00000001 03 0001 'c'
        26 0001 'k' 0001 'w' 08 0001 'r' 0b 02 09 0001 00 23 0001 26 0000 0000";
    let body = [wire("0001 't'"), section(properties)].concat();
    let Ok(Packet::Publish(publish)) = read_body(V5, 0x30, &body) else {
        panic!("a PUBLISH")
    };
    let properties = publish.properties;
    let pairs = [("k", "v"), ("k", "w"), ("", "")];
    assert_eq!(properties.forward.user.iter().collect::<Vec<_>>(), pairs);
    assert_eq!(properties.forward.user.len(), 3);
    assert_eq!(properties.forward.user, user(&pairs));
    assert_ne!(
        properties.forward.user,
        user(&[("k", "w"), ("k", "v"), ("", "")])
    );
    assert_ne!(properties.forward.user, user(&pairs[..2]));
    assert_eq!(
        properties.subscription_ids.iter().collect::<Vec<_>>(),
        [128, 2]
    );
    assert_eq!(properties.subscription_ids, ids(&[128, 2]));
    assert_ne!(properties.subscription_ids, ids(&[2, 128]));
    assert_eq!(format!("{:?}", properties.subscription_ids), "[128, 2]");
    let debug = r#"[("k", "v"), ("k", "w"), ("", "")]"#;
    assert_eq!(format!("{:?}", properties.forward.user), debug);
    // An identifier, an expiry and an alias stand between what is passed on.
    assert_eq!(properties.forward_bytes, None);
}

#[test]
fn every_property_is_passed_over_by_its_own_length() {
    // All properties of CONNACK between two pairs, so that the walk must know each type.
    let between = "11 00000e10 21 000a 24 01 25 00 27 00010000 12 0002 'id' 22 0007 28 00 29 01
        2a 00 13 001e 1a 0001 'i' 1c 0001 's' 15 0001 'm' 16 0001 26 1f 0002 'ok'";
    let properties = section(&format!("26 0001 'k' 0001 'v' {between} 26 0001 'l' 0000"));
    let body = [wire("00 00"), properties].concat();
    let Ok(Packet::ConnAck(connack)) = read_body(V5, 0x20, &body) else {
        panic!("a CONNACK")
    };
    assert_eq!(connack.properties.user, user(&[("k", "v"), ("l", "")]));

    let between = "11 00000001 21 0014 27 00000100 22 0005 19 01 17 00 15 0003 'jwt' 16 0001 26";
    let body = [
        wire("0004 'MQTT' 05 06 0000"),
        section(&format!("26 0001 'k' 0001 'v' {between} 26 0001 'l' 0000")),
        wire("0001 'a'"),
        section("26 0001 'm' 0000 18 00000001 02 00000001 26 0001 'n' 0000"),
        wire("0001 't' 0000"),
    ]
    .concat();
    let Ok(Packet::Connect(connect)) = read_body(V5, 0x10, &body) else {
        panic!("a CONNECT")
    };
    assert_eq!(connect.properties.user, user(&[("k", "v"), ("l", "")]));
    assert_eq!(
        connect.will.unwrap().forward.user,
        user(&[("m", ""), ("n", "")])
    );
}

#[test]
fn filters_are_walked_in_order() {
    let one = SubscriptionOptions::plain(QoS::AtLeastOnce);
    let mut list = SubscribeFiltersBuf::new();
    assert!(list.as_borrowed().is_empty());
    list.push("a/#", one).unwrap();
    list.push("", one).unwrap();
    let filters = list.as_borrowed();
    assert_eq!((filters.len(), filters.is_empty()), (2, false));
    let walked: Vec<_> = filters
        .iter()
        .map(|each| (each.filter, each.options))
        .collect();
    assert_eq!(walked, [("a/#", one), ("", one)]);
    assert!(format!("{filters:?}").contains("a/#"));

    let mut list = UnsubscribeFiltersBuf::new();
    list.push("a/#").unwrap();
    list.push("b").unwrap();
    let filters = list.as_borrowed();
    assert_eq!((filters.len(), filters.is_empty()), (2, false));
    assert_eq!(filters.iter().collect::<Vec<_>>(), ["a/#", "b"]);
    assert_eq!(format!("{filters:?}"), r#"["a/#", "b"]"#);
}

/// 65,535 bytes fit, one more is refused and leaves the list as it was.
#[test]
fn c34_lists_refuse_what_is_too_long() {
    let longest = "x".repeat(65_535);
    let too_long = "x".repeat(65_536);
    let field = Field::Property(PropertyId::UserProperty);

    let mut list = UserPropertiesBuf::new();
    list.push(&longest, &longest).unwrap();
    let before = list.clone();
    assert_eq!(list.push("k", &too_long), Err(EncodeError::TooLong(field)));
    assert_eq!(list.push(&too_long, "v"), Err(EncodeError::TooLong(field)));
    assert_eq!(list, before);
    assert_eq!(
        list.as_borrowed().iter().next(),
        Some((&*longest, &*longest))
    );

    let options = SubscriptionOptions::plain(QoS::AtMostOnce);
    let mut list = SubscribeFiltersBuf::new();
    let error = Err(EncodeError::TooLong(Field::TopicFilter));
    assert_eq!(list.push(&too_long, options), error);
    assert_eq!(list, SubscribeFiltersBuf::new());
    assert_eq!(list.push(&longest, options), Ok(()));
    let mut list = UnsubscribeFiltersBuf::new();
    assert_eq!(list.push(&too_long), error);
    assert_eq!(list, UnsubscribeFiltersBuf::new());

    let mut list = SubscriptionIdsBuf::new();
    let error = EncodeError::PropertyValue(PropertyId::SubscriptionIdentifier);
    assert_eq!(list.push((VARINT_MAX + 1).try_into().unwrap()), Err(error));
    assert_eq!(list, SubscriptionIdsBuf::new());
    assert_eq!(list.push(VARINT_MAX.try_into().unwrap()), Ok(()));
    assert_eq!(list.as_borrowed().iter().collect::<Vec<_>>(), [VARINT_MAX]);
}
