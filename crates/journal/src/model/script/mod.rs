//! Random histories of a store: frames as a journal has them, with checkpoints in their midst,
//! beside the plainest model of what they mean.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use store::{Delivery, Publisher, Record, Recovered, Settled, WillParts};
use types::{
    ClientId, Durability, Message, MessageParts, MessageRef, PacketId, QoS, StoredSession,
    SubscriptionFilter, SubscriptionOptions, Time,
};

mod plain;

pub(crate) use plain::Plain;

use super::{ExpiryWalk, Losses, Model};
use crate::checkpoint::{Checkpoint, Progress};
use crate::log::FrameAt;
use crate::record::{Item, Records, StoreClock, encode, encode_body, encode_kept};

/// The store's clock when the history begins.
pub(crate) const CLOCK: StoreClock = StoreClock {
    base: 1_700_000_000_000,
};
const HEADER: u64 = 4096;

/// One thing that happens, by numbers that mean what they can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    what: u8,
    a: u8,
    b: u8,
    c: u8,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..34_u8, any::<u8>(), any::<u8>(), any::<u8>());
    let step = step.prop_map(|(what, a, b, c)| Step { what, a, b, c });
    prop::collection::vec(step, 0..250)
}

/// A frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: FrameAt,
    pub(crate) payload: Vec<u8>,
    is_checkpoint: bool,
}

/// What happened.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) frames: Vec<Frame>,
    /// The first segment of the last whole checkpoint.
    pub(crate) whole: Option<u64>,
    pub(crate) plain: Plain,
    /// Fed while it happened.
    pub(crate) live: Model,
    pub(crate) messages: Vec<MessageRef>,
    now: Time,
    batch: Vec<u8>,
    at: FrameAt,
    checkpoint: Option<Checkpoint>,
    slots: [u64; 5],
    sequence: u64,
    /// A retained change that another worker has not yet committed.
    late: Option<(u64, Option<MessageRef>, &'static str)>,
}

impl History {
    pub(crate) fn new(steps: &[Step]) -> Self {
        let mut live = Model::new(7);
        live.end_replay(CLOCK.base);
        let mut history = Self {
            frames: Vec::new(),
            whole: None,
            plain: Plain::default(),
            live,
            messages: Vec::new(),
            now: Time::ZERO,
            batch: Vec::new(),
            at: FrameAt {
                segment: 1,
                offset: HEADER,
                sequence: 1,
                time: CLOCK.base,
            },
            checkpoint: None,
            slots: [1, 2, 3, 4, 5],
            sequence: 0,
            late: None,
        };
        for &step in steps {
            history.step(step);
        }
        history.commit();
        history
    }

    pub(crate) fn now(&self) -> Time {
        self.now
    }

    fn record(&mut self, record: &Record<'_>) {
        encode(record, CLOCK, &mut self.batch);
        self.plain.apply(record);
    }

    fn frame(&mut self, payload: Vec<u8>, is_checkpoint: bool) {
        if payload.is_empty() {
            return;
        }
        self.at.time = CLOCK.millis(self.now);
        let length = u64::try_from(payload.len()).unwrap();
        let at = self.at;
        self.at.sequence += 1;
        self.at.offset += length.next_multiple_of(8) + 32;
        self.frames.push(Frame {
            at,
            payload,
            is_checkpoint,
        });
    }

    fn commit(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.live.apply(self.at_now(), &batch).unwrap();
        self.live.check();
        self.frame(batch, false);
    }

    fn at_now(&self) -> FrameAt {
        FrameAt {
            time: CLOCK.millis(self.now),
            ..self.at
        }
    }

