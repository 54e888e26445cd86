"""Who may come in, and do what: password files and rules, and what a change of them does."""

import base64
import hashlib
import os
import signal

import pytest

from harness.peer import V5, V311, Peer, Refused, fresh_id
from harness.server import ServerEnded

BAD_PASSWORD, NOT_AUTHORIZED = 134, 135


def mosquitto_hash(password, iterations=101):
    """A hash as mosquitto_passwd 2.0 writes it (`$7$`): PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    texts = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"$7${iterations}${texts[0]}${texts[1]}"


def password_file(tmp_path, **users):
    path = tmp_path / "passwords"
    path.write_text("".join(f"{user}:{mosquitto_hash(word)}\n" for user, word in users.items()))
    path.chmod(0o600)
    return path


def config(passwords, rules):
    return f'[[authentication]]\ntype = "passwords"\nfile = "{passwords}"\n{rules}'


ALL = '[[rule]]\nallow = "all"\n'


@pytest.fixture
def passwords(tmp_path):
    return password_file(tmp_path, alice="wonder", bob="builder")


def user(server, name="alice", password="wonder", version=V5, **options):
    return Peer(server, version, username=name, password=password, **options)


def test_only_the_right_password_comes_in(own_server, passwords):
    server = own_server(config=config(passwords, ALL)).start()
    for version in (V311, V5):
        with user(server, version=version):
            pass
        for name, password in [
            ("alice", "wrong"),
            ("alice", ""),
            ("alice", None),
            ("nobody", "wonder"),
            ("", "wonder"),
        ]:
            with pytest.raises(Refused):
                user(server, name, password, version).connect()
        with pytest.raises(Refused):
            Peer(server, version).connect()
    log = server.log()
    assert "wonder" not in log and "wrong" not in log.replace("wrong password", "")


def test_s25_a_session_belongs_to_its_user(own_server, passwords):
    server, client_id = own_server(config=config(passwords, ALL)).start(), fresh_id()
    with user(server, client_id=client_id, clean=False) as alice:
        alice.subscribe("private", qos=1)
        with pytest.raises(Refused):
            user(server, "bob", "builder", client_id=client_id).connect()
        alice.publish("private", b"mine", 1)
        assert alice.message().payload == b"mine"


RULES = """
[[rule]]
deny = "all"
topics = ["plant/secret", "plant/+/secret"]
[[rule]]
allow = "all"
topics = ["plant/#"]
[[rule]]
allow = "all"
topics = ["own/${username}/#", "client/${clientid}/#", "fence/#"]
"""


def test_s49_a_denied_topic_is_not_reached_by_a_wider_filter(own_server, passwords):
    server = own_server(config=config(passwords, RULES)).start()
    with user(server) as alice, user(server, "bob", "builder") as bob:
        assert alice.subscribe("plant/secret") == [NOT_AUTHORIZED]
        assert alice.subscribe("$share/g/plant/secret") == [NOT_AUTHORIZED]
        assert alice.subscribe("plant/#", "plant/+", "$share/g/plant/#") == [0, 0, 0]
        assert alice.subscribe("#", "+/x", "own/bob/#") == [NOT_AUTHORIZED] * 3
        assert bob.publish("plant/secret", b"no", 1) == NOT_AUTHORIZED
        bob.publish("plant/open", b"yes", 1)
        # Once by its own subscriptions, which overlap, and once as the group's only member.
        assert alice.payloads(2) == [b"yes"] * 2
        assert alice.until_fence(bob) == []


def test_s44_a_name_with_wildcards_opens_nothing(own_server, tmp_path):
    passwords = password_file(tmp_path, **{"+": "plus", "alice": "wonder"})
    server = own_server(config=config(passwords, RULES)).start()
    with user(server, "+", "plus") as odd, user(server) as alice:
        assert odd.subscribe("own/+/#", "own/alice/#") == [NOT_AUTHORIZED] * 2
        assert alice.subscribe("own/alice/#") == [0]


def test_s48_a_permission_that_is_taken_acts_at_once(own_server, passwords):
    """By SIGHUP: the subscription goes, a 5.0 client is told, what waited is not delivered."""
    server = own_server(config=config(passwords, RULES), listeners=[""]).start()
    sleeper_id = fresh_id()
    with user(server, client_id=sleeper_id, clean=False) as sleeper:
        sleeper.subscribe("plant/#", qos=1)
    five, three = user(server).connect(), user(server, version=V311).connect()
    bob = user(server, "bob", "builder").connect()
    for peer in (five, three):
        peer.subscribe("plant/a", qos=1)
    bob.publish("plant/a", b"before", 1)
    assert five.message().payload == three.message().payload == b"before"
    rules = RULES.replace('topics = ["plant/#"]', 'topics = ["plant/b"]')
    (server.directory / "nightjar.toml").write_text(
        (server.directory / "nightjar.toml").read_text().replace(RULES, rules)
    )
    server.signal(signal.SIGHUP)
    assert five.ended() == NOT_AUTHORIZED
    assert bob.publish("plant/a", b"after", 1) == NOT_AUTHORIZED
    assert three.subscribe("plant/b", qos=1) == [1]
    bob.publish("plant/b", b"b", 1)
    assert three.message().payload == b"b"
    # The one that was away hears of it when it is back. Of what waited it gets what it may have.
    assert user(server, client_id=sleeper_id, clean=False).connect().ended() == NOT_AUTHORIZED
    with user(server, client_id=sleeper_id, clean=False) as sleeper:
        assert sleeper.subscribe("plant/b", qos=1) == [1]
        bob.publish("plant/b", b"c", 1)
        assert sleeper.payloads(2) == [b"b", b"c"]
    for peer in (three, bob):
        peer.disconnect()


def test_s59_a_wrong_file_at_a_reload_changes_nothing(own_server, passwords):
    server = own_server(config=config(passwords, RULES), listeners=[""]).start()
    path = server.directory / "nightjar.toml"
    text = path.read_text()
    for broken in [
        text.replace("plant/#", "plant/#/x"),
        text.replace("passwords\"\nfile", "passwords\"\nfiles"),
        text.replace(str(passwords), str(passwords) + ".missing"),
    ]:
        count = len(server.events("configuration not taken over"))
        path.write_text(broken)
        server.signal(signal.SIGHUP)
        server.until_events("configuration not taken over", count + 1)
        with user(server) as alice:
            assert alice.subscribe("plant/#", "plant/secret") == [0, NOT_AUTHORIZED]


@pytest.mark.parametrize("line", ["alice", ":x", "a:$9$x$y", "alice:$7$x\nalice:$7$y", "a\0b:c"])
def test_s63_a_malformed_password_file_refuses_the_start(own_server, tmp_path, line):
    path = tmp_path / "passwords"
    path.write_text(f"{line}\n")
    path.chmod(0o600)
    with pytest.raises(ServerEnded) as failed:
        own_server(config=config(path, ALL)).start(attempts=1)
    assert "passwords" in str(failed.value)


def test_s50_sys_needs_a_grant_of_its_own(own_server, passwords):
    server = own_server(config=config(passwords, ALL)).start()
    with user(server) as alice:
        assert alice.subscribe("#", "$SYS/#") == [0, NOT_AUTHORIZED]
