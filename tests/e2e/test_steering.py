"""Users, roles and bans that change while the server runs, and why something is allowed or not."""

import json
import os
import socket
import stat
import subprocess
import time
import urllib.parse

import pytest

from harness.deadline import PATIENCE
from harness.peer import V5, V311, Peer, Refused, fresh_id
from harness.server import binary
from harness.steer import Steer, Told

NOT_AUTHORIZED = 135
#: What is changed through the server acts within a second; the rest is for slow machines.
AT_ONCE = 3

DATABASE = '[[authentication]]\ntype = "database"\n'


@pytest.fixture
def running(own_server):
    """A server with users of its own, and the commands for it."""

    def make(more="", **options):
        server = own_server(config=DATABASE + more, **options).start()
        # It accepts a moment before it can be asked.
        server.until_events("serving")
        return server, Steer(server)

    return make


def user(server, name="alice", password="wonder", version=V5, **options):
    return Peer(server, version, username=name, password=password, **options)


def soon(server, seconds=AT_ONCE, **options):
    """A user that is let in again, once the workers have heard of it."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return user(server, **options).connect()
        except Refused:
            assert time.monotonic() < deadline, "nobody is let in"


def everything(steer, *names):
    """These users, who may do everything below `t`."""
    steer("role", "set", "all", "allow all t/# fence/#")
    for name in names:
        steer.user(name, "wonder", "--role", "all")


def test_who_is_made_comes_in_and_who_is_disabled_is_out(running):
    server, steer = running()
    with pytest.raises(Refused):
        user(server).connect()
    everything(steer, "alice", "bob")
    for version in (V311, V5):
        live = user(server, version=version).connect()
        other = user(server, "bob", version=version).connect()
        began = time.monotonic()
        steer("user", "set", "alice", "--disable")
        live.ended(AT_ONCE)
        assert time.monotonic() - began < AT_ONCE
        with pytest.raises(Refused):
            user(server, version=version).connect()
        other.publish("t/still", b"here", 1)
        other.disconnect()
        steer("user", "set", "alice", "--enable")
    with user(server) as live:
        steer("user", "set", "alice", "--password", stdin="another\n")
        live.ended(AT_ONCE)
    with pytest.raises(Refused):
        user(server).connect()
    with user(server, password="another") as live:
        steer("user", "remove", "alice")
        live.ended(AT_ONCE)
    with pytest.raises(Refused):
        user(server, password="another").connect()


def test_s48_a_role_that_changes_acts_on_live_queued_and_inflight(running):
    """On a 5.0 and a 3.1.1 client: what waits and what is inflight is asked about again."""
    server, steer = running()
    everything(steer, "alice", "bob")
    away = fresh_id()
    with user(server, client_id=away, clean=False) as sleeper:
        sleeper.subscribe("t/#", qos=1)
    stuck_id = fresh_id()
    stuck = user(server, client_id=stuck_id, clean=False, manual_ack=True, ReceiveMaximum=1)
    stuck.connect().subscribe("t/#", qos=1)
    five, three = user(server).connect(), user(server, version=V311).connect()
    bob = user(server, "bob").connect()
    for peer in (five, three):
        peer.subscribe("t/secret", "t/open", qos=1)
    for text in (b"1", b"2"):
        bob.publish("t/secret", text, 1)
    assert five.payloads(2) == three.payloads(2) == [b"1", b"2"]
    assert stuck.message().payload == b"1"
    steer("role", "set", "bobs", "allow all t/# fence/#")
    steer("user", "set", "bob", "--role", "bobs")
    steer("role", "set", "all", "deny all t/secret", "allow all t/# fence/#")
    # A 5.0 client is told; MQTT 3 has no word for it, and its messages stop.
    assert five.ended(AT_ONCE) == NOT_AUTHORIZED
    bob.publish("t/secret", b"3", 1)
    bob.publish("t/open", b"open", 1)
    assert three.message().payload == b"open"
    assert three.until_fence(bob) == []
    # What waited for the one that was away is not for it any more, and what it may have is.
    with user(server, client_id=away, clean=False) as sleeper:
        assert sleeper.payloads(1) == [b"open"]
    # What was inflight is not sent again.
    stuck.drop()
    with user(server, client_id=stuck_id, clean=False) as again:
        assert again.payloads(1) == [b"open"]
        assert again.until_fence(bob) == []
    for peer in (three, bob):
        peer.disconnect()


def test_s55_a_ban_cuts_and_ends_by_itself(running):
    server, steer = running()
    everything(steer, "alice", "bob")
    client = fresh_id()
    for version in (V311, V5):
        for whom in (["--client", client], ["--user", "alice"]):
            live = soon(server, version=version, client_id=client)
            steer("ban", "add", *whom, "--reason", "noise", "--for", "1h")
            live.ended(AT_ONCE)
            with pytest.raises(Refused):
                user(server, version=version, client_id=client).connect()
            why = steer.explain(client, "connect", user="alice")
            assert why["decision"] == "deny" and why["ban"]["reason"] == "noise"
            steer("ban", "remove", *whom)
    with user(server, "bob") as other:
        live = soon(server, client_id=client)
        steer("ban", "add", "--client", client, "--for", "2s")
        live.ended(AT_ONCE)
        other.publish("t/a", b"", 1)
    soon(server, 20, client_id=client).disconnect()
    assert steer("ban", "list") == []


RULES = """
[[rule]]
deny = "publish"
topics = ["t/closed"]
[[rule]]
allow = "all"
topics = ["t/#", "fence/#", "a/b/c/d/#"]
[limits]
topic_levels = 4
subscriptions_per_client = 2
"""


def test_explain_agrees_with_what_happens(running):
    server, steer = running(RULES)
    steer.user("alice", "wonder")
    steer.user("gone", "wonder", "--disabled")
    client = fresh_id()
    # Who is refused at CONNECT.
    for name, why in (("gone", "the user is disabled"), ("nobody", "there is no such user")):
        with pytest.raises(Refused):
            user(server, name).connect()
        told = steer.explain(fresh_id(), "connect", user=name)
        assert (told["decision"], told["why"]) == ("deny", why)
    with pytest.raises(Refused):
        Peer(server, V5).connect()
    assert steer.explain(fresh_id(), "connect")["decision"] == "deny"
    assert steer.explain(client, "connect", user="alice")["decision"] == "allow"
    with user(server, client_id=client) as live:
        with pytest.raises(Refused):
            user(server, "gone", client_id=client).connect()
        # Publish and subscribe, with the rule that decides.
        for topic, code in (("t/open", (0, 16)), ("t/closed", (NOT_AUTHORIZED,)), ("x", (135,))):
            assert live.publish(topic, b"", 1) in code
            told = steer.explain(client, "publish", topic)
            assert (told["decision"] == "deny") == (NOT_AUTHORIZED in code), told
        assert 'deny publish "t/closed"' in steer.explain(client, "publish", "t/closed")["rule"]
        assert steer.explain(client, "publish", "x")["rule"] is None
        assert live.subscribe("x/#") == [NOT_AUTHORIZED]
        assert steer.explain(client, "subscribe", "x/#")["decision"] == "deny"
        assert live.subscribe("t/+") == [0]
        assert steer.explain(client, "subscribe", "t/+")["decision"] == "allow"
        # Limits.
        deep = "a/b/c/d/e"
        told = steer.explain(client, "subscribe", deep)
        assert (told["decision"], told["why"]) == ("deny", "limits.topic_levels is 4")
        assert live.subscribe(deep) != [0]
    with user(server, client_id=client) as live:
        assert live.subscribe("t/1", "t/2", "t/3") == [0, 0, 0x97]
        told = steer.explain(client, "subscribe", "t/3")
        assert told["decision"] == "deny"
        assert told["why"].startswith("limits.subscriptions_per_client")


BY_LISTENER = """
[[rule]]
allow = "all"
topics = ["plant/#"]
listeners = ["inside"]
"""


def test_explain_knows_listeners_and_what_they_put_before_topics(running):
    inside = 'name = "inside"\nallow_anonymous = true\nmount = "plant/"'
    server, steer = running(BY_LISTENER, listeners=['name = "outside"', inside])
    with pytest.raises(Refused):
        Peer(server, V5).connect()
    assert steer.explain("c", "connect", listener="outside")["decision"] == "deny"
    assert steer.explain("c", "connect", listener="inside")["decision"] == "allow"
    client = fresh_id()
    with Peer(server.door(1), V5, client_id=client) as live:
        assert live.subscribe("a") == [0]
        (one,) = steer.explain(client, "publish", "a")["routing"]
        assert one["clientid"] == client
        assert live.subscribe("$SYS/#") != [0]
        assert steer.explain(client, "subscribe", "$SYS/#")["decision"] == "deny"
        live.publish("a", b"x", 1)
        assert live.message().topic == "a"
        assert steer("clients", "--listener", "inside")[0]["clientid"] == client
    assert steer.explain("c", "publish", "a", listener="inside")["decision"] == "allow"
    assert steer.explain("c", "publish", "plant/a", listener="outside")["decision"] == "deny"
    with pytest.raises(Told, match="there is none of the name"):
        steer.explain("c", "connect", listener="elsewhere")


def test_explain_tells_who_would_get_a_message(running):
    server, steer = running()
    everything(steer, "alice", "bob")
    steer("role", "set", "part", "deny all t/secret", "allow all t/# fence/#")
    steer.user("carol", "wonder", "--role", "part")
    away, ids = fresh_id(), [fresh_id() for _ in range(4)]
    with user(server, client_id=away, clean=False) as sleeper:
        sleeper.subscribe("t/#", qos=1)
    plain = user(server, client_id=ids[0]).connect()
    plain.subscribe("t/secret", qos=2)
    first, second = (user(server, client_id=name).connect() for name in ids[1:3])
    for member in (first, second):
        member.subscribe("$share/g/t/#", qos=1)
    shut = user(server, "carol", client_id=ids[3]).connect()
    shut.subscribe("t/+", qos=1)
    told = steer.explain("c", "publish", "t/secret", user="bob", qos=1)
    found = {(one["clientid"], one["qos"], one["share"], one["gets"]) for one in told["routing"]}
    assert found == {
        (ids[0], 1, None, "now"),
        (away, 1, None, "later"),
        (ids[3], 1, None, "denied"),
        (ids[1], 1, "$share/g/t/#", "now"),
        (ids[2], 1, "$share/g/t/#", "now"),
    }
    # And so it goes.
    with user(server, "bob") as bob:
        bob.publish("t/secret", b"x", 1)
        assert plain.message().payload == b"x"
        got = [peer.until_fence(bob) for peer in (first, second, shut)]
        assert [len(one) for one in got] in ([1, 0, 0], [0, 1, 0])
    with user(server, client_id=away, clean=False) as sleeper:
        assert sleeper.message().payload == b"x"
    assert steer.explain("c", "publish", "t/secret", user="carol")["routing"] == []
    for peer in (plain, first, second, shut):
        peer.disconnect()


def test_denials_tell_rule_and_reason(running):
    server, steer = running(RULES)
    steer.user("alice", "wonder")
    client = fresh_id()
    with user(server, client_id=client) as live:
        live.publish("t/closed", b"", 1)
        live.subscribe("x/#")
    with pytest.raises(Refused):
        user(server, password="wrong", client_id=client).connect()
    found = steer("denials", "--client", client)
    assert [one["wanted"] for one in found] == ["connect", "subscribe", "publish"]
    assert "wrong password" in found[0]["why"]
    assert (found[1]["topic"], found[1]["why"]) == ("x/#", None)
    assert 'deny publish "t/closed"' in found[2]["why"]
    assert "no rule allows it" in steer.text("denials", "--client", client)
    assert len(steer("denials", "--action", "publish")) == 1
    steer("denials", "--clear")
    assert steer("denials") == []


def test_each_change_has_its_line_in_the_audit_log(running):
    server, steer = running()
    everything(steer, "alice")
    steer("user", "set", "alice", "--superuser", "yes")
    steer("user", "set", "alice", "--password", stdin="s3cret\n")
    steer("group", "set", "g", "--role", "all")
    steer("ban", "add", "--address", "192.0.2.0/24")
    steer("ban", "remove", "--address", "192.0.2.0/24")
    with user(server, password="s3cret", client_id="kicked") as live:
        steer("kick", "kicked")
        live.ended(AT_ONCE)
    steer("purge", "--user", "alice")
    with pytest.raises(Told, match="there is no user"):
        steer("user", "remove", "nobody")
    steer("user", "remove", "alice")
    lines = steer("audit")[::-1]
    did = [(line["operation"], line["target"], line["outcome"]) for line in lines]
    assert did == [
        ("role.put", "all", "done"),
        ("user.create", "alice", "done"),
        ("user.change", "alice", "done"),
        ("user.change", "alice", "done"),
        ("group.put", "g", "done"),
        ("ban.create", "peerhost/192.0.2.0/24", "done"),
        ("ban.delete", "peerhost/192.0.2.0/24", "done"),
        ("client.kick", "kicked", "done"),
        ("cache.purge", "username/alice", "done"),
        ("user.delete", "nobody", "refused"),
        ("user.delete", "alice", "done"),
    ]
    assert all(line["who"] == f"local user {os.getuid()}" for line in lines)
    assert (lines[2]["before"]["is_superuser"], lines[2]["after"]["is_superuser"]) == (False, True)
    assert lines[3]["after"]["password"] == "(changed)"
    assert lines[10]["before"]["user_id"] == "alice" and "after" not in lines[10]
    text = (server.data_dir / "audit.jsonl").read_text()
    assert len([json.loads(line) for line in text.splitlines()]) == len(lines)
    assert "s3cret" not in text and "wonder" not in text and "s3cret" not in server.log()


def test_s99_the_control_socket_is_for_its_owner_alone(running, tmp_path):
    server, steer = running()
    path = server.data_dir / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((server.data_dir / "audit.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((server.data_dir / "access.redb").stat().st_mode) == 0o600
    # Another user, who may even reach the folder.
    folders = [server.data_dir, *server.data_dir.parents]
    modes = {folder: folder.stat().st_mode for folder in folders if folder.stat().st_uid == 0}
    try:
        for folder, mode in modes.items():
            folder.chmod(stat.S_IMODE(mode) | 0o011)
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        script = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        done = subprocess.run(
            [*as_nobody, "/usr/bin/python3", "-c", script],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        assert "PermissionError" in done.stderr, done.stderr
    finally:
        for folder, mode in modes.items():
            folder.chmod(stat.S_IMODE(mode))
    assert steer("user", "list") == []
    server.stop()
    assert not path.exists()
    with pytest.raises(Told, match="no server is running with the data folder"):
        steer("user", "list")


def test_clients_listeners_and_users_are_listed(running):
    server, steer = running()
    everything(steer, "alice", "bob")
    names = sorted(fresh_id() for _ in range(25))
    peers = [user(server, client_id=name, clean=False).connect() for name in names]
    for peer in peers[:5]:
        peer.disconnect()
    listed = steer("clients")
    assert sorted(one["clientid"] for one in listed) == names
    away = steer("clients", "--away", "--user", "alice")
    assert sorted(one["clientid"] for one in away) == names[:5]
    assert steer("clients", "--user", "bob") == []
    assert len(steer("clients", "--connected", "--most", "7")) == 7
    peers[9].subscribe("t/+", "$share/g/t/#", qos=1)
    shown = steer("clients", "show", names[9])
    assert (shown["username"], shown["proto_ver"], shown["provider"]) == ("alice", "5.0", "database")
    assert {one["topic"] for one in shown["subscriptions"]} == {"$share/g/t/#", "t/+"}
    (listener,) = steer("listeners")
    assert listener["connections"] == 20 and listener["accepted"] >= 25
    assert [one["user_id"] for one in steer("user", "list", "--like", "bo")] == ["bob"]
    with pytest.raises(Told, match="there is no client"):
        steer("clients", "show", "nobody")
    for peer in peers[5:]:
        peer.disconnect()


def test_f26_two_clients_with_one_identifier_raise_an_alarm(running):
    server, steer = running("[limits]\nduplicate_takeovers = 3\nflapping_window = \"3s\"\n")
    everything(steer, "alice")
    client = fresh_id()
    peers = [user(server, client_id=client).connect() for _ in range(5)]
    (raised,) = server.until_events("alarm raised")
    assert (raised["alarm"], raised["about"]) == ("duplicate_client_id", client)
    (alarm,) = steer("alarms")
    ports = [str(peer.client.socket().getsockname()[1]) for peer in peers[-1:]]
    assert all(f"127.0.0.1:{port}" in alarm["message"] for port in ports)
    assert alarm["message"].count("127.0.0.1:") == 2
    server.until_events("alarm over")
    assert steer("alarms") == []
    assert [one["about"] for one in steer("alarms", "--all")] == [client]
    peers[-1].disconnect()


def test_f26_a_client_that_flaps_is_banned_for_a_while(running):
    limits = '[limits]\nflapping_connects = 5\nflapping_window = "1m"\nflapping_ban = "1h"\n'
    server, steer = running(limits)
    everything(steer, "alice")
    client = fresh_id()
    connects = 0
    with pytest.raises(Refused):
        while connects < 50:
            with user(server, client_id=client):
                connects += 1
    assert connects > 5
    (ban,) = steer("ban", "list")
    assert (ban["as"], ban["who"], ban["by"]) == ("clientid", client, "flapping detection")
    (alarm,) = steer("alarms")
    assert alarm["name"] == "flapping" and "banned" in alarm["message"]
    assert steer("audit")[0]["from"] == "flapping detection"
    with user(server):
        pass


def test_s44_a_flapping_client_does_not_ban_others_by_its_name(running):
    limits = '[limits]\nflapping_connects = 3\nflapping_window = "1m"\n'
    server, steer = running(limits)
    everything(steer, "alice")
    for _ in range(5):
        with user(server, client_id="plant-*"):
            pass
    server.until_events("alarm raised")
    assert steer("ban", "list") == []
    with user(server, client_id="plant-7"):
        pass


def passwd(*words, stdin=""):
    command = [binary(), "passwd", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_password_files_are_written_as_by_mosquitto_passwd(own_server, tmp_path):
    path = tmp_path / "passwords"
    assert passwd(path, "alice", stdin="wonder\n").returncode == 1
    assert passwd("-c", path, "alice", stdin="wonder\n").returncode == 0
    assert passwd("-b", path, "bob", "builder").returncode == 0
    assert passwd(path, "carol", stdin="").returncode == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["alice", "bob"]
    assert all(":$argon2id$v=19$" in line for line in lines)
    rules = '[[rule]]\nallow = "all"\n'
    config = f'[[authentication]]\ntype = "passwords"\nfile = "{path}"\n{rules}'
    server = own_server(config=config).start()
    with user(server), user(server, "bob", "builder"):
        pass
    assert passwd("-D", path, "bob").returncode == 0
    assert passwd("-D", path, "bob").returncode == 1
    assert path.read_text().count(":") == 1


def http(server, path, method="GET", head="", body=""):
    """One request by the control socket; the status and the body."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(server.data_dir / "control.sock"))
        text = f"{method} /api/v5{path} HTTP/1.0\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
        link.sendall(text.encode())
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_s19_odd_names_are_data(running):
    """Names that are paths, patterns or markup elsewhere."""
    server, steer = running()
    steer("role", "set", "all", "allow all #")
    for name in ("../x", "a b", "%2e", "<b>", "x/y?z=1", "ü"):
        steer.user(name, "wonder", "--role", "all")
        with user(server, name, client_id=f"c {name}"):
            shown = steer("clients", "show", f"c {name}")
            assert shown["username"] == name
        status, body = http(
            server, "/authentication/database/users/" + urllib.parse.quote(name, safe="")
        )
        assert status == 200 and json.loads(body)["user_id"] == name
    assert len(steer("user", "list")) == 6


