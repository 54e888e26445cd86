"""`mosquitto_ctrl dynsec` of Debian's package, against Debian's Mosquitto with its plugin and against
Nightjar: the same session says the same. And who may not."""

import json
import re
import subprocess
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.mosquitto import Mosquitto, Nightjar
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
from test_mosquitto_dynsec import case, migrate, own_servers  # noqa: F401

DESK = "$CONTROL/dynamic-security/v1"
ANSWERS = f"{DESK}/response"

#: What is said to both, in this order. Each command of the tool is in it but `init`, which makes a file;
#: setAnonymousGroup, which Nightjar refuses; and setDefaultACLAccess, which the tool of 2.0 says in a way
#: that its own plugin passes over without a word.
SESSION = """
getDefaultACLAccess
getAnonymousGroup
listClients
listGroups
listRoles
getRole admin
createRole plant
createRole reader
createRole plant
addRoleACL plant publishClientSend plant/# allow
addRoleACL plant publishClientSend plant/+/lock deny 5
addRoleACL plant publishClientSend plant/1/lock allow 9
addRoleACL plant publishClientSend plant/1/lock allow 9
addRoleACL plant publishClientReceive plant/# allow
addRoleACL plant publishClientReceive plant/quiet deny -3
addRoleACL plant subscribeLiteral plant/+ allow
addRoleACL plant subscribePattern plant/# allow
addRoleACL plant unsubscribePattern # allow
addRoleACL plant unsubscribeLiteral plant/x allow
addRoleACL nobody publishClientSend a allow
getRole plant
removeRoleACL plant publishClientSend plant/1/lock
removeRoleACL plant publishClientSend plant/1/lock
getRole plant
getRole nobody
listRoles
listRoles 1
listRoles 2 1
createClient ann -p a -c press-4
createClient bob -p b
createClient bob -p b
getClient ann
getClient nobody
setClientId ann press-5
getClient ann
setClientId ann
getClient ann
setClientPassword ann other
setClientPassword nobody other
addClientRole ann plant
addClientRole nobody plant
addClientRole ann nobody
getClient ann
disableClient ann
getClient ann
enableClient ann
disableClient nobody
listClients
listClients 1 1
createGroup crew
createGroup crew
addGroupRole crew reader
addGroupRole crew reader
addGroupRole crew nobody
addGroupRole nobody reader
addGroupClient crew ann
addGroupClient crew bob
addGroupClient crew bob
addGroupClient crew nobody
addGroupClient nobody bob
getGroup crew
getGroup nobody
getClient ann
listGroups
listGroups 1
removeGroupClient crew bob
removeGroupRole crew reader
removeClientRole ann plant
getGroup crew
getClient ann
deleteClient bob
deleteClient bob
removeGroupClient crew ann
deleteGroup crew
deleteGroup crew
deleteRole reader
deleteRole reader
listClients
listGroups
listRoles
"""


def control(case, *words, user="admin", password="secret"):
    """What the tool says, on both streams, and its exit code."""
    where = ["-h", "127.0.0.1", "-p", str(case.ports[0]), "-u", user, "-P", password]
    done = subprocess.run(
        ["mosquitto_ctrl", *where, "dynsec", *words],
        capture_output=True, text=True, check=False, timeout=30,
    )
    said = done.stdout + done.stderr
    # What it says of itself each time.
    said = said.replace("Warning: You are running mosquitto_ctrl without encryption.\n", "")
    said = re.sub(r"This means all of the configuration changes .*\n", "", said)
    return done.returncode, said.strip()


def session(case):
    return [(line, control(case, *line.split())) for line in SESSION.strip().splitlines()]


@pytest.fixture
def nightjar(case):  # noqa: F811
    """Nightjar, with what `mosquitto_ctrl dynsec init` made."""
    assert migrate(case).returncode == 0
    server = Nightjar(case).start()
    yield server
    server.stop()


