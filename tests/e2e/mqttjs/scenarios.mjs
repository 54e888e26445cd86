// One scenario of mqtt.js against a server: node scenarios.mjs NAME HOST PORT VERSION PREFIX
// VERSION is 3, 4 or 5 (3.1, 3.1.1, 5.0). Exit code 0 when all that was expected came.

import assert from "node:assert/strict";
import { once } from "node:events";
import mqtt from "mqtt";

const [name, host, port, versionText, prefix] = process.argv.slice(2);
const version = Number(versionText);
const PATIENCE = 20_000;

let serial = 0;
const open = new Set();

function freshId() {
  serial += 1;
  return `js${process.pid}-${serial}`;
}

async function connect(options = {}) {
  const client = mqtt.connect({
    host, port: Number(port), protocol: "mqtt",
    protocolId: version === 3 ? "MQIsdp" : "MQTT", protocolVersion: version,
    clientId: freshId(), reconnectPeriod: 0, connectTimeout: PATIENCE, ...options,
  });
  open.add(client);
  client.inbox = [];
  client.on("message", (topic, payload, packet) => {
    const { qos, retain, properties } = packet;
    client.inbox.push({ topic, payload: payload.toString(), qos, retain, properties });
    client.emit("inbox");
  });
  client.on("error", (error) => { client.failure = error; client.emit("inbox"); });
  const [connack] = await once(client, "connect");
  client.connack = connack;
  return client;
}

async function heard(client, count) {
  while (client.inbox.length < count) {
    if (client.failure) throw client.failure;
    await once(client, "inbox");
  }
  return client.inbox.splice(0, count);
}

// A client that is away and comes back to its session.
function lasting(clientId) {
  const properties = { sessionExpiryInterval: 60 };
  return { clientId, clean: false, ...(version === 5 ? { properties } : {}) };
}

const scenarios = {
  async qos() {
    const [subscriber, publisher] = [await connect(), await connect()];
    for (const granted of [0, 1, 2]) {
      const grants = await subscriber.subscribeAsync(`${prefix}/${granted}`, { qos: granted });
      assert.deepEqual(grants.map((grant) => grant.qos), [granted]);
      for (const qos of [0, 1, 2]) {
        await publisher.publishAsync(`${prefix}/${granted}`, `p${qos}`, { qos });
        const [message] = await heard(subscriber, 1);
        assert.equal(message.payload, `p${qos}`);
        assert.equal(message.qos, Math.min(qos, granted));
        assert.equal(message.retain, false);
      }
    }
  },

  async retained() {
    const publisher = await connect();
    for (const payload of ["one", "two"]) {
      await publisher.publishAsync(`${prefix}/r`, payload, { qos: 1, retain: true });
    }
    const late = await connect();
    await late.subscribeAsync(`${prefix}/#`, { qos: 1 });
    const [message] = await heard(late, 1);
    assert.deepEqual([message.payload, message.retain], ["two", true]);
    await publisher.publishAsync(`${prefix}/r`, "", { qos: 1, retain: true });
    assert.equal((await heard(late, 1))[0].payload, "");
    const later = await connect();
    await later.subscribeAsync(`${prefix}/#`, { qos: 1 });
    await publisher.publishAsync(`${prefix}/fence`, "fence", { qos: 1 });
    assert.equal((await heard(later, 1))[0].payload, "fence");
  },

  async will() {
    const watcher = await connect();
    await watcher.subscribeAsync(`${prefix}/#`, { qos: 1 });
    const left = { topic: `${prefix}/left`, payload: "x", qos: 1, retain: false };
    const leaver = await connect({ will: left });
    await leaver.endAsync();
    const gone = { topic: `${prefix}/w`, payload: "gone", qos: 1, retain: false };
    const victim = await connect({ will: gone });
    victim.stream.destroy();
    const [message] = await heard(watcher, 1);
    assert.deepEqual([message.topic, message.payload, message.qos], [`${prefix}/w`, "gone", 1]);
  },

  async session() {
    const clientId = freshId();
    const first = await connect(lasting(clientId));
    await first.subscribeAsync(`${prefix}/q`, { qos: 2 });
    await first.endAsync();
    const publisher = await connect();
    for (let number = 0; number < 20; number += 1) {
      await publisher.publishAsync(`${prefix}/q`, String(number), { qos: 1 + (number % 2) });
    }
    const back = await connect(lasting(clientId));
    if (version > 3) assert.equal(back.connack.sessionPresent, true);
    const numbers = (await heard(back, 20)).map((message) => Number(message.payload));
    assert.deepEqual(numbers.sort((a, b) => a - b), [...Array(20).keys()]);
  },

  // The library reconnects by itself and finds its subscriptions and messages.
  async reconnect() {
    const clientId = freshId();
    const client = await connect({ ...lasting(clientId), reconnectPeriod: 20, resubscribe: false });
    await client.subscribeAsync(`${prefix}/q`, { qos: 1 });
    const publisher = await connect();
    for (let round = 0; round < 3; round += 1) {
      const back = once(client, "connect");
      client.stream.destroy();
      await publisher.publishAsync(`${prefix}/q`, `round ${round}`, { qos: 1 });
      await back;
      assert.equal((await heard(client, 1))[0].payload, `round ${round}`);
    }
  },

  async properties() {
    const subscriber = await connect();
    const publisher = await connect({ properties: { topicAliasMaximum: 10 } });
    const numbered = { qos: 1, properties: { subscriptionIdentifier: 5 } };
    await subscriber.subscribeAsync(`${prefix}/p`, numbered);
    await publisher.publishAsync(`${prefix}/p`, "x", { qos: 1, properties: {
      contentType: "text/plain", responseTopic: `${prefix}/r`,
      correlationData: Buffer.from([0, 255]),
      messageExpiryInterval: 100, userProperties: { a: ["1", "2"], b: "3" } } });
    const [{ properties }] = await heard(subscriber, 1);
    assert.equal(properties.contentType, "text/plain");
    assert.equal(properties.responseTopic, `${prefix}/r`);
    assert.deepEqual([...properties.correlationData], [0, 255]);
    assert.deepEqual({ ...properties.userProperties }, { a: ["1", "2"], b: "3" });
    assert.equal(properties.subscriptionIdentifier, 5);
    assert.ok(properties.messageExpiryInterval > 90);
  },

  async shared() {
    const members = [await connect(), await connect()];
    for (const member of members) await member.subscribeAsync(`$share/js/${prefix}/s`, { qos: 1 });
    const publisher = await connect();
    for (let number = 0; number < 40; number += 1) {
      await publisher.publishAsync(`${prefix}/s`, String(number), { qos: 1 });
    }
    for (const member of members) await member.subscribeAsync(`${prefix}/fence`, { qos: 1 });
    await publisher.publishAsync(`${prefix}/fence`, "fence", { qos: 1 });
    const shares = [];
    for (const member of members) {
      const share = [];
      for (;;) {
        const [message] = await heard(member, 1);
        if (message.payload === "fence") break;
        share.push(Number(message.payload));
      }
      shares.push(share);
    }
    assert.deepEqual(shares.flat().sort((a, b) => a - b), [...Array(40).keys()]);
    assert.ok(shares.every((share) => share.length > 0));
  },
};

const alarm = setTimeout(() => {
  console.error(`${name}: not done within ${PATIENCE} ms`);
  process.exit(2);
}, PATIENCE);
try {
  await scenarios[name]();
} finally {
  clearTimeout(alarm);
  for (const client of open) client.end(true);
}
