use super::*;

/// A message that expires at some time.
fn until(topic: &str, expires: Time) -> Message {
    Message::new(
        Arc::from(topic),
        MessageParts {
            properties: &[],
            payload: &[1; 1000],
            qos: QoS::AtLeastOnce,
            retain: true,
            publisher: None,
            expires: Some(expires),
            durability: Durability::Disk,
            followed: types::Followed::No,
        },
    )
}

#[test]
fn space_comes_back_when_what_nobody_collects_expires() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk);
    let mut handle = store.handle(WorkerId(0));
    let session = begin(&mut *handle, "a");
    let (ends, will) = (None, None);
    handle.append(Record::Away {
        session,
        ends,
        will,
    });
    let mut now = 0;
    for number in 1..=1000 {
        now += 10;
        let topic = format!("t/{number}");
        let message = handle.keep(&until(&topic, at(20_000)), at(now));
        handle.append(Record::Owed {
            message,
            deliveries: &[delivery(session, number)],
        });
        handle.append(Record::Retained {
            message,
            topic: &topic,
            sequence: number,
            publisher: None,
        });
        handle.commit(Wish::Synced);
        store.turn(at(now));
    }
    let last = owe(&mut *handle, session, 1001, b"for ever", at(now));
    handle.commit(Wish::Synced);
    store.turn(at(now));
    assert_eq!(handle.figures().unwrap().messages, 1001);
    // Nobody writes anything, and time goes from one thing that is due to the next.
    let mut turns = 0;
    while let Some(due) = store.engine().next_due(WALL + now) {
        now = now.max(due - WALL) + 1;
        store.settle(at(now), 100);
        turns += 1;
        assert!(turns < 1_000, "there is no end");
    }
    let figures = handle.figures().unwrap();
    assert_eq!(figures.messages, 1);
    assert!(figures.disk_bytes <= 6 * (64 << 10), "{figures:?}");
    // The worker finds them in its memory yet, and settles them.
    for number in 1..=1000 {
        settle(&mut *handle, session, number);
    }
    handle.commit(Wish::Synced);
    store.turn(at(now));
    drop((store, handle));
    disk.cut_power(3);
    let (_, recovered) = open(&disk);
    assert_eq!(owed(&recovered, "a"), [(1001, last)]);
    assert!(recovered.retained.is_empty());
    assert_eq!(recovered.sequence, 1000);
}
