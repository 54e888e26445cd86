"""Programs that people run beside a server, against Debian's Mosquitto and Nightjar with the same
configuration of Mosquitto: Node-RED with its MQTT nodes, and Zigbee2MQTT's MQTT part."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from harness.mosquitto import Case, Mosquitto, Nightjar
from harness.peer import V5, V311, Peer
from harness.server import External, free_port

APPS = Path(__file__).parent / "apps"
BROKERS = pytest.mark.parametrize("kind", [Mosquitto, Nightjar], ids=["mosquitto", "nightjar"])
VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])
CONFIG = "listener @1@ 127.0.0.1\nallow_anonymous true\npersistence false\n"
PATIENCE = 60


@pytest.fixture
def folder():
    """One that a server can read after it gave root up."""
    path = Path(tempfile.mkdtemp(prefix="apps-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def broker(kind, folder, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "mosquitto.conf").write_text(CONFIG)
    broker = kind(Case(source, folder)).start()
    yield External(f"127.0.0.1:{broker.case.ports[0]}")
    broker.stop()


class App:
    """A program of Node's. Its lines are read as they come."""

    def __init__(self, folder, *command, **environment):
        self.log = folder / "app.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["node", *command], cwd=APPS, env={**os.environ, **environment},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )
        self._timer = threading.Timer(PATIENCE, self.process.kill)
        self._timer.start()

    def line(self):
        """Its next line that is an object."""
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise AssertionError(f"it ended: {self.log.read_text()}")

    def tell(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def end(self, number=None):
        """Ends it, by a signal or by the end of its input, and returns how it ended."""
        if number is None:
            self.process.stdin.close()
        else:
            self.process.send_signal(number)
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self.process.wait(PATIENCE)

    def close(self):
        self._timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


@pytest.fixture
def app(tmp_path):
    running = []

    def start(*command, **environment):
        running.append(App(tmp_path, *command, **environment))
        return running[-1]

    yield start
    for one in running:
        one.close()


def retained(broker, topic):
    with Peer(broker, V311) as peer:
        peer.subscribe(topic, qos=1)
        return peer.message().payload


@BROKERS
@VERSIONS
def test_zigbee2mqtt(broker, version, app, tmp_path):
    (tmp_path / "configuration.yaml").write_text(
        f"mqtt:\n  server: mqtt://{broker.host}:{broker.port}\n  version: {int(version)}\n"
        "  base_topic: zigbee2mqtt\n  client_id: zigbee2mqtt\n"
        "serial:\n  port: /dev/null\nadvanced:\n  log_output: []\n"
    )
    with Peer(broker, version) as home:
        home.subscribe("zigbee2mqtt/#", qos=1)
        z2m = app("zigbee2mqtt.cjs", str(tmp_path))
        assert z2m.line() == {"connected": True}
        assert home.message().payload == b'{"state":"online"}'
        state = '{"state":"ON","brightness":120}'
        z2m.tell({"topic": "lamp", "payload": state, "options": {"retain": True, "qos": 1}})
        lamp = home.message()
        assert (lamp.topic, lamp.payload) == ("zigbee2mqtt/lamp", state.encode())
        assert retained(broker, "zigbee2mqtt/lamp") == state.encode()
        home.publish("zigbee2mqtt/lamp/set", b'{"state":"OFF"}', 1)
        assert z2m.line() == {"topic": "zigbee2mqtt/lamp/set", "message": '{"state":"OFF"}'}
        assert home.message().topic == "zigbee2mqtt/lamp/set"
        assert z2m.end() == 0
        assert home.message().payload == b'{"state":"offline"}'


@BROKERS
@VERSIONS
def test_node_red(broker, version, app, tmp_path):
    flows = (APPS / "flows.json").read_text()
    flows = flows.replace("PORT", str(broker.port)).replace("VERSION", str(int(version)))
    (tmp_path / "flows.json").write_text(flows)
    command = ["node_modules/node-red/red.js", "--userDir", str(tmp_path)]
    command += ["--settings", "settings.cjs", str(tmp_path / "flows.json")]

    def start():
        return app(*command, UI_PORT=str(free_port("127.0.0.1")))

    with Peer(broker, version) as machine:
        machine.subscribe("node-red/status", qos=1)
        red = start()
        assert machine.message(PATIENCE).payload == b"online"
        machine.subscribe("press/+/bar", qos=2)
        for number in range(5):
            machine.publish(f"press/{number}/raw", b'{"value": %d}' % (10 * number), 2)
        heard = {one.topic: json.loads(one.payload) for one in machine.messages(5)}
        assert heard == {f"press/{n}/bar": {"bar": n} for n in range(5)}
        assert json.loads(retained(broker, "press/3/bar")) == {"bar": 3}

        # It dies: its will is out, and its session waits for what comes meanwhile.
        assert red.end(signal.SIGKILL) == -signal.SIGKILL
        assert machine.message().payload == b"lost"
        machine.publish("press/9/raw", b'{"value": 900}', 2)
        red = start()
        told = {one.topic: one.payload for one in machine.messages(2, PATIENCE)}
        assert told["node-red/status"] == b"online"
        assert json.loads(told["press/9/bar"]) == {"bar": 90}

        # Asked to end, it says so itself.
        red.end(signal.SIGTERM)
        assert machine.message().payload == b"offline"
