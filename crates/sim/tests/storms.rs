//! Many at once.

use broker::{BrokerConfig, DropReason};
use codec::Packet;
use sim::{Peer, Universe};
use types::{ProtocolVersion, QoS};

const V5: ProtocolVersion = ProtocolVersion::V5;

fn universe(workers: usize) -> Universe {
    Universe::new(BrokerConfig::open(workers, 7))
}

#[test]
fn a_message_outlives_a_group_whose_members_all_left_while_the_index_lags() {
    const MEMBERS: usize = 6_000;
    let mut universe = universe(1);
    let members: Vec<Peer> = (0..MEMBERS)
        .map(|number| {
            let mut member = Peer::join(&mut universe, V5, &format!("member{number}"));
            member.subscribe(&mut universe, "$share/g/t", QoS::AtLeastOnce);
            member
        })
        .collect();
    let mut bob = Peer::join(&mut universe, V5, "bob");
    universe.worker(0).set_index_batch(0);
    for mut member in members {
        member.hang_up(&mut universe);
    }
    bob.publish(&mut universe, "t", b"1", QoS::AtLeastOnce, 1);
    let received = bob.received(&mut universe);
    assert!(matches!(received[0].packet(), Packet::PubAck(_)));
    assert_eq!(universe.shared.totals().drops(DropReason::NoMember), 1);
}
