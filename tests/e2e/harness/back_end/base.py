"""What real back ends have in common: a server on a free port, in a folder that goes with it."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from ..deadline import Deadline
from ..pki import Authority
from ..server import ROOT, lasting_port

HOST = "localhost"
PASSWORD = "p4ss-of-nightjar"
DOCUMENT = ROOT / "docs/authentication.md"


def example(title, language):
    """The first block in this language below a heading of the document."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.M | re.S)
    return re.search(rf"^```{language}\n(.*?)^```", section[1], re.M | re.S)[1]


class User:
    """Who is to be in a back end. Rules are (permission, action, topic)."""

    def __init__(self, name, password, *, superuser=False, groups=(), rules=()):
        self.name, self.password, self.superuser = name, password, superuser
        self.groups, self.rules = list(groups), list(rules)


class BackEnd:
    """One server. Its kind says how it is started, filled and asked."""

    title = None
    #: Whether it has groups, rules, rules that deny.
    has_groups = has_rules = has_denials = True
    #: Who may be its owner where the tests are root's: such a server refuses to be root's.
    owner = None

    def __init__(self):
        self.port, self.tls_port = lasting_port("127.0.0.1"), None
        self.folder = Path(tempfile.mkdtemp(prefix="nightjar-"))
        self.authority = Authority(self.folder / "tls")
        self.certificate = self.authority.issue(HOST, names=[HOST])
        self.process = None
        try:
            self.prepare()
            self.own(self.folder)
            self.start()
            self.fill()
        except BaseException:
            self.close()
            raise

    def own(self, path):
        """Gives a folder to the server's own user."""
        self.folder.chmod(0o711)
        if self.owner and os.geteuid() == 0:
            owner = pwd.getpwnam(self.owner)
            for one in [path, *path.rglob("*")]:
                os.chown(one, owner.pw_uid, owner.pw_gid)

    def run(self, command, **options):
        """Runs a tool of the server to its end."""
        options = {"capture_output": True, "text": True, "timeout": 60, **options}
        done = subprocess.run([*self.before(), *command], cwd=self.folder, **options)
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def before(self):
        """What makes a command run as the server's own user."""
        if not self.owner or os.geteuid() != 0:
            return []
        owner = pwd.getpwnam(self.owner)
        return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before(), *self.command()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = Deadline(60)
        while not self.answers():
            text = (self.folder / "log").read_text(errors="replace")[-3000:]
            assert self.process.poll() is None, f"{self.command()[0]} ended:\n{text}"
            assert not deadline.passed(), f"{self.command()[0]} does not answer:\n{text}"
            try:
                self.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                pass

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def stop(self):
        """Ends it at once; what it was told is still there when it starts again."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        """Lets it say nothing more, as a machine that hangs would."""
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def signal(self, number):
        """To the server and to the processes that serve its connections."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)

    def close(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.stop()
            self.process = None
        shutil.rmtree(self.folder)

    def config(self, *, tls=False, ca=None, **keys):
        """The example of the document, for this server."""
        text = example(self.title, "toml")
        text = re.sub(r'^url = .*$', f'url = "{self.url(tls)}"', text, flags=re.M)
        ca = f'ca = "{ca or self.authority.file}"' if tls else ""
        text = re.sub(r'^ca = .*$', ca, text, flags=re.M)
        text = text.replace("${LDAP_PASSWORD}", PASSWORD)
        more = "".join(f"{key} = {value}\n" for key, value in keys.items())
        return text.replace("[[authentication]]\n", f"[[authentication]]\n{more}", 1)
