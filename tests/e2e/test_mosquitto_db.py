"""A mosquitto.db that Debian's Mosquitto wrote becomes a store: clients come back to Nightjar and find
all that they were owed, and nothing of QoS 2 twice."""

import contextlib
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.deadline import Deadline
from harness.mosquitto import Case, Mosquitto, Nightjar
from harness.raw import (
    CONNACK,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    Raw,
    acknowledge,
    connect,
    publish,
    published,
    subscribe,
    text,
)
from harness.server import binary

CONFIGURATION = Path(__file__).parent / "mosquitto_db"
LEVELS = (4, 5)
EXPIRY, CONTENT_TYPE, SUBSCRIPTION_ID, USER_PROPERTY = 0x02, 0x03, 0x0B, 0x26
#: Content type, a pair, and an expiry of an hour.
PROPERTIES = b"\x03\x00\x01t\x26\x00\x01k\x00\x01v\x02\x00\x00\x0e\x10"


@pytest.fixture(autouse=True)
def own_servers():
    if os.environ.get("MQTT_E2E_ADDRESS"):
        pytest.skip("starts servers of its own; MQTT_E2E_ADDRESS names somebody else's")


@pytest.fixture
def case():
    """A folder that Mosquitto can read after it gave root up."""
    path = Path(tempfile.mkdtemp(prefix="mosquitto-db-"))
    path.chmod(0o755)
    yield Case(CONFIGURATION, path)
    shutil.rmtree(path)


class Client(Raw):
    """A client whose session lasts, and that acknowledges what it is told to."""

    def __init__(self, case, name, level, tail=b"", flags=0):
        super().__init__(SimpleNamespace(host="127.0.0.1", port=case.ports[0]))
        self.level, self._early = level, []
        lasting = b"\x11\x00\x00\x0e\x10" if level == 5 else b""
        self.send(connect(f"{name}-{level}", level=level, flags=flags, properties=lasting, tail=tail))
        kind, _, body = self.packet()
        assert kind == CONNACK
        self.present, self.code = body[0], body[1]

    def wants(self, topic_filter, options, identifier=None):
        self.send(subscribe(1, topic_filter, options, self.level, identifier))
        # What it brings may come before SUBACK (3.8.4).
        while (packet := self.packet())[0] == PUBLISH:
            self._early.append(packet)
        assert packet[0] == SUBACK and packet[2][-1] < 3, packet

    def says(self, topic, payload, qos, number=9, **more):
        """Publishes all the way."""
        self.send(publish(topic, payload, qos, number, self.level, **more))
        if qos == 1:
            self.expect(PUBACK, number)
        elif qos == 2:
            self.expect(PUBREC, number)
            self.send(acknowledge(PUBREL, number))
            self.expect(PUBCOMP, number)

    def expect(self, kind, number):
        found, _, body = self.packet()
        assert (found, int.from_bytes(body[:2], "big")) == (kind, number)

    def takes(self):
        """The next PUBLISH."""
        kind, flags, body = self._early.pop(0) if self._early else self.packet()
        assert kind == PUBLISH, kind
        return published(flags, body, self.level)

    def until(self, last):
        """All that comes until this payload, acknowledged: PUBLISHes, and numbers of PUBRELs."""
        heard = []
        while True:
            kind, flags, body = self.packet()
            number = int.from_bytes(body[:2], "big")
            if kind == PUBREL:
                self.send(acknowledge(PUBCOMP, number))
                heard.append(number)
                continue
            assert kind == PUBLISH, kind
            message = published(flags, body, self.level)
            _, payload, qos, number, *_ = message
            if qos:
                self.send(acknowledge(PUBACK if qos == 1 else PUBREC, number))
            if payload == last:
                return heard
            heard.append(message)


def migrate(case, *arguments, database=None):
    database = database or case.folder / "data/mosquitto.db"
    return subprocess.run(
        [binary(), "migrate", "--from-db", database, "-c", case.config, *arguments],
        cwd=case.folder, capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_DATA_HOME": str(case.folder / "data")},
    )


def prepare(case, level):
    """Leaves something in each state; the numbers that Mosquitto gave to what is inflight."""
    with Client(case, "away", level) as away:
        away.wants(f"q/{level}/#", 2, identifier=9)
        away.wants(f"r/{level}", 2)
    with Client(case, "halfway", level) as halfway, Client(case, "sender", level) as sender:
        halfway.wants(f"i/{level}", 2)
        properties = {"properties": PROPERTIES} if level == 5 else {}
        for qos, payload in ((1, b"one"), (2, b"two"), (2, b"three")):
            sender.says(f"i/{level}", payload, qos)
        numbers = [halfway.takes()[3] for _ in range(3)]
        halfway.send(acknowledge(PUBREC, numbers[2]))
        halfway.expect(PUBREL, numbers[2])
        for number in range(6):
            sender.says(f"q/{level}/{number}", b"%d" % number, 1 + number % 2, **properties)
        sender.says(f"kept/{level}", b"kept", 1, retain=True, **properties)
        sender.send(publish(f"r/{level}", b"unreleased", 2, 77, level))
        sender.expect(PUBREC, 77)
    return numbers


def saved_while_it_runs(mosquitto, case):
    """SIGUSR1 writes the file; then the server is killed."""
    database = case.folder / "data/mosquitto.db"
    assert not database.exists()
    mosquitto.process.send_signal(signal.SIGUSR1)
    deadline = Deadline()
    while not database.exists():
        assert not deadline.passed(), mosquitto.log()
        with contextlib.suppress(subprocess.TimeoutExpired):
            mosquitto.process.wait(timeout=0.02)
    mosquitto.process.kill()
    mosquitto.process.wait()


