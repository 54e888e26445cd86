"""Publish and subscribe with paho-mqtt in 3.1, 3.1.1 and 5.0."""

import pytest

from harness.peer import V5, V31, V311, VERSIONS, Peer

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())


@versions
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("subscribed", [0, 1, 2])
def test_qos_is_the_lower_of_both(server, topic, version, published, subscribed):
    """MQTT-3.8.4-8: min(QoS of the message, QoS granted)."""
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        assert subscriber.subscribe(topic, qos=subscribed) == [subscribed]
        publisher.publish(topic, b"hello", published)
        message = subscriber.message()
        assert (message.topic, message.payload) == (topic, b"hello")
        assert message.qos == min(published, subscribed)
        assert not message.retain and not message.dup
        assert subscriber.until_fence(publisher, qos=subscribed) == []


@pytest.mark.parametrize("source", VERSIONS, ids=VERSIONS.values())
@pytest.mark.parametrize("target", VERSIONS, ids=VERSIONS.values())
def test_versions_hear_each_other(server, topic, source, target):
    extra = {"UserProperty": [("k", "v")], "ContentType": "text/plain"} if source == V5 else {}
    with Peer(server, target) as subscriber, Peer(server, source) as publisher:
        subscriber.subscribe(topic, qos=2)
        for qos in (0, 1, 2):
            publisher.publish(topic, b"q%d" % qos, qos, **extra)
        assert sorted(subscriber.payloads(3)) == [b"q0", b"q1", b"q2"]


@versions
def test_order_of_one_publisher_is_kept(server, topic, version):
    """MQTT-4.6.0-6, for each QoS on its own."""
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        subscriber.subscribe(f"{topic}/#", qos=2)
        pending = [
            publisher.send(f"{topic}/{qos}", b"%d" % n, qos)
            for n in range(100)
            for qos in (0, 1, 2)
        ]
        for mid in pending:
            publisher.published(mid)
        seen = {f"{topic}/{qos}": [] for qos in (0, 1, 2)}
        for message in subscriber.messages(300):
            seen[message.topic].append(int(message.payload))
        assert all(numbers == list(range(100)) for numbers in seen.values()), seen


@versions
@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 500_000])
def test_payload_sizes(server, topic, version, size):
    payload = bytes(index & 0xFF for index in range(size))
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        subscriber.subscribe(topic, qos=1)
        publisher.publish(topic, payload, 1)
        assert subscriber.message().payload == payload


WILDCARDS = [
    ("+", ["a"], ["a/b", "/a"]),
    ("+/b", ["a/b", "/b"], ["a", "a/b/c"]),
    ("a/#", ["a", "a/b", "a/b/c", "a/"], ["ab", "b/a"]),
    ("/+", ["/a"], ["a", "/a/b"]),
    ("a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/d"]),
    ("+/+/#", ["a/b", "a/b/c", "/a"], ["a"]),
    ("A b/ü", ["A b/ü"], ["a b/ü", "A b/u"]),
]


@versions
@pytest.mark.parametrize("pattern,inside,outside", WILDCARDS, ids=[row[0] for row in WILDCARDS])
def test_wildcards(server, topic, version, pattern, inside, outside):
    """MQTT-4.7.1-1 to -3."""
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        subscriber.subscribe(f"{topic}/{pattern}")
        for name in outside + inside:
            publisher.publish(f"{topic}/{name}", name.encode())
        heard = [message.topic for message in subscriber.until_fence(publisher)]
        assert heard == [f"{topic}/{name}" for name in inside]


@versions
def test_hash_does_not_match_dollar(server, topic, version):
    """MQTT-4.7.2-1."""
    with Peer(server, version) as everything, Peer(server, version) as named:
        everything.subscribe("#", "+/#")
        named.subscribe("$SYS/#")
        assert named.message().topic.startswith("$SYS/")
        heard = everything.until_fence(named)
        assert not [message.topic for message in heard if message.topic.startswith("$")]


@versions
def test_overlapping_subscriptions_give_the_highest_qos(server, topic, version):
    """MQTT-3.3.4-2; one copy, as clients expect."""
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        subscriber.subscribe(f"{topic}/#", qos=0)
        subscriber.subscribe(f"{topic}/+", qos=2)
        publisher.publish(f"{topic}/x", b"once", 2)
        heard = subscriber.until_fence(publisher)
        assert [message.payload for message in heard] == [b"once"]
        assert heard[0].qos == 2


@versions
def test_unsubscribe_ends_delivery(server, topic, version):
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        subscriber.subscribe(topic, f"{topic}/kept")
        codes = subscriber.unsubscribe(topic, f"{topic}/never")
        assert codes == ([0x00, 0x11] if version == V5 else [])
        publisher.publish(topic, b"lost")
        publisher.publish(f"{topic}/kept", b"kept")
        assert [m.payload for m in subscriber.until_fence(publisher)] == [b"kept"]


@versions
def test_many_filters_in_one_subscribe(server, topic, version):
    """MQTT-3.9.3-1: one code a filter, in order."""
    with Peer(server, version) as subscriber, Peer(server, version) as publisher:
        codes = subscriber.subscribe(*(f"{topic}/{n}" for n in range(200)), qos=1)
        assert codes == [1] * 200
        publisher.publish(f"{topic}/199", b"last", 1)
        assert subscriber.message().payload == b"last"


@versions
def test_fan_out(server, topic, version):
    with Peer(server, version) as publisher:
        crowd = [Peer(server, version).connect() for _ in range(20)]
        for number, member in enumerate(crowd):
            member.subscribe(topic, qos=number % 3)
        publisher.publish(topic, b"all", 2)
        heard = [member.message() for member in crowd]
        assert [message.qos for message in heard] == [number % 3 for number in range(20)]
        for member in crowd:
            member.disconnect()


@pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
def test_empty_client_id_of_old_clients(server, topic, version):
    """3.1.1 allows none with a clean session (MQTT-3.1.3-6 of 3.1.1)."""
    client_id = "" if version == V311 else None
    with Peer(server, version, client_id) as peer:
        peer.subscribe(topic)
        peer.publish(topic, b"self")
        assert peer.message().payload == b"self"
