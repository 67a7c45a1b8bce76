// The flows of Hardhat 3 with its ethers plugin, in a process of their own because Hardhat needs Node 22. Prints one
// line of JSON for each flow, then one with the version and the times of sends. Usage: node flows.mjs DIR, with
// TERCET_URL and TERCET_KEYS for hardhat.config.js.
import { readFileSync } from "node:fs";
import { network } from "hardhat";
import { runFlows } from "../flows.mjs";
import { equal, evmBytecode, fails, freshAddress, loadNetwork, loadToken, matches, truthy } from "../lib.mjs";

const [dir] = process.argv.slice(2);
const net = loadNetwork(dir);
const { ethers, provider } = await network.connect("tercet");
const [alice] = await ethers.getSigners();
const bob = net.accounts[9].address;
const { abi, bytecode } = loadToken();
const artifact = { _format: "hh3-artifact-1", contractName: "Token", sourceName: "Token", abi, bytecode, deployedBytecode: "0x", linkReferences: {}, deployedLinkReferences: {} };
const state = {};

async function transfer(request, type) {
  const receipt = await (await alice.sendTransaction({ to: bob, value: 1n, ...request })).wait();
  equal(receipt.status, 1, "status");
  if (type !== undefined) equal(receipt.type, type, "type");
  return receipt;
}

