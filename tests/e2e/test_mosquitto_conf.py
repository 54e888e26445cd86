"""Configurations of Mosquitto as people write them: Debian's Mosquitto and Nightjar are started with
each in turn, and the same scene gives the same answers, or the difference is a documented one."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import scene
from harness.deadline import Deadline
from harness.mosquitto import Case, Mosquitto, Nightjar
from harness.server import ROOT, binary

CASES = sorted(path for path in (Path(__file__).parent / "mosquitto_conf").iterdir())
DOCS = ROOT / "docs/migrating-from-mosquitto.md"


@pytest.fixture
def folder():
    """One that Mosquitto can read after it gave root up."""
    path = Path(tempfile.mkdtemp(prefix="mosquitto-conf-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def own_servers():
    if os.environ.get("MQTT_E2E_ADDRESS"):
        pytest.skip("starts servers of its own; MQTT_E2E_ADDRESS names somebody else's")


def play(broker, steps):
    """Each step with its answer."""
    broker.start()
    stage = scene.Stage(broker, broker.case.authority)
    try:
        return [(step.said, stage.play(step.said)) for step in steps]
    finally:
        stage.end()
        broker.stop()


def prepared(source, folder):
    case = Case(source, folder)
    arguments = source / "arguments"
    if arguments.exists():
        case.arguments = case._filled(arguments.read_text()).split()
    return case


def with_users(folder):
    """The case that has users, an acl_file and a listener that is open to all."""
    source = next(path for path in CASES if path.name.endswith("acl-with-patterns"))
    return prepared(source, folder)


@pytest.mark.parametrize("source", CASES, ids=lambda path: path.name)
def test_the_same_scene_gives_the_same_answers(source, folder):
    steps = scene.read(source / "scene")
    case = prepared(source, folder)
    by_mosquitto = play(Mosquitto(case), steps)
    case.fresh()
    by_nightjar = play(Nightjar(case), steps)
    text = "\n".join(
        f"{said} => {one}" + ("" if one == other else f"\n  nightjar => {other}")
        for (said, one), (_, other) in zip(by_mosquitto, by_nightjar)
    )
    assert by_mosquitto == [(step.said, step.mosquitto) for step in steps], text
    assert by_nightjar == [(step.said, step.nightjar) for step in steps], text


def test_there_are_enough_cases():
    assert len(CASES) >= 20


def test_each_difference_is_documented():
    text = re.sub(r"\s+", " ", DOCS.read_text())
    for source in CASES:
        for step in scene.read(source / "scene"):
            if step.why is not None:
                assert step.why in text, f"{source.name}: {step.said}: {step.why}"


@pytest.mark.parametrize("source", CASES, ids=lambda path: path.name)
def test_what_migrate_prints_is_taken_and_says_the_same(source, folder):
    case = prepared(source, folder)
    environment = {**os.environ, "XDG_DATA_HOME": str(folder / "data")}

    def nightjar(*arguments):
        done = subprocess.run([binary(), *arguments], cwd=folder, env=environment,
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    toml = folder / "nightjar.toml"
    # A password is not shown: whoever moves puts it in.
    toml.write_text(nightjar("migrate", case.config).replace('"…"', '"pa55word"'))
    shown = [nightjar("check", "--print", "-c", path) for path in (case.config, toml)]
    assert shown[0] == shown[1]


def test_a_signal_reads_the_files_again(folder):
    """SIGHUP: another acl_file acts on who is connected; a broken one changes nothing."""
    case = with_users(folder)
    nightjar = Nightjar(case).start()
    stage = scene.Stage(nightjar, None)
    acl = folder / "acl"
    before = acl.read_text()
    try:
        assert stage.play("eve connect v5 user=eve password=e") == "0"
        assert stage.play("eve publish news/x 1 1") == "135"
        acl.write_text(before.replace("topic deny #", "topic news/#"))
        nightjar.reload()
        nightjar.until("configuration taken over")
        assert stage.play("eve subscribe news/# 0") == "0"
        deadline = Deadline()
        while stage.play("eve publish news/x 1 1") != "0":
            assert not deadline.passed(), nightjar.log()
        assert stage.play("eve hear") == "news/x=1/0"
        acl.write_text("topci news/#\n")
        nightjar.reload()
        nightjar.until("configuration not taken over")
        assert stage.play("eve publish news/x 2 1") == "0"
    finally:
        stage.end()
        nightjar.stop()


@pytest.mark.parametrize("make", [Mosquitto, Nightjar])
def test_a_signal_puts_out_who_could_not_come_in_again(make, folder):
    """SIGHUP: who came in without a name, and whose password is another one now."""
    case = with_users(folder)
    server = make(case).start()
    stage = scene.Stage(server, None)
    try:
        for who in ("anon", "eve user=eve password=e", "bob user=bob password=b"):
            name, *rest = who.split()
            assert stage.play(" ".join([name, "connect", *rest])) == "0"
        users = folder / "users"
        owner = users.stat()
        subprocess.run(["mosquitto_passwd", "-b", users, "eve", "new"], check=True)
        os.chown(users, owner.st_uid, owner.st_gid)
        config = folder / "mosquitto.conf"
        config.write_text(config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
        server.reload()
        deadline = Deadline()
        while {stage.play(f"{who} hear") for who in ("anon", "eve")} != {"closed"}:
            assert not deadline.passed(), server.log()
        assert stage.play("bob hear") == "-"
        assert stage.play("eve connect user=eve password=e") != "0"
        assert stage.play("eve connect user=eve password=new") == "0"
    finally:
        stage.end()
        server.stop()


@pytest.mark.parametrize("user", [None, "nobody", "root"])
def test_root_becomes_the_user_of_the_file(user, folder):
    """All threads, for good, with none of root's groups; whoever else starts it stays who he is."""
    case = with_users(folder)
    (folder / "users").chmod(0o644)
    if user is not None:
        case.texts[case.config] += f"user {user}\n"
        case.config.write_text(case._filled(case.texts[case.config]))
    expected = pwd.getpwnam(user or "mosquitto") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    nightjar = Nightjar(case).start()
    try:
        threads = list(Path(f"/proc/{nightjar.process.pid}/task").iterdir())
        assert len(threads) > 3
        for thread in threads:
            status = dict(
                line.split(":\t", 1) for line in (thread / "status").read_text().splitlines()
            )
            assert status["Uid"].split() == [str(expected.pw_uid)] * 4
            assert status["Gid"].split() == [str(expected.pw_gid)] * 4
            if expected.pw_uid != 0 and os.geteuid() == 0:
                assert "0" not in status["Groups"].split()
                assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        says = "runs as root and stays it" in nightjar.log()
        assert says == (expected.pw_uid == 0)
        # It finds its files again, and is the same to who reads them.
        nightjar.reload()
        nightjar.until("nothing has changed")
    finally:
        nightjar.stop()


