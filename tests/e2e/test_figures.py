"""Figures: metrics as Prometheus reads them, health, events, alarms, and the history."""

import base64
import http.client
import json
import re
import signal
import socket
import subprocess
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness.peer import V5, Peer
from harness.server import binary, free_port
from harness.steer import Steer

#: Alarms are over after ten seconds without a reason; the rest is for slow machines.
OVER = 40


@pytest.fixture
def running(own_server):
    def make(more=""):
        port = free_port("127.0.0.1")
        config = f'{more}\n[dashboard]\naddress = "127.0.0.1:{port}"\n'
        server = own_server(config=config, environment={"NIGHTJAR__DASHBOARD__ENABLED": "true"})
        server.start().until_events("serving")
        return server, Steer(server), port

    return make


class BySocket(http.client.HTTPConnection):
    """The control socket of a server."""

    def __init__(self, server):
        super().__init__("localhost", timeout=20)
        self.path = str(server.data_dir / "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def control(server, method, path, body=None):
    """What the API answers to the owner of the server."""
    link = BySocket(server)
    try:
        text = None if body is None else json.dumps(body)
        link.request(method, "/api/v5" + path, text, {"Content-Type": "application/json"})
        answer = link.getresponse()
        found = answer.read()
        assert answer.status < 300, found
        return json.loads(found) if found else None
    finally:
        link.close()


def reload(server, old, new):
    """Another configuration holds."""
    server.config = server.config.replace(old, new)
    path = server.directory / "nightjar.toml"
    path.write_text(path.read_text().replace(old, new))
    server.signal(signal.SIGHUP)


def asked(port, path, headers=None):
    """The status and the body of an answer."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.request("GET", path, None, headers or {})
        answer = link.getresponse()
        return answer.status, answer.read().decode()
    finally:
        link.close()


def key(server):
    """The header of an API key of a viewer."""
    made = control(server, "POST", "/api_key", {"name": "prometheus", "role": "viewer"})
    pair = f"{made['api_key']}:{made['api_secret']}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


def families(text):
    """What a strict reader finds: each family once, each with its type, no sample twice."""
    found, seen = {}, set()
    for family in text_string_to_metric_families(text):
        assert family.name not in found, family.name
        assert family.type in ("counter", "gauge", "histogram"), family
        assert family.documentation
        for sample in family.samples:
            mark = (sample.name, tuple(sorted(sample.labels.items())))
            assert mark not in seen, mark
            seen.add(mark)
        found[family.name] = family
    return found


def value(found, name, **labels):
    samples = [
        sample
        for family in found.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert samples, name
    return sum(sample.value for sample in samples)


def traffic(server):
    """Ten messages of each QoS from one client to another."""
    with Peer(server, V5) as to, Peer(server, V5) as by:
        to.subscribe("figures/#", qos=2)
        for qos in (0, 1, 2):
            for number in range(10):
                by.publish(f"figures/{number}", b"12345", qos)
        assert len(to.payloads(30)) == 30


def until(wanted, seconds=OVER):
    """Asks again until the answer is what is wanted."""
    deadline = time.monotonic() + seconds
    while True:
        found = wanted()
        if found:
            return found
        assert time.monotonic() < deadline, "it does not come"


def test_a_port_of_metrics_that_is_taken_refuses_the_start_by_its_name(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file = tmp_path / "nightjar.toml"
        # A dashboard that nobody asked for may be missing; metrics that somebody asked for may not.
        file.write_text(
            f'[metrics]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n'
            '[[listener]]\naddress = "127.0.0.1:0"\n',
            encoding="utf-8",
        )
        command = [binary(), "serve", "--config", file, "--data-dir", tmp_path / "data"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "set `metrics.listen` to another" in ended.stdout + ended.stderr


def test_s91_metrics_want_a_key_or_their_own_port(running):
    scrape = free_port("127.0.0.1")
    server, steer, port = running(f'[metrics]\nlisten = "127.0.0.1:{scrape}"\n')
    traffic(server)
    for path in ("/metrics", "/api/v5/prometheus/stats", "/api/v5/overview", "/api/v5/events"):
        assert asked(port, path)[0] == 401
        wrong = {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()}
        assert asked(port, path, wrong)[0] == 401
    shown = key(server)
    for path in ("/metrics", "/api/v5/prometheus/stats"):
        status, text = asked(port, path, shown)
        assert status == 200
        found = families(text)
        for qos in "012":
            assert value(found, "nightjar_messages_received_total", qos=qos) == 10
            assert value(found, "nightjar_messages_sent_total", qos=qos) == 10
        assert value(found, "nightjar_payload_received_bytes_total") == 150
        assert value(found, "nightjar_clients_connected_total") == 2
        assert value(found, "nightjar_process_memory_bytes") > 1e6
        assert value(found, "nightjar_process_open_files") > 5
        assert value(found, "nightjar_disk_free_bytes") > 0
        buckets = found["nightjar_store_commit_seconds"].samples
        assert any(sample.labels.get("le") == "+Inf" for sample in buckets)
    assert families(asked(scrape, "/metrics")[1]).keys() == found.keys()
    assert asked(scrape, "/api/v5/overview")[0] == 404
    for at in (port, scrape):
        assert asked(at, "/livez") == (200, "ok")
        assert asked(at, "/readyz") == (200, "ok")
    # The command says the same, and so do the names of EMQX.
    assert families(steer.text("metrics")).keys() == found.keys()
    assert steer("stats")["messages.qos1.received"] == 10


def test_emqxs_names_by_option(running):
    server, steer, _ = running('[metrics]\nnames = "emqx"\n')
    traffic(server)
    found = families(steer.text("metrics"))
    assert value(found, "emqx_messages_received_total") == 30
    assert value(found, "emqx_connections_count") == 0
    assert value(found, "emqx_messages_qos2_sent_total") == 10
    assert "nightjar_connections" not in found


def test_an_overview_and_what_was_lately(running):
    server, steer, _ = running()
    with Peer(server, V5) as live:
        live.subscribe("a/#", "$share/g/b", qos=1)
        now = until(lambda: [it for it in [steer("overview")] if it["connections"] == 1])[0]
        assert (now["subscriptions"], now["shared_subscriptions"], now["topics"]) == (2, 1, 2)
        assert now["store"]["state"] == "ok"
        assert len(now["workers"]) >= 1
        traffic(server)
        lately = until(lambda: control(server, "GET", "/monitor?latest=3600"))
        until(
            lambda: sum(
                one["received"] for one in control(server, "GET", "/monitor?latest=3600")
            )
            == 30
        )
    # What was noted outlives the server.
    server.stop()
    assert (server.data_dir / "history").stat().st_size < 200_000
    server.start()
    server.until_events("serving", 2)
    again = control(server, "GET", "/monitor?latest=3600")
    assert again[0] == lately[0]
    # A torn file is told, and begun anew.
    server.stop()
    torn = (server.data_dir / "history").read_bytes()[:-5]
    (server.data_dir / "history").write_bytes(torn)
    server.start()
    server.until_events("serving", 3)
    assert "the figures of earlier cannot be read: they begin anew" in server.log()
    assert lately[0] not in control(server, "GET", "/monitor?latest=3600")


def test_events_stream_until_the_key_goes(running):
    server, _, port = running()
    shown = key(server)
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    link.request("GET", "/api/v5/events", None, shown)
    answer = link.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    names = [line for line in lines(answer, 8) if line.startswith("event:")]
    assert "event: alarm" in names and "event: overview" in names
    control(server, "DELETE", "/api_key/prometheus")
    # It ends within a second or two.
    while answer.readline():
        pass
    link.close()


def lines(answer, count):
    return [answer.readline().decode().strip() for _ in range(count)]


def test_alarms_are_raised_and_over_everywhere(running):
    """A disk that is fuller than allowed: in the API, by the command, below $SYS and in the log."""
    server, steer, _ = running("sys_interval = 1\n[alarms]\ndisk_percent = 0\n")
    with Peer(server, V5) as live:
        live.subscribe("$SYS/brokers/+/alarms/#", qos=0)
        assert steer("alarms") == []
        reload(server, "disk_percent = 0", "disk_percent = 1")
        raised = until(lambda: steer("alarms"))
        assert raised[0]["name"] == "disk_full"
        assert raised[0]["severity"] in ("warning", "critical")
        told = live.message()
        assert re.fullmatch(r"\$SYS/brokers/[^/]+/alarms/activate", told.topic)
        assert json.loads(told.payload)["name"] == "disk_full"
        found = families(steer.text("metrics"))
        assert value(found, "nightjar_alarms_active") == 1
        reload(server, "disk_percent = 1", "disk_percent = 0")
        until(lambda: not steer("alarms"))
        assert live.message().topic.endswith("/alarms/deactivate")
    assert [one["name"] for one in steer("alarms", "--all")] == ["disk_full"]
    steer("alarms", "--forget")
    assert steer("alarms", "--all") == []
    log = server.log()
    assert "alarm raised" in log and "alarm over" in log
