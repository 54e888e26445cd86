"""MongoDB's protocol."""

import hashlib
import os

import pymongo

from ..server import lasting_port
from .base import HOST, PASSWORD, BackEnd
from .sql import PostgreSql


class MongoDb(BackEnd):
    """FerretDB, which speaks MongoDB's protocol and keeps what it is told in PostgreSQL."""

    title = "MongoDB"
    postgresql = client = None

    def prepare(self):
        self.postgresql = PostgreSql()
        self.postgresql.execute("CREATE DATABASE ferretdb;")
        self.tls_port = lasting_port("127.0.0.1")

    def command(self):
        address = f"127.0.0.1:{self.postgresql.port}/ferretdb"
        return [
            os.environ["E2E_FERRETDB"],
            f"--listen-addr=127.0.0.1:{self.port}",
            f"--listen-tls=127.0.0.1:{self.tls_port}",
            f"--listen-tls-cert-file={self.certificate.file}",
            f"--listen-tls-key-file={self.certificate.key_file}",
            "--debug-addr=-",
            "--telemetry=disable",
            "--log-level=error",
            f"--state-dir={self.folder}",
            "--handler=postgresql",
            f"--postgresql-url=postgres://nightjar:{PASSWORD}@{address}",
            "--test-enable-new-auth",
            "--setup-username=nightjar",
            f"--setup-password={PASSWORD}",
            "--setup-database=devices",
        ]

    def fill(self):
        self.client = pymongo.MongoClient(
            "127.0.0.1",
            self.port,
            username="nightjar",
            password=PASSWORD,
            authSource="devices",
            authMechanism="SCRAM-SHA-256",
        )
        self.database = self.client["devices"]

    def url(self, tls):
        more = "?tls=true" if tls else ""
        port = self.tls_port if tls else self.port
        return f"mongodb://nightjar:{PASSWORD}@{HOST}:{port}/devices{more}"

    def put(self, *users):
        for user in users:
            self.put_one(user)

    def put_one(self, user):
        salt = os.urandom(6).hex()
        digest = hashlib.sha256((salt + user.password).encode()).hexdigest()
        self.database["mqtt_users"].insert_one(
            {
                "username": user.name,
                "password_hash": digest,
                "salt": salt,
                "groups": user.groups,
                "is_superuser": user.superuser,
            }
        )
        for permission, action, topic in user.rules:
            self.database["mqtt_rules"].insert_one(
                {
                    "username": user.name,
                    "permission": permission,
                    "action": action,
                    "topics": [topic],
                }
            )

    def revoke(self, name):
        self.database["mqtt_rules"].delete_many({"username": name})
        nothing = {"$set": {"groups": []}}
        self.database["mqtt_users"].update_one({"username": name}, nothing)

    def allow_client(self, client, topic):
        rule = {"client": client, "permission": "allow", "action": "publish", "topics": [topic]}
        self.database["mqtt_rules"].insert_one(rule)

    def remove(self, name):
        for collection in ("mqtt_users", "mqtt_rules"):
            self.database[collection].delete_many({"username": name})

    def close(self):
        if self.client is not None:
            self.client.close()
        super().close()
        if self.postgresql is not None:
            self.postgresql.close()
