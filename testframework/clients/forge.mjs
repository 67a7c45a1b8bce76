// The flows of Foundry's forge create. It deploys what its own compiler made, so a Solidity contract with the token's
// constructor is compiled, by the solc that is JavaScript, and its bytecode replaced by the token's: forge takes the
// artifact from its cache, encodes the arguments, estimates, sends and waits as it always does.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { equal, evmBytecode, fails, loadToken, matches, rpc } from "./lib.mjs";

const run = promisify(execFile);
const program = fileURLToPath(new URL("./node_modules/@foundry-rs/forge-linux-amd64/bin/forge", import.meta.url));
const solc = fileURLToPath(new URL("./node_modules/solc/index.js", import.meta.url));
const patienceMs = 60_000;

const settings = `[profile.default]
src = "src"
out = "out"
solc = "./solc"
offline = true
evm_version = "paris"
`;
const source = `pragma solidity ^0.8.0;
contract Token { constructor(string memory, string memory, uint256, address) {} }
`;
// What forge asks of a solc: its version, and to compile the standard JSON.
const compiler = `#!${process.execPath}
const solc = require(${JSON.stringify(solc)});
if (process.argv.includes("--version")) console.log("solc, the solidity compiler commandline interface\\nVersion: " + solc.version());
else process.stdout.write(solc.compile(require("fs").readFileSync(0, "utf8")));
`;

// makeProject makes a compiled project and returns how to run forge there, and how to replace the contract's bytecode.
async function makeProject() {
  const dir = mkdtempSync(join(tmpdir(), "tercet-forge-"));
  mkdirSync(join(dir, "src"));
  writeFileSync(join(dir, "foundry.toml"), settings);
  writeFileSync(join(dir, "src", "Token.sol"), source);
  writeFileSync(join(dir, "solc"), compiler, { mode: 0o755 });
  const forge = async (...args) => {
    try {
      const env = { ...process.env, NO_COLOR: "1", FOUNDRY_DISABLE_NIGHTLY_WARNING: "1" };
      return (await run(program, args, { cwd: dir, timeout: patienceMs, env })).stdout;
    } catch (error) {
      throw new Error((error.stderr || error.message).trim());
    }
  };
  await forge("build");
  const path = join(dir, "out", "Token.sol", "Token.json");
  const artifact = JSON.parse(readFileSync(path, "utf8"));
  const replace = (bytecode) => {
    artifact.bytecode.object = bytecode;
    writeFileSync(path, JSON.stringify(artifact));
  };
  return { forge, replace, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

const creates = "forge create sends creations, each in one transaction, and nothing else; cast is Foundry's tool for that";
const absent = Object.fromEntries(
  ["balances", "send: sync", "fees", "contract: read", "contract: transfer", "contract: logs", "filters",
    "subscribe: heads", "subscribe: logs", "subscribe: pending", "error: panic"].map((flow) => [flow, creates]),
);

export async function forgeFlows(net) {
  if (!existsSync(program)) return { missing: `package-lock.json has none for ${process.platform}-${process.arch}` };
  const { forge, replace, remove } = await makeProject();
  const version = (await forge("--version")).match(/\d+\.\d+\.\d+/)[0];
  const { address, privateKey } = net.accounts[7];
  const token = ["Token of forge", "TOF", "1000ether", address];
  const { bytecode } = loadToken();
  replace(bytecode);

  const create = async (key, args, ...flags) =>
    JSON.parse(await forge("create", "--json", "--rpc-url", net.url, "--private-key", key, ...flags, "src/Token.sol:Token", "--constructor-args", ...args));
  // deploy creates a token and returns its receipt, for which forge has waited.
  async function deploy(key, ...flags) {
    const { deployedTo, transactionHash } = await create(key, token, "--broadcast", ...flags);
    const receipt = await rpc(net.url, "eth_getTransactionReceipt", transactionHash);
    equal(receipt?.status, "0x1", "status");
    equal(receipt.contractAddress, deployedTo.toLowerCase(), "address");
    return receipt;
  }
  const typed = async (type, ...flags) => equal((await deploy(privateKey, ...flags)).type, type, "type");

  const flows = {
    async connect() {
      // Without --broadcast forge asks all that it needs and sends nothing.
      const { transaction } = await create(privateKey, token);
      equal(Number(transaction.chainId), net.chainId, "chain id");
    },
    "contract: deploy": async () => {
      const { contractAddress } = await deploy(privateKey);
      const name = await rpc(net.url, "eth_call", { to: contractAddress, data: "0x06fdde03" }, "latest");
      equal(Buffer.from(name.slice(2 + 128), "hex").toString().replace(/\0+$/, ""), token[0], "name");
    },
    "send: legacy": () => typed("0x0", "--legacy"),
    "send: access list": () => typed("0x1", "--legacy", "--access-list", JSON.stringify([{ address, storageKeys: ["0x" + "01".repeat(32)] }])),
    "send: 1559": () => typed("0x2", "--gas-price", "7", "--priority-gas-price", "1"),
    "send: no balance, no value": () => deploy("0x" + Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")),
    "error: custom error": async () => {
      const error = await fails(() => create(privateKey, [...token.slice(0, 3), "0x" + "00".repeat(20)], "--broadcast"), "a token without an admin");
      matches(error.message, /execution reverted.*0xec442f05/s, "message, with the selector of ERC20InvalidReceiver"); // of the constructor
    },
    "error: EVM bytecode": async () => {
      replace(evmBytecode);
      try {
        matches((await fails(() => create(privateKey, token, "--broadcast"), "EVM bytecode")).message, /not a WebAssembly contract/, "message");
      } finally {
        replace(bytecode);
      }
    },
  };
  return { version, flows, absent, sendAndWait: () => deploy(privateKey), close: remove };
}