def test_s59_a_file_that_was_cut_off_opens_nothing_at_a_reload(folder):
    """An empty mosquitto.conf means local only mode at a start, and is refused at a reload."""
    case = with_users(folder)
    nightjar = Nightjar(case).start()
    stage = scene.Stage(nightjar, None)
    try:
        (folder / "mosquitto.conf").write_text("")
        nightjar.reload()
        nightjar.until("defines no listener any more")
        assert stage.play("eve connect v5 user=eve password=e") == "0"
        nightjar.process.send_signal(signal.SIGUSR1)
        nightjar.until("SIGUSR1")
        nightjar.process.send_signal(signal.SIGUSR2)
        nightjar.until("SIGUSR2")
        assert stage.play("bob connect v5 user=bob password=wrong") != "0"
    finally:
        stage.end()
        nightjar.stop()


def test_a_bridge_is_started_and_its_password_not_told(folder):
    case = prepared(next(path for path in CASES if "bridge" in path.name), folder)
    nightjar = Nightjar(case).start()
    # Nobody is at the other side.
    nightjar.until("bridge not connected")
    nightjar.stop()
    assert "pa55word" not in nightjar.log()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listener 1883\nallow_anonymus true\n", ":2:1: unknown option allow_anonymus; did you mean"),
        ("listener 1883\npsk_hint hint\n", ":2:1: psk_hint: TLS with pre-shared keys"),
        ("listener 1883\nacl_file /nowhere\n", "/nowhere: cannot be read"),
        ("plugin /usr/lib/mosquitto_go_auth.so\n", ":1:1: plugin: plugins are libraries"),
        ("allow_anonymous maybe\n", ':1:1: allow_anonymous: "maybe" is neither true nor false'),
    ],
)
def test_a_start_that_cannot_be_honoured_is_refused_with_its_place(folder, text, told):
    config = folder / "mosquitto.conf"
    config.write_text(text)
    for command in (["-c", config], ["check", "-c", config], ["migrate", config]):
        done = subprocess.run([binary(), *command], capture_output=True, text=True, timeout=30,
                              env={**os.environ, "XDG_DATA_HOME": str(folder)}, check=False)
        assert done.returncode == 1, done
        assert told in done.stderr, done.stderr
    toml = folder / "nightjar.toml"
    done = subprocess.run([binary(), "migrate", config, "--output", toml], capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 1
    assert not toml.exists()
    config.write_text("listener 1883\n")
    subprocess.run([binary(), "migrate", config, "--output", toml], timeout=30, check=True)
    assert "1883" in toml.read_text()
