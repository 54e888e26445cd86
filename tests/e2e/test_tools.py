"""The command line: mosquitto_pub and mosquitto_sub, and our own `pub` and `sub` with the
same flags."""

import re
import signal
import subprocess
import threading

import pytest

from harness.deadline import PATIENCE
from harness.peer import V5, V311, Peer, Will, fresh_id
from harness.server import binary, free_port

FAMILIES = ["mosquitto", "nightjar"]

VERSIONS = ["mqttv31", "mqttv311", "mqttv5"]
versions = pytest.mark.parametrize("version", VERSIONS)


@pytest.fixture(params=FAMILIES)
def tools(request, server):
    """One family of tools, told where the shared server is."""
    return Tools(server, request.param)


class Tools:
    def __init__(self, server, family):
        self.address = ["-h", server.host, "-p", str(server.port)]
        if family == "nightjar":
            self._pub, self._sub = [binary(), "pub"], [binary(), "sub"]
        else:
            self._pub, self._sub = ["mosquitto_pub"], ["mosquitto_sub"]

    def pub(self, *arguments, stdin=""):
        """Runs the publisher to its end, which has to be a good one."""
        done = self.run_pub(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def run_pub(self, *arguments, stdin=""):
        """Runs the publisher to its end, whatever that is."""
        return subprocess.run(
            [*self._pub, *self.address, *arguments],
            input=stdin.encode(),
            capture_output=True,
            timeout=PATIENCE,
        )

    def sub(self, *arguments):
        """Runs the subscriber to its end; returns exit code and output."""
        done = subprocess.run(
            [*self._sub, *self.address, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout.decode()

    def listen(self, *arguments):
        return Listener([*self._sub, *self.address, *arguments])


class Listener:
    """A subscriber in the background. It is known to listen once it printed the retained
    message that each test puts there first."""

    def __init__(self, command):
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def line(self):
        """The next line of output; a stuck subscriber is ended, which ends the wait."""
        alarm = threading.Timer(PATIENCE, self._process.kill)
        alarm.start()
        try:
            line = self._process.stdout.readline().decode()
        finally:
            alarm.cancel()
        assert line, "the subscriber ended: " + self._process.stderr.read().decode()
        return line.rstrip("\n")

    def end(self, number=signal.SIGTERM):
        self._process.send_signal(number)
        self._process.wait(PATIENCE)

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)


@pytest.fixture
def ready(server, topic):
    """A retained message at `topic`/ready; a listener that printed it is subscribed."""
    with Peer(server, V311) as peer:
        peer.publish(f"{topic}/ready", b"ready", 1, retain=True)
        yield
        peer.publish(f"{topic}/ready", b"", 1, retain=True)


@versions
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_and_subscribe(tools, topic, ready, version, qos):
    common = ["-V", version, "-q", str(qos)]
    with tools.listen("-t", f"{topic}/#", "-v", *common) as listener:
        assert listener.line() == f"{topic}/ready ready"
        tools.pub("-t", f"{topic}/a", "-m", "hello world", *common)
        assert listener.line() == f"{topic}/a hello world"


@versions
def test_retained_and_count(tools, topic, version):
    for name in ("a", "b"):
        tools.pub("-V", version, "-q", "1", "-r", "-t", f"{topic}/{name}", "-m", name)
    code, output = tools.sub("-V", version, "-t", f"{topic}/+", "-C", "2", "-W", "10")
    assert (code, sorted(output.split())) == (0, ["a", "b"])
    for name in ("a", "b"):
        tools.pub("-V", version, "-q", "1", "-r", "-n", "-t", f"{topic}/{name}")
    code, output = tools.sub("-V", version, "-t", f"{topic}/+", "-C", "1", "-W", "1")
    assert (code, output) == (27, ""), "27: the time of -W is over"


@versions
def test_will(tools, topic, ready, version, server):
    with Peer(server, V311) as watcher:
        watcher.subscribe(f"{topic}/will", qos=1)
        with tools.listen(
            "-V",
            version,
            "-t",
            f"{topic}/#",
            "--will-topic",
            f"{topic}/will",
            "--will-payload",
            "gone",
            "--will-qos",
            "1",
        ) as listener:
            assert listener.line() == "ready"
            listener.kill()
        assert watcher.message().payload == b"gone"


def test_lines_of_standard_input(tools, topic, ready):
    with tools.listen("-t", f"{topic}/#", "-q", "1") as listener:
        assert listener.line() == "ready"
        tools.pub("-t", f"{topic}/l", "-q", "1", "-l", stdin="one\ntwo\nthree\n")
        assert [listener.line() for _ in range(3)] == ["one", "two", "three"]


def test_standard_input_as_one_message(tools, topic, server):
    with Peer(server, V311) as reader:
        reader.subscribe(topic)
        tools.pub("-t", topic, "-s", stdin="one\ntwo\n")
        assert reader.message().payload == b"one\ntwo\n"


def test_file(tools, topic, server, tmp_path):
    path = tmp_path / "payload"
    path.write_bytes(bytes(range(256)) * 400)
    with Peer(server, V311) as reader:
        reader.subscribe(topic)
        tools.pub("-t", topic, "-q", "1", "-f", str(path))
        assert reader.message().payload == path.read_bytes()


@versions
def test_lasting_session(tools, topic, version):
    client_id = fresh_id()
    lasting = ["-V", version, "-i", client_id, "-c", "-q", "1", "-t", topic]
    if version == "mqttv5":
        lasting += ["-x", "60"]
    code, _ = tools.sub(*lasting, "-E")
    assert code == 0
    for number in range(5):
        tools.pub("-V", version, "-q", "1", "-t", topic, "-m", str(number))
    code, output = tools.sub(*lasting, "-C", "5", "-W", "10")
    assert (code, output.split()) == (0, ["0", "1", "2", "3", "4"])


@versions
def test_shared(tools, topic, version, server):
    """Two tools share; a plain retained message tells each that it is subscribed."""
    with Peer(server, V311) as peer:
        peer.publish(f"{topic}/ready", b"ready", 1, retain=True)
        both = ["-V", version, "-q", "1", "-t", f"$share/cli/{topic}/work", "-t", f"{topic}/ready"]
        with tools.listen(*both) as one, tools.listen(*both) as two:
            assert one.line() == two.line() == "ready"
            for number in range(20):
                peer.publish(f"{topic}/work", b"%d" % number, 1)
            peer.publish(f"{topic}/ready", b"", 1, retain=True)
            peer.publish(f"{topic}/ready", b"end", 1)
            heard = []
            for listener in (one, two):
                share = []
                while (line := listener.line()) != "end":
                    share.append(line)
                assert any(share)
                heard += [int(line) for line in share if line]
            assert sorted(heard) == list(range(20))


def test_properties(tools, topic, server):
    with Peer(server, V5) as reader:
        reader.subscribe(topic)
        tools.pub(
            "-V",
            "mqttv5",
            "-t",
            topic,
            "-m",
            "x",
            "-D",
            "publish",
            "content-type",
            "text/plain",
            "-D",
            "publish",
            "user-property",
            "k",
            "v",
            "-D",
            "publish",
            "message-expiry-interval",
            "60",
        )
        heard = reader.message().properties
        assert (heard.ContentType, heard.UserProperty) == ("text/plain", [("k", "v")])
        assert 55 <= heard.MessageExpiryInterval <= 60


def test_unsubscribed_filter_and_format(tools, topic, server):
    """-T filters out, -F shapes the line."""
    with Peer(server, V5) as peer:
        peer.publish(f"{topic}/go", b"old", 1, retain=True)
        with tools.listen(
            "-t", f"{topic}/#", "-T", f"{topic}/not/#", "-q", "1", "-F", "%t|%p|%q|%r"
        ) as listener:
            assert listener.line() == f"{topic}/go|old|1|1"
            peer.publish(f"{topic}/not/this", b"hidden", 1)
            peer.publish(f"{topic}/this", b"seen", 1)
            assert listener.line() == f"{topic}/this|seen|1|0"
        peer.publish(f"{topic}/go", b"", 1, retain=True)


def test_nobody_there(tools):
    """A port that nobody listens on: an exit code and a message, at once."""
    tools.address = ["-h", "127.0.0.1", "-p", str(free_port("127.0.0.1"))]
    done = tools.run_pub("-t", "x", "-m", "x")
    assert done.returncode != 0
    assert re.search(b"refused", done.stderr, re.IGNORECASE), done.stderr


def test_retained_will_of_a_tool_is_seen(tools, topic, server):
    """What a tool reads of a will that another client left."""
    Peer(server, V311, will=Will(topic, b"offline", 1, retain=True)).connect().drop()
    with Peer(server, V311) as watcher:
        watcher.subscribe(topic, qos=1)
        assert watcher.message().payload == b"offline"
        assert tools.sub("-t", topic, "-C", "1", "-W", "10") == (0, "offline\n")
        watcher.publish(topic, b"", 1, retain=True)
