// Run the flows of real clients against a running network and print a matrix of flow × client with times.
//
//	node run.mjs DIR [--client NAME] [--done FILE] [--json FILE] [--write FILE]
//
// DIR is that of "tercet testnet up", or has a network.json with the URLs and accounts of another network. --done has
// flows of a client that is no JavaScript, as hardhat/flows.mjs prints them, with its name in the last line. --json
// writes the matrix for table.mjs, --write writes it as Markdown. Exits with 1 if a flow failed, or if a client lacks a
// flow of flows.mjs and does not say why.
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { castFlows } from "./cast.mjs";
import { ethersFlows } from "./ethers.mjs";
import { core, median, runFlows } from "./flows.mjs";
import { forgeFlows } from "./forge.mjs";
import { hardhatFlows } from "./hardhat.mjs";
import { loadNetwork } from "./lib.mjs";
import { plainFlows } from "./plain.mjs";
import { markdown } from "./table.mjs";
import { viemFlows } from "./viem.mjs";
import { web3Flows } from "./web3.mjs";

const usage = "usage: node run.mjs DIR [--client NAME] [--done FILE] [--json FILE] [--write FILE]";
const string = { type: "string" };
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { client: string, done: string, json: string, write: string },
});
const [dir] = positionals;
if (!dir) {
  console.error(usage);
  process.exit(2);
}
const net = loadNetwork(dir);
const load = loadavg()[0]; // of the minute before

// doneFlows are those of a client that ran before.
function doneFlows() {
  const done = readFileSync(options.done, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  return { ...done.pop(), done };
}

// Last the plain ones: they compare what all the others left on the nodes.
const makers = { ethers: ethersFlows, viem: viemFlows, "web3.js": web3Flows, hardhat: hardhatFlows, cast: castFlows, forge: forgeFlows };
if (options.done) makers.ethclient = doneFlows;
makers["json-rpc"] = plainFlows;
if (options.client && !(options.client in makers)) {
  console.error(`${usage}\nNAME is one of ${Object.keys(makers).join(", ")}`);
  process.exit(2);
}

const clients = []; // {name, version, median, sends, absent}
const results = new Map(core.map((flow) => [flow, new Map()])); // flow → client → {ms, error}
function note(name, { flow, ms, error }) {
  if (!results.has(flow)) results.set(flow, new Map());
  results.get(flow).set(name, { ms, error });
  console.error(`${error ? "FAIL" : "ok  "} ${name}: ${flow} (${ms} ms)`);
}

async function runClient(name, make) {
  let client;
  try {
    client = await make(net);
  } catch (error) {
    client = { done: [{ flow: "connect", ms: 0, error: error.stack ?? String(error) }], broken: true };
  }
  if (client.missing) {
    console.log(`SKIP ${name}: ${client.missing}`);
    return;
  }
  console.error(`# ${name} ${client.version ?? ""}`);
  for (const flow of client.done ?? []) note(name, flow);
  const times = client.times ?? (await runFlows(client, (flow) => note(name, flow)));
  await client.close?.();
  const absent = client.absent ?? {};
  for (const flow of client.broken ? [] : core) {
    const has = results.get(flow).has(name);
    if (has && flow in absent) note(name, { flow, ms: 0, error: "a flow that is said to be absent is there" });
    if (!has && !(flow in absent)) note(name, { flow, ms: 0, error: "there is no such flow, and no reason for that" });
  }
  clients.push({ name, version: client.version, median: median(times), sends: times.length, pauseMs: client.pauseMs, absent });
}

for (const [name, make] of Object.entries(makers)) {
  if (!options.client || options.client === name) await runClient(name, make);
}

const width = Math.max(...[...results.keys()].map((f) => f.length)) + 2;
const line = (head, cells) => console.log(head.padEnd(width) + cells.map((c) => String(c).padStart(10)).join(""));
const names = clients.map((c) => c.name);
line("", [...names, "(ms)"]);
let total = 0;
const failures = [];
for (const [flow, row] of results) {
  line(flow, clients.map(({ name, absent }) => {
    const r = row.get(name);
    if (!r) return flow in absent ? "–" : "·";
    total++;
    if (r.error) failures.push(`${name}: ${flow}: ${r.error}`);
    return r.error ? "FAIL" : r.ms;
  }));
}
line("send and wait, median", clients.map((c) => c.median ?? "–"));
for (const { name, absent } of clients) {
  for (const [flow, reason] of Object.entries(absent)) console.log(`– ${name}: ${flow}: ${reason}`);
}
console.log("· the flow is one of other clients");
console.log(`${total - failures.length} of ${total} flows passed`);
for (const f of failures) console.log(`\nFAIL ${f}`);
const matrix = {
  machine: `${cpus()[0].model}, ${cpus().length} processors`, load, node: process.versions.node, nodes: net.urls.length, chainId: net.chainId, clients,
  flows: Object.fromEntries([...results].map(([flow, row]) => [flow, Object.fromEntries([...row].map(([n, r]) => [n, { ok: !r.error, ms: r.ms }]))])),
};
if (options.json) writeFileSync(options.json, JSON.stringify(matrix, null, 1));
if (options.write) writeFileSync(options.write, markdown([matrix]));
// Clients keep timers and sockets of their own.
process.exit(failures.length ? 1 : 0);
