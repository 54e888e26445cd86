// Pictures for the documentation, with made-up data of the mock:
//   node pictures.mjs FOLDER   (after tests/dashboard/run has built the mock)

import { open, settled, start } from "./browser.mjs";
import { mock } from "./mock.mjs";

const folder = process.argv[2];
const PICTURES = [
  ["overview", "/", "dark"],
  ["overview-light", "/?span=24h", "light"],
  ["clients", "/clients", "dark"],
  ["client", "/clients/lyon-robot-004?tab=timeline", "light"],
  ["topics", "/topics?topic=plant/berlin/pump/line-1/temperature", "dark"],
  ["explain", "/explain?clientid=lyon-robot-004&username=lyon-line-1&topic=plant/lyon/state", "light"],
  ["drops", "/drops", "dark"],
  ["listeners", "/listeners", "light"],
  ["phone", "/", "dark", true],
];

const server = await mock({ MOCK_PLAIN: "1" });
const browser = await start();
for (const [name, path, theme, phone] of PICTURES) {
  const { page, context } = await open(browser, { base: server.base, theme, phone });
  await page.goto(server.base);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForSelector("main");
  await page.goto(`${server.base}#${path}`);
  await settled(page);
  await page.locator("main h1").click();
  // Charts are drawn in the frame after their data came.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path: `${folder}/${name}.png` });
  await context.close();
}
await browser.close();
server.stop();
