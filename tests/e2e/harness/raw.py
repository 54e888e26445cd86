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
