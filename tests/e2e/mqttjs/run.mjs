// One scenario of mqtt.js against a server: node run.mjs NAME HOST PORT VERSION PREFIX
// Exit code 0 when all that was expected came.

import { play } from "./scenarios.mjs";

const [name, host, port, version, prefix] = process.argv.slice(2);
const server = { host, port: Number(port), protocol: "mqtt" };
await play(name, server, Number(version), `${prefix}/${process.pid}`);
