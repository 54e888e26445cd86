"""dynamic-security.json of Debian's Mosquitto becomes users, groups and roles: the same questions get the
same answers from both."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.mosquitto import Case, Mosquitto, Nightjar
from harness.raw import (
    CONNACK,
    PUBACK,
    PUBLISH,
    SUBACK,
    Raw,
    connect,
    publish,
    published,
    subscribe,
    text,
)
from harness.server import binary

CONFIGURATION = Path(__file__).parent / "mosquitto_dynsec"
PLUGIN = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"), None)

#: What mosquitto_ctrl is told: roles with priorities that decide, groups, a default.
COMMANDS = """
createRole alarms
addRoleACL alarms publishClientSend plant/alarm deny 10
addRoleACL alarms publishClientReceive plant/quiet deny 0
createRole plant
addRoleACL plant publishClientSend plant/# allow 0
addRoleACL plant publishClientSend plant/+/lock deny 5
addRoleACL plant publishClientSend plant/1/lock allow 9
addRoleACL plant subscribePattern plant/# allow 0
addRoleACL plant subscribeLiteral plant/+/only deny 0
createRole reader
addRoleACL reader subscribeLiteral news/+ allow 0
addRoleACL reader subscribePattern info/# allow -2
addRoleACL reader subscribePattern info/hidden/# deny -5
addRoleACL reader publishClientSend from/reader allow 0
createGroup crew
addGroupRole crew plant 3
createGroup readers
addGroupRole readers reader
createClient ann -p a
addClientRole ann alarms 9
addGroupClient crew ann
addGroupClient readers ann 7
createClient bob -p b
addGroupClient readers bob
createClient gone -p g
addGroupClient readers gone
disableClient gone
createClient only -p o -c this-one
"""

#: Who asks what: `publish` and `subscribe`, with the topic.
QUESTIONS = [
    (name, verb, topic)
    for name in ("ann", "bob")
    for verb, topics in (
        ("publish", "plant/alarm plant/1 plant/1/lock plant/2/lock other from/reader from/reader/x"),
        (
            "subscribe",
            "plant/# plant/1 plant/+/only plant/1/only # + news/+ news/1 news/# info info/# info/1 "
            "info/hidden info/hidden/x info/+/x $SYS/# other/# from/reader",
        ),
    )
    for topic in topics.split()
]


@pytest.fixture(autouse=True)
def own_servers():
    if os.environ.get("MQTT_E2E_ADDRESS"):
        pytest.skip("starts servers of its own; MQTT_E2E_ADDRESS names somebody else's")


@pytest.fixture
def case(tmp_path_factory):
    assert PLUGIN is not None, "Debian's package mosquitto has the plugin"
    path = Path(tempfile.mkdtemp(prefix="mosquitto-dynsec-"))
    path.chmod(0o755)
    source = tmp_path_factory.mktemp("dynsec")
    text = (CONFIGURATION / "mosquitto.conf").read_text().replace("@PLUGIN@", str(PLUGIN))
    (source / "mosquitto.conf").write_text(text)
    case = Case(source, path)
    control(case, "init", str(path / "dynamic-security.json"), "admin", "secret", local=True)
    case._give_away()
    yield case
    shutil.rmtree(path)


def control(case, *words, local=False):
    where = [] if local else ["-h", "127.0.0.1", "-p", str(case.ports[0]), "-u", "admin", "-P", "secret"]
    done = subprocess.run(
        ["mosquitto_ctrl", *where, "dynsec", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "Error" not in done.stdout + done.stderr, (words, done)
    return done.stdout


class Client(Raw):
    """One of 5.0 that says who it is."""

    def __init__(self, case, name, client_id=None):
        super().__init__(SimpleNamespace(host="127.0.0.1", port=case.ports[0]))
        tail = text(name) + text(name[0])
        self.send(connect(client_id or f"id-{name}", flags=0xC2, tail=tail))
        kind, _, body = self.packet()
        assert kind == CONNACK
        self.code = body[1]

    def asks(self, verb, topic):
        """Whether it may."""
        if verb == "publish":
            self.send(publish(topic, b"x", 1, 7))
            kind, _, body = self.packet()
            assert kind == PUBACK
            return len(body) < 3 or body[2] < 0x80
        self.send(subscribe(8, topic, 0))
        while (packet := self.packet())[0] == PUBLISH:
            pass
        assert packet[0] == SUBACK
        return packet[2][-1] < 0x80


def answers(case):
    found = {}
    for name, verb, topic in QUESTIONS:
        # A connection for each, so that no answer has to do with another.
        with Client(case, name) as client:
            assert client.code == 0
            found[name, verb, topic] = client.asks(verb, topic)
    with Client(case, "gone") as gone:
        found["gone"] = gone.code == 0
    for client_id in ("this-one", "other-one"):
        with Client(case, "only", client_id) as only:
            found[client_id] = only.code == 0
    # What a wide subscription brings: quiet things are not received by those who have the role.
    with Client(case, "ann") as ann, Client(case, "ann", "other") as other:
        assert ann.asks("subscribe", "plant/#")
        for topic in ("plant/quiet", "plant/loud"):
            other.send(publish(topic, b"x"))
        kind, flags, body = ann.packet()
        assert kind == PUBLISH
        found["first"] = published(flags, body)[0]
    return found


def migrate(case):
    return subprocess.run(
        [binary(), "migrate", "--from-dynsec", case.folder / "dynamic-security.json", "-c",
         case.config],
        cwd=case.folder, capture_output=True, text=True, check=False,
    )


def test_the_same_questions_get_the_same_answers(case):
    mosquitto = Mosquitto(case).start()
    try:
        for line in COMMANDS.strip().splitlines():
            control(case, *line.split())
        by_mosquitto = answers(case)
    finally:
        mosquitto.stop()
    # Neither all nor nothing is allowed.
    assert set(by_mosquitto.values()) == {True, False, "plant/loud"}
    done = migrate(case)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "5 users, 2 groups, 4 roles" in done.stdout, done.stdout
    nightjar = Nightjar(case).start()
    try:
        assert answers(case) == by_mosquitto
    finally:
        nightjar.stop()
    # Those who are there stay as they are.
    done = migrate(case)
    assert done.returncode == 1 and "there already" in done.stderr


def test_s59_what_would_let_somebody_do_more_is_refused(case):
    mosquitto = Mosquitto(case).start()
    try:
        control(case, "createRole", "stays")
        control(case, "addRoleACL", "stays", "unsubscribePattern", "a/#", "deny")
    finally:
        mosquitto.stop()
    done = migrate(case)
    assert done.returncode == 1, done
    assert "denies to unsubscribe" in done.stderr
    assert not (case.folder / "data/nightjar/access.redb").exists()
