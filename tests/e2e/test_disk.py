"""Disks that are slow, full, broken or read-only, and logs that nobody reads."""

import contextlib
import fcntl
import os
import select
import signal

import pytest

from harness.deadline import PATIENCE, Deadline
from harness.disk import DyingDisk, NoMount
from harness.peer import V5, V311, Peer, fresh_id
from harness.raw import (
    CONNACK,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBREC,
    Raw,
    acknowledge,
    connect,
    packet,
    publish,
)

#: Reason: the server has no room for it.
QUOTA = 0x97

PING = packet(PINGREQ, b"")

MIB = 1 << 20

SMALL_STORE = '[store]\nsegment_size = "1MiB"\n'

#: Queues that are larger than the disks of these tests.
LARGE_QUEUES = '[limits]\nqueued_bytes = "1GiB"\nqueued_messages = 1000000\n'


# F30: slow


def test_slow_disk(own_server, disk, topic):
    """F30: acknowledgements are late and none is faked; pings, QoS 0 and what needs no store
    never wait; then one sync serves all who waited."""
    server = own_server(environment=disk.environment).start()
    with Peer(server, V5, fresh_id(), clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=2)
    raws = [Raw(server) for _ in range(20)]
    for number, raw in enumerate(raws):
        # Keep alive 2: the connection lives by its pings.
        raw.send(connect(fresh_id(), level=4 + number % 2, keepalive=2))
        assert raw.packet()[0] == CONNACK
    with Peer(server, V5) as reader, Peer(server, V311) as other:
        reader.subscribe(f"{topic}/live", qos=1)
        synced = disk.count("synced")
        with disk.held():
            for number, raw in enumerate(raws):
                for identifier in range(1, 11):
                    raw.send(publish(f"{topic}/queue", b"x", 1, identifier, 4 + number % 2))
            for number in range(30):
                for raw in raws:
                    raw.send(PING)
                for raw in raws:
                    assert raw.packet() == (PINGRESP, 0, b"")
                other.publish(f"{topic}/live", b"%d" % number, number % 2)
                assert reader.message().payload == b"%d" % number
            tick(server)
        for raw in raws:
            ids = [raw.packet() for _ in range(10)]
            assert [(kind, int.from_bytes(body[:2], "big")) for kind, _, body in ids] == [
                (PUBACK, identifier) for identifier in range(1, 11)
            ]
    assert disk.count("held") >= 1, "no sync was held up"
    # 200 messages waited: the commit that was held, and a few for the rest.
    assert disk.count("synced") - synced < 50
    for raw in raws:
        raw.__exit__()


def test_terminated_while_the_store_is_recovered(own_server, disk, topic):
    """Who sees the server listen may ask it to end, and it does so as always; nothing is lost."""
    server = own_server(environment=disk.environment).start()
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(topic, qos=1)
    with Peer(server, V5) as writer:
        writer.publish(topic, b"stays", 1)
    server.kill()
    with disk.held():
        server.start()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0, server.log()
    server.process = None
    assert server.events("ended before the store was recovered")
    server.restart()
    with Peer(server, V5, client_id, clean=False) as reader:
        assert reader.message().payload == b"stays"


def test_the_operator_hears_of_a_slow_disk(own_server, disk, topic):
    """One line while it hangs, one when it is over; `$SYS` says the same."""
    server = own_server(config="sys_interval = 1\n", environment=disk.environment).start()
    with Peer(server, V5, fresh_id(), clean=False) as sleeper:
        sleeper.subscribe(topic, qos=1)
    with Peer(server, V5) as reader, Raw(server) as raw:
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        with disk.held():
            raw.send(publish(topic, b"late", 1, 1))
            [slow] = server.until_events(SLOW)
            assert slow["level"] == "WARN" and slow["folder"] == str(server.store)
            assert "wait" in slow["publishers"] and slow["advice"]
            until_state(reader, "slow")
        assert raw.packet()[0] == PUBACK
        [over] = server.until_events(FAST)
        assert over["level"] == "INFO" and over["seconds"] >= 1
        until_state(reader, "ok")
    assert len(server.events(SLOW)) == len(server.events(FAST)) == 1