    fn go_on_with_checkpoint(&mut self, step: Step) {
        self.commit();
        let Some(checkpoint) = &mut self.checkpoint else {
            self.at.segment += 1;
            self.at.offset = HEADER;
            self.checkpoint = Some(Checkpoint::begin(&self.live, self.at.segment));
            return;
        };
        let mut out = Vec::new();
        let progress = checkpoint.step(&self.live, &mut out, usize::from(step.a));
        if step.b.is_multiple_of(2) {
            // It may be fed with its own state; nothing may change by that.
            self.live.apply(self.at_now(), &out).unwrap();
            self.live.check();
        }
        if progress == Progress::Done {
            self.whole = Some(self.checkpoint.take().unwrap().first());
        }
        self.frame(out, true);
    }

    fn slot(&self, number: u8) -> StoredSession {
        StoredSession(self.slots[usize::from(number) % self.slots.len()])
    }

    fn step(&mut self, step: Step) {
        match step.what {
            0..=3 => self.keep(step),
            4 | 5 => self.session(step),
            6..=9 => self.subscription(step),
            10..=15 => self.owe(step),
            16..=19 => self.settle(step),
            20..=22 => self.receipt(step),
            23 => self.retain(step),
            24 => self.pass(step),
            25 => self.move_body(step),
            26..=28 => {
                self.commit();
                self.now = self.now + Duration::from_millis(u64::from(step.c));
            }
            29..=31 => self.go_on_with_checkpoint(step),
            _ => self.expire(step),
        }
    }

    /// What has expired is dropped, a little at a time, with nothing in between.
    fn expire(&mut self, step: Step) {
        self.commit();
        let mut walk = ExpiryWalk::begin(&mut self.live, CLOCK.millis(self.now));
        let mut dropped = (Vec::new(), Vec::new());
        loop {
            let mut out = Vec::new();
            let progress = walk.step(&mut self.live, &mut out, usize::from(step.a % 4) + 1);
            for record in Records::new(&out) {
                match record.unwrap().1 {
                    Item::Expired { session, number } => dropped.0.push((session.0, number.get())),
                    Item::Cleared { topic, .. } => dropped.1.push(topic.to_owned()),
                    other => panic!("{other:?}"),
                }
            }
            self.live.apply(self.at_now(), &out).unwrap();
            self.live.check();
            self.frame(out, false);
            if progress == Progress::Done {
                break;
            }
        }
        dropped.0.sort_unstable();
        dropped.1.sort_unstable();
        assert_eq!(dropped, self.plain.expire(self.now));
    }

    fn keep(&mut self, step: Step) {
        let count = u64::try_from(self.messages.len()).unwrap();
        let reference = MessageRef(((CLOCK.base + count) << MessageRef::COUNT_BITS) + 3);
        let payload = vec![step.b; usize::from(step.b)];
        let parts = MessageParts {
            properties: if step.c.is_multiple_of(4) {
                &[1, 1]
            } else {
                &[]
            },
            payload: &payload,
            qos: QoS::ExactlyOnce,
            retain: step.c.is_multiple_of(3),
            publisher: None,
            expires: (step.c.is_multiple_of(5)).then(|| self.now + Duration::from_millis(300)),
            durability: Durability::Disk,
            followed: types::Followed::No,
        };
        let message = Message::new(Arc::from(topic(step.a)), parts);
        self.messages.push(reference);
        // Some never arrive, and are missing.
        if !step.a.is_multiple_of(16) {
            encode_body(reference, &message, CLOCK, &mut self.batch);
            self.plain.keep(reference, &message);
        }
    }

    fn message(&self, number: u8) -> Option<MessageRef> {
        let number = usize::from(number).checked_rem(self.messages.len())?;
        self.messages.get(number).copied()
    }

