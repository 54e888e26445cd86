"""Debian's Mosquitto and Nightjar, each started with the same configuration of Mosquitto."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess

from .deadline import Deadline
from .pki import Authority
from .server import DRAIN, PANIC, binary, free_port, owns_listener

#: How many ports a case can name: @1@ and so on.
PORTS = 4


class Case:
    """A folder of configuration files, copied to where both servers can read it, with free ports
    and the folder itself put in."""

    def __init__(self, source, folder):
        self.folder = folder
        shutil.copytree(source, folder, dirs_exist_ok=True)
        (folder / "data").mkdir()
        self.ports = [free_port("127.0.0.1") for _ in range(PORTS)]
        self.authority = None
        self.texts = {
            path: path.read_text() for path in folder.rglob("*") if path.is_file()
        }
        if any("@CA@" in text for text in self.texts.values()):
            self._certify()
        self._passwords()
        self.doors = [
            folder / "mqtt.sock" if "listener 0 @DIR@/mqtt.sock" in self._main() and at == 3
            else port
            for at, port in enumerate(self.ports)
        ]
        for path, text in self.texts.items():
            path.write_text(self._filled(text))
        self._give_away()

    def fresh(self):
        """Empties the folder for what a server keeps."""
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()
        self._give_away()

    def new_ports(self):
        """Other ports, after another program was faster."""
        self.ports[:] = [free_port("127.0.0.1") for _ in range(PORTS)]
        self.doors[:] = [
            port if isinstance(door, int) else door
            for door, port in zip(self.doors, self.ports)
        ]
        for path, text in self.texts.items():
            path.write_text(self._filled(text))

    @property
    def config(self):
        return self.folder / "mosquitto.conf"

    def open_ports(self):
        """The ports that listeners have; the first at least."""
        said = "\n".join(
            text for path, text in self.texts.items() if path.suffix == ".conf"
        )
        named = {int(found) for found in re.findall(r"^(?:listener|port) @(\d)@", said, re.M)}
        return [self.ports[number - 1] for number in sorted(named | {1})]

    def _main(self):
        return self.texts[self.config]

    def _filled(self, text):
        for number, port in enumerate(self.ports, 1):
            text = text.replace(f"@{number}@", str(port))
        text = text.replace("@DIR@", str(self.folder))
        return text.replace("@CA@", str(self.folder / "ca"))

    def _certify(self):
        self.authority = Authority(self.folder / "ca")
        names = ("127.0.0.1", "localhost")
        self.authority.issued = {"server": self.authority.issue("server", names=names)}
        for name in ("pump-7", "intruder"):
            self.authority.issued[name] = self.authority.issue(name, client=True)
        self.authority.revoke(self.authority.issued["intruder"])

    def _passwords(self):
        """Files `*.plain` hold names and passwords; mosquitto_passwd makes what servers read."""
        for path in [path for path in self.texts if path.suffix == ".plain"]:
            hashed = path.with_suffix("")
            hashed.write_text(self.texts.pop(path))
            path.unlink()
            subprocess.run(["mosquitto_passwd", "-U", hashed], check=True, capture_output=True)

    def _give_away(self):
        """Mosquitto gives root up; it reads what belongs to its own user."""
        if os.geteuid() == 0:
            user = pwd.getpwnam("mosquitto")
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, user.pw_uid, user.pw_gid)


class Broker:
    """A server with a case's configuration."""

    def __init__(self, case, name):
        self.case, self.doors, self.name = case, case.doors, name
        self.log_path = case.folder / f"{name}.log"
        self.process = None

    def start(self):
        for _ in range(5):
            self._launch()
            if self._listens():
                return self
            self.stop_process()
            self.case.new_ports()
        raise AssertionError(f"{self.name} does not start:\n{self.log()}")

    def restart(self):
        self.stop()
        self._launch()
        assert self._listens(), self.log()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def until(self, words):
        """Waits until its log has these words."""
        deadline = Deadline()
        while words not in self.log():
            assert not deadline.passed(), f"no {words!r}:\n{self.log()}"
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.02)

    def stop(self):
        self.stop_process()
        assert not PANIC.search(self.log()), self.log()

    def stop_process(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DRAIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _launch(self):
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.case.folder, env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )

    def environment(self):
        return {}

    def _listens(self):
        """Whether it serves: its ports take connections, and are its own."""
        deadline = Deadline()
        while not deadline.passed():
            if self._accepts():
                return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.02)
                return False
        return False

    def _accepts(self):
        for door in self.case.open_ports():
            try:
                socket.create_connection(("127.0.0.1", door), 1).close()
            except OSError:
                return False
            if not owns_listener(self.process.pid, door):
                return False
        return True


class Mosquitto(Broker):
    def __init__(self, case):
        super().__init__(case, "mosquitto")

    def command(self):
        command = [shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin") or "mosquitto"]
        command += ["-c", self.case.config]
        return command + (self.case.arguments if hasattr(self.case, "arguments") else [])


class Nightjar(Broker):
    def __init__(self, case):
        super().__init__(case, "nightjar")

    def command(self):
        return [binary(), "-c", self.case.config, *getattr(self.case, "arguments", [])]

    def environment(self):
        # One worker, so that what one client said before another is done before it. The data folder
        # is where nobody else's is, unless the configuration names one.
        return {
            "NIGHTJAR__DASHBOARD__ENABLED": "false",
            "NIGHTJAR__WORKERS": "1",
            "XDG_DATA_HOME": str(self.case.folder / "data"),
        }
