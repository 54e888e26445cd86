"""Sessions: clean and lasting, what waits in them, takeover, expiry."""

import pytest

from harness.peer import V5, V31, V311, VERSIONS, Peer, fresh_id, timed_fence

versions = pytest.mark.parametrize("version", VERSIONS, ids=VERSIONS.values())


@versions
@pytest.mark.parametrize("qos", [1, 2])
def test_offline_queue(server, topic, version, qos):
    """MQTT-4.5.0-1: messages for an absent client wait, in order, each once."""
    client_id = fresh_id()
    with Peer(server, version, client_id, clean=False) as first:
        assert not first.session_present
        first.subscribe(topic, qos=qos)
    with Peer(server, version) as publisher:
        for number in range(100):
            publisher.publish(topic, b"%d" % number, qos)
        with Peer(server, version, client_id, clean=False) as back:
            assert back.session_present or version == V31
            heard = back.until_fence(publisher, qos=qos)
    assert [int(m.payload) for m in heard] == list(range(100))
    assert {(m.qos, m.dup) for m in heard} == {(qos, False)}
    forget(server, version, client_id)


@versions
def test_clean_session_forgets(server, topic, version):
    """MQTT-3.1.2-4."""
    client_id = fresh_id()
    with Peer(server, version, client_id, clean=False) as first:
        first.subscribe(topic, qos=1)
    with Peer(server, version) as publisher:
        publisher.publish(topic, b"waiting", 1)
        with Peer(server, version, client_id, clean=True) as clean:
            assert not clean.session_present
            publisher.publish(topic, b"unheard", 1)
            assert clean.until_fence(publisher, qos=1) == []
    with Peer(server, version, client_id, clean=False) as again:
        assert not again.session_present
    forget(server, version, client_id)


@versions
def test_subscriptions_outlive_the_connection(server, topic, version):
    client_id = fresh_id()
    with Peer(server, version, client_id, clean=False) as first:
        first.subscribe(f"{topic}/a", f"{topic}/b", qos=1)
        first.unsubscribe(f"{topic}/b")
    with Peer(server, version, client_id, clean=False) as back, Peer(server, version) as publisher:
        publisher.publish(f"{topic}/b", b"b", 1)
        publisher.publish(f"{topic}/a", b"a", 1)
        assert back.payloads(1) == [b"a"]
    forget(server, version, client_id)


@versions
def test_unacknowledged_message_comes_again(server, topic, version):
    """MQTT-4.4.0-1: with DUP set and the same packet id."""
    client_id = fresh_id()
    with Peer(server, version) as publisher:
        silent = Peer(server, version, client_id, clean=False, manual_ack=True).connect()
        silent.subscribe(topic, qos=1)
        publisher.publish(topic, b"again", 1)
        first = silent.message()
        silent.drop()
        with Peer(server, version, client_id, clean=False) as back:
            second = back.message()
            assert (second.payload, second.dup, second.mid) == (b"again", True, first.mid)
            assert back.until_fence(publisher, qos=1) == []
        with Peer(server, version, client_id, clean=False) as once_more:
            assert once_more.until_fence(publisher, qos=1) == []
    forget(server, version, client_id)


@versions
def test_takeover(server, topic, version):
    """MQTT-3.1.4-3: the old connection ends; 5.0 hears 0x8E."""
    client_id = fresh_id()
    old = Peer(server, version, client_id, clean=False).connect()
    old.subscribe(topic, qos=1)
    with Peer(server, version, client_id, clean=False) as new, Peer(server, version) as publisher:
        assert old.ended() == (0x8E if version == V5 else None)
        old.disconnect()
        assert new.session_present or version == V31
        publisher.publish(topic, b"to the new one", 1)
        assert new.message().payload == b"to the new one"
    forget(server, version, client_id)


def test_takeover_race(server, topic):
    """Twenty connections fight for one id: exactly one of them stays."""
    client_id = fresh_id()
    fighters = [Peer(server, V5, client_id).connect() for _ in range(20)]
    for loser in fighters[:-1]:
        assert loser.ended() == 0x8E
        loser.disconnect()
    winner = fighters[-1]
    winner.subscribe(topic)
    winner.publish(topic, b"mine")
    assert winner.message().payload == b"mine"
    winner.disconnect()


def test_expiry(server, topic):
    """MQTT-4.1.0-2: after its interval the session is gone; before, it is not."""
    short, long = fresh_id(), fresh_id()
    Peer(server, V5, short, clean=False, expiry=1).connect().disconnect()
    Peer(server, V5, long, clean=False, expiry=600).connect().disconnect()
    timed_fence(server, 3)
    with Peer(server, V5, short, clean=False) as peer:
        assert not peer.session_present
    with Peer(server, V5, long, clean=False) as peer:
        assert peer.session_present
    for client_id in (short, long):
        forget(server, V5, client_id)


def test_expiry_zero_ends_with_the_connection(server):
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False, expiry=0):
        pass
    with Peer(server, V5, client_id, clean=False, expiry=0) as again:
        assert not again.session_present


def test_disconnect_changes_the_expiry(server):
    """§3.14.2.2.2."""
    client_id = fresh_id()
    Peer(server, V5, client_id, clean=False, expiry=600).connect().disconnect(
        SessionExpiryInterval=0
    )
    with Peer(server, V5, client_id, clean=False, expiry=0) as again:
        assert not again.session_present


def test_a_session_crosses_versions(server, topic):
    """A device that is updated from 3.1.1 to 5.0 finds what waited."""
    client_id = fresh_id()
    with Peer(server, V311, client_id, clean=False) as old:
        old.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"waited", 1, UserProperty=[("k", "v")])
    with Peer(server, V5, client_id, clean=False) as new:
        assert new.session_present
        message = new.message()
        assert message.payload == b"waited"
        assert message.properties.UserProperty == [("k", "v")]
    forget(server, V5, client_id)


def test_assigned_client_id(server):
    """MQTT-3.1.3-6 and -7: unique, and told to the client."""
    with Peer(server, V5, "") as one, Peer(server, V5, "") as two:
        names = {peer.connack[1].AssignedClientIdentifier for peer in (one, two)}
        assert len(names) == 2 and all(names)


def forget(server, version, client_id):
    """Leaves nothing behind: a clean connection ends the session."""
    with Peer(server, version, client_id, clean=True, expiry=0 if version == V5 else None):
        pass