    fn session(&mut self, step: Step) {
        let session = self.slot(step.a);
        let payload = [step.c; 5];
        let will = WillParts {
            topic: topic(step.c),
            properties: &[],
            payload: &payload,
            qos: QoS::AtLeastOnce,
            retain: step.c.is_multiple_of(2),
            delay: Duration::from_secs(u64::from(step.c % 7)),
            message_expiry: None,
            durability: Durability::Os,
        };
        let client = ClientId::new(&format!("client-{}", session.0)).unwrap();
        let expiry = [
            Duration::MAX,
            Duration::from_secs(3),
            Duration::from_secs(300),
            Duration::ZERO,
        ];
        let later = self.now + Duration::from_secs(u64::from(step.c));
        match step.b % 8 {
            0..=4 => self.record(&Record::Session {
                session,
                client: &client,
                user: (step.c.is_multiple_of(2)).then_some("somebody"),
                expiry: expiry[usize::from(step.c) % expiry.len()],
                will: (step.b.is_multiple_of(2)).then_some(will),
            }),
            5 => self.record(&Record::Away {
                session,
                ends: Some(later),
                will: (step.c.is_multiple_of(2)).then_some(self.now),
            }),
            6 => self.record(&Record::Away {
                session,
                ends: None,
                will: None,
            }),
            _ => {
                self.record(&Record::SessionEnded { session });
                let slot = usize::from(step.a) % self.slots.len();
                self.slots[slot] += 5;
            }
        }
    }

    fn subscription(&mut self, step: Step) {
        let session = self.slot(step.a);
        let filter = filter(step.b);
        if step.c.is_multiple_of(4) {
            self.record(&Record::Unsubscribed {
                session,
                filter: &filter,
            });
        } else {
            self.record(&Record::Subscribed {
                session,
                filter: &filter,
                options: SubscriptionOptions::from_byte(step.c & 0x1d).unwrap(),
                id: NonZeroU32::new(u32::from(step.c % 8)),
            });
        }
    }

    fn owe(&mut self, step: Step) {
        let Some(message) = self.message(step.a) else {
            return;
        };
        let mut deliveries = Vec::new();
        for slot in 0..step.b % 4 {
            let session = self.slot(step.b.wrapping_add(slot));
            deliveries.push(Delivery {
                session,
                number: self.plain.next(session.0),
                qos: if step.c.is_multiple_of(2) {
                    QoS::AtLeastOnce
                } else {
                    QoS::ExactlyOnce
                },
                retain: step.c.is_multiple_of(5),
                packet_id: PacketId::new(u16::from(step.c % 8)),
                ids: (step.c.is_multiple_of(3)).then(|| {
                    (0..step.c % 4)
                        .filter_map(|id| NonZeroU32::new(id.into()))
                        .collect()
                }),
                share: (step.c.is_multiple_of(7)).then(|| Arc::new(filter(step.c))),
            });
        }
        self.record(&Record::Owed {
            message,
            deliveries: &deliveries,
        });
    }

    fn settle(&mut self, step: Step) {
        let owed = self.plain.deliveries();
        let place = usize::from(step.a).checked_rem(owed.len());
        let Some(&(session, number)) = place.and_then(|place| owed.get(place)) else {
            return;
        };
        let id = PacketId::new(u16::from(step.c) + 1).unwrap();
        self.record(&match step.b % 4 {
            0 => Record::Sent {
                session,
                number,
                id,
            },
            1 => Record::Settled {
                session,
                number,
                step: Settled::Received,
            },
            _ => Record::Settled {
                session,
                number,
                step: Settled::Done,
            },
        });
    }

    fn receipt(&mut self, step: Step) {
        let session = self.slot(step.a);
        let id = PacketId::new(u16::from(step.b % 6) + 1).unwrap();
        let owed: Vec<StoredSession> = (0..step.c / 4 % 4)
            .map(|other| self.slot(step.b.wrapping_add(other)))
            .collect();
        let group = SubscriptionFilter::parse(&format!("$share/g/{}", step.b % 3), 128).unwrap();
        self.record(&match step.c % 5 {
            0 => Record::Received { session, id },
            1 => Record::Released { session, id },
            2 => Record::BegunInGroup {
                session,
                id,
                group: &group,
            },
            _ => Record::Begun {
                session,
                id,
                owed: &owed,
            },
        });
    }

