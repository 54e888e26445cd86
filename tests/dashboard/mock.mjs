// The mock of dashboard/dev as a process, on a free port.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

export async function mock(environment = {}) {
  const child = spawn(process.execPath, [`${root}/dashboard/node_modules/.mock/mock.mjs`], {
    env: { ...process.env, PORT: "0", DIST: `${root}/crates/dashboard/dist`, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [base] = await once(createInterface(child.stdout), "line");
  return { base, stop: () => child.kill() };
}
