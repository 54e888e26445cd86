"""Disks that fail: one that is small and real, and one that does what it is told."""

import contextlib
import errno
import fcntl
import os
import subprocess
from pathlib import Path

from .deadline import PATIENCE

SOURCE = Path(__file__).with_name("disk.c")


def build(folder):
    """Compiles the disk that does what it is told; returns the library."""
    library = folder / "disk.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", library, SOURCE], check=True, timeout=PATIENCE)
    return library


class ObedientDisk:
    """What disk.c says: it stands between a server (with `environment`) and its store."""

    def __init__(self, folder, library):
        self._folder = Path(folder)
        self._folder.mkdir()
        self._hold = self._folder / "hold"
        self._hold.touch()
        self.environment = {"LD_PRELOAD": str(library), "E2E_DISK": str(self._folder)}

    @contextlib.contextmanager
    def held(self):
        """No sync begins within; those that wait go on at the end."""
        with self._hold.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def fail_next(self, what):
        """The next `sync` or `write` fails with EIO, once."""
        (self._folder / f"eio-{what}").touch()

    @contextlib.contextmanager
    def read_only(self):
        """Nothing can be written within."""
        mark = self._folder / "readonly"
        mark.touch()
        yield
        mark.unlink()

    def count(self, what):
        """How often something happened: `synced`, `held`, `failed`."""
        path = self._folder / what
        return path.stat().st_size if path.exists() else 0


class NoMount(AssertionError):
    """This machine lets us mount nothing."""


class SmallDisk:
    """A file system of its own in memory: mounted by root, else in a namespace of our own. The
    server runs with `before`; `root` is where the disk is for us, `inside` where it is for the
    server."""

    def __init__(self, folder, size):
        self.inside = self.root = Path(folder)
        self.inside.mkdir()
        self.before, self._holder = [], None
        options = f"size={size},mode=0700"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.inside)]
        if not os.environ.get("E2E_NAMESPACE"):
            done = subprocess.run(mount, capture_output=True, text=True, timeout=PATIENCE)
            if done.returncode == 0:
                return
        self._mount_in_namespace(mount)

    def _mount_in_namespace(self, mount):
        script = '"$@" && echo mounted && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *mount],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = self._holder.stdout.readline()
        if said != b"mounted\n":
            self.close()
            raise NoMount(
                "these tests need a small file system: run them as root, or where a user may make"
                f" namespaces (unshare --user --mount): {said.decode().strip()}"
            )
        holder = str(self._holder.pid)
        self.before = ["nsenter", "--target", holder, "--user", "--mount"]
        self.before.append("--preserve-credentials")
        self.root = Path(f"/proc/{holder}/root{self.inside}")

    def remount(self, options):
        """Mounts it anew with other options, such as `ro`."""
        command = [*self.before, "mount", "-o", f"remount,{options}", str(self.inside)]
        subprocess.run(command, check=True, timeout=PATIENCE)

    def fill(self, leave=0):
        """Fills the disk but for `leave` bytes, whoever takes and gives back space meanwhile."""
        page = os.statvfs(self.root).f_frsize
        with (self.root / "ballast").open("ab") as ballast:
            while (free := os.fstatvfs(ballast.fileno()).f_bavail * page) > leave:
                try:
                    size = os.fstat(ballast.fileno()).st_size
                    os.posix_fallocate(ballast.fileno(), size, free - leave)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self):
        """Takes away what filled it."""
        (self.root / "ballast").unlink()

    def close(self):
        if self._holder is None:
            subprocess.run(["umount", self.inside], check=True, timeout=PATIENCE)
            return
        self._holder.stdin.close()
        self._holder.wait(PATIENCE)
        self._holder.stdout.close()


class DyingDisk:
    """A real file system (ext4 in a file) that meets an error and makes itself read-only, as
    one on a worn SD card does. `NoMount` where we may not mount it."""

    def __init__(self, folder, image, size=32 << 20):
        self.root = Path(folder)
        self.root.mkdir()
        with open(image, "wb") as file:
            file.truncate(size)
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", "-m", "0", image],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        self._image = image
        done = self._mount()
        if done.returncode:
            raise NoMount(done.stderr.strip())

    def _mount(self):
        command = ["mount", "-o", "loop,errors=remount-ro", self._image, self.root]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    def die(self):
        """The error: from now on all is read-only, open files too."""
        device = os.stat(self.root).st_dev
        name = Path(os.readlink(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")).name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("a test of Nightjar")

    def repair(self):
        """Unmounts, checks and mounts it again, which needs it unused."""
        self.close()
        # 1: errors were corrected.
        done = subprocess.run(["fsck.ext4", "-p", self._image], capture_output=True, timeout=60)
        assert done.returncode in (0, 1), done.stdout
        done = self._mount()
        assert done.returncode == 0, done.stderr

    def close(self):
        subprocess.run(["umount", self.root], check=True, timeout=PATIENCE)
