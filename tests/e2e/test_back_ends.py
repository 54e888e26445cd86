"""Web services, PostgreSQL, MariaDB, Redis, MongoDB's protocol and LDAP say who comes in, and what
it may do."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.back_end import KINDS, User
from harness.deadline import Deadline
from harness.peer import LASTING, V5, V311, Peer, Refused, Will, fresh_id
from harness.pki import Authority

NOT_AUTHORIZED, UNAVAILABLE = 135, 136
#: What SUBACK of MQTT 3.1.1 says for no.
FAILURE = 128
DOWN = "authentication: no answer; clients that it knows are not let in"
UP = "authentication: answers again"


def one_by_one(kind):
    """All tests of a kind run in one process, so that its server starts once."""
    return pytest.param(kind, marks=pytest.mark.xdist_group(kind))


@pytest.fixture(scope="session", params=map(one_by_one, KINDS))
def back_end(request):
    made = KINDS[request.param]()
    yield made
    made.close()


RULES = """
[limits]
failed_logins = 0
[[rule]]
allow = "all"
topics = ["own/${username}/#", "fence/#", "clock/#"]
[[rule]]
allow = "all"
topics = ["staff/#"]
groups = ["staff"]
"""


def config(back_end, **options):
    return back_end.config(**{"refresh": '"1s"', **options}) + RULES


def ann(back_end, **options):
    """A user of this test's own, in the back end."""
    user = User(f"ann{fresh_id()}", "wonder-17", **options)
    back_end.put(user)
    return user


def peer(server, user, version=V5, password=None, **options):
    password = user.password if password is None else password
    return Peer(server, version, username=user.name, password=password, **options)


def refusal(*arguments, **options):
    with pytest.raises(Refused) as refused:
        peer(*arguments, **options).connect()
    return refused.value.reason.value


def test_s62_only_the_right_password_comes_in(own_server, back_end):
    user = ann(back_end)
    server = own_server(config=config(back_end)).start()
    nobody = User("nobody", user.password)
    for version in (V5, V311):
        with peer(server, user, version):
            pass
        wrong = refusal(server, user, version, "wrong-99")
        assert wrong == refusal(server, nobody, version), "s65: both are one answer"
        assert wrong != UNAVAILABLE
        refusal(server, user, version, "")
        with pytest.raises(Refused):
            Peer(server, version, username=user.name).connect()
        with pytest.raises(Refused):
            Peer(server, version).connect()
    log = server.log()
    assert user.password not in log and "wrong-99" not in log and "p4ss" not in log, "s71"
    assert not server.events(DOWN)


HOSTILE = [
    "' OR '1'='1",
    "{ann}' --",
    "{ann}'; DROP TABLE mqtt_users; --",
    '{ann}" OR ""="',
    "{ann}\\' OR 1=1 #",
    "%",
    "_nn",
    "*",
    "a*",
    "{ann})(uid=*",
    "*)(|(uid=*",
    '{{"$gt": ""}}',
    '", "$ne": "',
    ".*",
    "^{ann}$",
    "${{username}}",
    "{ann}\r\nGET user:x",
]


def test_s44_s45_no_name_is_more_than_a_name(own_server, back_end):
    user = ann(back_end)
    names = [name.format(ann=user.name) for name in HOSTILE]
    server = own_server(config=config(back_end)).start()
    for name in names:
        assert refusal(server, User(name, user.password)) != UNAVAILABLE, name
    # Who really is called so comes in as itself, and by its own password only.
    odd = [User(name, "odd-4711") for name in names[:-1]]
    back_end.put(*odd)
    for one in odd:
        with peer(server, one):
            pass
        refusal(server, one, password=user.password)
    with peer(server, user) as one:
        for topic in ("' OR '1'='1", "x'; DROP TABLE mqtt_rules; --", '{"$gt": ""}'):
            assert one.publish(topic, b"no", 1) == NOT_AUTHORIZED
    assert not server.events(DOWN)


def test_s45_no_client_id_finds_another_ones_rules(own_server, back_end):
    user, trusted = ann(back_end), fresh_id()
    server = own_server(config=config(back_end)).start()
    finds_by_client = hasattr(back_end, "allow_client")
    if finds_by_client:
        back_end.allow_client(trusted, "clients/trusted")
    for name in [trusted, *HOSTILE[:-1]]:
        with peer(server, user, client_id=name.format(ann=trusted)) as one:
            right = name == trusted and finds_by_client
            code = one.publish("clients/trusted", b"", 1)
            assert (code == NOT_AUTHORIZED) != right, name


def test_groups_and_rules_act(own_server, back_end):
    rules = [("allow", "subscribe", "plant/+"), ("allow", "all", "shared/${username}/#")]
    if back_end.has_denials:
        rules.insert(0, ("deny", "all", "plant/secret"))
    user = ann(back_end, groups=["staff"], rules=rules)
    server = own_server(config=config(back_end)).start()

    def may(one, topic):
        return one.publish(topic, b"x", 1) != NOT_AUTHORIZED

    with peer(server, user) as one:
        assert may(one, f"own/{user.name}/a") and not may(one, "own/bob/a")
        assert may(one, "staff/a") == back_end.has_groups
        assert may(one, f"shared/{user.name}/a") == back_end.has_rules
        assert not may(one, "shared/bob/a") and not may(one, "plant/a")
        seen = [0 if back_end.has_rules else NOT_AUTHORIZED]
        assert one.subscribe("plant/a") == one.subscribe("$share/g/plant/a") == seen
        secret = NOT_AUTHORIZED if back_end.has_denials or not back_end.has_rules else 0
        assert one.subscribe("plant/secret") == [secret]