SLOW = "the disk of the store is slow: it needs more than a second"
FAST = "the disk of the store is fast enough again"
FULL = "the disk of the store is full"
READ_ONLY = "the file system of the store is read-only"
LIMITED = "limits.store_bytes is reached"
TAKES_AGAIN = "the store takes messages again"


def until_state(reader, state):
    """Waits until `$SYS` says how the store fares."""
    reader.subscribe("$SYS/broker/store/state")
    while (said := reader.message().payload) != state.encode():
        assert said in (b"ok", b"slow", b"full"), said
    reader.unsubscribe("$SYS/broker/store/state")


def test_killed_while_the_disk_is_slow(own_server, disk, topic):
    """What was not acknowledged may be there or not; what was, is, once and in order."""
    server = own_server(environment=disk.environment).start()
    client_id, publisher_id = fresh_id(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(topic, qos=2)
    with Raw(server) as raw:
        raw.send(connect(publisher_id, flags=0, properties=b"\x11\x00\x00\x0e\x10"))
        assert raw.packet()[0] == CONNACK
        raw.send(publish(topic, b"1", 2, 1))
        assert raw.packet()[0] == PUBREC
        with disk.held():
            raw.send(acknowledge(6, 1), publish(topic, b"2", 2, 2), PING)
            assert raw.packet()[0] == PINGRESP
            server.kill()
            assert raw.packet() is None
    server.restart()
    with Raw(server) as raw:
        raw.send(connect(publisher_id, flags=0, properties=b"\x11\x00\x00\x0e\x10"))
        assert raw.packet()[2][0] == 1
        raw.send(acknowledge(6, 1), publish(topic, b"2", 2, 2, dup=True))
        assert sorted(raw.packet()[0] for _ in range(2)) == [PUBREC, PUBCOMP]
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        assert [m.payload for m in back.until_fence(other, qos=2)] == [b"1", b"2"]


# F04: broken


@pytest.mark.parametrize("what", ["sync", "write"])
def test_an_error_of_the_disk(own_server, disk, topic, what):
    """F04, P10: the server ends rather than acknowledge what it cannot know to be stored."""
    server, client_id = own_server(environment=disk.environment).start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        for number in range(20):
            publisher.publish(topic, b"%d" % number, 1)
    raws = [Raw(server) for _ in range(2)]
    for level, raw in zip((4, 5), raws, strict=True):
        raw.send(connect(fresh_id(), level))
        assert raw.packet()[0] == CONNACK
    disk.fail_next(what)
    for level, raw in zip((4, 5), raws, strict=True):
        with contextlib.suppress(OSError):  # It may have ended already.
            raw.send(publish(topic, b"late", 1, 1, level))
    for raw in raws:
        # A refusal is honest; 3.1.1 has none.
        assert [answer for answer in raw.rest() if is_success(answer)] == []
    assert server.ended_by_itself() not in (0, None)
    assert disk.count("failed") == 1
    [failed] = server.events("the store has failed")
    assert failed["level"] == "ERROR" and "os error 5" in failed["why"]
    server.restart()
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        heard = [m.payload for m in back.until_fence(other, qos=1)]
    assert heard[:20] == [b"%d" % number for number in range(20)]
    assert set(heard[20:]) <= {b"late"}


def is_success(answer):
    kind, _, body = answer
    return kind == PUBACK and (len(body) < 3 or body[2] < 0x80)


# F05: full


@pytest.mark.timeout(180)
def test_full_disk(small_disk, own_server, topic):
    """F05: refused honestly, read on, and well again without a restart when there is room."""
    disk = small_disk(24 * MIB)
    rule = f'[[topic]]\nprefix = "{topic}/memory"\ndurability = "memory"\n'
    server = own_server(
        config=SMALL_STORE + LARGE_QUEUES + rule,
        data_dir=disk.inside / "data",
        before=disk.before,
    ).start()
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=2)
    with Peer(server, V5) as publisher, Peer(server, V311) as reader:
        reader.subscribe(f"{topic}/live", f"{topic}/memory", qos=1)
        disk.fill(leave=12 * MIB)
        kept = fill(publisher, f"{topic}/queue")
        assert kept > 100
        disk.fill()
        assert_refused(server, topic)
        [full] = server.until_events(FULL)
        assert full["level"] == "WARN" and "0x97" in full["publishers"] and full["advice"]
        # What needs no store goes on.
        for name, qos in (("live", 0), ("memory", 0), ("memory", 1)):
            assert publisher.publish(f"{topic}/{name}", b"live", qos) == 0
            assert reader.message().payload == b"live"
        # Space from outside: it is well again by itself.
        disk.free()
        kept += until_taken(publisher, f"{topic}/queue", kept)
        server.until_events(TAKES_AGAIN)
        kept += fill(publisher, f"{topic}/queue", kept)
        disk.fill()
        assert_refused(server, topic)
        # Space from inside: those who collect their messages give it back.
        with Peer(server, V5, client_id, clean=False) as back:
            assert [number(m) for m in back.messages(kept)] == list(range(kept))
            until_taken(publisher, f"{topic}/queue", kept, GIVEN_BACK)
            assert number(back.message()) == kept
            assert back.until_fence(publisher, qos=2) == []
    server.stop()


