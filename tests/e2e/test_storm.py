"""F17: many TLS clients at once, each of them in within the connect deadline. That those which have
begun go first is shown in the tests of `net`; ten thousand at once are measured in
docs/benchmarks.md."""

import asyncio

import pytest

from harness.pki import Authority
from harness.server import Server

CLIENTS = 500
LISTENER = 'protocol = "mqtts"\ncertificates = ["main"]'


@pytest.fixture
def server(own_server, tmp_path):
    authority = Authority(tmp_path / "pki")
    issued = authority.issue("server", names=["localhost", "127.0.0.1"])
    chain = (
        f'[[certificate]]\nname = "main"\nchain = "{issued.file}"\nkey = "{issued.key_file}"\n'
    )
    running = own_server(config=chain, listeners=["", LISTENER]).start()
    return running, authority.context()


def connect_packet(client_id):
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(client_id).to_bytes(2, "big") + client_id
    return bytes([0x10, len(body)]) + body


async def enter(port, tls, number):
    """Returns the client's link once it is in."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, ssl_handshake_timeout=120
    )
    writer.write(connect_packet(b"storm-%d" % number))
    assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
    return writer


def test_f17_a_storm_of_tls_clients_gets_in(server):
    running, tls = server
    port = running.door(1).port

    async def storm():
        everybody = (enter(port, tls, number) for number in range(CLIENTS))
        writers = await asyncio.wait_for(asyncio.gather(*everybody), 60)
        for writer in writers:
            writer.transport.abort()

    asyncio.run(storm())
