"""The classes of durability: what each waits for, and what each keeps (P1)."""

import pytest

from harness.peer import V5, V311, Peer, fresh_id
from harness.raw import (
    CONNACK,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBREC,
    Raw,
    connect,
    packet,
    publish,
)

CLASSES = ["memory", "os", "disk"]
classes = pytest.mark.parametrize("durability", CLASSES)


def config(durability, rest=""):
    return f'[store]\ndurability = "{durability}"\n{rest}'


@classes
def test_a_crash_keeps_what_is_stored(own_server, topic, durability):
    server, client_id = own_server(config=config(durability)).start(), fresh_id()
    with Peer(server, V311, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=2)
    with Peer(server, V5) as publisher:
        for number in range(20):
            publisher.publish(f"{topic}/queue", b"%d" % number, 1 + number % 2)
        publisher.publish(f"{topic}/state", b"on", 1, retain=True)
    server.kill()
    server.restart()
    kept = durability != "memory"
    with Peer(server, V311, client_id, clean=False) as back, Peer(server, V5) as other:
        heard = back.until_fence(other, qos=2)
        for qos in (1, 2):
            numbers = [int(m.payload) for m in heard if m.qos == qos]
            assert numbers == (list(range(qos - 1, 20, 2)) if kept else [])
        other.subscribe(f"{topic}/state")
        if kept:
            assert other.message().payload == b"on"
        assert other.until_fence(back) == []


def test_memory_writes_no_message(own_server, topic):
    """Not one byte of a message reaches the store."""
    server, client_id = own_server(config=config("memory")).start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=1)
    secret = b"not for the disk"
    with Peer(server, V5) as publisher:
        publisher.publish(f"{topic}/queue", secret, 1)
        publisher.publish(f"{topic}/queue", secret, 2)
        publisher.publish(f"{topic}/state", secret, 1, retain=True)
    server.stop()
    for path in server.data_dir.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path


def test_memory_leaves_an_earlier_store_alone(own_server, topic):
    """The log says so; with the former class all is there again."""
    server, client_id = own_server().start(), fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"stays", 1)
    server.stop()
    other = own_server(config=config("memory"), data_dir=server.data_dir).start()
    [left] = other.until_events(
        "there is a store, and nothing is stored now: it stays as it is, and what it holds is not "
        "served; set store.durability to go on with it"
    )
    assert left["level"] == "WARN" and left["folder"] == str(server.store)
    other.stop()
    server.restart()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        assert sleeper.message().payload == b"stays"


@classes
def test_what_an_acknowledgement_waits_for(own_server, disk, topic, durability):
    """Only `disk` waits for the sync."""
    lazy = 'sync_interval = "1h"\n'
    server = own_server(config=config(durability, lazy), environment=disk.environment).start()
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=2)
    for where, retain, qos in (("queue", False, 1), ("queue", False, 2), ("state", True, 1)):
        answer = PUBACK if qos == 1 else PUBREC
        with Raw(server) as raw:
            raw.send(connect(fresh_id()))
            assert raw.packet()[0] == CONNACK
            with disk.held():
                raw.send(publish(f"{topic}/{where}", b"x", qos, 1, retain=retain))
                if durability == "disk":
                    assert_only_pings(server, raw)
                else:
                    assert raw.packet()[0] == answer
            if durability == "disk":
                assert raw.packet()[0] == answer
    assert durability != "disk" or disk.count("held"), "the disk was not asked"


def test_what_nobody_keeps_waits_for_nothing(own_server, disk, topic):
    """A message for no durable session, not retained, never touches the store."""
    server = own_server(environment=disk.environment).start()
    with Peer(server, V311) as reader, Raw(server) as raw:
        reader.subscribe(topic, qos=2)
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        with disk.held():
            for qos, answer in ((1, PUBACK), (2, PUBREC)):
                raw.send(publish(topic, b"%d" % qos, qos, qos))
                assert raw.packet()[0] == answer
                assert reader.message().payload == b"%d" % qos


def assert_only_pings(server, raw):
    """Nothing but PINGRESP comes, however often one asks; and the whole server goes round
    several times meanwhile."""
    with Peer(server, V5) as peer:
        clock = f"clock/{fresh_id()}"
        peer.subscribe(clock)
        for number in range(20):
            raw.send(packet(PINGREQ, b""))
            assert raw.packet() == (PINGRESP, 0, b"")
            peer.publish(clock, b"%d" % number)
            assert peer.message().payload == b"%d" % number


