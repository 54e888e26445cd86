"""What only a raw socket can do: broken packets, silence, early closes."""

import time

import pytest

from harness.peer import V311, Peer, fresh_id
from harness.raw import (
    CONNACK,
    DISCONNECT,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    Raw,
    connect,
    packet,
    text,
)

PINGREQ = packet(12, b"")


def test_refused_id_of_an_old_client(server):
    """MQTT-3.1.3-8 of 3.1.1: no id and a lasting session: 0x02, and close."""
    with Raw(server) as raw:
        raw.send(connect("", level=4, flags=0))
        assert raw.rest() == [(CONNACK, 0, b"\x00\x02")]


def test_unknown_level(server):
    """MQTT-3.1.2-2: a level that nobody speaks is answered, then closed."""
    with Raw(server) as raw:
        raw.send(connect(fresh_id(), level=9))
        answers = raw.rest()
        assert answers and answers[0][0] == CONNACK and answers[0][2][1] in (0x01, 0x84)


def test_bridge_bit_of_mosquitto(server):
    """A Mosquitto bridge sets bit 0x80 in the level; it is served like others."""
    with Raw(server) as raw:
        raw.send(connect(fresh_id(), level=0x84), PINGREQ)
        assert raw.packet() == (CONNACK, 0, b"\x00\x00")
        assert raw.packet()[0] == PINGRESP


@pytest.mark.parametrize(
    "first",
    [
        PINGREQ,
        packet(SUBSCRIBE, b"\x00\x01" + text("a") + b"\x00", 2),
        packet(PUBLISH, text("a") + b"x"),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["pingreq", "subscribe", "publish", "http", "tls"],
)
def test_first_packet_is_connect(server, first):
    """MQTT-3.1.0-1: anything else is closed without an answer."""
    with Raw(server) as raw:
        raw.send(first)
        assert [kind for kind, _, _ in raw.rest()] in ([], [DISCONNECT])


BROKEN = {
    "second connect": connect("again"),
    "reserved packet type": b"\x00\x00",
    "qos 3": packet(PUBLISH, text("a") + b"\x00\x01\x00", 6),
    "packet id zero": packet(PUBLISH, text("a") + b"\x00\x00\x00", 2),
    "empty subscribe": packet(SUBSCRIBE, b"\x00\x01\x00", 2),
    "subscribe flags": packet(SUBSCRIBE, b"\x00\x01\x00" + text("a") + b"\x00", 0),
    "wildcard in a topic": packet(PUBLISH, text("a/#") + b"\x00"),
    "null in a topic": packet(PUBLISH, text("a\0b") + b"\x00"),
    "surrogate": packet(PUBLISH, text(b"\xed\xa0\x80") + b"\x00"),
    "hash in the middle": packet(SUBSCRIBE, b"\x00\x01\x00" + text("a/#/b") + b"\x00", 2),
    "length of five bytes": b"\x30\x80\x80\x80\x80\x01",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_broken_packet(server, topic, data):
    """MQTT-4.13.1-1: the sender is told why and closed (a bad filter may be refused alone);
    others notice nothing."""
    with Peer(server, V311) as bystander, Raw(server) as raw:
        bystander.subscribe(topic)
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        raw.send(data, PINGREQ)
        kind, body = first_answer(raw)
        if kind == SUBACK:
            assert data is BROKEN["hash in the middle"] and body[-1] == 0x8F
        else:
            assert kind in (None, DISCONNECT)
            assert kind is None or body[0] >= 0x80
            assert raw.rest() == []
        bystander.publish(topic, b"alive")
        assert bystander.message().payload == b"alive"


def test_packet_in_pieces(server, topic):
    """One byte at a time is a slow client, not a broken one."""
    story = [
        (connect(fresh_id(), level=4), (CONNACK, 0, b"\x00\x00")),
        (packet(SUBSCRIBE, b"\x00\x01" + text(topic) + b"\x00", 2), (SUBACK, 0, b"\x00\x01\x00")),
        (packet(PUBLISH, text(topic) + b"slow"), (PUBLISH, 0, text(topic) + b"slow")),
    ]
    with Raw(server) as raw:
        for said, answer in story:
            for index in range(len(said)):
                raw.send(said[index : index + 1])
            assert raw.packet() == answer


def test_pipelined_before_connack(server, topic):
    """§3.1.4: a client may send on without waiting for CONNACK; CONNACK still comes first."""
    with Raw(server) as raw:
        raw.send(
            connect(fresh_id(), level=4),
            packet(SUBSCRIBE, b"\x00\x01" + text(topic) + b"\x01", 2),
            packet(PUBLISH, text(topic + "/other") + b"\x00\x02fast", 2),
            PINGREQ,
        )
        kinds = [raw.packet()[0] for _ in range(4)]
        assert kinds[0] == CONNACK
        assert sorted(kinds[1:]) == sorted([SUBACK, PUBACK, PINGRESP])


def test_packets_take_effect_in_the_order_they_were_sent(server, topic):
    """Small devices subscribe and publish in one breath: what follows a SUBSCRIBE on the same
    connection finds the subscription in force, and the answers keep the order."""
    with Raw(server) as raw:
        raw.send(
            connect(fresh_id(), level=4),
            packet(SUBSCRIBE, b"\x00\x01" + text(topic) + b"\x00", 2),
            packet(PUBLISH, text(topic) + b"\x00\x02fast", 2),
            PINGREQ,
        )
        kinds = []
        while PINGRESP not in kinds:
            kinds.append(raw.packet()[0])
        assert [kind for kind in kinds if kind != PUBLISH] == [CONNACK, SUBACK, PUBACK, PINGRESP]
        assert PUBLISH in kinds or raw.packet()[0] == PUBLISH


def test_keep_alive(server):
    """MQTT-3.1.2-22: silence of one and a half times the keep alive ends the connection."""
    with Raw(server) as raw:
        raw.send(connect(fresh_id(), keepalive=1))
        assert raw.packet()[0] == CONNACK
        started = time.monotonic()
        last = raw.rest()
        assert 1.2 <= time.monotonic() - started < 6
        assert last == [] or (last[0][0] == DISCONNECT and last[0][2][0] == 0x8D)


def first_answer(raw):
    """Type and body of the first packet that is not a PINGRESP; (None, b"") for the end."""
    while answer := raw.packet():
        if answer[0] != PINGRESP:
            return answer[0], answer[2]
    return None, b""
