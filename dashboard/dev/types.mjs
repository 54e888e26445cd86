// From docs/openapi.json: the shapes (schema.d.ts), and which parameters each list takes
// (offered.ts), so that nothing is asked of this server that it would refuse.

import { readFile, writeFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";

const source = new URL("../../docs/openapi.json", import.meta.url);
const here = new URL("../src/api/", import.meta.url);
const document = JSON.parse(await readFile(source, "utf8"));

await writeFile(new URL("schema.d.ts", here), astToString(await openapi(document)));

const offered = {};
for (const [path, item] of Object.entries(document.paths)) {
  if (!item.get) continue;
  const name = path.replace(/^\/api\/v5\//, "").replace(/\{[^}]*\}/g, "*");
  offered[name] = (item.get.parameters ?? []).filter((one) => one.in === "query").map((one) => one.name).sort();
}
const sorted = Object.fromEntries(Object.entries(offered).sort(([a], [b]) => (a < b ? -1 : 1)));
await writeFile(
  new URL("offered.ts", here),
  `/** Made from docs/openapi.json: the parameters of each path that can be read. */\nexport const offered: Record<string, string[] | undefined> = ${JSON.stringify(sorted, null, 2)};\n`,
);
