"""What the supervisor hears of the server: systemd's protocol of notifications."""

import signal
import socket

import pytest

from harness.peer import V5, Peer

PATIENCE = 30


class Supervisor:
    """Hears notifications at a socket of its own."""

    def __init__(self, directory):
        self.path = str(directory / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE)

    def hears(self):
        """The lines of the next notification, as names and values."""
        text = self.socket.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def until(self, name):
        """The next notification of this name."""
        while name not in (heard := self.hears()):
            pass
        return heard


@pytest.fixture
def supervisor(tmp_path):
    with (supervisor := Supervisor(tmp_path)).socket:
        yield supervisor


def supervised(own_server, supervisor, **environment):
    return own_server(environment={"NOTIFY_SOCKET": supervisor.path, **environment})


def test_it_hears_of_start_reload_and_end(own_server, supervisor):
    server = supervised(own_server, supervisor).start()
    assert supervisor.hears()["READY"] == "1"
    server.signal(signal.SIGHUP)
    reloading = supervisor.hears()
    assert reloading["RELOADING"] == "1"
    assert int(reloading["MONOTONIC_USEC"]) > 0
    assert supervisor.hears()["READY"] == "1"
    server.signal(signal.SIGTERM)
    assert supervisor.hears()["STOPPING"] == "1"
    assert server.ended_by_itself() == 0


def test_its_watchdog_is_fed_while_workers_answer(own_server, supervisor):
    server = supervised(own_server, supervisor, WATCHDOG_USEC="300000").start()
    for _ in range(5):
        assert supervisor.until("WATCHDOG")["WATCHDOG"] == "1"
    server.stop()


def test_one_that_is_gone_keeps_no_server_from_serving(own_server, supervisor, topic):
    supervisor.socket.close()
    server = supervised(own_server, supervisor, WATCHDOG_USEC="300000").start()
    server.until_events("the supervisor cannot be told", 2)
    with Peer(server, V5) as peer:
        peer.subscribe(topic)
        peer.publish(topic, b"x", 1)
        assert peer.message().payload == b"x"
    server.stop()