def test_killed_and_started_on_a_full_disk(small_disk, own_server, topic):
    """A full disk keeps nothing from coming back, nor from being collected."""
    disk = small_disk(24 * MIB)
    server = own_server(
        config=SMALL_STORE + LARGE_QUEUES, data_dir=disk.inside / "data", before=disk.before
    ).start()
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=1)
    with Peer(server, V5) as publisher:
        kept = fill(publisher, f"{topic}/queue")
    disk.fill()
    for _ in range(3):
        server.kill()
        server.restart()
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        assert back.session_present
        assert [number(m) for m in back.messages(kept)] == list(range(kept))
        # Until then not even a subscription is taken.
        server.until_events(TAKES_AGAIN)
        assert back.until_fence(other) == []
    server.stop()
    server.restart()
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        assert back.session_present
        assert back.until_fence(other) == []
    server.stop()


def test_limit_of_the_store(own_server, topic):
    """`limits.store_bytes` is a full disk that the configuration made."""
    limits = LARGE_QUEUES + 'store_bytes = "8MiB"\n'
    server, client_id = own_server(config=SMALL_STORE + limits).start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=1)
    with Peer(server, V5) as publisher:
        kept = fill(publisher, f"{topic}/queue")
        assert kept > 100
        assert 5 * MIB <= kept * LARGE and disk_usage(server.store) <= 8 * MIB
        assert_refused(server, topic)
        server.until_events(LIMITED)
        with Peer(server, V5, client_id, clean=False) as back:
            assert [number(m) for m in back.messages(kept)] == list(range(kept))
            assert disk_usage(server.store) <= 8 * MIB
            until_taken(publisher, f"{topic}/queue", kept, GIVEN_BACK)
            assert number(back.message()) == kept
            assert back.until_fence(publisher) == []
        server.until_events(TAKES_AGAIN)


def disk_usage(folder):
    used = 0
    for path in folder.rglob("*"):
        # The server removes and renames its files meanwhile.
        with contextlib.suppress(FileNotFoundError):
            used += path.stat().st_blocks * 512
    return used


#: Seconds until a full disk has back what was collected: the store keeps each message for five
#: seconds more, because a worker may still refer to it.
GIVEN_BACK = 20

#: Size of the messages that fill a disk.
LARGE = 10_000


def fill(publisher, topic, first=0):
    """Publishes numbered messages until one is refused; returns how many were taken."""
    for count in range(10_000):
        if not taken(publisher, topic, first + count):
            return count
    raise AssertionError("the disk is never full")


def until_taken(publisher, topic, number, seconds=PATIENCE):
    """Publishes one message until it is taken."""
    deadline = Deadline(seconds)
    while not taken(publisher, topic, number):
        assert not deadline.passed(), "the server does not take it again"
        tick(publisher.server)
    return 1


def tick(server):
    """A second and a half on the server's clock: it ends a connection that does not ping. This
    clock needs no store."""
    with Raw(server) as raw:
        raw.send(connect(fresh_id(), keepalive=1))
        assert raw.packet()[0] == CONNACK
        raw.rest()


