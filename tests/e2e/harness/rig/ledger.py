"""What was said, what was acknowledged, and what follows from it."""

from dataclasses import dataclass, field

#: Payloads are cut from this, so that each byte of a message is known from its number.
PATTERN = bytes(range(32, 127)) * 200

#: Each so many-th message is large.
LARGE_EACH, LARGE = 50, 8_000

#: Each so many-th change of a retained message clears it.
CLEAR_EACH = 5


class Violation(AssertionError):
    """The server broke a promise."""


@dataclass
class Lane:
    """The messages of one publisher to one topic at one QoS: they arrive in the order of their
    numbers, which begin at 1. All up to `said` were sent, all up to `acked` acknowledged."""

    topic: str
    qos: int
    retain: bool = False
    said: int = 0
    acked: int = 0

    def next(self):
        self.said += 1
        return self.said

    def acknowledge(self, number):
        """Takes an acknowledgement; a lane's come in its own order (MQTT-4.6.0-2, -3)."""
        if number != self.acked + 1:
            raise Violation(f"{self.topic}: {number} acknowledged after {self.acked}")
        self.acked = number

    def clears(self, number):
        return self.retain and number % CLEAR_EACH == 0

    def payload(self, number):
        """The bytes of message `number`: its number, and a filling that follows from it."""
        if self.clears(number):
            return b""
        length = LARGE if number % LARGE_EACH == 0 else number * 7919 % 600
        start = number * 31 % len(PATTERN) // 2
        return b"%d %s" % (number, PATTERN[start : start + length])

    def number(self, payload):
        """The number of a message that arrived, whose every byte must be as it was sent."""
        number = int(payload.partition(b" ")[0] or b"0")
        if not 0 < number <= self.said or payload != self.payload(number):
            raise Violation(f"{self.topic}: a payload that nobody sent: {payload[:80]!r}")
        return number


class Lanes:
    """All lanes by topic."""

    def __init__(self):
        self.by_topic = {}

    def add(self, lane):
        self.by_topic[lane.topic] = lane
        return lane

    def queued(self):
        """The lanes that durable subscribers hear."""
        return [lane for lane in self.by_topic.values() if not lane.retain]

    def retained(self):
        return [lane for lane in self.by_topic.values() if lane.retain]

    def find(self, topic, payload):
        """The lane of a message that arrived, and its number there."""
        if topic not in self.by_topic:
            raise Violation(f"a message to {topic}, where nobody publishes")
        lane = self.by_topic[topic]
        return lane, lane.number(payload)


@dataclass
class InOrder:
    """What one durable subscriber heard: each message at least once, at QoS 2 exactly once, and
    for the first time in the order in which it was said (P2, P3, P4)."""

    lanes: Lanes
    qos: int
    heard: dict = field(default_factory=dict)
    repeats: int = 0

    #: A QoS 1 message that was sent and not acknowledged stays with the client.
    stays = True

    def hear(self, lane, number):
        before = self.heard.get(lane.topic, 0)
        if number == before + 1:
            self.heard[lane.topic] = number
        elif number > before:
            raise Violation(f"{lane.topic}: {number} heard after {before}: lost, or overtaken")
        elif min(self.qos, lane.qos) == 2:
            raise Violation(f"{lane.topic}: {number} heard again at QoS 2, {before} was the last")
        else:
            self.repeats += 1

    def missing(self):
        """Each lane that is not heard to its end, and how far it was."""
        return [
            f"{lane.topic}: {self.heard.get(lane.topic, 0)} of {lane.said}"
            for lane in self.lanes.queued()
            if self.heard.get(lane.topic, 0) < lane.said
        ]


@dataclass
class BetweenMembers:
    """What the members of one shared subscription heard together: each message by somebody, at
    QoS 2 by exactly one of them, once. There is no order between members."""

    lanes: Lanes
    qos: int
    #: For each topic: all up to the first number were heard, and those in the set.
    heard: dict = field(default_factory=dict)
    repeats: int = 0

    #: It may go to another member (4.8.2); at QoS 2 it may not (MQTT-4.8.2-4).
    stays = False

    def hear(self, lane, number):
        before, ahead = self.heard.get(lane.topic, (0, set()))
        if number <= before or number in ahead:
            if min(self.qos, lane.qos) == 2:
                raise Violation(f"{lane.topic}: {number} heard twice within the group")
            self.repeats += 1
            return
        ahead.add(number)
        while before + 1 in ahead:
            before += 1
            ahead.remove(before)
        self.heard[lane.topic] = (before, ahead)

    def missing(self):
        return [
            f"{lane.topic}: {self.heard.get(lane.topic, (0, set()))} of {lane.said}"
            for lane in self.lanes.queued()
            if self.heard.get(lane.topic, (0, set()))[0] < lane.said
        ]


class Retained:
    """What a newcomer found: for each topic the value that was acknowledged last, or one that
    was said later."""

    def __init__(self, lanes):
        self._lanes = lanes.retained()
        self._values = {}

    def hear(self, lane, number):
        if number < lane.acked:
            raise Violation(f"{lane.topic}: retained {number}, acknowledged {lane.acked}")
        if lane.topic in self._values:
            raise Violation(f"{lane.topic}: two retained messages")
        self._values[lane.topic] = number

    def missing(self):
        """The topics whose every possible value is a message, and of which none came."""
        return [
            f"{lane.topic}: nothing retained, acknowledged {lane.acked} of {lane.said}"
            for lane in self._lanes
            if lane.acked
            and lane.topic not in self._values
            and not any(lane.clears(number) for number in range(lane.acked, lane.said + 1))
        ]

    def excess(self):
        """The topics that must be empty, and are not."""
        return [
            f"{lane.topic}: retained {self._values[lane.topic]}, cleared by {lane.acked}"
            for lane in self._lanes
            if lane.topic in self._values and lane.acked == lane.said and lane.clears(lane.acked)
        ]
