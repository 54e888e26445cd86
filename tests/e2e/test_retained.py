"""Retained messages: set, replace, clear, and who gets them when."""

import pytest

from harness.deadline import Deadline
from harness.peer import V5, V311, VERSIONS, Peer

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_set_replace_clear(server, topic, version, qos):
    """MQTT-3.3.1-5 to -8."""
    with Peer(server, version) as publisher:
        publisher.publish(topic, b"one", qos, retain=True)
        publisher.publish(topic, b"two", qos, retain=True)
        publisher.publish(topic, b"live only", qos, retain=False)
        assert retained(server, version, publisher, topic, qos, 1) == [(b"two", True, qos)]
        publisher.publish(topic, b"", qos, retain=True)
        assert retained(server, version, publisher, topic, qos, 0) == []


@versions
def test_live_copies_are_not_retained(server, topic, version):
    """MQTT-3.3.1-9 of 3.1.1; the clearing message reaches those who listen."""
    with Peer(server, version) as listener, Peer(server, version) as publisher:
        listener.subscribe(topic)
        publisher.publish(topic, b"on", retain=True)
        publisher.publish(topic, b"", retain=True)
        heard = listener.until_fence(publisher)
        assert [(m.payload, m.retain) for m in heard] == [(b"on", False), (b"", False)]


@versions
def test_wildcard_gets_each_once(server, topic, version):
    with Peer(server, version) as publisher, Peer(server, version) as late:
        for number in range(50):
            publisher.publish(f"{topic}/{number}/state", b"%d" % number, 1, retain=True)
        late.subscribe(f"{topic}/+/state", qos=1)
        heard = late.until_fence(publisher, qos=1)
        assert all(message.retain for message in heard)
        assert sorted(int(m.payload) for m in heard) == list(range(50))
        clear(publisher, [message.topic for message in heard])


@versions
def test_resubscribing_sends_retained_again(server, topic, version):
    """§3.8.4: each SUBSCRIBE sends them again (Retain Handling 0 in 5.0)."""
    with Peer(server, version) as peer:
        peer.publish(topic, b"value", 1, retain=True)
        for _ in range(3):
            peer.subscribe(topic)
            assert peer.message().payload == b"value"
        clear(peer, [topic])


def test_retained_value_survives_the_publisher(server, topic):
    with Peer(server, V311) as publisher:
        publisher.publish(topic, b"still here", 1, retain=True)
    with Peer(server, V5) as late:
        late.subscribe(topic)
        assert late.message().payload == b"still here"
        clear(late, [topic])


@pytest.mark.parametrize("handling,first,second", [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
def test_retain_handling(server, topic, handling, first, second):
    """MQTT-3.3.1-9 to -11: 0 always, 1 for a new subscription, 2 never."""
    with Peer(server, V5) as peer, Peer(server, V5) as publisher:
        publisher.publish(topic, b"value", 1, retain=True)
        for expected in (first, second):
            peer.subscribe(topic, retainHandling=handling)
            assert len(peer.until_fence(publisher)) == expected
        clear(publisher, [topic])


@pytest.mark.parametrize("kept", [False, True])
def test_retain_as_published(server, topic, kept):
    """MQTT-3.3.1-12 and -13; MQTT-3.3.1-8 at subscribe."""
    with Peer(server, V5) as peer, Peer(server, V5) as publisher:
        peer.subscribe(topic, retainAsPublished=kept)
        publisher.publish(topic, b"retained", retain=True)
        publisher.publish(topic, b"plain")
        heard = peer.until_fence(publisher)
        assert [(m.payload, m.retain) for m in heard] == [(b"retained", kept), (b"plain", False)]
        peer.subscribe(topic, retainAsPublished=kept)
        assert peer.message().retain
        clear(publisher, [topic])


def retained(server, version, publisher, topic, qos, count):
    """What a new subscriber finds. Nothing acknowledges QoS 0, so there it asks until the
    last of its messages has arrived at the server."""
    deadline = Deadline()
    while True:
        with Peer(server, version) as late:
            late.subscribe(topic, qos=2)
            heard = [(m.payload, m.retain, m.qos) for m in late.until_fence(publisher, qos=qos)]
        arrived = len(heard) == count and (b"one", True, qos) not in heard
        if qos > 0 or arrived or deadline.passed():
            return heard


def clear(peer, topics):
    for name in topics:
        peer.publish(name, b"", 1, retain=True)