def test_a_superuser_may_do_everything(own_server, back_end):
    user = ann(back_end, superuser=True)
    server = own_server(config=config(back_end)).start()
    with peer(server, user) as one:
        denied = one.publish("any/topic", b"x", 1) == NOT_AUTHORIZED
        assert denied == (back_end.title == "LDAP"), "a directory names none"


@pytest.mark.parametrize("version", [V5, V311])
def test_s48_a_permission_that_is_taken_in_the_back_end_ends(own_server, back_end, version):
    """After the time of `refresh`, which is a second here."""
    user = ann(back_end, groups=["staff"], rules=[("allow", "all", "staff/#")])
    other = ann(back_end)
    rule = f'[[rule]]\nallow = "publish"\ntopics = ["staff/#"]\nusers = ["{other.name}"]\n'
    server = own_server(config=config(back_end) + rule).start()
    one = peer(server, user, version).connect()
    assert one.subscribe("staff/a", qos=1) == [1]
    one.publish("staff/a", b"before", 1)
    assert one.message().payload == b"before"
    watch = peer(server, other, version).connect()
    back_end.revoke(user.name)
    if version == V5:
        assert one.ended() == NOT_AUTHORIZED
        one = peer(server, user).connect()
        assert one.subscribe("staff/a") == [NOT_AUTHORIZED]
    else:
        # MQTT 3.1.1 cannot be told: it shows by what does not come any more.
        deadline = Deadline()
        while one.subscribe("staff/b", qos=1) != [FAILURE]:
            assert not deadline.passed(), "the permission is still there"
        watch.publish("staff/a", b"after", 1)
        assert [m.payload for m in one.until_fence(watch, 1) if m.topic == "staff/a"] == []
    back_end.remove(user.name)
    one.ended()
    watch.disconnect()


def test_s55_a_user_has_one_name_however_it_is_written(own_server, back_end):
    user = ann(back_end)
    shouted = User(user.name.upper(), user.password)
    server = own_server(config=config(back_end)).start()
    if back_end.title not in ("LDAP", "MySQL and MariaDB"):
        refusal(server, shouted)
        return
    with peer(server, shouted) as one:
        assert one.publish(f"own/{user.name}/a", b"", 1) != NOT_AUTHORIZED
        assert one.publish(f"own/{shouted.name}/a", b"", 1) == NOT_AUTHORIZED


def breaks(server, user):
    """Five failures at once, and how long a refusal takes after them."""
    with ThreadPoolExecutor(5) as pool:
        codes = list(pool.map(lambda _: refusal(server, user), range(5)))
    assert codes == [UNAVAILABLE] * 5
    server.until_events(DOWN)
    begun = time.monotonic()
    assert refusal(server, user) == UNAVAILABLE
    return time.monotonic() - begun


def test_f23_a_back_end_that_is_down_denies_at_once(own_server, back_end):
    user, client_id = ann(back_end), fresh_id()
    server = own_server(config=config(back_end, cache='"1h"')).start()
    clock = f"clock/{fresh_id()}"
    will = Will(clock, qos=1, properties={"WillDelayInterval": 3})
    ticker = peer(server, user, expiry=LASTING, will=will).connect()
    one = peer(server, user).connect()
    one.subscribe(clock, f"own/{user.name}/#", qos=1)
    with peer(server, user, client_id=client_id):
        pass
    back_end.stop()
    try:
        assert breaks(server, user) < 1
        # Over several refreshes that fail, who is in stays in.
        ticker.drop()
        assert one.message().topic == clock
        one.publish(f"own/{user.name}/a", b"alive", 1)
        assert one.message().payload == b"alive"
        # What is remembered was configured to be.
        with peer(server, user, client_id=client_id):
            pass
        assert refusal(server, user, client_id=client_id, password="wrong") == UNAVAILABLE
    finally:
        back_end.start()
    # The question of a refresh finds it back, without anybody's help.
    server.until_events(UP)
    with peer(server, user):
        pass
    one.disconnect()


def test_f18_a_back_end_that_hangs_holds_nobody_up(own_server, back_end):
    user = ann(back_end)
    server = own_server(config=config(back_end, timeout='"1s"')).start()
    one = peer(server, user).connect()
    one.subscribe(f"own/{user.name}/#")
    back_end.freeze()
    try:
        assert breaks(server, user) < 1
        one.publish(f"own/{user.name}/a", b"alive", 1)
        assert one.message().payload == b"alive"
    finally:
        back_end.thaw()
    server.until_events(UP)
    with peer(server, user):
        pass
    one.disconnect()


def test_s79_tls_is_with_whom_we_trust(own_server, back_end, tmp_path):
    user = ann(back_end)
    server = own_server(config=config(back_end, tls=True)).start()
    with peer(server, user):
        pass
    other = Authority(tmp_path / "other").file
    server = own_server(config=config(back_end, tls=True, ca=other)).start()
    assert breaks(server, user) < 1
    assert not [event for event in server.events(DOWN) if "p4ss" in str(event)], "s71"