const flows = {
  async connect() {
    equal((await ethers.provider.getNetwork()).chainId, BigInt(net.chainId), "chain id");
    matches(await provider.request({ method: "web3_clientVersion" }), /^tercet\//, "client version");
    truthy((await ethers.provider.getBlockNumber()) >= 0, "no height");
  },
  async balances() {
    truthy((await ethers.provider.getBalance(alice.address)) > 10n ** 18n, "not funded");
    equal(await ethers.provider.getBalance(freshAddress()), 0n, "balance of nobody");
  },
  "send: default": async () => {
    state.receipt = await transfer({ value: 5n * 10n ** 17n });
  },
  "send: legacy": () => transfer({ type: 0, gasPrice: 0n }, 0),
  "send: access list": () => transfer({ type: 1, gasPrice: 0n, accessList: [{ address: bob, storageKeys: ["0x" + "01".repeat(32)] }] }, 1),
  "send: 1559": () => transfer({ type: 2, maxFeePerGas: 7n, maxPriorityFeePerGas: 1n }, 2),
  "send: no balance, no value": async () => {
    const poor = ethers.Wallet.createRandom().connect(ethers.provider);
    equal((await (await poor.sendTransaction({ to: bob, value: 0n })).wait()).status, 1, "status");
    equal(await ethers.provider.getTransactionCount(poor.address), 1, "nonce");
  },
  "send: sync": async () => {
    const signer = new ethers.Wallet(net.accounts[5].privateKey, ethers.provider);
    const raw = await signer.signTransaction(await signer.populateTransaction({ to: bob, value: 1n }));
    equal((await provider.request({ method: "eth_sendRawTransactionSync", params: [raw] })).status, "0x1", "status");
  },
  "send: new account": () => transfer({ to: freshAddress() }),
  "send: ten in a row": async () => {
    const sent = [];
    for (let i = 0; i < 10; i++) sent.push(await alice.sendTransaction({ to: bob, value: 1n }));
    equal((await Promise.all(sent.map((r) => r.wait()))).filter((r) => r.status === 1).length, 10, "receipts");
  },
  "read: block": async () => {
    const { blockNumber, blockHash, hash } = state.receipt;
    const block = await ethers.provider.getBlock(blockNumber, true);
    equal(block.hash, blockHash, "hash by number");
    truthy(block.transactions.includes(hash), "the block lacks the transaction");
    for (const tag of ["latest", "safe", "finalized", "pending", "earliest"]) truthy(await ethers.provider.getBlock(tag), `no block ${tag}`);
  },
  "read: transaction": async () => {
    const tx = await ethers.provider.getTransaction(state.receipt.hash);
    equal(tx.from, alice.address, "sender");
    equal(await ethers.provider.getTransaction("0x" + "12".repeat(32)), null, "an unknown transaction");
  },
  fees: async () => {
    equal((await ethers.provider.getFeeData()).gasPrice, 0n, "gas price");
    equal(await ethers.provider.estimateGas({ from: alice.address, to: bob, value: 1n }), 21000n, "estimate");
  },
  "code, call, logs": async () => {
    equal(await ethers.provider.getCode(bob), "0x", "code");
    equal(await ethers.provider.call({ to: bob, data: "0x12345678" }), "0x", "call");
    equal((await ethers.provider.getLogs({ fromBlock: 0, toBlock: "latest", address: bob })).length, 0, "logs");
  },
  filters: async () => {
    const filter = await provider.request({ method: "eth_newBlockFilter" });
    const { blockHash } = await transfer({});
    truthy((await provider.request({ method: "eth_getFilterChanges", params: [filter] })).includes(blockHash), "the filter lacks the block");
    equal(await provider.request({ method: "eth_uninstallFilter", params: [filter] }), true, "uninstalling");
  },
  "error: nonce too low": async () => matches((await fails(() => alice.sendTransaction({ to: bob, nonce: 0 }), "a used nonce")).message, /nonce too low/i, "message"),
  "error: insufficient funds": async () =>
    matches((await fails(() => alice.sendTransaction({ to: bob, value: 10n ** 26n }), "more than there is")).message, /insufficient funds/, "message"),
  "contract: deploy": async () => {
    const factory = await ethers.getContractFactoryFromArtifact(artifact, alice);
    state.token = await factory.deploy("Token of Hardhat", "TOH", 10n ** 21n, alice.address);
    await state.token.waitForDeployment();
    const receipt = await state.token.deploymentTransaction().wait();
    equal(receipt.status, 1, "status");
    state.deployed = receipt.blockNumber;
    truthy((await ethers.provider.getCode(await state.token.getAddress())).startsWith("0xeff00000"), "code");
  },
  "contract: read": async () => {
    equal(await state.token.name(), "Token of Hardhat", "name");
    equal(await state.token.balanceOf(alice.address), 10n ** 21n, "balance");
  },
  "contract: transfer": async () => {
    const receipt = await (await state.token.transfer(bob, 5n)).wait();
    const { name, args } = state.token.interface.parseLog(receipt.logs[0]);
    equal(`${name} ${args.from} ${args.to} ${args.value}`, `Transfer ${alice.address} ${bob} 5`, "event");
    equal(await state.token.balanceOf(bob), 5n, "balance");
  },
  "contract: estimate, static call": async () => {
    const gas = await state.token.transfer.estimateGas(bob, 1n);
    truthy(gas > 21_000n && gas < 200_000n, `estimate of ${gas}`);
    equal((await (await state.token.transfer(bob, 1n, { gasLimit: gas })).wait()).status, 1, "status with the estimate");
    equal(await state.token.transfer.staticCall(bob, 1n), true, "static call");
  },
  "contract: logs": async () => {
    const all = await state.token.queryFilter(state.token.filters.Transfer(), state.deployed);
    equal(all.map((e) => e.args.value).join(), `${10n ** 21n},5,1`, "transfers");
  },
  "error: custom error": async () => {
    const [, poor] = await ethers.getSigners();
    const error = await fails(() => state.token.connect(poor).transfer.staticCall(bob, 1n), "more than there is");
    const data = error.data ?? error.error?.data ?? error.info?.error?.data;
    const parsed = error.revert ?? state.token.interface.parseError(data?.data ?? data);
    equal(parsed.name, "ERC20InsufficientBalance", "error");
  },
  "error: panic": async () => matches((await fails(() => state.token.mint.staticCall(bob, 2n ** 255n), "a supply beyond 2^255")).message, /overflow|4e487b71|panic/i, "message"),
  "error: EVM bytecode": async () =>
    matches((await fails(() => alice.sendTransaction({ data: evmBytecode }), "EVM bytecode")).message, /not a WebAssembly contract/, "message"),
  "error: unknown method": async () => equal((await fails(() => provider.request({ method: "eth_noSuchMethod" }), "no method")).code, -32601, "code"),
};

const http = "Hardhat's networks are HTTP, which has no subscriptions";
const absent = { "subscribe: heads": http, "subscribe: logs": http, "subscribe: pending": http };
const print = (line) => console.log(JSON.stringify(line));
const times = await runFlows({ flows, sendAndWait: () => transfer({}) }, print);
const { version } = JSON.parse(readFileSync(new URL("./node_modules/hardhat/package.json", import.meta.url)));
print({ version, times, absent });
process.exit(0);
