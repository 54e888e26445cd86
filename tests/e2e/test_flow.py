"""Flow control: receive maximum and packet size, in both directions."""

import pytest

from harness.peer import V5, Peer, fresh_id
from harness.raw import CONNACK, PUBLISH, Raw, connect, packet, text


@pytest.mark.parametrize("qos", [1, 2])
def test_server_respects_receive_maximum(server, topic, qos):
    """MQTT-3.3.4-9, and the rest follows as room appears."""
    with Peer(server, V5, ReceiveMaximum=3, manual_ack=True) as slow, Peer(server, V5) as publisher:
        slow.subscribe(topic, qos=qos)
        for number in range(12):
            publisher.publish(topic, b"%d" % number, qos)
        heard, unanswered = [], []
        while len(heard) < 12:
            while len(unanswered) < min(3, 12 - len(heard)):
                unanswered.append(slow.message())
            slow.unsubscribe(f"{topic}/none")  # An answer: nothing before it was held back.
            assert slow.inbox.empty(), "more than three without an acknowledgement"
            for message in unanswered:
                heard.append(int(message.payload))
                slow.client.ack(message.mid, message.qos)
            unanswered.clear()
        assert heard == list(range(12))


@pytest.mark.parametrize("qos", [1, 2])
def test_client_above_receive_maximum(server, topic, qos):
    """MQTT-3.3.4-7: 0x93, or every single one is acknowledged before the limit is reached
    (QoS 1 may be; QoS 2 waits for PUBREL, so there the limit is always reached)."""
    with Peer(server, V5) as peer:
        limit = getattr(peer.connack[1], "ReceiveMaximum", 65_535)
    with Raw(server) as raw:
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        count = limit + 1 if limit < 65_535 else 65_535
        raw.send(
            *(
                packet(PUBLISH, text(topic) + number.to_bytes(2, "big") + b"\x00x", qos << 1)
                for number in range(1, count + 1)
            )
        )
        answers = {}
        while len(answers) < count:
            answer = raw.packet()
            if answer is None or answer[0] == 14:
                assert answer and answer[2][0] == 0x93
                return
            answers[int.from_bytes(answer[2][:2], "big")] = answer[0]
        assert qos == 1 or limit == 65_535
        assert set(answers.values()) == {4 if qos == 1 else 5}


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_maximum_packet_size_of_the_client(server, topic, qos):
    """MQTT-3.1.2-24 and -25: what is too large is dropped and holds nothing up."""
    with (
        Peer(server, V5, MaximumPacketSize=200) as small,
        Peer(server, V5) as large,
        Peer(server, V5) as publisher,
    ):
        for peer in (small, large):
            peer.subscribe(topic, qos=qos)
        sizes = [100, 1_000, 50, 5_000, 10]
        for size in sizes:
            publisher.publish(topic, b"x" * size, qos)
        assert [len(payload) for payload in small.payloads(3)] == [100, 50, 10]
        assert [len(payload) for payload in large.payloads(5)] == sizes
        assert small.until_fence(publisher, qos=qos) == []


def test_maximum_packet_size_of_the_server(server, topic):
    """MQTT-3.2.2-15: a larger packet ends the connection, at the first sight of its length."""
    with Peer(server, V5) as peer:
        limit = peer.connack[1].MaximumPacketSize
    assert limit >= 1024 * 1024
    with Raw(server) as raw:
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        head = packet(PUBLISH, text(topic) + b"\x00" + b"x" * limit)[:64]
        raw.send(head)
        kind, _, body = raw.packet()
        assert (kind, body[0]) == (14, 0x95)
        assert raw.rest() == []


def test_a_megabyte_passes(server, topic):
    """Zigbee2MQTT publishes device lists of hundreds of kilobytes."""
    payload = b"z" * (1024 * 1024 - 200)
    with Peer(server, V5) as subscriber, Peer(server, V5) as publisher:
        subscriber.subscribe(topic, qos=1)
        publisher.publish(topic, payload, 1, retain=True)
        assert subscriber.message().payload == payload
        publisher.publish(topic, b"", 1, retain=True)


def test_a_subscriber_that_reads_nothing_stops_nobody(server, topic):
    """A stalled reader's share waits or is dropped; others go on."""
    with Raw(server) as stalled, Peer(server, V5) as reader, Peer(server, V5) as publisher:
        stalled.send(
            connect(fresh_id(), level=4), packet(8, b"\x00\x01" + text(topic) + b"\x00", 2)
        )
        assert stalled.packet()[0] == CONNACK and stalled.packet()[0] == 9
        reader.subscribe(topic, qos=1)
        for number in range(300):
            publisher.publish(topic, b"%06d" % number + b"x" * 60_000, 1)
            assert reader.message().payload.startswith(b"%06d" % number)