def test_rules_of_topics(own_server, topic):
    """The longest prefix that fits holds, literally."""
    rules = "".join(
        f'[[topic]]\nprefix = "{topic}/{prefix}"\ndurability = "{durability}"\n'
        for prefix, durability in (
            ("a/", "memory"),
            ("a/b/", "disk"),
            ("a/b/c", "memory"),
            ("os/", "os"),
        )
    )
    server = own_server(config=config("disk", rules)).start()
    kept = ["else", "a", "a/b/x", "a/b/", "os/x", "b/a/x"]
    lost = ["a/", "a/x", "a/b", "a/b/c", "a/b/cd", "a/b/c/d"]
    with Peer(server, V5) as publisher:
        for name in kept + lost:
            publisher.publish(f"{topic}/{name}", name.encode(), 1, retain=True)
    server.kill()
    server.restart()
    with Peer(server, V5) as reader:
        reader.subscribe(f"{topic}/#", qos=1)
        heard = sorted(m.payload.decode() for m in reader.messages(len(kept)))
        assert heard == sorted(kept)
        assert reader.until_fence(reader, qos=1) == []


def test_rules_of_listeners(own_server, topic):
    """A listener's class holds for what is published through it; a topic's rule is above it."""
    rules = f'[[topic]]\nprefix = "{topic}/precious/"\ndurability = "disk"\n'
    server = own_server(
        config=config("disk", rules),
        listeners=["", 'durability = "memory"', 'durability = "os"'],
    ).start()
    for number, name in enumerate(["disk", "memory", "os"]):
        with Peer(server.door(number), V5) as publisher:
            publisher.publish(f"{topic}/{name}", name.encode(), 1, retain=True)
            publisher.publish(f"{topic}/precious/{name}", name.encode(), 1, retain=True)
    server.kill()
    server.restart()
    with Peer(server.door(1), V5) as reader:
        reader.subscribe(f"{topic}/#", qos=1)
        wanted = ["disk", "os", "precious/disk", "precious/memory", "precious/os"]
        heard = sorted(m.topic for m in reader.messages(len(wanted)))
        assert heard == [f"{topic}/{name}" for name in wanted]
        assert reader.until_fence(reader, qos=1) == []


def test_connack_says_the_class(own_server):
    """A user property of CONNACK, by listener."""
    server = own_server(
        config=config("disk"), listeners=["", 'durability = "memory"', 'durability = "os"']
    ).start()
    for number, name in enumerate(["disk", "memory", "os"]):
        with Peer(server.door(number), V5) as peer:
            assert ("durability", name) in peer.connack[1].UserProperty
        with Peer(server.door(number), V311) as peer:
            assert peer.connack


@classes
def test_the_start_and_sys_say_the_class(own_server, durability):
    rest = "sys_interval = 1\n"
    server = own_server(config=rest + config(durability)).start()
    (serving,) = server.until_events("serving")
    assert serving["durability"].startswith(durability)
    with Peer(server, V5) as reader:
        reader.subscribe("$SYS/broker/store/durability")
        assert reader.message().payload == durability.encode()


def test_figures(own_server, topic):
    """$SYS shows the store: bytes, messages, the oldest, commits, failures, what waits."""
    server = own_server(config="sys_interval = 1\n").start()
    with Peer(server, V5, fresh_id(), clean=False) as sleeper:
        sleeper.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher, Peer(server, V5) as reader:
        for _ in range(10):
            publisher.publish(topic, b"x" * 1000, 1)
        wanted = {
            "disk/bytes": lambda value: value >= 10_000,
            "live/bytes": lambda value: value >= 10_000,
            "messages/oldest": lambda value: value >= 0,
            "syncs": lambda value: value >= 1,
            "sync/failures": lambda value: value == 0,
            "backlog/bytes": lambda value: value == 0,
        }
        prefix = "$SYS/broker/store/"
        reader.subscribe(f"{prefix}#")
        values, commits = {}, {}

        def good():
            right = [name in values and test(values[name]) for name, test in wanted.items()]
            return all(right) and sum(commits.values()) >= 1

        # Until each is as it has to be: the first round may be from before.
        while not good():
            message = reader.message()
            name = message.topic.removeprefix(prefix)
            if name in wanted:
                values[name] = float(message.payload)
            elif name.startswith("commits/"):
                commits[name] = int(message.payload)


def test_an_unknown_class_is_refused(own_server):
    server = own_server(config=config("paper"))
    server.launch(1)
    assert server.ended_by_itself() == 1
    assert "durability" in server.log()
    assert not server.store.exists()
