// Every page, dark and light, wide and on a phone, with hostile data: nothing runs, nothing is asked
// of others, nothing breaks the policy, nothing is wider than the window.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import { open, settled, start } from "./browser.mjs";
import { mock } from "./mock.mjs";

const HOSTILE_ID = encodeURIComponent("<script>fetch('//evil.example')</script>");
export const PAGES = [
  "/",
  "/?span=now",
  "/?span=24h",
  "/?span=7d",
  "/clients",
  "/clients/gent-pump-001",
  `/clients/${HOSTILE_ID}`,
  `/clients/${HOSTILE_ID}?tab=subscriptions`,
  `/clients/${HOSTILE_ID}?tab=queue`,
  `/clients/${HOSTILE_ID}?tab=inflight`,
  `/clients/${HOSTILE_ID}?tab=timeline`,
  "/subscriptions",
  "/subscriptions?tab=groups",
  "/subscriptions?tab=match",
  "/topics",
  "/topics?topic=plant/berlin/press/line-1/state",
  "/topics?topic=spBv1.0/Torino/x",
  "/retained",
  "/drops",
  "/slow",
  "/tracing",
  "/tracing?name=press-17",
  "/alarms",
  "/alarms?tab=past",
  "/authentication",
  "/users",
  "/users?tab=groups",
  "/authorization",
  "/authorization?tab=denials",
  "/explain?clientid=a&topic=b",
  "/bans",
  "/listeners",
  "/bridges",
  "/configuration",
  "/configuration?tab=edit",
  "/configuration?tab=versions",
  "/log",
  "/backup",
  "/administrators",
  "/keys",
  "/audit",
  "/test-client",
  "/nowhere",
];

let browser;
let server;
before(async () => {
  [browser, server] = await Promise.all([start(), mock()]);
});
after(async () => {
  await browser.close();
  server.stop();
});

export async function signIn(page, base) {
  await page.goto(base);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForSelector("main");
}

/** What a page must not have, whatever the server's data are. */
async function inert(page) {
  return page.evaluate(() => {
    const found = [];
    const all = document.body.querySelectorAll("*");
    for (const element of all) {
      if (["IMG", "IFRAME", "OBJECT", "EMBED", "BASE", "FORM"].includes(element.tagName) && element.getAttribute("src")) found.push(element.outerHTML);
      for (const { name, value } of element.attributes) {
        if (name.startsWith("on") || /^\s*javascript:/i.test(value)) found.push(`${element.tagName} ${name}=${value}`);
      }
    }
    if (document.body.querySelectorAll("script").length > 1) found.push("a script");
    // Marks of direction and controls are written out, never left in the text.
    const hidden = /[\u0000-\u0008\u000b-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) if (hidden.test(walker.currentNode.data)) found.push(`hidden characters in ${JSON.stringify(walker.currentNode.data)}`);
    if (document.querySelectorAll("main tbody tr").length > 700) found.push("more rows than a page has");
    return found;
  });
}

for (const theme of ["dark", "light"]) {
  for (const phone of [false, true]) {
    test(`s93 every page is inert and whole: ${theme}${phone ? ", phone" : ""}`, async () => {
      const { page, wrong, context } = await open(browser, { base: server.base, theme, phone });
      await signIn(page, server.base);
      for (const path of PAGES) {
        await page.goto(`${server.base}#${path}`);
        await settled(page);
        assert.deepEqual(await inert(page), [], path);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(wide, 0, `${path} is ${wide} pixels wider than the window`);
        assert.ok((await page.locator("main h1, main h3").count()) > 0, `${path} has no title`);
        if (process.env.SHOTS) {
          await mkdir(process.env.SHOTS, { recursive: true });
          const name = path.replace(/%[0-9A-F]{2}/g, "").replace(/[^a-z0-9]+/gi, "_");
          await page.screenshot({ path: `${process.env.SHOTS}/${theme}${phone ? "-phone" : ""}${name}.png` });
        }
      }
      assert.deepEqual(wrong, []);
      await context.close();
    });
  }
}

