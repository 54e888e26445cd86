"""A paho-mqtt client whose answers can be waited for one by one."""

import itertools
import os
import queue
import threading
from collections import deque
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from .deadline import PATIENCE, Deadline

V31, V311, V5 = paho.MQTTv31, paho.MQTTv311, paho.MQTTv5

#: Test ids for the three versions.
VERSIONS = {V31: "3.1", V311: "3.1.1", V5: "5.0"}

#: Session expiry of a 5.0 client that asks for a session that lasts, in seconds.
LASTING = 3600

_counter = itertools.count(1)


@dataclass
class Will:
    """What the server is to say when the connection breaks."""

    topic: str
    payload: bytes = b"gone"
    qos: int = 0
    retain: bool = False
    properties: dict = field(default_factory=dict)


def properties(packet_type, values):
    """Properties from a dict of paho's names; None for none at all."""
    if not values:
        return None
    result = Properties(packet_type)
    for name, value in values.items():
        setattr(result, name, value)
    return result


class Refused(Exception):
    """CONNACK said no, or the connection ended before any CONNACK."""

    def __init__(self, reason):
        super().__init__(str(reason))
        self.reason = reason


class Client(paho.Client):
    """paho's client, which also keeps the reason of the server's DISCONNECT: paho itself
    overlooks it in the short form (a reason code without properties)."""

    farewell = None

    def _handle_disconnect(self):
        body = self._in_packet["packet"]
        self.farewell = body[0] if body else 0x00
        super()._handle_disconnect()


