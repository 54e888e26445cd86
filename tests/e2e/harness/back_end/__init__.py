"""Back ends of authentication: real servers on free ports, in folders that go when they stop.

What nightjar is configured with, and the tables it asks, are the examples of
docs/authentication.md: only addresses and authorities are put in their place."""

from .base import User
from .ldap import Ldap
from .mongodb import MongoDb
from .redis import Redis
from .sql import MySql, PostgreSql
from .web import WebService

KINDS = {
    "http": WebService,
    "postgresql": PostgreSql,
    "mysql": MySql,
    "redis": Redis,
    "mongodb": MongoDb,
    "ldap": Ldap,
}

__all__ = ["KINDS", "User"]
