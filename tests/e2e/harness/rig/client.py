"""A session on the client's side, which outlives its connections."""

import struct
from collections import deque

from .. import raw
from .ledger import Violation
from .link import Link

#: What `state` may be.
AWAY, CONNECTING, SUBSCRIBING, READY = "away", "connecting", "subscribing", "ready"

#: Seconds that a session outlives its connection.
EXPIRY = 3600

#: Events that a report shows of each client.
REMEMBERED = 16


class Client:
    """What publishers and subscribers have in common."""

    def __init__(self, rig, client_id, level, receive_maximum=None, clean=False):
        self.rig, self.client_id, self.level = rig, client_id, level
        self.receive_maximum = receive_maximum
        self.clean = clean
        self.link = None
        self.state = AWAY
        self.connections = 0
        #: The server acknowledged something of this session: it may not forget it any more.
        self.kept = False
        self.server_maximum = 65535
        self.history = deque(maxlen=REMEMBERED)

    def connect(self):
        """Begins a connection. An older one, if there is, is taken over."""
        older, self.link = self.link, None
        self.state = CONNECTING
        self.connections += 1
        block = b""
        if self.level == 5:
            block = struct.pack(">BI", 0x11, 0 if self.clean else EXPIRY)
            if self.receive_maximum:
                block += struct.pack(">BH", 0x21, self.receive_maximum)
        self.link = Link(self.rig.loop, self.rig.address, self)
        self.link.send(
            raw.connect(self.client_id, self.level, 0x02 if self.clean else 0, properties=block)
        )
        if older is not None:
            older.close()
            self.forget_connection()
        self.note("connects")

    def leave(self):
        """Goes by DISCONNECT."""
        self.send(raw.packet(raw.DISCONNECT, b""))
        self.link.flush()
        self.lose()

    def lose(self):
        """The connection is gone, whoever ended it."""
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.state != AWAY:
            self.state = AWAY
            self.forget_connection()
            self.note("loses its connection")

    def send(self, data):
        self.link.send(data)

    def on_lost(self):
        self.lose()
        self.rig.on_lost(self)

    def on_packet(self, kind, flags, body):
        if kind == raw.CONNACK:
            self._on_connack(body)
        elif kind == raw.DISCONNECT:
            self.note(f"DISCONNECT {body.hex()}")
            self.rig.on_farewell(self, body)
        else:
            self.on_answer(kind, flags, body)

    def _on_connack(self, body):
        present, code = body[0] & 1, body[1]
        if code:
            raise self.violation(f"CONNACK {code:#x}")
        if self.kept and not present:
            raise self.violation("the server has forgotten the session")
        if self.level == 5:
            found = dict(raw.properties(body, 2)[0])
            self.server_maximum = found.get(0x21, 65535)
        self.note(f"connected, session {'present' if present else 'new'}")
        self.on_connected(bool(present))

    def note(self, event):
        self.history.append(event)

    def violation(self, what):
        return Violation(f"{self.client_id}: {what}")

    # What kinds of clients do themselves

    def on_connected(self, present):
        raise NotImplementedError

    def on_answer(self, kind, flags, body):
        raise NotImplementedError

    def forget_connection(self):
        """What belongs to the connection and not to the session goes."""
