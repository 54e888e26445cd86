"""Bytes on a socket, for what no well-behaved client library does."""

import socket
import struct

from .deadline import PATIENCE

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)


class Raw:
    """A connection that sends what it is told and reads whole packets."""

    def __init__(self, server, seconds=PATIENCE):
        self._socket = socket.create_connection((server.host, server.port), timeout=seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, *packets):
        self._socket.sendall(b"".join(packets))

    def packet(self):
        """The next packet as (type, flags, body), or None when the server has closed."""
        head = self._read(1)
        if not head:
            return None
        length, shift = 0, 0
        while True:
            byte = self._read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        return head[0] >> 4, head[0] & 0x0F, self._read(length)

    def rest(self):
        """All packets until the server closes."""
        packets = []
        while packet := self.packet():
            packets.append(packet)
        return packets

    def _read(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self._socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                return data
            data += part
        return data


def packet(kind, body, flags=0):
    """One packet with its fixed header."""
    length, head = len(body), bytearray([kind << 4 | flags])
    while True:
        length, low = length >> 7, length & 0x7F
        head.append(low | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def connect(client_id, level=5, flags=0x02, keepalive=60, name="MQTT", properties=b"", tail=b""):
    """CONNECT; level 3 wants name MQIsdp. `flags` 0x02 is a clean start."""
    block = bytes([len(properties)]) + properties if level == 5 else b""
    body = text(name) + bytes([level, flags]) + struct.pack(">H", keepalive) + block
    return packet(CONNECT, body + text(client_id) + tail)


def subscribe(number, topic_filter, qos, level=5, identifier=None):
    """SUBSCRIBE of one filter."""
    block = b""
    if level == 5:
        block = b"" if identifier is None else b"\x0b" + bytes([identifier])
        block = bytes([len(block)]) + block
    body = struct.pack(">H", number) + block + text(topic_filter) + bytes([qos])
    return packet(SUBSCRIBE, body, 0x02)


def publish(topic, payload, qos=0, number=0, level=5, *, dup=False, retain=False, properties=b""):
    """PUBLISH; `properties` without their length, which is below 128."""
    block = bytes([len(properties)]) + properties if level == 5 else b""
    identifier = struct.pack(">H", number) if qos else b""
    flags = dup << 3 | qos << 1 | retain
    return packet(PUBLISH, text(topic) + identifier + block + payload, flags)


def acknowledge(kind, number):
    """PUBACK, PUBREC, PUBREL or PUBCOMP that says success."""
    return packet(kind, struct.pack(">H", number), 0x02 if kind == PUBREL else 0)


def variable(data, at):
    """A variable byte integer at `at`: its value, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def properties(data, at):
    """The properties at `at` as (identifier, value) pairs, and where they end."""
    length, at = variable(data, at)
    end, found = at + length, []
    while at < end:
        identifier, at = variable(data, at)
        value, at = _PROPERTY[identifier](data, at)
        found.append((identifier, value))
    return found, end


def published(flags, body, level=5):
    """A PUBLISH as (topic, payload, qos, number, dup, retain, properties)."""
    end = 2 + int.from_bytes(body[:2], "big")
    topic, qos, number, found = body[2:end].decode(), flags >> 1 & 3, 0, []
    if qos:
        number = int.from_bytes(body[end : end + 2], "big")
        end += 2
    if level == 5:
        found, end = properties(body, end)
    return topic, body[end:], qos, number, bool(flags & 8), bool(flags & 1), found


def _number(size):
    return lambda data, at: (int.from_bytes(data[at : at + size], "big"), at + size)


def _text(data, at):
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    return data[at + 2 : end], end


def _pair(data, at):
    name, at = _text(data, at)
    value, at = _text(data, at)
    return (name.decode(), value.decode()), at


#: How to read the value of each property (2.2.2.2).
_PROPERTY = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), _number(1)),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), _number(2)),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), _number(4)),
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), _text),
    0x0B: variable,
    0x26: _pair,
}
