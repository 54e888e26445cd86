"""Bridges that are kept: whatever the other server does, what can go over goes over."""

import contextlib
import os
import pwd
import signal
import threading
from collections import Counter

import pytest

from harness.bridging import bridge, one, restart, until, until_connected, until_log
from harness.mosquitto import Mosquitto, Nightjar
from harness.peer import LASTING, V5, Peer, Refused, fresh_id
from harness.server import free_port
from harness.steer import Steer

pytestmark = pytest.mark.timeout(90)


@pytest.mark.parametrize("version", ["3.1.1", "5.0"])
def test_one_message_does_not_hold_up_the_others(own_server, neighbour, version):
    """S101: a server that ends the connection whenever a message comes. It gives that message up,
    says so, and the rest goes over; not for a client of 5.0, which is told what is too large."""
    there = neighbour("max_packet_size 5000").start()
    more = f'version = "{version}"'
    here = own_server(config=bridge(there.port, topics=["a/# out 2"], more=more)).start()
    until_connected(here)
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        theirs.subscribe("a/#", qos=2)
        for n in range(30):
            ours.publish("a/x", str(n), qos=1 + n % 2)
            if n == 10:
                ours.publish("a/large", b"x" * 6000, qos=1 + (version == "5.0"))
        heard = []
        while len(set(heard)) < 30:
            heard.append(theirs.message(40).payload.decode())
    # In order, for each QoS.
    for qos in (0, 1):
        came = [n for n in dict.fromkeys(heard) if int(n) % 2 == qos]
        assert came == [str(n) for n in range(qos, 30, 2)], heard
    drops = {drop["reason"]: drop["count"] for drop in one(here)["dropped"]}
    if version == "5.0":
        assert drops["too_large"] == 1 and drops["ends_connection"] == 0, drops
        return
    assert drops["ends_connection"] == 1, drops
    until_log(here, "message dropped: the other server ends the connection whenever it comes")
    [line] = [line for line in here.log().splitlines() if "message dropped" in line]
    assert "a/large" in line and "6000" in line, line
    until(here, lambda: one(here)["lag"] == 0)


def test_the_first_address_is_gone_back_to(own_server, neighbour):
    """`prefer_first`: the bridge is at the second only while the first does not answer."""
    first, second = neighbour(), neighbour().start()
    config = bridge(first.port, second.port, topics=["a/# out 1"], more="prefer_first = true")
    here = own_server(config=config).start()
    until_connected(here)
    assert one(here)["address"] == f"127.0.0.1:{second.port}"
    first.start()
    until_connected(here, 2)
    assert one(here)["address"] == f"127.0.0.1:{first.port}"
    with Peer(here, V5) as ours, Peer(first, V5) as theirs:
        theirs.subscribe("a/#", qos=1)
        ours.publish("a/x", b"first", qos=1)
        assert theirs.message().payload == b"first"


def test_both_servers_are_told_of_the_state(own_server, neighbour):
    """`notifications = "both"`: a retained 1 and 0 at both; when this server is killed, the will
    says it at the other."""
    there = neighbour().start()
    topic = "links/relay"
    more = f'notifications = "both"\nnotification_topic = "{topic}"'
    here = own_server(config=bridge(there.port, more=more)).start()
    until_connected(here)
    with Peer(there, V5) as theirs:
        theirs.subscribe(topic, qos=1)

        def state(said):
            while (heard := theirs.message()).payload != said:
                pass
            with Peer(there, V5) as late:
                late.subscribe(topic, qos=1)
                message = late.message()
                assert (message.payload, message.retain) == (said, True)
            return heard

        state(b"1")
        restart_at = here.port
        here.kill()
        state(b"0")
        here.start(port=restart_at)
        state(b"1")
        # In good order, too.
        with Peer(here, V5) as ours:
            ours.subscribe(topic, qos=1)
            assert ours.message().payload == b"1"
        here.stop()
        state(b"0")


BRIDGED = """listener @1@ 127.0.0.1
allow_anonymous true
persistence true
persistence_location @DIR@/data/
max_queued_messages 0

connection site
address 127.0.0.1:@2@
remote_clientid site
local_clientid local.site
bridge_protocol_version @VERSION@
topic sensors/# out 1 plant/ site7/
topic commands/# in 2 "" hq/
topic shared/# both 2 l/ r/
topic status out
topic "" out 1 one/here one/there
topic "" in 1 back/here back/there
cleansession false
restart_timeout 1
notifications true
notification_topic links/site
try_private @PRIVATE@
"""

#: Topics at the server with the bridge, and at the other.
SCRIPT = {
    "here": ["plant/sensors/a/b", "sensors/a", "commands/x", "l/shared/x", "status", "one/here",
             "one/there", "back/here", "other"],
    "there": ["site7/sensors/a", "hq/commands/x/y", "commands/x", "r/shared/y", "status",
              "one/there", "back/there", "hq/other"],
}


