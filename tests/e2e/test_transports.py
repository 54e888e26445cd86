"""TLS, WebSocket and Unix sockets: the same MQTT behind each of them (S73 to S88)."""

import socket
import ssl

import pytest

from harness.deadline import Deadline
from harness.peer import V5, V311, Peer, Refused, fresh_id
from harness.pki import Authority, write
from harness.server import Door, Server, ServerEnded


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki")


@pytest.fixture
def issued(authority):
    return authority.issue("server", names=["localhost", "127.0.0.1"])


def certificate(issued):
    return f'[[certificate]]\nname = "main"\nchain = "{issued.file}"\nkey = "{issued.key_file}"\n'


#: A listener's lines: plain MQTT is always the first, which tells when the server is up.
TLS = 'protocol = "mqtts"\ncertificates = ["main"]'
WS = 'protocol = "ws"'
WSS = 'protocol = "wss"\ncertificates = ["main"]'


def say_and_hear(publisher, listener):
    topic = f"transports/{fresh_id()}"
    listener.subscribe(topic, qos=1)
    for size in (0, 1, 1000, 100_000):
        publisher.publish(topic, b"x" * size, 1)
        assert len(listener.message().payload) == size


def test_the_same_mqtt_by_each_door(own_server, authority, issued):
    server = own_server(config=certificate(issued), listeners=["", TLS, WS, WSS]).start()
    tls = authority.context()
    ways = [
        {"server": server.door(0)},
        {"server": server.door(1), "tls": tls},
        {"server": server.door(2), "transport": "websockets"},
        {"server": server.door(3), "transport": "websockets", "tls": tls},
    ]
    for number, way in enumerate(ways):
        other = ways[(number + 1) % len(ways)]
        with Peer(version=V5, **way) as one, Peer(version=V311, **other) as two:
            say_and_hear(one, two)
            say_and_hear(two, one)


def test_a_unix_socket_is_a_door_too(own_server, tmp_path):
    path = tmp_path / "mqtt.sock"
    config = f'[[listener]]\naddress = "{path}"\n'
    server = own_server(config=config, listeners=[""]).start()
    with Peer(Door(str(path), 1), V5, transport="unix") as local, Peer(server, V5) as other:
        say_and_hear(local, other)
    assert path.stat().st_mode & 0o777 == 0o660
    server.stop()
    assert not path.exists()


def handshake(server, number, context):
    """What the server shows by a door."""
    with socket.create_connection((server.host, server.door(number).port)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            return tls.getpeercert(binary_form=True)


def until_shown(server, number, context, wanted):
    deadline = Deadline()
    while (shown := handshake(server, number, context)) != wanted:
        assert not deadline.passed(), server.log()
    return shown


def der(issued):
    return ssl.PEM_cert_to_DER_cert(issued.file.read_text())


def test_s73_certificates_are_swapped_without_a_restart(own_server, authority, issued):
    server = own_server(config=certificate(issued), listeners=["", TLS]).start()
    context = authority.context()
    with Peer(server.door(1), V5, tls=context) as old, Peer(server.door(0), V5) as other:
        assert handshake(server, 1, context) == der(issued)
        # A key that does not belong to the certificate: the old pair stays.
        right = issued.key_file.read_bytes()
        write(issued.key_file, authority.issue("stranger").key_file.read_bytes())
        server.until_events("certificates not taken over: the old ones stay")
        assert handshake(server, 1, context) == der(issued)
        write(issued.key_file, right)
        server.until_events("certificates read again: new connections see them")
        renewed = authority.issue("renewed", names=["localhost"])
        write(issued.key_file, renewed.key_file.read_bytes())
        write(issued.file, renewed.file.read_bytes())
        until_shown(server, 1, context, der(renewed))
        # Who was connected stays so.
        say_and_hear(old, other)


def client_doors(authority, extra=""):
    asks = f'client_certificate = "required"\nclient_ca = "{authority.file}"\n{extra}'
    return ["", f"{TLS}\n{asks}", f"{WSS}\n{asks}"]


IDENTITY = '[[authentication]]\ntype = "certificate"\n[[rule]]\nallow = "all"\n'


def doors_of_tls(server):
    return [
        {"server": server.door(1), "transport": "tcp"},
        {"server": server.door(2), "transport": "websockets"},
    ]


def is_refused(context, door):
    with pytest.raises((Refused, OSError, AssertionError)):
        Peer(version=V5, tls=context, **door).connect()
    return True


def test_s78_clients_without_a_good_certificate_are_refused(own_server, authority, issued, tmp_path):
    server = own_server(
        config=certificate(issued) + IDENTITY, listeners=client_doors(authority)
    ).start()
    stranger = Authority(tmp_path / "other", "Another Authority")
    bad = {
        "none": authority.context(),
        "of another authority": authority.context(stranger.issue("device", client=True)),
        "for servers": authority.context(authority.issue("device2")),
        "expired": authority.context(authority.issue("device3", client=True, days=-0.5)),
    }
    good = authority.context(authority.issue("device-1", client=True))
    for door in doors_of_tls(server):
        for name, context in bad.items():
            assert is_refused(context, door), name
        with Peer(version=V5, tls=good, **door) as device:
            assert device.subscribe("a/b") == [0]
    assert len(server.events("client connected")) == 2


@pytest.mark.parametrize(
    "common_names", [["a", "b"], ["a/b"], ["a+"], ["a#"], []], ids=repr
)
def test_s77_a_strange_common_name_is_no_user(own_server, authority, issued, common_names):
    server = own_server(
        config=certificate(issued) + IDENTITY, listeners=client_doors(authority)
    ).start()
    odd = authority.issue("odd", common_names=common_names, client=True)
    assert is_refused(authority.context(odd), doors_of_tls(server)[0])


def test_s75_a_revoked_client_is_cut_and_kept_out(own_server, authority, issued):
    device = authority.issue("device-1", client=True)
    other = authority.issue("device-2", client=True)
    crl = authority.revoke()
    server = own_server(
        config=certificate(issued) + IDENTITY,
        listeners=client_doors(authority, f'crl = ["{crl}"]'),
    ).start()
    [door, _] = doors_of_tls(server)
    revoked = Peer(version=V5, tls=authority.context(device), **door).connect()
    with Peer(version=V5, tls=authority.context(other), **door) as kept:
        authority.revoke(device)
        revoked.ended()
        assert is_refused(authority.context(device), door)
        kept.subscribe("still/here")
        kept.publish("still/here", b"1", 1)
        assert kept.message().payload == b"1"


def test_s79_and_s99_bad_files_refuse_the_start(own_server, authority, issued, tmp_path):
    empty = write(tmp_path / "empty.pem", b"")
    open_key = authority.issue("open")
    open_key.key_file.chmod(0o644)
    for config, listener, told in [
        (certificate(issued), f'{TLS}\nclient_ca = "{empty}"', "empty.pem"),
        (certificate(open_key), TLS, "open.key"),
        (certificate(issued).replace("server.pem", "missing.pem"), TLS, "missing.pem"),
    ]:
        server = own_server(config=config, listeners=["", listener])
        with pytest.raises(ServerEnded) as failed:
            server.start(attempts=1)
        assert told in str(failed.value)
        assert "panicked" not in str(failed.value)
