// A browser that notices: what it says on its console, what it asks of others, what it is refused.

import { chromium } from "playwright-core";

export const start = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Without the sandbox it runs as root too, as it does in CI; it opens only our own pages.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"],
  });

/** What the console may say: a refusal that the dashboard shows in words is logged there too. */
const EXPECTED = /^Failed to load resource: the server responded with a status of (4\d\d|501)/;

/** A page, and the list of what must be empty when a test ends. */
export async function open(browser, { base, theme = "dark", phone = false, touch = phone } = {}) {
  const context = await browser.newContext({
    colorScheme: theme,
    viewport: phone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
    hasTouch: touch,
    reducedMotion: "reduce",
    acceptDownloads: true,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  const wrong = [];
  const origin = new URL(base).origin;
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !EXPECTED.test(message.text())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    wrong.push(`a script opened a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "blob:" && url.protocol !== "data:" && url.origin !== origin) wrong.push(`asked elsewhere: ${url}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  });
  page.setDefaultTimeout(10_000);
  return { page, wrong, context };
}

/** Waits until the page has what it asked for. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("main") && !document.querySelector("main .skeleton"));
}
