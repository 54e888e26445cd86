//! Tests of the codec as a whole.

use types::{PacketId, ProtocolVersion, QoS};

use crate::{Frame, Packet, PublishHead, decode, frame};

#[test]
fn a_head_and_a_payload_are_a_publish() {
    let head = PublishHead {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: "a/b",
        packet_id: PacketId::new(7),
        message_expiry: Some(9),
        topic_alias: None,
        subscription_ids: &[],
        forward_bytes: &[1, 1],
        payload_len: 3,
    };
    let mut bytes = Vec::new();
    let at = head.encode(ProtocolVersion::V5, &mut bytes).unwrap();
    assert_eq!(bytes[at..at + 2], [0, 7]);
    bytes.extend_from_slice(b"xyz");
    assert_eq!(head.encoded_len(ProtocolVersion::V5), Ok(bytes.len()));
    let Ok(Frame::Complete {
        first_byte,
        header_len,
        total_len,
    }) = frame(&bytes, 100)
    else {
        panic!("a whole packet");
    };
    let Ok(Packet::Publish(publish)) = decode(
        ProtocolVersion::V5,
        first_byte,
        &bytes[header_len..total_len],
    ) else {
        panic!("a PUBLISH");
    };
    assert_eq!((publish.topic, publish.payload), ("a/b", &b"xyz"[..]));
    assert_eq!(publish.properties.message_expiry, Some(9));
    assert_eq!(publish.properties.forward.payload_is_utf8, Some(true));
    assert_eq!(publish.properties.forward_bytes, Some(&[1, 1][..]));
}