class Texts:
    """A folder with a mosquitto.conf, for `Mosquitto` and `Nightjar`."""

    def __init__(self, folder, there, version):
        self.folder, self.ports = folder, [free_port("127.0.0.1"), there]
        self.version = version
        self.new_ports()
        (folder / "data").mkdir()

    @property
    def config(self):
        return self.folder / "mosquitto.conf"

    @property
    def doors(self):
        return self.ports

    def new_ports(self):
        self.ports[0] = free_port("127.0.0.1")
        text = BRIDGED.replace("@1@", str(self.ports[0])).replace("@2@", str(self.ports[1]))
        text = text.replace("@DIR@", str(self.folder)).replace("@VERSION@", self.version)
        # 5.0 has No Local; the bit is for those before.
        text = text.replace("@PRIVATE@", "true" if self.version != "mqttv50" else "false")
        self.config.write_text(f"user {pwd.getpwuid(os.geteuid()).pw_name}\n" + text)

    def open_ports(self):
        return self.ports[:1]


class End:
    """Where a peer connects to."""

    host = "127.0.0.1"

    def __init__(self, port):
        self.port = port


def played(broker, there):
    """What is heard at both servers, whoever bridges: topic, payload, QoS, retained or not, of what
    is live and of what is retained afterwards."""
    here = End(broker.case.ports[0])
    found = {}
    with Peer(here, V5) as ours, Peer(there, V5) as theirs:
        theirs.subscribe("links/site", qos=1)
        while theirs.message().payload != b"1":
            pass
        theirs.unsubscribe("links/site")
        for name, peer in (("here", ours), ("there", theirs)):
            peer.subscribe("#", qos=2, retainAsPublished=True, retainHandling=2)
        number = 0
        for name, peer in (("here", ours), ("there", theirs)):
            for topic in SCRIPT[name]:
                for qos in (0, 1, 2):
                    for retain in (False, True):
                        number += 1
                        peer.publish(topic, f"{topic} {qos}{retain:d}", qos=qos, retain=retain)
            # And one that is retained no more.
            peer.publish(SCRIPT[name][0], b"", qos=1, retain=True)
        # Fences: what was said before them has come before them.
        ours.publish("l/shared/fence", b"here", qos=2)
        theirs.publish("r/shared/fence", b"there", qos=2)
        for name, peer in (("here", ours), ("there", theirs)):
            heard, fences = [], set()
            while len(fences) < 2:
                message = peer.message()
                if message.topic.endswith("/fence"):
                    fences.add(message.payload)
                elif message.topic != "links/site":
                    heard.append(message)
            found[name] = Counter(
                (m.topic, m.payload.decode(), m.qos, m.retain) for m in heard
            )
    for name, end in (("here", here), ("there", there)):
        with Peer(end, V5) as late:
            late.subscribe("#", qos=2)
            kept = late.until_fence(late)
            found[name + " kept"] = Counter(
                # Mosquitto says the state at QoS 1.
                (m.topic, m.payload.decode(), m.qos * (m.topic != "links/site"))
                for m in kept
                if m.retain
            )
    return found


@pytest.mark.parametrize("version", ["mqttv311", "mqttv50"])
def test_the_same_mosquitto_conf_bridges_the_same(neighbour, tmp_path, version):
    """Debian's Mosquitto and Nightjar, each with the same `connection`: the same goes over."""
    results = []
    for kind in (Mosquitto, Nightjar):
        there = neighbour().start()
        folder = tmp_path / kind.__name__
        folder.mkdir()
        broker = kind(Texts(folder, there.port, version)).start()
        try:
            results.append(played(broker, there))
        finally:
            broker.stop()
            there.stop()
    by_mosquitto, by_nightjar = results
    for name in by_mosquitto:
        less = by_mosquitto[name] - by_nightjar[name]
        more = by_nightjar[name] - by_mosquitto[name]
        assert not less and not more, f"{name}: only Mosquitto {less}; only Nightjar {more}"
        assert by_mosquitto[name]


