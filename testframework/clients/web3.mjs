// The flows of web3.js 4.
import { readFileSync } from "node:fs";
import { Web3 } from "web3";
import { equal, evmBytecode, fails, freshAddress, loadToken, matches, reaches, truthy } from "./lib.mjs";

export async function web3Flows(net) {
  const web3 = new Web3(net.url);
  web3.eth.transactionPollingInterval = 50;
  const account = web3.eth.accounts.wallet.add(net.accounts[4].privateKey)[0];
  const alice = account.address;
  const bob = net.accounts[9].address;
  const { abi, bytecode } = loadToken();
  const state = {};

  async function transfer(request, type = 2n) {
    const receipt = await web3.eth.sendTransaction({ from: alice, to: bob, value: 1, ...request });
    equal(receipt.status, 1n, "status");
    equal(receipt.type, type, "type");
    return receipt;
  }

  const send = (raw) => web3.eth.sendSignedTransaction(raw);
  const sign = async (request) => (await web3.eth.accounts.signTransaction({ to: bob, value: 1, gas: 21000, gasPrice: 0, chainId: net.chainId, ...request }, account.privateKey)).rawTransaction;

  const flows = {
    async connect() {
      equal(await web3.eth.getChainId(), BigInt(net.chainId), "chain id");
      equal(await web3.eth.net.getId(), BigInt(net.chainId), "network id");
      truthy((await web3.eth.getBlockNumber()) >= 0n, "no height");
      equal(await web3.eth.isSyncing(), false, "syncing");
      matches(await web3.eth.getNodeInfo(), /^tercet\//, "client version");
    },
    async balances() {
      truthy((await web3.eth.getBalance(alice)) > 10n ** 18n, "not funded");
      equal(await web3.eth.getBalance(freshAddress()), 0n, "balance of nobody");
    },
    "send: default": async () => {
      state.receipt = await transfer({ value: web3.utils.toWei("0.5", "ether") });
    },
    "send: legacy": () => transfer({ type: 0, gasPrice: 0 }, 0n),
    "send: access list": () =>
      // web3.js leaves the list out when it asks for an estimate.
      transfer({ type: 1, gas: 30_000, gasPrice: 0, accessList: [{ address: bob, storageKeys: ["0x" + "01".repeat(32)] }] }, 1n),
    "send: 1559": () => transfer({ type: 2, maxFeePerGas: 7, maxPriorityFeePerGas: 1 }),
    "send: no balance, no value": async () => {
      const poor = web3.eth.accounts.wallet.add(web3.eth.accounts.create())[1];
      equal((await web3.eth.sendTransaction({ from: poor.address, to: bob, value: 0 })).status, 1n, "status");
    },
    "send: new account": () => transfer({ to: freshAddress() }),
    "send: ten in a row": async () => {
      let nonce = await web3.eth.getTransactionCount(alice, "pending");
      const sent = [];
      for (let i = 0; i < 10; i++) sent.push(web3.eth.sendTransaction({ from: alice, to: bob, value: 1, nonce: nonce++, gas: 21000 }));
      equal((await Promise.all(sent)).filter((r) => r.status === 1n).length, 10, "receipts");
    },
    "send: sync": async () => {
      const raw = await sign({ nonce: await web3.eth.getTransactionCount(alice, "pending") });
      equal((await web3.provider.request({ jsonrpc: "2.0", id: 1, method: "eth_sendRawTransactionSync", params: [raw] })).result.status, "0x1", "status");
    },
    "read: block": async () => {
      const { blockNumber, blockHash, transactionHash } = state.receipt;
      const block = await web3.eth.getBlock(blockNumber, true);
      equal(block.hash, blockHash, "hash by number");
      truthy(block.transactions.some((t) => t.hash === transactionHash), "the block lacks the transaction");
      equal((await web3.eth.getBlock(blockHash)).number, blockNumber, "number by hash");
      for (const tag of ["latest", "safe", "finalized", "pending", "earliest"]) truthy(await web3.eth.getBlock(tag), `no block ${tag}`);
      truthy((await web3.eth.getBlockTransactionCount(blockHash)) >= 1n, "count of transactions");
    },
    "read: transaction": async () => {
      const tx = await web3.eth.getTransaction(state.receipt.transactionHash);
      equal(tx.from.toLowerCase(), alice.toLowerCase(), "sender");
      equal(tx.value, 5n * 10n ** 17n, "value");
      matches((await fails(() => web3.eth.getTransaction("0x" + "12".repeat(32)), "an unknown one")).message, /not found/i, "message");
    },
    fees: async () => {
      equal(await web3.eth.getGasPrice(), 0n, "gas price");
      equal(await web3.eth.getMaxPriorityFeePerGas(), 0n, "tip");
      equal((await web3.eth.getFeeHistory(3, "latest", [50])).baseFeePerGas.length, 4, "base fees");
      equal(await web3.eth.estimateGas({ from: alice, to: bob, value: 1 }), 21000n, "estimate");
    },
    filters: async () => {
      // web3.js has no methods for them, but sends any.
      const send = (method, ...params) => web3.requestManager.send({ method, params });
      const blocks = await send("eth_newBlockFilter");
      const { blockHash } = await transfer({});
      truthy((await send("eth_getFilterChanges", blocks)).includes(blockHash), "the filter lacks the block");
      equal(await send("eth_uninstallFilter", blocks), true, "uninstalling");
    },
    "code, call, logs": async () => {
      equal(await web3.eth.getCode(bob), "0x", "code");
      equal(BigInt(await web3.eth.getStorageAt(bob, 0)), 0n, "storage");
      equal(await web3.eth.call({ to: bob, data: "0x12345678" }), "0x", "call");
      equal((await web3.eth.getPastLogs({ fromBlock: 0, toBlock: "latest", address: bob })).length, 0, "logs");
    },
    "error: nonce too low": async () =>
      matches((await fails(async () => send(await sign({ nonce: 0 })), "a used nonce")).message, /nonce too low/, "message"),
    "error: insufficient funds": async () => {
      const raw = await sign({ nonce: await web3.eth.getTransactionCount(alice, "pending"), value: web3.utils.toWei("99999999", "ether") });
      const error = await fails(() => send(raw), "more than there is");
      matches(`${error.message} ${error.reason} ${error.innerError?.message}`, /insufficient funds/, "message");
    },
    "error: replacement, known": async () => {
      const nonce = (await web3.eth.getTransactionCount(alice, "pending")) + 1n;
      const first = await sign({ nonce });
      const waiting = send(first);
      await new Promise((resolve) => waiting.once("transactionHash", resolve));
      matches((await fails(async () => send(await sign({ nonce, value: 2 })), "a second one")).message, /replacement transaction underpriced/, "message");
      matches((await fails(() => send(first), "the same again")).message, /already known/, "message");
      await transfer({ nonce: nonce - 1n });
      equal((await waiting).status, 1n, "status after the gap");
    },
    "contract: deploy": async () => {
      const contract = new web3.eth.Contract(abi);
      contract.transactionPollingInterval = 50;
      const deployed = await contract
        .deploy({ data: bytecode, arguments: ["Token of web3", "TOW", 10n ** 21n, alice] })
        .send({ from: alice })
        .on("receipt", (receipt) => (state.deployed = receipt));
      equal(state.deployed.status, 1n, "status");
      truthy((await web3.eth.getCode(state.deployed.contractAddress)).startsWith("0xeff00000"), "code");
      state.token = deployed;
      state.token.transactionPollingInterval = 50;
    },
    "contract: read": async () => {
      equal(await state.token.methods.name().call(), "Token of web3", "name");
      equal(await state.token.methods.decimals().call(), 18n, "decimals");
      equal(await state.token.methods.balanceOf(alice).call(), 10n ** 21n, "balance");
    },
    "contract: transfer": async () => {
      const before = await web3.eth.getBlockNumber();
      const receipt = await state.token.methods.transfer(bob, 5).send({ from: alice });
      equal(receipt.status, 1n, "status");
      equal(receipt.events.Transfer.returnValues.value, 5n, "event");
      equal(await state.token.methods.balanceOf(bob).call(), 5n, "balance");
      equal(await state.token.methods.balanceOf(bob).call({}, before), 0n, "balance before");
    },
    "contract: estimate, static call": async () => {
      const gas = await state.token.methods.transfer(bob, 1).estimateGas({ from: alice });
      truthy(gas > 21_000n && gas < 200_000n, `estimate of ${gas}`);
      equal((await state.token.methods.transfer(bob, 1).send({ from: alice, gas })).status, 1n, "status with the estimate");
      equal(await state.token.methods.transfer(bob, 1).call({ from: alice }), true, "call");
    },
    "contract: access list": async () => {
      const { accessList } = await web3.eth.createAccessList({ from: alice, to: state.token.options.address, data: state.token.methods.transfer(bob, 1).encodeABI() });
      equal(accessList.length, 1, "accounts");
    },
    "contract: logs": async () => {
      const events = await state.token.getPastEvents("Transfer", { fromBlock: state.deployed.blockNumber });
      equal(events.map((e) => e.returnValues.value).join(), `${10n ** 21n},5,1`, "transfers");
      const mine = await state.token.getPastEvents("Transfer", { fromBlock: state.deployed.blockNumber, filter: { from: alice, to: bob } });
      equal(mine.length, 2, "transfers from one to another");
    },
    "error: custom error": async () => {
      const poor = web3.eth.accounts.create().address;
      const error = await fails(() => state.token.methods.transfer(bob, 1).call({ from: poor }), "more than there is");
      equal(error.cause?.errorName, "ERC20InsufficientBalance", "error");
      equal(error.cause.errorArgs.needed, 1n, "its argument");
    },
    "error: panic": async () => {
      const error = await fails(() => state.token.methods.mint(bob, 2n ** 255n).call({ from: alice }), "a supply beyond 2^255");
      matches(error.message + error.cause?.message + error.cause?.data, /overflow|4e487b71/i, "message");
    },
    "error: EVM bytecode": async () => {
      const error = await fails(() => web3.eth.estimateGas({ from: alice, data: evmBytecode }), "EVM bytecode");
      matches(error.message + error.cause?.message, /not a WebAssembly contract/, "message");
    },
    "error: unknown method": async () => {
      const answer = await web3.provider.request({ jsonrpc: "2.0", id: 1, method: "eth_noSuchMethod", params: [] }).catch((e) => e);
      equal((answer.error ?? answer.cause ?? answer).code, -32601, "code");
    },
    "subscribe: heads": async () => {
      const [head, receipt] = await first(await (await ws()).eth.subscribe("newHeads"), () => transfer({}));
      truthy(head.number > 0n && head.number <= receipt.blockNumber, "number of the head");
    },
    "subscribe: logs": async () => {
      const logs = await (await ws()).eth.subscribe("logs", { address: state.token.options.address });
      const [log, receipt] = await first(logs, () => state.token.methods.transfer(bob, 78).send({ from: alice }));
      equal(log.transactionHash, receipt.transactionHash, "transaction");
    },
    "subscribe: pending": async () => {
      const [hash] = await first(await (await ws()).eth.subscribe("newPendingTransactions"), () => transfer({}));
      matches(hash, /^0x[0-9a-f]{64}$/, "hash");
    },
    "send over a WebSocket": async () => {
      const socket = await ws();
      const from = socket.eth.accounts.wallet.add(account.privateKey)[0].address;
      equal((await socket.eth.sendTransaction({ from, to: bob, value: 1 })).status, 1n, "status");
    },
  };

  async function ws() {
    await reaches(net.ws);
    return (state.ws ??= new Web3(net.ws));
  }

  // first provokes what a subscription waits for, and returns that and what the provocation gave.
  async function first(subscription, provoke) {
    const seen = new Promise((resolve, reject) => {
      subscription.once("data", resolve);
      subscription.once("error", reject);
    });
    const provoked = await provoke();
    const data = await seen;
    await subscription.unsubscribe();
    return [data, provoked];
  }

  const plain = new Web3(net.url); // as it comes
  const from = plain.eth.accounts.wallet.add(net.accounts[4].privateKey)[0].address;
  const { version } = JSON.parse(readFileSync(new URL("./node_modules/web3/package.json", import.meta.url)));
  return {
    version, flows, close: () => state.ws?.provider.disconnect(),
    sendAndWait: () => plain.eth.sendTransaction({ from, to: bob, value: 1 }),
  };
}