def taken(publisher, topic, number):
    code = publisher.publish(topic, b"%d " % number + b"x" * LARGE, 1)
    assert code in (0, QUOTA), hex(code)
    return code == 0


def number(message):
    return int(message.payload.split()[0])


def assert_refused(server, topic):
    """What would have to be stored is refused: 5.0 hears 0x97, 3.1.1 nothing; no connection
    ends for it, and nothing of it is delivered."""
    for level in (4, 5):
        with Raw(server) as raw:
            raw.send(connect(fresh_id(), level))
            assert raw.packet()[0] == CONNACK
            payload = b"refused" + b"x" * LARGE
            raw.send(publish(f"{topic}/queue", payload, 1, 1, level))
            raw.send(publish(f"{topic}/state", payload, 1, 2, level, retain=True))
            raw.send(publish(f"{topic}/queue", payload, 2, 3, level), PING)
            answers = []
            while (answer := raw.packet())[0] != PINGRESP:
                answers.append((answer[0], answer[2][:3]))
            refusals = [
                (PUBACK, b"\x00\x01\x97"),
                (PUBACK, b"\x00\x02\x97"),
                (PUBREC, b"\x00\x03\x97"),
            ]
            assert answers == (refusals if level == 5 else [])


# F06: read-only


def test_start_on_a_read_only_disk(small_disk, own_server, topic):
    """Refused, with the folder and the reason in one line; with the disk as it was, it starts."""
    disk = small_disk(24 * MIB)
    server = own_server(
        config=SMALL_STORE, data_dir=disk.inside / "data", before=disk.before
    ).start()
    with Peer(server, V5) as peer:
        peer.publish(topic, b"precious", 1, retain=True)
    server.stop()
    said = len(server.log().splitlines())
    disk.remount("ro")
    server.launch(server.port)
    assert server.ended_by_itself() == 1
    lines = server.log().splitlines()[said:]
    assert len(lines) == 1, lines
    assert "read-only" in lines[0].lower() and str(server.data_dir) in lines[0]
    disk.remount("rw")
    server.restart()
    with Peer(server, V5) as peer:
        peer.subscribe(topic)
        assert peer.message().payload == b"precious"
    server.stop()


def test_read_only_for_a_while(own_server, disk, topic):
    """As with a full disk: what would have to be stored is refused, the rest goes on."""
    server, client_id = own_server(environment=disk.environment).start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=2)
    with Peer(server, V5) as publisher, Peer(server, V5) as reader:
        reader.subscribe(f"{topic}/live")
        for count in range(10):
            assert taken(publisher, f"{topic}/queue", count)
        with disk.read_only():
            outcome = publish_until_told(server, f"{topic}/queue")
            if outcome == "refused":
                assert_refused(server, topic)
                server.until_events(READ_ONLY)
                publisher.publish(f"{topic}/live", b"live")
                assert reader.message().payload == b"live"
        if outcome == "refused":
            until_taken(publisher, f"{topic}/queue", 10)
    check_after_read_only(server, client_id, outcome)


def test_a_file_system_that_gives_up(tmp_path, own_server, disk, topic):
    """A real one, where we may mount it; else the one that does what we say."""
    try:
        dying = DyingDisk(tmp_path / "dying", tmp_path / "image")
    except NoMount as why:
        print(f"no real file system, but a stand-in: {why}")
        dying = None
    place = {"data_dir": dying.root / "data"} if dying else {"environment": disk.environment}
    server, client_id = own_server(config=SMALL_STORE, **place).start(), fresh_id()
    try:
        with Peer(server, V5, client_id, clean=False) as sleeper:
            sleeper.subscribe(f"{topic}/queue", qos=2)
        with Peer(server, V5) as publisher:
            for count in range(10):
                assert taken(publisher, f"{topic}/queue", count)
        with disk.read_only():
            if dying:
                dying.die()
            outcome = publish_until_told(server, f"{topic}/queue")
            if outcome == "refused":
                server.kill()
        if dying:
            dying.repair()
        check_after_read_only(server, client_id, "ended")
        server.stop()
    finally:
        server.kill()
        if dying:
            dying.close()


