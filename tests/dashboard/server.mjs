// The real server as a process: free ports, a temporary folder.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Starts a server; `dashboard` are further lines of its section. */
export async function server({ dashboard = "", config = "" } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "nightjar-dashboard-"));
  const file = join(folder, "nightjar.toml");
  const data = join(folder, "data");
  await writeFile(
    file,
    `[log]\nformat = "json"\n\n[dashboard]\naddress = "127.0.0.1:0"\n${dashboard}\n\n[[listener]]\naddress = "127.0.0.1:0"\n\n[[listener]]\nname = "ws"\naddress = "127.0.0.1:0"\nprotocol = "ws"\norigins = ["*"]\n\n${config}\n`,
  );
  const binary = process.env.NIGHTJAR_BIN;
  if (!binary) throw new Error("NIGHTJAR_BIN is to name the server");
  const child = spawn(binary, ["serve", "--config", file, "--data-dir", data], { stdio: ["ignore", "pipe", "pipe"] });
  const lines = [];
  const found = { ports: {} };
  const ready = new Promise((resolve, reject) => {
    const read = (line) => {
      lines.push(line);
      let event;
      try {
        event = JSON.parse(line);
      } catch {
        return;
      }
      const fields = { ...event, ...event.fields };
      if (fields.message === "dashboard") found.base = fields.url;
      if (fields.message === "listening") {
        const port = Number(String(fields.address).split(":").at(-1));
        found.ports[fields.listener] = port;
        found[fields.protocol] ??= port;
      }
      if (fields.message === "serving") resolve();
    };
    createInterface(child.stdout).on("line", read);
    createInterface(child.stderr).on("line", read);
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}:\n${lines.join("\n")}`)));
  });
  await ready;
  return {
    ...found,
    lines,
    code: async () => (await readFile(join(data, "setup-code"), "utf8")).trim(),
    stop: async () => {
      child.removeAllListeners("exit");
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