def asked(server, path):
    """What the API answers by the control socket."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(server.data_dir / "control.sock"))
        link.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b"".join(iter(lambda: link.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    assert b" 200 " in head.split(b"\r\n")[0], head
    return json.loads(body)


def test_the_api_tells_what_is_stored_and_how_safely(own_server):
    rule = '[[topic]]\nprefix = "telemetry/"\ndurability = "memory"\n'
    server = own_server(config=rule).start()
    server.until_events("serving")
    with Peer(server, V5, client_id=fresh_id(), clean=False, expiry=60) as away:
        away.subscribe("a/b", qos=1)
    with Peer(server, V5) as speaker:
        for _ in range(3):
            speaker.publish("a/b", b"kept", 1)
    told = asked(server, "/api/v5/store")
    assert told["durability"] == "disk"
    assert told["topics"] == [{"prefix": "telemetry/", "durability": "memory"}]
    figures = told["figures"]
    assert figures["state"] == "ok" and figures["failures"] == 0
    assert figures["messages"] == 3 and figures["oldest_seconds"] is not None
    assert sum(bucket["count"] for bucket in figures["commits"]) >= 1
    assert figures["syncs"] >= 1 and figures["disk_bytes"] > figures["live_bytes"] > 0


def test_the_api_tells_that_nothing_is_stored(own_server):
    server = own_server(config='[store]\ndurability = "memory"\n').start()
    server.until_events("serving")
    told = asked(server, "/api/v5/store")
    assert told["durability"] == "memory" and told["figures"] is None


def test_commands_say_what_is_not_there(own_server):
    server = own_server().start()
    server.until_events("serving")
    steer = Steer(server)
    with pytest.raises(Told, match="say which topics"):
        steer("role", "set", "bad", "allow publish")
    steer("role", "set", "good", "allow publish t/#")
    steer("group", "set", "team", "--role", "good")
    with pytest.raises(Told, match="team"):
        steer("role", "remove", "good")
    said = subprocess.run(
        [binary(), "user", "add", "ann", "--group", "nope", "--data-dir", server.data_dir],
        input="wonder\n", capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert 'no group "nope"' in said.stderr and "[[authentication]]" in said.stderr, said
    steer("role", "remove", "good", "--force")


def test_explain_knows_who_is_in_a_file_of_passwords(own_server, tmp_path):
    passwords = tmp_path / "passwords"
    subprocess.run(
        [binary(), "passwd", "-c", "-b", passwords, "ann", "wonder"], timeout=PATIENCE, check=True
    )
    server = own_server(
        config=f'[[authentication]]\ntype = "passwords"\nfile = "{passwords}"\n'
        '[[rule]]\nallow = "all"\ntopics = ["#"]\n'
    ).start()
    server.until_events("serving")
    steer = Steer(server)
    assert steer.explain("c", "connect", user="ann")["decision"] == "allow"
    answer = steer.explain("c", "connect", user="nosuchuser")
    assert answer["decision"] == "deny" and "no such user" in answer["why"]
    assert "file:" in steer.text("config", "show", "--set").split("].type", 1)[1].splitlines()[0]
