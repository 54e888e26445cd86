use std::sync::Arc;

use types::{Message, MessageParts};

use super::*;

fn outbound(text: &str, qos: QoS) -> Outbound {
    let parts = MessageParts {
        properties: &[],
        payload: text.as_bytes(),
        qos,
        retain: false,
        publisher: None,
        expires: None,
    };
    let message = Arc::new(Message::new(Arc::from("t"), parts));
    Outbound {
        message,
        qos,
        retain: false,
        ids: None,
        share: None,
    }
}

#[test]
fn a_flow_ends_with_its_own_acknowledgement_and_no_other_s33() {
    let mut session = Session::default();
    let kept = || Some(outbound("a", QoS::AtLeastOnce));
    let Offer::Send(id) = session.offer(QoS::AtLeastOnce, 1, kept) else {
        panic!("no room")
    };
    assert_eq!(session.offer(QoS::AtLeastOnce, 1, || None), Offer::Wait);
    assert_eq!(session.pubcomp(id), Acked::Unknown);
    assert_eq!(session.pubrec(id, false), Released::Unknown);
    assert_eq!(session.puback(id), Acked::Done);
    assert_eq!(session.puback(id), Acked::Unknown);
    assert_eq!(session.inflight_len(), 0);
}
