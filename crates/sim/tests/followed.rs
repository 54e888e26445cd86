//! Messages that are followed: who is told of them, and what they carry.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use broker::probe::What;
use broker::{Asked, BrokerConfig, Control, DropReason, Mark, Probe, Step, Tracer, Watchers};
use codec::{Packet, UserPropertiesBuf};
use sim::peer::{connect, publish};
use sim::{Peer, Universe};
use types::{Followed, ProtocolVersion, QoS, WorkerId};

const V5: ProtocolVersion = ProtocolVersion::V5;
const CONTEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Follows every so manieth message, or those that bring a context, and notes what it is told.
struct Scribe {
    gap: Option<NonZeroU32>,
    honors_contexts: bool,
    told: Mutex<Vec<String>>,
}

impl Scribe {
    fn at(universe: &mut Universe, gap: u32, honors_contexts: bool) -> Arc<Self> {
        let scribe = Arc::new(Self {
            gap: NonZeroU32::new(gap),
            honors_contexts,
            told: Mutex::default(),
        });
        universe.control(&Control::Watch(Watchers {
            traced: Some(Arc::clone(&scribe) as Arc<dyn Tracer>),
            ..Watchers::default()
        }));
        universe.settle();
        scribe
    }

    fn note(&self, words: String) {
        self.told.lock().unwrap().push(words);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

impl Probe for Scribe {
    fn step(&self, step: &Step<'_>) {
        let what = match step.what {
            What::Dropped(reason) => reason.as_str().to_owned(),
            what => {
                let words = format!("{what:?}");
                words.split([' ', '(', '{']).next().unwrap().to_lowercase()
            }
        };
        self.note(what);
    }
}

impl Tracer for Scribe {
    fn gap(&self, _: WorkerId) -> Option<NonZeroU32> {
        self.gap
    }

    fn honors_contexts(&self) -> bool {
        self.honors_contexts
    }

    fn mark(&self, step: &Step<'_>, asked: Asked) -> Option<Mark> {
        self.note(format!("{asked:?}"));
        let mut properties = step.properties.to_vec();
        let (key, value) = ("traceparent", CONTEXT);
        properties.push(0x26);
        for text in [key, value] {
            properties.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            properties.extend(text.as_bytes());
        }
        Some(Mark {
            properties: properties.into(),
            followed: Followed::Added,
        })
    }

    fn awaits_any(&self, _: WorkerId) -> bool {
        true
    }
}

/// The value of each user property of what came.
fn contexts(universe: &mut Universe, peer: &mut Peer) -> Vec<Vec<String>> {
    let all = peer.received(universe);
    let all = all.iter().filter_map(|received| match received.packet() {
        Packet::Publish(publish) => {
            let user = publish.properties.forward.user.iter();
            Some(user.map(|(_, value)| value.to_owned()).collect())
        }
        _ => None,
    });
    all.collect()
}

#[test]
fn only_what_is_followed_is_told_to_who_follows() {
    let mut universe = Universe::small();
    let mut by = Peer::join(&mut universe, V5, "by");
    let mut to = Peer::join(&mut universe, V5, "to");
    to.subscribe(&mut universe, "t", QoS::AtLeastOnce);
    let scribe = Scribe::at(&mut universe, 3, false);
    let mut user = UserPropertiesBuf::new();
    user.push("traceparent", CONTEXT).unwrap();
    for id in 1..=2 {
        // It brings a context, which does not count here.
        let mut packet = publish("t", b"x", QoS::AtLeastOnce, id);
        packet.properties.forward.user = user.as_borrowed();
        by.send(&mut universe, &Packet::Publish(packet));
    }
    assert_eq!(contexts(&mut universe, &mut to), [[CONTEXT], [CONTEXT]]);
    assert!(scribe.told().is_empty());
    by.publish(&mut universe, "t", b"x", QoS::AtLeastOnce, 3);
    let told = scribe.told();
    assert_eq!(told[..3], ["Chosen", "authorized", "routed"], "{told:?}");
    assert!(told.contains(&"sent".into()) && told.contains(&"answered".into()));
    assert_eq!(contexts(&mut universe, &mut to), [[CONTEXT]]);
    by.publish(&mut universe, "t", b"x", QoS::AtLeastOnce, 4);
    assert!(scribe.told().is_empty());
    assert_eq!(contexts(&mut universe, &mut to), [[""; 0]]);
}

#[test]
fn a_context_counts_only_if_it_may() {
    let mut universe = Universe::small();
    let mut by = Peer::join(&mut universe, V5, "by");
    let scribe = Scribe::at(&mut universe, 0, true);
    let mut user = UserPropertiesBuf::new();
    user.push("traceparent", CONTEXT).unwrap();
    let mut packet = publish("t", b"x", QoS::AtLeastOnce, 1);
    packet.properties.forward.user = user.as_borrowed();
    by.send(&mut universe, &Packet::Publish(packet));
    let told = scribe.told();
    assert_eq!(
        told.first().map(String::as_str),
        Some("Brought"),
        "{told:?}"
    );
    // No room for a context: nobody looks.
    by.publish(&mut universe, "t", b"x", QoS::AtLeastOnce, 2);
    assert!(scribe.told().is_empty());
}

#[test]
fn nobody_misses_a_message_because_it_is_followed() {
    let mut universe = Universe::new(BrokerConfig::open(1, 5));
    let mut by = Peer::join(&mut universe, V5, "by");
    // Fixed header, topic, packet identifier, length of the properties, payload.
    let exact = 2 + 3 + 2 + 1 + 40;
    let mut tight = connect(V5, "tight");
    tight.properties.maximum_packet_size = Some(exact);
    let mut tight = Peer::connect(&mut universe, tight);
    let mut wide = Peer::join(&mut universe, V5, "wide");
    for peer in [&mut tight, &mut wide] {
        peer.subscribe(&mut universe, "t", QoS::AtLeastOnce);
        // What came so far.
        contexts(&mut universe, peer);
    }
    let scribe = Scribe::at(&mut universe, 1, false);
    by.publish(&mut universe, "t", &[b'x'; 40], QoS::AtLeastOnce, 1);
    assert_eq!(contexts(&mut universe, &mut tight), [[""; 0]]);
    assert_eq!(contexts(&mut universe, &mut wide), [[CONTEXT]]);
    let told = scribe.told();
    assert_eq!(
        told.iter().filter(|it| *it == "sent").count(),
        2,
        "{told:?}"
    );
    // One more is too much, followed or not.
    by.publish(&mut universe, "t", &[b'x'; 41], QoS::AtLeastOnce, 2);
    assert!(contexts(&mut universe, &mut tight).is_empty());
    assert_eq!(universe.shared.totals().drops(DropReason::TooLarge), 1);
    assert!(scribe.told().contains(&"too_large".into()));
}
