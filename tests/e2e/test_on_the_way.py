"""What is on its way: topics, drops, timelines, slow consumers and traces, with real clients."""

import base64
import json
import os
import stat
import time

import pytest

from harness.deadline import PATIENCE
from harness.peer import V5, V311, Peer, Refused, fresh_id
from harness.steer import Steer, Told


@pytest.fixture
def running(own_server):
    """A server of its own, and the commands for it."""

    def make(config=""):
        server = own_server(config=config).start()
        # It accepts a moment before it can be asked.
        server.until_events("serving")
        return server, Steer(server)

    return make


def until(look, is_there):
    """What a look finds, once it is as wanted: the server tells of messages a moment later."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if is_there(found):
            return found
        assert time.monotonic() < deadline, f"never there: {found}"


def named(level):
    return {row["name"]: row for row in level["data"]}


def test_topics_are_seen_level_by_level_with_their_last_values(running):
    server, steer = running()
    with Peer(server, V5) as peer:
        # Retained before anybody looked.
        peer.publish("plant/old/state", b"kept", 1, retain=True)
        assert named(steer("topics"))["plant"]["messages"] == 0
        assert named(steer("topics", "plant/old"))["state"]["retained"]
        for number in range(3):
            peer.publish("plant/7/temp", b"%d" % number, 1, ContentType="text/plain", UserProperty=[("a", "b")])
        peer.publish("plant/7/a-b/c", b"x", 0)
        peer.publish("plant/7", b"itself", 1)
    level = until(lambda: steer("topics", "plant"), lambda it: named(it).get("7", {}).get("messages") == 5)
    assert named(level)["7"]["children"] == 2 and not level["meta"]["sampled"]
    assert sorted(named(steer("topics", "plant/7"))) == ["a-b", "temp"]
    assert [row["name"] for row in steer("topics", "plant", "--most", "1")["data"]] == ["7"]
    assert [row["name"] for row in steer("topics", "plant", "--after", "7")["data"]] == ["old"]
    last = steer("topics", "plant/7/temp", "--last")
    values = [base64.b64decode(value["payload"]) for value in last["history"]]
    assert values == [b"2", b"1", b"0"]
    assert last["properties"] == {"content_type": "text/plain", "user_properties": [{"key": "a", "value": "b"}]}
    kept = steer("topics", "plant/old/state", "--last")
    assert base64.b64decode(kept["payload"]) == b"kept" and kept["retain"]
    with pytest.raises(Told, match="nothing is known"):
        steer("topics", "plant/none", "--last")


def test_a_trace_has_each_step_of_a_message_and_nothing_of_others(running):
    server, steer = running()
    publisher, subscriber = fresh_id(), fresh_id()
    steer("trace", "start", "one", "--client", publisher, "--for", "5m")
    steer("trace", "start", "two", "--topic", "t/+", "--payload", "text")
    with Peer(server, V5, client_id=subscriber) as listener:
        listener.subscribe("t/#", qos=1)
        with Peer(server, V311, client_id=publisher) as peer:
            peer.publish("t/a", b"hello \x1b[2J", 1)
            peer.publish("t/b/c", b"deeper", 1)
        assert len(listener.payloads(2)) == 2

    def lines(name):
        return [json.loads(line) for line in steer.text("trace", "show", name, "--json").splitlines()]

    def events(found):
        return [line["event"] for line in found]

    one = until(lambda: lines("one"), lambda it: "disconnected" in events(it))
    assert events(one) == ["started", "connected"] + ["received", "authorized", "routed", "answered"] * 2 + ["disconnected"]
    assert all("payload" not in line for line in one)
    two = until(lambda: lines("two"), lambda it: len(it) >= 6)
    assert sorted(events(two)) == sorted(["started", "received", "authorized", "routed", "answered", "sent"] + ["acknowledged"] * (len(two) - 6))
    assert {line["topic"] for line in two[1:]} == {"t/a"}
    assert two[1]["payload"] == "hello \x1b[2J"
    # Only its owner may read it.
    file = os.path.join(server.data_dir, "traces", "two.jsonl")
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert "\x1b" not in steer.text("trace", "show", "two")
    assert steer("trace", "stop", "two")["status"] == "stopped"
    assert events(lines("two"))[-1] == "ended"
    with Peer(server, V5) as peer:
        peer.publish("t/a", b"too late", 1)
    assert events(lines("two"))[-1] == "ended"
    # A trace stays behind the server, and is over then.
    server.stop()
    server.start()

    def states():
        try:
            return {row["name"]: row["status"] for row in steer("trace", "list")}
        except Told as told:
            return str(told)

    until(states, lambda it: it == {"one": "stopped", "two": "stopped"})
    steer("trace", "remove", "two")
    assert not os.path.exists(file)
    with pytest.raises(Told, match="no trace"):
        steer("trace", "show", "two")
    operations = [line["operation"] for line in steer("audit")]
    assert {"trace.start", "trace.stop", "trace.delete"} <= set(operations)


def test_drops_are_told_by_reason_client_and_topic(running):
    server, steer = running("[limits]\nqueued_messages = 3\n")
    away = fresh_id()
    with Peer(server, V5, client_id=away, clean=False) as sleeper:
        sleeper.subscribe("t/#", qos=1)
    with Peer(server, V5) as peer:
        for number in range(10):
            peer.publish("t/full", b"%d" % number, 1)
    drops = steer("drops")
    assert drops["total"] == 7
    assert [(row["reason"], row["count"]) for row in drops["by_reason"]] == [("queue_full", 7)]
    assert [(row["clientid"], row["count"]) for row in drops["by_client"]] == [(away, 7)]
    assert [(row["topic"], row["count"]) for row in drops["by_topic"]] == [("t/full", 7)]
    assert len(drops["samples"]) == 7 and drops["samples"][0]["qos"] == 1
    newest = steer("timeline", away)[0]
    assert (newest["event"], newest["reason"], newest["detail"]["count"]) == ("dropped", "queue_full", 7)
    assert "queue_full" in steer.text("drops")


def test_a_timeline_tells_what_happened_to_a_client(running):
    server, steer = running()
    name = fresh_id()
    first = Peer(server, V5, client_id=name, clean=False).connect()
    first.subscribe("a/#", qos=1)
    first.unsubscribe("a/#")
    second = Peer(server, V5, client_id=name, clean=False).connect()
    first.ended()
    steer("ban", "add", "--client", name, "--reason", "noise")
    second.ended()
    with pytest.raises(Refused):
        Peer(server, V5, client_id=name).connect()
    events = [row["event"] for row in reversed(steer("timeline", name))]
    assert events == ["connected", "subscribed", "unsubscribed", "takeover", "disconnected", "connected", "ban", "denied", "ban"]
    with pytest.raises(Told, match='there is no client "nobody"'):
        steer("timeline", "nobody")


def test_who_does_not_acknowledge_is_slow(running):
    server, steer = running()
    name = fresh_id()
    stuck = Peer(server, V5, client_id=name, clean=False, manual_ack=True).connect()
    stuck.subscribe("t/#", qos=1)
    with Peer(server, V5) as peer:
        peer.publish("t/slow", b"x", 1)
        stuck.message()
        rows = steer("slow")
        assert [(row["clientid"], row["topic"]) for row in rows] == [(name, "t/slow")]
        assert rows[0]["timespan_ms"] >= 900 and rows[0]["waits_for"] == "acknowledgement"
    steer("slow", "--clear")
    stuck.drop()
    assert steer("slow") == []
