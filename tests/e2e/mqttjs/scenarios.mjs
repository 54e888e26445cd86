// What mqtt.js has to see of a server, in Node and in browsers: nothing here belongs to one of them.

import { Buffer } from "buffer";
import mqtt from "mqtt";

const PATIENCE = 20_000;

/**
 * Plays a scenario; throws if it does not end as it has to.
 * @param server  options of mqtt.js that say where the server is
 * @param version 3, 4 or 5 (3.1, 3.1.1, 5.0)
 * @param prefix  of topics and client identifiers that nobody else uses
 */
export async function play(name, server, version, prefix) {
  const world = new World(server, version, prefix);
  let alarm;
  const late = new Promise((_, reject) => {
    alarm = setTimeout(() => reject(new Error(`${name}: not done within ${PATIENCE} ms`)), PATIENCE);
  });
  try {
    await Promise.race([SCENARIOS[name](world), late]);
  } finally {
    clearTimeout(alarm);
    for (const client of world.open) client.end(true);
  }
}

function holds(condition) {
  if (!condition) throw new Error("what has to hold does not");
}

/** Throws unless both are the same as JSON. */
function same(actual, expected) {
  const [is, shall] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (is !== shall) throw new Error(`${is} instead of ${shall}`);
}

/** What comes with the next event of this name. */
function once(emitter, event) {
  return new Promise((resolve, reject) => {
    emitter.once(event, resolve);
    emitter.once("error", reject);
  });
}

async function heard(client, count) {
  while (client.inbox.length < count) {
    if (client.failure) throw client.failure;
    await once(client, "inbox");
  }
  return client.inbox.splice(0, count);
}

/** The clients of one scenario. */
class World {
  open = new Set();
  serial = 0;

  constructor(server, version, prefix) {
    Object.assign(this, { server, version, prefix });
    for (const method of ["connect", "freshId", "lasting"]) this[method] = this[method].bind(this);
  }

  freshId() {
    this.serial += 1;
    return `${this.prefix.replaceAll("/", "-")}-${this.serial}`;
  }

  /** Options of a client that is away and comes back to its session. */
  lasting(clientId) {
    const properties = { sessionExpiryInterval: 60 };
    return { clientId, clean: false, ...(this.version === 5 ? { properties } : {}) };
  }

  async connect(options = {}) {
    const client = mqtt.connect({
      ...this.server,
      protocolId: this.version === 3 ? "MQIsdp" : "MQTT", protocolVersion: this.version,
      clientId: this.freshId(), reconnectPeriod: 0, connectTimeout: PATIENCE, ...options,
    });
    this.open.add(client);
    client.inbox = [];
    client.on("message", (topic, payload, packet) => {
      const { qos, retain, properties } = packet;
      client.inbox.push({ topic, payload: payload.toString(), qos, retain, properties });
      client.emit("inbox");
    });
    client.on("error", (error) => { client.failure = error; client.emit("inbox"); });
    const closed = new Promise((_, reject) => {
      client.once("close", () => reject(new Error("closed before CONNACK")));
    });
    client.connack = await Promise.race([once(client, "connect"), closed]);
    return client;
  }
}

