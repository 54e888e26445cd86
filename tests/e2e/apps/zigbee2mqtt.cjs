// Zigbee2MQTT's own MQTT part, without a radio: node zigbee2mqtt.cjs FOLDER
// FOLDER has its configuration.yaml. What it hears is printed, a JSON object a line; lines on standard
// input are what it is to publish: {"topic", "payload", "options"}. Its end is a goodbye.

process.env.ZIGBEE2MQTT_DATA = process.argv[2];

const readline = require("node:readline");
const EventBus = require("zigbee2mqtt/dist/eventBus").default;
const Mqtt = require("zigbee2mqtt/dist/mqtt").default;
const logger = require("zigbee2mqtt/dist/util/logger").default;

logger.init();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

async function main() {
  const bus = new EventBus();
  const mqtt = new Mqtt(bus);
  bus.onMQTTMessage({}, ({ topic, message }) => say({ topic, message }));
  await mqtt.connect();
  say({ connected: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { topic, payload, options } = JSON.parse(line);
    await mqtt.publish(topic, payload, options);
  }
  await mqtt.disconnect();
}

main().then(
  () => process.exit(0),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
