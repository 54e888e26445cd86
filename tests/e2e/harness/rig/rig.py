"""Rounds of work and sudden ends."""

import random
import signal
import subprocess

from ..deadline import PATIENCE, Deadline
from ..server import ServerEnded, lasting_port
from .client import AWAY
from .ledger import BetweenMembers, InOrder, Lane, Lanes, Retained, Violation
from .link import Loop
from .publisher import Publisher
from .subscriber import Newcomer, Subscriber

#: Seconds that a restart may take (F01 allows them for a million messages).
RESTART = 5

#: Each so many-th round ends with nothing on its way, so that all can be judged.
DRAIN_EACH = 8

#: Acknowledgements that a round waits for, at most, before the server is killed.
ACKNOWLEDGED_MOST = 1_000


class Rig:
    """Durable subscribers, publishers, and a server that ends again and again. Everything that
    the rig decides comes from `seed`; what the server does meanwhile does not."""

    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.random = random.Random(seed)
        self.loop = Loop()
        self.lanes = Lanes()
        self.acked = self.heard = self.starts = self.ended_rounds = 0
        self.slowest_restart = 0.0
        #: Whether it is no surprise that connections end.
        self.ending = False
        self.publishers = self._make_publishers()
        self.subscribers = self._make_subscribers()
        #: A server's port stays: clients come back to where they were.
        self._port = lasting_port(server.host)

    @property
    def address(self):
        return (self.server.host, self._port)

    def _make_publishers(self):
        made = []
        for number, (level, window) in enumerate([(4, 1), (4, 20), (5, 10), (5, 100)]):
            name = f"p{number}"
            lanes = [Lane(f"k/q/{name}/{qos}", qos) for qos in (1, 2)]
            lanes += [Lane(f"k/r/{name}/{qos}/{n}", qos, True) for qos in (1, 2) for n in (1, 2)]
            for lane in lanes:
                self.lanes.add(lane)
            # Two of three messages are to be queued.
            made.append(Publisher(self, name, level, lanes[:2] * 4 + lanes[2:], window))
        return made

    def _make_subscribers(self):
        def alone(name, level, qos, **options):
            return Subscriber(self, name, level, "k/q/#", InOrder(self.lanes, qos), **options)

        group = BetweenMembers(self.lanes, 2)
        members = [
            Subscriber(self, f"s-group{n}", 5, "$share/g/k/q/#", group, holds=n * 5)
            for n in range(2)
        ]
        return [
            alone("s-old1", 4, 1),
            alone("s-old2", 4, 2, holds=10),
            alone("s-new1", 5, 1, holds=30, maximum=40),
            alone("s-new2", 5, 2),
            alone("s-late2", 5, 2, holds=15, maximum=16),
            *members,
        ]

    # What clients tell

    def on_lost(self, client):
        if not self.ending:
            raise client.violation("the server closed the connection")

    def on_farewell(self, client, body):
        if not self.ending:
            raise client.violation(f"DISCONNECT {body.hex()}")

    # Rounds

    def run(self, ends):
        """Starts, and ends the server as each of `ends` says: by SIGKILL or by SIGTERM. Raises
        `Violation` at the first broken promise."""
        try:
            self._start()
            self._settle_in()
            for number, end in enumerate(ends, 1):
                self._work()
                self._end(end)
                self._start()
                self._look_about()
                self._connect_all()
                if number % DRAIN_EACH == 0 or number == len(ends):
                    self._drain()
                self.ended_rounds = number
        except Violation as violation:
            raise Violation(f"{violation}\n{self.report()}") from None
        finally:
            for client in self.publishers + self.subscribers:
                client.lose()

    def report(self):
        """Where the rig is, and what its clients did last."""
        lines = [
            f"seed {self.seed}, round {self.ended_rounds + 1}, {self.starts} starts",
            *(f"{lane.topic}: said {lane.said}, acknowledged {lane.acked}" for lane in
              self.lanes.by_topic.values()),
            *(f"{client.client_id} ({client.state}): {' | '.join(client.history)}"
              for client in self.publishers + self.subscribers),
        ]
        return "\n".join(lines)

    def _start(self):
        """Starts the server; now and then it is killed before it serves."""
        while self.random.random() < 0.1:
            self.server.launch(self._port)
            self.starts += 1
            try:
                self.server.wait(self.random.uniform(0, 0.1))
            except subprocess.TimeoutExpired:
                self.server.kill()
            else:
                raise ServerEnded(f"it ended while it started:\n{self.server.log()}")
        took = self.server.restart(self._port)
        self.starts += 1
        self.slowest_restart = max(self.slowest_restart, took)
        if took > RESTART:
            raise Violation(f"the server took {took:.1f} s to start")

    def _settle_in(self):
        """Everybody subscribes before anything is said."""
        for subscriber in self.subscribers:
            subscriber.connect()
        self._until(
            lambda: all(subscriber.subscribed for subscriber in self.subscribers),
            "SUBACK for everybody",
        )
        for publisher in self.publishers:
            publisher.connect()

    def _connect_all(self):
        """Everybody comes back, in any order; but some subscribers only later."""
        clients = self.publishers + self.subscribers
        self.random.shuffle(clients)
        for client in clients:
            if client in self.subscribers and self.random.random() < 0.25:
                continue
            client.connect()
            if self.random.random() < 0.5:
                self.loop.turn(0)

    def _work(self):
        """Until a number of acknowledgements has come; meanwhile subscribers come and go."""
        most = self.random.choice([3, 30, 300, ACKNOWLEDGED_MOST])
        for part in range(2):
            goal = self.acked + self.random.randint(1, most)
            self._until(lambda: self.acked >= goal, f"{goal} acknowledgements")  # noqa: B023
            if part == 0:
                self._stir(self.random.choice(self.subscribers))

    def _stir(self, subscriber):
        """A subscriber returns, is taken over by itself, or leaves."""
        if subscriber.state == AWAY or self.random.random() < 0.5:
            subscriber.connect()
        else:
            subscriber.leave()

    def _end(self, number):
        """Ends the server. What it had sent before is read now and then."""
        self.ending = True
        clients = self.publishers + self.subscribers
        if number == signal.SIGKILL:
            self.server.kill()
            if self.random.random() < 0.5:
                self._until(lambda: all(c.state == AWAY for c in clients), "the connections' end")
        else:
            self.server.signal(number)
            self._until(lambda: all(c.state == AWAY for c in clients), "the connections' end")
            code = self.server.ended_by_itself()
            if code != 0:
                raise Violation(f"exit code {code} after signal {number}")
        for client in clients:
            client.lose()
        if number == signal.SIGKILL:
            for subscriber in self.subscribers:
                subscriber.crashed()
        self.ending = False

    def _look_about(self):
        """Before anything is repeated: the retained messages, as a newcomer sees them."""
        found = Retained(self.lanes)
        newcomer = Newcomer(self, f"n{self.starts}", "k/r/#", found)
        newcomer.connect()
        try:
            self._until(lambda: not found.missing(), found.missing)
        finally:
            newcomer.lose()
        if found.excess():
            raise Violation("\n".join(found.excess()))

    def _drain(self):
        """Says nothing new until all that was said has arrived everywhere."""
        for publisher in self.publishers:
            publisher.paused = True
        holds = {subscriber: subscriber.holds for subscriber in self.subscribers}
        for subscriber in self.subscribers:
            subscriber.holds = 0
            if subscriber.state == AWAY:
                subscriber.connect()
            elif subscriber.link is not None:
                subscriber.release()
        self._until(self._is_drained, self._undrained)
        self._look_about()
        for subscriber, held in holds.items():
            subscriber.holds = held
        for publisher in self.publishers:
            publisher.paused = False
            publisher.pump()

    def _is_drained(self):
        return all(publisher.idle() for publisher in self.publishers) and all(
            subscriber.settled() and not subscriber.hearing.missing()
            for subscriber in self.subscribers
        )

    def _undrained(self):
        return "\n".join(
            [
                f"{publisher.client_id} waits: {publisher.pending}"
                for publisher in self.publishers
                if not publisher.idle()
            ]
            + [
                f"{subscriber.client_id} waits: {subscriber.hearing.missing()},"
                f" {subscriber.unsettled()}"
                for subscriber in self.subscribers
            ]
        )

    def _until(self, condition, what):
        """Serves everybody until the condition holds."""
        deadline = Deadline(PATIENCE)
        while not condition():
            if deadline.passed():
                text = what if isinstance(what, str) else what()
                raise Violation(f"not within {PATIENCE} s: {text}")
            self.loop.turn(deadline.left())