def test_mosquitto_is_killed_at_the_other_end(own_server, neighbour):
    """SIGKILL. Mosquitto may lose what it has acknowledged since it saved last, and nobody can send
    that again. What this server has is not lost: all that was published while Mosquitto was away, or
    after the last kill, arrives. Nothing comes back, and the bridge is there again."""
    there = neighbour("autosave_on_changes false").start()
    here = own_server(config=bridge(there.port, topics=["# both 2 l/ r/"])).start()
    until_connected(here)
    theirs_id = fresh_id()

    def theirs():
        return Peer(there, V5, client_id=theirs_id, clean=False, expiry=LASTING)

    with theirs() as peer:
        peer.subscribe("r/out", qos=2)
    # It saves when it ends in good order: the subscription is on the disk.
    there.stop()
    there.start()
    until_connected(here, 2)
    safe, number = [], 0
    with Peer(here, V5) as ours:
        ours.subscribe("l/#", qos=2)

        def say(count):
            nonlocal number
            said = [str(number + n) for n in range(count)]
            number += count
            for n in said:
                ours.publish("l/out", n, qos=1 + int(n) % 2)
            return said

        for turn in range(3):
            say(40)
            there.stop(signal.SIGKILL)
            waiting = say(40)
            there.start()
            until_connected(here, 3 + turn)
        # The last time it lives on.
        safe = waiting + say(40)
        heard = []
        with theirs() as peer:
            while set(safe) - set(heard):
                heard.append(peer.message().payload.decode())
            # What came by the bridge did not go back by it.
            peer.publish("r/last", b"last", qos=2)
            ours.publish("l/last", b"last", qos=2)
            came = []
            while [m.topic for m in came].count("l/last") < 2:
                came.append(ours.message())
    assert [m.payload.decode() for m in came if m.topic == "l/out"] == [
        str(n) for n in range(number)
    ]
    until(here, lambda: one(here)["lag"] == 0)


class Publisher(threading.Thread):
    """Publishes as fast as it can until it is told to stop, also while its server is killed and
    started again. Knows what was acknowledged to the end."""

    def __init__(self, server, topic):
        super().__init__()
        self.server, self.topic = server, topic
        self.acknowledged, self.number, self.ends = [], 0, threading.Event()

    def run(self):
        while not self.ends.is_set():
            peer = Peer(self.server, V5)
            peer.client.max_inflight_messages_set(200)
            with contextlib.suppress(OSError, Refused, AssertionError):
                peer.connect()
                while not self.ends.is_set():
                    self._some(peer)
            with contextlib.suppress(OSError, AssertionError):
                peer.disconnect()

    def _some(self, peer):
        sent = []
        for _ in range(200):
            self.number += 1
            sent.append((self.number, peer.send(self.topic, str(self.number), 1 + self.number % 2)))
        for number, mid in sent:
            peer.published(mid)
            self.acknowledged.append(str(number))


def test_under_load_whoever_is_killed_nothing_is_lost(own_server):
    """Two Nightjars with a bridge both ways, thousands of messages, and each is killed while they
    go: what was acknowledged arrives, once at QoS 2, and nothing goes round."""
    limits = "[limits]\nqueued_messages = 1000000\n"
    there = own_server(config=limits).start()
    here = own_server(config=limits + bridge(there.port)).start()
    until_connected(here)
    ends = [("l/out", here, "r/out", there), ("r/in", there, "l/in", here)]
    ids = [fresh_id(), fresh_id()]

    def listener(which):
        _, _, topic, server = ends[which]
        peer = Peer(server, V5, client_id=ids[which], clean=False, expiry=LASTING)
        return peer, topic

    for which in (0, 1):
        peer, topic = listener(which)
        with peer:
            peer.subscribe(topic, qos=2)
    publishers = [Publisher(server, topic) for topic, server, _, _ in ends]
    for publisher in publishers:
        publisher.start()
    try:
        for server, whose in ((here, 0), (there, 1), (here, 0)):
            # So that each end is under load.
            goal = len(publishers[whose].acknowledged) + 2000
            until(here, lambda: len(publishers[whose].acknowledged) >= goal)
            restart(server)
        goal = min(len(each.acknowledged) for each in publishers) + 1000
        until(here, lambda: min(len(each.acknowledged) for each in publishers) >= goal)
    finally:
        for publisher in publishers:
            publisher.ends.set()
        for publisher in publishers:
            publisher.join()
    until(here, lambda: one(here)["lag"] == 0 and one(here)["state"] == "connected")
    for which, publisher in enumerate(publishers):
        peer, topic = listener(which)
        missing, heard = set(publisher.acknowledged), Counter()
        with peer:
            while missing:
                payload = peer.message(20).payload.decode()
                heard[payload] += 1
                missing.discard(payload)
            # And what comes behind, up to a fence.
            for message in peer.until_fence(peer, qos=2):
                heard[message.payload.decode()] += 1
        assert len(publisher.acknowledged) >= 3000
        twice = {n for n, count in heard.items() if int(n) % 2 and count > 1}
        assert not twice, twice
        # At QoS 1 a message comes again for each connection that ended, and no more often.
        assert max(heard.values()) <= 8


def test_a_bridge_that_connects_often_is_not_banned(own_server, neighbour):
    """S101: the other server ends the connection as often as it likes. That is no flapping client
    of this one, which would be banned: the bridge would shut itself out."""
    there = neighbour().start()
    limits = '[limits]\nflapping_connects = 3\nflapping_window = "1m"\nflapping_ban = "1h"\n'
    here = own_server(config=limits + bridge(there.port)).start()
    until_connected(here)
    steer = Steer(here)
    for times in range(2, 8):
        steer("bridges", "restart", "b")
        until_connected(here, times)
    assert not steer("alarms") and not steer("ban", "list")
