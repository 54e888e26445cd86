"""The commands that ask a running server, as a person or a script gives them."""

import json
import subprocess

from .deadline import PATIENCE
from .server import binary


class Told(Exception):
    """The command failed, and said this."""


class Steer:
    """Commands for one server, by its data folder."""

    def __init__(self, server, before=()):
        self.server, self.before = server, list(before)

    def text(self, *words, stdin=""):
        """What a person reads."""
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
