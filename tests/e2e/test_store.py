"""What the server has promised, it has after SIGTERM and after a crash (P2, P3, P4)."""

import stat

import pytest

from harness.peer import V5, V31, V311, VERSIONS, Peer, Will, fresh_id, timed_fence
from harness.raw import (
    CONNACK,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    Raw,
    acknowledge,
    connect,
    publish,
    published,
    subscribe,
)
from harness.server import free_port

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
levels = pytest.mark.parametrize("level", [4, 5], ids=["3.1.1", "5.0"])
ends = pytest.mark.parametrize("end", ["stop", "kill"])

#: All properties of PUBLISH that the server passes on unaltered.
PROPERTIES = {
    "PayloadFormatIndicator": 1,
    "ContentType": "text/plain",
    "ResponseTopic": "re/ply",
    "CorrelationData": bytes(range(256)),
    "UserProperty": [("a", "1"), ("a", "2"), ("", "")],
}

#: Seconds that nothing of a test takes, on however slow a machine.
AGES = 1000


def bounce(server, end, *peers):
    """Ends the server by SIGTERM or SIGKILL and starts it again; `peers` notice."""
    getattr(server, end)()
    for peer in peers:
        peer.ended()
        peer.disconnect()
    server.restart()


# Sessions and what waits in them


@ends
@versions
@pytest.mark.parametrize("qos", [1, 2])
def test_queue(own_server, topic, end, version, qos):
    """Messages for an absent client wait in order, each once."""
    server, client_id = own_server().start(), fresh_id()
    with Peer(server, version, client_id, clean=False) as first:
        first.subscribe(f"{topic}/#", qos=qos)
    payloads = [b"%d " % n + b"x" * (n * n) for n in range(100)]
    with Peer(server, version) as publisher:
        for number, mid in enumerate(
            [publisher.send(f"{topic}/{n % 3}", p, qos) for n, p in enumerate(payloads)]
        ):
            assert publisher.published(mid) == 0, number
    bounce(server, end)
    with Peer(server, version) as publisher:
        publisher.publish(f"{topic}/0", b"after", qos)
        with Peer(server, version, client_id, clean=False) as back:
            assert back.session_present or version == V31
            heard = back.until_fence(publisher, qos=qos)
    assert [m.payload for m in heard] == [*payloads, b"after"]
    assert [m.topic for m in heard] == [f"{topic}/{n % 3}" for n in range(100)] + [f"{topic}/0"]
    assert {(m.qos, m.dup, m.retain) for m in heard} == {(qos, False, False)}
    bounce(server, end)
    with Peer(server, version, client_id, clean=False) as again, Peer(server) as publisher:
        left = again.until_fence(publisher, qos=qos)
    # Acknowledgements may be forgotten by a crash, but not where that would be a second time.
    assert not left or (end == "kill" and qos == 1)


@ends
def test_properties(own_server, topic, end):
    server, client_id = own_server().start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(topic, qos=1, identifier=77)
        first.subscribe(f"{topic}/#", qos=1, identifier=268_435_455)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"one", 1, **PROPERTIES)
    bounce(server, end)
    with Peer(server, V5, client_id, clean=False) as back:
        heard = back.messages(1)
        if heard[0].properties.SubscriptionIdentifier != [77, 268_435_455]:
            heard += back.messages(1)  # One copy for each subscription is allowed too (3.3.4).
        identifiers = sorted(i for m in heard for i in m.properties.SubscriptionIdentifier)
        assert identifiers == [77, 268_435_455]
        for message in heard:
            assert_properties(message)


def assert_properties(message):
    for name, value in PROPERTIES.items():
        assert getattr(message.properties, name) == value, name


