"""The server under test: a process of our own, or one that already runs elsewhere."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from .deadline import Deadline

ROOT = Path(__file__).resolve().parents[3]

#: What a panic of a thread looks like in the log, whatever the thread.
PANIC = re.compile(r"panicked at|\bpanic\b", re.IGNORECASE)

#: Seconds from SIGTERM to the end of the process.
DRAIN = 30


def binary():
    """The program under test: NIGHTJAR_BIN, else the newest build of this checkout."""
    named = os.environ.get("NIGHTJAR_BIN")
    if named:
        return Path(named)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [p for p in (target / "release/nightjar", target / "debug/nightjar") if p.exists()]
    if not built:
        raise FileNotFoundError("no nightjar binary; build it or set NIGHTJAR_BIN")
    return max(built, key=lambda path: path.stat().st_mtime)


class ServerEnded(Exception):
    """The process ended before it served."""


class External:
    """A server that somebody else runs (MQTT_E2E_ADDRESS); never started or stopped here."""

    owned = False

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    def stop(self):
        """Leaves the server alone."""


class Server:
    """One `nightjar serve` on a free port of the loopback interface, in its own directory.

    `config` is the text of its configuration file. `listeners` are further lines for one
    `[[listener]]` each; `door(n)` is then where the n-th of them listens. `environment` is added
    to ours, `data_dir` takes the place of a folder below `directory`, `log` (a file) that of the
    log file, and `before` is a command that runs the server, such as unshare's."""

    owned = True

    def __init__(
        self,
        directory,
        host="127.0.0.1",
        *,
        config="",
        listeners=None,
        environment=None,
        data_dir=None,
        log=None,
        before=(),
    ):
        self.directory = Path(directory)
        self.host = host
        self.port = None
        self.process = None
        self.config, self.listeners = config, listeners
        self.environment = environment or {}
        self.data_dir = Path(data_dir) if data_dir else self.directory / "data"
        self.log_path = self.directory / "server.log"
        self.log_file, self.before = log, list(before)
        self._doors = []

    @property
    def store(self):
        """The folder of the store."""
        return self.data_dir / "store"

    def door(self, number):
        """Where the `number`-th of `listeners` listens, for a client to connect to."""
        return Door(self.host, self._doors[number])

    def start(self, attempts=5, port=None):
        """Starts the process and returns once it accepts connections. A free port may be
        taken by another process before ours binds it, so the start is tried again; not so
        when the caller wants it on `port`."""
        for _ in range(attempts if port is None else 1):
            self.port = free_port(self.host) if port is None else port
            self.launch(self.port)
            try:
                self._wait_until_listening()
                return self
            except ServerEnded:
                self.process = None
        raise ServerEnded(f"no start in {attempts} attempts:\n{self.log()}")

    def launch(self, port):
        """Starts the process on `port` without waiting for it."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [*self.before, binary(), "serve", "--data-dir", self.data_dir]
        if self.listeners is None:
            command += ["--listen", address(self.host, port)]
        if self.config or self.listeners is not None:
            command += ["--config", self._write_config(port)]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.directory,
                # Its usual port is one for all servers of a machine.
                env={
                    "NIGHTJAR__DASHBOARD__ENABLED": "false",
                    **os.environ,
                    **self.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=self.log_file or log,
                stderr=self.log_file or log,
            )

    def _write_config(self, port):
        text = self.config
        self._doors = []
        for number, lines in enumerate(self.listeners or []):
            self._doors.append(port if number == 0 else free_port(self.host))
            text += f'\n[[listener]]\naddress = "{address(self.host, self._doors[-1])}"\n{lines}\n'
        path = self.directory / "nightjar.toml"
        path.write_text(text)
        return path

    def restart(self, port=None):
        """Starts again on the same data directory, after `stop` or `kill`. Returns the seconds
        until it served."""
        begun = time.monotonic()
        self.start(port=port)
        return time.monotonic() - begun

    def _wait_until_listening(self):
        deadline = Deadline()
        while not deadline.passed():
            if self._accepts() and owns_listener(self.process.pid, self.port):
                return
            try:
                code = self.process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
            raise ServerEnded(f"exit code {code}:\n{self.log()}")
        self.kill()
        raise TimeoutError(f"the server did not listen in time:\n{self.log()}")

    def _accepts(self):
        try:
            with socket.create_connection((self.host, self.port), timeout=1):
                return True
        except OSError:
            return False

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=DRAIN):
        """Waits for the end of the process and returns its exit code."""
        return self.process.wait(timeout=seconds)

    def stop(self):
        """Ends the server by SIGTERM and judges its end and its log."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {DRAIN} s of SIGTERM:\n{self.log()}") from None
        self.process = None
        assert code == 0, f"exit code {code} after SIGTERM:\n{self.log()}"
        self.assert_no_panic()

    def kill(self):
        """Ends the server at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def events(self, message):
        """The log's objects with this message, oldest first."""
        found = []
        for line in self.log().splitlines():
            if message in line and line.startswith("{"):
                event = json.loads(line)
                if event.get("message") == message:
                    found.append(event)
        return found

    def until_events(self, message, count=1):
        """As `events`, once there are `count` of them: the log is written behind the server."""
        deadline = Deadline()
        while len(found := self.events(message)) < count:
            assert not deadline.passed(), f"no {message!r}:\n{self.log()}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.02)
        return found

    def ended_by_itself(self, seconds=DRAIN):
        """Waits for an end that the server chose itself, and returns its exit code."""
        code = self.wait(seconds)
        self.process = None
        return code

    def assert_no_panic(self):
        log = self.log()
        assert not PANIC.search(log), f"the server panicked:\n{log}"


class Door:
    """A host and a port to connect to."""

    def __init__(self, host, port):
        self.host, self.port = host, port


def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def free_port(host):
    """A port that was free a moment ago, chosen by the system."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def lasting_port(host):
    """A free port below those that the system hands out to clients: nobody takes it while the
    server restarts, and no client that tries to connect meanwhile meets itself there."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(1024, low)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port


def owns_listener(pid, port):
    """Whether the process itself listens on `port`: another one may have taken it."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            listening = fields[3] == "0A"
            if listening and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    try:
        links = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return False  # The process has ended, or closed the file between the two looks.
    return bool(inodes & links)
