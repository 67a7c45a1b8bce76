// Run the flows of real clients against a running network and print a matrix of flow × client with
// times. Usage: node run.mjs DIR [CLIENT], DIR being that of "tercet testnet up". Exits with 1 if a
// flow failed.
import { castFlows } from "./cast.mjs";
import { ethersFlows } from "./ethers.mjs";
import { loadNetwork } from "./lib.mjs";
import { plainFlows } from "./plain.mjs";
import { viemFlows } from "./viem.mjs";

const [dir, only] = process.argv.slice(2);
if (!dir) {
  console.error("usage: node run.mjs DIR [CLIENT]");
  process.exit(2);
}
const net = loadNetwork(dir);

// Last the plain ones: they compare what all the others left on the nodes.
const clients = [ethersFlows, viemFlows, castFlows, plainFlows];
const results = new Map(); // flow → client → {ok, ms, error}

for (const make of clients) {
  const { name, version, flows, close, missing } = await make(net);
  if (missing) {
    console.log(`SKIP ${name}: ${missing}`);
    continue;
  }
  if (only && only !== name) continue;
  console.error(`# ${name} ${version}`);
  for (const [flow, action] of Object.entries(flows)) {
    const began = performance.now();
    let error;
    try {
      await action();
    } catch (e) {
      error = e;
    }
    const ms = Math.round(performance.now() - began);
    if (!results.has(flow)) results.set(flow, new Map());
    results.get(flow).set(name, { ms, error });
    console.error(`${error ? "FAIL" : "ok  "} ${name}: ${flow} (${ms} ms)`);
  }
  await close?.();
}

const names = [...new Set([...results.values()].flatMap((m) => [...m.keys()]))];
const width = Math.max(...[...results.keys()].map((f) => f.length)) + 2;
console.log("".padEnd(width) + names.map((n) => n.padStart(10)).join("") + "   (ms)");
let total = 0;
const failures = [];
for (const [flow, row] of results) {
  const cells = names.map((n) => {
    const r = row.get(n);
    if (!r) return "·";
    total++;
    if (r.error) failures.push(`${n}: ${flow}: ${r.error.stack ?? r.error}`);
    return r.error ? "FAIL" : String(r.ms);
  });
  console.log(flow.padEnd(width) + cells.map((c) => c.padStart(10)).join(""));
}
console.log(`${total - failures.length} of ${total} flows passed`);
for (const f of failures) console.log(`\nFAIL ${f}`);
// Clients keep timers and sockets of their own.
process.exit(failures.length ? 1 : 0);
