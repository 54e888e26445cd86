"""Bridges between Nightjar and Debian's Mosquitto."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import time

import pytest

from harness.bridging import (
    bridge,
    one,
    restart,
    taken_and_sent_again,
    until,
    until_connected,
    until_log,
)
from harness.deadline import Deadline
from harness.peer import LASTING, V5, Peer, Refused, fresh_id
from harness.pki import Authority
from harness.steer import Steer, Told

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("version", ["5.0", "3.1.1", "3.1"])
def test_both_ways(own_server, neighbour, version):
    """Messages and retained ones go both ways by their other names, and none comes back."""
    there = neighbour().start()
    more = f'version = "{version}"\nclient_id = "relay"'
    here = own_server(config=bridge(there.port, more=more)).start()
    until_connected(here)
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        ours.subscribe("l/#", qos=2)
        theirs.subscribe("r/#", qos=2)
        for qos in (0, 1, 2):
            ours.publish("l/out", f"out-{qos}", qos=qos)
            theirs.publish("r/in", f"in-{qos}", qos=qos)
        ours.publish("l/kept", b"kept", qos=1, retain=True)
        heard = [(m.topic, m.payload.decode()) for m in theirs.messages(7)]
        came = [(m.topic, m.payload.decode()) for m in ours.messages(7)]
        assert [p for t, p in heard if t == "r/out"] == ["out-0", "out-1", "out-2"]
        assert [p for t, p in came if t == "l/in"] == ["in-0", "in-1", "in-2"]
        # What either side published itself is there once: nothing came back.
        ours.publish("l/last", b"last", qos=2)
        assert theirs.message().topic == "r/last" and ours.message().topic == "l/last"
        with Peer(there, V5) as late:
            late.subscribe("r/kept")
            message = late.message()
            assert message.payload == b"kept" and message.retain


def carry_while_servers_end(here, there, end_there):
    """Messages go both ways while the servers end in turns. Returns the numbers that were
    acknowledged, and what a client of each server has heard."""
    ours_id, theirs_id = fresh_id(), fresh_id()

    def ours():
        return Peer(here, V5, client_id=ours_id, clean=False, expiry=LASTING)

    def theirs():
        return Peer(there, V5, client_id=theirs_id, clean=False, expiry=LASTING)

    with ours() as peer:
        peer.subscribe("l/in", qos=2)
    with theirs() as peer:
        peer.subscribe("r/out", qos=2)
    number = 0
    for turn in range(6):
        # Acknowledged before the end of whoever took them.
        with Peer(here, V5) as one, Peer(there, V5) as other:
            for _ in range(50):
                number += 1
                one.publish("l/out", str(number), qos=1 + number % 2)
                other.publish("r/in", str(number), qos=1 + number % 2)
        if turn % 2 == 0:
            restart(here)
        else:
            end_there()
    expected = [str(n) for n in range(1, number + 1)]
    heard = []
    for make in (ours, theirs):
        with make() as peer:
            payloads = []
            with contextlib.suppress(AssertionError):
                while set(expected) - set(payloads):
                    payloads.append(peer.message(10).payload.decode())
            heard.append(payloads)
    return expected, *heard


def twice(expected, heard):
    """What was published at QoS 2 and came more than once."""
    return {n for n in expected if int(n) % 2 and heard.count(n) > 1}


def test_whoever_is_killed_nothing_is_lost(own_server):
    """Both servers are killed again and again while messages go both ways; what was acknowledged
    arrives, once at QoS 2."""
    there = own_server().start()
    here = own_server(config=bridge(there.port)).start()
    until_connected(here)
    expected, ours, theirs = carry_while_servers_end(here, there, lambda: restart(there))
    assert not set(expected) - set(ours)
    assert not set(expected) - set(theirs)
    assert not twice(expected, ours)
    assert not twice(expected, theirs)


def test_nothing_is_lost_on_the_way_to_mosquitto_and_back(own_server, neighbour):
    """As above, with Mosquitto at the other end, which keeps its word only if it ends in good order."""
    there = neighbour("log_type all").start()
    here = own_server(config=bridge(there.port)).start()
    until_connected(here)

    def end_there():
        there.stop()
        there.start()

    expected, ours, theirs = carry_while_servers_end(here, there, end_there)
    assert not set(expected) - set(ours)
    assert not set(expected) - set(theirs)
    # Its identifiers count what it sends: the message 7 goes as 7.
    [client_id] = set(re.findall(r"as (\S+\.b) \(p5, c0", there.log()))
    assert twice(expected, ours) <= taken_and_sent_again(there.log(), re.escape(client_id))
    assert not twice(expected, theirs)


def test_messages_wait_while_the_other_server_is_away(own_server, neighbour):
    """Also those from before it was ever there, over a restart of this one."""
    there = neighbour()
    here = own_server(config=bridge(there.port, topics=["a/# out 1"])).start()
    here.until_events("bridge not connected: it tries again")
    with Peer(here, V5) as ours:
        for n in range(20):
            ours.publish("a/x", str(n), qos=1)
    port = here.port
    here.kill()
    there.start()
    with Peer(there, V5) as theirs:
        theirs.subscribe("a/#", qos=1)
        here.start(port=port)
        assert theirs.payloads(20) == [str(n).encode() for n in range(20)]


def test_a_wrong_password_says_so(own_server, neighbour, tmp_path):
    there = neighbour()
    passwords = there.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "relay", "right"], check=True)
    there.config.write_text(
        there.config.read_text().replace(
            "allow_anonymous true", f"allow_anonymous false\npassword_file {passwords}"
        )
    )
    there.start()
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    more = f'username = "relay"\npassword_file = "{secret}"\n'
    here = own_server(config=bridge(there.port, more=more)).start()
    until_log(here, "bad user name or password|not authorized")
    # The file is read again at each try.
    secret.write_text("right\n")
    until_connected(here)


def test_tls_with_a_certificate_of_the_bridge(own_server, neighbour, tmp_path):
    authority = Authority(tmp_path / "ca")
    server = authority.issue("server", names=("127.0.0.1", "localhost"))
    client = authority.issue("relay", client=True)
    lines = (
        "listener {port} 127.0.0.1\n"
        f"cafile {authority.file}\ncertfile {server.file}\nkeyfile {server.key_file}\n"
        "require_certificate true"
    )
    there = neighbour(port_line=lines).start()
    tls = f'tls = true\nca = ["{authority.file}"]\n'
    shown = f'certificate = "{client.file}"\nkey = "{client.key_file}"\n'
    here = own_server(config=bridge(there.port, more=tls + shown)).start()
    until_connected(here)
    # Another authority's word is not taken.
    other = Authority(tmp_path / "other", "Other")
    strange = f'tls = true\nca = ["{other.file}"]\n'
    second = own_server(config=bridge(there.port, more=strange + shown)).start()
    until_log(second, "invalid peer certificate|UnknownIssuer")


def test_the_next_address_is_tried(own_server, neighbour):
    first, second = neighbour(), neighbour().start()
    here = own_server(config=bridge(first.port, second.port)).start()
    until_connected(here)
    first.start()
    second.stop()
    until_connected(here, 2)


def test_mosquitto_bridges_to_nightjar(own_server, neighbour):
    here = own_server().start()
    there = neighbour(
        f"connection up\naddress 127.0.0.1:{here.port}\ntopic # both 2 r/ l/\n"
        "restart_timeout 1\nremote_clientid relay\n"
    ).start()
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        ours.subscribe("l/#", qos=2)
        theirs.subscribe("r/#", qos=2)
        deadline = Deadline()
        heard = None
        while heard is None and not deadline.passed():
            theirs.publish("r/hello", b"up", qos=1)
            with contextlib.suppress(AssertionError):
                heard = ours.message(0.5)
        assert heard is not None, there.log()
        ours.publish("l/back", b"down", qos=2)
        topics = set()
        while "r/back" not in topics:
            topics.add(theirs.message().topic)


def test_bridges_that_change_come_and_go(own_server, neighbour):
    there = neighbour().start()
    config = bridge(there.port, topics=["a/# out 1"])
    here = own_server(config=config).start()
    until_connected(here)
    file = here.directory / "nightjar.toml"
    file.write_text(file.read_text().replace("a/# out 1", "b/# out 1"))
    here.process.send_signal(signal.SIGHUP)
    until_connected(here, 2)
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        theirs.subscribe("#", qos=1)
        ours.publish("a/x", b"old", qos=1)
        ours.publish("b/x", b"new", qos=1)
        assert theirs.message().payload == b"new"
    file.write_text(file.read_text().split("[[bridge]]")[0])
    here.process.send_signal(signal.SIGHUP)
    until_log(here, "bridge removed")


def test_nobody_outside_has_the_client_id_of_a_bridge(own_server, neighbour):
    """S25: the session of a bridge is the bridge's."""
    there = neighbour().start()
    here = own_server(config=bridge(there.port)).start()
    until_connected(here)
    with pytest.raises(Refused):
        Peer(here, V5, client_id="bridge.b").connect()


