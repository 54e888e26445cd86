"""mqtt.js, the client of Node programs and of browsers."""

import subprocess
from pathlib import Path

import pytest

from harness.peer import V5, VERSIONS

FOLDER = Path(__file__).parent / "mqttjs"

EVERY_VERSION = ["qos", "retained", "will", "session", "reconnect", "shared", "large"]


@pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())
@pytest.mark.parametrize("scenario", EVERY_VERSION)
def test_scenario(server, topic, scenario, version):
    run(server, topic, scenario, version)


def test_properties(server, topic):
    run(server, topic, "properties", V5)


def run(server, topic, scenario, version):
    arguments = [scenario, server.host, str(server.port), str(int(version)), topic]
    done = subprocess.run(
        ["node", FOLDER / "run.mjs", *arguments], capture_output=True, text=True, timeout=40
    )
    assert done.returncode == 0, done.stdout + done.stderr
