// The dashboard on the real server: the first start, each page, and each action whose endpoint this
// server has, once.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import mqtt from "mqtt";
import { open, settled, start } from "./browser.mjs";
import { server } from "./server.mjs";

const PASSWORD = "a password for tests";
const HOSTILE = "<img src=x onerror=alert(1)>\u202e";

let browser;
let running;
before(async () => {
  [browser, running] = await Promise.all([start(), server()]);
});
after(async () => {
  await browser?.close();
  await running?.stop();
});

/** Each test of this file goes on where the one before it ended. */
let context;
let page;
let wrong;
const go = async (path) => {
  await page.goto(`${running.base}#${path}`);
  await settled(page);
};
const dialog = () => page.getByRole("dialog");
const said = async (words) => {
  await page.locator(".toast", { hasText: words }).first().waitFor();
};
const row = (text) => page.locator("main tbody tr", { hasText: text });

test("the first start asks for the code, makes the administrator, and shows the server", async () => {
  ({ page, wrong, context } = await open(browser, { base: running.base }));
  await page.goto(running.base);
  const code = page.getByLabel("One-time code");
  await code.fill("0000-0000");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Password, again").fill(PASSWORD);
  await page.getByRole("button", { name: "Make the administrator" }).click();
  await page.getByRole("alert").waitFor();
  await code.fill(await running.code());
  await page.getByRole("button", { name: "Make the administrator" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.deepEqual(wrong, []);
});

test("every page opens, whether this server offers what it shows or not", async () => {
  const paths = await page.locator("nav.side a").evaluateAll((links) => links.map((link) => link.getAttribute("href").slice(1)));
  assert.ok(paths.length >= 20, `${paths}`);
  for (const path of [...new Set(paths)]) {
    await go(path);
    assert.equal(await page.locator("main h3", { hasText: /refused|does not answer/ }).count(), 0, `${path} shows an error`);
  }
  assert.deepEqual(wrong, []);
});

test("the overview follows the server live, by one stream", async () => {
  const asked = [];
  const note = (request) => asked.push(new URL(request.url()).pathname);
  page.on("request", note);
  await go("/");
  // The page's first request of the stream was before; a new one shows that it is that and no polling.
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const connections = page.locator(".stat", { hasText: "Connections" }).first();
  const before = await connections.innerText();
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${running.mqtt}`, { reconnectPeriod: 0 });
  await page.waitForFunction(([selector, text]) => [...document.querySelectorAll(selector)].some((one) => one.innerText.includes("Connections") && one.innerText !== text), [".stat", before]);
  await client.endAsync();
  await page.getByText("Worker 0").waitFor();
  await page.locator("main .card", { hasText: "Store" }).getByText("Commit, 99 of 100").waitFor();
  page.off("request", note);
  assert.ok(asked.some((path) => path.endsWith("/api/v5/events")), `${asked}`);
  assert.ok(!asked.some((path) => path.endsWith("/api/v5/overview")), `${asked}`);
  assert.deepEqual(wrong, []);
});

test("s93 clients with hostile names are seen, inert, and can be disconnected", async () => {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${running.mqtt}`, { clientId: HOSTILE, protocolVersion: 5, reconnectPeriod: 0 });
  await client.subscribeAsync("plant/<b>bold</b>/#", { qos: 1 });
  const gone = new Promise((resolve) => client.once("close", resolve));
  client.on("error", () => undefined);
  await go("/clients");
  await row("onerror").click();
  await page.getByRole("heading", { name: /onerror/ }).waitFor();
  assert.match(await page.locator("main h1").innerText(), /\\u\{202e\}/);
  await page.getByRole("tab", { name: "Subscriptions" }).click();
  await row("plant/<b>bold</b>/#").waitFor();
  assert.equal(await page.locator("main img, main b:has-text('bold')").count(), 0);
  await page.getByRole("button", { name: "Disconnect" }).click();
  await dialog().getByRole("button", { name: "Disconnect" }).click();
  await gone;
  assert.deepEqual(wrong, []);
});

test("a client is subscribed for, its queue is looked at, and who gets a topic is told", async () => {
  const options = { clientId: "press-7", protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 }, reconnectPeriod: 0 };
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${running.mqtt}`, options);
  client.on("error", () => undefined);
  await go("/clients/press-7?tab=subscriptions");
  await page.getByRole("button", { name: "Subscribe" }).click();
  await dialog().getByLabel("Filter").fill("plant/+/state");
  await dialog().getByLabel("QoS").selectOption("1");
  await dialog().getByRole("button", { name: "Subscribe" }).click();
  await row("plant/+/state").waitFor();
  await client.endAsync();

  await go("/subscriptions");
  await row("plant/+/state").getByRole("link", { name: "press-7" }).waitFor();
  await go("/subscriptions?tab=match");
  await page.getByLabel("Topic").fill("plant/lyon/state");
  await page.getByRole("button", { name: "Who gets it?" }).click();
  await row("press-7").waitFor();

  await go("/topics?topic=plant/lyon/state");
  await page.getByLabel("Payload", { exact: true }).fill("<i>stopped</i>");
  await page.locator("form", { hasText: "The payload is" }).getByLabel("QoS").selectOption("1");
  await page.getByRole("button", { name: "Publish" }).click();
  await said("Published");
  await go("/clients/press-7?tab=queue");
  await row("plant/lyon/state").getByRole("button").click();
  await dialog().getByText("<i>stopped</i>").waitFor();
  await page.keyboard.press("Escape");

  await go("/clients/press-7?tab=subscriptions");
  await row("plant/+/state").getByRole("button", { name: "Unsubscribe" }).click();
  await said("Unsubscribed");
  await page.getByText("No subscriptions").waitFor();
  assert.deepEqual(wrong, []);
});

test("retained messages are published, listed, shown and deleted", async () => {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${running.mqtt}`, { clientId: "keeper", protocolVersion: 5, reconnectPeriod: 0 });
  for (let number = 0; number < 60; number += 1) await client.publishAsync(`kept/${String(number).padStart(2, "0")}`, `value ${number}`, { qos: 1, retain: true });
  await client.endAsync();
  await go("/retained?topic=kept/%2B");
  await row("kept/00").waitFor();
  await page.getByRole("button", { name: "Next page" }).click();
  await row("kept/59").waitFor();
  await row("kept/59").getByRole("button", { name: "kept/59" }).click();
  await dialog().getByText("value 59").waitFor();
  await page.keyboard.press("Escape");
  await row("kept/59").getByRole("button", { name: "Delete" }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await said("Deleted");
  await page.getByRole("button", { name: "Delete retained" }).click();
  await dialog().getByLabel("Filter").fill("kept/#");
  await dialog().getByRole("button", { name: "Look" }).click();
  await dialog().getByRole("button", { name: "Delete them" }).click();
  await said("Deleted 59 retained messages");
  assert.deepEqual(wrong, []);
});

