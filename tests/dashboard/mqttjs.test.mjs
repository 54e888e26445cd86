// MQTT.js in a browser, by WebSocket: the scenarios that it plays in Node too, and what only a
// browser does (origins).

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { start } from "./browser.mjs";
import { server } from "./server.mjs";

const SCENARIOS = ["qos", "retained", "will", "session", "reconnect", "shared", "large"];
const VERSIONS = { 3: "3.1", 4: "3.1.1", 5: "5.0" };

let browser;
let pages;
let running;
let page;
before(async () => {
  pages = await served();
  const strict = `[[listener]]\nname = "own"\naddress = "127.0.0.1:0"\nprotocol = "ws"\norigins = ["${pages.origin}"]\n
[[listener]]\nname = "same"\naddress = "127.0.0.1:0"\nprotocol = "ws"\n
[[listener]]\nname = "others"\naddress = "127.0.0.1:0"\nprotocol = "ws"\norigins = ["https://app.example.com"]\n`;
  [browser, running] = await Promise.all([start(), server({ config: strict })]);
  page = await browser.newPage();
  await page.goto(pages.origin);
});
after(async () => {
  await browser?.close();
  await running?.stop();
  pages?.server.close();
});

/** A page that holds nothing but the scenarios. */
async function served() {
  const script = await readFile(new URL("node_modules/.made/scenarios.js", import.meta.url));
  const files = { "/": ["text/html", "<!doctype html><title>MQTT.js</title><script src=scenarios.js></script>"], "/scenarios.js": ["text/javascript", script] };
  const http = createServer(({ url }, response) => {
    const [type, body] = files[url] ?? [];
    response.writeHead(body ? 200 : 404, { "content-type": type ?? "text/plain" }).end(body);
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return { server: http, origin: `http://127.0.0.1:${http.address().port}` };
}

/** Plays a scenario in the page, by the listener of this name. */
function play(name, version, listener = "ws") {
  const address = { protocol: "ws", hostname: "127.0.0.1", port: running.ports[listener], path: "/mqtt" };
  const prefix = `browser/${listener}/${version}/${name}`;
  return page.evaluate((all) => scenarios.play(...all), [name, address, version, prefix]);
}

for (const [version, words] of Object.entries(VERSIONS)) {
  for (const name of SCENARIOS) {
    test(`MQTT ${words} in a browser: ${name}`, () => play(name, Number(version)));
  }
}

test("MQTT 5.0 in a browser: properties", () => play("properties", 5));

test("a page connects where the listener names its origin, and only there", async () => {
  await play("qos", 5, "own");
  await assert.rejects(play("qos", 5, "others"), /closed before CONNACK/);
});

test("a page of the same address, but of another port, is another origin", async () => {
  await assert.rejects(play("qos", 5, "same"), /closed before CONNACK/);
});