@ends
def test_subscriptions(own_server, topic, end):
    """With their identifiers and options; one that was taken back stays away."""
    server, client_id = own_server().start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(f"{topic}/id", qos=1, identifier=5)
        first.subscribe(f"{topic}/id", qos=2, identifier=6)
        first.subscribe(f"{topic}/local", qos=1, noLocal=True)
        first.subscribe(f"{topic}/kept", qos=1, retainAsPublished=True)
        first.subscribe(f"$share/g/{topic}/shared", qos=1)
        first.subscribe(f"{topic}/gone", f"$share/g/{topic}/gone", qos=1)
        first.unsubscribe(f"{topic}/gone", f"$share/g/{topic}/gone")
    for _ in range(2):
        bounce(server, end)
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as publisher:
        assert back.session_present
        back.publish(f"{topic}/local", b"mine", 1)
        publisher.publish(f"{topic}/gone", b"no", 1)
        publisher.publish(f"{topic}/id", b"id", 2)
        publisher.publish(f"{topic}/kept", b"kept", 1, retain=True)
        publisher.publish(f"{topic}/shared", b"shared", 1)
        heard = {m.payload: m for m in back.until_fence(publisher, qos=1)}
        assert heard.keys() == {b"id", b"kept", b"shared"}
        assert heard[b"id"].qos == 2
        assert heard[b"id"].properties.SubscriptionIdentifier == [6]
        assert heard[b"kept"].retain and not heard[b"shared"].retain
        assert back.unsubscribe(f"{topic}/id", f"$share/g/{topic}/shared") == [0, 0]


@ends
def test_what_ended_stays_ended(own_server, topic, end):
    """A session that was taken clean, or that DISCONNECT ended, does not come back."""
    server = own_server().start()
    clean, ended, stays = (fresh_id() for _ in range(3))
    for client_id in (clean, ended, stays):
        with Peer(server, V5, client_id, clean=False) as peer:
            peer.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"waits", 1)
    Peer(server, V5, clean, clean=True).connect().disconnect()
    Peer(server, V5, ended, clean=False).connect().disconnect(SessionExpiryInterval=0)
    # What ends a session is not acknowledged; what is acknowledged after it is behind it.
    with Peer(server, V5, stays, clean=False) as peer:
        peer.publish(f"{topic}/state", b"1", 1, retain=True)
    bounce(server, end)
    for client_id, present in ((clean, False), (ended, False), (stays, True)):
        with Peer(server, V5, client_id, clean=False) as peer:
            assert peer.session_present == present


@ends
def test_a_session_crosses_versions_and_restarts(own_server, topic, end):
    server, client_id = own_server().start(), fresh_id()
    with Peer(server, V311, client_id, clean=False) as old:
        old.subscribe(topic, qos=2)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"waited", 2, **PROPERTIES)
    bounce(server, end)
    with Peer(server, V5, client_id, clean=False) as new:
        assert new.session_present
        message = new.message()
        assert message.payload == b"waited"
        assert_properties(message)


@ends
def test_a_full_queue_keeps_what_its_policy_says(own_server, topic, end):
    """Drops survive too: a queue of ten keeps the last ten."""
    server, client_id = own_server(config="[limits]\nqueued_messages = 10\n").start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        for number in range(30):
            publisher.publish(topic, b"%d" % number, 1)
    bounce(server, end)
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as publisher:
        heard = [int(m.payload) for m in back.until_fence(publisher, qos=1)]
    assert heard == list(range(20, 30))


@ends
@pytest.mark.timeout(180)
def test_a_queue_larger_than_the_memory_for_it(own_server, topic, end):
    """Messages that are on the disk only come in order, with all their bytes."""
    limits = '[limits]\nstored_memory = "64KiB"\nqueued_bytes = "64MiB"\n'
    config = f'[store]\nsegment_size = "1MiB"\n{limits}'
    server, client_id = own_server(config=config).start(), fresh_id()
    count = 5_000
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        payload = {n: b"%d " % n + bytes([n % 251]) * 1000 for n in range(count)}
        for mid in [publisher.send(topic, payload[n], 1) for n in range(count)]:
            publisher.published(mid, AGES)
    bounce(server, end)
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as publisher:
        heard = [m.payload for m in back.until_fence(publisher, qos=1, seconds=AGES)]
    assert heard == list(payload.values())


# Retained messages


