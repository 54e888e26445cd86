"""What 5.0 added, one by one."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.peer import V5, V311, Peer, Refused, fresh_id, timed_fence
from harness.raw import (
    CONNACK,
    PUBLISH,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Raw,
    connect,
    packet,
    text,
)


def test_properties_pass_unaltered(server, topic):
    """MQTT-3.3.2-4, -16 to -18, -20: order of user properties, repeats and all."""
    said = {
        "PayloadFormatIndicator": 1,
        "ContentType": "application/json",
        "ResponseTopic": f"{topic}/reply",
        "CorrelationData": bytes(range(256)),
        "UserProperty": [("b", "2"), ("a", "1"), ("b", "2"), ("", "empty name"), ("ü", "")],
    }
    with Peer(server, V5) as subscriber, Peer(server, V5) as publisher:
        subscriber.subscribe(topic, qos=2)
        for qos in (0, 1, 2):
            publisher.publish(topic, b"{}", qos, **said)
            heard = subscriber.message().properties
            assert {name: getattr(heard, name) for name in said} == said
            assert not hasattr(heard, "MessageExpiryInterval")


def test_retained_message_keeps_its_properties(server, topic):
    with Peer(server, V5) as publisher, Peer(server, V5) as late:
        publisher.publish(
            topic, b"x", 1, retain=True, ContentType="text/x", UserProperty=[("k", "v")]
        )
        late.subscribe(topic)
        heard = late.message().properties
        assert (heard.ContentType, heard.UserProperty) == ("text/x", [("k", "v")])
        publisher.publish(topic, b"", 1, retain=True)


def test_request_and_response(server, topic):
    with Peer(server, V5) as asker, Peer(server, V5) as answerer:
        answerer.subscribe(f"{topic}/ask")
        asker.subscribe(f"{topic}/answer")
        asker.publish(
            f"{topic}/ask", b"6*7", ResponseTopic=f"{topic}/answer", CorrelationData=b"\x07"
        )
        question = answerer.message().properties
        answerer.publish(question.ResponseTopic, b"42", CorrelationData=question.CorrelationData)
        answer = asker.message()
        assert (answer.payload, answer.properties.CorrelationData) == (b"42", b"\x07")


def test_message_expiry_while_waiting(server, topic):
    """MQTT-3.3.2-5 and -6: gone when it expired in the queue, else the rest of its time."""
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(topic, qos=1)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"short", 1, MessageExpiryInterval=1)
        publisher.publish(topic, b"long", 1, MessageExpiryInterval=100)
        publisher.publish(topic, b"forever", 1)
        timed_fence(server, 3)
    with Peer(server, V5, client_id, clean=False, expiry=0) as back:
        long, forever = back.messages(2)
        assert (long.payload, forever.payload) == (b"long", b"forever")
        assert 80 <= long.properties.MessageExpiryInterval <= 98
        assert not hasattr(forever.properties, "MessageExpiryInterval")


def test_retained_message_expires(server, topic):
    """For everybody, whatever the version of the subscriber."""
    with Peer(server, V5) as publisher:
        publisher.publish(f"{topic}/short", b"short", 1, retain=True, MessageExpiryInterval=1)
        publisher.publish(f"{topic}/long", b"long", 1, retain=True, MessageExpiryInterval=100)
        timed_fence(server, 3)
        for version in (V311, V5):
            with Peer(server, version) as late:
                late.subscribe(f"{topic}/+", qos=1)
                assert [m.payload for m in late.until_fence(publisher, qos=1)] == [b"long"]
        publisher.publish(f"{topic}/long", b"", 1, retain=True)


def test_subscription_identifiers(server, topic):
    """MQTT-3.3.4-3 and -4: of all subscriptions that match, in one copy."""
    with Peer(server, V5) as subscriber, Peer(server, V5) as publisher:
        subscriber.subscribe(f"{topic}/#", identifier=1)
        subscriber.subscribe(f"{topic}/a", identifier=268_435_455)
        subscriber.subscribe(f"{topic}/b")
        publisher.publish(f"{topic}/a", b"a")
        publisher.publish(f"{topic}/b", b"b")
        publisher.publish(f"{topic}/c", b"c")
        heard = {m.payload: sorted(identifiers(m)) for m in subscriber.until_fence(publisher)}
        assert heard == {b"a": [1, 268_435_455], b"b": [1], b"c": [1]}
        subscriber.subscribe(f"{topic}/#", identifier=7)
        publisher.publish(f"{topic}/c", b"c")
        assert identifiers(subscriber.message()) == [7]
        subscriber.subscribe(f"{topic}/#")
        publisher.publish(f"{topic}/c", b"c")
        assert identifiers(subscriber.message()) == []


def test_subscription_identifier_survives_the_session(server, topic):
    client_id = fresh_id()
    with Peer(server, V5, client_id, clean=False) as first:
        first.subscribe(topic, qos=1, identifier=9)
    with Peer(server, V5) as publisher:
        publisher.publish(topic, b"x", 1)
    with Peer(server, V5, client_id, clean=False, expiry=0) as back:
        assert identifiers(back.message()) == [9]


def test_no_local(server, topic):
    """MQTT-3.8.3-3."""
    with Peer(server, V5) as peer, Peer(server, V5) as other:
        peer.subscribe(topic, noLocal=True)
        peer.publish(topic, b"mine", 1)
        other.publish(topic, b"theirs", 1)
        assert [m.payload for m in peer.until_fence(other)] == [b"theirs"]


def test_topic_alias_towards_the_server(server, topic):
    """MQTT-3.3.2-12: the topic is said once."""
    with Peer(server, V5) as subscriber, Peer(server, V5) as publisher:
        maximum = getattr(publisher.connack[1], "TopicAliasMaximum", 0)
        assert maximum >= 2
        subscriber.subscribe(f"{topic}/#")
        publisher.publish(f"{topic}/a", b"1", TopicAlias=1)
        publisher.publish(f"{topic}/b", b"2", TopicAlias=maximum)
        alias_only(publisher, 1, b"3")
        alias_only(publisher, maximum, b"4")
        publisher.publish(f"{topic}/c", b"5", TopicAlias=1)
        alias_only(publisher, 1, b"6")
        heard = [(m.topic[-1], m.payload) for m in subscriber.messages(6)]
        assert heard == [
            ("a", b"1"),
            ("b", b"2"),
            ("a", b"3"),
            ("b", b"4"),
            ("c", b"5"),
            ("c", b"6"),
        ]


@pytest.mark.parametrize("alias", [0, 65_535])
def test_wrong_topic_alias(server, topic, alias):
    """MQTT-3.3.2-8 and -9: 0x94 (mind a server that would take 65,535)."""
    with Peer(server, V5) as peer:
        assert getattr(peer.connack[1], "TopicAliasMaximum", 0) < 65_535
    with Raw(server) as raw:
        raw.send(connect(fresh_id()))
        assert raw.packet()[0] == CONNACK
        raw.send(packet(PUBLISH, text(topic) + b"\x03\x23" + alias.to_bytes(2, "big") + b"x"))
        kind, _, body = raw.packet()
        assert (kind, body[0]) == (14, 0x94)
        assert raw.rest() == []


def test_topic_alias_towards_the_client(server, topic):
    """MQTT-3.1.2-26 and -27: never above what the client takes, and never wrong."""
    with Raw(server) as raw, Peer(server, V5) as publisher:
        raw.send(connect(fresh_id(), properties=b"\x22\x00\x02"))
        assert raw.packet()[0] == CONNACK
        raw.send(packet(SUBSCRIBE, b"\x00\x01\x00" + text(f"{topic}/#") + b"\x00", 2))
        assert raw.packet()[0] == 9
        sent = [f"{topic}/{name}" for name in "abcabcaabbcc"]
        for name in sent:
            publisher.publish(name, b"x")
        known, heard = {}, []
        for _ in sent:
            _, _, body = raw.packet()
            length = int.from_bytes(body[:2], "big")
            name, block = body[2 : 2 + length].decode(), body[3 + length : -1]
            if block:
                assert block[0] == 0x23
                alias = int.from_bytes(block[1:3], "big")
                assert 1 <= alias <= 2
                if name:
                    known[alias] = name
                name = known[alias]
            heard.append(name)
        assert heard == sent


def test_request_problem_information(server):
    """MQTT-3.1.2-29: no reason string or user property where it was not asked for."""
    with Raw(server) as raw:
        raw.send(connect(fresh_id(), properties=b"\x17\x00"))
        assert raw.packet()[0] == CONNACK
        raw.send(packet(UNSUBSCRIBE, b"\x00\x01\x00" + text("never/subscribed"), 2))
        assert raw.packet() == (UNSUBACK, 0, b"\x00\x01\x00\x11")
        raw.send(packet(6, b"\x00\x63", 2))  # PUBREL for an id that is not in use.
        kind, _, body = raw.packet()
        assert kind == 7 and body in (b"\x00\x63\x92", b"\x00\x63\x92\x00")


def test_no_response_information_unasked(server):
    """MQTT-3.1.2-28."""
    with Peer(server, V5) as peer:
        assert not hasattr(peer.connack[1], "ResponseInformation")


def test_unknown_authentication_method(server):
    """MQTT-4.12.0-1: 0x8C."""
    with pytest.raises(Refused) as refusal:
        Peer(server, V5, AuthenticationMethod="none-such").connect()
    assert refusal.value.reason.value == 0x8C


def test_capabilities_are_whole(server):
    """C39: the default server restricts nothing, so it says nothing (or says 1)."""
    with Peer(server, V5) as peer:
        said = peer.connack[1]
        assert getattr(said, "MaximumQoS", 2) == 2
        for name in (
            "RetainAvailable",
            "WildcardSubscriptionAvailable",
            "SubscriptionIdentifierAvailable",
            "SharedSubscriptionAvailable",
        ):
            assert getattr(said, name, 1) == 1


def identifiers(message):
    return getattr(message.properties, "SubscriptionIdentifier", [])


def alias_only(peer, alias, payload):
    """paho wants a topic; an empty one with an alias is legal."""
    said = Properties(PacketTypes.PUBLISH)
    said.TopicAlias = alias
    peer.published(peer.client.publish("", payload, properties=said).mid)
