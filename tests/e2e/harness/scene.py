"""Scenes: what clients do, a line each, and what each server answers.

    NAME connect [door=1] [user=U] [password=P] [id=ID] [cert=NAME] [web=PATH] [v5] [stays] [will=T]
    NAME subscribe FILTER QOS
    NAME publish TOPIC PAYLOAD [QOS] [retain]     (a PAYLOAD of `500B` is so long)
    NAME hear [COUNT]                             what came until now, at least so many
    NAME leave | drop                             with DISCONNECT, or without
    server restart | reload

Behind `=>` stands the answer of Mosquitto, and of Nightjar if nothing more is said. A line `nightjar
=> ANSWER` behind it says Nightjar's, and `: ` and why, in the words of the list of differences in
docs/migrating-from-mosquitto.md."""

import ssl

from .wire import Closed, Wire


class Step:
    def __init__(self, said, mosquitto, nightjar, why):
        self.said, self.mosquitto, self.nightjar, self.why = said, mosquitto, nightjar, why


def read(path):
    """The steps of a file."""
    steps = []
    for line in path.read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        said, _, answer = (part.strip() for part in line.partition("=>"))
        if said == "nightjar":
            answer, _, why = answer.partition(": ")
            assert why, f"{path}: no reason: {line}"
            steps[-1].nightjar, steps[-1].why = answer.strip(), why.strip()
        else:
            steps.append(Step(said, answer, answer, None))
    assert steps, path
    return steps


class Stage:
    """Plays steps against a server: `doors` are its ports or the path of a Unix socket."""

    def __init__(self, server, authority):
        self.server, self.authority = server, authority
        self.clients = {}

    def play(self, said):
        """What the server answered."""
        name, verb, *words = said.split()
        if name == "server":
            getattr(self.server, verb)()
            return "-"
        if verb == "connect":
            return self._connect(name, words)
        client = self.clients.get(name)
        if client is None:
            return "nobody"
        if verb == "subscribe":
            return client.subscribe(words[0], int(words[1]))
        if verb == "publish":
            retain = "retain" in words
            words = [word for word in words if word != "retain"]
            payload = words[1].encode()
            if words[1].endswith("B") and words[1][:-1].isdigit():
                payload = b"x" * int(words[1][:-1])
            qos = int(words[2]) if len(words) > 2 else 1
            return client.publish(words[0], payload, qos, retain)
        if verb == "hear":
            return client.hear(*(int(word) for word in words))
        return getattr(client, verb)()

    def end(self):
        for client in self.clients.values():
            client.drop()

    def _connect(self, name, words):
        flags = {word for word in words if "=" not in word}
        given = dict(word.split("=", 1) for word in words if "=" in word)
        level = 5 if "v5" in flags else 4
        door = self.server.doors[int(given.get("door", 1)) - 1]
        context = None
        if "tls" in flags or "cert" in given:
            issued = self.authority.issued.get(given.get("cert"))
            context = self.authority.context(issued)
        try:
            if isinstance(door, int):
                wire = Wire.tcp(given.get("host", "127.0.0.1"), door, level, context)
            else:
                wire = Wire.unix(door, level)
            if "web" in given:
                status = wire.upgrade(given["web"])
                if status != "101":
                    return f"http {status}"
        except ConnectionRefusedError:
            return "no listener"
        except (ssl.SSLError, ConnectionResetError, Closed):
            return "closed"
        self.clients[name] = wire
        return wire.connect(given.get("id", name), given.get("user"), given.get("password"),
                            "stays" not in flags, int(given.get("keepalive", 60)),
                            given.get("will"))