@ends
@versions
def test_retained(own_server, topic, end, version):
    """Set, replaced and cleared, whatever the QoS, small and large."""
    server = own_server().start()
    large = bytes(range(256)) * 800
    with Peer(server, version) as publisher:
        for qos in (0, 1, 2):
            publisher.publish(f"{topic}/set/{qos}", b"set", qos, retain=True)
            publisher.publish(f"{topic}/replaced/{qos}", b"old", qos, retain=True)
            publisher.publish(f"{topic}/replaced/{qos}", large, qos, retain=True)
            publisher.publish(f"{topic}/cleared/{qos}", b"old", qos, retain=True)
            publisher.publish(f"{topic}/cleared/{qos}", b"", qos, retain=True)
        # QoS 0 promises nothing by itself; what is acknowledged after it is behind it.
        publisher.publish(f"{topic}/last", b"last", 1, retain=True)
    for _ in range(2):
        bounce(server, end)
    wanted = {f"{topic}/last": (b"last", 1)}
    for qos in (0, 1, 2):
        wanted[f"{topic}/set/{qos}"] = (b"set", qos)
        wanted[f"{topic}/replaced/{qos}"] = (large, qos)
    with Peer(server, version) as reader, Peer(server, version) as publisher:
        reader.subscribe(f"{topic}/#", qos=2)
        heard = reader.messages(len(wanted))
        assert {m.topic: (m.payload, m.qos) for m in heard} == wanted
        assert all(m.retain for m in heard)
        assert reader.until_fence(publisher, qos=2) == []


@ends
def test_retained_properties_and_long_topics(own_server, end):
    """F20: a topic as long as the standard allows comes back byte for byte."""
    server = own_server(config="[limits]\npacket_size = \"1MiB\"\n").start()
    long = "e2e/" + "ü" * 32_765 + "x"
    assert len(long.encode()) == 65_535
    with Peer(server, V5) as publisher:
        assert publisher.publish(long, b"long", 1, retain=True, **PROPERTIES) in (0, 0x10)
    bounce(server, end)
    with Peer(server, V5) as reader:
        reader.subscribe("e2e/+", qos=1)
        message = reader.message()
        assert message.topic == long and message.payload == b"long"
        assert_properties(message)


def test_what_is_retained_never_overtakes(own_server, topic):
    """Values that are read from the disk for a newcomer, while newer ones are published: he
    hears none after a newer one, and the newest of each."""
    config = '[store]\nsegment_size = "1MiB"\n[limits]\nstored_memory = "64KiB"\n'
    server, count = own_server(config=config).start(), 2_000
    with Peer(server, V5) as publisher:
        say = [(f"{topic}/{n}", b"old %d " % n + b"x" * 1000) for n in range(count)]
        for mid in [publisher.send(name, payload, 1, True) for name, payload in say]:
            publisher.published(mid, AGES)
    bounce(server, "kill")
    with Peer(server, V5) as publisher, Peer(server, V5) as reader:
        reader.subscribe(f"{topic}/+", qos=1)
        for mid in [publisher.send(f"{topic}/{n}", b"new", 1, True) for n in range(count)]:
            publisher.published(mid, AGES)
        newest = set()
        while len(newest) < count:
            newest |= heard_after(reader.message(), newest)
        timed_fence(server, 1)
        while not reader.inbox.empty():
            newest |= heard_after(reader.message(), newest)


def heard_after(message, newest):
    """The topic, if the message is the newest one there; nothing older may come after that."""
    if message.payload == b"new":
        return {message.topic}
    assert message.topic not in newest, f"{message.topic}: {message.payload[:10]} after the newest"
    return set()


# Clocks


@ends
def test_message_expiry_goes_on(own_server, topic, end):
    """What is left of the interval comes, never more and never less than nothing."""
    server, other, client_id = own_server().start(), own_server().start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(f"{topic}/+", qos=1)
    with Peer(server, V5) as publisher:
        for name, seconds in (("long", AGES), ("short", 2), ("longest", 0xFFFFFFFF)):
            for retain in (False, True):
                publisher.publish(
                    f"{topic}/{name}", b"x", 1, retain, MessageExpiryInterval=seconds
                )
    getattr(server, end)()
    timed_fence(other, 3)  # The clock of a server that goes on.
    server.restart()
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as publisher:
        heard = back.until_fence(publisher, qos=1)
        assert [m.topic for m in heard] == [f"{topic}/{n}" for n in ("long",) * 2 + ("longest",) * 2]
        back.subscribe(f"{topic}/+", qos=1)
        heard += back.messages(2)
        assert back.until_fence(publisher, qos=1) == []
    for message in heard:
        given = AGES if message.topic.endswith("long") else 0xFFFFFFFF
        assert given - AGES < message.properties.MessageExpiryInterval <= given - 3