class Peer:
    """One client. Use it as a context manager: it connects on entry and leaves on exit."""

    def __init__(
        self,
        server,
        version=V311,
        client_id=None,
        *,
        clean=True,
        expiry=None,
        will=None,
        keepalive=60,
        manual_ack=False,
        username=None,
        password=None,
        tls=None,
        transport="tcp",
        **connect_properties,
    ):
        self.server, self.version, self.clean = server, version, clean
        self.keepalive = keepalive
        self.client_id = fresh_id() if client_id is None else client_id
        self.inbox = queue.Queue()
        self.connack = None
        self.session_present = None
        self.goodbye = None
        self._answers, self._changed = {}, threading.Condition()
        lasting = {} if clean else {"SessionExpiryInterval": LASTING}
        if expiry is not None:
            lasting["SessionExpiryInterval"] = expiry
        self._connect_properties = {**lasting, **connect_properties} if version == V5 else {}
        session = {} if version == V5 else {"clean_session": clean}
        self.client = Client(
            paho.CallbackAPIVersion.VERSION2,
            self.client_id,
            protocol=version,
            reconnect_on_failure=False,
            manual_ack=manual_ack,
            transport=transport,
            **session,
        )
        if tls is not None:
            self.client.tls_set_context(tls)
        if transport == "websockets":
            self.client.ws_set_options(path="/mqtt")
        if username is not None:
            self.client.username_pw_set(username, password)
        if will is not None:
            self.client.will_set(
                will.topic,
                will.payload,
                will.qos,
                will.retain,
                properties(PacketTypes.WILLMESSAGE, will.properties),
            )
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = lambda _c, _u, message: self.inbox.put(message)
        self.client.on_subscribe = lambda _c, _u, mid, codes, _p: self._answer(("sub", mid), codes)
        self.client.on_unsubscribe = lambda _c, _u, mid, codes, _p: self._answer(
            ("unsub", mid), codes
        )
        self.client.on_publish = lambda _c, _u, mid, code, _p: self._answer(("pub", mid), code)

    # Connecting and leaving

    def connect(self):
        """Connects and waits for CONNACK. Raises `Refused` when the answer is no."""
        self.connack, self.goodbye = None, None
        arguments = {}
        if self.version == V5:
            arguments = {
                "clean_start": self.clean,
                "properties": properties(PacketTypes.CONNECT, self._connect_properties),
            }
        self.client.connect(self.server.host, self.server.port, self.keepalive, **arguments)
        self.client.loop_start()
        self._until(lambda: self.connack is not None or self.goodbye is not None, "CONNACK")
        if self.connack is None or self.connack[0].is_failure:
            self.client.loop_stop()
            raise Refused(self.connack[0] if self.connack else self.goodbye)
        return self

    def __enter__(self):
        return self.connect()

    def __exit__(self, *_):
        self.disconnect()

    def disconnect(self, reason=None, **disconnect_properties):
        """Leaves by DISCONNECT and waits for the end of the connection."""
        if self.client.is_connected():
            self.client.disconnect(
                reason, properties(PacketTypes.DISCONNECT, disconnect_properties)
            )
            self.ended()
        self.client.loop_stop()

    def drop(self):
        """Breaks the connection without DISCONNECT, as a lost network would."""
        sock = self.client.socket()
        sock.shutdown(2)
        self.ended()
        self.client.loop_stop()

    def ended(self, seconds=PATIENCE):
        """Waits until the connection is over; returns the code of the server's DISCONNECT, or
        None when it sent none."""
        self._until(lambda: self.goodbye is not None, "the end of the connection", seconds)
        return self.client.farewell

    # Speaking

    def subscribe(self, *filters, qos=0, identifier=None, **options):
        """Subscribes and returns the granted codes as integers, one a filter."""
        if self.version == V5:
            topics = [(name, SubscribeOptions(qos=qos, **options)) for name in filters]
            values = {"SubscriptionIdentifier": identifier} if identifier else None
            _, mid = self.client.subscribe(
                topics, properties=properties(PacketTypes.SUBSCRIBE, values)
            )
        else:
            assert not options and identifier is None, "a 5.0 option on an older client"
            _, mid = self.client.subscribe([(name, qos) for name in filters])
        return [code.value for code in self._wait(("sub", mid), "SUBACK")]

    def unsubscribe(self, *filters):
        """Unsubscribes; returns the codes of UNSUBACK (none before 5.0)."""
        _, mid = self.client.unsubscribe(list(filters))
        return [code.value for code in self._wait(("unsub", mid), "UNSUBACK") or []]

    def publish(self, topic, payload=b"", qos=0, retain=False, **publish_properties):
        """Publishes and waits until the handshake of its QoS is done; returns the last code."""
        return self.published(self.send(topic, payload, qos, retain, **publish_properties))

    def send(self, topic, payload=b"", qos=0, retain=False, **publish_properties):
        """Publishes without waiting; returns what `published` takes."""
        info = self.client.publish(
            topic, payload, qos, retain, properties(PacketTypes.PUBLISH, publish_properties)
        )
        return info.mid

    def published(self, mid, seconds=PATIENCE):
        return self._wait(("pub", mid), "the acknowledgement", seconds).value

    # Hearing

    def message(self, seconds=PATIENCE):
        """The next message, in order of arrival."""
        try:
            return self.inbox.get(timeout=seconds)
        except queue.Empty:
            raise AssertionError(f"{self.client_id}: no message within {seconds} s") from None

    def messages(self, count, seconds=PATIENCE):
        deadline = Deadline(seconds)
        return [self.message(deadline.left()) for _ in range(count)]

    def payloads(self, count, seconds=PATIENCE):
        return [message.payload for message in self.messages(count, seconds)]

    def until_fence(self, publisher, qos=0, seconds=PATIENCE):
        """All messages that came before one that `publisher` says now. This is how the suite
        sees that something did not come: it would have come before the fence."""
        fence = f"fence/{fresh_id()}"
        self.subscribe(fence, qos=qos)
        publisher.publish(fence, b"fence", qos)
        deadline, seen = Deadline(seconds), []
        while True:
            message = self.message(deadline.left())
            if message.topic == fence:
                self.unsubscribe(fence)
                return seen
            seen.append(message)

    # Inside

    def _on_connect(self, _client, _userdata, flags, reason, connack_properties):
        with self._changed:
            self.connack = (reason, connack_properties)
            self.session_present = flags.session_present
            self._changed.notify_all()

    def _on_disconnect(self, _client, _userdata, _flags, reason, _properties):
        with self._changed:
            self.goodbye = reason
            self._changed.notify_all()

    def _answer(self, key, value):
        with self._changed:
            self._answers.setdefault(key, deque()).append(value)
            self._changed.notify_all()

    def _wait(self, key, what, seconds=PATIENCE):
        self._until(lambda: self._answers.get(key) or self.goodbye is not None, what, seconds)
        with self._changed:
            if not self._answers.get(key):
                raise AssertionError(f"{self.client_id}: closed ({self.goodbye}) before {what}")
            return self._answers[key].popleft()

    def _until(self, condition, what, seconds=PATIENCE):
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                raise AssertionError(f"{self.client_id}: no {what} within {seconds} s")


def fresh_id():
    """A client id or topic level that nothing else in this run uses; within 3.1's 23 bytes."""
    return f"t{os.getpid():x}-{next(_counter):x}"


def timed_fence(server, seconds):
    """Returns once the server itself has counted `seconds`: the delayed will of a client that
    is cut off now. A clock that needs no sleep, and agrees with the server's own timers."""
    topic = f"clock/{fresh_id()}"
    with Peer(server, V5) as listener:
        listener.subscribe(topic, qos=1)
        will = Will(topic, qos=1, properties={"WillDelayInterval": seconds})
        Peer(server, V5, expiry=seconds + LASTING, will=will).connect().drop()
        listener.message(seconds + PATIENCE)
