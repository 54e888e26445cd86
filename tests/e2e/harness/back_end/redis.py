"""Redis."""

import hashlib
import os

from ..server import lasting_port
from .base import HOST, PASSWORD, BackEnd


class Redis(BackEnd):
    title = "Redis"
    has_groups = has_denials = False

    def prepare(self):
        self.tls_port = lasting_port("127.0.0.1")
        files = f"{self.certificate.file}\ntls-key-file {self.certificate.key_file}"
        (self.folder / "redis.conf").write_text(
            f"port {self.port}\ntls-port {self.tls_port}\nbind 127.0.0.1\n"
            f"tls-cert-file {files}\ntls-ca-cert-file {self.authority.file}\n"
            "tls-auth-clients no\nsave ''\nappendonly yes\nappendfsync no\n"
            f"dir {self.folder}\nuser default on >{PASSWORD} ~* &* +@all\n"
            f"user nightjar on >{PASSWORD} ~user:* ~acl:* +@read +select\n"
        )

    def command(self):
        return ["redis-server", self.folder / "redis.conf"]

    def fill(self):
        pass

    def url(self, tls):
        scheme, port = ("rediss", self.tls_port) if tls else ("redis", self.port)
        return f"{scheme}://nightjar:{PASSWORD}@{HOST}:{port}/0"

    def put(self, *users):
        for user in users:
            self.put_one(user)

    def put_one(self, user):
        salt = os.urandom(6).hex()
        digest = hashlib.sha256((salt + user.password).encode()).hexdigest()
        flag = str(int(user.superuser))
        key, rules = f"user:{user.name}", f"acl:{user.name}"
        self.tell("HSET", key, "password_hash", digest, "salt", salt, "is_superuser", flag)
        for permission, action, topic in user.rules:
            assert permission == "allow"
            self.tell("HSET", rules, topic, action)

    def remove(self, name):
        self.tell("DEL", f"user:{name}", f"acl:{name}")

    def revoke(self, name):
        self.tell("DEL", f"acl:{name}")

    def tell(self, *words):
        environment = {**os.environ, "REDISCLI_AUTH": PASSWORD}
        self.run(["redis-cli", "-e", "-p", str(self.port), *words], env=environment)
