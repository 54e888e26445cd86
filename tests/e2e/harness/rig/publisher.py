"""Publishers: windows of QoS 1 and 2 that are repeated until they are acknowledged."""

from dataclasses import dataclass

from .. import raw
from .client import READY, Client
from .ledger import Lane

#: A 3.1.1 server tells no maximum: this many unacknowledged messages are within ours.
WINDOW_MOST = 1000

#: Packet Identifier not found.
UNKNOWN_ID = 0x92


@dataclass
class Pending:
    """A message whose handshake is not over."""

    lane: Lane
    number: int
    released: bool = False
    #: PUBREL went more than once: the server may have done it before, and say so by 0x92.
    again: bool = False


class Publisher(Client):
    """Says the next message of one of its lanes whenever its window has room."""

    def __init__(self, rig, client_id, level, lanes, window):
        super().__init__(rig, client_id, level)
        self.lanes, self.window = lanes, window
        #: By packet id, in the order in which they were sent first.
        self.pending = {}
        self.paused = False
        self._last_id = 0

    def idle(self):
        return self.state == READY and not self.pending

    def on_connected(self, present):
        """MQTT-4.4.0-1: all that is not acknowledged again, in order, with its own id."""
        self.state = READY
        for identifier, pending in self.pending.items():
            if pending.released:
                pending.again = True
                self.send(raw.acknowledge(raw.PUBREL, identifier))
            else:
                self._say(identifier, pending, dup=present)
        self.note(f"repeats {len(self.pending)}")
        self.pump()

    def pump(self):
        if self.state != READY or self.paused:
            return
        room = min(self.window, self.server_maximum, WINDOW_MOST) - len(self.pending)
        for _ in range(room):
            lane = self.rig.random.choice(self.lanes)
            pending = Pending(lane, lane.next())
            identifier = self._free_id()
            self.pending[identifier] = pending
            self._say(identifier, pending, dup=False)

    def on_answer(self, kind, flags, body):
        identifier = int.from_bytes(body[:2], "big")
        code = body[2] if len(body) > 2 else 0
        pending = self.pending.get(identifier)
        done_before = kind == raw.PUBCOMP and code == UNKNOWN_ID and pending and pending.again
        if code >= 0x80 and not done_before:
            raise self.violation(f"acknowledgement {kind} of {identifier} says {code:#x}")
        if kind == raw.PUBACK and pending and pending.lane.qos == 1:
            del self.pending[identifier]
            self._acknowledged(pending)
        elif kind == raw.PUBREC and pending and pending.lane.qos == 2:
            if not pending.released:
                pending.released = True
                self._acknowledged(pending)
            self.send(raw.acknowledge(raw.PUBREL, identifier))
        elif kind == raw.PUBCOMP and pending and pending.released:
            del self.pending[identifier]
        else:
            raise self.violation(f"acknowledgement {kind} of {identifier}, which is {pending}")
        self.pump()

    def _acknowledged(self, pending):
        pending.lane.acknowledge(pending.number)
        self.kept = True
        self.rig.acked += 1

    def _say(self, identifier, pending, dup):
        lane = pending.lane
        self.send(
            raw.publish(
                lane.topic,
                lane.payload(pending.number),
                lane.qos,
                identifier,
                self.level,
                dup=dup,
                retain=lane.retain,
            )
        )

    def _free_id(self):
        while True:
            self._last_id = self._last_id % 65535 + 1
            if self._last_id not in self.pending:
                return self._last_id
