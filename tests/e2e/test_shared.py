"""Shared subscriptions, in 5.0 and as an extension for older clients."""

from collections import Counter

import pytest

from harness.peer import V5, VERSIONS, Peer, Will, fresh_id
from harness.raw import CONNACK, DISCONNECT, SUBACK, SUBSCRIBE, Raw, connect, packet, text

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(server, topic, version, qos):
    """MQTT-4.8.2-4 to -6: every message once, and nobody is left out."""
    with Peer(server, version) as publisher:
        members = [Peer(server, version).connect() for _ in range(3)]
        for member in members:
            assert member.subscribe(f"$share/g/{topic}/#", qos=qos) == [qos]
        for number in range(90):
            publisher.publish(f"{topic}/{number % 7}", b"%d" % number, qos)
        shares = [member.until_fence(publisher, qos=qos) for member in members]
        heard = Counter(int(message.payload) for share in shares for message in share)
        assert heard == Counter(range(90))
        assert all(len(share) >= 5 for share in shares), [len(share) for share in shares]
        for member in members:
            member.disconnect()


@versions
def test_groups_and_plain_subscribers_each_get_a_copy(server, topic, version):
    with (
        Peer(server, version) as publisher,
        Peer(server, version) as one,
        Peer(server, version) as two,
        Peer(server, version) as plain,
    ):
        one.subscribe(f"$share/g1/{topic}", qos=1)
        two.subscribe(f"$share/g2/{topic}", qos=1)
        plain.subscribe(topic, qos=1)
        publisher.publish(topic, b"copy", 1)
        for peer in (one, two, plain):
            assert [m.payload for m in peer.until_fence(publisher, qos=1)] == [b"copy"]


@versions
def test_no_retained_at_subscribe(server, topic, version):
    """§3.8.4: a shared subscription gets no retained messages when it is made."""
    with Peer(server, version) as publisher, Peer(server, version) as member:
        publisher.publish(topic, b"old", 1, retain=True)
        member.subscribe(f"$share/g/{topic}", qos=1)
        assert member.until_fence(publisher, qos=1) == []
        publisher.publish(topic, b"", 1, retain=True)


@versions
def test_leaving_the_group(server, topic, version):
    with Peer(server, version) as publisher, Peer(server, version) as stays:
        leaves = Peer(server, version).connect()
        for member in (stays, leaves):
            member.subscribe(f"$share/g/{topic}", qos=1)
        leaves.unsubscribe(f"$share/g/{topic}")
        for number in range(10):
            publisher.publish(topic, b"%d" % number, 1)
        assert stays.payloads(10) == [b"%d" % number for number in range(10)]
        assert leaves.until_fence(publisher, qos=1) == []
        leaves.disconnect()


@pytest.mark.parametrize("qos", [1, 2])
def test_an_absent_member_takes_nothing(server, topic, qos):
    """F14: a member that is away does not steal while another is there."""
    client_id, gone = fresh_id(), f"{topic}/gone"
    with Peer(server, V5) as publisher, Peer(server, V5) as present:
        away = Peer(server, V5, client_id, clean=False, will=Will(gone)).connect()
        for member in (away, present):
            member.subscribe(f"$share/g/{topic}", qos=qos)
        publisher.subscribe(gone)
        # With its will the server has noticed: what was sent to it before, it keeps at QoS 2
        # (MQTT-4.8.2-4).
        away.drop()
        assert publisher.message().topic == gone
        for number in range(20):
            publisher.publish(topic, b"%d" % number, qos)
        assert sorted(map(int, present.payloads(20))) == list(range(20))
        with Peer(server, V5, client_id, clean=False, expiry=0) as back:
            assert back.until_fence(publisher, qos=qos) == []


def test_what_a_lost_member_held_goes_to_another(server, topic):
    """F14: QoS 1 messages without an acknowledgement are not lost with a session that ends."""
    with Peer(server, V5) as publisher, Peer(server, V5) as survivor:
        broken = Peer(server, V5, manual_ack=True, expiry=0).connect()
        for member in (broken, survivor):
            member.subscribe(f"$share/g/{topic}", qos=1)
        for number in range(20):
            publisher.publish(topic, b"%d" % number, 1)
        held = {int(message.payload) for message in broken.until_fence(publisher, qos=1)}
        assert held
        broken.drop()
        heard = set(map(int, survivor.payloads(20)))
        assert heard == set(range(20))


@pytest.mark.parametrize(
    "wrong", ["$share/g", "$share//x", "$share/a+b/x", "$share/a#/x", "$share/g/"]
)
def test_malformed_names(server, wrong):
    """MQTT-4.8.2-1 and -2: refused with 0x8F, or the connection is closed for it."""
    with Raw(server) as raw:
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        raw.send(packet(SUBSCRIBE, b"\x00\x01\x00" + text(wrong) + b"\x00", 2))
        kind, _, body = raw.packet()
        if kind == SUBACK:
            assert body[-1] == 0x8F
        else:
            assert kind == DISCONNECT and body[0] in (0x81, 0x82, 0x8F)


def test_no_local_is_a_protocol_error(server, topic):
    """MQTT-3.8.3-4."""
    with Peer(server, V5) as peer:
        with pytest.raises(AssertionError, match="closed"):
            peer.subscribe(f"$share/g/{topic}", noLocal=True)
        assert peer.ended() == 0x82
