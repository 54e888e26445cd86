"""F18: a herd of clients, and a back end that takes its time for each of them."""

import asyncio
import json
import resource
import socket
import threading
import time

CLIENTS = 3_000
# Of the back end, for each question.
DELAY = 0.1
CONCURRENCY, QUEUE = 32, 1024
ACCEPTED, BUSY = 0x00, 0x89
PATIENCE = 80
CONFIG = f"""
[[authentication]]
type = "http"
url = "{{url}}"
timeout = "20s"
concurrency = {CONCURRENCY}
queue = {QUEUE}
"""
EVERYTHING = {"permission": "allow", "action": "all", "topics": ["#"]}


class SlowService:
    """A web service that lets everybody in, after a while."""

    def __init__(self):
        self.inside = self.most = self.asked = 0

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                await self.answer(writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.close()

    async def answer(self, writer):
        self.inside += 1
        self.asked += 1
        self.most = max(self.most, self.inside)
        late = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(DELAY, late.set_result, None)
        await late
        self.inside -= 1
        body = json.dumps({"result": "allow", "acl": [EVERYTHING]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: %d\r\n\r\n%s" % (len(body), body))


class Herd:
    """Clients that connect at once. One that is refused comes back when another one is in."""

    def __init__(self, port):
        self.port = port
        self.refusals = []
        self.places = asyncio.Queue()

    async def enter(self, name):
        """A link of a client of this name, once it is in, and its reader."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(connect_packet(name))
            reason = (await packet(reader))[3]
            if reason == ACCEPTED:
                self.places.put_nowait(None)
                return reader, writer
            self.refusals.append(reason)
            writer.transport.abort()
            await self.places.get()


def connect_packet(name):
    text = len(name).to_bytes(2, "big") + name.encode()
    body = b"\x00\x04MQTT\x05\xc2\x00\x00\x00" + text + text + b"\x00\x06secret"
    return bytes([0x10, len(body)]) + body


async def packet(reader):
    head = await reader.readexactly(2)
    assert head[1] < 0x80
    return head + await reader.readexactly(head[1])


def pings(link, over):
    """The longest time that an answer took until it is over, in seconds."""
    longest = 0
    while not over.is_set():
        begin = time.monotonic()
        link.sendall(b"\xc0\x00")
        assert link.recv(2, socket.MSG_WAITALL) == b"\xd0\x00"
        longest = max(longest, time.monotonic() - begin)
    return longest


def let_in(port, name):
    """A link of a client that has been let in, for a thread of its own."""
    link = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    link.sendall(connect_packet(name))
    head = link.recv(2, socket.MSG_WAITALL)
    assert link.recv(head[1], socket.MSG_WAITALL)[1] == ACCEPTED
    return link


def test_f18_a_herd_before_a_slow_back_end(own_server):
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))

    async def story():
        service = SlowService()
        url = f"http://127.0.0.1:{await service.start()}/"
        section = CONFIG.format(url=url)
        server = await asyncio.to_thread(lambda: own_server(config=section).start())
        herd, over = Herd(server.port), threading.Event()
        link = await asyncio.to_thread(let_in, server.port, "before")
        watch = asyncio.create_task(asyncio.to_thread(pings, link, over))
        begin = time.monotonic()
        everybody = (herd.enter(f"herd-{number}") for number in range(CLIENTS))
        links = await asyncio.wait_for(asyncio.gather(*everybody), PATIENCE)
        took = time.monotonic() - begin
        over.set()
        longest = await watch
        link.close()
        for _, writer in links:
            writer.transport.abort()
        return service, herd, took, longest

    service, herd, took, longest = asyncio.run(story())
    # Never more at once than configured, and nobody was asked about who had been refused.
    assert service.most == CONCURRENCY
    assert service.asked == CLIENTS + 1
    # Whom there was no room for heard it at once, and each place was used.
    assert set(herd.refusals) == {BUSY}
    assert len(herd.refusals) >= CLIENTS - QUEUE - CONCURRENCY
    assert took < 3 * CLIENTS * DELAY / CONCURRENCY
    # Who was in noticed nothing.
    assert longest < 1
