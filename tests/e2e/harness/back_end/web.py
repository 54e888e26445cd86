"""A web service that says who comes in, as docs/authentication.md describes it."""

import json
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ..deadline import PATIENCE
from ..server import lasting_port
from .base import DOCUMENT, HOST, PASSWORD, BackEnd


class WebService(BackEnd):
    """In this process: threads in the place of a server of its own."""

    title = "A web service"

    def prepare(self):
        self.tls_port = lasting_port("127.0.0.1")
        self.users, self.clients = {}, {}
        self.running = threading.Event()
        self.running.set()
        self.servers = []
        asked, answered = re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
        self.asked, self.answered = set(json.loads(asked)), json.loads(answered)

    def start(self):
        for port in (self.port, self.tls_port):
            server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
            server.back_end = self
            if port == self.tls_port:
                context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                context.load_cert_chain(self.certificate.file, self.certificate.key_file)
                server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def stop(self):
        while self.servers:
            server = self.servers.pop()
            server.shutdown()
            server.server_close()

    def freeze(self):
        self.running.clear()

    def thaw(self):
        self.running.set()

    def close(self):
        self.stop()
        super().close()

    def fill(self):
        pass

    def config(self, **options):
        return super().config(**options).replace("${AUTH_TOKEN}", PASSWORD)

    def url(self, tls):
        scheme, port = ("https", self.tls_port) if tls else ("http", self.port)
        return f"{scheme}://{HOST}:{port}/mqtt"

    def put(self, *users):
        self.users.update({user.name: user for user in users})

    def allow_client(self, client, topic):
        self.clients[client] = ("allow", "publish", topic)

    def remove(self, name):
        del self.users[name]

    def revoke(self, name):
        self.users[name].groups, self.users[name].rules = [], []

    def answer(self, question):
        """What it says to a question: a code, and an object or nothing."""
        assert set(question) == self.asked, question
        user = self.users.get(question["username"])
        if user is None:
            # Both say that it does not know the client.
            return (200, {"result": "ignore"}) if question["username"] else (404, None)
        if question["purpose"] == "connect" and question["password"] != user.password:
            return 403, None
        rules = list(user.rules)
        if question["clientid"] in self.clients:
            rules.append(self.clients[question["clientid"]])
        words = ("permission", "action", "topics")
        acl = [dict(zip(words, (*rule[:2], [rule[2]]))) for rule in rules]
        changed = {"groups": user.groups, "acl": acl, "is_superuser": user.superuser}
        # Who has an end is not asked about again.
        return 200, {**self.answered, **changed, "expire_in": None}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        back_end = self.server.back_end
        body = self.rfile.read(int(self.headers["content-length"]))
        back_end.running.wait(PATIENCE)
        assert self.headers["authorization"] == f"Bearer {PASSWORD}"
        assert self.headers["content-type"] == "application/json"
        code, answer = back_end.answer(json.loads(body))
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        """Says nothing: what goes wrong shows in the test."""