def test_a_lazy_bridge_connects_when_messages_wait(own_server, neighbour):
    there = neighbour().start()
    more = 'start = "lazy"\nthreshold = 5\nidle_timeout = "1s"'
    here = own_server(config=bridge(there.port, topics=["a/# out 1"], more=more)).start()
    # Its session is made and left.
    here.until_events("client disconnected")
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        theirs.subscribe("a/#", qos=1)
        for n in range(4):
            ours.publish("a/x", str(n), qos=1)
        assert not here.events("bridge connected")
        ours.publish("a/x", b"4", qos=1)
        assert theirs.payloads(5) == [str(n).encode() for n in range(5)]
        here.until_events("bridge disconnected")


def test_no_more_goes_out_than_was_agreed_on(own_server, neighbour):
    there = neighbour().start()
    more = 'message_rate = "10/s"'
    here = own_server(config=bridge(there.port, topics=["a/# out 1"], more=more)).start()
    until_connected(here)
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        theirs.subscribe("a/#", qos=1)
        began = time.monotonic()
        for n in range(40):
            ours.publish("a/x", str(n), qos=1)
        assert theirs.payloads(40) == [str(n).encode() for n in range(40)]
        # Ten at once, then ten a second.
        assert 2.5 < time.monotonic() - began < 10