@ends
def test_session_expiry_goes_on(own_server, topic, end):
    """It is counted while the server is away. Of clients that a crash parted from it, the server
    knows no end before its next start: they have the whole time from there."""
    server, other = own_server().start(), own_server().start()
    ids = {name: fresh_id() for name in ("away", "there", "long-away", "long-there")}
    peers = []
    for name, client_id in ids.items():
        expiry = 600 if name.startswith("long") else 2
        peer = Peer(server, V5, client_id, clean=False, expiry=expiry).connect()
        peer.subscribe(topic, qos=1)
        if name.endswith("away"):
            peer.disconnect()
        else:
            peers.append(peer)
    getattr(server, end)()
    for peer in peers:
        peer.ended()
        peer.disconnect()
    timed_fence(other, 4)
    server.restart()
    if end == "kill":
        timed_fence(server, 4)
    for name, client_id in ids.items():
        with Peer(server, V5, client_id, clean=False) as back:
            assert back.session_present == name.startswith("long"), name


@ends
def test_session_expires_after_the_restart(own_server, end):
    server, client_id = own_server().start(), fresh_id()
    Peer(server, V5, client_id, clean=False, expiry=4).connect().disconnect()
    with Peer(server, V5, fresh_id(), clean=False) as later:
        later.publish("e2e/later", b"1", 1, retain=True)
    bounce(server, end)
    timed_fence(server, 6)
    with Peer(server, V5, client_id, clean=False) as back:
        assert not back.session_present


# Wills


@ends
def test_a_will_that_waits(own_server, topic, end):
    """Its delay goes on across the restart: it is said once, not before its time."""
    server, watcher_id = own_server().start(), fresh_id()
    with Peer(server, V5, watcher_id, clean=False) as watcher:
        watcher.subscribe(f"{topic}/#", qos=2)
    for name, delay in (("soon", 3), ("late", AGES)):
        will = Will(
            f"{topic}/{name}",
            b"gone",
            2,
            retain=True,
            properties={"WillDelayInterval": delay, **PROPERTIES},
        )
        Peer(server, V5, expiry=3 * AGES, clean=False, will=will).connect().drop()
    # Something that is acknowledged after the ends of those connections.
    with Peer(server, V5) as publisher:
        publisher.publish(f"{topic}/first", b"first", 1)
    bounce(server, end)
    with Peer(server, V5, watcher_id, clean=False) as watcher, Peer(server, V5) as other:
        first, soon = watcher.messages(2)
        assert (first.topic, soon.topic) == (f"{topic}/first", f"{topic}/soon")
        assert (soon.payload, soon.qos) == (b"gone", 2)
        assert_properties(soon)
        assert watcher.until_fence(other, qos=1) == []
        other.subscribe(f"{topic}/#", qos=1)
        assert other.message().topic == f"{topic}/soon"


@ends
def test_wills_of_those_who_were_connected(own_server, topic, end):
    """The end of the server ends their connections; their wills are said, before or after."""
    server, watcher_id = own_server().start(), fresh_id()
    with Peer(server, V5, watcher_id, clean=False) as watcher:
        watcher.subscribe(f"{topic}/#", qos=1)
    guests = [
        Peer(
            server,
            version,
            clean=False,
            will=Will(f"{topic}/{version}", b"gone", 1, properties=delay),
        ).connect()
        for version, delay in ((V311, {}), (V5, {"WillDelayInterval": 1}))
    ]
    for guest in guests:
        guest.publish(f"{topic}/here", b"here", 1)
    bounce(server, end, *guests)
    with Peer(server, V5, watcher_id, clean=False) as watcher:
        heard = sorted(m.topic for m in watcher.messages(4))
        assert heard == sorted([f"{topic}/here"] * 2 + [f"{topic}/{V311}", f"{topic}/{V5}"])


