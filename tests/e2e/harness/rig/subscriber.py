"""Durable subscribers, which acknowledge at once or late, and a newcomer that looks about."""

from collections import deque

from .. import raw
from .client import READY, SUBSCRIBING, Client
from .ledger import Violation

#: The packet id of the one SUBSCRIBE.
SUBSCRIBE_ID = 1


class Subscriber(Client):
    """Hears `topic_filter` at `qos`. It keeps up to `holds` acknowledgements back, so that there
    are always some that a kill takes away. `hearing` judges what it hears."""

    def __init__(self, rig, client_id, level, topic_filter, hearing, *, holds=0, maximum=None):
        super().__init__(rig, client_id, level, maximum)
        self.topic_filter, self.hearing, self.holds = topic_filter, hearing, holds
        self.qos = hearing.qos
        self.subscribed = False
        #: QoS 2 messages that the server has not released yet, by packet id.
        self.unreleased = {}
        #: Messages of this connection that we have not acknowledged, by packet id.
        self.unacknowledged = {}
        #: Such messages of the connection before, which have to come again with that id.
        self.owed = {}
        self._held = deque()

    def unsettled(self):
        """What is still on its way: nothing of it may be left when all was said and heard."""
        owed, unreleased = (
            {identifier: f"{lane.topic} {number}" for identifier, (lane, number) in half.items()}
            for half in (self.owed, self.unreleased)
        )
        return f"not sent again: {owed}, not released: {unreleased}"

    def settled(self):
        """Whether there is nothing on its way that could still change what was heard."""
        return self.state == READY and not self.unreleased and not self.owed and not self._held

    def on_connected(self, present):
        if not present:
            self.unreleased, self.owed = {}, {}
        if self.subscribed:
            self.state = READY
            return
        self.state = SUBSCRIBING
        self.send(raw.subscribe(SUBSCRIBE_ID, self.topic_filter, self.qos, self.level))

    def on_answer(self, kind, flags, body):
        if kind == raw.PUBLISH:
            self._on_publish(flags, body)
            return
        identifier = int.from_bytes(body[:2], "big")
        if kind == raw.PUBREL:
            self._acknowledge(raw.PUBCOMP, identifier)
        elif kind == raw.SUBACK and body[-1] == self.qos:
            self.subscribed = self.kept = True
            self.state = READY
        else:
            raise self.violation(f"packet {kind} {body.hex()}")

    def _on_publish(self, flags, body):
        topic, payload, qos, identifier, dup, _, _ = raw.published(flags, body, self.level)
        lane, number = self.rig.lanes.find(topic, payload)
        if qos != min(lane.qos, self.qos):
            raise self.violation(f"{topic} {number} at QoS {qos}")
        message = (lane, number)
        known = self.unreleased.get(identifier) or self.owed.get(identifier)
        if known is not None and not (known == message and dup):
            raise self.violation(
                f"{topic} {number} with id {identifier}, DUP {dup:d}; that id is"
                f" {known[0].topic} {known[1]}"
            )
        self.owed.pop(identifier, None)
        if identifier in self.unacknowledged:
            raise self.violation(f"{topic} {number} with id {identifier}, which is in use")
        self.unacknowledged[identifier] = message
        if len(self.unacknowledged) > (self.receive_maximum or 65535):
            raise self.violation(f"{len(self.unacknowledged)} messages at once")
        if qos == 2:
            if identifier not in self.unreleased:
                self.unreleased[identifier] = message
                self._hear(lane, number, identifier, dup)
            self._acknowledge(raw.PUBREC, identifier)
        else:
            self._hear(lane, number, identifier, dup)
            self._acknowledge(raw.PUBACK, identifier)
        self.rig.heard += 1

    def _hear(self, lane, number, identifier, dup):
        try:
            self.hearing.hear(lane, number)
        except Violation as violation:
            raise self.violation(f"{violation} (id {identifier}, DUP {dup:d})") from None

    def _acknowledge(self, kind, identifier):
        """Acknowledges, in order, all but the newest ones that it holds back."""
        self._held.append((kind, identifier))
        if len(self._held) > self.holds:
            self.release(self.rig.random.randint(0, self.holds))

    def release(self, keep=0):
        """Sends what it holds back, but for the newest `keep`."""
        while len(self._held) > keep:
            kind, identifier = self._held.popleft()
            self.send(raw.acknowledge(kind, identifier))
            if kind == raw.PUBCOMP:
                self.unreleased.pop(identifier, None)
            if kind != raw.PUBREC:
                self.unacknowledged.pop(identifier, None)

    def crashed(self):
        """The server was killed. The ids of QoS 1 messages wait for nobody on their way to the
        store; only those of QoS 2 are there before they are used."""
        self.owed = {i: message for i, message in self.owed.items() if i in self.unreleased}

    def forget_connection(self):
        """MQTT-4.4.0-1: what the server has acknowledged to its publisher and we not to it, it
        sends again with the same id. At QoS 1 that holds for what it has promised to keep."""
        held = {identifier for kind, identifier in self._held if kind != raw.PUBCOMP}
        for identifier, message in self.unacknowledged.items():
            lane, number = message
            promised = self.hearing.stays and number <= lane.acked
            if identifier in held and (identifier in self.unreleased or promised):
                self.owed[identifier] = message
        self.unacknowledged = {}
        self._held.clear()


class Newcomer(Client):
    """Connects anew, subscribes to retained messages, and shows what it found."""

    def __init__(self, rig, client_id, topic_filter, hearing):
        super().__init__(rig, client_id, 5, clean=True)
        self.topic_filter, self.hearing = topic_filter, hearing

    def on_connected(self, present):
        self.state = SUBSCRIBING
        self.send(raw.subscribe(SUBSCRIBE_ID, self.topic_filter, 0, self.level))

    def on_answer(self, kind, flags, body):
        if kind == raw.SUBACK:
            self.state = READY
            return
        topic, payload, _, _, _, retain, _ = raw.published(flags, body, self.level)
        if kind != raw.PUBLISH or not retain:
            raise self.violation(f"packet {kind} {body[:80]!r}")
        self.hearing.hear(*self.rig.lanes.find(topic, payload))