test("the first load is under a megabyte, and the test client's library comes later", async () => {
  const { page, context } = await open(browser, { base: server.base });
  let bytes = 0;
  const loads = [];
  page.on("response", (response) =>
    loads.push(
      response.body().then(
        (body) => (bytes += body.length),
        () => 0,
      ),
    ),
  );
  await page.goto(server.base, { waitUntil: "load" });
  await page.getByLabel("Password").waitFor();
  await Promise.all(loads);
  assert.ok(bytes > 50_000 && bytes < 1_000_000, `${bytes} bytes`);
  await context.close();
});

test("it works below another path", async () => {
  const below = await mock({ PREFIX: "/mqtt/board/" });
  const { page, wrong, context } = await open(browser, { base: below.base });
  await signIn(page, below.base);
  await page.getByRole("link", { name: "Clients" }).click();
  await page.getByRole("cell", { name: "gent-pump-001" }).waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
  below.stop();
});

test("the keyboard goes everywhere", async () => {
  const { page, wrong, context } = await open(browser, { base: server.base });
  await signIn(page, server.base);
  await settled(page);
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.getByRole("cell", { name: "gent-pump-001" }).waitFor();
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Client id");
  await page.keyboard.type("pump");
  await page.waitForURL(/like_clientid=pump/);
  await settled(page);
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/clients\/[^?]+$/);
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.deepEqual(wrong, []);
  await context.close();
});

test("an operator switches a bridge off and on", async () => {
  const own = await mock();
  const { page, wrong, context } = await open(browser, { base: own.base });
  await signIn(page, own.base);
  await page.goto(`${own.base}#/bridges`);
  const row = page.getByRole("row").filter({ hasText: "cloud" });
  await row.getByText("connected", { exact: true }).waitFor();
  await row.getByRole("button", { name: "Switch off" }).click();
  await row.getByText("off", { exact: true }).waitFor();
  assert.equal(await row.getByRole("button", { name: "Restart" }).count(), 0);
  await row.getByRole("button", { name: "Switch on" }).click();
  await row.getByText("connected", { exact: true }).waitFor();
  await row.getByRole("button", { name: "Restart" }).click();
  await page.getByText("Connecting anew").waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
  own.stop();
});

test("a viewer is offered nothing that the server would refuse him", async () => {
  const reader = await mock({ MOCK_ROLE: "viewer" });
  const { page, wrong, context } = await open(browser, { base: reader.base });
  await signIn(page, reader.base);
  for (const path of ["/clients", "/clients/gent-pump-001", "/retained", "/bans", "/bridges", "/users", "/authorization", "/administrators"]) {
    await page.goto(`${reader.base}#${path}`);
    await settled(page);
    for (const name of ["Disconnect", "Ban", "Delete", "New user", "New role", "Remove", "New administrator", "Restart", "Switch off", "Switch on"]) {
      assert.equal(await page.locator("main").getByRole("button", { name, exact: true }).count(), 0, `${path}: ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
  await context.close();
  reader.stop();
});

test("each request can be copied for a shell, and a hostile name stays one word of it", async () => {
  const { page, context } = await open(browser, { base: server.base });
  await signIn(page, server.base);
  await page.goto(`${server.base}#/clients/${HOSTILE_ID}`);
  await settled(page);
  await page.getByTitle("Copy as curl").click();
  await page.locator(".curl-line").first().click();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  // A shell takes it apart as it was meant.
  const { stdout } = await promisify(execFile)("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${line}`], { env: { NIGHTJAR_TOKEN: "t" } });
  const words = stdout.trimEnd().split("\n");
  assert.deepEqual(words.slice(0, -1), ["-fsS", "-H", "Authorization: Bearer t"]);
  assert.equal(decodeURIComponent(new URL(words.at(-1)).pathname), "/api/v5/clients/<script>fetch('//evil.example')</script>");
  await context.close();
});
