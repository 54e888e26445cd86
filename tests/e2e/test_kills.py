"""The server is killed again and again, at any moment: what it acknowledged is there (F01, F27)."""

import os
import random
import signal

import pytest

from harness.rig.rig import RESTART, Rig

#: Kills of all tests here together. `make kills` asks for a thousand.
KILLS = int(os.environ.get("MQTT_E2E_KILLS", "200"))

#: Seconds that one kill and all around it may take; a busy machine needs one.
EACH = 10

#: The ways to run the server. A kill cannot tell `os` from `disk`: a power cut could.
WAYS = {
    "disk": "",
    "small-segments": '[store]\nsegment_size = "1MiB"\n[limits]\nstored_memory = "64KiB"\n',
    "one-worker": 'workers = 1\n[store]\nsegment_size = "1MiB"\n',
    "os": '[store]\ndurability = "os"\n',
}


@pytest.mark.timeout(60 + KILLS * EACH)
@pytest.mark.parametrize("way", WAYS)
def test_kill(own_server, way):
    """F01: everything acknowledged is there, QoS 2 once, in order, retained, in under 5 s."""
    torment(own_server(config=WAYS[way]), [signal.SIGKILL] * -(-KILLS // len(WAYS)))


@pytest.mark.timeout(300)
def test_terminate_under_load(own_server):
    """F27: as with a kill, and it ends in time with exit code 0."""
    torment(own_server(), [signal.SIGTERM] * 10)


def torment(server, ends):
    seed = int(os.environ.get("MQTT_E2E_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}: MQTT_E2E_SEED={seed} tests/e2e/run test_kills.py repeats its decisions")
    rig = Rig(server, seed)
    rig.run(ends)
    print(
        f"{len(ends)} ends, {rig.starts} starts, the slowest {rig.slowest_restart:.2f} s;"
        f" {rig.acked} acknowledged, {rig.heard} heard"
    )
    assert rig.acked and rig.heard
    server.stop()
    # A start that is killed at once may not have said it yet.
    recovered = server.events("store recovered")
    assert recovered and all(float(event["seconds"]) < RESTART for event in recovered)