/** Each scenario, by its name. */
const SCENARIOS = {
  async qos({ connect, prefix }) {
    const [subscriber, publisher] = [await connect(), await connect()];
    for (const granted of [0, 1, 2]) {
      const grants = await subscriber.subscribeAsync(`${prefix}/${granted}`, { qos: granted });
      same(grants.map((grant) => grant.qos), [granted]);
      for (const qos of [0, 1, 2]) {
        await publisher.publishAsync(`${prefix}/${granted}`, `p${qos}`, { qos });
        const [message] = await heard(subscriber, 1);
        same(message.payload, `p${qos}`);
        same(message.qos, Math.min(qos, granted));
        same(message.retain, false);
      }
    }
  },

  async retained({ connect, prefix }) {
    const publisher = await connect();
    for (const payload of ["one", "two"]) {
      await publisher.publishAsync(`${prefix}/r`, payload, { qos: 1, retain: true });
    }
    const late = await connect();
    await late.subscribeAsync(`${prefix}/#`, { qos: 1 });
    const [message] = await heard(late, 1);
    same([message.payload, message.retain], ["two", true]);
    await publisher.publishAsync(`${prefix}/r`, "", { qos: 1, retain: true });
    same((await heard(late, 1))[0].payload, "");
    const later = await connect();
    await later.subscribeAsync(`${prefix}/#`, { qos: 1 });
    await publisher.publishAsync(`${prefix}/fence`, "fence", { qos: 1 });
    same((await heard(later, 1))[0].payload, "fence");
  },

  async will({ connect, prefix }) {
    const watcher = await connect();
    await watcher.subscribeAsync(`${prefix}/#`, { qos: 1 });
    const left = { topic: `${prefix}/left`, payload: "x", qos: 1, retain: false };
    const leaver = await connect({ will: left });
    await leaver.endAsync();
    const gone = { topic: `${prefix}/w`, payload: "gone", qos: 1, retain: false };
    const victim = await connect({ will: gone });
    victim.stream.destroy();
    const [message] = await heard(watcher, 1);
    same([message.topic, message.payload, message.qos], [`${prefix}/w`, "gone", 1]);
  },

  async session({ connect, freshId, lasting, version, prefix }) {
    const clientId = freshId();
    const first = await connect(lasting(clientId));
    await first.subscribeAsync(`${prefix}/q`, { qos: 2 });
    await first.endAsync();
    const publisher = await connect();
    for (let number = 0; number < 20; number += 1) {
      await publisher.publishAsync(`${prefix}/q`, String(number), { qos: 1 + (number % 2) });
    }
    const back = await connect(lasting(clientId));
    if (version > 3) same(back.connack.sessionPresent, true);
    const numbers = (await heard(back, 20)).map((message) => Number(message.payload));
    same(numbers.sort((a, b) => a - b), [...Array(20).keys()]);
  },

  // The library reconnects by itself and finds its subscriptions and messages.
  async reconnect({ connect, freshId, lasting, prefix }) {
    const clientId = freshId();
    const client = await connect({ ...lasting(clientId), reconnectPeriod: 20, resubscribe: false });
    await client.subscribeAsync(`${prefix}/q`, { qos: 1 });
    const publisher = await connect();
    for (let round = 0; round < 3; round += 1) {
      const back = once(client, "connect");
      client.stream.destroy();
      await publisher.publishAsync(`${prefix}/q`, `round ${round}`, { qos: 1 });
      await back;
      same((await heard(client, 1))[0].payload, `round ${round}`);
    }
  },

  async properties({ connect, prefix }) {
    const subscriber = await connect();
    const publisher = await connect({ properties: { topicAliasMaximum: 10 } });
    const numbered = { qos: 1, properties: { subscriptionIdentifier: 5 } };
    await subscriber.subscribeAsync(`${prefix}/p`, numbered);
    await publisher.publishAsync(`${prefix}/p`, "x", { qos: 1, properties: {
      contentType: "text/plain", responseTopic: `${prefix}/r`,
      correlationData: Buffer.from([0, 255]),
      messageExpiryInterval: 100, userProperties: { a: ["1", "2"], b: "3" } } });
    const [{ properties }] = await heard(subscriber, 1);
    same(properties.contentType, "text/plain");
    same(properties.responseTopic, `${prefix}/r`);
    same([...properties.correlationData], [0, 255]);
    same({ ...properties.userProperties }, { a: ["1", "2"], b: "3" });
    same(properties.subscriptionIdentifier, 5);
    holds(properties.messageExpiryInterval > 90);
  },

  async shared({ connect, prefix }) {
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
    same(shares.flat().sort((a, b) => a - b), [...Array(40).keys()]);
    holds(shares.every((share) => share.length > 0));
  },

  // More than any buffer on the way holds at once.
  async large({ connect, prefix }) {
    const [subscriber, publisher] = [await connect(), await connect()];
    await subscriber.subscribeAsync(`${prefix}/l`, { qos: 2 });
    const payload = "nightjar".repeat(100_000);
    for (const qos of [0, 1, 2]) await publisher.publishAsync(`${prefix}/l`, payload, { qos });
    const messages = await heard(subscriber, 3);
    holds(messages.every((message) => message.payload === payload));
    same(messages.map((message) => message.qos), [0, 1, 2]);
  },
};