test("clients are put in order by the server", async () => {
  await go("/clients?sort=-clientid");
  await row("press-7").waitFor();
  await page.locator(".pager-count", { hasText: " of " }).waitFor();
  assert.deepEqual(wrong, []);
});

test("s93 topics, a timeline, drops and a trace are seen, with hostile names and payloads", async () => {
  const topic = "line/<b>bold<b>";
  await go("/topics");
  await page.getByRole("tree").or(page.getByText("No topics yet")).first().waitFor();
  await go("/tracing");
  await page.getByRole("button", { name: "New trace" }).click();
  await dialog().getByLabel("Of").selectOption("topic");
  await dialog().getByLabel("Value").fill("line/#");
  await dialog().getByLabel("Name").fill("watched");
  await dialog().getByLabel("Payloads").selectOption("text");
  await dialog().getByRole("button", { name: "Start" }).click();
  await row("watched").waitFor();
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${running.mqtt}`, { clientId: HOSTILE, reconnectPeriod: 0 });
  client.on("error", () => undefined);
  await client.publishAsync(topic, '{"v":"<img src=x onerror=alert(1)>"}', { qos: 1 });
  await page.locator(".tail", { hasText: '"event":"received"' }).waitFor();
  await page.locator(".tail", { hasText: topic }).waitFor();
  await row("watched").getByRole("button", { name: "Stop" }).click();
  await said("Stopped");
  await row("watched").getByText("stopped").waitFor();
  await go(`/topics?topic=${encodeURIComponent(topic)}`);
  await page.getByText("onerror=alert(1)").first().waitFor();
  await page.locator(".tree-row", { hasText: "<b>bold<b>" }).waitFor();
  await go(`/clients/${encodeURIComponent(HOSTILE)}?tab=timeline`);
  await page.locator(".timeline li", { hasText: "connected" }).first().waitFor();
  await go("/drops");
  await page.getByText("since the server started").waitFor();
  await go("/slow");
  await page.getByText("Nobody is slow").waitFor();
  await go("/tracing");
  await row("watched").getByRole("button", { name: "Remove" }).click();
  await row("watched").waitFor({ state: "detached" });
  assert.equal(await page.locator("main img, main b:has-text('bold')").count(), 0);
  await client.endAsync();
  assert.deepEqual(wrong, []);
});

test("users and groups are made, changed, imported and removed", async () => {
  await go("/users?tab=groups");
  await page.getByRole("button", { name: "New group" }).click();
  await dialog().getByLabel("Name").fill("line-a");
  await dialog().getByRole("button", { name: "Make" }).click();
  await row("line-a").waitFor();
  await go("/users");
  await page.getByRole("button", { name: "New user" }).click();
  await dialog().getByLabel("User", { exact: true }).fill("press-1");
  await dialog().getByLabel("Password").fill("press secret");
  await dialog().getByLabel("Groups").fill("line-a");
  await dialog().getByRole("button", { name: "Make" }).click();
  await row("press-1").getByText("line-a").waitFor();
  await row("press-1").getByRole("button", { name: "Change" }).click();
  await dialog().getByLabel("Disabled: cannot connect").check();
  await dialog().getByRole("button", { name: "Change" }).click();
  await row("press-1").getByText("disabled").waitFor();
  await page.getByRole("button", { name: "Import" }).click();
  await dialog().getByLabel("The file is").selectOption("csv");
  await dialog().getByLabel("File", { exact: true }).setInputFiles({ name: "users.csv", mimeType: "text/csv", buffer: Buffer.from("user_id,password\npress-2,another secret\n") });
  await dialog().getByRole("button", { name: "Import" }).click();
  await row("press-2").waitFor();
  await row("press-1").getByRole("button", { name: "Remove" }).click();
  await dialog().getByRole("button", { name: "Remove" }).click();
  await row("press-1").waitFor({ state: "detached" });
  await go("/users?tab=groups");
  await row("line-a").getByRole("button", { name: "Remove" }).click();
  await dialog().getByRole("button", { name: "Remove" }).click();
  await row("line-a").waitFor({ state: "detached" });
  assert.deepEqual(wrong, []);
});

test("roles are made, changed and removed, and what they mean is explained", async () => {
  await go("/authorization");
  await page.getByRole("button", { name: "New role" }).click();
  await dialog().getByLabel("Name").fill("sensor");
  await dialog().getByLabel("Topics").fill("plant/${clientid}/#");
  await dialog().getByRole("button", { name: "Make" }).click();
  await row("sensor").waitFor();
  await row("sensor").getByRole("button", { name: "Change" }).click();
  await dialog().getByLabel("Permission").selectOption("deny");
  await dialog().getByRole("button", { name: "Change" }).click();
  await row("sensor").getByText("deny").waitFor();
  await go("/explain");
  await page.getByLabel("Client id").fill("press-9");
  await page.getByLabel("Topic", { exact: true }).fill("plant/press-9/state");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.locator(".verdict").waitFor();
  await go("/authorization");
  await row("sensor").getByRole("button", { name: "Remove" }).click();
  await dialog().getByRole("button", { name: "Remove" }).click();
  await row("sensor").waitFor({ state: "detached" });
  await go("/authorization?tab=denials");
  await page.getByRole("button", { name: "Forget all" }).click();
  await said("Forgotten");
  await go("/authentication");
  await page.getByRole("button", { name: "Forget cached answers" }).click();
  await said("Forgotten");
  assert.deepEqual(wrong, []);
});

test("bans are made and lifted", async () => {
  await go("/bans");
  await page.getByRole("button", { name: "Ban" }).click();
  await dialog().getByLabel("Whom").fill(HOSTILE.slice(0, -1));
  await dialog().getByLabel("Reason (optional)").fill("<script>alert(1)</script>");
  await dialog().getByRole("button", { name: "Ban" }).click();
  await row("onerror").getByText("<script>alert(1)</script>").waitFor();
  await row("onerror").getByRole("button", { name: "Lift" }).click();
  await said("Lifted");
  await row("onerror").waitFor({ state: "detached" });
  assert.deepEqual(wrong, []);
});

test("administrators and keys are made, changed and removed", async () => {
  await go("/administrators");
  await page.getByRole("button", { name: "New administrator" }).click();
  await dialog().getByLabel("Name").fill("night-shift");
  await dialog().getByLabel("Password").fill("the night is long");
  await dialog().getByLabel("Role").selectOption("operator");
  await dialog().getByRole("button", { name: "Make" }).click();
  await row("night-shift").getByText("operator").waitFor();
  await row("night-shift").getByRole("button", { name: "Change" }).click();
  await dialog().getByLabel("Role").selectOption("viewer");
  await dialog().getByRole("button", { name: "Change" }).click();
  await row("night-shift").getByText("viewer").waitFor();
  await row("night-shift").getByRole("button", { name: "Remove" }).click();
  await dialog().getByRole("button", { name: "Remove" }).click();
  await row("night-shift").waitFor({ state: "detached" });

  await go("/keys");
  await page.getByRole("button", { name: "New key" }).click();
  await dialog().getByLabel("Name").fill("grafana");
  await dialog().getByRole("button", { name: "Make" }).click();
  const shown = page.getByRole("dialog", { name: "Keep the secret now" });
  await shown.waitFor();
  const [key, secret] = await shown.locator("bdi.mono").allInnerTexts();
  const answer = await fetch(`${running.base}api/v5/me`, { headers: { Authorization: `Basic ${Buffer.from(`${key}:${secret}`).toString("base64")}` } });
  assert.equal((await answer.json()).username, "key grafana");
  await shown.getByRole("button", { name: "I have it" }).click();
  await row("grafana").getByRole("button", { name: "Change" }).click();
  await dialog().getByLabel("Enabled").uncheck();
  await dialog().getByRole("button", { name: "Change" }).click();
  await row("grafana").getByText("disabled").waitFor();
  await row("grafana").getByRole("button", { name: "Remove" }).click();
  await dialog().getByRole("button", { name: "Remove" }).click();
  await row("grafana").waitFor({ state: "detached" });
  assert.deepEqual(wrong, []);
});

test("each change is in the audit log", async () => {
  await go("/audit");
  for (const operation of ["key.delete", "admin.create", "ban.create", "role.put", "user.import", "client.kick"]) {
    await row(operation).first().waitFor();
  }
  await row("ban.create").getByRole("button").click();
  await dialog().getByText("<script>alert(1)</script>").waitFor();
  await page.keyboard.press("Escape");
  assert.deepEqual(wrong, []);
});

test("the configuration is checked, applied and rolled back", async () => {
  await go("/configuration?tab=edit");
  const area = page.getByLabel("Configuration (TOML)");
  const before = await area.inputValue();
  assert.match(before, /\[dashboard\]/);
  await area.fill(`limits.inflight = 0\n${before}`);
  await page.getByRole("button", { name: "Check" }).click();
  await row("limits.inflight").getByText("1:19").waitFor();
  assert.equal(await page.getByRole("button", { name: "Apply" }).isDisabled(), true);
  await area.fill(`limits.inflight = 7\n${before}`);
  await page.getByRole("button", { name: "Check" }).click();
  await page.getByText("valid", { exact: true }).waitFor();
  await row("limits.inflight").getByText("7").waitFor();
  await page.getByRole("button", { name: "Apply" }).click();
  await dialog().getByRole("button", { name: "Apply" }).click();
  await said("Applied");
  await go("/configuration");
  await page.getByLabel("Key or value").fill("limits.inflight");
  await row("limits.inflight").getByText("file:1").waitFor();
  await go("/configuration?tab=versions");
  await row("replaced by another").getByRole("button", { name: "Roll back" }).click();
  await dialog().getByRole("button", { name: "Roll back" }).click();
  await said("Rolled back");
  await row("replaced by version").waitFor();
  await go("/configuration");
  await page.getByLabel("Key or value").fill("limits.inflight");
  await row("limits.inflight").getByText("default").waitFor();
  assert.deepEqual(wrong, []);
});

test("the log's level is changed", async () => {
  await go("/log");
  await page.getByRole("tab", { name: "debug" }).click();
  await said("The log is at debug");
  await go("/log");
  await page.getByRole("tab", { name: "debug", selected: true }).waitFor();
  await page.getByRole("tab", { name: "info" }).click();
  await said("The log is at info");
  assert.deepEqual(wrong, []);
});

test("a backup is saved", async () => {
  await go("/backup");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save a backup" }).click();
  const download = await saved;
  assert.match(download.suggestedFilename(), /^nightjar-\d{4}-\d\d-\d\d\.backup$/);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  assert.equal(JSON.parse(lines[0]).nightjar_backup.form, 1);
  assert.deepEqual(JSON.parse(lines.at(-1)), { end: { lines: lines.length - 1 } });
  assert.deepEqual(wrong, []);
});

test("the test client speaks MQTT from the browser", async () => {
  // It connects to another port of the same host, which the policy allows and this list counts.
  const seen = wrong.length;
  await go("/test-client");
  await page.getByLabel("Address").fill(`ws://127.0.0.1:${running.ws}/mqtt`);
  await page.getByRole("button", { name: "Connect" }).click();
  await page.locator("main header .dot.good").waitFor();
  await page.getByRole("button", { name: "Subscribe", exact: true }).click();
  await said("Subscribed");
  await page.getByLabel("Payload").fill("<b>hello</b>");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.locator(".received li", { hasText: "<b>hello</b>" }).waitFor();
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await said("Unsubscribed");
  await page.getByRole("button", { name: "Disconnect" }).click();
  await page.locator("main header .dot.plain").waitFor();
  assert.deepEqual(wrong.slice(seen), []);
});

test("a password is changed, and the session is over", async () => {
  await go("/administrators");
  await page.getByRole("button", { name: "Change my password" }).click();
  await dialog().getByLabel("Password until now").fill(PASSWORD);
  await dialog().getByLabel("New password", { exact: true }).fill("another password");
  await dialog().getByLabel("New password, again").fill("another password");
  await dialog().getByRole("button", { name: "Change" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill("another password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Administrators" }).waitFor();
  await page.locator("summary.user").click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
});

test("s92 a page of another name gets nothing of this server", async () => {
  const { status } = await fetchWith("evil.example");
  assert.equal(status, 421);
});

/** `fetch` does not let a program name another host. */
async function fetchWith(host) {
  const { request } = await import("node:http");
  const { hostname, port } = new URL(running.base);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path: "/", headers: { Host: host } }, (response) => {
      response.resume();
      resolve({ status: response.statusCode });
    });
    asked.on("error", reject);
    asked.end();
  });
}