@ends
def test_return_after_the_restart_cancels_the_will(own_server, topic, end):
    """MQTT-3.1.3-9, with the server's restart between."""
    server, client_id = own_server().start(), fresh_id()
    will = Will(topic, qos=1, properties={"WillDelayInterval": 3})
    guest = Peer(server, V5, client_id, clean=False, will=will).connect()
    guest.subscribe(f"{topic}/other", qos=1)
    bounce(server, end, guest)
    with Peer(server, V5) as watcher, Peer(server, V5, client_id, clean=False) as back:
        watcher.subscribe(topic, qos=1)
        assert back.session_present
        timed_fence(server, 5)
        assert watcher.until_fence(back, qos=1) == []


# Handshakes that a restart interrupts


@ends
@levels
def test_what_was_sent_comes_again(own_server, topic, end, level):
    """MQTT-4.4.0-1: with the same packet ids and DUP, in order, and the rest behind it."""
    server, client_id = own_server().start(), fresh_id()
    with Peer(server, V5) as publisher, Raw(server) as raw:
        begin(raw, client_id, level, receive_maximum=10)
        raw.send(subscribe(1, topic, 2, level))
        assert raw.packet()[0] == SUBACK
        for number in range(8):
            publisher.publish(topic, b"%d" % number, 1 + number % 2)
        sent = [take(raw, level) for _ in range(8)]
        assert [s[0] for s in sent] == [b"%d" % n for n in range(8)]
        raw.send(acknowledge(PUBACK, sent[0][2]))
        raw.send(acknowledge(PUBREC, sent[1][2]))
        assert raw.packet() == (PUBREL, 2, sent[1][2].to_bytes(2, "big"))
    with Peer(server, V5) as publisher:
        for number in range(8, 12):
            publisher.publish(topic, b"%d" % number, 1)
    bounce(server, end)
    with Raw(server) as raw:
        assert begin(raw, client_id, level, receive_maximum=10)
        answers = [raw.packet() for _ in range(7)]
        released = [a for a in answers if a[0] == PUBREL]
        again = [parsed(a, level) for a in answers if a[0] == PUBLISH]
        # The crash may forget the acknowledgement of QoS 1, never a step of QoS 2.
        if end == "kill" and again[0][0] == b"0":
            assert again.pop(0) == (*sent[0][:3], True)
            again.append(take(raw, level))
        assert released == [(PUBREL, 2, sent[1][2].to_bytes(2, "big"))]
        assert again == [(payload, qos, number, True) for payload, qos, number, _ in sent[2:8]]
        raw.send(acknowledge(PUBCOMP, sent[1][2]))
        for payload, qos, number, _ in again:
            raw.send(acknowledge(PUBACK if qos == 1 else PUBREC, number))
            if qos == 2:
                while (answer := raw.packet())[0] == PUBLISH:
                    again.append(parsed(answer, level))
                assert answer[0] == PUBREL
                raw.send(acknowledge(PUBCOMP, number))
        rest = again[6:] + [take(raw, level) for _ in range(4 - len(again[6:]))]
        assert [(payload, dup) for payload, _, _, dup in rest] == [
            (b"%d" % number, False) for number in range(8, 12)
        ]


