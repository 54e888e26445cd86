"""Home Assistant's discovery: thousands of retained messages, all at once, each exactly once."""

import json
from collections import Counter

import pytest

from harness.peer import V5, V31, V311, Peer

COMPONENTS = ["sensor", "binary_sensor", "light", "switch", "climate"]
ENTITIES = 5_000

#: Seconds for one burst of all of them; a slow machine of two cores takes three.
BURST = 45


def discovery():
    """Topic and payload of each entity, near 400 bytes as the real ones."""
    for number in range(ENTITIES):
        component = COMPONENTS[number % len(COMPONENTS)]
        name = f"dev_{number:05}"
        payload = {
            "name": f"Room {number} value",
            "unique_id": name,
            "object_id": name,
            "state_topic": f"zigbee/{name}/state",
            "availability_topic": f"zigbee/{name}/availability",
            "value_template": "{{ value_json.value | float(0) | round(2) }}",
            "device": {
                "identifiers": [name],
                "name": f"Device {number}",
                "manufacturer": "Example Works",
                "model": "EW-1000 multi sensor",
                "sw_version": "1.2.3",
            },
            "origin": {"name": "end to end", "sw_version": "1.0"},
        }
        yield f"homeassistant/{component}/{name}/config", json.dumps(payload).encode()


@pytest.mark.timeout(180)
def test_discovery_burst(own_server):
    server = own_server().start()
    wanted = dict(discovery())
    assert 350 < sum(map(len, wanted.values())) / ENTITIES < 450
    with Peer(server, V311) as live, Peer(server, V5) as bridge:
        live.subscribe("homeassistant/#")
        say_all(bridge, wanted.items())
        assert_each_once(live, wanted, retain=False)

        subscribers = [Peer(server, version).connect() for version in (V311, V5, V31)]
        for qos, subscriber in enumerate(subscribers):
            subscriber.subscribe("homeassistant/#", qos=qos)
        for subscriber in subscribers:
            assert_each_once(subscriber, wanted, retain=True)

        say_all(bridge, ((topic, b"") for topic in wanted))
        for subscriber in subscribers:
            assert_each_once(subscriber, dict.fromkeys(wanted, b""), retain=False)
            subscriber.disconnect()
        with Peer(server, V5) as late:
            late.subscribe("homeassistant/#", qos=1)
            assert late.until_fence(bridge, qos=1) == []


@pytest.mark.timeout(180)
def test_discovery_survives_a_crash(own_server):
    server = own_server().start()
    wanted = dict(discovery())
    with Peer(server, V311) as bridge:
        say_all(bridge, wanted.items())
    server.kill()
    server.restart()
    with Peer(server, V311) as subscriber:
        subscriber.subscribe("homeassistant/#")
        assert_each_once(subscriber, wanted, retain=True)


def say_all(peer, messages):
    pending = [peer.send(topic, payload, 1, retain=True) for topic, payload in messages]
    for mid in pending:
        peer.published(mid, BURST)


def assert_each_once(subscriber, wanted, retain):
    heard = subscriber.messages(len(wanted), BURST)
    counts = Counter(message.topic for message in heard)
    assert counts == Counter(wanted.keys())
    for message in heard:
        assert message.payload == wanted[message.topic]
        assert message.retain == retain