def audit(case):
    lines = (case.folder / "data/nightjar/audit.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


class Client(Raw):
    """One of 5.0."""

    def __init__(self, case, name, password, client_id="", will=b""):
        super().__init__(SimpleNamespace(host="127.0.0.1", port=case.ports[0]))
        flags = 0xC2 | (0x04 if will else 0)
        self.send(connect(client_id, flags=flags, tail=will + text(name) + text(password)))
        kind, _, body = self.packet()
        assert kind == CONNACK
        self.code = body[1]

    def gives(self, order, topic=DESK):
        """The reason code of the acknowledgement."""
        self.send(publish(topic, order, 1, 7))
        while (packet := self.packet())[0] == PUBLISH:
            pass
        assert packet[0] == PUBACK
        return packet[2][2] if len(packet[2]) > 2 else 0

    def listens(self, topic=ANSWERS):
        self.send(subscribe(8, topic, 1))
        kind, _, body = self.packet()
        assert kind == SUBACK
        return body[-1]

    def hears(self):
        kind, flags, body = self.packet()
        assert kind == PUBLISH
        topic, payload = published(flags, body)[:2]
        return topic, json.loads(payload)["responses"]


def soon(case, name, password, allowed):
    """Waits until a new connection of this user is allowed this: rules that are changed hold within a
    second."""
    deadline = Deadline()
    while True:
        with Client(case, name, password) as client:
            if client.code == 0 and allowed(client):
                return
        assert not deadline.passed()


def orders(*commands):
    return json.dumps({"commands": list(commands)}).encode()


def test_the_same_session_says_the_same(case):  # noqa: F811
    told = subprocess.run(["mosquitto_ctrl", "dynsec", "help"], capture_output=True, text=True, check=False)
    known = set(re.findall(r":\s+([a-z]+[A-Z]\w+)(?=\s)(?!\|)", told.stdout + told.stderr))
    said = {line.split()[0] for line in SESSION.strip().splitlines()}
    assert known and known - said == {"setAnonymousGroup", "setDefaultACLAccess"}
    first = migrate(case)
    assert first.returncode == 0, first
    mosquitto = Mosquitto(case).start()
    try:
        wanted = session(case)
    finally:
        mosquitto.stop()
    server = Nightjar(case).start()
    try:
        given = session(case)
    finally:
        server.stop()
    differ = [(one, other) for one, other in zip(wanted, given) if one != other]
    assert differ == []
    # It is no session of errors only.
    assert sum("Error" not in said for _, (_, said) in wanted) > 40
    who = {line["who"] for line in audit(case)}
    assert who == {"MQTT user admin"}


def test_what_is_changed_holds_at_once(case, nightjar):  # noqa: F811
    for line in ("createRole r", "addRoleACL r publishClientSend a/# allow",
                 "addRoleACL r subscribePattern a/# allow",
                 "createClient ann -p pw", "addClientRole ann r"):
        assert control(case, *line.split()) == (0, "")
    soon(case, "ann", "pw", lambda ann: ann.listens("a/#") == 1)
    with Client(case, "ann", "wrong") as wrong:
        assert wrong.code == 0x86
    with Client(case, "ann", "pw") as ann:
        assert ann.code == 0 and ann.listens("a/#") == 1
        assert ann.gives(b"x", "a/1") == 0 and ann.gives(b"x", "b") == 0x87
        # Her connection ends: nothing is left of it.
        assert control(case, "disableClient", "ann")[0] == 0
        assert [kind for kind, *_ in ann.rest()][-1] == 14
    with Client(case, "ann", "pw") as ann:
        assert ann.code == 0x86
    # It is safe before it is answered.
    assert control(case, "createClient", "safe", "-p", "pw") == (0, "")
    nightjar.process.kill()
    nightjar.process.wait()
    nightjar.restart()
    assert control(case, "listClients") == (0, "admin\nann\nsafe")
    text_of_log = (case.folder / "data/nightjar/audit.jsonl").read_text() + nightjar.log()
    assert '"password":"(changed)"' in text_of_log
    assert '"pw"' not in text_of_log and "secret" not in text_of_log


def test_what_is_allowed_without_an_acl(case, nightjar):  # noqa: F811
    assert control(case, "createClient", "ann", "-p", "pw") == (0, "")
    for kind in ("subscribe", "publishClientSend"):
        assert control(case, "setDefaultACLAccess", kind, "allow") == (0, "")
    said = control(case, "getDefaultACLAccess")[1]
    assert said.count(": allow") == 4 and "~" not in control(case, "getClient", "ann")[1]
    soon(case, "ann", "pw", lambda ann: ann.listens("any/#") == 1)
    with Client(case, "ann", "pw") as ann:
        assert ann.gives(b"x", "any") < 0x80 and ann.listens("any/#") == 1
        # That is no leave to give orders.
        assert ann.gives(orders({"command": "listClients"})) == 0x87
    assert control(case, "setDefaultACLAccess", "subscribe", "deny") == (0, "")
    assert control(case, "getDefaultACLAccess")[1].count(": allow") == 3


def test_what_is_not_there_is_refused_in_words(case, nightjar):  # noqa: F811
    for line, words in (
        ("createGroup g", ""),
        ("createRole r", ""),
        ("setAnonymousGroup g", "[[rule]] with anonymous = true"),
        ("addGroupRole g r 3", "leave the priority out"),
        ("addClientRole admin r 3", "leave the priority out"),
        ("setDefaultACLAccess unsubscribe deny", "always unsubscribe"),
        ("setDefaultACLAccess publishClientReceive deny", "receives here"),
        ("addRoleACL r unsubscribePattern a/# deny", "always unsubscribe"),
        ("addRoleACL r publishClientSend %c/x allow", "would be text"),
    ):
        said = control(case, *line.split())[1]
        assert words in said and bool(words) == ("Error" in said), (line, said)


def test_s51_who_may_give_no_orders(case, nightjar):  # noqa: F811
    """Whoever has no rule that names the topic changes nothing, and hears no answers of others."""
    for line in ("createRole all", "addRoleACL all publishClientSend # allow",
                 "addRoleACL all subscribePattern # allow", "addRoleACL all subscribePattern $CONTROL/# allow",
                 "createClient eve -p pw", "addClientRole eve all"):
        assert control(case, *line.split()) == (0, "")
    soon(case, "eve", "pw", lambda eve: eve.listens("$CONTROL/#") == 1)
    changes = len(audit(case))
    make = orders({"command": "createClient", "username": "mallory", "password": "m"})
    with Client(case, "eve", "pw") as eve:
        assert eve.code == 0
        assert eve.listens("$CONTROL/#") == 1 and eve.listens("#") == 1
        for topic in (DESK, ANSWERS, "$CONTROL/dynamic-security/v2", "$CONTROL/broker/v1"):
            assert eve.gives(make, topic) == 0x87, topic
        with Client(case, "admin", "secret") as admin:
            assert admin.listens() == 1
            # The answers' topic is for answers.
            assert admin.gives(make, ANSWERS) == 0x87
            assert admin.gives(orders({"command": "getClient", "username": "eve"})) == 0
            topic, [said] = admin.hears()
            assert topic == ANSWERS and said["data"]["client"]["username"] == "eve"
        # What eve hears next is her own: neither the order nor the answer came to her.
        assert eve.gives(b"own", "mine") == 0
    will = b"\x00" + text(DESK) + text(make)
    with Client(case, "admin", "secret", will=will) as dying:
        assert dying.code == 0x87
    assert control(case, "getClient", "mallory")[1] == "getClient: Error: Client not found"
    assert len(audit(case)) == changes
    denied = subprocess.run(
        [binary(), "denials", "--data-dir", case.folder / "data/nightjar", "--json"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert DESK in denied and "eve" in denied and "mallory" not in denied


def test_s71_hostile_orders_harm_nobody(case, nightjar):  # noqa: F811
    """A user who may give orders sends what is none: each is answered, or refused as too long."""
    with Client(case, "admin", "secret") as admin:
        assert admin.listens() == 1
        for order, error in (
            (b"\xff" * 1000, "Payload not valid JSON"),
            (b'{"commands":' + b"[" * 200_000, "Payload not valid JSON"),
            (orders(*[{"command": "listClients"}] * 101), "At most 100 commands at once; nothing is done"),
            (orders({"command": "createClient", "username": "a\0b", "password": "x"}), None),
            (orders({"command": "createRole", "rolename": "x" * 70_000}), None),
        ):
            admin.send(publish(DESK, order, 0))
            _, [said] = admin.hears()
            assert said["error"] == error if error else said["error"]
        assert admin.gives(b" " * (256 * 1024 + 1)) == 0x83
        assert admin.gives(orders({"command": "listClients", "correlationData": "k"})) == 0
        _, [said] = admin.hears()
        assert said == {"command": "listClients", "correlationData": "k",
                        "data": {"totalCount": 1, "clients": ["admin"]}}


def test_without_the_key_nobody_is_answered(own_server):
    """A nightjar.toml that does not ask for it keeps the topic closed, whatever the rules say."""
    rules = """
[[rule]]
allow = "all"
topics = ["$CONTROL/#", "#"]
"""
    base = '[[authentication]]\ntype = "database"\n' + rules
    server = own_server(config=base).start()
    from harness.steer import Steer

    Steer(server).user("ann", "pw")
    place = SimpleNamespace(ports=[server.port])
    with Client(place, "ann", "pw") as ann:
        assert ann.gives(orders({"command": "listClients"})) == 0x87
    opened = own_server(config=base + "[dynamic_security]\nenabled = true\n").start()
    Steer(opened).user("ann", "pw")
    with Client(SimpleNamespace(ports=[opened.port]), "ann", "pw") as ann:
        assert ann.listens() == 1
        assert ann.gives(orders({"command": "listClients"})) == 0
        assert ann.hears()[1][0]["data"]["clients"] == ["ann"]