@ends
@levels
def test_exactly_once_from_the_publisher(own_server, topic, end, level):
    """MQTT-4.3.3-10: the id is known until PUBREL, and not after it, whenever the server ends."""
    server, reader_id, client_id = own_server().start(), fresh_id(), fresh_id()
    with Peer(server, V5, reader_id, clean=False) as reader:
        reader.subscribe(topic, qos=2)

    def again(dup):
        with Raw(server) as raw:
            begin(raw, client_id, level)
            raw.send(publish(topic, b"one", 2, 7, level, dup=dup))
            assert done(raw.packet()) == (PUBREC, 7)

    again(False)
    bounce(server, end)
    again(True)
    bounce(server, end)
    with Raw(server) as raw:
        assert begin(raw, client_id, level)
        raw.send(publish(topic, b"one", 2, 7, level, dup=True), acknowledge(PUBREL, 7))
        assert done(raw.packet()) == (PUBREC, 7)
        assert done(raw.packet()) == (PUBCOMP, 7)
    bounce(server, end)
    with Raw(server) as raw:
        assert begin(raw, client_id, level)
        raw.send(acknowledge(PUBREL, 7))
        kind, _, body = raw.packet()
        assert (kind, body[:2]) == (PUBCOMP, b"\x00\x07")
        raw.send(publish(topic, b"two", 2, 7, level))
        assert done(raw.packet()) == (PUBREC, 7)
    with Peer(server, V5, reader_id, clean=False) as reader, Peer(server, V5) as other:
        heard = [m.payload for m in reader.until_fence(other, qos=2)]
    assert heard == [b"one", b"two"]


@levels
def test_exactly_once_towards_the_subscriber(own_server, topic, level):
    """Each step of the handshake, each followed by a crash: nothing comes twice, and no id is
    used again before it is free."""
    server, client_id = own_server().start(), fresh_id()
    with Raw(server) as raw:
        begin(raw, client_id, level)
        raw.send(subscribe(1, topic, 2, level))
        assert raw.packet()[0] == SUBACK
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"one", 2)
    with Raw(server) as raw:
        assert begin(raw, client_id, level)
        payload, qos, number, dup = take(raw, level)
        assert (payload, qos, dup) == (b"one", 2, False)
    bounce(server, "kill")
    with Raw(server) as raw:
        assert begin(raw, client_id, level)
        assert take(raw, level) == (b"one", 2, number, True)
        raw.send(acknowledge(PUBREC, number))
        assert raw.packet() == (PUBREL, 2, number.to_bytes(2, "big"))
    bounce(server, "kill")
    with Raw(server) as raw:
        assert begin(raw, client_id, level)
        assert raw.packet() == (PUBREL, 2, number.to_bytes(2, "big"))
        with Peer(server, V5) as publisher:
            publisher.publish(topic, b"two", 2)
        payload, _, second, dup = take(raw, level)
        assert (payload, dup) == (b"two", False) and second != number
        raw.send(acknowledge(PUBCOMP, number), acknowledge(PUBREC, second))
        assert raw.packet() == (PUBREL, 2, second.to_bytes(2, "big"))
        raw.send(acknowledge(PUBCOMP, second))
        with Peer(server, V5) as publisher:
            publisher.publish(topic, b"three", 1)
        payload, _, third, _ = take(raw, level)
        assert payload == b"three"
        raw.send(acknowledge(PUBACK, third))
    bounce(server, "kill")
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        heard = [m.payload for m in back.until_fence(other, qos=2)]
    assert heard in ([], [b"three"])  # Only QoS 1 may come twice.


def begin(raw, client_id, level, receive_maximum=None):
    """Connects with a session that lasts; returns whether it was there."""
    block = b""
    if level == 5:
        block = b"\x11\x00\x00\x0e\x10"
        if receive_maximum:
            block += b"\x21" + receive_maximum.to_bytes(2, "big")
    raw.send(connect(client_id, level, 0, properties=block))
    kind, _, body = raw.packet()
    assert kind == CONNACK and body[1] == 0
    return bool(body[0])


def take(raw, level):
    return parsed(raw.packet(), level)


def parsed(answer, level):
    """A PUBLISH as (payload, qos, packet id, dup)."""
    kind, flags, body = answer
    assert kind == PUBLISH, answer
    _, payload, qos, number, dup, _, _ = published(flags, body, level)
    return payload, qos, number, dup


def done(answer):
    """Type and packet id of an acknowledgement that says success."""
    kind, _, body = answer
    assert body[2:] in (b"", b"\x00", b"\x00\x00", b"\x10", b"\x10\x00"), answer
    return kind, int.from_bytes(body[:2], "big")


# The store as others see it


