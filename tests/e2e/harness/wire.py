"""A client that says just what a scene asks for, by TCP, TLS, WebSocket or a Unix socket, and tells
what the server answered in a word: no library stands between."""

import base64
import os
import socket
import ssl
import struct

from . import raw
from .deadline import PATIENCE, Deadline


class Closed(Exception):
    """The server has closed the connection."""


class Wire:
    """One connection. Answers come as text: codes in decimal digits, or `closed`."""

    def __init__(self, sock, level):
        self._socket, self._level = sock, level
        self._bytes, self._web = b"", None
        self._number = 0
        self._heard = []

    @classmethod
    def tcp(cls, host, port, level=4, tls=None):
        sock = socket.create_connection((host, port), timeout=PATIENCE)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname="localhost")
        return cls(sock, level)

    @classmethod
    def unix(cls, path, level=4):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        return cls(sock, level)

    def upgrade(self, path):
        """Speaks WebSocket from here on; returns the status of the answer."""
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Origin: https://page.example\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            part = self._receive(1)
            if not part:
                return "closed"
            head += part
        self._web = b""
        return head.split(b" ")[1].decode()

    def connect(self, client_id, user=None, password=None, clean=True, keepalive=60, will=None):
        flags = (0x02 if clean else 0) | (0x80 if user is not None else 0)
        flags |= (0x40 if password is not None else 0) | (0x04 if will else 0)
        tail = b""
        if will:
            tail += (b"\0" if self._level == 5 else b"") + raw.text(will) + raw.text("gone")
        for word in (user, password):
            tail += b"" if word is None else raw.text(word)
        properties = b"" if clean or self._level != 5 else b"\x11\x00\x00\x0e\x10"
        try:
            self._send(raw.connect(client_id, self._level, flags, keepalive, properties=properties,
                                   tail=tail))
            _, body = self._until(raw.CONNACK)
        except Closed:
            return "closed"
        return str(body[1]) + (" present" if body[0] & 1 else "")

    def subscribe(self, topic_filter, qos):
        self._number += 1
        try:
            self._send(raw.subscribe(self._number, topic_filter, qos, self._level))
            _, body = self._until(raw.SUBACK)
        except Closed:
            return "closed"
        return str(body[-1])

    def publish(self, topic, payload, qos, retain):
        """The reason of PUBACK, 0 before MQTT 5.0; of QoS 0 whether the connection stands."""
        self._number += 1
        number = self._number
        try:
            self._send(raw.publish(topic, payload, qos, number, self._level, retain=retain))
            if qos == 0:
                return self._ping()
            _, body = self._until(raw.PUBACK if qos == 1 else raw.PUBREC)
            code = body[2] if len(body) > 2 else 0
            if qos == 2 and code < 0x80:
                self._send(raw.acknowledge(raw.PUBREL, number))
                self._until(raw.PUBCOMP)
        except Closed:
            return "closed"
        return str(code)

    def hear(self, count=0):
        """What came until now, in the order of arrival; at least so many, which may come later."""
        try:
            self._ping()
            deadline = Deadline()
            while len(self._heard) < count and not deadline.passed():
                self._ping()
        except Closed:
            self._heard.append("closed")
        heard, self._heard = self._heard, []
        return " ".join(heard) or "-"

    def leave(self):
        try:
            self._send(raw.packet(raw.DISCONNECT, b""))
            while self._packet():
                pass
        except (Closed, OSError):
            pass
        self.drop()
        return "-"

    def drop(self):
        self._socket.close()
        return "-"

    def _ping(self):
        self._send(raw.packet(raw.PINGREQ, b""))
        self._until(raw.PINGRESP)
        return "0"

    def _until(self, wanted):
        """The next packet of a kind; messages before it are heard."""
        while True:
            kind, flags, body = self._packet()
            if kind == raw.PUBLISH:
                topic, payload, qos, number, _, retain, _ = raw.published(flags, body, self._level)
                shown = payload.decode() if len(payload) < 40 else f"{len(payload)}B"
                self._heard.append(f"{topic}={shown}/{qos}{'r' if retain else ''}")
                if qos:
                    answer = raw.PUBACK if qos == 1 else raw.PUBREC
                    self._send(raw.acknowledge(answer, number))
            elif kind == raw.PUBREL:
                self._send(raw.acknowledge(raw.PUBCOMP, int.from_bytes(body[:2], "big")))
            elif kind == raw.DISCONNECT:
                raise Closed
            elif kind == wanted:
                return flags, body

    def _packet(self):
        head = self._read(1)[0]
        length, shift = 0, 0
        while True:
            byte = self._read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        return head >> 4, head & 0x0F, self._read(length)

    def _send(self, data):
        if self._web is not None:
            length = len(data)
            head = bytes([0x82, 0x80 | length]) if length < 126 else (
                bytes([0x82, 0xFE]) + struct.pack(">H", length))
            data = head + b"\0\0\0\0" + data
        try:
            self._socket.sendall(data)
        except OSError:
            raise Closed from None

    def _read(self, count):
        while len(self._bytes) < count:
            part = self._receive(65536) if self._web is None else self._frame()
            if not part:
                raise Closed
            self._bytes += part
        data, self._bytes = self._bytes[:count], self._bytes[count:]
        return data

    def _frame(self):
        """The payload of the next WebSocket frame; nothing if it is the last."""
        head = self._exactly(2)
        length = head[1] & 0x7F
        if length == 126:
            length = int.from_bytes(self._exactly(2), "big")
        elif length == 127:
            length = int.from_bytes(self._exactly(8), "big")
        payload = self._exactly(length)
        return b"" if head[0] & 0x0F == 8 else payload

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            part = self._receive(count - len(data))
            if not part:
                raise Closed
            data += part
        return data

    def _receive(self, count):
        try:
            return self._socket.recv(count)
        except (ConnectionResetError, ssl.SSLError):
            # The alert that says why is not the same for all libraries.
            return b""