def publish_until_told(server, topic):
    """What publishers hear of a disk that is read-only: a refusal, or the end of the server.
    What came before the server knew may wait, but none is acknowledged."""
    deadline = Deadline()
    while True:
        assert not deadline.passed(), "nobody is told"
        with Raw(server) as raw:
            raw.send(connect(fresh_id()))
            answers = [raw.packet()]
            assert answers == [None] or answers[0][0] == CONNACK
            with contextlib.suppress(OSError):
                raw.send(publish(topic, b"0 unstored", 1, 1), PING)
            while answers[-1] is not None and answers[-1][0] != PINGRESP:
                answers.append(raw.packet())
        if answers[-1] is None:
            assert not any(is_success(answer) for answer in answers[:-1])
            assert server.ended_by_itself() != 0
            return "ended"
        if len(answers) == 3:
            assert (answers[1][0], answers[1][2][:3]) == (PUBACK, b"\x00\x01\x97")
            return "refused"


def check_after_read_only(server, client_id, outcome):
    if outcome == "ended":
        server.restart()
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        heard = [m.payload for m in back.until_fence(other, qos=2)]
    heard = [int(p.split()[0]) for p in heard if not p.endswith(b"unstored")]
    assert heard == list(range(10 if outcome == "ended" else 11))


# F28: crash loop


def test_crash_loop(own_server, topic):
    """F28: starts that never come to serve anybody leave the data alone, and neither the store's
    size nor the number of its files grows with each of them."""
    server, client_id = own_server(config=SMALL_STORE).start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=1)
    with Peer(server, V5) as publisher:
        for count in range(100):
            publisher.publish(f"{topic}/queue", b"%d" % count, 1)
            publisher.publish(f"{topic}/state/{count}", b"%d" % count, 1, retain=True)
    server.kill()
    size, files = disk_usage(server.store), len(list(server.store.iterdir()))
    for attempt in range(40):
        server.restart()
        if attempt % 2:
            server.kill()
        else:
            server.stop()
    assert disk_usage(server.store) <= size + 4 * MIB
    assert len(list(server.store.iterdir())) <= files + 16
    # Lines of those who were killed may be missing.
    said = len(server.events("store recovered"))
    server.restart()
    recovered = server.until_events("store recovered", said + 1)
    assert {event["dropped_bytes"] for event in recovered} == {0}
    assert (recovered[-1]["sessions"], recovered[-1]["retained"]) == (1, 100)
    with Peer(server, V5) as reader:
        reader.subscribe(f"{topic}/state/+")
        assert sorted(int(m.payload) for m in reader.messages(100)) == list(range(100))
        with Peer(server, V5, client_id, clean=False) as back:
            assert [int(m.payload) for m in back.until_fence(reader, qos=1)] == list(range(100))


# F31: the log


@pytest.mark.parametrize("reader", ["stalled", "gone"])
def test_nobody_reads_the_log(own_server, topic, reader):
    """F31: the server goes on, and says how many lines it dropped once it can."""
    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
    server, client_id = own_server(log=writes).start(), fresh_id()
    os.close(writes)
    if reader == "gone":
        os.close(reads)
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(topic, qos=1)
    # Two lines for each connection: more than the pipe and the buffer before it hold.
    with Peer(server, V5) as publisher:
        for count in range(100):
            raws = [Raw(server) for _ in range(90)]
            for raw in raws:
                raw.send(connect(fresh_id()))
            for raw in raws:
                assert raw.packet()[0] == CONNACK
                raw.__exit__()
            publisher.publish(topic, b"%d" % count, 1)
    if reader == "stalled":
        assert b"log lines dropped" in read_until(reads, b"log lines dropped")
        os.close(reads)
    server.signal(signal.SIGTERM)
    assert server.ended_by_itself() == 0
    server.log_file = None
    server.restart()
    with Peer(server, V5, client_id, clean=False) as back, Peer(server, V5) as other:
        assert [int(m.payload) for m in back.until_fence(other, qos=1)] == list(range(100))


def read_until(pipe, what):
    data, deadline = b"", Deadline()
    while what not in data:
        assert select.select([pipe], [], [], deadline.left())[0], data
        part = os.read(pipe, 1 << 16)
        assert part, data
        data = data[-1000:] + part
    return data