    fn retain(&mut self, step: Step) {
        self.sequence += 1;
        let message = self.message(step.b).filter(|_| !step.c.is_multiple_of(3));
        let change = (self.sequence, message, topic(step.a));
        // Another worker's change may come later than one that was made after it.
        let now = if step.c % 8 < 3 {
            self.late.replace(change)
        } else {
            Some(change)
        };
        let late = if step.c % 8 == 7 {
            self.late.take()
        } else {
            None
        };
        for (sequence, message, topic) in [now, late].into_iter().flatten() {
            self.record(&match message {
                Some(message) => Record::Retained {
                    message,
                    topic,
                    sequence,
                    publisher: publisher(sequence),
                },
                None => Record::Cleared { topic, sequence },
            });
        }
    }

    fn pass(&mut self, step: Step) {
        let Some(message) = self.message(step.a) else {
            return;
        };
        let group = &filter(step.b);
        self.record(&if step.c.is_multiple_of(2) {
            Record::Passed { message, group }
        } else {
            Record::Arrived { message, group }
        });
    }

    /// Compaction: a message is written once more.
    fn move_body(&mut self, step: Step) {
        self.commit();
        let Some(message) = self.message(step.a) else {
            return;
        };
        let Some(place) = self.live.locate(message) else {
            return;
        };
        let bytes = self.find(place.segment, place.offset).0.to_vec();
        encode_kept(&bytes, &mut self.batch);
        self.commit();
    }

    /// The message at a place, as a reader of the files finds it.
    pub(crate) fn find(&self, segment: u64, offset: u64) -> (&[u8], MessageRef) {
        for frame in self
            .frames
            .iter()
            .filter(|frame| frame.at.segment == segment)
        {
            for record in Records::new(&frame.payload) {
                let (place, item) = record.unwrap();
                if frame.at.offset + u64::try_from(place).unwrap() == offset {
                    let Item::Body(body) = item else {
                        panic!("{item:?} is no message");
                    };
                    return (body.bytes, body.message);
                }
            }
        }
        panic!("there is nothing at {segment}, {offset}");
    }

    /// What a replay of some of the frames comes to.
    pub(crate) fn replay(&self, pick: impl Fn(&Frame) -> bool) -> (Model, Losses) {
        let mut model = Model::new(11);
        for frame in self.frames.iter().filter(|frame| pick(frame)) {
            model.apply(frame.at, &frame.payload).unwrap();
            model.tidy(frame.at.time);
        }
        model.check();
        let losses = model.end_replay(CLOCK.millis(self.now));
        model.check();
        (model, losses)
    }

    pub(crate) fn replay_all(&self) -> (Model, Losses) {
        self.replay(|_| true)
    }

    pub(crate) fn replay_without_checkpoints(&self) -> (Model, Losses) {
        self.replay(|frame| !frame.is_checkpoint)
    }

    /// As a start does it: from the last whole checkpoint.
    pub(crate) fn replay_from_checkpoint(&self) -> (Model, Losses) {
        let first = self.whole.unwrap_or(1);
        self.replay(|frame| frame.at.segment >= first)
    }

    pub(crate) fn recovered(&self, model: &Model) -> Recovered {
        let base = CLOCK.millis(self.now);
        model.recovered(StoreClock { base })
    }
}

fn topic(number: u8) -> &'static str {
    ["a", "a/b", "c/d/e", "f", "g/h"][usize::from(number) % 5]
}

fn filter(number: u8) -> SubscriptionFilter {
    let text = ["a/#", "+", "$share/g/a/b", "c/+/e", "$share/other/#", "g/h"];
    SubscriptionFilter::parse(text[usize::from(number) % text.len()], 128).unwrap()
}

/// Of some retained messages it is known who published them.
fn publisher(sequence: u64) -> Option<Publisher<'static>> {
    let client = ["alice", "bob"].get(usize::try_from(sequence % 3).unwrap_or(0))?;
    Some(Publisher {
        client,
        user: sequence.is_multiple_of(2).then_some("user"),
        granted: sequence.is_multiple_of(5),
    })
}
