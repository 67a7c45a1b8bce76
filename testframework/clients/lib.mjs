// What the flows share: the network under test, plain JSON-RPC, assertions and bounded waits.
import { execFile, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync } from "node:zlib";
import WebSocket from "ws";

// patienceMs bounds every wait; a flow that needs it has failed.
const patienceMs = 20_000;
const pollMs = 20;

// The network that DIR/network.json describes. Every client spends from an account of its own, so that
// no flow sees the nonces of another client.
export function loadNetwork(dir) {
  const file = JSON.parse(readFileSync(join(dir, "network.json"), "utf8"));
  const urls = file.nodes.map((n) => n.rpc);
  return { dir, chainId: file.chainId, urls, url: urls[0], ws: file.nodes[0].ws, accounts: file.accounts };
}

// The example token: its interface, and the bytecode that creates it, as "tercet contract build" writes it:
// EF 00 57 01, the length, and the module compressed. The test puts its files beside the scripts.
export function loadToken() {
  const dirs = ["./token/", "../../contracts/examples/token/"].map((dir) => fileURLToPath(new URL(dir, import.meta.url)));
  const dir = dirs.find(existsSync);
  const code = brotliCompressSync(readFileSync(join(dir, "contract.wasm")));
  const header = Buffer.from("ef00570100000000", "hex");
  header.writeUInt32BE(code.length, 4);
  return {
    abi: JSON.parse(readFileSync(join(dir, "abi.json"), "utf8")),
    bytecode: "0x" + Buffer.concat([header, code]).toString("hex"),
  };
}

// Bytecode of the EVM, which does not run here.
export const evmBytecode = "0x6001600c60003960016000f300";

export class RpcError extends Error {
  constructor(method, { code, message, data }) {
    super(`${method}: ${message} (${code})`);
    Object.assign(this, { code, text: message, data });
  }
}

async function post(url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(patienceMs),
  });
  return response.json();
}

// rpc calls one method and returns its result, or throws a RpcError.
export async function rpc(url, method, ...params) {
  const answer = await post(url, { jsonrpc: "2.0", id: 1, method, params });
  if (answer.error) throw new RpcError(method, answer.error);
  return answer.result;
}

// opened opens a WebSocket, or throws what the server says: clients throw that where nobody can catch it, or try again for
// a while. Flows that need one begin with it.
export async function opened(url) {
  const socket = new WebSocket(url);
  try {
    await new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", (error) => reject(new Error(`opening ${url}: ${error.message}`)));
    });
  } catch (error) {
    socket.terminate();
    throw error;
  }
  return socket;
}

// reaches tells whether a server takes WebSockets, or throws why not.
export async function reaches(url) {
  (await opened(url)).close();
}

// batch calls several methods in one request: [method, ...params] each.
export function batch(url, calls) {
  return post(url, calls.map(([method, ...params], id) => ({ jsonrpc: "2.0", id, method, params })));
}

export function equal(got, want, what) {
  if (got !== want) throw new Error(`${what}: got ${show(got)}, want ${show(want)}`);
}

export function truthy(value, what) {
  if (!value) throw new Error(what);
}

export function matches(text, pattern, what) {
  if (!pattern.test(text)) throw new Error(`${what}: ${show(text)} does not match ${pattern}`);
}

function show(value) {
  return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : v));
}

// fails runs what has to be refused and returns the error.
export async function fails(action, what) {
  let result;
  try {
    result = await action();
  } catch (error) {
    return error;
  }
  throw new Error(`${what}: was accepted: ${show(result)}`);
}

// until polls for a truthy answer.
export async function until(what, ask) {
  const end = Date.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what}: not within ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

const run = promisify(execFile);

// castPath is the program itself, of the package for the platform that the lock file has; elsewhere
// cast has to be in the PATH. The npm package around it exits with 0 when the program fails.
const packaged = fileURLToPath(new URL("./node_modules/@foundry-rs/cast-linux-amd64/bin/cast", import.meta.url));
const castPath = existsSync(packaged) ? packaged : "cast";

// cast runs the command and returns what it prints, without the last newline. A failure has the
// program's words as its message.
export async function cast(...args) {
  try {
    const { stdout } = await run(castPath, args, { timeout: 3 * patienceMs, env: { ...process.env, NO_COLOR: "1" } });
    return stdout.trimEnd();
  } catch (error) {
    throw Object.assign(new Error((error.stderr || error.message).trim()), { code: error.code });
  }
}

// castUntil runs a command that does not end, provokes something until what the command prints matches, and ends it.
// Returns the match and what the provocations gave.
export async function castUntil(pattern, provoke, ...args) {
  const child = spawn(castPath, args, { env: { ...process.env, NO_COLOR: "1" } });
  let printed = "";
  let failed = "";
  let ended;
  child.stdout.on("data", (data) => (printed += data));
  child.stderr.on("data", (data) => (failed += data));
  child.once("error", (error) => (ended = error));
  child.once("exit", (code) => (ended ??= new Error(`cast ended with ${code}: ${failed.trim()}`)));
  const provoked = [];
  try {
    const match = await until(`output of cast that matches ${pattern}`, async () => {
      if (ended) throw ended;
      provoked.push(await provoke());
      return pattern.exec(printed);
    });
    return { match, provoked };
  } finally {
    child.kill("SIGKILL");
  }
}

// An address that nobody has used.
export function freshAddress() {
  const bytes = crypto.getRandomValues(new Uint8Array(20));
  return "0x" + Buffer.from(bytes).toString("hex");
}
