"""PostgreSQL and MariaDB."""

import hashlib
import os
import subprocess
from pathlib import Path

from .base import HOST, PASSWORD, BackEnd, example


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


class Sql(BackEnd):
    def fill(self):
        self.execute(example(self.title, "sql"))

    def put(self, *users):
        self.execute("".join(map(self.insertion, users)))

    def insertion(self, user):
        salt = os.urandom(6).hex()
        digest = hashlib.sha512((salt + user.password).encode()).hexdigest()
        name = self.literal(user.name)
        text = (
            "INSERT INTO mqtt_users (username, password_hash, salt, is_superuser) "
            f"VALUES ({name}, '{digest}', '{salt}', {str(user.superuser).lower()});"
        )
        for group in user.groups:
            text += f"INSERT INTO mqtt_groups (username, name) VALUES ({name}, {quoted(group)});"
        return text + "".join(self.rule("username", user.name, rule) for rule in user.rules)

    def revoke(self, name):
        """Leaves the user nothing but its password."""
        self.delete(name, "mqtt_groups", "mqtt_rules")

    def rule(self, column, value, rule):
        words = ", ".join(map(quoted, rule))
        return (
            f"INSERT INTO mqtt_rules ({column}, permission, action, topic) "
            f"VALUES ({self.literal(value)}, {words});"
        )

    def allow_client(self, client, topic):
        self.execute(self.rule("client", client, ("allow", "publish", topic)))

    def remove(self, name):
        self.delete(name, "mqtt_users", "mqtt_groups", "mqtt_rules")

    def delete(self, name, *tables):
        where = f"WHERE username = {self.literal(name)};"
        self.execute("".join(f"DELETE FROM {table} {where}" for table in tables))

    def literal(self, text):
        return quoted(text)


class PostgreSql(Sql):
    title, owner = "PostgreSQL", "postgres"

    @property
    def bin(self):
        return sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]

    def prepare(self):
        (self.folder / "password").write_text(PASSWORD)
        self.own(self.folder)
        options = ["--auth=scram-sha-256", "--pwfile=password", "--username=nightjar"]
        encoding = ["--encoding=UTF8", "--locale=C.UTF-8"]
        self.run([self.bin / "initdb", "-D", "data", "--no-sync", *options, *encoding])

    def command(self):
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "16MB",
            "ssl": "on",
            "ssl_cert_file": self.certificate.file,
            "ssl_key_file": self.certificate.key_file,
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [self.bin / "postgres", "-D", "data", "-p", str(self.port), *options]

    def url(self, tls):
        mode = "require" if tls else "disable"
        return f"postgresql://nightjar:{PASSWORD}@{HOST}:{self.port}/postgres?sslmode={mode}"

    def answers(self):
        ready = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, timeout=10).returncode == 0

    def execute(self, text):
        url = f"postgresql://nightjar:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.run([self.bin / "psql", "-q", "-v", "ON_ERROR_STOP=1", url], input=text)


class MySql(Sql):
    title, owner = "MySQL and MariaDB", "mysql"

    def prepare(self):
        self.own(self.folder)
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        folder = f"--datadir={self.folder / 'data'}"
        self.run(["mariadb-install-db", "--no-defaults", folder, *options])

    def command(self):
        settings = {
            "datadir": self.folder / "data",
            "port": self.port,
            "bind-address": "127.0.0.1",
            "socket": self.folder / "socket",
            "pid-file": self.folder / "pid",
            "innodb-buffer-pool-size": "16M",
            "ssl-cert": self.certificate.file,
            "ssl-key": self.certificate.key_file,
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        return ["/usr/sbin/mariadbd", "--no-defaults", "--skip-name-resolve", *options]

    def fill(self):
        self.execute(
            "CREATE DATABASE devices CHARACTER SET utf8mb4;"
            f"CREATE USER nightjar@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            "GRANT SELECT ON devices.* TO nightjar@'127.0.0.1';",
            database=[],
        )
        super().fill()

    def url(self, tls):
        more = "?require_ssl=true" if tls else ""
        return f"mysql://nightjar:{PASSWORD}@{HOST}:{self.port}/devices{more}"

    def literal(self, text):
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def execute(self, text, database=("devices",)):
        options = ["--no-defaults", f"--socket={self.folder / 'socket'}", "--user=root"]
        self.run(["mariadb", *options, *database], input=text)
