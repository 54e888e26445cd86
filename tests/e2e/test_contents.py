"""What is in a running server: clients, subscriptions, queues, retained messages, and messages that
are published through its API."""

import base64
import http.client
import json
import socket
import time
import urllib.parse

import pytest

from harness.peer import V5, V311, Peer, fresh_id
from harness.steer import Steer, Told


class Api(http.client.HTTPConnection):
    """The API, by the control socket."""

    def __init__(self, server):
        super().__init__("localhost", timeout=30)
        self.path = str(server.data_dir / "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        """Status and answer."""
        text = None if body is None else json.dumps(body)
        head = {"Content-Type": "application/json"} if text is not None else {}
        self.request(method, f"/api/v5{path}", text, head)
        response = self.getresponse()
        answer = response.read()
        return response.status, json.loads(answer) if answer else None


@pytest.fixture
def running(own_server):
    """A server, the commands for it, and its API."""

    def make(config="", **options):
        server = own_server(config=config, **options).start()
        server.until_events("serving")
        return server, Steer(server), Api(server)

    return make


def test_a_message_of_the_api_reaches_clients_of_all_versions(running):
    server, _, api = running()
    with (
        Peer(server, V5, fresh_id()).connect() as new,
        Peer(server, V311, fresh_id()).connect() as old,
    ):
        for peer in (new, old):
            peer.subscribe("t/+", qos=2)
        for qos in (0, 1, 2):
            message = {
                "topic": "t/x",
                "payload": base64.b64encode(b"\x00\xff").decode(),
                "payload_encoding": "base64",
                "qos": qos,
                "properties": {
                    "content_type": "application/x",
                    "response_topic": "answers",
                    "user_properties": {"k": "v"},
                    "message_expiry_interval": 60,
                },
            }
            status, answer = api.ask("POST", "/publish", message)
            assert status == 200 and answer["id"]
            assert old.message().payload == b"\x00\xff"
            found = new.message()
            assert (found.topic, found.payload, found.qos) == ("t/x", b"\x00\xff", qos)
            assert found.properties.ContentType == "application/x"
            assert found.properties.ResponseTopic == "answers"
            assert found.properties.UserProperty == [("k", "v")]
            assert 0 < found.properties.MessageExpiryInterval <= 60
        status, answer = api.ask("POST", "/publish", {"topic": "nobody", "payload": ""})
        assert (status, answer["reason_code"]) == (202, 16)
        several = [{"topic": "t/bulk", "payload": str(one), "qos": 1} for one in range(200)]
        status, answer = api.ask("POST", "/publish/bulk", several)
        assert status == 200 and len({one["id"] for one in answer}) == 200
        # One topic keeps its order.
        assert new.payloads(200) == [str(one).encode() for one in range(200)]


def test_s51_the_api_publishes_nowhere_where_clients_cannot(running):
    _, steer, api = running("[limits]\npacket_size = 2000\nconnect_packet_size = 2000\n")
    for topic, status in [("$SYS/x", 403), ("$share/g/t", 403), ("$x", 403), ("a/#", 400), ("", 400)]:
        assert api.ask("POST", "/publish", {"topic": topic, "payload": ""})[0] == status, topic
    assert api.ask("POST", "/publish", {"topic": "a", "payload": "x" * 2000})[0] == 400
    lines = steer("audit")
    assert {line["operation"] for line in lines} == {"message.publish"}
    # What the server refuses after its line was written has a second one that says so.
    assert lines[0]["outcome"] in ("refused", "failed")


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_the_api_published_and_deleted_survives_a_kill(running, qos):
    server, steer, api = running()
    for number in range(5):
        message = {"topic": f"kept/{number}", "payload": "v", "qos": qos, "retain": True}
        assert api.ask("POST", "/publish", message)[0] == 202
    away = fresh_id()
    Peer(server, V5, away, clean=False).connect().disconnect()
    live = Peer(server, V5, away, clean=False).connect()
    steer("clients", "subscribe", away, "waits/#", "--qos", "2")
    live.drop()
    status, _ = api.ask("POST", "/publish", {"topic": "waits/x", "payload": "w", "qos": 2})
    assert status == 200
    assert steer("retained", "delete", "kept/0") is None
    assert api.ask("POST", "/mqtt/retainer/delete", {"filter": "kept/3"}) == (200, {"deleted": 1})
    server.kill()
    server.start()
    server.until_events("serving", 2)
    assert [row["topic"] for row in steer("retained", "list", "kept/#")] == ["kept/1", "kept/2", "kept/4"]
    rows = steer("clients", "queue", away)
    assert [(row["topic"], row["payload"]) for row in rows] == [
        ("waits/x", base64.b64encode(b"w").decode())
    ]
    back = Peer(server, V5, away, clean=False).connect()
    assert back.message().payload == b"w"
    back.disconnect()


def test_retained_messages_are_listed_shown_and_deleted(running):
    server, steer, api = running()
    name = fresh_id()
    with Peer(server, V5, name).connect() as peer:
        for number in range(1200):
            peer.send(f"many/{number:04}", b"x", 0, retain=True)
        peer.publish("one/topic", b"\x01" * 10, 1, retain=True, ContentType="text/plain")
        rows = steer("retained", "list", "many/+", "--most", "5000")
        assert [row["topic"] for row in rows] == [f"many/{number:04}" for number in range(1200)]
        assert rows[0]["from_clientid"] == name
        assert "payload" not in rows[0]
        shown = steer("retained", "show", "one/topic")
        assert base64.b64decode(shown["payload"]) == b"\x01" * 10
        assert shown["properties"] == {"content_type": "text/plain"}
        assert "text/plain" in steer.text("retained", "show", "one/topic")
        peer.subscribe("many/#")
        peer.messages(1200)
        with pytest.raises(Told, match="--all"):
            steer("retained", "delete", "many/#")
        assert steer("retained", "delete", "many/#", "--all") == {"deleted": 1200}
        assert steer("retained", "list", "many/#") == []
        assert [row["topic"] for row in steer("retained", "list")] == ["one/topic"]
        # Subscribers hear nothing.
        peer.publish("many/end", b"end", 1)
        assert peer.message().payload == b"end"
    lines = [line for line in steer("audit") if line["operation"] == "retained.delete"]
    assert lines[0]["after"] == {"deleted": 1200} and lines[0]["target"] == "many/#"
    path = urllib.parse.quote("one/topic", safe="")
    assert api.ask("DELETE", f"/mqtt/retainer/message/{path}")[0] == 204
    assert api.ask("GET", f"/mqtt/retainer/message/{path}")[0] == 404


def test_an_operator_subscribes_for_a_client_as_the_client_may(running):
    rules = """
[[rule]]
deny = "subscribe"
topics = ["secret/#"]

[[rule]]
allow = "all"
topics = ["#"]
"""
    server, steer, _ = running(rules)
    name = fresh_id()
    with Peer(server, V5, name).connect() as peer:
        steer("clients", "subscribe", name, "given/#", "--qos", "1")
        rows = steer("clients", "subscriptions", name)
        assert [(row["topic"], row["qos"]) for row in rows] == [("given/#", 1)]
        peer.publish("given/x", b"1", 1)
        assert peer.message().payload == b"1"
        with pytest.raises(Told, match="may not subscribe"):
            steer("clients", "subscribe", name, "secret/x")
        with pytest.raises(Told, match="no such client|no client"):
            steer("clients", "subscribe", "nobody-here", "a")
        steer("clients", "unsubscribe", name, "given/#")
        with pytest.raises(Told, match="no such subscription"):
            steer("clients", "unsubscribe", name, "given/#")
        peer.subscribe("fence")
        peer.publish("given/x", b"2", 1)
        peer.publish("fence", b"end", 1)
        assert peer.message().payload == b"end"
    operations = [line["operation"] for line in steer("audit")]
    assert {"client.subscribe", "client.unsubscribe"} <= set(operations)


def test_who_wants_what_and_who_gets_it(running):
    server, steer, _ = running()
    names = [fresh_id() for _ in range(3)]
    peers = [Peer(server, V5, name).connect() for name in names]
    for peer in peers:
        peer.subscribe("a/+", qos=1)
        peer.subscribe("$share/jobs/work/#", qos=1)
    peers[0].subscribe("a/b", qos=2)
    rows = steer("subscriptions", "--matching", "a/b")
    assert sorted((row["clientid"], row["topic"]) for row in rows) == sorted(
        [(name, "a/+") for name in names] + [(names[0], "a/b")]
    )
    assert len(steer("subscriptions")) == 7
    assert len(steer("subscriptions", "--client", names[1])) == 2
    assert len(steer("subscriptions", "--group", "jobs")) == 3
    assert len(steer("subscriptions", "--qos", "2", "--topic", "a/b")) == 1
    groups = steer("subscriptions", "groups")
    assert [(one["group"], one["topic"], len(one["members"])) for one in groups] == [("jobs", "work/#", 3)]
    found = steer("subscriptions", "match", "a/b")
    assert sorted(one["clientid"] for one in found) == sorted(names)
    assert {one["filter"] for one in found} <= {"a/+", "a/b"}
    members = steer("subscriptions", "match", "work/1")
    assert [one["group"] for one in members] == ["jobs"] * 3
    assert steer("subscriptions", "match", "none") == []
    assert "jobs" in steer.text("subscriptions", "groups")
    for peer in peers:
        peer.disconnect()


def test_what_waits_and_what_is_on_its_way_is_shown(running):
    server, steer, api = running()
    name, speaker = fresh_id(), fresh_id()
    durable = {"clean": False}
    peer = Peer(server, V5, name, **durable).connect()
    peer.subscribe("q/#", qos=1)
    peer.drop()
    with Peer(server, V5, speaker).connect() as other:
        for number in range(30):
            other.publish("q/x", b"p" * 5000 if number == 7 else str(number).encode(), 1)
        rows = steer("clients", "queue", name)
        assert [row["topic"] for row in rows] == ["q/x"] * 30
        assert rows[0]["from_clientid"] == speaker
        assert rows[7]["size"] == 5000
        assert len(base64.b64decode(rows[7]["payload"])) == 4096
        assert len(steer("clients", "queue", name, "--most", "7")) == 7
        status, first = api.ask("GET", f"/clients/{name}/mqueue_messages?limit=20")
        assert (status, first["meta"]) == (200, {"last": 20, "count": 30})
        assert steer("clients", "inflight", name) == []
        shown = steer("clients", "show", name)
        assert shown["mqueue_len"] == 30 and shown["disconnected_at"]
        assert shown["connected"] is False


def test_clients_in_order_with_what_went_through(running):
    server, steer, api = running()
    names = [fresh_id() for _ in range(4)]
    peers = [Peer(server, V5 if one % 2 else V311, name).connect() for one, name in enumerate(names)]
    for number, peer in enumerate(peers):
        for _ in range(number + 1):
            peer.publish("x", b"x", 1)
    rows = steer("clients", "--sort", "-recv_msg")
    assert [row["clientid"] for row in rows] == names[::-1]
    assert [row["recv_msg"] for row in rows] == [4, 3, 2, 1]
    assert steer("clients", "--sort", "clientid", "--most", "2") == sorted(
        rows, key=lambda row: row["clientid"]
    )[:2]
    _, page = api.ask("GET", "/clients?sort=recv_msg&page=2&limit=3")
    assert [row["clientid"] for row in page["data"]] == names[3:]
    assert (page["meta"]["count"], page["meta"]["hasnext"]) == (4, False)
    assert len(steer("clients", "--version", "3.1.1")) == 2
    shown = steer("clients", "show", names[0])
    assert (shown["transport"], shown["ip_address"]) == ("tcp", "127.0.0.1")
    assert shown["recv_oct"] > 0 and shown["send_oct"] > 0 and shown["port"] > 0
    with pytest.raises(Told, match='no client "nobody"'):
        steer("clients", "kick", *names[:2], "nobody")
    with pytest.raises(Told, match='no client "nobody"'):
        steer("timeline", "nobody")
    for peer in peers[:2]:
        peer.ended()
    deadline = time.monotonic() + 10
    while len(steer("clients", "--connected")) != 2:
        assert time.monotonic() < deadline
    for peer in peers[2:]:
        peer.disconnect()
