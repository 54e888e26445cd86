"""A store under the tools, and what the server does with one that is damaged (F07, F08, F09)."""

import subprocess

import pytest

from harness.deadline import PATIENCE
from harness.peer import V5, V311, Peer, fresh_id, timed_fence
from harness.server import binary

SMALL_STORE = '[store]\nsegment_size = "1MiB"\n'

#: Messages of one test, and the bytes of each: some segments full.
COUNT, LARGE = 400, 10_000


def tool(command, server, *arguments, code=0):
    """Runs `nightjar store`; returns what it says."""
    done = subprocess.run(
        [binary(), "store", command, "--data-dir", server.data_dir, *arguments],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
    )
    assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def fill(server, topic, client_id):
    """A queue, and as many retained messages."""
    with Peer(server, V311, client_id, clean=False) as sleeper:
        sleeper.subscribe(f"{topic}/queue", qos=1)
    with Peer(server, V5) as publisher:
        for name, retain in (("queue", False), ("state", True)):
            mids = [
                publisher.send(f"{topic}/{name}{f'/{n}' if retain else ''}", large(n), 1, retain)
                for n in range(COUNT // 2)
            ]
            for mid in mids:
                assert publisher.published(mid) in (0, 0x10)


def large(number):
    return b"%d " % number + bytes([number % 251]) * LARGE


def number_of(message):
    """The number of a message that is as it was sent, to its last byte."""
    number = int(message.payload.split(b" ")[0])
    assert message.payload == large(number)
    return number


def collect(server, topic, client_id):
    """What is there: the numbers of the queue, in order, and of the retained messages."""
    with Peer(server, V311, client_id, clean=False) as back, Peer(server, V5) as reader:
        assert back.session_present
        queue = [number_of(m) for m in back.until_fence(reader, qos=1)]
        reader.subscribe(f"{topic}/state/+", qos=1)
        timed_fence(server, 1)
        states = sorted(number_of(m) for m in reader.until_fence(back, qos=1))
    return queue, states


def test_verify_and_stats(own_server, topic):
    """Beside a running server, after a kill, and after an end in order."""
    server, client_id = own_server(config=SMALL_STORE).start(), fresh_id()
    fill(server, topic, client_id)
    tool("verify", server)
    tool("stats", server)
    server.kill()
    tool("verify", server)
    server.restart()
    server.stop()
    tool("verify", server)
    tool("compact", server)
    tool("verify", server)
    server.restart()
    everything = list(range(COUNT // 2))
    assert collect(server, topic, client_id) == (everything, everything)


def test_writing_tools_keep_off_a_running_server(own_server, tmp_path):
    server = own_server().start()
    for command in (["compact"], ["verify", "--quarantine"]):
        assert "stop that first" in tool(command[0], server, *command[1:], code=1)
    with Peer(server, V5) as peer:
        assert peer.publish("e2e/on", b"on", 1, retain=True) in (0, 0x10)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_backup(own_server, topic, tmp_path, running):
    """Export, import elsewhere, and serve from there: everything is there."""
    server, other = own_server(config=SMALL_STORE).start(), own_server(config=SMALL_STORE)
    client_id, copy = fresh_id(), tmp_path / "copy"
    fill(server, topic, client_id)
    if not running:
        server.stop()
    tool("export", server, "--output", copy)
    assert copy.stat().st_mode & 0o077 == 0, "it holds what clients said"
    tool("import", other, copy)
    other.start()
    everything = list(range(COUNT // 2))
    assert collect(other, topic, client_id) == (everything, everything)
    other.stop()
    # A store that has something is never written over.
    tool("import", other, copy, code=1)


def segments(server):
    return sorted(path for path in server.store.iterdir() if path.name[0].isdigit())


def contents(server):
    return {
        path.name: path.read_bytes()
        for path in server.store.iterdir()
        if path.is_file() and path.name != "lock"
    }


def flip(path, at):
    """One bit is not what it was."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def test_torn_tail(own_server, topic):
    """F07: what a power cut left half written is cut off, counted, and the server starts."""
    server, client_id = own_server(config=SMALL_STORE).start(), fresh_id()
    fill(server, topic, client_id)
    with Peer(server, V5) as publisher:
        publisher.publish(f"{topic}/state/torn", b"torn" * 100, 1, retain=True)
    server.kill()
    newest = max(segments(server), key=lambda path: path.name)
    flip(newest, newest.read_bytes().rindex(b"torn") - 8)
    server.restart()
    last = server.until_events("store recovered", 2)[-1]
    assert last["dropped_bytes"] > 0
    everything = list(range(COUNT // 2))
    assert collect(server, topic, client_id) == (everything, everything)


def test_damage_is_never_skipped(own_server, topic):
    """F08: damage in what a start has to read: the server refuses and changes nothing; the tool
    says what is lost, and puts the damaged file aside; then all the rest is there."""
    server, client_id = own_server().start(), fresh_id()
    fill(server, topic, client_id)
    server.kill()
    (victim,) = segments(server)
    flip(victim, victim.read_bytes().index(large(7)) + LARGE // 2)
    before = contents(server)
    for _ in range(2):
        server.launch(server.port)
        assert server.ended_by_itself() == 1
        refusal = server.log().splitlines()[-1]
        assert victim.name in refusal
        assert f"`nightjar store verify --data-dir {server.data_dir}`" in refusal
        assert contents(server) == before
    said = tool("verify", server, code=1)
    assert victim.name in said and f'"{client_id}"' in said
    assert contents(server) == before
    assert f"quarantine/{victim.name}" in tool("verify", server, "--quarantine")
    assert (server.store / "quarantine" / victim.name).exists()
    tool("verify", server)
    server.restart()
    queue, states = collect(server, topic, client_id)
    assert queue == sorted(queue) and 7 not in queue
    # What was in that frame is lost, not all that was in the file.
    assert len(queue) + len(states) > COUNT - 100


def test_a_damaged_message_is_withheld(own_server, topic):
    """F09: damage in what a start need not read: that message is not delivered, but counted and
    logged; all others are."""
    server, client_id = own_server(config="sys_interval = 1\n" + SMALL_STORE).start(), fresh_id()
    fill(server, topic, client_id)
    server.stop()
    server.restart()
    server.stop()  # By now a checkpoint stands before it.
    victim = next(path for path in segments(server) if large(7) in path.read_bytes())
    flip(victim, victim.read_bytes().index(large(7)) + LARGE // 2)
    server.restart()
    queue, states = collect(server, topic, client_id)
    everything = list(range(COUNT // 2))
    assert sorted([*queue, *states, 7]) == sorted([*everything, *everything])
    assert queue == sorted(queue)
    assert [line for line in server.log().splitlines() if "damaged" in line]
    with Peer(server, V5) as reader:
        reader.subscribe("$SYS/broker/drops/damaged")
        while int(reader.message().payload) < 1:
            pass
    server.stop()
    assert victim.name in tool("verify", server, code=1)
    tool("verify", server, "--quarantine")
    tool("verify", server)


def test_a_segment_that_is_gone(own_server, topic):
    server, client_id = own_server(config=SMALL_STORE).start(), fresh_id()
    fill(server, topic, client_id)
    server.kill()
    victim = segments(server)[1]
    victim.unlink()
    before = contents(server)
    server.launch(server.port)
    assert server.ended_by_itself() == 1
    assert victim.name in server.log().splitlines()[-1]
    assert contents(server) == before
