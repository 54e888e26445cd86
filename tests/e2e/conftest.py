"""Fixtures: a server for each test process, servers for tests that need their own, names."""

import os
import signal

import pytest

from harness.bridging import Neighbour
from harness.disk import DyingDisk, NoMount, ObedientDisk, SmallDisk, build
from harness.peer import fresh_id
from harness.server import External, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests of this process; tests keep apart by their topics and ids."""
    address = os.environ.get("MQTT_E2E_ADDRESS")
    running = External(address) if address else Server(tmp_path_factory.mktemp("shared")).start()
    yield running
    running.stop()


@pytest.fixture
def own_server(tmp_path):
    """Makes servers that the test may signal, kill and start again."""
    if os.environ.get("MQTT_E2E_ADDRESS"):
        pytest.skip("needs a server of its own; MQTT_E2E_ADDRESS names somebody else's")
    made = []

    def make(host="127.0.0.1", **options):
        directory = tmp_path / f"server-{len(made)}"
        directory.mkdir()
        made.append(Server(directory, host, **options))
        return made[-1]

    make.made = made
    yield make
    failures = []
    for server in made:
        try:
            server.stop()
        except AssertionError as failure:
            server.kill()
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="session")
def disk_library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("disk"))


@pytest.fixture
def disk(tmp_path, disk_library):
    """A disk that does what the test says; a server has it by its `environment`."""
    return ObedientDisk(tmp_path / "disk", disk_library)


@pytest.fixture
def small_disk(tmp_path):
    """Makes small file systems. They go when the servers are gone: name this fixture before
    `own_server`."""
    made = []

    def make(size):
        made.append(SmallDisk(tmp_path / f"small-{len(made)}", size))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def neighbour(tmp_path):
    made = []

    def make(config="", **options):
        folder = tmp_path / f"mosquitto-{len(made)}"
        folder.mkdir()
        made.append(Neighbour(folder, config, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop(signal.SIGKILL)


@pytest.fixture
def topic():
    """A topic prefix that no other test uses."""
    return f"e2e/{fresh_id()}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what its servers said last."""
    report = yield
    if report.failed:
        servers = [
            item.funcargs.get("server"),
            *getattr(item.funcargs.get("own_server"), "made", []),
        ]
        for server in servers:
            if isinstance(server, Server):
                report.sections.append(("the end of the server's log", server.log()[-LOG_SHOWN:]))
    return report


#: How much of a log a failed test shows, in characters.
LOG_SHOWN = 4_000
