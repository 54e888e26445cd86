"""The process: signals, crashes, ports, addresses."""

import re
import signal
import socket
import subprocess

import pytest

from harness.peer import V5, V31, V311, VERSIONS, Peer, fresh_id
from harness.server import address, binary

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())


def test_sigterm_says_goodbye(own_server):
    """5.0 clients hear 0x8B (server shutting down); older ones are closed."""
    server = own_server().start()
    peers = {version: Peer(server, version).connect() for version in (V31, V311, V5)}
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert [peers[version].ended() for version in (V31, V311, V5)] == [None, None, 0x8B]
    for peer in peers.values():
        peer.disconnect()
    server.process = None
    server.assert_no_panic()


def test_sigint_ends_it_too(own_server):
    server = own_server().start()
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    server.process = None
    server.assert_no_panic()


def test_sigterm_with_stalled_clients(own_server, topic):
    """Clients that neither read nor finish their CONNECT do not hold the end up."""
    server = own_server().start()
    mute = socket.create_connection((server.host, server.port))
    half = socket.create_connection((server.host, server.port))
    half.sendall(b"\x10\x20\x00\x04MQ")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.process = None
    mute.close()
    half.close()


def test_sighup_keeps_serving(own_server, topic):
    server = own_server().start()
    with Peer(server, V5) as peer:
        peer.subscribe(topic)
        for number in range(3):
            server.signal(signal.SIGHUP)
            peer.publish(topic, b"%d" % number, 1)
            assert peer.message().payload == b"%d" % number
        with Peer(server, V311) as newcomer:
            newcomer.publish(topic, b"new", 1)
        assert peer.message().payload == b"new"


def test_port_in_use(own_server):
    """It ends with an error, and one line says which address."""
    first, second = own_server().start(), own_server()
    second.launch(first.port)
    assert second.wait(10) not in (0, None)
    second.process = None
    about = [line for line in second.log().splitlines() if re.search("in use", line, re.IGNORECASE)]
    assert len(about) == 1, second.log()
    assert str(first.port) in about[0], about
    second.assert_no_panic()


def test_wrong_arguments():
    """An unknown option is an error with a message, not a panic and not a start."""
    done = subprocess.run([binary(), "serve", "--no-such-option"], capture_output=True, timeout=10)
    assert done.returncode != 0 and done.stderr
    assert b"panicked" not in done.stderr


@versions
def test_ipv6(own_server, topic, version):
    server = own_server("::1").start()
    assert address(server.host, server.port).startswith("[::1]:")
    with Peer(server, version) as peer:
        peer.subscribe(topic, qos=2)
        peer.publish(topic, b"six", 2)
        assert peer.message().payload == b"six"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_was_acknowledged_survives(own_server, topic, end):
    """Retained messages, sessions, subscriptions and their queues, after SIGTERM and after
    a crash: what the server acknowledged it has."""
    server = own_server().start()
    sleepers = {version: fresh_id() for version in (V311, V5)}
    for version, client_id in sleepers.items():
        with Peer(server, version, client_id, clean=False) as sleeper:
            sleeper.subscribe(f"{topic}/queue", qos=2)
    publisher = Peer(server, V5).connect()
    for number in range(50):
        publisher.publish(f"{topic}/queue", b"%d" % number, 1 + number % 2)
        publisher.publish(
            f"{topic}/state/{number}",
            b"%d" % number,
            1,
            retain=True,
            UserProperty=[("n", str(number))],
        )
    publisher.publish(f"{topic}/state/0", b"", 1, retain=True)
    (server.kill if end == "kill" else server.stop)()
    publisher.disconnect()
    server.restart()
    with Peer(server, V5) as reader:
        reader.subscribe(f"{topic}/state/+", qos=1)
        states = {m.payload: m.properties.UserProperty for m in reader.messages(49)}
        assert states == {b"%d" % n: [("n", str(n))] for n in range(1, 50)}
        for version, client_id in sleepers.items():
            with Peer(server, version, client_id, clean=False) as back:
                assert back.session_present
                assert sorted(map(int, back.payloads(50))) == list(range(50))
                assert back.until_fence(reader, qos=2) == []


def test_restart_again_and_again(own_server, topic):
    """Three crashes in a row lose and repeat nothing that was retained."""
    server = own_server().start()
    for round_number in range(3):
        with Peer(server, V311) as peer:
            peer.publish(f"{topic}/{round_number}", b"%d" % round_number, 1, retain=True)
        server.kill()
        server.restart()
        with Peer(server, V311) as peer:
            peer.subscribe(f"{topic}/#", qos=1)
            heard = sorted(m.topic for m in peer.messages(round_number + 1) if m.retain)
            assert heard == [f"{topic}/{n}" for n in range(round_number + 1)]
            assert peer.until_fence(peer, qos=1) == []
