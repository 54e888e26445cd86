"""Sockets that never block, and the loop that serves them."""

import selectors
import socket

from ..raw import variable

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

#: Bytes that one read takes at most.
CHUNK = 1 << 18


class Link:
    """One connection. Its owner hears `on_packet(kind, flags, body)` and `on_lost()`."""

    def __init__(self, loop, address, owner):
        self._loop, self._owner = loop, owner
        self._socket = socket.create_connection(address)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input, self._output = bytearray(), bytearray()
        self._waits = False
        loop.selector.register(self._socket, READ, self)

    def send(self, data):
        """Takes bytes; they leave at the end of the loop's turn."""
        self._output += data
        self._loop.dirty.add(self)

    def close(self):
        """Ends the connection without a word to anybody."""
        if self._socket is None:
            return
        self._loop.selector.unregister(self._socket)
        self._loop.dirty.discard(self)
        self._socket.close()
        self._socket = None

    def flush(self):
        """Writes what the system takes now."""
        if self._socket is None:
            return
        try:
            while self._output:
                del self._output[: self._socket.send(self._output)]
        except BlockingIOError:
            pass
        except OSError:
            self._lose()
            return
        if bool(self._output) != self._waits:
            self._waits = not self._waits
            wanted = READ | WRITE if self._waits else READ
            self._loop.selector.modify(self._socket, wanted, self)

    def serve(self, events):
        if events & WRITE:
            self.flush()
        if events & READ and self._socket is not None:
            self._read()

    def _read(self):
        try:
            part = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._lose()
            return
        data = self._input
        data += part
        at = 0
        # A packet may make the owner close this link.
        while self._socket is not None and (end := packet_end(data, at)) is not None:
            start, end = end
            self._owner.on_packet(data[at] >> 4, data[at] & 15, bytes(data[start:end]))
            at = end
        del data[:at]

    def _lose(self):
        if self._socket is not None:
            self.close()
            self._owner.on_lost()


class Loop:
    """Serves links. One turn reads what is there and writes what it led to."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.dirty = set()

    def turn(self, seconds):
        self.flush()
        for key, events in self.selector.select(seconds):
            key.data.serve(events)
        self.flush()

    def flush(self):
        while self.dirty:
            self.dirty.pop().flush()


def packet_end(data, at):
    """Where the body of the packet at `at` begins and ends, or None if it is not all there."""
    if len(data) < at + 2:
        return None
    if data[at + 1] < 0x80:
        start = at + 2
        end = start + data[at + 1]
    else:
        try:
            length, start = variable(data, at + 1)
        except IndexError:
            return None
        end = start + length
    return (start, end) if end <= len(data) else None
