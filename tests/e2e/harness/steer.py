"""The commands that ask a running server, as a person or a script gives them."""

import contextlib
import json
import os
import socket
import subprocess

from .deadline import PATIENCE, Deadline
from .server import binary


class Told(Exception):
    """The command failed, and said this."""


class Steer:
    """Commands for one server, by its data folder."""

    def __init__(self, server, before=()):
        self.server, self.before = server, list(before)

    def text(self, *words, stdin=""):
        """What a person reads."""
        self._until_open()
        command = [*self.before, binary(), *words, "--data-dir", self.server.data_dir]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=self.server.directory,
            check=False,
        )
        if done.returncode != 0:
            raise Told(done.stderr.strip())
        return done.stdout

    def _until_open(self):
        """A server opens its control socket after its listeners, and then says that it serves."""
        process, deadline = self.server.process, Deadline(5)
        while process is not None and process.poll() is None and not deadline.passed():
            if self._is_open():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.02)

    def _is_open(self):
        socket_path = self.server.data_dir / "control.sock"
        if not socket_path.exists():
            # It may have none.
            return "serving" in self.server.log()
        # One that was killed leaves the file. By the folder's descriptor, because a socket's path
        # must be short.
        folder = os.open(self.server.data_dir, os.O_RDONLY)
        try:
            with socket.socket(socket.AF_UNIX) as knock:
                knock.connect(f"/proc/self/fd/{folder}/control.sock")
        except OSError:
            return False
        finally:
            os.close(folder)
        return True

    def __call__(self, *words, stdin=""):
        """What a script reads."""
        answer = self.text(*words, "--json", stdin=stdin)
        return json.loads(answer) if answer else None

    def user(self, name, password, *words):
        return self("user", "add", name, *words, stdin=f"{password}\n")

    def explain(self, client, action, topic=None, **options):
        words = ["explain", "--client", client, "--action", action]
        words += ["--topic", topic] if topic else []
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        return self(*words)
