// The flows of Foundry's cast.
import { cast, castUntil, equal, evmBytecode, fails, freshAddress, loadToken, matches, reaches, truthy } from "./lib.mjs";

export async function castFlows(net) {
  let version;
  try {
    version = (await cast("--version")).split("\n")[0].replace(/^cast Version: /, "");
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return { missing: `none is in the PATH, and package-lock.json has none for ${process.platform}-${process.arch}` };
  }
  const rpcUrl = ["--rpc-url", net.url];
  const alice = net.accounts[3];
  const bob = net.accounts[9].address;
  const key = ["--private-key", alice.privateKey];
  const { bytecode } = loadToken();
  const state = {};

  async function transfer(...args) {
    const receipt = JSON.parse(await cast("send", ...rpcUrl, ...key, "--json", "--value", "1", ...args, bob));
    equal(receipt.status, "0x1", "status");
    equal(BigInt(receipt.effectiveGasPrice), 0n, "price");
    return receipt;
  }

  const flows = {
    async connect() {
      equal(await cast("chain-id", ...rpcUrl), String(net.chainId), "chain id");
      truthy(Number(await cast("block-number", ...rpcUrl)) >= 3, "the height is below 3");
      matches(await cast("client", ...rpcUrl), /^tercet\//, "client version");
    },
    async balances() {
      truthy(BigInt(await cast("balance", ...rpcUrl, alice.address)) > 10n ** 18n, "not funded");
      equal(await cast("balance", ...rpcUrl, freshAddress()), "0", "balance of nobody");
      truthy(Number(await cast("balance", ...rpcUrl, "--ether", "--block", "finalized", bob)) >= 10_000, "balance in ether");
    },
    "send: default": async () => {
      state.receipt = await transfer();
    },
    "send: legacy": async () => equal((await transfer("--legacy")).type, "0x0", "type"),
    "send: access list": async () =>
      equal((await transfer("--legacy", "--access-list", JSON.stringify([{ address: bob, storageKeys: ["0x" + "01".repeat(32)] }]))).type, "0x1", "type"),
    "send: 1559": () => transfer("--gas-price", "7", "--priority-gas-price", "1"),
    "send: no balance, no value": async () => {
      const [{ private_key: poor }] = JSON.parse(await cast("wallet", "new", "--json"));
      const receipt = JSON.parse(await cast("send", ...rpcUrl, "--private-key", poor, "--json", bob));
      equal(receipt.status, "0x1", "status");
    },
    "send: sync": async () => {
      const receipt = await transfer("--sync");
      equal(receipt.to.toLowerCase(), bob.toLowerCase(), "receiver");
    },
    "read: block": async () => {
      const { blockNumber, blockHash, transactionHash } = state.receipt;
      const block = JSON.parse(await cast("block", ...rpcUrl, "--json", String(BigInt(blockNumber))));
      equal(block.hash, blockHash, "hash by number");
      truthy(block.transactions.includes(transactionHash), "the block lacks the transaction");
      equal(await cast("block", ...rpcUrl, blockHash, "--field", "number"), String(BigInt(blockNumber)), "number by hash");
      matches(await cast("block", ...rpcUrl), /stateRoot +0x[0-9a-f]{64}/, "newest block");
      for (const tag of ["safe", "finalized", "earliest", "pending"]) await cast("block", ...rpcUrl, tag);
      matches(await cast("age", ...rpcUrl), /20\d\d/, "time of the newest block");
      await fails(() => cast("block", ...rpcUrl, "1000000000"), "a block of the future");
    },
    "read: transaction": async () => {
      const { transactionHash, blockHash } = state.receipt;
      const tx = JSON.parse(await cast("tx", ...rpcUrl, "--json", transactionHash));
      equal(tx.blockHash, blockHash, "block hash");
      matches(await cast("tx", ...rpcUrl, "--raw", transactionHash), /^0x02/, "raw bytes");
      matches(await cast("receipt", ...rpcUrl, transactionHash), /status +1 \(success\)/, "receipt");
      equal(await cast("receipt", ...rpcUrl, transactionHash, "blockHash"), blockHash, "a field of the receipt");
      matches((await fails(() => cast("tx", ...rpcUrl, "0x" + "12".repeat(32)), "an unknown one")).message, /not found/, "message");
    },
    nonce: async () => {
      const nonce = await cast("nonce", ...rpcUrl, alice.address);
      await transfer();
      equal(await cast("nonce", ...rpcUrl, alice.address), String(BigInt(nonce) + 1n), "nonce after a transfer");
    },
    fees: async () => {
      equal(await cast("gas-price", ...rpcUrl), "0", "gas price");
      equal(await cast("base-fee", ...rpcUrl), "0", "base fee");
      const history = JSON.parse(await cast("rpc", ...rpcUrl, "eth_feeHistory", "0x2", "latest", "[50]"));
      equal(history.baseFeePerGas.length, 3, "base fees");
      equal(await cast("estimate", ...rpcUrl, "--from", alice.address, "--value", "1", bob), "21000", "estimate");
    },
    filters: async () => {
      // cast has no commands for them, but sends any method.
      const blocks = JSON.parse(await cast("rpc", ...rpcUrl, "eth_newBlockFilter"));
      const { blockHash } = await transfer();
      truthy(JSON.parse(await cast("rpc", ...rpcUrl, "eth_getFilterChanges", blocks)).includes(blockHash), "the filter lacks the block");
      equal(await cast("rpc", ...rpcUrl, "eth_uninstallFilter", blocks), "true", "uninstalling");
    },
    "code, call, logs": async () => {
      equal(await cast("code", ...rpcUrl, bob), "0x", "code");
      equal(BigInt(await cast("storage", ...rpcUrl, bob, "0")), 0n, "storage");
      equal(await cast("call", ...rpcUrl, bob, "0x12345678"), "0x", "call");
      equal(await cast("logs", ...rpcUrl, "--from-block", "0", "--to-block", "latest", "--address", bob), "", "logs");
    },
    "send: asynchronous, published": async () => {
      matches(await cast("send", ...rpcUrl, ...key, "--async", "--value", "1", bob), /^0x[0-9a-f]{64}$/, "hash");
      const raw = await cast("mktx", ...rpcUrl, ...key, "--value", "1", bob);
      const receipt = JSON.parse(await cast("publish", ...rpcUrl, raw));
      equal(receipt.status, "0x1", "status");
      matches((await fails(() => cast("publish", ...rpcUrl, raw), "the same again")).message, /already known|nonce too low/, "message");
    },
    "error: nonce too low": async () =>
      matches((await fails(() => transfer("--nonce", "0"), "a used nonce")).message, /nonce too low/, "message"),
    "error: insufficient funds": async () =>
      matches((await fails(() => cast("send", ...rpcUrl, ...key, "--value", "99999999ether", bob), "more than there is")).message, /insufficient funds/, "message"),
    "contract: deploy": async () => {
      const create = (...args) => cast("send", ...rpcUrl, ...key, "--json", "--create", ...args);
      const receipt = JSON.parse(
        await create(bytecode, "constructor(string,string,uint256,address)", "Token of cast", "TOC", "1000ether", alice.address),
      );
      equal(receipt.status, "0x1", "status");
      state.token = receipt.contractAddress;
      state.deployed = String(BigInt(receipt.blockNumber));
      matches(await cast("code", ...rpcUrl, state.token), /^0xeff00000/, "code");
      truthy(Number(await cast("codesize", ...rpcUrl, state.token)) > 1000, "size of the code");
    },
    "contract: read": async () => {
      const read = (...args) => cast("call", ...rpcUrl, state.token, ...args);
      equal(await read("name()(string)"), '"Token of cast"', "name");
      equal(await read("decimals()(uint8)"), "18", "decimals");
      matches(await read("balanceOf(address)(uint256)", alice.address), /^1000000000000000000000( |$)/, "balance");
      equal(BigInt(await cast("storage", ...rpcUrl, state.token, "2")), 10n ** 21n, "the slot of the supply");
    },
    "contract: transfer": async () => {
      const receipt = JSON.parse(await cast("send", ...rpcUrl, ...key, "--json", state.token, "transfer(address,uint256)", bob, "5"));
      equal(receipt.status, "0x1", "status");
      equal(receipt.logs.length, 1, "logs");
      equal(receipt.logs[0].logIndex, "0x0", "index of the log");
      equal(await cast("call", ...rpcUrl, state.token, "balanceOf(address)(uint256)", bob), "5", "balance");
      const before = String(BigInt(receipt.blockNumber) - 1n);
      equal(await cast("call", ...rpcUrl, "--block", before, state.token, "balanceOf(address)(uint256)", bob), "0", "balance before");
    },
    "contract: estimate, static call": async () => {
      const gas = Number(await cast("estimate", ...rpcUrl, "--from", alice.address, state.token, "transfer(address,uint256)", bob, "1"));
      truthy(gas > 21_000 && gas < 200_000, `estimate of ${gas}`);
      equal(await cast("call", ...rpcUrl, "--from", alice.address, state.token, "transfer(address,uint256)(bool)", bob, "1"), "true", "call");
    },
    "contract: access list": async () =>
      matches(await cast("access-list", ...rpcUrl, "--from", alice.address, state.token, "transfer(address,uint256)", bob, "1"), /gas used: [0-9]+/, "access list"),
    "contract: logs": async () => {
      const logs = (...args) => cast("logs", ...rpcUrl, "--json", "--from-block", state.deployed, "--address", state.token, ...args);
      const transfers = JSON.parse(await logs("Transfer(address indexed,address indexed,uint256)"));
      equal(transfers.map((l) => String(BigInt(l.data))).join(), `${10n ** 21n},5`, "transfers");
      equal(JSON.parse(await logs("Transfer(address indexed,address indexed,uint256)", alice.address)).length, 1, "transfers of one");
    },
    "subscribe: logs": async () => {
      await reaches(net.ws);
      const transfers = ["--rpc-url", net.ws, "--subscribe", "--address", state.token, "Transfer(address indexed,address indexed,uint256)"];
      const send = async () => JSON.parse(await cast("send", ...rpcUrl, ...key, "--json", state.token, "transfer(address,uint256)", bob, "78"));
      // cast does not say when it has subscribed: transfers until it shows one.
      const seen = await castUntil(/transactionHash: *(0x[0-9a-f]{64})/, send, "logs", ...transfers);
      equal(seen.provoked.some((r) => r.transactionHash === seen.match[1]), true, `the log is of one of the transfers: ${seen.match[1]}`);
    },
    "error: custom error": async () => {
      const [{ private_key: poor }] = JSON.parse(await cast("wallet", "new", "--json"));
      const send = (...args) => cast("send", ...rpcUrl, "--private-key", poor, "--json", ...args, state.token, "transfer(address,uint256)", bob, "1");
      matches((await fails(() => send(), "more than there is")).message, /execution reverted.*0xe450d38c/s, "message");
      equal(JSON.parse(await send("--gas-limit", "100000").catch((e) => e.stdout)).status, "0x0", "status of the executed one");
    },
    "error: panic": async () =>
      matches(
        (await fails(() => cast("call", ...rpcUrl, "--from", alice.address, state.token, "mint(address,uint256)", bob, String(2n ** 255n)), "a supply beyond 2^255")).message,
        /overflow/, "message",
      ),
    "error: EVM bytecode": async () =>
      matches((await fails(() => cast("send", ...rpcUrl, ...key, "--create", evmBytecode), "EVM bytecode")).message, /not a WebAssembly contract/, "message"),
    "error: unknown method": async () =>
      matches((await fails(() => cast("rpc", ...rpcUrl, "eth_noSuchMethod"), "no method")).message, /does not exist\/is not available/, "message"),
  };
  const absent = {
    "subscribe: heads": "cast subscribes to logs only",
    "subscribe: pending": "cast subscribes to logs only",
  };
  return { version, flows, absent, sendAndWait: () => transfer() };
}
