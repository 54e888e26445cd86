"""Rust clients: rumqttc (3.1.1 and 5.0) and paho-mqtt (all three), built and run by cargo."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.server import ROOT, address

FOLDER = Path(__file__).parent / "rust-clients"


@pytest.mark.timeout(600)  # Without the build of `run`, cargo builds here.
@pytest.mark.parametrize("client", ["rumqttc_v4", "rumqttc_v5", "paho"])
def test_client(server, client):
    environment = {
        **os.environ,
        "MQTT_E2E_ADDRESS": address(server.host, server.port),
        "CARGO_TARGET_DIR": os.environ.get(
            "E2E_RUST_TARGET", str(ROOT / "target/e2e/rust-clients")
        ),
    }
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--locked", "--test", client],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=590,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test result: ok" in done.stdout and " 0 passed" not in done.stdout
