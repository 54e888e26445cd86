// Pictures for the documentation, of a real server with the clients of scene.mjs:
//   NIGHTJAR_BIN=... node pictures.mjs FOLDER [MINUTES [NAME]...]
// The curves of the overview need some minutes (10, unless said) to show something.

import { open, settled, start } from "./browser.mjs";
import { PASSWORD, scene } from "./scene.mjs";

const [folder, minutes = "10", ...names] = process.argv.slice(2);
const TOPIC = "plant/berlin/pump-1/temperature";
/** Name, address, theme; what is done there before the picture. */
const PICTURES = [
  ["overview", "/", "dark"],
  ["overview-light", "/", "light"],
  ["clients", "/clients", "dark"],
  ["client", "/clients/berlin-pump-1", "light"],
  ["client-queue", "/clients/tablet-maria?tab=queue", "light"],
  ["client-timeline", "/clients/lyon-laptop?tab=timeline", "light"],
  ["subscriptions", "/subscriptions", "dark"],
  ["shared-groups", "/subscriptions?tab=groups", "light"],
  ["topics", `/topics?topic=${TOPIC}`, "dark", watch],
  ["retained", "/retained", "light"],
  ["drops", "/drops", "dark"],
  ["slow", "/slow", "light"],
  ["tracing", "/tracing?name=berlin-pump-1", "dark", tail],
  ["alarms", "/alarms", "light"],
  ["authentication", "/authentication", "light"],
  ["users", "/users", "light"],
  ["authorization", "/authorization?tab=denials", "dark"],
  ["explain", "/explain?clientid=lyon-laptop&username=lyon&topic=plant/berlin/pump-1/set/target", "light", ask],
  ["bans", "/bans", "light"],
  ["listeners", "/listeners", "light"],
  ["bridges", "/bridges", "light"],
  ["configuration", "/configuration", "dark"],
  ["log", "/log", "light"],
  ["backup", "/backup", "light"],
  ["administrators", "/administrators", "light"],
  ["keys", "/keys", "light"],
  ["audit", "/audit", "dark"],
  ["test-client", "/test-client", "light"],
  ["phone", "/", "dark", undefined, true],
];

/** The history of a topic is what came since it is looked at. */
async function watch(page) {
  await page.waitForTimeout(40_000);
}

async function tail(page) {
  await page.waitForTimeout(5_000);
}

async function ask(page) {
  await page.getByRole("button", { name: "Explain" }).click();
  await settled(page);
}

async function picture(browser, base, [name, path, theme, act, phone]) {
  const { page, context } = await open(browser, { base, theme, phone });
  await page.goto(base);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForSelector("main");
  await page.goto(`${base}#${path}`);
  await settled(page);
  await act?.(page);
  await page.locator("main h1").click();
  // Charts are drawn in the frame after their data came.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path: `${folder}/${name}.png` });
  await context.close();
}

const running = await scene();
await running.api("POST", "trace", { name: "berlin-pump-1", type: "clientid", value: "berlin-pump-1" });
console.log(`${running.base} (admin, "${PASSWORD}"); pictures in ${minutes} minutes`);
await new Promise((resolve) => setTimeout(resolve, Number(minutes) * 60_000));
const browser = await start();
for (const one of PICTURES.filter(([name]) => names.length === 0 || names.includes(name))) {
  await picture(browser, running.base, one);
}
await browser.close();
await running.stop();
process.exit(0);
