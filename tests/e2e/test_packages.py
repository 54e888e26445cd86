"""What is installed: the Debian package, and the unit in it."""

import os
import subprocess
from pathlib import Path

from harness.server import binary

PROJECT = Path(__file__).resolve().parents[2]


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_package_brings_what_its_unit_starts(tmp_path):
    packed = run(
        PROJECT / "deploy/deb/build",
        binary(),
        tmp_path,
        env={**os.environ, "COMPRESSION": "none"},
    ).strip()
    field = run("dpkg-deb", "--field", packed).splitlines()
    version = run(binary(), "--version").split()[1]
    assert f"Version: {version}" in field
    assert any(line.startswith("Depends: libc6 (>= 2.") for line in field)

    root = tmp_path / "root"
    run("dpkg-deb", "--extract", packed, root)
    unit = (root / "usr/lib/systemd/system/nightjar.service").read_text()
    lines = [line for line in unit.splitlines() if line.startswith("Exec")]
    assert [line.split("=")[0] for line in lines] == ["ExecStartPre", "ExecStart", "ExecReload"]
    # What the unit does, with the files of the package.
    for line in lines[:1]:
        words = line.split("=", 1)[1].split()
        assert words[0] == "/usr/bin/nightjar"
        assert words[-1] == "/etc/nightjar/nightjar.toml"
        found = run(
            root / words[0][1:], *words[1:-1], root / words[-1][1:], "--data-dir", tmp_path / "data"
        )
        assert "would listen on 127.0.0.1:1883" in found
    for name in ("nightjar.1.gz", "nightjar-sub.1.gz"):
        assert (root / "usr/share/man/man1" / name).stat().st_size > 500, name
    assert (root / "usr/share/doc/nightjar/copyright").exists()
    assert (root / "etc/nightjar/nightjar.toml").stat().st_mode & 0o777 == 0o640

    run("dpkg-deb", "--control", packed, tmp_path / "control")
    assert (tmp_path / "control/conffiles").read_text() == "/etc/nightjar/nightjar.toml\n"
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", tmp_path / "control" / script)


def test_the_package_s_examples_are_taken_as_they_stand(tmp_path):
    """What its configuration shows behind comment signs, with its password file."""
    passwords = tmp_path / "passwords"
    run(binary(), "passwd", "-b", "-c", passwords, "pump-7", "a password")
    shown = (PROJECT / "deploy/deb/nightjar.toml").read_text().split("NAME\n", 1)[1]
    lines = [line.removeprefix("# ").removeprefix("#") for line in shown.splitlines()[1:]]
    text = "\n".join(lines).replace("/etc/nightjar/passwords", str(passwords))
    config = tmp_path / "nightjar.toml"
    config.write_text(text)
    found = run(binary(), "check", "--config", config, "--data-dir", tmp_path / "data")
    assert "[::]:1883" in found


def test_the_container_s_configuration_lets_nobody_in_by_default(tmp_path):
    found = run(
        binary(),
        "check",
        "--config",
        PROJECT / "deploy/container/nightjar.toml",
        "--data-dir",
        tmp_path / "data",
    )
    assert "[::]:1883" in found
