"""$SYS: the tree that Mosquitto's users know, the one that EMQX's know, and presence."""

import json

import pytest

from harness.deadline import Deadline
from harness.peer import V5, V311, Peer, fresh_id

#: Seconds within which the tree is complete: its interval of ten seconds, and some.
COMPLETE = 25

LOADS = [
    "messages/received",
    "messages/sent",
    "publish/received",
    "publish/sent",
    "publish/dropped",
    "bytes/received",
    "bytes/sent",
    "sockets",
    "connections",
]

NAMES = [
    "version",
    "uptime",
    *(
        f"clients/{name}"
        for name in (
            "connected",
            "disconnected",
            "expired",
            "maximum",
            "total",
            "active",
            "inactive",
        )
    ),
    "messages/received",
    "messages/sent",
    "messages/stored",
    "store/messages/count",
    "store/messages/bytes",
    "retained messages/count",
    "subscriptions/count",
    "shared_subscriptions/count",
    "bytes/received",
    "bytes/sent",
    *(
        f"publish/{what}/{how}"
        for what in ("messages", "bytes")
        for how in ("dropped", "received", "sent")
    ),
    *(f"load/{load}/{span}" for load in LOADS for span in ("1min", "5min", "15min")),
    "heap/current",
    "heap/maximum",
]


@pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
def test_the_tree_of_mosquitto(server, version):
    """Every name is there, retained, and its value reads as what it is."""
    with Peer(server, version) as reader:
        reader.subscribe("$SYS/broker/#")
        values, deadline = {}, Deadline(COMPLETE)
        wanted = {f"$SYS/broker/{name}" for name in NAMES}
        # The first round was before anybody connected; the next one counts the reader.
        connected = "$SYS/broker/clients/connected"
        while (
            wanted - values.keys() or values.get(connected) == "0"
        ) and not deadline.passed():
            try:
                message = reader.message(deadline.left())
            except AssertionError:
                break
            values[message.topic] = message.payload.decode()
    assert not wanted - values.keys(), sorted(wanted - values.keys())
    numbers = {
        name: value
        for name, value in values.items()
        if name in wanted and not name.endswith(("/version", "/uptime"))
    }
    for name, value in numbers.items():
        assert float(value) >= 0, name
    assert values["$SYS/broker/uptime"].split()[1] == "seconds"
    assert int(values["$SYS/broker/clients/connected"]) >= 1
    assert values["$SYS/broker/version"]


def test_the_tree_is_retained(server):
    with Peer(server, V311) as reader:
        reader.subscribe("$SYS/broker/version")
        assert reader.message(COMPLETE).payload
        reader.subscribe("$SYS/broker/version")
        assert reader.message().retain


def test_the_tree_of_emqx(server):
    with Peer(server, V5) as reader:
        seen, deadline = set(), Deadline(COMPLETE)
        for part in ("stats", "metrics"):
            reader.subscribe(f"$SYS/brokers/+/{part}/#")
        while seen != {"stats", "metrics"}:
            seen.add(reader.message(deadline.left()).topic.split("/")[3])


@pytest.mark.parametrize("ending", ["disconnect", "drop"])
def test_presence(server, ending):
    """Who comes and who goes is said at once, as JSON."""
    client_id = fresh_id()
    with Peer(server, V5) as watcher:
        watcher.subscribe(f"$SYS/brokers/+/clients/{client_id}/+", qos=1)
        guest = Peer(server, V311, client_id).connect()
        came = watcher.message()
        assert came.topic.endswith(f"/clients/{client_id}/connected")
        assert client_id in json.loads(came.payload).values()
        getattr(guest, ending)()
        went = watcher.message()
        assert went.topic.endswith(f"/clients/{client_id}/disconnected")
        assert client_id in json.loads(went.payload).values()


def test_presence_of_a_takeover(server):
    """One connection leaves, the other comes: the last word is that the client is there."""
    client_id = fresh_id()
    with Peer(server, V5) as watcher:
        watcher.subscribe(f"$SYS/brokers/+/clients/{client_id}/+", qos=1)
        old = Peer(server, V5, client_id).connect()
        new = Peer(server, V5, client_id).connect()
        heard = [watcher.message().topic.rpartition("/")[2] for _ in range(3)]
        assert heard == ["connected", "disconnected", "connected"]
        for peer in (old, new):
            peer.disconnect()


def test_clients_may_not_speak_for_the_server(server):
    """C35: what a client publishes there reaches nobody."""
    name = f"$SYS/broker/{fresh_id()}"
    with Peer(server, V311) as reader, Peer(server, V311) as writer, Peer(server, V311) as other:
        reader.subscribe(name)
        writer.send(name, b"forged", 0)
        assert reader.until_fence(other) == []