@pytest.mark.parametrize("how", ["stopped", "saved"])
def test_all_that_was_owed_comes(case, how):
    mosquitto = Mosquitto(case).start()
    try:
        numbers = {level: prepare(case, level) for level in LEVELS}
        if how == "saved":
            saved_while_it_runs(mosquitto, case)
    finally:
        mosquitto.stop_process()
    done = migrate(case)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "version 6" in done.stdout
    assert "imported 6 sessions" in done.stdout, done.stdout
    assert "2 messages of QoS 2 that publishers have not released" in done.stdout
    nightjar = Nightjar(case).start()
    try:
        for level in LEVELS:
            come_back(case, level, numbers[level])
    finally:
        nightjar.stop()


def come_back(case, level, numbers):
    with Client(case, "sender", level) as sender, Client(case, "away", level) as away:
        assert sender.present == away.present == 1
        sender.send(acknowledge(PUBREL, 77))
        sender.expect(PUBCOMP, 77)
        sender.says(f"q/{level}/fence", b"fence", 2)
        heard = [one for one in away.until(b"fence") if not isinstance(one, int)]
        expected = [(f"q/{level}/{number}", b"%d" % number, 1 + number % 2) for number in range(6)]
        expected.append((f"r/{level}", b"unreleased", 2))
        # The order holds within a QoS (4.6).
        for qos in (1, 2):
            of_qos = [one for one in expected if one[2] == qos]
            assert [one[:3] for one in heard if one[2] == qos] == of_qos
        if level == 5:
            for *_, found in (one for one in heard if one[0].startswith("q/")):
                found = dict(found)
                assert found[SUBSCRIPTION_ID] == 9 and 0 < found[EXPIRY] <= 3600
                assert (found[CONTENT_TYPE], found[USER_PROPERTY]) == (b"t", ("k", "v"))
        with Client(case, "halfway", level) as halfway:
            sender.says(f"i/{level}", b"fence", 2)
            first, second, third, *others = halfway.until(b"fence")
            one, two, _ = numbers
            assert (first[1:4], first[4]) == ((b"one", 1, one), True)
            assert (second[1:4], second[4]) == ((b"two", 2, two), True)
            # PUBREL for the third, and for the second once it is received.
            assert {third, *others} <= {two, numbers[2]} and numbers[2] in (third, *others)
        with Client(case, "halfway", level) as halfway:
            sender.says(f"i/{level}", b"again", 2)
            assert [one for one in halfway.until(b"again") if not isinstance(one, int)] == []
    with Client(case, f"new{level}", level) as new:
        new.wants(f"kept/{level}", 1)
        topic, payload, qos, _, _, retain, found = new.takes()
        assert (topic, payload, qos, retain) == (f"kept/{level}", b"kept", 1, True)
        if level == 5:
            assert dict(found)[CONTENT_TYPE] == b"t" and 0 < dict(found)[EXPIRY] <= 3600


def test_a_session_stays_its_user_s(case):
    """Names that are checked own their sessions; names that are not checked own nothing."""
    config = case.config.read_text()
    case.config.write_text(
        config.replace("allow_anonymous true", f"password_file {case.folder}/passwords")
    )
    passwords = case.folder / "passwords"
    passwords.write_text("ann:a\nbob:b\n")
    subprocess.run(["mosquitto_passwd", "-U", passwords], check=True, capture_output=True)
    case._give_away()
    users = {name: (0xC0, text(name) + text(name[0])) for name in ("ann", "bob")}
    mosquitto = Mosquitto(case).start()
    try:
        flags, tail = users["ann"]
        with Client(case, "meter", 4, tail, flags) as meter:
            meter.wants("m", 1)
    finally:
        mosquitto.stop_process()
    # Nobody knows whether names will be checked.
    done = subprocess.run(
        [binary(), "migrate", "--from-db", case.folder / "data/mosquitto.db", "-d",
         case.folder / "data/other"],
        cwd=case.folder, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 1 and "--owner" in done.stderr, done
    assert migrate(case).returncode == 0
    nightjar = Nightjar(case).start()
    try:
        flags, tail = users["bob"]
        with Client(case, "meter", 4, tail, flags) as meter:
            assert meter.code == 5
        flags, tail = users["ann"]
        with Client(case, "meter", 4, tail, flags) as meter:
            assert (meter.present, meter.code) == (1, 0)
        # The store is in use.
        done = migrate(case)
        assert done.returncode == 1 and "in use" in done.stderr, done
    finally:
        nightjar.stop()
    done = migrate(case)
    assert done.returncode == 1 and "not empty" in done.stderr, done


def test_what_is_whole_of_a_file_that_was_cut_off(case):
    mosquitto = Mosquitto(case).start()
    try:
        with Client(case, "away", 5) as away, Client(case, "sender", 5) as sender:
            away.wants("c", 1)
            sender.says("kept", b"kept", 1, retain=True)
    finally:
        mosquitto.stop_process()
    whole = (case.folder / "data/mosquitto.db").read_bytes()
    # The last chunk names the retained message.
    assert whole[-16:-8] == struct.pack(">II", 4, 8)
    cut = case.folder / "cut.db"
    cut.write_bytes(whole[:-3])
    exported = case.folder / "export"
    done = migrate(case, "--output", exported, database=cut)
    assert done.returncode == 3 and f"cut off at byte {len(whole) - 16}" in done.stderr, done
    assert done.stderr.startswith("LOST: ")
    lines = exported.read_text()
    assert '"client":"away-5"' in lines and '"kind":"subscription"' in lines
    assert '"kind":"retained"' not in lines
    done = migrate(case, database=case.config)
    assert done.returncode == 1 and "no database of Mosquitto" in done.stderr
    assert not (case.folder / "data/nightjar").exists()
