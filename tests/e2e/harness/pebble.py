"""Pebble, the small ACME authority of Let's Encrypt for tests: a real process, with an authority of
the tests' own behind its HTTPS, and a DNS to which every name is this machine."""

import json
import os
import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

from .deadline import Deadline
from .pki import Authority
from .server import free_port

HOST = "127.0.0.1"


class Pebble:
    """Asks names at `http_port` and signs for `validity` seconds. It keeps nothing."""

    def __init__(self, folder, validity):
        self.folder = Path(folder)
        self.http_port = free_port(HOST)
        self._port, self._management = free_port(HOST), free_port(HOST)
        own = Authority(self.folder / "pki", "Pebble's own")
        issued = own.issue("pebble", names=["localhost", HOST])
        self.ca = own.file
        self._context = ssl.create_default_context(cafile=str(own.file))
        self.directory = f"https://{HOST}:{self._port}/dir"
        config = {
            "listenAddress": f"{HOST}:{self._port}",
            "managementListenAddress": f"{HOST}:{self._management}",
            "certificate": str(issued.file),
            "privateKey": str(issued.key_file),
            "httpPort": self.http_port,
            "tlsPort": free_port(HOST),
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "Short.", "validityPeriod": validity}},
        }
        self._config = self.folder / "config.json"
        self._config.write_text(json.dumps({"pebble": config}))
        self._log = self.folder / "pebble.log"
        self._processes = []

    def __enter__(self):
        dns = free_port(HOST)
        nowhere = [f"-{service}=" for service in ("doh", "http01", "https01", "tlsalpn01")]
        management = f"-management={HOST}:{free_port(HOST)}"
        answers = [f"-dnsserver={HOST}:{dns}", f"-defaultIPv4={HOST}", "-defaultIPv6="]
        self._launch("pebble-challtestsrv", management, *answers, *nowhere)
        self._launch("pebble", "-config", self._config, "-dnsserver", f"{HOST}:{dns}")
        self._until(lambda: socket.create_connection((HOST, dns), timeout=1).close())
        self._until(lambda: self._get(self._port, "/dir"))
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
            process.wait()

    def _launch(self, program, *arguments):
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [Path(os.environ["PEBBLE_BIN"]) / program, *arguments],
                env={**os.environ, "PEBBLE_VA_NOSLEEP": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)

    def _until(self, works):
        """Tries until it does."""
        deadline = Deadline()
        while True:
            try:
                return works()
            except OSError:
                for process in self._processes:
                    assert process.poll() is None, self._log.read_text()
                assert not deadline.passed(), self._log.read_text()

    def root(self):
        """The root of what it signs, PEM; another one for each process."""
        return self._get(self._management, "/roots/0")

    def _get(self, port, path):
        url = f"https://{HOST}:{port}{path}"
        with urllib.request.urlopen(url, context=self._context, timeout=10) as answer:
            return answer.read().decode()
