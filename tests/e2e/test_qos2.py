"""QoS 2 across broken connections: each half of the handshake picks up where it was."""

import pytest

from harness.peer import V5, Peer, fresh_id
from harness.raw import (
    CONNACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    Raw,
    connect,
    packet,
    text,
)

LASTING_FLAGS = 0x00
QOS2, DUP = 0x04, 0x08

levels = pytest.mark.parametrize("level", [4, 5], ids=["3.1.1", "5.0"])


def lasting(client_id, level):
    """CONNECT of a session that lasts a minute."""
    block = b"\x11\x00\x00\x00\x3c" if level == 5 else b""
    return connect(client_id, level=level, flags=LASTING_FLAGS, properties=block)


def publish(topic, level, number, payload, flags=QOS2):
    block = b"\x00" if level == 5 else b""
    return packet(PUBLISH, text(topic) + number.to_bytes(2, "big") + block + payload, flags)


def code(answer):
    """Type and packet id of an acknowledgement that says success."""
    kind, _, body = answer
    assert body[2:] in (b"", b"\x00", b"\x00\x00"), answer
    return kind, int.from_bytes(body[:2], "big")


@levels
def test_a_repeated_publish_is_one_message(server, topic, level):
    """MQTT-4.3.3-10: the id is known until PUBREL, across a reconnect; MQTT-4.3.3-12: after
    PUBCOMP the same id is a new message."""
    client_id = fresh_id()
    with Peer(server, V5) as reader:
        reader.subscribe(topic, qos=2)
        with Raw(server) as raw:
            raw.send(lasting(client_id, level))
            assert raw.packet()[0] == CONNACK
            raw.send(publish(topic, level, 7, b"one"))
            assert code(raw.packet()) == (PUBREC, 7)
            raw.send(publish(topic, level, 7, b"one", QOS2 | DUP))
            assert code(raw.packet()) == (PUBREC, 7)
        with Raw(server) as raw:
            raw.send(lasting(client_id, level))
            assert raw.packet()[2][0] == 1, "the session is there"
            raw.send(publish(topic, level, 7, b"one", QOS2 | DUP))
            assert code(raw.packet()) == (PUBREC, 7)
            for _ in range(2):
                raw.send(packet(PUBREL, b"\x00\x07", 2))
                kind, _, body = raw.packet()
                assert (kind, body[:2]) == (PUBCOMP, b"\x00\x07")
            raw.send(publish(topic, level, 7, b"two"))
            assert code(raw.packet()) == (PUBREC, 7)
            raw.send(packet(PUBREL, b"\x00\x07", 2))
            assert code(raw.packet()) == (PUBCOMP, 7)
        with Peer(server, V5) as other:
            heard = [message.payload for message in reader.until_fence(other, qos=2)]
        assert heard == [b"one", b"two"]


@levels
def test_server_resumes_each_half(server, topic, level):
    """MQTT-4.4.0-1: what had no PUBREC comes as PUBLISH with DUP, what had one as PUBREL, in
    the order in which they were first sent."""
    client_id = fresh_id()
    with Peer(server, V5) as publisher, Raw(server) as raw:
        raw.send(lasting(client_id, level))
        assert raw.packet()[0] == CONNACK
        block = b"\x00" if level == 5 else b""
        raw.send(packet(SUBSCRIBE, b"\x00\x01" + block + text(topic) + b"\x02", 2))
        assert raw.packet()[0] == SUBACK
        for payload in (b"first", b"second"):
            publisher.publish(topic, payload, 2)
        ids = [packet_id(raw.packet(), topic) for _ in range(2)]
        raw.send(packet(PUBREC, ids[0].to_bytes(2, "big")))
        assert code(raw.packet()) == (PUBREL, ids[0])
    with Raw(server) as raw:
        raw.send(lasting(client_id, level))
        assert raw.packet()[2][0] == 1, "the session is there"
        answers = [raw.packet(), raw.packet()]
        assert sorted(answer[0] for answer in answers) == [PUBLISH, PUBREL]
        release = next(answer for answer in answers if answer[0] == PUBREL)
        repeat = next(answer for answer in answers if answer[0] == PUBLISH)
        assert code(release) == (PUBREL, ids[0])
        assert packet_id(repeat, topic) == ids[1]
        assert repeat[1] & DUP and repeat[2].endswith(b"second")
        raw.send(packet(PUBCOMP, ids[0].to_bytes(2, "big")))
        raw.send(packet(PUBREC, ids[1].to_bytes(2, "big")))
        assert code(raw.packet()) == (PUBREL, ids[1])
        raw.send(packet(PUBCOMP, ids[1].to_bytes(2, "big")))
        raw.send(packet(12, b""))
        assert raw.packet() == (13, 0, b"")


def test_a_refused_delivery_is_over(server, topic):
    """MQTT-4.3.3-4: PUBREC with an error ends the flow and frees its place."""
    properties = b"\x21\x00\x01"  # Receive Maximum 1: the next one waits for this place.
    with Peer(server, V5) as publisher, Raw(server) as raw:
        raw.send(connect(fresh_id(), properties=properties))
        assert raw.packet()[0] == CONNACK
        raw.send(packet(SUBSCRIBE, b"\x00\x01\x00" + text(topic) + b"\x02", 2))
        assert raw.packet()[0] == SUBACK
        for payload in (b"first", b"second"):
            publisher.publish(topic, payload, 2)
        first = raw.packet()
        assert first[2].endswith(b"first")
        raw.send(packet(PUBREC, packet_id(first, topic).to_bytes(2, "big") + b"\x83"))
        assert raw.packet()[2].endswith(b"second")


def packet_id(answer, topic):
    """The packet id of a QoS 2 PUBLISH on `topic`."""
    kind, flags, body = answer
    assert kind == PUBLISH and flags & 0x06 == QOS2
    name = text(topic)
    assert body.startswith(name)
    return int.from_bytes(body[len(name) : len(name) + 2], "big")
