"""The other ends of bridges, and what is asked about a bridge."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess

from .deadline import Deadline
from .server import free_port, owns_listener
from .steer import Steer


class Neighbour:
    """A Mosquitto with a configuration of the test's, which keeps what it has over a restart."""

    host = "127.0.0.1"

    def __init__(self, folder, config="", port_line="listener {port} 127.0.0.1"):
        self.folder, self.process = folder, None
        self.port = free_port(self.host)
        self.log_path = folder / "mosquitto.log"
        self.config = folder / "mosquitto.conf"
        listener = port_line.format(port=self.port)
        self.config.write_text(
            # As whoever runs the test: it can read what the test writes.
            f"user {pwd.getpwuid(os.geteuid()).pw_name}\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\n"
            f"sys_interval 0\nlog_dest stderr\n{listener}\n{config}\n"
        )

    def start(self):
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-c", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = Deadline()
        while not self._listens():
            assert self.process.poll() is None and not deadline.passed(), self.log()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.02)
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def _listens(self):
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return owns_listener(self.process.pid, self.port)


def bridge(*ports, topics=("# both 2 l/ r/",), more=""):
    """A `[[bridge]]` to these ports."""
    addresses = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    lines = ", ".join(f"'{line}'" for line in topics)
    return (
        f'[[bridge]]\nname = "b"\naddresses = [{addresses}]\ntopics = [{lines}]\n'
        f'restart_first = "1s"\nrestart_longest = "1s"\n{more}\n'
    )


def until_connected(server, times=1):
    server.until_events("bridge connected", times)


def until_log(server, pattern):
    """Waits until a line of the log says it."""
    deadline = Deadline()
    while not re.search(pattern, server.log()):
        assert not deadline.passed(), server.log()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.02)


def taken_and_sent_again(log, client_id):
    """Identifiers that Mosquitto sends as new messages after it was told PUBREC: docs/bridges.md says
    when. No client can tell them from new ones."""
    received, again = set(), set()
    for line in log.splitlines():
        if found := re.search(rf"Received PUBREC from {client_id} \(Mid: (\d+)", line):
            received.add(found[1])
        elif found := re.search(rf"Received PUBCOMP from {client_id} \(Mid: (\d+)", line):
            received.discard(found[1])
        elif found := re.search(rf"Sending PUBLISH to {client_id} \(d1, q2, r0, m(\d+)", line):
            again |= {found[1]} & received
    return again


def restart(server):
    port = server.port
    server.kill()
    server.start(port=port)


def until(server, what):
    """Asks until it is so."""
    deadline = Deadline()
    while not (found := what()):
        assert not deadline.passed(), server.log()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(timeout=0.1)
    return found


def one(server):
    """What is known of the bridge."""
    return Steer(server)("bridges", "show", "b")
