"""aiomqtt: the client of asyncio programs."""

import asyncio

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.deadline import PATIENCE
from harness.peer import fresh_id

VERSIONS = [aiomqtt.ProtocolVersion.V31, aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5]
versions = pytest.mark.parametrize("version", VERSIONS, ids=["3.1", "3.1.1", "5.0"])


def client(server, version, **options):
    return aiomqtt.Client(
        server.host,
        server.port,
        protocol=version,
        timeout=PATIENCE,
        **{"identifier": fresh_id(), **options},
    )


async def heard(subscriber, count):
    messages = []
    async for message in subscriber.messages:
        messages.append(message)
        if len(messages) == count:
            return messages
    raise AssertionError(f"the stream ended after {len(messages)} of {count}")


def within(story):
    """Runs a coroutine with a time limit."""

    async def limited():
        return await asyncio.wait_for(story, PATIENCE)

    return asyncio.run(limited())


@versions
def test_publish_and_subscribe(server, topic, version):
    async def story():
        async with client(server, version) as one, client(server, version) as two:
            await one.subscribe(f"{topic}/#", qos=2)
            for qos in (0, 1, 2):
                await two.publish(f"{topic}/{qos}", f"q{qos}", qos)
            return await heard(one, 3)

    assert sorted((m.qos, m.payload) for m in within(story())) == [
        (q, b"q%d" % q) for q in range(3)
    ]


@versions
def test_will(server, topic, version):
    async def story():
        async with client(server, version) as watcher:
            await watcher.subscribe(topic, qos=1)
            async with client(server, version, will=aiomqtt.Will(topic, b"gone", 1)) as victim:
                victim._client.socket().shutdown(2)
                messages = await heard(watcher, 1)
                await watcher_survives(victim)
            return messages

    async def watcher_survives(victim):
        try:
            await victim._disconnected
        except aiomqtt.MqttError:
            pass  # The break is what this test made.

    try:
        messages = within(story())
    except aiomqtt.MqttError as broken:
        raise AssertionError("the will did not come") from broken
    assert [message.payload for message in messages] == [b"gone"]


@versions
def test_queue_of_a_lasting_session(server, topic, version):
    client_id = fresh_id()

    def sleeper():
        if version == aiomqtt.ProtocolVersion.V5:
            lasting = Properties(PacketTypes.CONNECT)
            lasting.SessionExpiryInterval = 60
            return client(
                server, version, identifier=client_id, clean_start=False, properties=lasting
            )
        return client(server, version, identifier=client_id, clean_session=False)

    async def story():
        async with sleeper() as first:
            await first.subscribe(topic, qos=1)
        async with client(server, version) as publisher:
            for number in range(20):
                await publisher.publish(topic, str(number), qos=1)
        async with sleeper() as back:
            return await heard(back, 20)

    assert [int(message.payload) for message in within(story())] == list(range(20))


def test_properties(server, topic):
    async def story():
        version = aiomqtt.ProtocolVersion.V5
        async with client(server, version) as one, client(server, version) as two:
            await one.subscribe(topic, qos=1)
            said = Properties(PacketTypes.PUBLISH)
            said.UserProperty = [("k", "v")]
            said.ContentType = "text/plain"
            await two.publish(topic, b"x", qos=1, properties=said)
            return await heard(one, 1)

    [message] = within(story())
    assert message.properties.UserProperty == [("k", "v")]
    assert message.properties.ContentType == "text/plain"


def test_many_tasks_on_one_connection(server, topic):
    async def story():
        async with client(server, VERSIONS[1]) as one:
            await one.subscribe(f"{topic}/+", qos=1)
            async with asyncio.TaskGroup() as group:
                for number in range(200):
                    group.create_task(one.publish(f"{topic}/{number}", str(number), qos=1))
            return await heard(one, 200)

    assert sorted(int(m.payload) for m in within(story())) == list(range(200))