def test_a_loop_of_two_servers_is_none(own_server):
    """S102: two Nightjars, each with a bridge to the other for the same topics."""
    first = own_server().start()
    second = own_server(config=bridge(first.port, topics=["# both 1"])).start()
    until_connected(second)
    port = first.port
    first.stop()
    first.config = bridge(second.port, topics=["# both 1"])
    first.start(port=port)
    until_connected(first)
    until_connected(second, 2)
    with Peer(first, V5) as ours, Peer(second, V5) as theirs:
        ours.subscribe("#", qos=1)
        theirs.subscribe("#", qos=1)
        for n in range(10):
            ours.publish("a/x", str(n), qos=1)
        # There are two ways, so a message may come by both; but it does not go round and round.
        for peer in (ours, theirs):
            heard = peer.payloads(10)
            with contextlib.suppress(AssertionError):
                while len(heard) < 100:
                    heard.append(peer.message(1).payload)
            assert all(1 <= heard.count(str(n).encode()) <= 4 for n in range(10)), heard


def metrics(server):
    """Metrics of bridges, each with its labels in the order of the server."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(server.data_dir / "control.sock"))
        link.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        text = b"".join(iter(lambda: link.recv(65536), b"")).decode()
    lines = [line for line in text.splitlines() if line.startswith("nightjar_bridge_")]
    return {name: float(count) for name, count in (line.rsplit(" ", 1) for line in lines)}


def test_a_bridge_shows_what_it_does(own_server, neighbour):
    """State, lag while the other server is away, the last error, what went over, metrics."""
    there = neighbour()
    topics = ["a/# out 1", "in/# in 1"]
    here = own_server(config=bridge(there.port, topics=topics)).start()
    steer = Steer(here)
    # Without a user it may do everything, and that is said.
    until_log(here, "the bridge has no `user`")
    explained = steer.explain("bridge.b", "publish", "x/y")
    assert explained["decision"] == "allow", explained
    assert "the bridge b has no `user`" in explained["why"], explained
    assert "of a bridge" in steer.explain("bridge.b", "connect", user="eve")["refused"]

    down = until(here, lambda: (it := one(here))["last_error"] and it)
    assert down["state"] in ("connecting", "waiting") and down["enabled"]
    assert down["connected_at"] is None and down["down_since"] is not None
    assert f"127.0.0.1:{there.port}" in down["last_error"]["message"]
    assert down["address"] == f"127.0.0.1:{there.port}" and down["user"] is None
    # Its session is made; what is published now waits for the other server.
    here.until_events("bridge not connected: it tries again")
    with Peer(here, V5) as ours:
        for n in range(20):
            ours.publish("a/x", str(n), qos=1)
    until(here, lambda: one(here)["lag"] == 20)
    found = metrics(here)
    assert found['nightjar_bridge_up{bridge="b"}'] == 0
    assert found['nightjar_bridge_lag_messages{bridge="b"}'] == 20
    assert found['nightjar_bridge_failures_total{bridge="b"}'] > 0

    there.start()
    up = until(here, lambda: (it := one(here))["state"] == "connected" and it["lag"] == 0 and it)
    assert up["connected_at"] is not None and up["down_since"] is None
    assert up["messages_out"] == 20 and up["bytes_out"] > 0 and up["reconnects"] == 0
    # Why it was not connected stays known.
    assert up["last_error"]["at"] < up["connected_at"]
    with Peer(there, V5) as theirs:
        theirs.publish("in/x", b"hello", qos=1)
    until(here, lambda: one(here)["messages_in"] == 1)
    found = metrics(here)
    assert found['nightjar_bridge_up{bridge="b"}'] == 1
    assert found['nightjar_bridge_messages_total{bridge="b",direction="out"}'] == 20
    assert found['nightjar_bridge_messages_total{bridge="b",direction="in"}'] == 1
    assert found['nightjar_bridge_dropped_total{bridge="b",reason="loop"}'] == 0
    rows = steer("bridges")
    assert [row["name"] for row in rows] == ["b"]
    assert "connected" in steer.text("bridges") and "may do everything" in steer.text(
        "bridges", "show", "b"
    )


def test_a_bridge_is_restarted_and_switched_off_and_on(own_server, neighbour):
    there = neighbour().start()
    here = own_server(config=bridge(there.port, topics=["a/# out 1"])).start()
    until_connected(here)
    steer = Steer(here)
    steer("bridges", "restart", "b")
    until_connected(here, 2)
    until(here, lambda: one(here)["reconnects"] == 1)
    steer("bridges", "disable", "b")
    off = until(here, lambda: (it := one(here))["state"] == "off" and it)
    assert not off["enabled"] and off["down_since"] is None
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        theirs.subscribe("a/#", qos=1)
        ours.publish("a/x", b"waits", qos=1)
        until(here, lambda: one(here)["lag"] == 1)
        steer("bridges", "enable", "b")
        assert theirs.message().payload == b"waits"
    until(here, lambda: one(here)["state"] == "connected")
    for order in ("restart", "enable", "disable"):
        with pytest.raises(Told, match="there is no bridge other"):
            steer("bridges", order, "other")
    lines = [json.loads(line) for line in (here.data_dir / "audit.jsonl").read_text().splitlines()]
    done = [line["operation"] for line in lines if line["operation"].startswith("bridge.")]
    assert done[:3] == ["bridge.restart", "bridge.disable", "bridge.enable"], done


def test_a_bridge_that_is_away_is_an_alarm(own_server, neighbour):
    """It is over when the bridge is connected, and when it is switched off."""
    there = neighbour()
    here = own_server(config=bridge(there.port, more='alarm_after = "1s"')).start()
    steer = Steer(here)
    alarm = until(here, lambda: steer("alarms"))[0]
    assert (alarm["name"], alarm["about"]) == ("bridge_down", "b")
    assert f"127.0.0.1:{there.port}" in alarm["message"]
    there.start()
    # Ten seconds of it being well.
    until(here, lambda: not steer("alarms"))
    there.stop()
    until(here, lambda: steer("alarms"))
    steer("bridges", "disable", "b")
    until(here, lambda: not steer("alarms"))