@ends
def test_one_line_says_what_was_recovered(own_server, topic, end):
    server = own_server().start()
    for number in range(3):
        with Peer(server, V5, fresh_id(), clean=False) as peer:
            peer.subscribe(f"{topic}/queue", qos=1)
    with Peer(server, V5) as publisher:
        for number in range(4):
            publisher.publish(f"{topic}/queue", b"%d" % number, 1)
        for number in range(5):
            publisher.publish(f"{topic}/state/{number}", b"%d" % number, 1, retain=True)
    bounce(server, end)
    first, second = server.until_events("store recovered", 2)
    assert second["level"] == "INFO"
    assert (first["sessions"], first["messages"], first["retained"]) == (0, 0, 0)
    assert (second["sessions"], second["retained"]) == (3, 5)
    # Messages are stored once, however many sessions wait for them.
    assert second["messages"] in (4, 4 + 5)
    assert second["bytes"] > 0 and second["dropped_bytes"] == 0
    assert isinstance(second["seconds"], float) and 0 <= second["seconds"] < 5


def test_nobody_else_reads_it(own_server):
    """Files 0600 in a folder 0700."""
    server = own_server().start()
    with Peer(server, V5) as peer:
        peer.publish("e2e/state", b"1", 1, retain=True)
    assert stat.S_IMODE(server.store.stat().st_mode) == 0o700
    files = list(server.store.rglob("*"))
    assert files
    for path in files:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_store_that_others_may_read_is_tightened(own_server):
    """One line says so."""
    server = own_server().start()
    server.stop()
    assert server.events(TIGHTENED) == []
    [segment, *_] = server.store.glob("*.segment")
    server.store.chmod(0o755)
    segment.chmod(0o644)
    server.restart()
    [said] = server.until_events(TIGHTENED)
    assert (said["level"], said["files"], said["folder"]) == ("WARN", 2, str(server.store))
    assert stat.S_IMODE(server.store.stat().st_mode) == 0o700
    if segment.exists():
        assert stat.S_IMODE(segment.stat().st_mode) == 0o600


TIGHTENED = "other users had access to the store: taken away"


def test_a_second_server_is_refused(own_server, topic):
    """One line says why, and the first one goes on."""
    first = own_server().start()
    second = own_server(data_dir=first.data_dir)
    second.launch(free_port(second.host))
    assert second.ended_by_itself() == 1
    lines = second.log().splitlines()
    assert len(lines) == 1, lines
    assert str(first.data_dir) in lines[0] and "another" in lines[0].lower(), lines
    with Peer(first, V5) as peer:
        peer.publish(topic, b"on", 1, retain=True)
    first.kill()
    first.restart()
    with Peer(first, V5) as peer:
        peer.subscribe(topic)
        assert peer.message().payload == b"on"


def test_a_store_of_another_version_is_refused(own_server, topic):
    """Never silently replaced by an empty one (P5); not a byte of it is touched."""
    server = own_server().start()
    with Peer(server, V5) as peer:
        peer.publish(topic, b"precious", 1, retain=True)
    server.stop()
    mark = server.store / "store.id"
    good = mark.read_bytes()
    assert b"\nformat 1\n" in good
    mark.write_bytes(good.replace(b"\nformat 1\n", b"\nformat 999\n"))
    before = contents(server.store)
    server.launch(server.port)
    assert server.ended_by_itself() == 1
    said = server.log().splitlines()[-1]
    assert "999" in said and "version" in said
    assert contents(server.store) == before
    mark.write_bytes(good)
    server.restart()
    with Peer(server, V5) as peer:
        peer.subscribe(topic)
        assert peer.message().payload == b"precious"


def test_store_files_without_their_mark_are_refused(own_server, topic):
    """Segments whose store.id is missing are somebody's data."""
    server = own_server().start()
    with Peer(server, V5) as peer:
        peer.publish(topic, b"precious", 1, retain=True)
    server.stop()
    (server.store / "store.id").unlink()
    before = contents(server.store)
    server.launch(server.port)
    assert server.ended_by_itself() == 1
    assert contents(server.store) == before


def contents(folder):
    """Every file and what is in it, but for the lock."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }
