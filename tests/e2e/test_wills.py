"""Wills: when they are said, and when not."""

import time

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from harness.peer import V5, V311, VERSIONS, Peer, Will, fresh_id, timed_fence

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_will_on_a_broken_connection(server, topic, version, qos):
    """MQTT-3.1.2-8."""
    with Peer(server, version) as watcher:
        watcher.subscribe(topic, qos=2)
        Peer(server, version, will=Will(topic, qos=qos)).connect().drop()
        message = watcher.message()
        assert (message.payload, message.qos, message.retain) == (b"gone", qos, False)


@versions
def test_no_will_after_disconnect(server, topic, version):
    """MQTT-3.14.4-3."""
    with Peer(server, version) as watcher, Peer(server, version) as other:
        watcher.subscribe(topic, qos=1)
        Peer(server, version, will=Will(topic, qos=1)).connect().disconnect()
        assert watcher.until_fence(other, qos=1) == []


@versions
def test_retained_will(server, topic, version):
    with Peer(server, version) as watcher:
        watcher.subscribe(topic)
        Peer(server, version, will=Will(topic, b"offline", 1, retain=True)).connect().drop()
        assert watcher.message().payload == b"offline"
        watcher.subscribe(topic)
        again = watcher.message()
        assert again.retain and again.payload == b"offline"
        watcher.publish(topic, b"", 1, retain=True)


def test_birth_and_will_of_home_assistant(server, topic):
    """online, offline, online: the state that a late subscriber sees is the newest."""
    status = f"{topic}/status"
    with Peer(server, V311) as watcher:
        watcher.subscribe(status, qos=1)
        for _ in range(3):
            device = Peer(server, V311, will=Will(status, b"offline", 1, retain=True)).connect()
            device.publish(status, b"online", 1, retain=True)
            assert watcher.message().payload == b"online"
            device.drop()
            assert watcher.message().payload == b"offline"
        watcher.publish(status, b"", 1, retain=True)


def test_disconnect_with_will(server, topic):
    """Reason 0x04 keeps the will."""
    with Peer(server, V5) as watcher:
        watcher.subscribe(topic)
        leaver = Peer(server, V5, will=Will(topic)).connect()
        leaver.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=0x04))
        assert watcher.message().payload == b"gone"


def test_delay(server, topic):
    """§3.1.3.2.2: not before the delay, counted from the end of the connection."""
    with Peer(server, V5) as watcher:
        watcher.subscribe(topic)
        will = Will(topic, properties={"WillDelayInterval": 1})
        Peer(server, V5, expiry=60, will=will).connect().drop()
        started = time.monotonic()
        watcher.message()
        assert 0.8 <= time.monotonic() - started < 5


def test_delay_ends_with_the_session(server, topic):
    """The end of the session comes first: the will does not wait for its delay."""
    with Peer(server, V5) as watcher:
        watcher.subscribe(topic)
        will = Will(topic, properties={"WillDelayInterval": 3600})
        Peer(server, V5, expiry=0, will=will).connect().drop()
        assert watcher.message(5).payload == b"gone"


def test_return_before_the_delay_cancels(server, topic):
    """MQTT-3.1.3-9."""
    client_id = fresh_id()
    with Peer(server, V5) as watcher, Peer(server, V5) as other:
        watcher.subscribe(topic)
        will = Will(topic, properties={"WillDelayInterval": 1})
        Peer(server, V5, client_id, clean=False, will=will).connect().drop()
        with Peer(server, V5, client_id, clean=False) as back:
            assert back.session_present
            timed_fence(server, 2)
            assert watcher.until_fence(other) == []


def test_properties_of_the_will(server, topic):
    with Peer(server, V5) as watcher:
        watcher.subscribe(topic)
        extra = {
            "ContentType": "text/plain",
            "ResponseTopic": "re/ply",
            "CorrelationData": b"\x00\x01",
            "PayloadFormatIndicator": 1,
            "MessageExpiryInterval": 300,
            "UserProperty": [("a", "1"), ("a", "2")],
        }
        Peer(server, V5, will=Will(topic, b"text", properties=extra)).connect().drop()
        said = watcher.message().properties
        assert (said.ContentType, said.ResponseTopic, said.CorrelationData) == (
            "text/plain",
            "re/ply",
            b"\x00\x01",
        )
        assert said.PayloadFormatIndicator == 1
        assert said.UserProperty == [("a", "1"), ("a", "2")]
        assert 295 <= said.MessageExpiryInterval <= 300
        assert not hasattr(said, "WillDelayInterval")


@versions
def test_takeover_says_the_will(server, topic, version):
    """C02: the old connection did not say DISCONNECT."""
    client_id = fresh_id()
    with Peer(server, version) as watcher:
        watcher.subscribe(topic)
        old = Peer(server, version, client_id, will=Will(topic)).connect()
        with Peer(server, version, client_id):
            assert watcher.message().payload == b"gone"
            old.ended()
        old.disconnect()
